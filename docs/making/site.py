"""What the site needs beside its pages: the pictures of the notebooks, and no links that leave it.

Pages are read in the repository too, so they link to what is beside ``docs/``. Of that the site has
the pictures; of a link to anything else only its text stays.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import join, normpath, relpath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
PICTURES = "notebooks/pictures"

_LINK = re.compile(r"(?P<picture>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Put the pictures of the notebooks beside the pages."""
    for picture in sorted((ROOT / PICTURES).iterdir()):
        files.append(File.generated(config, f"pictures/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links out of ``docs/`` to where the site has what they mean."""
    folder = join("docs", page.file.src_uri, "..")

    def led(link: re.Match[str]) -> str:
        target = link["target"]
        path = normpath(join(folder, target.partition("#")[0]))
        if "://" in target or target.startswith("#") or path.startswith("docs/"):
            return link[0]
        if path.startswith(f"{PICTURES}/"):
            there = relpath(path.removeprefix("notebooks/"), join(page.file.src_uri, ".."))
            return f"{link['picture']}[{link['text']}]({there})"
        return link["text"]

    return _LINK.sub(led, markdown)
