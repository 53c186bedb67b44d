"""A foreign organisation: exports made from the API's contract alone, unlike the library's sample.

Many coupons, few reversals, no source breakups; long texts in several scripts, with what JSON has
to escape; ids of other lengths; other keys first; blanks after ``:`` and ``,``; and some answers of
servers that escape all but ASCII, or sort their keys. So nothing can be tuned to one make of data.
A customer follows from its number alone.
"""

# ruff: noqa: RUF001 - its texts are in several scripts

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

Item = dict[str, Any]

_FIRST_DAY = datetime(2022, 1, 3)
_SECONDS = 1780 * 86_400  # up to 18 November 2026
_DIGITS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_SHOPS = (
    "Kaufhaus Königsallee – Düsseldorf, Untergeschoß",
    "Galería “El Corazón”, planta 3ª (México D.F.)",
    "Магазин на Невском проспекте, дом 28 / Санкт-Петербург",
    "渋谷スクランブル店 ｜ 東京都渋谷区道玄坂2丁目",
    "Praça de Alimentação \\ Loja nº 41, São Paulo",
    'Outlet "Nordkapp" – Tromsø, etasje 2',
    "Αθήνα, Οδός Ερμού 56 · κατάστημα κοσμημάτων",
    "Store 1187, Highway 9 North, opposite the old railway depot",
)
_PROGRAMS = (
    (70_110_023, "Grüne Meilen – Mitgliedschaft für Haushalte"),
    (70_110_024, "Club Étoilé “Prestige”"),
    (70_110_031, "会員ポイント・プログラム（家族）"),
)
_SERIES = (  # series_id, discount_code, discount_type, discount_value, and the terms told
    ("10485760", "RENTRÉE-2024", "PERC", "12.5", "Réduction de rentrée : 12,5 % dès 80 € d'achat"),
    ("10485761", "SOMMERSCHLUSSVERKAUF", "ABS", "1250", "Sommerschlußverkauf, nur vorrätige Ware"),
    ("10485777", "お年玉", "FLAT", "3000", "お年玉クーポン（お一人様一回限り、併用不可）"),
    ("20971520", "BOGO/PAIR", "PERC", "50", 'Second pair at "half" price\nnot on sale items'),
    ("20971533", "WELCOME_BACK", "ABS", "99.95", "Welcome back! Valid on weekdays/evenings only"),
)
_PHRASES = (
    "Rechnung an Müller & Söhne GmbH, Lärchenstraße 7, 80331 München;",
    'the customer said "no bag, please" and paid the rest by card;',
    "facture remise à l'accueil, échéance à 30 jours, TVA 20 % incluse;",
    "請求書は本社経理部へ送付してください。領収書不要。",
    "line 1: shoes\n\tline 2: laces, cream \\ polish;",
    "доставка курьером до двери, звонить за час;",
    "entrega após as 18h, portão azul à esquerda 🚪;",
    "see https://shop.example/orders/archive for the terms;",
    "Ticket n.º 00871-B, devolución sólo con envase original;",
    "gift wrapped 🎁 with a card, price tags removed;",
)
_NAMES = ("Wilhelmina-Theodora", "José Ángel", "Владислав", "あかり", "Søren", "Ömer", "Mary Ann")
_FAMILIES = ("van der Straßen-Öhlenschläger", "O’Callaghan y Núñez", "Иванова", "長谷川", "Lee")
# What the older editions know, in their order here.
_OLD = ("redeemed_at", "redeemed_time", "transaction_number")
_COUPON_2018 = (
    *_OLD,
    *("discount_type", "discount_code", "description", "series_id", "code", "id"),
)
_POINT_2018 = (*_OLD, "points_redeemed", "id")
_POINT_2020 = (
    *("redemption_breakup_by_program", "reversals", "redeemed_till", "redeemed_store"),
    *("notes", "validation_code", "program_id"),
    *_POINT_2018,
)


def foreign_lines(edition: str, as_of: datetime, customers: int) -> Iterator[str]:
    """Yield one line of JSON for each customer who has redeemed something.

    Parameters
    ----------
    edition
        Whose way of writing is used: 2018, 2020, or 2025-12.
    as_of
        When the API was asked: what happened later is not there yet.
    customers
        How many there are.
    """
    until = str(as_of)
    for number in range(customers):
        history = _Customer(number)
        customer = history.record(edition, until)
        if customer["redemptions"]:
            status: Item = {"message": "Success", "code": 200, "success": True}
            if edition < "2025":
                status = {"message": "SUCCESS", "code": "200", "success": "true"}
            answer = {"response": {"customer": customer, "status": status}}
            yield _writer(number)(answer) + "\n"


def _writer(number: int) -> Callable[[Item], str]:
    """Give the way in which the server that answered writes JSON."""
    if number % 8 == 5:
        return _sorted
    return _escaped if number % 4 == 3 else _spaced


def _spaced(answer: Item) -> str:
    return json.dumps(answer, ensure_ascii=False)


def _escaped(answer: Item) -> str:
    return json.dumps(answer).replace("/", "\\/")


def _sorted(answer: Item) -> str:
    return json.dumps(answer, ensure_ascii=False, sort_keys=True, separators=(" , ", " : "))


class _Customer:
    """One customer with all that there ever was."""

    def __init__(self, number: int) -> None:
        self.number = number
        random = Random(number)
        chance = self._chance = random.random
        self._bits = random.getrandbits
        asked = chance()  # one kind of redemption was asked for, or both
        coupons = 0 if asked < 0.08 else 1 + int(random.expovariate(1 / 9))
        points = 0 if 0.08 <= asked < 0.25 else 1 + int(random.expovariate(1 / 2.5))
        self._breakups = chance() < 0.6  # whether asked with mlp=true
        self.coupons = [self._coupon(number * 256 + n) for n in range(min(coupons, 250))]
        self.points = [self._point(number * 64 + n) for n in range(min(points, 60))]

    def record(self, edition: str, until: str) -> Item:
        """Write the customer as an edition does, with what there was until then."""
        number, new = self.number, edition >= "2025"
        kinds = {"points": self.points, "coupons": self.coupons}
        redemptions: Item = {}
        counts: Item = {}
        for kind, history in kinds.items():
            known = [self._as_of(item, until) for item in history if item["redeemed_time"] <= until]
            if known:
                if new and kind == "points":
                    known = [item | {"id": rank} for rank, item in enumerate(known, 1)]
                elif not new:
                    known = [_older(item, edition, kind) for item in known]
                redemptions[kind] = {kind[:-1]: known[0] if _bare(known, edition, kind) else known}
                counts |= {f"{kind}_start_id": known[0]["id"], f"{kind}_count": len(known)}
        record: Item = {
            "redemptions": redemptions,
            "lastname": _FAMILIES[number % len(_FAMILIES)],
            "firstname": _NAMES[number % len(_NAMES)],
            "rows": sum(counts[f"{kind}_count"] for kind in redemptions),
            **counts,
        }
        if number % 10 < 7:
            record["mobile"] = f"+49 151 {number + 10_000_000}"
            record["email"] = f"mitglied.{number:09d}@kundenkonto.example.org"
        if number % 10 >= 4:
            record["external_id"] = f"{number * 2_654_435_761 % 2**32:08x}-crm-4d1f-{number:012x}"
        if number % 40 == 1:  # a field that no edition has told of
            record["segments"] = ["Stammkunde", "newsletter/weekly"]
        return record if edition != "2018" else _strings(record)

    def _as_of(self, item: Item, until: str) -> Item:
        if not item.get("reversals"):
            return item
        known = [part for part in item["reversals"] if part["reversal_time"] <= until]
        return item | {"reversals": known}

    def _coupon(self, number: int) -> Item:
        series, code, kind, value, terms = _SERIES[int(self._chance() * len(_SERIES))]
        return {
            "custom_fields": {"field": self._custom_fields(number)},
            **self._place(),
            "redeemed_time": self._time(),
            "bill_id": str(310_000_000_000 + number) if self._chance() < 0.9 else "-1",
            "transaction_number": self._transaction(number),
            "discount_value": value,
            "discount_type": kind,
            "discount_code": code,
            "description": f"{terms} – {self._text(number)}",
            "series_id": series,
            "code": f"{self._bits(64):016X}",
            "id": str(90_000_000_000 + number),
        }

    def _point(self, number: int) -> Item:
        chance = self._chance
        points = 1000 + int(chance() ** 3 * 400_000)
        program, name = _PROGRAMS[int(chance() ** 2 * len(_PROGRAMS))]
        time = self._time()
        item: Item = {
            "reversals": [] if chance() > 0.015 else [self._reversal(number, points, time)],
            "custom_fields": {"field": self._custom_fields(number)},
            **self._place(),
            "redemption_id": _redemption_id(number),
            "external_reference_number": f"ERP/{self._bits(60):020d}",
            "notes": self._text(number) if chance() < 0.7 else "",
            "redemption_purpose": "Rückerstattung / 返金" if chance() < 0.1 else "Einkauf",
            "redeemed_time": time if chance() > 0.001 else "0000-00-00 00:00:00",
            "validation_code": "",
            "bill_id": str(310_000_000_000 + number),
            "transaction_number": self._transaction(number),
            "points_redeemed": points,
            "program_id": program,
            "id": 700_000_000 + number,
        }
        if self._breakups:
            whole = {"program_name": name, "points_redeemed": points, "program_id": program}
            item["redemption_breakup_by_program"] = [whole] if chance() < 0.4 else []
        return item

    def _reversal(self, number: int, points: int, redeemed: str) -> Item:
        later = datetime.fromisoformat(redeemed) + timedelta(1 + int(self._chance() * 40))
        return {
            "reversal_breakup_by_program": [],
            "reversed_on_till_id": 4_000_000_000 + self._bits(8),
            "reversal_time": str(later),
            "points_reversed": points if self._chance() < 0.5 else 1 + int(self._chance() * points),
            "reversal_id": 8_000_000_000 + number,
        }

    def _custom_fields(self, number: int) -> list[Item]:
        fields = [{"value": self._text(number), "name": "billing_text"}]
        if number % 2:
            fields.append({"value": f"Kostenstelle №{number % 977:05d}", "name": "cost_centre"})
        return fields

    def _place(self) -> Item:
        shop = int(self._chance() ** 2 * 400)
        till = f"{shop:06d}-{self._bits(3):02d}"
        name = _SHOPS[shop % len(_SHOPS)]
        return {
            "redeemed_till": {"name": f"{name}: {till}", "code": till},
            "redeemed_store": {"name": name, "code": f"{shop:06d}"} if shop else None,
            "redeemed_at": till,
        }

    def _time(self) -> str:
        return str(_FIRST_DAY + timedelta(seconds=int(self._chance() * _SECONDS)))

    def _transaction(self, number: int) -> str:
        return f"{self._bits(32):08x}-{number:012x}-POS"

    def _text(self, number: int) -> str:
        which = self._bits(20)
        many = len(_PHRASES)
        first, second = _PHRASES[which % many], _PHRASES[which // many % many]
        if which % 3:
            return f"{first} {second} №{number}"
        return f"{first} {second} {_PHRASES[which // 100 % many]} №{number}"


def _redemption_id(number: int) -> str:
    # The factor shares no divisor with 34**6, so no two numbers below that get the same text.
    rest, text = number * 179_424_673 % 34**6, ""
    for _ in range(6):
        rest, digit = divmod(rest, 34)
        text += _DIGITS[digit]
    return text


def _bare(known: list[Item], edition: str, kind: str) -> bool:
    """Whether the edition writes the bare object in place of this list of one."""
    return len(known) == 1 and (edition == "2018" or (edition == "2020" and kind == "coupons"))


def _older(item: Item, edition: str, kind: str) -> Item:
    """Write a redemption as an edition did that knew less."""
    known: tuple[str, ...] = _COUPON_2018 if kind == "coupons" else _POINT_2018
    if edition == "2020" and kind == "points":
        known = _POINT_2020
    older = {name: item[name] for name in known if item.get(name) is not None}
    if older.get("discount_type") == "ABS":
        older["discount_type"] = "FLAT"
    if edition == "2018" and item["redeemed_store"]:
        older["redeemed_at"] = f"{item['redeemed_store']['name']}  {item['redeemed_at']}"
    return older


def _strings(value: Any) -> Any:
    """Write every number as text, as the edition of 2018 does."""
    if isinstance(value, dict):
        return {key: _strings(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_strings(inner) for inner in value]
    return str(value)
