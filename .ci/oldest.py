"""Print pip constraints: the oldest version that pyproject.toml allows of what a user installs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

INSTALLED = ("delta", "excel", "notebooks", "report", "polars", "warehouse")

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
for requirement in sum((extras[name] for name in INSTALLED), project["dependencies"]):
    bound = re.match(r"([\w-]+)>=([\d.]+)", requirement)
    if bound:
        name, version = bound.groups()
        print(f"{name}=={version}.*")
