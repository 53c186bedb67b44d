"""Notebooks: what is committed is what a run from top to bottom gives, on any machine.

nbmake runs them (``python -m pytest --nbmake notebooks`` does so alone), here on a copy of the
project's samples, and what they show is held against what is committed. After a change,

    python tests/project/test_notebooks.py

runs them where they are, and writes them down without what differs from run to run.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from redemption_analytics.metrics.expected import ADVICE

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PICTURES = {"01-quickstart": 3, "02-reversals": 8, "03-pipeline": 1, "04-finance": 1}
CELLS = {"01-quickstart": 10}

#: Where a machine keeps its files: none of that is of use to a reader.
MACHINE = re.compile(r"(?:/home/|/root/|/Users/|/tmp/|/var/folders/|[A-Z]:\\|0x[0-9a-f]{6,})")
#: What is shown as text; pictures differ with the fonts of a machine.
TEXTS = ("text/plain", "text/markdown")
WIDGET = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

of_each = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


def read(notebook: Path) -> Any:
    return nbformat.read(notebook, 4)


def codes(notebook: Path) -> list[Any]:
    return [cell for cell in read(notebook).cells if cell.cell_type == "code"]


def texts(notebook: Path) -> Iterator[tuple[str, str]]:
    """Give what each cell shows as text, after its code."""
    for cell in codes(notebook):
        # A stream is cut where its buffer was flushed, which is chance; and what libraries warn of
        # differs with their versions.
        streams = "".join(out.text for out in cell.outputs if out.get("name") == "stdout")
        data = [out.data for out in cell.outputs if "data" in out and not is_progress(out)]
        shown = [d[kind].rstrip() for d in data for kind in TEXTS if kind in d]
        yield cell.source, streams + "\n".join(shown)


def is_progress(out: Any) -> bool:
    """Tell whether an output is a progress bar, which shows where a load takes long."""
    if out.get("name") == "stderr":
        return "loading:" in out.text or not out.text.strip()
    return WIDGET in out.get("data", {})


def run(notebooks: Path) -> None:
    """Run all notebooks of a folder with nbmake, and write them down where they are."""
    alone = ["-c", os.devnull, "--rootdir", str(notebooks), "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbmake", "--overwrite", *alone, str(notebooks)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def strip(notebook: Path) -> None:
    """Take out what differs from run to run: times, versions, bars; and make pictures small."""
    content = read(notebook)
    content.metadata = METADATA
    for cell in content.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if not is_progress(out)]
        for out in cell.get("outputs", []):
            if picture := out.get("data", {}).get("image/png"):
                smaller = base64.b64encode(compressed(base64.b64decode(picture)))
                out.data["image/png"] = smaller.decode()
    nbformat.write(content, notebook)


def compressed(png: bytes) -> bytes:
    """Compress a PNG as far as zlib goes: the same picture in a third of the bytes."""
    at, chunks, pixels = 8, [], b""
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        if kind == b"IDAT":
            pixels += png[at + 8 : at + 8 + size]
        else:
            chunks.append((kind, png[at + 8 : at + 8 + size]))
        at += 12 + size
    chunks.insert(-1, (b"IDAT", zlib.compress(zlib.decompress(pixels), 9)))
    return png[:8] + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


@pytest.mark.slow
def test_a_run_shows_what_is_committed_and_leaves_nothing_behind(tmp_path: Path) -> None:
    copies = tmp_path / "notebooks"
    copies.mkdir()
    for notebook in NOTEBOOKS:
        shutil.copy(notebook, copies)
    shutil.copytree(ROOT / "data_samples", tmp_path / "data_samples")
    before = sorted(tmp_path.rglob("*"))
    run(copies)
    for notebook in NOTEBOOKS:
        assert list(texts(copies / notebook.name)) == list(texts(notebook)), notebook.name
    assert sorted(tmp_path.rglob("*")) == before


def test_the_advice_on_the_reserve_is_that_of_the_page() -> None:
    for notebook in NOTEBOOKS:
        if notebook.stem in ("02-reversals", "04-finance"):
            assert ADVICE in " ".join(text for _, text in texts(notebook))


def test_all_are_there() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(PICTURES)


@of_each
def test_what_is_committed_was_run_once_from_top_to_bottom(notebook: Path) -> None:
    cells = codes(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [out for cell in cells for out in cell.outputs]
    assert not [out for out in outputs if out.output_type == "error"]
    assert not [out for out in outputs if out.get("name") == "stderr"]
    pictures = [out for out in outputs if "image/png" in out.get("data", {})]
    assert len(pictures) >= PICTURES[notebook.stem]
    assert len(cells) <= CELLS.get(notebook.stem, 25)


@of_each
def test_what_is_committed_tells_of_no_machine_and_no_moment(notebook: Path) -> None:
    content = read(notebook)
    assert content.metadata == METADATA
    assert not [cell.id for cell in content.cells if cell.metadata]
    # Pictures are letters without a meaning.
    text = re.sub(r'"image/png": "[^"]*"', "", notebook.read_text(encoding="utf-8"))
    assert MACHINE.findall(text) == []


@of_each
def test_a_notebook_ends_with_what_to_try_on_own_data(notebook: Path) -> None:
    last = [cell.source for cell in read(notebook).cells if "\n## " in f"\n{cell.source}"][-1]
    assert last.splitlines()[0] == "## On your own data"


@of_each
def test_only_the_samples_are_read(notebook: Path) -> None:
    content = "\n".join(cell.source for cell in codes(notebook))
    assert set(re.findall(r"\b(?:load|convert)\(\s*\"([^\"]*)", content)) == {
        "data_samples/organisation"
    }


if __name__ == "__main__":
    run(ROOT / "notebooks")
    for path in NOTEBOOKS:
        strip(path)
