"""A deliberately naive second computation of what the library computes: loops, no data frames."""

import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from statistics import NormalDist
from typing import Any
from xml.etree import ElementTree

Group = tuple[Any, ...]
Key = str | Group  # of a points redemption: its redemption_id, or what stands for it
By = Sequence[str]
Row = dict[str, Any]
Shares = dict[int | None, Any]  # program_id -> points
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?")
DECODER = json.JSONDecoder(parse_float=str, parse_constant=int)  # 12.50 as written; NaN raises
RATES = """redemptions reversed_redemptions fully_reversed_redemptions points_redeemed
    points_reversed points_reversal_rate redemption_reversal_rate full_reversal_rate"""
# "#" number, "$" decimal, "@" time, "*" list, "+" points, else text; "!" required.
BOTH = """#id #bill_id @redeemed_time transaction_number redeemed_at redeemed_store.code
    redeemed_store.name redeemed_till.code redeemed_till.name *custom_fields.field"""
FIELDS = {
    "responses": """#status.code #item_status.code #rows #coupons_count #points_count user_id
        external_id mobile email *redemptions.coupons.coupon *redemptions.points.point""",
    "coupons": f"#series_id code description discount_code discount_type $discount_value {BOTH}",
    "points": f"""#program_id +points_redeemed! redemption_id validation_code notes
        redemption_purpose external_reference_number {BOTH} *reversals
        *redemption_breakup_by_program *redemption_breakup_by_source""",
    "program_breakups": "#program_id program_name +points_redeemed!",
    "reversals": """#reversal_id! +points_reversed! @reversal_time #reversed_on_till_id
        *reversal_breakup_by_program""",
    "reversal_breakups": "#program_id program_name +points_reversed!",
    "source_breakups": "+points_consumed! @awarding_date source_store.code source_store.name",
    "custom_fields": "name! value",
}


def payloads(path: Path) -> Iterator[Row | None]:
    """The decoded answers of one export file; None stands for a record that is no answer."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    data = data.removeprefix(b"\xef\xbb\xbf").strip()
    for value in _xml_answers(data) if data.startswith(b"<") else _json_answers(data):
        answer = value.get("response") if isinstance(value, dict) else None
        names = ("status", "customer", "customers")
        known = isinstance(answer, dict) and any(
            isinstance(answer.get(n), list | dict) for n in names
        )
        yield value if known else None


def _xml_answers(data: bytes) -> list[Any]:
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError:
        return [None]
    return [{"response": _xml_value(answer)} for answer in root.iter("response")] or [None]


def _xml_value(node: ElementTree.Element) -> Any:
    if all(child.tag == "element" for child in node):  # or no child at all
        return [_xml_value(child) for child in node] or node.text
    found = {tag: [_xml_value(c) for c in node.findall(tag)] for tag in {c.tag for c in node}}
    return {tag: values[0] if len(values) == 1 else values for tag, values in found.items()}


def _json_answers(data: bytes) -> list[Any]:
    values = _json_values([data])
    if None in values:  # a record is broken: JSON Lines, else answers that each begin a line
        values = _json_values(data.split(b"\n"))
        if not any(isinstance(value, dict) and "response" in value for value in values):
            values = _json_values(re.split(rb"(?m)^(?=\{)", data))
    return values[0] if len(values) == 1 and isinstance(values[0], list) else values


def _json_values(pieces: Sequence[bytes]) -> list[Any]:
    """The values in each piece, one after another; a None for a broken piece."""
    values: list[Any] = []
    for piece in pieces:
        try:
            text, at, found = piece.decode().strip(), 0, []
            while at < len(text):
                value, at = DECODER.raw_decode(text, at)
                found.append(value)
                while text[at : at + 1].isspace():
                    at += 1
            values += found
        except ValueError:
            values.append(None)
    return values


def _nothing(value: Any) -> bool:
    blank = isinstance(value, str) and value.strip() in ("", "0000-00-00 00:00:00")
    return blank or value is None or value in ([], {})


def _parse(mark: str, value: Any, places: int = 0) -> Any:
    """A field by the mark of its path: nothing is None, a ValueError refuses the element."""
    if mark == "*":
        return [v for v in (value if isinstance(value, list) else [value]) if not _nothing(v)]
    if _nothing(value):
        return None
    if isinstance(value, list | dict):
        raise ValueError("not a text, number or time")
    text = value if isinstance(value, str) else json.dumps(value)
    if mark not in "@#+$":
        return text
    if not (TIME if mark == "@" else NUMBER).fullmatch(text.strip()):
        raise ValueError("not a number, or not a time")
    if mark == "@":
        return datetime.fromisoformat(text.strip())
    places = {"#": 0, "+": places, "$": 18}[mark]
    scaled = Fraction(text.strip()) * 10**places
    if scaled.denominator != 1 or abs(scaled) >= 2**63 * 10**places:
        raise ValueError("not a whole number of 64 bits")
    return Decimal(int(scaled)).scaleb(-places) if places else int(scaled)


def _fields(item: Any, kind: str, places: int) -> Row:
    """The fields of an element; an error refuses it."""
    row: Row = {}
    for path in FIELDS[kind].split():
        value, name = item, path.strip("#$@*+!")
        for step in name.split("."):  # an AttributeError where there should be an object
            value = None if _nothing(value) else value.get(step)
        value = _parse(path[0], value, places)
        if (path[-1] == "!" and value is None) or (path[0] == "+" and value < 0):
            raise ValueError("missing or negative")
        value = None if name == "bill_id" and value in (0, -1) else value
        row[re.sub(r"^redeemed_(store|till)\.", r"\1_", name)] = value
    if "id" in row and row["id"] is None and row.get("redemption_id") is None:
        raise ValueError("neither redemption_id nor id")
    return row


@dataclass
class Naive:
    """What an archive holds after merging, and how many elements of each kind were read."""

    points: dict[Key, Row] = field(default_factory=dict)
    coupons: dict[int, Row] = field(default_factory=dict)
    reversals: dict[int, Row] = field(default_factory=dict)
    breakups: dict[Key, Shares] = field(default_factory=dict)
    reversal_breakups: dict[int, Shares] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    _places: int = 0
    # Points redemptions as read: key, four fields, number among the old equals in these, row.
    _read: list[tuple[Key, Group, int, Row]] = field(default_factory=list, repr=False)

    def _each(self, kind: str, items: list[Any]) -> list[Row]:
        """The elements that are not refused; counts all of them."""
        rows = []
        for item in items:
            self.seen[kind] += 1
            try:
                rows.append(_fields(item, kind, self._places))
            except (ValueError, AttributeError):
                self.rejected[kind] += 1
        return rows

    def _shares(self, kind: str, items: list[Any]) -> Shares:
        shares: Shares = {}
        for program, _, points in (row.values() for row in self._each(kind, items)):
            shares[program] = shares.get(program, 0) + points
        return shares

    def _add_answer(self, payload: Row | None) -> None:
        answer = payload["response"] if payload else {"customer": "refused: no object"}
        many = answer.get("customers")
        many = many.get("customer") if isinstance(many, dict) else many
        customers = _parse("*", answer.get("customer")) or _parse("*", many) or [{}]
        status = {"status": answer.get("status")}
        customers = [one | status if isinstance(one, dict) else one for one in customers]
        for row in self._each("responses", customers):
            keys = ("user_id", "external_id", "mobile", "email")
            who = {"customer_key": next((f"{key}:{row[key]}" for key in keys if row[key]), None)}
            for coupon in self._each("coupons", row["redemptions.coupons.coupon"]):
                self._each("custom_fields", coupon.pop("custom_fields.field"))
                self.coupons[coupon["id"]] = coupon | who
            ranks: Counter[Group] = Counter()
            for point in self._each("points", row["redemptions.points.point"]):
                self._add_point(point | who, ranks)

    def _add_point(self, row: Row, ranks: Counter[Group]) -> None:
        self._each("custom_fields", row.pop("custom_fields.field"))
        self._each("source_breakups", row.pop("redemption_breakup_by_source"))
        parts = row.pop("redemption_breakup_by_program")
        row["breakup"] = self._shares("program_breakups", parts)
        row["reversals"] = self._each("reversals", row["reversals"])
        for back in row["reversals"]:
            parts = back.pop("reversal_breakup_by_program")
            back["breakup"] = self._shares("reversal_breakups", parts)
        points = row["points_redeemed"]
        four = (row["customer_key"], row["redeemed_time"], row["transaction_number"], points)
        five = (*four[:3], row["program_id"], points)
        if row["redemption_id"] is None:
            ranks.update([four, five])
        self._read.append((row["redemption_id"] or (*five, ranks[five]), four, ranks[four], row))


def load(paths: Sequence[Path], decimals: bool = False) -> Naive:
    """Reads files by the dates in their names, then by these, and merges what is in them."""
    naive = Naive(_places=3 if decimals else 0)
    for path in sorted(paths, key=lambda p: (re.findall(r"\d{4}-\d\d-\d\d", p.name)[-1], str(p))):
        for payload in payloads(path):
            naive._add_answer(payload)
    ids: dict[Group, set[str]] = defaultdict(set)
    old: dict[Group, dict[Key, int]] = defaultdict(dict)
    for key, four, number, _ in naive._read:
        if isinstance(key, str):
            ids[four].add(key)
        else:
            old[four][key] = min(number, old[four].get(key, number))
    for key, four, _, row in naive._read:
        names, number = sorted(ids[four]), old[four].get(key, 0)
        if number and (len(names) == number == 1 or 1 < len(names) == len(set(old[four].values()))):
            key = names[number - 1]
        naive.points[key], naive.breakups[key] = row, row.pop("breakup")
        for back in row.pop("reversals"):
            naive.reversal_breakups[back["reversal_id"]] = back.pop("breakup")
            naive.reversals[back["reversal_id"]] = back | {"redemption_key": key}
    return naive


def _group(by: By, row: Row, time: datetime | None) -> Group:
    values = dict.fromkeys(("day", "week", "month", "quarter", "year")) | row
    if time:
        day, month = time.date(), time.date().replace(day=1)
        values |= {"day": day, "week": day - timedelta(days=day.weekday()), "month": month}
        values["quarter"] = month.replace(month=(month.month - 1) // 3 * 3 + 1)
        values["year"] = month.replace(month=1)
    return tuple(values[name] for name in by)


def _bookings(naive: Naive, by: By) -> Iterator[tuple[Key, int | None, Row, Row]]:
    """Redemption key, program, reversal or {}, and what to add: redemptions n, points out, back."""
    split = "program_id" in by
    own: dict[Key, Shares] = {}
    booked: list[tuple[Key, Row, Any, Shares]] = []
    for key, row in naive.points.items():
        own[key] = naive.breakups[key] or {row["program_id"]: row["points_redeemed"]}
        booked.append((key, {}, row["points_redeemed"], own[key]))
    for number, back in naive.reversals.items():
        breakup = naive.reversal_breakups[number]
        booked.append((back["redemption_key"], back, back["points_reversed"], breakup))
    for key, back, points, breakup in booked:
        only = next(iter(own[key])) if len(own[key]) == 1 else None
        rest = points - sum(breakup.values())  # goes to the only program, else to None
        shares = breakup | ({only: breakup.get(only, 0) + rest} if rest else {})
        for program, share in (shares if split else {None: points}).items():
            counts = int(not split or program in own[key])
            yield key, program, back, {"back": share} if back else {"n": counts, "out": share}


def net_points(naive: Naive, by: By = (), basis: str = "redemption") -> dict[Group, Group]:
    """Group -> redemptions, points redeemed, points reversed, net points."""
    cells: dict[Group, Counter[str]] = {} if by else {(): Counter()}
    for key, program, back, numbers in _bookings(naive, by):
        row = naive.points[key] | {"program_id": program}
        time = back["reversal_time"] if back and basis == "event" else row["redeemed_time"]
        cells.setdefault(_group(by, row, time), Counter()).update(numbers)
    return {g: (c["n"], c["out"], c["back"], c["out"] - c["back"]) for g, c in cells.items()}


def reversal_rates(
    naive: Naive, by: By = (), within: timedelta | None = None, as_of: datetime | None = None
) -> dict[Group, Row]:
    """Group -> counts, points, rates and the Wilson interval of redemption_reversal_rate."""
    times = [row["redeemed_time"] for row in naive.points.values()]
    times += [row["reversal_time"] for row in naive.reversals.values()]
    end = as_of or max((time for time in times if time), default=datetime.max)
    units: dict[tuple[Key, int | None], Counter[str]] = defaultdict(Counter)
    for key, program, back, numbers in _bookings(naive, by):
        born = naive.points[key]["redeemed_time"]
        time = back["reversal_time"] if back else born
        late = (born and born > end) or (time and time > end)
        if not late and (within is None or (born and time and time - born <= within <= end - born)):
            units[key, program].update(numbers)
    cells: dict[Group, Counter[str]] = {} if by else {(): Counter()}
    for (key, program), unit in units.items():
        row = naive.points[key] | {"program_id": program}
        unit.update(k=int(unit["back"] > 0), full=int(0 < unit["back"] >= unit["out"]))
        cells.setdefault(_group(by, row, row["redeemed_time"]), Counter()).update(unit)
    return {group: _rates(cell) for group, cell in cells.items()}


def _rates(cell: Counter[str]) -> Row:
    n, k, full, out, back = (cell[name] for name in ("n", "k", "full", "out", "back"))
    rates = float(back / out) if out else None, k / n if n else None, full / n if n else None
    row = dict(zip(RATES.split(), (n, k, full, out, back, *rates), strict=True))
    if not 0 <= k <= n or n == 0:
        return row | {"ci_low": None, "ci_high": None}
    z, p = NormalDist().inv_cdf(0.975), k / n
    middle, scale = p + z * z / (2 * n), 1 + z * z / n
    half = z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return row | {"ci_low": (middle - half) / scale, "ci_high": (middle + half) / scale}
