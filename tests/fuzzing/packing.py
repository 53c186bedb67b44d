"""Writing answers as bytes, in every way in which exports hold them."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hypothesis import strategies as st


class Raw(str):
    """A value as JSON has it written, which may be no valid JSON."""

    __slots__ = ()


class Twice:
    """Two values under one key."""

    def __init__(self, first: Any, second: Any):
        self.both = (first, second)

    def __repr__(self) -> str:
        return f"Twice{self.both}"


def pairs(item: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give each key of an object with each of its values."""
    for key, value in item.items():
        for one in value.both if isinstance(value, Twice) else (value,):
            yield key, one


def written(value: Any, *, indent: str = "", plain: bool = False, gap: str = "\n") -> str:
    """Write a value as JSON.

    Parameters
    ----------
    value
        What is written.
    indent
        How deep a level is indented; empty to write one line.
    plain
        Whether what is not ASCII stands as it is.
    gap
        What ends a line.
    """
    if isinstance(value, Raw):
        return str(value)
    inner, end = (gap + indent, gap) if indent else ("", "")
    options: dict[str, Any] = {"indent": indent, "plain": plain, "gap": inner or gap}
    between = f",{inner or ' '}"
    if isinstance(value, dict):
        parts = [
            f"{json.dumps(key, ensure_ascii=not plain)}: {written(one, **options)}"
            for key, one in pairs(value)
        ]
        return f"{{{inner}{between.join(parts)}{end}}}" if parts else "{}"
    if isinstance(value, list):
        parts = [written(one, **options) for one in value]
        return f"[{inner}{between.join(parts)}{end}]" if parts else "[]"
    return json.dumps(value, ensure_ascii=not plain)


def as_xml(value: Any, tag: str, *, elements: bool) -> str:
    """Write a value as an XML element; lists as repeated tags, or as ``<element>`` each."""
    if isinstance(value, Twice):
        return "".join(as_xml(one, tag, elements=elements) for one in value.both)
    if isinstance(value, list) and not elements:
        return "".join(as_xml(one, tag, elements=elements) for one in value)
    tag = tag if re.fullmatch(r"[A-Za-z_]\w*", tag, re.ASCII) else "strange"
    if isinstance(value, dict):
        inner = "".join(as_xml(one, key, elements=elements) for key, one in pairs(value))
    elif isinstance(value, list):
        inner = "".join(as_xml(one, "element", elements=elements) for one in value)
    else:
        text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
        inner = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<{tag}>{inner}</{tag}>" if inner else f"<{tag}/>"


def _xml(records: Sequence[Any], *, elements: bool) -> list[str]:
    return [
        as_xml(record["response"], "response", elements=elements)
        if isinstance(record, dict) and "response" in record
        else as_xml(record, "strange", elements=elements)
        for record in records
    ]


def _json(records: Sequence[Any], **options: Any) -> list[str]:
    return [written(record, **options) for record in records]


#: Each way to write records as the text of a file.
FORMS: dict[str, Callable[[Sequence[Any]], str]] = {
    "lines": lambda records: "\n".join(_json(records)) + "\n",
    "plain lines": lambda records: "\n".join(_json(records, plain=True)),
    "lines of Windows": lambda records: "\r\n".join(_json(records)) + "\r\n\r\n",
    "concatenated": lambda records: "".join(_json(records)),
    "indented": lambda records: "\n".join(_json(records, indent="  ")) + "\n",
    "array": lambda records: f"[{', '.join(_json(records))}]",
    "array of lines": lambda records: "[\n{}\n]\n".format(",\n".join(_json(records))),
    "indented array": lambda records: written(list(records), indent="\t", plain=True),
    "XML of 2018": lambda records: "\n".join(_xml(records, elements=False)),
    "XML of 2020": lambda records: (
        '<?xml version="1.0" encoding="UTF-8"?>\n<root>\n{}\n</root>\n'.format(
            "\n".join(_xml(records, elements=True))
        )
    ),
}

#: Each way to encode a file's text.
ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "UTF-8": lambda text: text.encode(errors="surrogatepass"),
    "UTF-8 with a BOM": lambda text: b"\xef\xbb\xbf" + text.encode(errors="surrogatepass"),
    "UTF-16": lambda text: text.encode("utf-16", errors="surrogatepass"),
    "gzip": lambda text: gzip.compress(text.encode(errors="surrogatepass"), 1, mtime=0),
}

_ENCODINGS = st.sampled_from([*["UTF-8"] * 12, *ENCODINGS])


def files(records: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[bytes]:
    """Files of a few records."""
    return st.builds(
        lambda several, form, encoding: ENCODINGS[encoding](FORMS[form](several)),
        st.lists(records, min_size=1, max_size=most),
        st.sampled_from(list(FORMS)),
        _ENCODINGS,
    )
