"""Progress in notebooks, seen in real kernels: a bar for long loads, none for short ones."""

from __future__ import annotations

import warnings
from html import unescape
from pathlib import Path
from typing import Any

import pytest

WIDGET = "application/vnd.jupyter.widget-view+json"
STATES = "application/vnd.jupyter.widget-state+json"

#: A megabyte of answers that come over a slow line, and a load of them.
SLOW = """
import json, time
import redemption_analytics as ra
from redemption_analytics.sources.streams import Stream

answer = json.dumps({"response": {"status": {"success": True}, "customer": {"user_id": "1"}}})
payload = "\\n".join([answer] * 12_000).encode()
read = Stream.read

def slowly(self, size=-1):
    time.sleep(PAUSE)
    return read(self, min(size, 200_000) if size > 0 else size)

Stream.read = slowly

def load(progress=None):
    return len(ra.load(payload, progress=progress).responses)
"""
WITHOUT_WIDGETS = "import sys; sys.modules['ipywidgets'] = None"


@pytest.fixture(autouse=True)
def own_jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))


def executed(cell: str, *, widgets: bool = True, pause: float = 0.3) -> Any:
    """A notebook that loads in its second cell."""
    with warnings.catch_warnings():
        # What Jupyter's own packages warn each other of is none of ours.
        warnings.simplefilter("ignore")
        import nbformat
        from nbclient import NotebookClient

        first = ("" if widgets else f"{WITHOUT_WIDGETS}\n") + SLOW.replace("PAUSE", str(pause))
        cells = [nbformat.v4.new_code_cell(source) for source in (first, cell)]
        notebook = nbformat.v4.new_notebook(cells=cells)
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    assert notebook.cells[0].outputs == []
    assert notebook.cells[1].outputs[-1]["data"]["text/plain"] == "12000"
    return notebook


def bars(notebook: Any) -> str:
    """The texts of bars: those of widgets that are shown, and what went to the standard error."""
    shown = notebook.cells[1].outputs[:-1]
    states = notebook.metadata.get("widgets", {}).get(STATES, {"state": {}})["state"]
    children = [
        child.removeprefix("IPY_MODEL_")
        for output in shown
        if "data" in output
        for child in states[output["data"][WIDGET]["model_id"]]["state"]["children"]
    ]
    texts = [output["text"] for output in shown if "text" in output]
    texts += [str(states[child]["state"].get("value")) for child in children]
    return unescape(" ".join(texts)).replace("\u2007", " ")


@pytest.mark.parametrize("widgets", [True, False], ids=["widgets", "no widgets"])
def test_a_long_load_has_a_bar_of_bytes_with_rate_and_time_left(widgets: bool) -> None:
    notebook = executed("load()", widgets=widgets)
    kinds = {output["output_type"] for output in notebook.cells[1].outputs[:-1]}
    assert kinds == ({"display_data"} if widgets else {"stream"})
    text = bars(notebook)
    assert "loading: 100%" in text
    assert "888k/888k" in text
    assert "kB/s]" in text
    assert "<00:0" in text


@pytest.mark.parametrize("widgets", [True, False], ids=["widgets", "no widgets"])
def test_a_short_load_leaves_the_output_clean(widgets: bool) -> None:
    assert len(executed("load()", widgets=widgets, pause=0).cells[1].outputs) == 1


def test_one_who_says_so_has_a_bar_of_a_short_load_too() -> None:
    assert "loading" in bars(executed("load(progress=True)", pause=0))


def test_one_who_wants_none_has_none_of_a_long_load() -> None:
    assert len(executed("load(progress=False)").cells[1].outputs) == 1
