"""Shows the library to the site as it is used: under its public names, with links and options."""

from __future__ import annotations

import re
from typing import Any

import griffe

import redemption_analytics as ra
from redemption_analytics.options import DECLARED

_PACKAGE = "redemption_analytics"
_ROLE = re.compile(r":(?:attr|class|func|mod):`(?P<short>~?)(?P<name>[\w.]+)`")


class Roles(griffe.Extension):
    """Writes roles in docstrings as links, options as parameters, and finds the public names."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Write the roles of one docstring, as in ``:func:`redemption_analytics.load```."""
        if obj.docstring:
            obj.docstring.value = _ROLE.sub(_linked, obj.docstring.value)

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Put the options of loading in place of ``**options`` where the docstring has each."""
        told = func.docstring.value if func.docstring else ""
        if "\nexported_at\n" not in told or "options" not in func.parameters:
            return
        for name, (_kind, default) in DECLARED.items():
            kind = griffe.ParameterKind.keyword_only
            func.parameters.add(griffe.Parameter(name, kind=kind, default=repr(default)))
        del func.parameters["options"]

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Lead names that a module has too, as ``cohorts``, to what is meant by them."""
        names = [(pkg, name) for name in dir(ra) if name not in ("plot", "schemas", "spark")]
        names += [(pkg["plot"], name) for name in ra.plot.__all__]
        for home, name in names:
            found: Any = home.members.get(name)
            while found is not None and found.is_alias and not found.is_module:
                found = found.target
            if found is not None and found.is_module and name in found.members:
                meant: Any = found.members[name]
                home.set_member(name, griffe.Alias(name, meant, parent=home))
                self.on_object(obj=meant)  # its module may have no name any more


def _linked(role: re.Match[str]) -> str:
    name = role["name"]
    whole = name if name.startswith(_PACKAGE) else f"{_PACKAGE}.{name}"
    short = whole.removeprefix(f"{_PACKAGE}.")
    return f"[`{short}`][{whole}]" if short.partition(".")[0] in ra.__all__ else f"`{short}`"
