"""A notebook in JupyterLab, as an analyst runs it: opened in a browser, run from top to bottom."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import browser, need_chromium, picture, wait

pytestmark = pytest.mark.slow

need_chromium()

ROOT = Path(__file__).parents[2]
TOKEN = "of-a-test"
#: What JupyterLab says of its notebook: how many cells ran, how many wait, how many failed.
STATE = """(() => {
  const cells = window.jupyterapp?.shell?.currentWidget?.content?.widgets ?? [];
  const code = cells.filter((cell) => cell.model.type === "code");
  return {
    code: code.length,
    done: code.filter((cell) => cell.model.executionCount > 0).length,
    failed: code.filter((cell) => cell.model.outputs.toJSON()
      .some((output) => output.output_type === "error")).length,
    pictures: document.querySelectorAll(".jp-OutputArea-output img").length,
  };
})()"""


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """JupyterLab as the README opens it, on a copy of the notebooks and the samples."""
    for folder in ("notebooks", "data_samples"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    port = free_port()
    homes = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")}
    command = [sys.executable, "-m", "jupyterlab", "notebooks", "--no-browser", "--allow-root"]
    options = [f"--port={port}", f"--IdentityProvider.token={TOKEN}", "--expose-app-in-browser"]
    with (tmp_path / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [*command, *options], cwd=tmp_path, env=os.environ | homes, stdout=log, stderr=log
        )
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=2).close()
                    break
                except OSError:
                    assert server.poll() is None, (tmp_path / "lab.log").read_text()
                    time.sleep(0.5)
            yield address
        finally:
            server.terminate()
            server.wait(30)


def test_a_notebook_runs_in_jupyterlab(lab: str, tmp_path: Path) -> None:
    with browser(1400, 1000) as driver:
        driver.get(f"{lab}/lab/tree/01-quickstart.ipynb?token={TOKEN}")
        wait(
            driver,
            "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status",
            180,
        )
        driver.execute_script("window.jupyterapp.commands.execute('editmenu:clear-all')")
        wait(driver, f"{STATE}.done === 0", 60)
        driver.execute_script("window.jupyterapp.commands.execute('runmenu:run-all')")
        wait(
            driver,
            f"(({{ code, done, failed }}) => failed || (code && done === code))({STATE})",
            240,
        )
        state = driver.execute_script(f"return {STATE}")
        assert state["failed"] == 0
        assert state["done"] == state["code"] == 10
        assert state["pictures"] >= 1
        target = Path(os.environ.get("REDEMPTION_ANALYTICS_TESTS_PICTURES", tmp_path)) / "lab.png"
        picture(driver, target)
        assert target.stat().st_size > 20_000
