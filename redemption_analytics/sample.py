"""A synthetic organisation, and exports of it in every edition of the wire format.

Everything follows from a seed: the same seed writes the same bytes, and a customer is the same
however many others there are. Some customers are wrong on purpose, see ``ODDITIES``.
"""

from __future__ import annotations

import gzip
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from html import escape
from itertools import accumulate, islice, pairwise
from math import log
from pathlib import Path
from random import Random
from typing import Any, Literal, get_args

__all__ = ["ODDITIES", "Edition", "Organisation", "Style"]
__all__ += ["damaged", "write_export", "write_sample"]

Edition = Literal["2018", "2020", "2025-02", "2025-12"]
Style = Literal["lines", "pretty", "array", "xml-2018", "xml-2020"]
Payload = dict[str, Any]

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
# What the older editions know.
_COUPON_2018 = ("id code series_id description discount_code discount_type transaction_number"
                " redeemed_time redeemed_at")  # fmt: skip
_POINT_2018 = "id points_redeemed transaction_number redeemed_time redeemed_at"
_POINT_2020 = (_POINT_2018 + " program_id validation_code notes redeemed_store redeemed_till"
               " reversals redemption_breakup_by_program")  # fmt: skip


@dataclass(slots=True)
class Redemption:
    """A coupon or points redemption: when, and as edition 2025-12 writes it in the end."""

    number: int
    time: datetime
    wire: Payload
    twin: bool = False

    def changed(self, since: datetime, until: datetime) -> bool:
        """Whether it was made or reversed after `since`, up to `until`."""
        times = (str(self.time), *(r["reversal_time"] for r in self.wire.get("reversals", ())))
        return self.time <= until and any(str(since) < moment <= str(until) for moment in times)


@dataclass(slots=True)
class Customer:
    """A customer's identities and names, and the full history, oldest first."""

    number: int
    wire: Payload
    points: list[Redemption]
    coupons: list[Redemption]


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
        chosen = self._chosen(as_of, changed_since, every)
        records = (_record(customer, edition, as_of, limit) for customer in chosen)
        while some := list(islice(records, batch)):
            yield _answer(some, edition, batch > 1)

    def _chosen(
        self, until: datetime, since: datetime | None, every: int = 1
    ) -> Iterator[Customer]:
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


def _written(item: Redemption, edition: Edition, as_of: datetime, rank: int) -> Payload:
    """Write a redemption the way `edition` does, without what came after `as_of`."""
    wire, coupon = dict(item.wire), "series_id" in item.wire
    if not coupon:
        wire["id"] = rank if edition >= "2025" else 100_000 + item.number
        wire["reversals"] = [r for r in wire["reversals"] if r["reversal_time"] <= str(as_of)]
    if edition == "2025-02":
        wire.pop("redemption_breakup_by_source", None)
    if edition >= "2025":
        return wire
    if coupon and wire["discount_type"] == "ABS":
        wire["discount_type"] = "FLAT"
    if edition == "2018" and wire["redeemed_store"]:
        wire["redeemed_at"] = f"{wire['redeemed_store']['name']}  {wire['redeemed_at']}"
    known = _COUPON_2018 if coupon else _POINT_2018 if edition == "2018" else _POINT_2020
    # Where there is nothing to tell, the edition of 2020 tells so or leaves it out.
    return {
        key: wire[key]
        for key in known.split()
        if wire[key] or wire[key] == "" or (wire[key] == [] and item.number % 2)
    }


def _record(customer: Customer, edition: Edition, as_of: datetime, limit: int) -> Payload:
    """Write a customer the way `edition` does, newest redemptions first."""
    new = edition >= "2025"
    record = {k: v for k, v in customer.wire.items() if v or edition != "2020"}
    if new:
        record["user_groups2"] = []
    if edition == "2025-12" and customer.number % 50 == 3:
        record["loyalty_tier"] = "gold"
    redemptions: Payload = {}
    rows = 0
    for kind, history in (("coupons", customer.coupons), ("points", customer.points)):
        known = [item for item in reversed(history) if item.time <= as_of]
        known = [item for item in known if edition == "2025-12" or not item.twin]
        here = [_written(item, edition, as_of, n) for n, item in enumerate(known[:limit], 1)]
        rows += len(here)
        if known:
            numeric = int if new and kind == "points" else str
            record[f"{kind}_count"] = numeric(len(known))
            record[f"{kind}_start_id"] = numeric(here[0]["id"]) if here else ""
            # The old editions write the bare object in place of a list of one.
            bare = len(here) == 1 and (edition == "2018" or (not new and kind == "coupons"))
            redemptions[kind] = {kind[:-1]: here[0] if bare else here}
        elif new and customer.number % 2:
            record |= {f"{kind}_count": None, f"{kind}_start_id": ""}
            redemptions[kind] = {kind[:-1]: None}
    record |= {"rows": rows if new else str(rows), "redemptions": redemptions}
    return record if edition != "2018" else _strings(record)


def _strings(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strings(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_strings(inner) for inner in value]
    return "" if value is None else str(value)


def _answer(records: list[Payload], edition: Edition, batch: bool = False) -> Payload:
    status: Payload = {"success": True, "code": 200, "message": "Success"}
    if edition < "2025":
        status = {"success": "true", "code": "200", "message": "SUCCESS"}
    if not batch:
        return {"response": {"status": status, "customer": records[0]}}
    fetched = {"success": "true", "code": 1000, "message": "Fetched"}
    records = [{"item_status": fetched} | record for record in records]
    found = sum(record["item_status"] is fetched for record in records)
    status |= {"total": str(len(records)), "success_count": str(found)}
    return {"response": {"status": status, "customer": records}}


def _nightly(chosen: Iterable[Customer], as_of: datetime, random: Random) -> Iterator[Payload]:
    """Answers of the current edition, a few of them truncated, failed, or for several at once."""
    failed = {"success": False, "code": 500, "message": "All requests have failed due to errors"}
    unknown = {"success": "false", "code": "816", "message": "Customer not found for organization"}
    batch: list[Payload] = []
    for customer in chosen:
        many = sum(point.time <= as_of for point in customer.points)
        limit = min(10, many // 2) if many > 1 and random.random() < 0.005 else 500
        record = _record(customer, "2025-12", as_of, limit)
        if random.random() < 0.003:
            yield {"response": {"status": failed}}
        if not batch and random.random() > 0.003:
            yield _answer([record], "2025-12")
            continue
        batch.append(record)
        if len(batch) == 3:
            batch.append({"mobile": "4477009999999", "item_status": unknown})
            yield _answer(batch, "2025-12", batch=True)
            batch = []
    if batch:
        yield _answer(batch, "2025-12", batch=True)


def write_sample(
    directory: str | Path,
    *,
    customers: int = 2000,
    exports: int = 3,
    seed: int = 0,
    damage: float = 0.0,
) -> list[Path]:
    """Write a folder of exports: archives of every fifth customer, and nightly ones that overlap.

    Parameters
    ----------
    directory : str or Path
        Where to; made if need be.
    customers : int
        How many customers the organisation has.
    exports : int
        How many nightly exports, on consecutive days up to 2026-11-20.
    seed : int
        The same seed writes the same bytes.
    damage : float
        The share of nightly answers to damage, 0 to 1.

    Returns
    -------
    list of Path
        The files written, oldest first.
    """
    if not 0 <= damage <= 1 or exports < 0:
        raise ValueError("damage must be from 0 to 1, and exports not negative")
    root, organisation = Path(directory), Organisation(customers, seed)
    archives: tuple[tuple[str, Edition, Style], ...] = (
        ("2018-12-31.xml", "2018", "xml-2018"),
        ("2020-06-30.json", "2020", "array"),
        ("2020-12-31.xml", "2020", "xml-2020"),
        ("2025-06-30.json.gz", "2025-02", "pretty"),
    )
    written = []
    for name, edition, style in archives:
        old = organisation.answers(edition, as_of=datetime.fromisoformat(name[:10]), every=5)
        written.append(write_export(root / "archive" / name, old, style=style))
    for back in reversed(range(exports)):
        as_of = datetime.combine(organisation.end, time()) - timedelta(back)
        since = as_of - timedelta(400 if back == exports - 1 else 35)
        answers = _nightly(organisation._chosen(as_of, since), as_of, Random(f"{seed}-{as_of}"))
        lines = damaged(_chunks(answers, "lines"), damage, Random(f"{seed}-{as_of}-damage"))
        written.append(_write(root / f"{as_of:%Y-%m-%d}.jsonl.gz", lines))
    return written


def write_export(path: str | Path, answers: Iterable[Payload], *, style: Style = "lines") -> Path:
    """Write answers to a file, one after the other as they come.

    Parameters
    ----------
    path : str or Path
        Compressed if the name ends in ``.gz``, to the same bytes each time.
    answers : iterable of dict
        Decoded payloads.
    style : {"lines", "pretty", "array", "xml-2018", "xml-2020"}
        JSON Lines, concatenated indented JSON, a JSON array, XML that repeats a tag for each of a
        list, or XML with an ``<element>`` for each of a list.

    Returns
    -------
    Path
        The file.
    """
    if style not in get_args(Style):
        raise ValueError(f"style must be one of {', '.join(get_args(Style))}")
    return _write(Path(path), _chunks(answers, style))


def _write(path: Path, chunks: Iterable[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as raw:
        # No name and no time in the header: the bytes must not depend on where and when.
        packed = gzip.GzipFile("", "wb", 9, raw, 0) if path.suffix == ".gz" else nullcontext(raw)
        with packed as out:
            for chunk in chunks:
                out.write(chunk.encode())
    return path


def _chunks(answers: Iterable[Payload], style: Style) -> Iterator[str]:
    if style == "lines":
        yield from (_compact(answer) + "\n" for answer in answers)
    elif style == "pretty":
        yield from (json.dumps(answer, indent=2, ensure_ascii=False) + "\n" for answer in answers)
    elif style == "array":
        yield "["
        for n, answer in enumerate(answers):
            yield (",\n" if n else "\n") + _compact(answer)
        yield "\n]\n"
    else:
        yield '<?xml version="1.0" encoding="UTF-8"?>\n<root>\n'
        for answer in answers:
            yield _xml("response", answer["response"], style == "xml-2020") + "\n"
        yield "</root>\n"


def _compact(answer: Payload) -> str:
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False)


def _xml(name: str, value: Any, wrapped: bool) -> str:
    if isinstance(value, list) and not wrapped:
        return "".join(_xml(name, inner, wrapped) for inner in value)
    if isinstance(value, list):
        text = "".join(_xml("element", inner, wrapped) for inner in value)
    elif isinstance(value, dict):
        text = "".join(_xml(key, inner, wrapped) for key, inner in value.items())
    else:
        text = "" if value is None else escape(str(value), quote=False)
        text = text.lower() if isinstance(value, bool) else text
    return f"<{name}>{text}</{name}>" if text else f"<{name} />"


def damaged(lines: Iterator[str], share: float, random: Random) -> Iterator[str]:
    """Damage a share of the answers in JSON Lines, in ways that a reader has to survive.

    Parameters
    ----------
    lines : iterator of str
        One answer each, with or without the line break.
    share : float
        The chance of an answer to be damaged: 0 leaves all as they are.
    random : Random
        What decides.
    """
    for line in lines:
        if random.random() >= share:
            yield line
        else:
            text = line.rstrip("\n")
            yield from (bad + line[len(text) :] for bad in _damage(text, random))


_WRONG: tuple[tuple[str, str, tuple[Any, ...]], ...] = (  # which object, its field, wrong values
    ("redemption_id", "points_redeemed", ("ten", -5, 12.5)),
    ("redemption_id", "redeemed_time", ("yesterday",)),
    ("reversal_id", "reversal_id", ()),
    ("reversal_id", "reversal_time", ("soon",)),
    ("reversal_id", "points_reversed", (-3,)),
    ("series_id", "id", ()),
)


def _damage(text: str, random: Random) -> list[str]:
    found: dict[str, list[Payload]] = {"redemption_id": [], "reversal_id": [], "series_id": []}

    def note(item: Payload) -> Payload:
        for key in found.keys() & item:
            found[key].append(item)
        return item

    answer, half = json.loads(text, object_hook=note), text[: len(text) // 2]
    lines = [[text, '["not", "a", "response"]'], [text, half], [half], ['{"message": "Timeout"}']]
    # Only what this answer has can be wrong in it: so rare reversals get their share of damage.
    fields = [wrong for wrong in _WRONG if found[wrong[0]]]
    which = random.randrange(len(lines) + len(fields))
    if which < len(lines):
        return lines[which]
    key, name, values = fields[which - len(lines)]
    item = random.choice(found[key])
    if values:
        item[name] = random.choice(values)
    else:
        del item[name]
    return [_compact(answer)]
