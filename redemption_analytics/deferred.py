"""Modules that are imported when they are first used: to import pandas takes half a second."""

from __future__ import annotations

import importlib
from typing import Any


class Deferred:
    """A module that is imported when something of it is asked for.

    Parameters
    ----------
    name
        What the module is called.

    Examples
    --------
    >>> Deferred("math").sqrt(9)
    3.0
    """

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        """Return what the module has of that name."""
        return getattr(importlib.import_module(self._name), attribute)
