"""How a report presents itself: its title, whose it is, its style, and its locale."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from redemption_analytics.errors import UsageError, refused
from redemption_analytics.numerals import locale_of

if TYPE_CHECKING:
    from babel import Locale

TITLE = "Redemptions"

#: The most that a stylesheet may be, in bytes: the page has all of it.
_MOST = 1_000_000


@dataclass(frozen=True)
class Appearance:
    """How a report presents itself.

    Attributes
    ----------
    title
        What it is called.
    organisation
        Whose it is; empty if that is not said.
    style
        What stands behind the page's own style; empty for nothing.
    locale
        That of numbers and dates; None for none.
    described
        What was given of all this, for the manifest.
    """

    title: str
    organisation: str
    style: str
    locale: Locale | None
    described: dict[str, str]

    @classmethod
    def of(
        cls,
        title: str | None = None,
        organisation: str | None = None,
        stylesheet: str | os.PathLike[str] | None = None,
        locale: str | None = None,
    ) -> Appearance:
        """Read what a caller gave.

        Raises
        ------
        UsageError
            If a text is none or empty, the locale is not known, or the stylesheet cannot be read,
            is too large, or would end the page's style.
        """
        described = {}
        for name, text in (("title", title), ("organisation", organisation)):
            if text is not None:
                if not isinstance(text, str) or not text.strip():
                    raise refused(name, "a text that is not empty", text)
                described[name] = text.strip()
        style = b""
        if stylesheet is not None:
            style = _read(stylesheet)
            described["stylesheet"] = hashlib.sha256(style).hexdigest()
        known = locale_of(locale)
        if known is not None:
            described["locale"] = str(known)
        return cls(
            described.get("title", TITLE),
            described.get("organisation", ""),
            style.decode("utf-8-sig"),
            known,
            described,
        )

    @property
    def heading(self) -> str:
        """The title, and before it whose it is.

        >>> Appearance.of("Points", "North Ltd").heading, Appearance.of().heading
        ('North Ltd: Points', 'Redemptions')
        """
        return f"{self.organisation}: {self.title}" if self.organisation else self.title


def _read(stylesheet: str | os.PathLike[str]) -> bytes:
    if not isinstance(stylesheet, str | os.PathLike) or not os.fspath(stylesheet):
        raise refused("stylesheet", "the path of a CSS file, a text or a path object", stylesheet)
    path = Path(os.fsdecode(stylesheet))

    def wrong(what: str) -> UsageError:
        return UsageError(f"stylesheet {str(path)!r} {what}")

    try:
        with path.open("rb") as file:
            style = file.read(_MOST + 1)
        text = style.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise wrong("is not UTF-8: save it as UTF-8") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise wrong(f"cannot be read ({reason}): give the path of a CSS file") from None
    if len(style) > _MOST:
        raise wrong("is larger than 1 MB, and the page would have all of it: make it smaller")
    if "</style" in text.casefold():
        raise wrong("contains </style, which would end the page's style: take it out")
    return style
