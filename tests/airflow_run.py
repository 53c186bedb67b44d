"""One run of the documented DAG, in a process of its own: Airflow sets up much at import.

Arguments: the logical date of the run, and how many times writing the report fails before it works.
The last line printed is what became of it, as JSON.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import redemption_analytics as ra


def main(logical_date: str, failures: str) -> None:
    import redemption_report

    dag = redemption_report.redemption_report()
    wait = dag.get_task("report").retry_delay
    dag.get_task("report").retry_delay = timedelta(0)
    write, left = ra.write_reports, int(failures)

    def failing_at_first(*args: Any, **options: Any) -> Any:
        nonlocal left
        if left:
            left -= 1
            raise ra.WriteError("the report cannot be written: no space left on device")
        return write(*args, **options)

    moment = datetime.fromisoformat(logical_date).replace(tzinfo=UTC)
    with mock.patch.object(ra, "write_reports", failing_at_first):
        run = dag.test(logical_date=moment)
    outcome = {
        "state": run.state,
        "interval": [str(run.data_interval_start), str(run.data_interval_end)],
        "tasks": {task.task_id: [task.state, task.try_number] for task in run.get_task_instances()},
        "catchup": dag.catchup,
        "minutes_between_tries": wait.total_seconds() / 60,
    }
    print(json.dumps(outcome))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
