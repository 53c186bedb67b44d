"""Text from the data as people are shown it: what cannot be seen stands there as an escape.

Names of stores, programs and files may hold anything. A control character makes a chart's picture
invalid, steers a terminal, or turns a line around; so whatever is shown goes through here, in
charts, pages, tables of the command line and summaries. What is stored stays as it came.
"""

from __future__ import annotations

import unicodedata

#: Control, format and surrogate characters, and separators of lines and of paragraphs.
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}

#: Characters that join their neighbours, which some scripts and emoji need.
_JOINERS = "\u200c\u200d"

#: How many characters of a text are shown where there is little room.
MOST = 60


def visible(text: str) -> str:
    r"""Return a text with escapes in place of what cannot be seen.

    These are control characters (also the escape that terminals obey, and line breaks), marks of
    direction and of no width, U+2028 and U+2029, halves of surrogate pairs, and noncharacters.
    Letters of all scripts and emoji stay, with the joiners that they need.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    str
        The text as it may be shown anywhere; showing it again changes nothing.

    Examples
    --------
    >>> print(visible("Gold\u2028\u202e\x1b[31m"), visible("Zürich 🎁"))
    Gold\u2028\u202e\x1b[31m Zürich 🎁
    """
    if text.isprintable():
        return text
    shown = []
    for place, character in enumerate(text):
        plain = _is_seen(character) or (character in _JOINERS and _joins(text, place))
        shown.append(character if plain else _escape(character))
    return "".join(shown)


def shortened(text: str, most: int = MOST) -> str:
    r"""Return a text as :func:`visible` does, the middle of a long one left out.

    Examples
    --------
    >>> shortened("north"), shortened("till-0123456789\n", 11)
    ('north', 'till-…789\\n')
    """
    shown = visible(text)
    if len(shown) <= most:
        return shown
    end = (most - 1) // 2
    return f"{shown[: most - 1 - end]}…{shown[-end:]}"


def encodable(text: str) -> str:
    r"""Return a text with escapes in place of halves of surrogate pairs, which no file can hold.

    Examples
    --------
    >>> print(encodable("shop \ud800\n"), end="")
    shop \ud800
    """
    return text.encode(errors="backslashreplace").decode()


def _is_seen(character: str) -> bool:
    code = ord(character)
    is_none = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF  # Unicode's noncharacters
    return not is_none and unicodedata.category(character) not in _UNSEEN


def _joins(text: str, place: int) -> bool:
    """Check whether a joiner stands between two characters of a script beyond the Latin ones."""
    around = text[place - 1 : place] + text[place + 1 : place + 2]
    return len(around) == 2 and all(ord(c) > 0x2FF and _is_seen(c) for c in around)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
