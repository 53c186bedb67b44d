"""Count the instructions that the native reader takes for each byte, from bytes to Arrow columns.

Unlike time they are the same with whatever else the machine does: a change of the reader can be
held against the figures before it. Needs valgrind::

    python -m benchmarks.instructions
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.data import DATA, Data, clean_export
from redemption_analytics.parsing.binding import FILE
from redemption_analytics.parsing.declaration import declaration

#: How a block is written, as the reader is told.
_XML, _LINES = 1, 2

#: Reads a file, by the C ABI alone: Python's libraries would take minutes to import.
_READ = """
import ctypes, sys
from pathlib import Path
library, contract, tables, text, form, times = sys.argv[1:]
library = ctypes.CDLL(library)
contract, text = Path(contract).read_bytes(), Path(text).read_bytes()
whole, opened, result = ctypes.c_size_t, ctypes.c_void_p(), ctypes.c_void_p()
assert not library.reader_open(contract, whole(len(contract)), ctypes.byref(opened))
stretch = (ctypes.c_uint32 * 3)(0, len(text), int(form))
limit = whole(1 << 33)
read = (opened, text, whole(len(text)), stretch, 1, limit, ctypes.byref(result))
for _ in range(int(times)):
    assert not library.reader_read(*read)
    assert library.reader_records(result) > 0
    for table in range(int(tables)):
        array, schema = ctypes.create_string_buffer(80), ctypes.create_string_buffer(72)
        assert not library.reader_table(opened, result, table, array, schema)
    library.reader_free(result)
"""


def main(arguments: list[str] | None = None) -> None:
    """Print the instructions for each byte, of each organisation's exports as JSON and as XML."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("--megabytes", type=float, default=2, help="size of the JSON (2)")
    megabytes = parser.parse_args(arguments).megabytes
    if shutil.which("valgrind") is None:
        parser.error("needs valgrind: apt-get install valgrind")
    with tempfile.TemporaryDirectory() as name:
        for data in DATA.values():
            for form, path in exports(Path(name), data, megabytes).items():
                count = instructions(path, _LINES if form == "JSON Lines" else _XML)
                per_byte = count / path.stat().st_size
                print(f"{data.name:8} {form:20} {per_byte:6.2f} instructions/byte")


def exports(folder: Path, data: Data, megabytes: float) -> dict[str, Path]:
    """Write an export as JSON and in both dialects of XML."""
    lines = clean_export(folder, data, megabytes)
    made = {"JSON Lines": lines}
    for form, elements in (("XML (element lists)", True), ("XML (repeated tags)", False)):
        made[form] = lines.with_name(f"{elements:d}.xml")
        data.write_xml(lines, made[form], elements)
    return made


def instructions(path: Path, form: int) -> int:
    """Count the instructions that reading a file takes.

    Parameters
    ----------
    path
        JSON Lines or XML.
    form
        Which of them, as the reader is told.
    """
    with tempfile.TemporaryDirectory() as folder:
        contract = Path(folder, "contract")
        contract.write_bytes(declaration().encoded("int", offsets=False))
        tables = str(len(declaration().tables))
        counts = []
        # The second read is what is counted: all else happens once.
        for times in "12":
            counted = subprocess.run(
                [
                    *("valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/counted"),
                    *(sys.executable, "-S", "-c", _READ),
                    *(FILE, contract, tables, path, str(form), times),
                ],
                capture_output=True,
                text=True,
                check=True,
                env=os.environ | {"PYTHONHASHSEED": "0"},
            )
            counts += re.findall(r"Collected : (\d+)", counted.stderr)
    once, twice = map(int, counts)
    return twice - once


if __name__ == "__main__":
    main()
