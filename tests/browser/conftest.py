"""A browser for all tests of the page; without one they are skipped, loudly."""

import os
from pathlib import Path

import pytest
import pytest_asyncio

from tests.browser.chromium import open_browser, why_no_browser
from tests.browser.shop import Server, open_shop, serving
from tests.system.conftest import install  # noqa: F401 - a fixture

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them run on one loop, beside real servers."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.system)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser():
    """A browser without a window; `TIDEGATE_REQUIRE_BROWSER=1` makes its absence a failure."""
    if reason := why_no_browser():
        if os.environ.get("TIDEGATE_REQUIRE_BROWSER") == "1":
            pytest.fail(f"{reason} (and TIDEGATE_REQUIRE_BROWSER=1 wants it)", pytrace=False)
        pytest.skip(reason)
    async with open_browser() as opened:
        yield opened


class Visitor:
    """A page in a browser, and all that it asked for and complained of."""

    def __init__(self, page, url: str) -> None:
        self.page = page
        self.url = url
        page.set_default_timeout(20_000)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._hear)

    def _hear(self, message) -> None:
        if message.type in ("error", "warning") and "404" not in message.text:
            self.complaints.append(message.text)

    async def go(self, path: str = "") -> None:
        """Open a part of the page."""
        await self.page.goto(f"{self.url}/{path}")

    async def text(self, selector: str) -> str:
        """What stands there."""
        return " ".join((await self.page.locator(selector).first.inner_text()).split())


@pytest_asyncio.fixture(loop_scope="session")
async def shop(redis_url: str):
    """An open shop of which nothing is known yet."""
    async with open_shop(redis_url) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def server(redis_url: str) -> Server:
    """The page of that shop."""
    async with serving(redis_url) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser):
    """Open visitors; they leave after the test."""
    contexts = []

    async def open_visitor(url: str, **options) -> Visitor:
        context = await browser.new_context(**{"timezone_id": "Europe/Berlin", **options})
        contexts.append(context)
        return Visitor(await context.new_page(), url)

    yield open_visitor
    for context in contexts:
        await context.close()
