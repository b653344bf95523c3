"""What the page is made of: nothing from elsewhere, nothing inline, nothing in anybody's way."""

import hashlib
import re
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

import infra.page
from tests.browser.shop import HOUR_MS, counted, item, placed

STATIC = Path(infra.page.__file__).parent / "static"
VENDORED = {
    STATIC / "vendor" / "uPlot.iife.min.js": (
        "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"
    ),
    STATIC / "vendor" / "uPlot.min.css": (
        "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"
    ),
    Path(__file__).parent / "vendor" / "axe.min.js": (
        "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
    ),
}
VIEWS = (
    "",
    "#/items",
    "#/shipping",
    "#/decisions",
    "#/orders",
    "#/incidents",
    "#/dead-letters",
    "ITEM",
)


@pytest.mark.parametrize("path", VENDORED, ids=lambda path: path.name)
async def test_vendored_files_are_as_they_were_published(path):
    """Nobody changed them, and their licence lies beside them."""
    assert hashlib.sha256(path.read_bytes()).hexdigest() == VENDORED[path]
    assert list(path.parent.glob("*.LICENSE"))


async def test_no_script_can_make_markup_of_text():
    """Our scripts make elements and set text; the functions that parse markup are not used."""
    forbidden = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(")
    for path in (STATIC / "js").rglob("*.js"):
        assert not forbidden.search(path.read_text()), path
    index = (STATIC / "index.html").read_text()
    assert not re.search(r"<style|style=|<script(?![^>]*src=)|\son\w+=", index)


async def test_headers_allow_nothing_but_the_page_itself(server):
    """Strict CSP, no sniffing, no frames; files outside `static` are out of reach."""
    async with aiohttp.ClientSession(server.url) as client:
        for path in ("/", "/static/js/main.js", "/static/vendor/uPlot.iife.min.js"):
            async with client.get(path) as answer:
                assert answer.status == 200
                policy = answer.headers["Content-Security-Policy"]
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
            directives = dict(part.split(" ", 1) for part in policy.split("; "))
            assert directives["default-src"] == "'none'"
            assert directives["frame-ancestors"] == "'none'"
            assert "unsafe" not in policy
        for path in ("/static/../page.py", "/static/%2e%2e/page.py", "/static/vendor/README.md"):
            async with client.get(path) as answer:
                assert answer.status == 404


@pytest_asyncio.fixture(loop_scope="session")
async def busy_shop(shop):
    """A shop with something in every part of the page."""
    start = shop.now_ms - 60 * HOUR_MS
    await shop.tell("catalog", item("lamp", start), item("rug", start))
    await shop.tell("stock", counted("lamp", start, 30), counted("rug", start, 400))
    hours = range(start + HOUR_MS, shop.now_ms - 1_000, HOUR_MS)
    await shop.tell("orders", *[placed(sku, at, 2) for at in hours for sku in ("lamp", "rug")])
    await shop.tell_bytes("orders", b"not json")
    await shop.write_heartbeats()
    await shop.settle()
    return shop


async def test_nothing_is_asked_of_other_hosts_and_no_rule_is_broken(busy_shop, server, visit):
    """Every view, in both themes and on a phone, asks only its own worker and breaks no policy."""
    for options in (
        {"color_scheme": "dark", "viewport": {"width": 1600, "height": 900}},
        {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
    ):
        visitor = await visit(server.url, **options)
        for view in VIEWS:
            await visitor.go(view.replace("ITEM", "#/item?sku=lamp&warehouse=main"))
            await visitor.page.locator("main .card").first.wait_for()
            width = await visitor.page.evaluate("document.documentElement.scrollWidth")
            assert width <= options["viewport"]["width"], f"{view} is wider than the screen"
        await visitor.page.wait_for_timeout(300)
        assert visitor.complaints == []
        assert {url.split("/")[2] for url in visitor.requests} == {server.url.split("/")[2]}


async def test_an_inline_script_would_not_run(busy_shop, server, visit):
    """The policy is in force: what somebody brought into the page stays dead."""
    visitor = await visit(server.url)
    await visitor.go()
    await visitor.page.locator("main .card").first.wait_for()
    ran = await visitor.page.evaluate(
        """() => {
            const script = document.createElement("script");
            try { script.textContent = "window.ran = true"; document.body.append(script); } catch {}
            try { document.body.innerHTML = "<img src=x onerror='window.ran = true'>"; } catch {}
            return window.ran === true;
        }"""
    )
    assert ran is False


AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_serious(busy_shop, server, visit, theme):
    """No barrier that axe calls serious or critical, on any view, contrast included."""
    visitor = await visit(server.url, color_scheme=theme, bypass_csp=True)
    found = []
    for view in VIEWS:
        await visitor.go(view.replace("ITEM", "#/item?sku=lamp&warehouse=main"))
        await visitor.page.locator("main .card").first.wait_for()
        await visitor.page.wait_for_timeout(150)
        await visitor.page.evaluate(AXE)
        violations = await visitor.page.evaluate("axe.run().then((found) => found.violations)")
        found += [
            (view, one["id"], [node["html"][:120] for node in one["nodes"][:3]])
            for one in violations
            if one["impact"] in ("serious", "critical")
        ]
    assert found == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("view", "button"), [("", "Pause ordering"), ("#/incidents", "Acknowledge")]
)
async def test_dialog_keeps_the_keyboard_and_axe_finds_nothing(
    busy_shop, server, visit, theme, view, button
):
    """It opens on its first field, tabs stay in it, nothing serious is wrong, Escape leaves it."""
    visitor = await visit(server.url, color_scheme=theme, bypass_csp=True)
    await visitor.go(view)
    page = visitor.page
    await page.get_by_role("button", name=button).first.click()
    await page.get_by_label("Who you are").and_(page.locator(":focus")).wait_for()
    for _ in range(12):
        await page.keyboard.press("Tab")
        inside = (
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
        assert await page.evaluate(inside)
    await page.evaluate(AXE)
    violations = await page.evaluate("axe.run().then((found) => found.violations)")
    assert [one["id"] for one in violations if one["impact"] in ("serious", "critical")] == []
    await page.keyboard.press("Escape")
    await page.get_by_role("dialog").wait_for(state="detached")


async def test_everything_can_be_reached_by_keys(busy_shop, server, visit):
    """Digits change the view, a slash finds an item, the skip link leads to the content."""
    visitor = await visit(server.url)
    await visitor.go()
    page = visitor.page
    await page.locator("main .card").first.wait_for()
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await page.keyboard.press("3")
    await page.get_by_role("heading", name="Customers wait for").wait_for()
    await page.keyboard.press("/")
    await page.locator("#search:focus").wait_for()
    await page.keyboard.type("rug")
    await page.locator("tbody tr", has_text="rug").wait_for()
    await page.locator("tbody tr", has_text="lamp").wait_for(state="detached")
    await page.keyboard.press("Tab")
    await page.keyboard.press("?")
    await page.get_by_role("dialog").wait_for()
    await page.keyboard.press("Escape")
    await page.get_by_role("dialog").wait_for(state="detached")
    before = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.keyboard.press("t")
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") != before
