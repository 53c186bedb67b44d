"""Progress in notebooks, seen in real kernels: a bar for long loads, none for short ones."""

from __future__ import annotations

import warnings
from html import unescape
from typing import Any

import pytest

WIDGET = "application/vnd.jupyter.widget-view+json"
STATES = "application/vnd.jupyter.widget-state+json"

#: A megabyte of answers that come over a slow line, and a load of them.
SLOW = """
import json, time
import redemption_analytics as ra
from redemption_analytics.sources.streams import Stream

pause = 0.3

answer = json.dumps({"response": {"status": {"success": True}, "customer": {"user_id": "1"}}})
payload = "\\n".join([answer] * 12_000).encode()
read = Stream.read

def slowly(self, size=-1):
    time.sleep(pause)
    return read(self, min(size, 200_000) if size > 0 else size)

Stream.read = slowly

def load(progress=None):
    return len(ra.load(payload, progress=progress).responses)
"""
WITHOUT_WIDGETS = "import sys; sys.modules['ipywidgets'] = None\n"
#: A cell for each load, and how it is asked for.
LOADS = {
    "long": "load()",
    "long, none wanted": "load(progress=False)",
    "short": "pause = 0; load()",
    "short, wanted": "load(progress=True)",
}


@pytest.fixture(scope="module", params=[True, False], ids=["widgets", "no widgets"])
def notebook(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A notebook that was run, with what each load left in it, and whether it has widgets."""
    first = ("" if request.param else WITHOUT_WIDGETS) + SLOW
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name)))
        # What Jupyter's own packages warn each other of is none of ours.
        warnings.simplefilter("ignore")
        import nbformat
        from nbclient import NotebookClient

        cells = [nbformat.v4.new_code_cell(source) for source in (first, *LOADS.values())]
        ran = nbformat.v4.new_notebook(cells=cells)
        NotebookClient(ran, timeout=120, kernel_name="python3").execute()
    assert ran.cells[0].outputs == []
    return ran, request.param


def outputs(notebook: Any, load: str) -> list[Any]:
    """What a load left in the notebook, before its result."""
    *shown, result = notebook[0].cells[1 + list(LOADS).index(load)].outputs
    assert result["data"]["text/plain"] == "12000"
    return shown


def bars(notebook: Any, load: str) -> str:
    """The texts of bars: those of widgets that are shown, and what went to the standard error."""
    shown = outputs(notebook, load)
    states = notebook[0].metadata.get("widgets", {}).get(STATES, {"state": {}})["state"]
    children = [
        child.removeprefix("IPY_MODEL_")
        for output in shown
        if "data" in output
        for child in states[output["data"][WIDGET]["model_id"]]["state"]["children"]
    ]
    texts = [output["text"] for output in shown if "text" in output]
    texts += [str(states[child]["state"].get("value")) for child in children]
    return unescape(" ".join(texts)).replace("\u2007", " ")


def test_a_long_load_has_a_bar_of_bytes_with_rate_and_time_left(notebook: Any) -> None:
    kinds = {output["output_type"] for output in outputs(notebook, "long")}
    assert kinds == ({"display_data"} if notebook[1] else {"stream"})
    text = bars(notebook, "long")
    assert "loading: 100%" in text
    assert "888k/888k" in text
    assert "kB/s]" in text
    assert "<00:0" in text


def test_a_short_load_leaves_the_output_clean(notebook: Any) -> None:
    assert outputs(notebook, "short") == []


def test_one_who_says_so_has_a_bar_of_a_short_load_too(notebook: Any) -> None:
    assert "loading" in bars(notebook, "short, wanted")


def test_one_who_wants_none_has_none_of_a_long_load(notebook: Any) -> None:
    assert outputs(notebook, "long, none wanted") == []
