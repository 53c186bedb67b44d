"""How the audit names answers, explained where it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: How an example names an answer, and what that means: it is a response_id.
_ANSWER = re.compile(r"#\d+/\d+\b")
_NOTATION = "FILE#456/1 is the 456th answer in FILE, its 1st customer"


def notation(examples: Iterable[str]) -> str:
    """Explain how examples name answers, if any does.

    >>> notation(["reversal 7", "2026.jsonl#456/1: 3 said, 1 here"])
    'FILE#456/1 is the 456th answer in FILE, its 1st customer'
    >>> notation(["reversal 7"])
    ''
    """
    return _NOTATION if any(map(_ANSWER.search, examples)) else ""
