"""A buyer at the page: which orders wait, and a word about one of them."""

from tests.browser.shop import (
    DAY_MS,
    HOUR_MS,
    TOKEN,
    counted,
    item,
    open_shop,
    placed,
    serving,
)

LIMIT = {"approval_amount": 1.0}


async def test_an_order_is_changed_rejected_and_approved_at_the_page(redis_url, visit):
    """Each word asks who and why, stands in the audit log, and shows at once."""
    async with open_shop(redis_url, **LIMIT) as shop, serving(redis_url, **LIMIT) as server:
        start = shop.now_ms // DAY_MS * DAY_MS - 3 * DAY_MS
        names = ("lamp", "rug", "vase")
        await shop.tell("catalog", *[item(name, start) for name in names])
        await shop.tell("stock", *[counted(name, start, 5) for name in names])
        for name in names:
            await shop.tell(
                "orders", *[placed(name, start + n * HOUR_MS, 3) for n in range(3 * 24)]
            )
        await shop.write_heartbeats()
        await shop.settle()
        visitor = await visit(server.url)
        await visitor.go("#/orders")
        page = visitor.page
        rows = page.locator("tbody tr")
        await rows.first.wait_for()
        waiting = await rows.count()
        assert waiting >= 2
        assert "+" not in await rows.first.inner_text()  # an amount, no difference

        async def say(verb: str, units: str | None = None) -> None:
            await rows.first.get_by_role("button", name=verb).click()
            dialog = page.get_by_role("dialog")
            await dialog.get_by_label("Who you are").fill("Ada")
            given = await dialog.get_by_label("Why").input_value()
            assert given == ("agreed" if server.log.entries else ""), "one reason for many orders"
            await dialog.get_by_label("Why").fill("agreed")
            if await dialog.get_by_label("Operator's token").count():
                await dialog.get_by_label("Operator's token").fill(TOKEN)
            if units:
                await dialog.get_by_label("Units").fill(units)
            await dialog.get_by_role("button", name=verb).click()
            await dialog.wait_for(state="detached")

        await say("Approve")
        await page.get_by_text(f"{waiting - 1} of them wait").wait_for()
        await say("Change", "7")
        await page.get_by_text("its log to go on: changed to 7 units").wait_for()
        assert [one.verdict for one in server.log.entries] == ["approved", "changed"]
        assert server.log.entries[1].quantity == 7
        await say("Reject")
        await page.get_by_text(f"{waiting - 2} of them wait").wait_for()
        await page.get_by_role("button", name="all open").click()
        await page.get_by_text("rejected, it never leaves").wait_for()
        rejected = server.log.entries[-1].sku
        await visitor.go(f"#/item?sku={rejected}&warehouse=main")  # the same on the item's page
        await page.get_by_role("heading", name="On order").wait_for()
        await page.get_by_text("rejected, it never leaves").wait_for()
        assert {(one.who, one.why) for one in server.log.entries} == {("Ada", "agreed")}
        assert visitor.complaints == []


async def test_a_buyer_approves_all_that_is_shown_by_keyboard(redis_url, visit):
    """Found by words, what is shown is approved; the rest waits on, and one is changed by keys."""
    async with open_shop(redis_url, **LIMIT) as shop, serving(redis_url, **LIMIT) as server:
        start = shop.now_ms // DAY_MS * DAY_MS - 3 * DAY_MS
        names = ("lamp red", "rug blue", "vase tall", "mug wide", "bowl flat", "jar round")
        await shop.tell("catalog", *[item(name, start) for name in names])
        await shop.tell("stock", *[counted(name, start, 5) for name in names])
        for name in names:
            await shop.tell(
                "orders", *[placed(name, start + n * HOUR_MS, 3) for n in range(3 * 24)]
            )
        await shop.write_heartbeats()
        await shop.settle()
        visitor = await visit(server.url)
        await visitor.go("#/orders")
        page = visitor.page
        rows = page.locator("tbody tr")
        await rows.first.wait_for()
        total = await rows.count()
        assert total >= 2
        shown = (await rows.first.locator("a").inner_text()).split()[0]
        await page.get_by_label("Supplier, item or order").fill(f"lean {shown}")
        await page.get_by_text(f"{total} open").wait_for()
        await rows.nth(1).wait_for(state="detached")

        async def fill_and_send() -> None:
            dialog = page.get_by_role("dialog")
            await dialog.get_by_label("Who you are").fill("Ada")
            await dialog.get_by_label("Why").fill("plan")
            if await dialog.get_by_label("Operator's token").count():
                await dialog.get_by_label("Operator's token").fill(TOKEN)
            await page.keyboard.press("Enter")
            await dialog.wait_for(state="detached")

        await page.get_by_role("heading", name="Purchase orders").click()
        await page.keyboard.press("Shift+A")
        await page.get_by_text("Approve 1 order").wait_for()
        await fill_and_send()
        await page.get_by_text(f"{total - 1} of them wait").wait_for()
        await page.get_by_label("Supplier, item or order").fill("")
        await rows.nth(total - 2).wait_for()
        await page.get_by_role("heading", name="Purchase orders").click()
        await page.keyboard.press("j")
        await page.keyboard.press("e")
        await page.get_by_role("dialog").get_by_label("Units").fill("7")
        await fill_and_send()
        await page.get_by_text("changed to 7 units").wait_for()
        approved, changed = server.log.entries
        assert (approved.verdict, approved.sku.split()[0], approved.who) == (
            "approved",
            shown,
            "Ada",
        )
        assert (changed.verdict, changed.quantity) == ("changed", 7)
        assert changed.sku != approved.sku
        assert visitor.complaints == []


async def test_a_shop_without_open_orders_says_so(shop, server, visit):
    """Under both choices."""
    await shop.write_heartbeats()
    await shop.settle()
    visitor = await visit(server.url)
    await visitor.go("#/orders")
    await visitor.page.get_by_text("No purchase order waits.").wait_for()
    await visitor.page.get_by_role("button", name="all open").click()
    await visitor.page.get_by_text("No purchase order is open.").wait_for()
