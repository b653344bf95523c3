"""What people see is what Redis holds, soon after it happened, whatever the names."""

import asyncio
import re
import time
from pathlib import Path
from urllib.parse import quote

import aiohttp

from infra.redis.keys import Keys
from infra.redis.reader import Reader, connect
from tests.browser.shop import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    TOKEN,
    counted,
    dispatched,
    item,
    open_shop,
    placed,
    serving,
)

HOSTILE = '<img src=x onerror="window.ran=1">&"\'`${7*7}</script>'


async def ask(server, path: str, **query):
    """What the API answers."""
    async with (
        aiohttp.ClientSession(server.url) as client,
        client.get(f"/api/v1/{path}", params=query) as answer,
    ):
        return await answer.json()


async def test_an_empty_shop_says_that_it_waits(server, visit):
    """Before the first event nothing is 0 that was never counted."""
    visitor = await visit(server.url)
    await visitor.go()
    await visitor.page.get_by_text("No order was read yet").first.wait_for()
    values = await visitor.page.locator(".tile .value").all_inner_texts()
    assert values == ["\N{EN DASH}"] * 5
    await visitor.go("#/items")
    await visitor.page.get_by_text("No item matches").wait_for()
    await visitor.go("#/item?sku=ghost")
    await visitor.page.get_by_text("The shop has no item ghost").wait_for()
    assert visitor.complaints == []


async def test_numbers_are_those_in_redis(shop, server, visit, redis_url):
    """Stock, backlog, demand, orders and decisions of an item stand on the page as in Redis."""
    start = shop.now_ms // DAY_MS * DAY_MS - 3 * DAY_MS
    await shop.tell("catalog", item("lamp", start))
    await shop.tell("stock", counted("lamp", start, 500))
    sales = [placed("lamp", at, 3) for at in range(start, shop.now_ms - MINUTE_MS, HOUR_MS)]
    await shop.tell("orders", *sales)
    await shop.tell("shipments", *[dispatched("lamp", one["occurred_at"], 3) for one in sales[:-4]])
    await shop.write_heartbeats()
    await shop.settle()
    visitor = await visit(server.url)
    await visitor.go("#/item?sku=lamp&warehouse=main")
    await visitor.page.get_by_role("heading", name="Why the newest decision").wait_for()
    facts = await visitor.page.locator("dl.facts").first.inner_text()
    with_redis = connect(redis_url)
    try:
        reader = Reader(with_redis, Keys())
        (place,) = reader.find("lamp")
        state = reader.item(*place)
        decision = reader.latest_decision(*place)
    finally:
        with_redis.close()
    assert decision is not None
    row = state.row
    assert row["backlog_units"] == 12
    assert f"{row['on_hand_units']:,} units" in facts
    assert "12 units" in facts
    assert f"{row['demand_level_units_per_day']:.0f} units a day" in facts
    orders = await visitor.page.locator("section", has_text="On order").last.inner_text()
    for order in state.open_orders:
        assert order.po_id in orders
    why = await visitor.page.locator("section", has_text="Why the newest decision").inner_text()
    assert "Computed again from its record alone: the same" in why
    for role in ("lean", "flexible"):
        if quantity := int(decision[f"quantity_{role}_units"]):
            assert f"{quantity:,} {role}" in why


async def test_what_happens_is_shown_soon(shop, server, visit):
    """An order, an incident and its end appear without a reload; the delay is printed."""
    await shop.tell("stock", counted("lamp", shop.now_ms - HOUR_MS, 500))
    await shop.write_heartbeats()
    await shop.settle()
    visitor = await visit(server.url)
    await visitor.go()
    so_far = visitor.page.locator(".tile", has_text="Units a minute").first
    await so_far.get_by_text("this minute so far").wait_for()
    delays = []
    for _ in range(3):
        at = shop.now_ms
        quantity = 1_000 + at % 7_919
        before = await ask(server, "now")
        wanted = before["units"]["this_minute"]
        started = time.monotonic()
        await shop.tell("orders", placed("lamp", at, quantity))
        await visitor.page.wait_for_function(
            "(least) => [...document.querySelectorAll('.tile .note')].some((note) =>"
            " Number(note.textContent.replace(/[^0-9]/g, '')) >= least"
            " && note.textContent.startsWith('this minute so far'))",
            arg=quantity if wanted is None else min(quantity, wanted + quantity),
        )
        delays.append(time.monotonic() - started)
    painted = await visitor.page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    )
    print(f"event to screen: {max(delays):.2f} s at most; first paint {painted:.0f} ms")


async def test_no_sales_is_distinguished_from_no_data(shop, server, visit):
    """Quiet: the log is read up to now. No data: it is not."""
    await shop.tell("orders", placed("lamp", shop.now_ms - 2 * HOUR_MS))
    await shop.write_heartbeats()
    await shop.settle()
    visitor = await visit(server.url)
    await visitor.go()
    await visitor.page.get_by_text("No sales in the last five minutes").wait_for()
    assert (await ask(server, "now"))["feed"] == "no_sales"


async def test_a_log_that_is_not_read_is_no_data(redis_url, server, visit):
    """Two hours behind, the page does not say that nobody bought."""
    async with open_shop(redis_url, clock=lambda: time.time() - 2 * 3600) as late:
        await late.tell("orders", placed("lamp", late.now_ms - 1_000))
        await late.write_heartbeats()
        await late.settle()
        visitor = await visit(server.url)
        await visitor.go()
        await visitor.page.get_by_text("No data: sales since then are not known").wait_for()
        await visitor.page.locator(".tile", has_text="not now").first.wait_for()


async def test_a_hostile_name_is_shown_and_not_run(shop, server, visit):
    """Markup in a SKU, a warehouse and a bad record is text everywhere."""
    start = shop.now_ms - 2 * HOUR_MS
    where = {"warehouse": "<b>x</b>"}
    await shop.tell("catalog", {**item(HOSTILE, start), **where})
    await shop.tell("stock", {**counted(HOSTILE, start, 300), **where})
    await shop.tell(
        "orders",
        *[{**placed(HOSTILE, shop.now_ms - 10 * MINUTE_MS + n), **where} for n in range(60)],
    )
    await shop.tell_bytes("orders", HOSTILE.encode())
    await shop.write_heartbeats()
    await shop.settle()
    visitor = await visit(server.url)
    page = visitor.page
    for view in ("", "#/items", "#/shipping", "#/dead-letters"):
        await visitor.go(view)
        await page.get_by_text(HOSTILE[:20]).first.wait_for()
    await visitor.go("#/items")
    await page.locator("tbody a").first.click()
    await page.locator("h1", has_text=HOSTILE).wait_for()
    assert "<b>x</b>" in await page.locator("h1").inner_text()
    assert await page.evaluate("window.ran") is None
    assert visitor.complaints == []


async def test_ten_thousand_items_are_paged_and_found(shop, server, visit):
    """A list never carries more than its limit, and any item can be found in it."""
    count = 10_000
    start = shop.now_ms - HOUR_MS
    names = [f"sku-{number:05d}" for number in range(count)]
    await shop.tell("stock", *[counted(name, start, 1 + n) for n, name in enumerate(names)])
    await shop.tell("orders", *[placed(name, start + 60_000 + n) for n, name in enumerate(names)])
    await shop.write_heartbeats()
    await shop.settle()
    started = time.monotonic()
    first = await ask(server, "items")
    took = time.monotonic() - started
    assert (first["total"], len(first["items"])) == (count, 50)
    seen = {one["sku"] for one in first["items"]}
    page_two = await ask(server, "items", offset=9_950)
    assert len(page_two["items"]) == 50
    assert not seen & {one["sku"] for one in page_two["items"]}
    visitor = await visit(server.url)
    await visitor.go("#/items")
    page = visitor.page
    await page.get_by_text("1 to 50 of 10,000").wait_for()
    assert await page.locator("tbody tr").count() == 50
    await page.get_by_role("button", name="After").click()
    await page.get_by_text("51 to 100 of 10,000").wait_for()
    await page.locator("#search").fill("09877")
    await page.locator("tbody tr", has_text="sku-09877").wait_for()
    await page.get_by_text("1 to 1 of 1").wait_for()
    print(f"10,000 items: first answer after {took:.2f} s")


async def test_the_page_outlives_its_worker(shop, server, visit):
    """While the worker is away the page says how old its data is; then it goes on by itself."""
    await shop.tell("stock", counted("lamp", shop.now_ms - HOUR_MS, 50))
    await shop.tell("orders", placed("lamp", shop.now_ms - 1_000, 2))
    await shop.write_heartbeats()
    await shop.settle()
    visitor = await visit(server.url)
    await visitor.go("#/items")
    page = visitor.page
    await page.locator("tbody tr", has_text="lamp").wait_for()
    await server.stop()
    banner = page.locator("#banner")
    await banner.get_by_text(re.compile(r"No connection to this worker.* old")).wait_for()
    await shop.tell("orders", placed("vase", shop.now_ms - 500, 2))
    await shop.settle()
    await server.start()
    await page.locator("tbody tr", has_text="vase").wait_for()
    await banner.wait_for(state="hidden")


async def test_a_picture_has_its_table(shop, server, visit):
    """What is drawn can be read as numbers, those of the API: means of five minutes."""
    minute = shop.now_ms // MINUTE_MS * MINUTE_MS - 10 * MINUTE_MS
    await shop.tell("orders", placed("lamp", minute, 5 * 37))
    await shop.write_heartbeats()
    await shop.settle()
    visitor = await visit(server.url)
    await visitor.go()
    page = visitor.page
    await page.locator(".plot canvas").wait_for()
    await page.get_by_text("Show as a table").first.click()
    cells = page.locator("details table tbody tr", has_text="37")
    await cells.first.wait_for()
    sales = await ask(server, "sales", span="hour")
    assert 37.0 in sales["units"]
    assert await page.locator("details table tbody tr").count() == len(sales["units"])


async def test_an_incident_is_acknowledged(shop, server, visit, redis_url):
    """Somebody says that they have it; everybody sees who, also at another worker."""
    await shop.write_heartbeats(shop.now_ms - 10 * MINUTE_MS)
    await shop.tell_bytes("orders", b"{")  # it takes effect at the clock of its place in the log
    await shop.write_heartbeats()
    await shop.settle()
    visitor = await visit(server.url)
    await visitor.go("#/incidents")
    page = visitor.page
    await page.get_by_role("button", name="Acknowledge").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Who you are").fill("Ada <b>")
    await dialog.get_by_label("Operator's token").fill("a guess")
    await dialog.get_by_role("button", name="Acknowledge").click()
    await dialog.get_by_text("The token is not right").wait_for()
    await dialog.get_by_label("Operator's token").fill(TOKEN)
    await dialog.get_by_role("button", name="Acknowledge").click()
    await page.get_by_text("acknowledged by Ada <b> at").wait_for()
    assert await page.evaluate("localStorage.length") == 0
    assert await page.evaluate("sessionStorage.getItem('tidegate-token')") == TOKEN
    async with serving(redis_url, log=server.log) as other:
        (found,) = (await ask(other, "incidents"))["incidents"]
        assert found["acknowledged"]["who"] == "Ada <b>"


LIVE_SALE = Path(__file__).parents[2] / "grafana" / "dashboards" / "live-sale.json"


async def test_a_dashboard_leads_to_the_item_that_it_shows(shop, server, visit):
    """The link of the panel, filled in as Grafana does it, opens the item, whatever its name."""
    name = "a&b=c#d 100%@x"
    await shop.tell("stock", counted(name, shop.now_ms - HOUR_MS, 5))
    await shop.write_heartbeats()
    await shop.settle()
    (url,) = re.findall(r'"url": "([^"]*__field[^"]*)"', LIVE_SALE.read_text())
    labels = {"sku": name, "warehouse": "main"}
    for label, value in labels.items():
        url = url.replace(f"${{__field.labels.{label}:percentencode}}", quote(value, safe=""))
    visitor = await visit(url.replace("${page}", server.url))
    await visitor.page.goto(visitor.url)
    await visitor.page.locator("h1", has_text=name).wait_for()


async def test_all_decisions_can_be_paged_through(shop, server, visit):
    """The button leads to older ones, the address keeps the place, and another one leads back."""
    start = shop.now_ms // DAY_MS * DAY_MS - 9 * DAY_MS
    names = [f"lamp-{n:02d}" for n in range(12)]
    await shop.tell("catalog", *[item(name, start) for name in names])
    await shop.tell("stock", *[counted(name, start, 500) for name in names])
    await shop.tell("orders", *[placed("lamp-00", start + n * HOUR_MS) for n in range(9 * 24)])
    await shop.write_heartbeats()
    await shop.settle()
    visitor = await visit(server.url)
    await visitor.go("#/decisions?only=all")
    page = visitor.page
    older = page.get_by_role("button", name="Older")
    await page.get_by_text("50 newest ones").wait_for()
    first = await page.locator(".feed-list li").all_inner_texts()
    await older.click()
    await page.get_by_text("50 older ones").wait_for()
    second = await page.locator(".feed-list li").all_inner_texts()
    assert not set(first) & set(second)
    await page.reload()
    await page.get_by_text("50 older ones").wait_for()
    assert await page.locator(".feed-list li").all_inner_texts() == second
    await page.get_by_role("button", name="Newest").click()
    await page.get_by_text("50 newest ones").wait_for()
    assert visitor.complaints == []


async def test_the_page_is_painted_before_any_data_is_there(shop, server, visit):
    """No answer of the API stands between a visitor and the frame of the page."""
    visitor = await visit(server.url)
    page = visitor.page
    held = asyncio.Event()

    async def hold(route) -> None:
        await held.wait()
        await route.continue_()

    await page.route("**/api/**", hold)
    await visitor.go()
    await page.get_by_role("link", name="Decisions", exact=True).wait_for()
    await page.wait_for_function(
        "performance.getEntriesByName('first-contentful-paint').length === 1"
    )
    await page.get_by_text("connecting to the worker").wait_for()
    held.set()
    await page.get_by_text("No order was read yet").first.wait_for()


async def test_themes_differ_in_every_picture_too(shop, server, visit):
    """A picture is drawn anew in the colours of the theme that is chosen."""
    await shop.tell("orders", placed("lamp", shop.now_ms - 5 * MINUTE_MS, 3))
    await shop.write_heartbeats()
    await shop.settle()
    visitor = await visit(server.url, color_scheme="light")
    await visitor.go()
    page = visitor.page
    await page.locator(".plot canvas").wait_for()
    colours = """() => {
        const canvas = document.querySelector(".plot canvas");
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        const seen = new Set();
        for (let at = 0; at < data.length; at += 4)
            if (data[at + 3] === 255) seen.add(data.slice(at, at + 3).join());
        return [...seen];
    }"""
    light = await page.evaluate(colours)
    await page.keyboard.press("t")
    dark = await page.evaluate(colours)
    assert "11,99,176" in light
    assert "92,184,255" in dark
    assert "92,184,255" not in light


async def test_what_is_out_comes_first_and_times_are_the_shops(shop, server, visit):
    """Under "Run out next"; a device elsewhere shows the same calendar as the days of sales."""
    start = shop.now_ms // DAY_MS * DAY_MS - 3 * DAY_MS
    for sku, level in (("gone", 0), ("soon", 400), ("less", -5)):
        await shop.tell("catalog", item(sku, start))
        await shop.tell("stock", counted(sku, start, max(level, 0)))
        times = range(start, shop.now_ms - MINUTE_MS, HOUR_MS)
        await shop.tell("orders", *[placed(sku, at, 1) for at in times])
    await shop.tell("shipments", dispatched("less", start + HOUR_MS, 5))
    await shop.write_heartbeats()
    await shop.settle()
    visitor = await visit(server.url)
    await visitor.go()
    rows = visitor.page.locator("section", has_text="Run out next").locator("tbody tr")
    await rows.first.get_by_text("out", exact=True).wait_for()
    shown = await rows.all_inner_texts()
    assert "soon" in shown[-1]
    assert {text.split()[0] for text in shown[:-1]} == {"gone", "less"}
    hour = time.strftime("%H:", time.gmtime(shop.now_ms / 1000))
    assert hour in await visitor.page.locator("#status").inner_text()
    assert "All times are UTC" in await visitor.page.locator("footer").inner_text()
    await visitor.go("#/item?sku=less&warehouse=main")
    await visitor.page.get_by_text("0 units: count this").wait_for()
    assert visitor.complaints == []


async def test_wrong_part_of_the_page_is_named(shop, server, visit):
    """Not shown as the first part, as if that had been asked for."""
    visitor = await visit(server.url)
    await visitor.go("#/itmes?x=1")
    await visitor.page.get_by_text('no part called "itmes"').wait_for()
    await visitor.page.locator("main").get_by_role("link", name="Items").click()
    await visitor.page.get_by_role("heading", name="Items").wait_for()


async def test_pause_stays_while_redis_is_away(shop, server, visit):
    """A pause goes to Kafka; what waits is read from Redis, and may not be known."""
    visitor = await visit(server.url)
    await visitor.page.route(
        "**/api/v1/holds", lambda route: route.fulfill(status=503, json={"error": None})
    )
    await visitor.go()
    await visitor.page.get_by_role("button", name="Pause ordering").wait_for()


async def test_pause_of_an_unknown_supplier_asks_again(shop, server, visit):
    """Nothing is paused until the name is right, or it is asked for anyway."""
    at = shop.now_ms - HOUR_MS
    await shop.tell("catalog", item("lamp", at, supplier_lean="Acme", supplier_flexible="Fast"))
    await shop.write_heartbeats()
    await shop.settle()
    visitor = await visit(server.url)
    await visitor.go()
    page = visitor.page
    await page.get_by_role("button", name="Pause ordering").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Who you are").fill("Ada")
    await dialog.get_by_label("Why").fill("a drill")
    await dialog.get_by_label("Operator's token").fill(TOKEN)
    await dialog.get_by_label("Only this supplier").fill("acme")
    await dialog.get_by_label("Yes, orders shall wait").check()
    assert await dialog.get_by_label("Pause it anyway").count() == 0
    await dialog.get_by_role("button", name="Pause").click()
    await dialog.get_by_text("one that the shop knows (near it: Acme)").wait_for()
    assert server.log.entries == []
    await dialog.get_by_label("Pause it anyway").check()
    await dialog.get_by_role("button", name="Pause").click()
    await page.get_by_role("button", name="Ordering paused (1)").wait_for()
    assert [one.supplier for one in server.log.entries] == ["acme"]


async def test_incident_of_an_order_names_the_order(server, visit):
    """A buyer with three late orders of one item has to know which is which."""
    visitor = await visit(server.url)
    await visitor.go()
    script = """async (subject) => {
        const { incidentEntry } = await import('/static/js/views/incidents.js');
        const one = { subject, sku: "mug", warehouse: "north", kind: "late_delivery", figures: {},
                      severity: "medium", team: "logistics", action: "Call", started_ms: 0 };
        return incidentEntry(one, {}).querySelector(".what").innerText;
    }"""
    assert "mug north, po-1" in await visitor.page.evaluate(script, "po-1")
    assert "mug north," not in await visitor.page.evaluate(script, "mug@north")


async def test_stock_below_nothing_is_a_fault_to_count(shop, server, visit):
    """Where what is on hand is shown: 0, and that somebody has to count."""
    at = shop.now_ms - HOUR_MS
    await shop.tell("stock", counted("lamp", at - HOUR_MS, 2))
    await shop.tell("orders", placed("lamp", at, 9))
    await shop.tell("shipments", dispatched("lamp", at, 5))
    await shop.write_heartbeats()
    await shop.settle()
    visitor = await visit(server.url)
    page = visitor.page
    await visitor.go("#/shipping")
    row = page.locator("tbody tr", has_text="lamp")
    await row.get_by_text("count this").wait_for()
    assert "\N{MINUS SIGN}3" not in await row.inner_text()
    await visitor.go("#/item?sku=lamp")
    await page.get_by_text("0 units: count this. By the record \N{MINUS SIGN}3").wait_for()


async def test_late_record_stands_beside_the_dead_letters(shop, server, visit):
    """With its code, how many there were, and what to do about it."""
    now = shop.now_ms
    await shop.tell("orders", placed("lamp", now - 5 * DAY_MS), placed("lamp", now - HOUR_MS))
    await shop.tell("orders", placed("lamp", now - 4 * DAY_MS))
    await shop.tell_bytes("orders", b"no JSON")
    await shop.write_heartbeats()
    await shop.settle()
    visitor = await visit(server.url)
    await visitor.go("#/dead-letters")
    page = visitor.page
    await page.get_by_text("Too late to be counted since the beginning: orders: 1").wait_for()
    await page.get_by_text("Dead letters since the beginning: orders: 1").wait_for()
    row = page.locator("tbody tr", has_text="grace period")
    await row.get_by_text("count the stock of its item again").wait_for()
    assert await page.locator("#nav-dead-letters").inner_text() == "2"


async def test_labels_of_an_axis_are_distinguished(server, visit):
    """As many digits as it takes; a day that is labelled twice is named once."""
    visitor = await visit(server.url)
    await visitor.go()
    for values, texts in (
        ([0, 0.002, 0.004], ["0", "0.002", "0.004"]),
        ([0, 2.5, 5], ["0", "2.5", "5"]),
        ([0, 1000, 2000], ["0", "1,000", "2,000"]),
    ):
        script = "async (values) => (await import('/static/js/format.js')).ticks(values)"
        assert await visitor.page.evaluate(script, values) == texts
    script = "async () => (await import('/static/js/format.js')).unique(['Mon', 'Mon', 'Tue'])"
    assert await visitor.page.evaluate(script) == ["Mon", "", "Tue"]
    for subject, words in (
        ("orders/2", "orders, partition 2"),
        ("inputs/0", "all topics, partition 0"),
        ("shop", "the shop"),
        ("category:lamps", "category lamps"),
    ):
        script = "async (subject) => (await import('/static/js/format.js')).subject(subject)"
        assert await visitor.page.evaluate(script, subject) == words
