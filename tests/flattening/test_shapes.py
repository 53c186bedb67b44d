"""Every shape in which the API answers, and the rows that it has to become."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from payloads import PROVENANCE

import redemption_analytics as ra
from redemption_analytics.flattening.flatten import Flattening
from redemption_analytics.loading.parser import Parser
from redemption_analytics.reading.blocks import Block
from redemption_analytics.sample import Edition, Organisation, Style, write_export

SAMPLES = Path(__file__).parents[2] / "data_samples"

# The tables with their columns in order; null is possible where a "?" follows.
COLUMNS = {
    "responses": """response_id:str source:str record:int64 exported_at:time dated_by:str
        customer_key:str?
        success:bool status_code:Int64? message:str? rows:Int64? coupons_count:Int64?
        points_count:Int64? coupons_loaded:int64 points_loaded:int64""",
    "customers": """customer_key:str user_id:str? external_id:str? mobile:str? email:str?
        firstname:str? lastname:str?""",
    "coupons": """redemption_key:str customer_key:str? id:int64 code:str? series_id:Int64?
        description:str? discount_code:str? discount_type:str? discount_value:float64?
        transaction_number:str? bill_id:Int64? redeemed_time:time? redeemed_at:str?
        store_code:str? store_name:str? till_code:str? till_name:str?""",
    "points": """redemption_key:str customer_key:str? id:Int64? redemption_id:str?
        program_id:Int64? points_redeemed:int64 transaction_number:str? bill_id:Int64?
        validation_code:str? redeemed_time:time? redeemed_at:str? redemption_purpose:str?
        notes:str? external_reference_number:str? store_code:str? store_name:str?
        till_code:str? till_name:str?""",
    "program_breakups": """redemption_key:str program_id:Int64? program_name:str?
        points_redeemed:int64""",
    "reversals": """reversal_id:int64 redemption_key:str points_reversed:int64
        reversal_time:time? reversed_on_till_id:Int64?""",
    "reversal_breakups": """reversal_id:int64 program_id:Int64? program_name:str?
        points_reversed:int64""",
    "source_breakups": """redemption_key:str position:int64 source_store_code:str?
        source_store_name:str? points_consumed:int64 awarding_date:time?""",
    "custom_fields": "redemption_key:str name:str redemption_type:str value:str?",
    "rejects": "source:str record:Int64? line:Int64? path:str? reason:str raw:str?",
    "files": """source:str size:Int64? digest:str? form:str? exported_at:time dated_by:str
        records:int64 status:str reason:str?""",
}
DTYPES = {
    "str": pd.StringDtype(na_value=np.nan),
    "int64": np.dtype("int64"),
    "Int64": pd.Int64Dtype(),
    "float64": np.dtype("float64"),
    "bool": np.dtype("bool"),
    "time": np.dtype("datetime64[us]"),
}
POINTS_COLUMNS = {"points_redeemed", "points_reversed", "points_consumed"}


def columns(table: str, points: str = "int") -> dict[str, Any]:
    pairs = [entry.strip("?").split(":") for entry in COLUMNS[table].split()]
    kinds = dict(pairs) | ({} if points == "int" else dict.fromkeys(POINTS_COLUMNS, "float64"))
    return {name: DTYPES[kinds[name]] for name, _ in pairs}


def load(payload: Any, **options: Any) -> ra.Redemptions:
    return ra.load(json.dumps(payload).encode(), exported_at="2026-01-01", **options)


def rows(r: ra.Redemptions) -> dict[str, list[dict[str, Any]]]:
    """The rows of all tables without nulls, times as text, built keys as "built 1", "built 2" …"""
    built = r.points.loc[r.points["redemption_id"].isna(), "redemption_key"]
    names = {key: f"built {number}" for number, key in enumerate(built, 1)}
    assert all(len(key) == 32 for key in names)
    return {
        name: [
            {
                column: str(value) if isinstance(value, datetime) else names.get(value, value)
                for column, value in row.items()
                if not pd.isna(value)
            }
            for row in frame.to_dict("records")
        ]
        for name, frame in r.tables.items()
        if len(frame) and name != "files"
    }


def answered(**also: Any) -> dict[str, Any]:
    status = {"record": 1, "success": True, "status_code": 200, "message": "Success"}
    return status | {"coupons_loaded": 0, "points_loaded": 0} | also


def place(store: str, name: str, till: str, till_name: str = "") -> dict[str, str]:
    return {
        "store_code": store,
        "store_name": name,
        "till_code": till,
        "till_name": till_name or till,
    }


ADA, GRACE, ALAN = "external_id:EXT-101", "external_id:EXT-202", "mobile:447009003033"
EDSGER, BARBARA = "mobile:447009004044", "external_id:EXT-505"
BATCH = ("user_id:564670755", "user_id:564670756", "mobile:447009006063")

OF_2018 = {
    "responses": [
        answered(
            customer_key=ADA,
            message="SUCCESS",
            rows=3,
            coupons_count=1,
            points_count=2,
            coupons_loaded=1,
            points_loaded=2,
        )
    ],
    "customers": [
        {
            "customer_key": ADA,
            "external_id": "EXT-101",
            "mobile": "44700900101",
            "email": "ada.byron@example.com",
            "firstname": "Ada",
            "lastname": "Byron",
        }
    ],
    "coupons": [
        {
            "redemption_key": "3",
            "customer_key": ADA,
            "id": 3,
            "code": "832-qkzzi7u2",
            "series_id": 832,
            "description": "Ten percent off",
            "discount_code": "TENOFF",
            "discount_type": "PERC",
            "transaction_number": "bill-1234",
            "redeemed_time": "2013-04-18 14:00:27",
            "redeemed_at": "Riverside  riverside.server",
        }
    ],
    "points": [
        {
            "redemption_key": f"built {number}",
            "customer_key": ADA,
            "id": id_,
            "points_redeemed": 200,
            "transaction_number": transaction,
            "redeemed_time": time,
            "redeemed_at": "Riverside  riverside.server",
        }
        for number, id_, transaction, time in (
            (1, 121614, "bill-83", "2011-03-17 16:03:31"),
            (2, 121615, "bill-121", "2011-03-17 16:05:22"),
        )
    ],
}
OF_2020 = {
    "responses": [
        answered(
            customer_key=GRACE,
            message="SUCCESS",
            rows=3,
            coupons_count=1,
            points_count=15,
            coupons_loaded=1,
            points_loaded=2,
        )
    ],
    "customers": [
        {
            "customer_key": GRACE,
            "external_id": "EXT-202",
            "mobile": "44700900202",
            "email": "grace.hopper@example.com",
            "firstname": "Grace",
            "lastname": "Hopper",
        }
    ],
    "coupons": [
        {
            "redemption_key": "4",
            "customer_key": GRACE,
            "id": 4,
            "code": "832-aa7b91c0",
            "series_id": 832,
            "description": "Flat fifty",
            "discount_code": "FLAT50",
            "discount_type": "FLAT",
            "transaction_number": "bill-2001",
            "redeemed_time": "2020-02-11 09:15:00",
            "redeemed_at": "harbour.till",
        }
    ],
    "points": [
        {
            "redemption_key": "built 1",
            "customer_key": GRACE,
            "id": 121655,
            "program_id": 469,
            "points_redeemed": 90,
            "transaction_number": "txn-6",
            "validation_code": "SI8381",
            "redeemed_time": "2020-03-31 00:00:00",
            "redeemed_at": "harbour.till",
            "notes": "redeemed 90 points",
            **place("harbour", "Harbour Mall", "harbour.till"),
        },
        {
            "redemption_key": "built 2",
            "customer_key": GRACE,
            "id": 121656,
            "program_id": 1234,
            "points_redeemed": 30,
            "transaction_number": "bill-122",
            "validation_code": "JZJ30D",
            "redeemed_time": "2019-03-17 16:05:22",
            "redeemed_at": "Riverside  riverside.server",
            "notes": "30 points against bill-84",
            **place("riverside", "Riverside", "riverside.server"),
        },
    ],
    "program_breakups": [
        {
            "redemption_key": "built 1",
            "program_id": program,
            "program_name": name,
            "points_redeemed": points,
        }
        for program, name, points in ((469, "House", 60), (1234, "Partner", 30))
    ],
    "reversals": [
        {
            "reversal_id": id_,
            "redemption_key": "built 1",
            "points_reversed": points,
            "reversal_time": time,
            "reversed_on_till_id": 75040399,
        }
        for id_, points, time in (
            (1434301, 20, "2020-04-02 18:02:34"),
            (1434377, 10, "2020-04-20 11:45:01"),
        )
    ],
    "reversal_breakups": [
        {
            "reversal_id": 1434301,
            "program_id": program,
            "program_name": name,
            "points_reversed": points,
        }
        for program, name, points in ((469, "House", 15), (1234, "Partner", 5))
    ],
}
EXPECTED: dict[str, dict[str, list[dict[str, Any]]]] = {
    "2018-all-strings.json": OF_2018,
    "2018-all-strings.xml": OF_2018,
    "2020-breakups.json": OF_2020,
    "2020-elements.xml": OF_2020,
    "2025-stores.json": {
        "responses": [
            answered(
                customer_key=ALAN,
                rows=4,
                coupons_count=2,
                points_count=3,
                coupons_loaded=2,
                points_loaded=2,
            )
        ],
        "customers": [
            {
                "customer_key": ALAN,
                "mobile": "447009003033",
                "email": "alan.turing@example.com",
                "firstname": "Alan",
                "lastname": "Turing",
            }
        ],
        "coupons": [
            {
                "redemption_key": str(id_),
                "customer_key": ALAN,
                "id": id_,
                "code": code,
                "series_id": 689078,
                "description": "Birthday voucher",
                "discount_code": "BDAY500",
                "discount_type": "ABS",
                "discount_value": 500.0,
                "transaction_number": "bill-110",
                "redeemed_time": time,
                "redeemed_at": "north.till1",
                **place("north", "North", "north.till1"),
            }
            for id_, code, time in (
                (16793490, "RT2EKTAF", "2025-02-24 13:01:40"),
                (16793484, "LU251KB3", "2025-02-24 13:01:13"),
            )
        ],
        "points": [
            {
                "redemption_key": "AfL2vt",
                "customer_key": ALAN,
                "redemption_id": "AfL2vt",
                "program_id": 973,
                "points_redeemed": 100,
                "redeemed_time": "2025-03-10 14:37:11",
                "redeemed_at": "south_till_9",
                "notes": "Redeemed to transfer points to a friend",
                **place("south", "South", "south_till_9"),
            },
            {
                "redemption_key": "cLrg2k",
                "customer_key": ALAN,
                "redemption_id": "cLrg2k",
                "program_id": 973,
                "points_redeemed": 250,
                "transaction_number": "bill-200",
                "bill_id": 88120045,
                "validation_code": "NS3U06",
                "redeemed_time": "2025-03-01 10:05:00",
                "redeemed_at": "north.till1",
                "redemption_purpose": "Purchase discount",
                "external_reference_number": "ACR-5801353178",
                **place("north", "North", "north.till1"),
            },
        ],
        "program_breakups": [
            {
                "redemption_key": "cLrg2k",
                "program_id": 973,
                "program_name": "DefaultProgram",
                "points_redeemed": 250,
            }
        ],
        "reversals": [
            {
                "reversal_id": 2000001,
                "redemption_key": "cLrg2k",
                "points_reversed": 250,
                "reversal_time": "2025-03-04 12:00:00",
                "reversed_on_till_id": 75040411,
            }
        ],
        "reversal_breakups": [
            {
                "reversal_id": 2000001,
                "program_id": 973,
                "program_name": "DefaultProgram",
                "points_reversed": 250,
            }
        ],
        "custom_fields": [
            {
                "redemption_key": "AfL2vt",
                "name": "point_transferred_to",
                "redemption_type": "points",
                "value": "447009003099",
            }
        ],
    },
    "2025-sources.json": {
        "responses": [answered(customer_key=EDSGER, rows=1, points_count=1, points_loaded=1)],
        "customers": [
            {
                "customer_key": EDSGER,
                "mobile": "447009004044",
                "email": "edsger@example.com",
                "firstname": "Edsger",
                "lastname": "Dijkstra",
            }
        ],
        "points": [
            {
                "redemption_key": "XyZ124",
                "customer_key": EDSGER,
                "redemption_id": "XyZ124",
                "program_id": 1886,
                "points_redeemed": 8,
                "transaction_number": "bill-123",
                "redeemed_time": "2025-12-10 15:30:00",
                "redeemed_at": "main.till",
                "redemption_purpose": "Purchase discount",
                "notes": "Redeemed at checkout",
                **place("main", "Main Store", "till_01", "Till 01"),
            }
        ],
        "program_breakups": [
            {
                "redemption_key": "XyZ124",
                "program_id": 1886,
                "program_name": "DefaultProgram",
                "points_redeemed": 8,
            }
        ],
        "source_breakups": [
            {
                "redemption_key": "XyZ124",
                "position": position,
                "source_store_code": "north",
                "source_store_name": "North",
                "points_consumed": points,
                "awarding_date": time,
            }
            for position, points, time in (
                (1, 6, "2025-10-18 21:58:10"),
                (2, 2, "2025-10-18 21:58:07"),
            )
        ],
    },
    "null-coupons.json": {
        "responses": [answered(customer_key=BARBARA, rows=1, points_count=1, points_loaded=1)],
        "customers": [
            {
                "customer_key": BARBARA,
                "external_id": "EXT-505",
                "mobile": "447009005055",
                "firstname": "Barbara",
                "lastname": "Liskov",
            }
        ],
        "points": [
            {
                "redemption_key": "EPGufB",
                "customer_key": BARBARA,
                "redemption_id": "EPGufB",
                "program_id": 973,
                "points_redeemed": 101,
                "transaction_number": "bill-5",
                "redeemed_time": "2025-07-25 12:19:54",
                "redeemed_at": "north.till1",
            }
        ],
    },
    "batch-customers.json": {
        "responses": [
            answered(
                customer_key=BATCH[0],
                status_code=1000,
                message="Fetched",
                rows=1,
                points_count=1,
                points_loaded=1,
            ),
            answered(
                customer_key=BATCH[1],
                status_code=1000,
                message="Fetched",
                rows=1,
                coupons_count=1,
                coupons_loaded=1,
            ),
            answered(
                customer_key=BATCH[2],
                success=False,
                status_code=816,
                message="Customer not found for organization",
            ),
        ],
        "customers": [
            {
                "customer_key": BATCH[0],
                "user_id": "564670755",
                "mobile": "447009006061",
                "email": "a@example.com",
            },
            {"customer_key": BATCH[1], "user_id": "564670756", "mobile": "447009006062"},
        ],
        "coupons": [
            {
                "redemption_key": "16800001",
                "customer_key": BATCH[1],
                "id": 16800001,
                "code": "EASTCPN1",
                "series_id": 690000,
                "discount_type": "FLAT",
                "discount_value": 50.5,
                "redeemed_time": "2025-08-02 10:00:00",
                "redeemed_at": "east.till1",
            }
        ],
        "points": [
            {
                "redemption_key": "bA0001",
                "customer_key": BATCH[0],
                "redemption_id": "bA0001",
                "program_id": 973,
                "points_redeemed": 40,
                "redeemed_time": "2025-08-01 09:00:00",
                "redeemed_at": "east.till1",
                **place("east", "East", "east.till1"),
            }
        ],
    },
    "failed.json": {
        "responses": [
            answered(
                success=False, status_code=500, message="All requests have failed due to errors"
            )
        ]
    },
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_gives_exactly_these_rows(name: str) -> None:
    source = str(SAMPLES / name)
    expected = deepcopy(EXPECTED[name])
    for position, row in enumerate(expected["responses"], 1):
        row["response_id"] = f"{source}#1/{position}"
        row |= {"source": source, "exported_at": "2026-01-01 00:00:00", "dated_by": "given"}
    assert rows(ra.load(source, exported_at="2026-01-01")) == expected


def test_every_sample_is_expected() -> None:
    samples = [path for form in ("json", "xml") for path in SAMPLES.glob(f"*.{form}")]
    assert {path.name for path in samples} == EXPECTED.keys()


def same_but_for_provenance(one: ra.Redemptions, other: ra.Redemptions) -> None:
    for name, frame in one.tables.items():
        if name == "files":
            continue
        dropped = PROVENANCE if name == "responses" else []
        assert_frame_equal(
            frame.drop(columns=dropped), other.tables[name].drop(columns=dropped), obj=name
        )


@pytest.mark.parametrize(
    ("json_file", "xml_file"),
    [
        ("2018-all-strings.json", "2018-all-strings.xml"),
        ("2020-breakups.json", "2020-elements.xml"),
    ],
)
def test_json_and_xml_give_equal_tables(json_file: str, xml_file: str) -> None:
    same_but_for_provenance(ra.load(SAMPLES / json_file), ra.load(SAMPLES / xml_file))


@pytest.mark.parametrize("edition", get_args(Edition))
def test_every_style_of_writing_gives_equal_tables(edition: Edition, tmp_path: Path) -> None:
    answers = list(Organisation(30).answers(edition, as_of=datetime(2026, 11, 20), batch=4))
    first, *others = (
        ra.load(write_export(tmp_path / style, iter(answers), style=style))
        for style in get_args(Style)
    )
    assert len(first.points) > 50
    for other in [*others, ra.load(answers)]:
        same_but_for_provenance(first, other)


@pytest.mark.parametrize("points", ["int", "decimal"])
def test_columns_and_types_are_the_same_for_full_and_empty_tables(points: str) -> None:
    samples = [*(SAMPLES / name for name in EXPECTED), SAMPLES / "broken"]
    full = ra.load(samples, points=points)
    refused = ra.load(b'{"message": "Timeout"}\n["refused"]', points=points)
    given = ra.Redemptions()
    assert list(full.tables) == list(refused.tables) == list(given.tables) == list(COLUMNS)
    assert all(len(frame) for frame in full.tables.values())
    assert {name for name, frame in refused.tables.items() if len(frame)} == {"rejects", "files"}
    for name in COLUMNS:
        for r in (full, refused) if points == "decimal" else (full, refused, given):
            dtypes = r.tables[name].dtypes.to_dict()
            assert list(dtypes.items()) == list(columns(name, points).items()), name


def test_the_schemas_declare_these_columns() -> None:
    assert list(ra.schemas.MODELS) == list(COLUMNS)
    for name, model in ra.schemas.MODELS.items():
        camel = "".join(part.title() for part in name.split("_"))
        assert getattr(ra.schemas, camel) is model
        declared = model.to_schema().columns
        assert list(declared) == list(columns(name))
        nullable = {entry.split(":")[0] for entry in COLUMNS[name].split() if entry.endswith("?")}
        assert {column for column, of in declared.items() if of.nullable} == nullable


def whole() -> dict[str, Any]:
    """An answer in which every list holds one object."""
    field = {"field": [{"name": "channel", "value": "app"}]}
    shop = {"code": "north", "name": "North"}
    share = {"program_id": 1, "points_redeemed": 5, "program_name": "House"}
    back = {"program_id": 1, "points_reversed": 2, "program_name": "House"}
    point = {
        "redemption_id": "AfL2vt",
        "points_redeemed": 5,
        "redeemed_store": shop,
        "redeemed_till": shop,
        "custom_fields": field,
        "redemption_breakup_by_program": [share],
        "redemption_breakup_by_source": [{"source_store": shop, "points_consumed": 5}],
        "reversals": [
            {"reversal_id": 9, "points_reversed": 2, "reversal_breakup_by_program": [back]}
        ],
    }
    coupon = {"id": 3, "redeemed_store": shop, "redeemed_till": shop, "custom_fields": field}
    redemptions = {"coupons": {"coupon": [coupon]}, "points": {"point": [point]}}
    customer = {"mobile": "447", "redemptions": redemptions, "item_status": {"success": True}}
    return {"response": {"status": {"success": True}, "customer": [customer]}}


Path_ = tuple[str | int, ...]


def objects(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Paths of everything in an answer that is an object or a list."""
    if isinstance(value, (dict, list)):
        yield path
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from objects(item, (*path, key))


def put(payload: Any, path: Path_, value: Any) -> None:
    for step in path[:-1]:
        payload = payload[step]
    if value is ...:
        del payload[path[-1]]
    else:
        payload[path[-1]] = value


def got(payload: Any, path: Path_) -> Any:
    for step in path:
        payload = payload[step]
    return payload


LISTS = [path for path in objects(whole()) if isinstance(got(whole(), path), list)]
BRANCHES = [path for path in objects(whole()) if len(path) > 1]


def named(path: Path_) -> str:
    return ".".join(map(str, path[1:]))


def test_the_lists_are_all_there() -> None:
    assert {path[-1] for path in LISTS} == {
        "customer",
        "coupon",
        "point",
        "field",
        "reversals",
        "redemption_breakup_by_program",
        "redemption_breakup_by_source",
        "reversal_breakup_by_program",
    }


@pytest.mark.parametrize("path", LISTS, ids=named)
def test_a_bare_object_stands_for_a_list_of_one(path: Path_) -> None:
    payload = whole()
    put(payload, path, got(payload, path)[0])
    same_but_for_provenance(load(payload), load(whole()))


@pytest.mark.parametrize("path", BRANCHES, ids=named)
def test_nothing_is_written_in_many_ways(path: Path_) -> None:
    nothings = [None, "", " ", [], {}, [None], [[], {}, ""]]
    if not isinstance(path[-1], int):
        nothings.append(...)
    found = []
    for nothing in nothings:
        payload = whole()
        # Something else has to tell that this is an answer.
        payload["response"] |= {"status": {"success": True}}
        put(payload, path, nothing)
        parsed = Parser(Flattening()).parse(Block("json", json.dumps(payload).encode()))
        assert not parsed.read.rejects
        found.append({n: t.to_pydict() for n, t in parsed.tables.items()})
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize("none", ["0", "-1", 0, -1, "", None])
def test_no_bill_is_null(none: Any) -> None:
    payload = whole()
    customer = payload["response"]["customer"][0]["redemptions"]
    customer["points"]["point"][0]["bill_id"] = none
    customer["coupons"]["coupon"][0]["bill_id"] = none
    r = load(payload)
    assert r.points["bill_id"].isna().all()
    assert r.coupons["bill_id"].isna().all()


@pytest.mark.parametrize("none", ["0000-00-00 00:00:00", "0000-00-00", "", "  ", None])
def test_no_time_is_null(none: Any) -> None:
    payload = whole()
    customer = payload["response"]["customer"][0]["redemptions"]
    (coupon,), (point,) = customer["coupons"]["coupon"], customer["points"]["point"]
    coupon["redeemed_time"] = point["redeemed_time"] = none
    point["reversals"][0]["reversal_time"] = none
    point["redemption_breakup_by_source"][0]["awarding_date"] = none
    r = load(payload)
    assert r.rejects.empty
    assert r.points["redeemed_time"].isna().all()
    assert r.coupons["redeemed_time"].isna().all()
    assert r.reversals["reversal_time"].isna().all()
    assert r.source_breakups["awarding_date"].isna().all()


def test_customers_may_be_wrapped_once_more() -> None:
    batch = json.loads((SAMPLES / "batch-customers.json").read_text())
    several = batch["response"].pop("customer")
    plain = load({"response": batch["response"] | {"customer": several}})
    for wrapped in (
        {"customers": {"customer": several}},
        {"customers": several},
        {"customers": {"customer": several}, "customer": []},
        {"customers": {"customer": several[1:]}, "customer": several[0]},
        {"customers": None, "customer": several},
    ):
        same_but_for_provenance(load({"response": batch["response"] | wrapped}), plain)


@pytest.mark.parametrize("success", [False, "false", "False", " false ", 0, "0"])
def test_a_failed_answer_is_a_row_and_no_reject(success: Any) -> None:
    status = {"success": success, "code": "500", "message": "no"}
    r = load({"response": {"status": status}})
    assert r.rejects.empty
    assert r.customers.empty
    expected = answered(success=False, status_code=500, message="no")
    assert {**rows(r)["responses"][0], **expected} == rows(r)["responses"][0]


def test_an_item_of_a_batch_has_a_status_of_its_own() -> None:
    failed = {"mobile": "2", "item_status": {"success": "false", "code": 816, "message": "gone"}}
    several = [{"mobile": "1"}, failed]
    status = {"success": "true", "code": 200, "message": "fine"}
    responses = load({"response": {"status": status, "customer": several}}).responses
    assert responses["success"].tolist() == [True, False]
    assert responses["status_code"].tolist() == [200, 816]
    assert responses["message"].tolist() == ["fine", "gone"]
