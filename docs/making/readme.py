"""The README as the package index shows it: without pictures and links that lead nowhere there.

Both are relative, for the repository. Where that is published is not known here, so that nothing
can be put in their place: of a link its text stays.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"^(?:<img [^>]*>|!\[[^\]]*\]\([^)]*\))\n\n", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\((?!https?://)[^)]*\)")


def for_the_index(text: str) -> str:
    """Take pictures and links to files of the repository out of the README."""
    return _LINK.sub(r"\1", _PICTURE.sub("", text))


class Readme(MetadataHookInterface):
    """Puts it into the metadata of the package."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the text, as hatchling asks for it."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": for_the_index(text)}
