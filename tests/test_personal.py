"""Personal data: under a pseudonym, or gone, from every table."""

from __future__ import annotations

import hashlib
import hmac
import json
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import redemption_analytics as ra

VARIABLE = "REDEMPTION_ANALYTICS_PII_KEY"
KEY = "a key of more than sixteen bytes: ключ"
SECRETS = ["447700900123", "ada@example.com", "EXT-SECRET", "Ada-First", "Byron-Last"]
SECRETS += ["a private note", "a private value", "unheard-of-secret", "447700900999", "bad-secret"]


def answers() -> list[Any]:
    mobile, email, external, first, last, note, value, unknown, other, bad = SECRETS
    custom = {"field": [{"name": "transferred_to", "value": value}]}
    base = {
        "points_redeemed": 5,
        "redeemed_time": "2020-01-01 00:00:00",
        "transaction_number": "t",
        "notes": note,
        "custom_fields": custom,
    }
    wrong = [
        base | {"redemption_id": "x", "points_redeemed": bad},
        base | {"redemption_id": "y", "redeemed_time": bad},
        base | {"redemption_id": "z", "redeemed_store": [bad]},
    ]
    points = [base | {"redemption_id": "a"}, base | {"id": 7, "points_redeemed": 6}, *wrong]
    customer = {
        "mobile": mobile,
        "email": email,
        "external_id": external,
        "firstname": first,
        "lastname": last,
        "tier": unknown,
        "redemptions": {
            "points": {"point": points},
            "coupons": {"coupon": [{"id": 1, "custom_fields": custom}]},
        },
    }
    status = {"success": True}
    return [
        {"response": {"status": status, "customer": customer}},
        {"response": {"status": status, "customer": {"mobile": other}}},
        {"response": {"status": status, "customer": {"email": None}}},
    ]


def data(*more: bytes) -> bytes:
    return b"\n".join([*(json.dumps(one).encode() for one in answers()), *more])


def texts(r: ra.Redemptions) -> str:
    frames = [*r.tables.values(), r.ledger, r.findings, ra.audit(r)]
    found = [str(cell) for frame in frames for name in frame for cell in frame[name]]
    return "\n".join(found) + repr(r) + r._repr_html_()


def pseudonym(customer_key: str, key: str = KEY) -> str:
    """HMAC-SHA-256 by its definition (RFC 2104)."""
    secret = key.encode()
    secret = (hashlib.sha256(secret).digest() if len(secret) > 64 else secret).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in secret) + customer_key.encode()).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in secret) + inner).hexdigest()


def test_the_definition_is_that_of_rfc_4231() -> None:
    known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert pseudonym("what do ya want for nothing?", "Jefe") == known
    assert hmac.digest(b"Jefe", b"what do ya want for nothing?", "sha256").hex() == known


@pytest.mark.parametrize("key", [KEY, "k" * 16, "k" * 200])
def test_pseudonyms_are_keyed_hashes(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv(VARIABLE, key)
    r = ra.load(data(), pii="pseudonymize")
    first, second = (
        pseudonym(f"{name}:{value}", key)
        for name, value in (("external_id", "EXT-SECRET"), ("mobile", "447700900999"))
    )
    assert r.customers["customer_key"].tolist() == [first, second]
    assert r.responses["customer_key"].tolist()[:2] == [first, second]
    assert pd.isna(r.responses["customer_key"][2])
    assert set(r.points["customer_key"]) == set(r.coupons["customer_key"]) == {first}


@pytest.mark.parametrize("key", [None, "", "fifteen bytes!!"])
def test_a_missing_or_short_key_is_an_error(
    monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if key is not None:
        monkeypatch.setenv(VARIABLE, key)
    with pytest.raises(ra.UsageError, match=f'needs a key of 16 bytes .*{VARIABLE}.*pii="drop"'):
        ra.load(data(), pii="pseudonymize")
    ra.load(data(), pii="drop")
    with pytest.raises(ra.UsageError, match="pii is"):
        ra.load(data(), pii="hide")  # type: ignore[arg-type]


def test_a_key_may_be_any_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "k" * 15 + "\udcff")
    (name, _) = ra.load(data(), pii="pseudonymize").customers["customer_key"]
    expected = hmac.digest(b"k" * 15 + b"\xff", b"external_id:EXT-SECRET", "sha256").hex()
    assert name == expected


def test_joins_across_exports_still_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    one, other = (ra.load(data(), pii="pseudonymize") for _ in range(2))
    joined = one.points.merge(other.points, on=["customer_key", "redemption_key"])
    assert len(joined) == len(one.points) == 2


def test_dropped_ones_can_be_joined_within_a_load_only() -> None:
    one, other = (ra.load(data(), pii="drop").validate() for _ in range(2))
    assert set(one.points["customer_key"]) <= set(one.customers["customer_key"])
    assert not set(one.customers["customer_key"]) & set(other.customers["customer_key"])
    assert one.points["redemption_key"][1] != other.points["redemption_key"][1]


@pytest.mark.parametrize(("pii", "form"), [("pseudonymize", "json"), ("drop", "payloads")])
def test_nothing_personal_is_left_anywhere(
    monkeypatch: pytest.MonkeyPatch, pii: Any, form: str
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    # A record that breaks off, one that is no answer, and values that do not fit.
    broken = [b'{"response": {"customer": {"mobile": "447700900123", "email', b'["bad-secret"]']
    source = data(*broken) if form == "json" else [*answers(), {"message": "bad-secret"}]
    plain, r = ra.load(source), ra.load(source, pii=pii)
    there = texts(plain)
    assert all(secret in there for secret in SECRETS if secret != "unheard-of-secret")
    left = texts(r)
    assert [secret for secret in SECRETS if secret in left] == []
    assert [part for part in ("447700", "example.com", "SECRET") if part in left] == []

    assert set(r.customers.columns[r.customers.notna().any()]) == {"customer_key"}
    assert r.points["notes"].isna().all()
    assert r.custom_fields["value"].isna().all()
    assert r.custom_fields["name"].tolist() == plain.custom_fields["name"].tolist()
    assert r.rejects["raw"].isna().all()
    # Where and why something was refused can still be seen, without the value.
    assert r.rejects["path"].tolist() == plain.rejects["path"].tolist()
    assert r.rejects["reason"].tolist()[:3] == [
        "the value is no number",
        "the value is no time of the form YYYY-MM-DD HH:MM:SS",
        "the value is no object",
    ]
    # All else is the same.
    numbers = ["points_redeemed", "program_id", "redeemed_time", "transaction_number"]
    pd.testing.assert_frame_equal(r.points[numbers], plain.points[numbers])
    pd.testing.assert_frame_equal(r.ledger, plain.ledger)
    assert r.customers.shape == plain.customers.shape


def test_errors_do_not_tell_values_either() -> None:
    with pytest.raises(ra.RejectedError) as raised:
        ra.load(data(), pii="drop", on_error="raise")
    assert "bad-secret" not in str(raised.value)
    assert "the value is no number" in str(raised.value)


def test_built_keys_do_not_derive_from_plain_identities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else who knows the mobile numbers could try them all."""

    def built(key: str) -> str:
        monkeypatch.setenv(VARIABLE, key)
        points = ra.load(data(), pii="pseudonymize").points
        (name,) = points.loc[points["redemption_id"].isna(), "redemption_key"]
        return str(name)

    assert built(KEY) == built(KEY)
    assert built(KEY) != built("another key of sixteen bytes")
    # What a plain load gives, anyone can compute.
    plain = ra.load(data()).points["redemption_key"]
    assert built(KEY) not in set(plain)


def test_pseudonyms_unite_what_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Merging gives the same rows with pseudonyms as without."""
    monkeypatch.setenv(VARIABLE, KEY)
    old, new = answers()[:1], answers()[:1]
    del old[0]["response"]["customer"]["redemptions"]["points"]["point"][0]["redemption_id"]
    old[0]["response"]["customer"]["redemptions"]["points"]["point"][0]["id"] = 8
    for name, payload in (("2020-01-01.json", old), ("2025-01-01.json", new)):
        (tmp_path / name).write_text(json.dumps(payload[0]))
    plain, r = ra.load(tmp_path), ra.load(tmp_path, pii="pseudonymize")
    assert r.points["redemption_id"].tolist()[-2:] == plain.points["redemption_id"].tolist()[-2:]
    pd.testing.assert_frame_equal(r.ledger, plain.ledger)


@pytest.mark.parametrize("pii", ["pseudonymize", "drop"])
def test_values_of_custom_fields_that_are_named_stay(
    monkeypatch: pytest.MonkeyPatch, pii: Any
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    payloads = answers()
    fields = {"field": [{"name": "shift", "value": "late"}, {"name": "card", "value": "9123"}]}
    points = payloads[0]["response"]["customer"]["redemptions"]["points"]["point"]
    points[0]["custom_fields"] = fields
    kept = ra.load(payloads, pii=pii, keep_custom_fields=["shift"])
    values = kept.custom_fields.set_index("name")["value"]
    assert values["shift"] == "late"
    assert pd.isna(values["card"])
    with pytest.raises(ra.UsageError, match=r"is a list of names, such as \['shift'\]"):
        ra.load(payloads, pii=pii, keep_custom_fields="shift")


def test_files_are_called_by_keyed_hashes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file may be named after a customer; who has the key can still tell which it is."""
    monkeypatch.setenv(VARIABLE, KEY)
    path = tmp_path / "447700900123.jsonl"
    path.write_bytes(data())
    r = ra.load(path, pii="pseudonymize")
    name = f"source-{pseudonym(f'source:{path}')[:16]}"
    assert set(r.responses["source"]) == {name}
    assert set(r.rejects["source"]) == {name}
    assert r.responses["response_id"][0] == f"{name}#1/1"
    assert set(ra.load(path, pii="drop").responses["source"]) != {name}


def test_members_of_an_archive_are_called_by_its_hash_and_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    path = tmp_path / "447700900123.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("447700900124.json", data())
    (name,) = ra.load(path, pii="pseudonymize").files["source"]
    own = f"{path}/447700900124.json"
    hashes = [pseudonym(f"source:{each}")[:16] for each in (path, own)]
    assert name == f"source-{hashes[0]}/{hashes[1]}"
