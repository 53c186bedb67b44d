"""Be the process that is measured: run one contender, and say what it made.

``python -m benchmarks.running NAME SOURCE TARGET`` prints one line of JSON: the peak memory, and
the path of each table, null if that is in memory. With ``--totals`` at the end it says instead what
is in them: so contenders are checked that keep theirs in memory, in a run that is not measured.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.work import totals


def own_peak() -> int:
    """Peak resident memory of this process so far, in bytes."""
    try:
        # Not ru_maxrss, which may still hold the peak of the process that started this one.
        status = Path("/proc/self/status").read_text()
        return next(int(row.split()[1]) for row in status.splitlines() if "VmHWM" in row) * 1024
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _run(name: str, source: str, target: str, *check: str) -> None:
    results, sys.stdout = sys.stdout, sys.stderr  # what a contender prints is no result
    tables = CONTENDERS[name].job(Path(source), Path(target))
    if check:
        print(json.dumps(totals(tables)), file=results)
    else:
        written = {n: str(t) if isinstance(t, Path) else None for n, t in tables.items()}
        print(json.dumps((own_peak(), written)), file=results)


if __name__ == "__main__":
    _run(*sys.argv[1:])
