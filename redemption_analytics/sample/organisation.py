"""The organisation: customers, and the full history of their redemptions and reversals."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import accumulate, islice, pairwise
from math import log
from random import Random
from typing import get_args

from redemption_analytics.sample.editions import Edition, answer_with, record_of
from redemption_analytics.sample.history import Customer, Payload, Redemption

#: What is wrong with a customer, by number modulo 500.
ODDITIES = {
    7: "newest reversed before redeemed",
    11: "discount type BOGO",
    13: "program breakup off by one",
    17: "source breakup off by three",
    20: "the email of the customer before",
    23: "no redeemed_time",
    29: "more points reversed than redeemed",
    31: "reversal breakup off by one",
    41: "two equal redemptions, in edition 2025-12 and if the newest is of 2026",
}

_SLOTS = 64  # redemption numbers set aside for a customer: more than any has
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PROGRAMS = {469: "House", 1234: "Partner", 1886: "Travel", 973: "DefaultProgram"}
_REVERSAL_RATES = {469: 0.04, 1234: 0.11, 1886: 0.08, 973: 0.06}
_STORES = {
    "harbour": "Harbour Mall", "station": "Station Hall", "north": "North", "east": "East",
    "market": "Market & Mill", "south": "South", "riverside": "Riverside", "airport": "Airport",
    "oldtown": "Old Town", "lakeside": "Lakeside", "west": "West", "cafe": "Café Corner",
}  # fmt: skip
_TILLS = 3  # in each store
_HOT_TILL = 4  # station.till2, which reverses more than chance explains
_FIRST = ("Adan", "Belis", "Corvin", "Delia", "Emrys", "Fenna", "Galen", "Hilde", "Ivo", "Zoë")
_LAST = ("Arbon", "Brindel", "Castow", "Dunmere", "Elvast", "Farrowin", "Garlock", "O'Hest")
_PURPOSES = ("Purchase discount", "", "Gift card", "Donation", "Transfer")
_SERIES = (  # series_id, description, discount_code, discount_type, discount_value
    ("689078", "Birthday voucher", "BDAY500", "ABS", "500"),
    ("690000", "Flat fifty", "FLAT50", "ABS", "50.5"),
    ("832", "Ten percent off", "TENOFF", "PERC", "10"),
)


class Organisation:
    """A loyalty organisation, made up customer by customer as they are asked for.

    Parameters
    ----------
    customers : int
        How many customers it has.
    seed : int
        What the history is derived from.
    start, end : date
        The first and last day with redemptions. Reversals may come later.
    """

    def __init__(
        self,
        customers: int,
        seed: int = 0,
        *,
        start: date = date(2017, 1, 1),
        end: date = date(2026, 11, 20),
    ) -> None:
        if customers < 0 or end < start:
            raise ValueError("customers must not be negative, and end not before start")
        self.customers, self.seed, self.start, self.end = customers, seed, start, end
        days = (start + timedelta(days) for days in range((end - start).days + 1))
        # Business grows over the years; Fridays, Saturdays and the year's end are busy.
        self._days = list(
            accumulate(
                (0.3 + 0.15 * (day.year - start.year))
                * (0.8, 0.8, 0.9, 1.0, 1.3, 1.6, 0.6)[day.weekday()]
                * (1.5 if day.month >= 11 else 0.8 if day.month == 2 else 1.0)
                for day in days
            )
        )
        self._tills = list(accumulate(w / s for s in range(2, len(_STORES) + 2) for w in (5, 3, 1)))

    def customer(self, number: int) -> Customer:
        """Make customer `number`, with the full history."""
        random = Random(f"{self.seed}-{number}")
        odd, lacks = number % 500, random.random()
        if odd in (19, 20):
            lacks = 1.0  # these two share an email, so both need to have one
        wire: Payload = {
            "mobile": f"4477009{number:06d}" if not 0.13 < lacks < 0.15 else None,
            "email": f"c{number - (odd == 20):06d}@example.com"
            if not 0.08 < lacks < 0.13
            else None,
            "external_id": f"EXT-{number:06d}" if lacks > 0.1 else None,
            "firstname": random.choice(_FIRST),
            "lastname": random.choice(_LAST),
        }
        if number % 97 == 0:
            wire["user_id"] = str(564_000_000 + number)
        many = min(60, int(random.lognormvariate(2.15, 0.9)))
        first = int(random.random() ** 0.7 * 0.95 * len(self._days))
        last = min(len(self._days), first + 201 + int(random.expovariate(1 / 1500)))
        if odd in ODDITIES:  # these stay to the end, lest their oddities be in no late export
            many, last = max(many, 8), len(self._days)
        coupons = max(min(15, int(random.expovariate(0.5))), int(odd == 11 or not many))
        low, high = self._days[first - 1] if first else 0.0, self._days[last - 1]
        opening, home = datetime.combine(self.start, time(9)), self._till(random)
        times: dict[datetime, None] = {}  # no two redemptions at once, lest they look the same
        while len(times) < many + coupons:
            day = bisect_right(self._days, random.uniform(low, high), 0, last - 1)
            times[opening + timedelta(day, int(random.random() * 43_200))] = None
        moments = list(times)
        customer = Customer(number, wire, [], [])
        for rank, when in enumerate(sorted(moments[:many])):
            customer.points.append(self._point(random, number * _SLOTS + rank, when, home))
        for rank, when in enumerate(sorted(moments[many:])):
            coupon = self._coupon(random, 16_000_000 + number * 16 + rank, when, home)
            if many and random.random() < 0.4:  # on the same bill as points
                bill = random.choice(customer.points)
                coupon.time = bill.time
                same = ("transaction_number", "redeemed_at", "redeemed_store", "redeemed_till")
                coupon.wire |= {key: bill.wire[key] for key in same}
                coupon.wire["redeemed_time"] = str(bill.time)
            customer.coupons.append(coupon)
        customer.coupons.sort(key=lambda coupon: coupon.time)
        if odd in ODDITIES:
            _spoil(customer, odd)
        return customer

    def answers(
        self,
        edition: Edition,
        *,
        as_of: datetime,
        changed_since: datetime | None = None,
        limit: int = 500,
        batch: int = 1,
        every: int = 1,
    ) -> Iterator[Payload]:
        """Yield what the API would have answered, as decoded payloads.

        Parameters
        ----------
        edition : {"2018", "2020", "2025-02", "2025-12"}
            The edition whose way of writing is used.
        as_of : datetime
            When the API was asked: what happened later is not there yet.
        changed_since : datetime, optional
            Only customers with a redemption or reversal after it. By default all that have any.
        limit : int
            The most coupons, and the most points redemptions, in an answer: the newest.
        batch : int
            How many customers were asked for at once.
        every : int
            Only customers whose number is a multiple of it.
        """
        if edition not in get_args(Edition):
            raise ValueError(f"edition must be one of {', '.join(get_args(Edition))}")
        if min(limit, batch, every) < 1:
            raise ValueError("limit, batch and every must be at least 1")
        chosen = self.chosen(as_of, changed_since, every)
        records = (record_of(customer, edition, as_of, limit) for customer in chosen)
        while some := list(islice(records, batch)):
            yield answer_with(some, edition, batch > 1)

    def chosen(self, until: datetime, since: datetime | None, every: int = 1) -> Iterator[Customer]:
        """Yield customers with a redemption or reversal after `since`, up to `until`."""
        for customer in map(self.customer, range(0, self.customers, every)):
            known = (*customer.points, *customer.coupons)
            if any(item.changed(since or datetime.min, until) for item in known):
                yield customer

    def _till(self, random: Random) -> int:
        return bisect_right(self._tills, random.random() * self._tills[-1])

    def _place(self, random: Random, home: int) -> tuple[int | None, Payload]:
        roll = random.random()
        if roll < 0.01:  # an app, or the call centre
            return None, {"redeemed_at": "", "redeemed_store": None, "redeemed_till": None}
        till = home if roll < 0.6 else self._till(random)
        store = list(_STORES)[till // _TILLS]
        code = f"{store}.till{till % _TILLS + 1}"
        return till, {
            "redeemed_at": code,
            "redeemed_store": {"code": store, "name": _STORES[store]},
            "redeemed_till": {"code": code, "name": code},
        }

    def _coupon(self, random: Random, number: int, when: datetime, home: int) -> Redemption:
        series, description, discount_code, kind, value = random.choice(_SERIES)
        wire = {
            "id": str(number),
            "code": f"{series}-{random.getrandbits(32):08x}",
            "series_id": series,
            "description": description,
            "discount_code": discount_code,
            "discount_type": kind,
            "discount_value": value,
            "transaction_number": f"bill-c{number}",
            "bill_id": "0",
            "redeemed_time": str(when),
            "custom_fields": {"field": []},
        }
        return Redemption(number, when, wire | self._place(random, home)[1])

    def _point(self, random: Random, number: int, when: datetime, home: int) -> Redemption:
        chance, programs = random.random, tuple(_PROGRAMS)
        program = random.choices(programs, (50, 22, 16, 12))[0]
        points = min(5000, max(5, int(random.lognormvariate(4.8, 1.0))))
        if chance() < 0.5:
            points = max(5, points // 50 * 50)
        shares, roll = {program: points}, chance()
        if roll < 0.15:
            shares[program] = 1 + int(chance() * (points - 1))
            other = random.choice([p for p in programs if p != program])
            shares[other] = points - shares[program]
        till, place = self._place(random, home)
        purpose = random.choices(_PURPOSES, (50, 30, 10, 5, 5))[0]
        custom = {"channel": random.choice(("app", "web"))} if chance() < 0.06 else {}
        if purpose == "Transfer":
            custom["point_transferred_to"] = f"4477009{random.randrange(10**6):06d}"
        wire = {
            "id": 1,
            "program_id": program,
            "points_redeemed": points,
            "transaction_number": f"bill-{number}" if chance() < 0.96 else "",
            "bill_id": str(88_000_000 + number) if chance() < 0.6 else random.choice(("-1", "0")),
            "validation_code": f"V{random.getrandbits(20):05X}" if chance() < 0.2 else "",
            "redeemed_time": str(when),
            "redemption_purpose": purpose,
            "notes": f"Redeemed {points} points" if chance() < 0.15 else "",
            "external_reference_number": f"ACR-{random.getrandbits(32)}" if chance() < 0.2 else "",
            "redemption_id": _redemption_id(number),
            **place,
            "custom_fields": {"field": [{"name": k, "value": v} for k, v in custom.items()]},
            "reversals": [],
            "redemption_breakup_by_program": _shares(shares if roll < 0.575 else {}, "redeemed"),
        }
        if chance() < 0.25:
            parts = _parts(random, points)
            awarded = (when - timedelta(10 + int(random.expovariate(1 / 90)), p) for p in parts)
            wire["redemption_breakup_by_source"] = [
                _source(random.choice(list(_STORES)), part, moment)
                for part, moment in zip(parts, awarded, strict=True)
            ]
        rate = _REVERSAL_RATES[program] * (4 if till == _HOT_TILL else 1)
        if chance() < rate * (1 + 0.03 * when.month if when.year >= 2026 else 1):
            wire["reversals"] = self._reversals(random, number, when, till, shares)
        return Redemption(number, when, wire)

    def _reversals(
        self, random: Random, number: int, when: datetime, till: int | None, left: dict[int, int]
    ) -> list[Payload]:
        points, left = sum(left.values()), dict(left)
        full = random.random() < 0.6
        parts = [points] if full else _parts(random, random.randrange(1, points))
        delays = (int(min(90.0, random.lognormvariate(log(6), 1.0))) for _ in parts)
        times = sorted(when + timedelta(days, random.randrange(9000)) for days in delays)
        reversals = []
        for rank, (part, moment) in enumerate(zip(parts, times, strict=True)):
            shares, rest = {}, part
            for program in left:  # no program gets back more than it gave
                shares[program] = min(rest, left[program])
                rest -= shares[program]
                left[program] -= shares[program]
            told = shares if random.random() < 0.85 else {}
            desk = till if random.random() < 0.8 else self._till(random)
            reversals.append(_reversal(number, rank, part, moment, desk, told))
        return reversals


def _redemption_id(number: int) -> str:
    # The factor shares no divisor with 62**6, so no two numbers below that get the same text.
    rest, text = number * 39_916_801 % 62**6, ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        text += _DIGITS[digit]
    return text


def _parts(random: Random, total: int) -> list[int]:
    cuts = random.sample(range(1, total), min(random.randint(0, 2), total - 1))
    cuts = [0, *sorted(cuts), total]
    return [b - a for a, b in pairwise(cuts)]


def _shares(shares: dict[int, int], what: str) -> list[Payload]:
    return [
        {"program_id": program, f"points_{what}": points, "program_name": _PROGRAMS[program]}
        for program, points in shares.items()
        if points
    ]


def _source(store: str, points: int, awarded: datetime) -> Payload:
    where = {"code": store, "name": _STORES[store]}
    return {"source_store": where, "points_consumed": points, "awarding_date": str(awarded)}


def _reversal(
    number: int, rank: int, points: int, when: datetime, till: int | None, shares: dict[int, int]
) -> Payload:
    return {
        "reversal_id": 2_000_000 + number * 4 + rank,
        "points_reversed": points,
        "reversal_time": str(when),
        "reversed_on_till_id": 75_040_300 + till if till is not None else -1,
        "reversal_breakup_by_program": _shares(shares, "reversed"),
    }


def _spoil(customer: Customer, odd: int) -> None:
    newest, day = customer.points[-1], timedelta(1)
    number, when, wire = newest.number, newest.time, newest.wire
    program, points = wire["program_id"], wire["points_redeemed"]
    after = _reversal(number, 0, points, when + day, 0, {})
    if odd == 7:
        wire["reversals"] = [_reversal(number, 0, points, when - 2 * day, 0, {})]
    elif odd == 11:
        customer.coupons[-1].wire["discount_type"] = "BOGO"
    elif odd == 13:
        wire["redemption_breakup_by_program"] = _shares({program: points - 1}, "redeemed")
    elif odd == 17:
        wire["redemption_breakup_by_source"] = [_source("north", points + 3, when - 30 * day)]
    elif odd == 23:
        wire["redeemed_time"] = "0000-00-00 00:00:00"
    elif odd == 29:
        wire["reversals"] = [after, _reversal(number, 1, 5, when + 2 * day, 0, {})]
    elif odd == 31:
        after["reversal_breakup_by_program"] = _shares({program: points - 1}, "reversed")
        wire["reversals"] = [after]
    elif odd == 41 and when.year >= 2026:
        other = wire | {"redemption_id": _redemption_id(number + 1), "reversals": []}
        customer.points.append(replace(newest, number=number + 1, wire=other, twin=True))
