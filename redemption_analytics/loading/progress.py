"""Progress of long work: a bar on a terminal and in a notebook, by bytes read, or by steps."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: Seconds that a load takes before a notebook gets a bar that nobody asked for.
_PATIENCE = 1.0


@contextmanager
def progress_bar(
    size: int, progress: bool | None, doing: str = "loading", unit: str = "B"
) -> Iterator[Callable[[int], object]]:
    """Show a bar while the context lasts, with rate and time left.

    Parameters
    ----------
    size
        Bytes, or steps, in all; 0 where nobody knows.
    progress
        Whether to show it; None for a terminal, and for a notebook where it takes a while, so that
        the outputs of small loads stay clean.
    doing
        What is done, as the bar says it.
    unit
        What is counted: ``"B"``, bytes, are written by thousands and millions.

    Yields
    ------
    callable
        To be told how many bytes were read, or steps done, each time.
    """
    notebook = _in_notebook()
    shown = (notebook or sys.stderr.isatty()) if progress is None else progress
    if not shown:
        yield lambda _: None
        return
    tqdm = _tqdm(widgets=notebook and importlib.util.find_spec("ipywidgets") is not None)
    with tqdm(
        total=size or None,
        unit=unit if unit == "B" else f" {unit}",
        unit_scale=unit == "B",
        desc=doing,
        delay=_PATIENCE if notebook and progress is None else 0,
    ) as bar:
        yield bar.update


def _in_notebook() -> bool:
    """Check whether a kernel runs this: its output is a page, be it in Jupyter or elsewhere."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def _tqdm(*, widgets: bool) -> Any:
    # tqdm.auto would choose alike, but warns in each notebook without ipywidgets when imported.
    if widgets:
        from tqdm.notebook import tqdm
    else:
        from tqdm.std import tqdm
    return tqdm
