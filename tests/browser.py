"""Headless Chromium, driven by Selenium, with the page's own word on what it logged and fetched."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from requirements_of_ci import needed
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

#: Where the script of axe-core is, which the npm registry has.
AXE_PATH = "REDEMPTION_ANALYTICS_TESTS_AXE"

_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def need_chromium() -> None:
    """Skip where there is no Chromium."""
    reason = "needs Chromium and its driver: apt-get install chromium chromium-driver"
    needed("chromium", bool(CHROMIUM and DRIVER), reason)


def axe() -> str:
    """Give the script of axe-core, or skip."""
    path = Path(os.environ.get(AXE_PATH, "node_modules/axe-core/axe.min.js"))
    needed("axe-core", path.is_file(), f"needs axe-core: npm install axe-core, and {AXE_PATH}")
    return path.read_text(encoding="utf-8")


@contextmanager
def browser(width: int = 1100, height: int = 900) -> Iterator[webdriver.Chrome]:
    """Open a browser window; narrow ones are a phone's."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in (*_ARGUMENTS, f"--window-size={width},{height}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    if width < 600:
        metrics = {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1}}
        options.add_experimental_option("mobileEmulation", metrics)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def wait(driver: webdriver.Chrome, script: str, seconds: float = 60) -> Any:
    """Wait until a script gives something true."""
    return WebDriverWait(driver, seconds).until(lambda d: d.execute_script(f"return {script}"))


def said(driver: webdriver.Chrome) -> list[str]:
    """Give what was written to the console since the last time it was asked."""
    return [entry["message"] for entry in driver.get_log("browser")]


def requested(driver: webdriver.Chrome) -> list[str]:
    """Give the addresses that were asked for since the last time it was asked."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


def picture(driver: webdriver.Chrome, path: Path, height: int | None = None) -> None:
    """Take a picture of the whole page, beyond the window too, or of so much of its top."""
    size = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
    options = {"captureBeyondViewport": True, "clip": clip}
    path.write_bytes(
        base64.b64decode(driver.execute_cdp_cmd("Page.captureScreenshot", options)["data"])
    )
