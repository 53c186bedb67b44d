"""Personal data: pseudonyms in place of customer keys, and of the names of files."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable

import pyarrow as pa

from redemption_analytics.errors import UsageError
from redemption_analytics.options import Pii

#: The environment variable that holds the key of the pseudonyms.
KEY_VARIABLE = "REDEMPTION_ANALYTICS_PII_KEY"
_SHORTEST_KEY = 16

#: Replaces texts by what tells nothing of them.
Pseudonym = Callable[[pa.Array], pa.Array]


def pseudonym(pii: Pii) -> Pseudonym | None:
    """Return what replaces customer keys, or None where they stay.

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
    else:
        key = os.fsencode(os.environ.get(KEY_VARIABLE, ""))
        if len(key) < _SHORTEST_KEY:
            raise UsageError(
                f'pii="pseudonymize" needs a key of {_SHORTEST_KEY} bytes or more in the'
                f" environment variable {KEY_VARIABLE}"
                + (f", and {len(key)} are there" if key else ", which is not set")
                + '; pii="drop" needs none'
            )

    def replace(customer_keys: pa.Array) -> pa.Array:
        encoded = customer_keys.dictionary_encode()
        names = [
            hmac.digest(key, name.encode(), hashlib.sha256).hex()
            for name in encoded.dictionary.to_pylist()
        ]
        return pa.array(names, pa.string()).take(encoded.indices)

    return replace


def fingerprint(hidden: Pseudonym) -> str:
    """Return what tells whether two replace alike, and nothing of the key."""
    told: str = hidden(pa.array(["fingerprint:"], pa.string()))[0].as_py()
    return told
