"""Chromium of the machine, found and started; it talks to nobody but the page."""

import os
import shutil
from contextlib import asynccontextmanager

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
)


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None; `TIDEGATE_CHROMIUM` names one."""
    given = os.environ.get("TIDEGATE_CHROMIUM")
    return given or next((path for name in NAMES if (path := shutil.which(name))), None)


def why_no_browser() -> str | None:
    """Return what is missing for the tests of the page, or None."""
    try:
        import playwright.async_api  # noqa: F401
    except ImportError:
        return "the page is not tested: Playwright is not installed"
    if find_chromium() is None:
        return "the page is not tested: no Chromium is here (Debian: apt-get install chromium)"
    return None


@asynccontextmanager
async def open_browser():
    """A browser without a window."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_chromium(), args=list(ARGUMENTS)
        )
        try:
            yield browser
        finally:
            await browser.close()
