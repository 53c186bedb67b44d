"""Personal data: pseudonyms in place of customer keys, and of the names of files."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import replace

import pyarrow as pa

from redemption_analytics.errors import UsageError
from redemption_analytics.flatten import Pseudonym
from redemption_analytics.options import Pii
from redemption_analytics.sources.export import Export

#: The environment variable that holds the key of the pseudonyms.
KEY_VARIABLE = "REDEMPTION_ANALYTICS_PII_KEY"
_SHORTEST_KEY = 16
_NAME_DIGITS = 16


def pseudonym(pii: Pii) -> Pseudonym | None:
    """Give what replaces customer keys, or None where they stay.

    A pseudonym is the HMAC-SHA-256 (RFC 2104) of a customer key. Under ``"pseudonymize"`` its key
    comes from the environment, so that equal customers have equal pseudonyms in every export; under
    ``"drop"`` it is random and thrown away.

    Raises
    ------
    UsageError
        If the environment variable is not set, or its key is too short to keep a secret.
    """
    if pii == "keep":
        return None
    if pii == "drop":
        key = secrets.token_bytes(32)
    elif pii == "pseudonymize":
        key = os.fsencode(os.environ.get(KEY_VARIABLE, ""))
        if len(key) < _SHORTEST_KEY:
            raise UsageError(
                f'pii="pseudonymize" needs a key of {_SHORTEST_KEY} bytes or more in the'
                f" environment variable {KEY_VARIABLE}"
                + (f", and {len(key)} are there" if key else ", which is not set")
                + '; pii="drop" needs none'
            )
    else:
        raise UsageError(f'pii is "keep", "pseudonymize" or "drop", not {pii!r}')

    def replace(customer_keys: pa.Array) -> pa.Array:
        encoded = customer_keys.dictionary_encode()
        names = [
            hmac.digest(key, name.encode(), hashlib.sha256).hex()
            for name in encoded.dictionary.to_pylist()
        ]
        return pa.array(names, pa.string()).take(encoded.indices)

    return replace


def renamed(exports: list[Export], pseudonym: Pseudonym) -> list[Export]:
    """Give exports names that tell nothing: a file may be called after a customer.

    The first 16 digits of the HMAC of ``source:`` and the name stand for it, so that who has the
    key can tell which file is meant.
    """
    names = [export.name for export in exports]
    found = pseudonym(pa.array([f"source:{name}" for name in names], pa.string())).to_pylist()
    new = {
        name: f"source-{digits[:_NAME_DIGITS]}" for name, digits in zip(names, found, strict=True)
    }
    return [
        replace(export, name=new[export.name], twin=export.twin and new[export.twin])
        for export in exports
    ]
