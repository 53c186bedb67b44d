"""In place of a package that takes seconds to import: see conftest.py."""

raise ImportError("left out in tests")
