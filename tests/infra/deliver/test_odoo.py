"""Odoo over real sockets: drafts under one id, refusals inside a 200, a store that times out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from infra.deliver.courier import Clock, Courier
from infra.deliver.destinations import Odoo
from infra.deliver.odoo import OdooError, load_body
from infra.deliver.outbox import Outbox, State
from infra.deliver.outcome import End
from tests.infra.deliver.orders import NOW_S, message, put_in

SAMPLE_ROW = [
    "tidegate.po_0d42234752cf8a81a419",
    "tidegate.supplier_lean",
    "po-0d42234752cf8a81a419",
    "",
    "2026-11-18 00:00:00",
    "tidegate.po_0d42234752cf8a81a419_l1",
    "tidegate.sku_85123A",
    "120",
    "6.25",
    "2026-11-18 00:00:00",
]


class FakeOdoo:
    """Remembers drafts by their external ids; answers as a test wants."""

    def __init__(self) -> None:
        self.drafts: dict[str, list[Any]] = {}
        self.came: list[dict[str, str]] = []
        self.script: list[str] = []
        self.url = ""

    async def load(self, request: web.Request) -> web.StreamResponse:
        body = msgspec.json.decode(await request.read())
        self.came.append({k.lower(): v for k, v in request.headers.items()})
        how = self.script.pop(0) if self.script else ""
        if how == "refuse":
            return web.json_response({"ids": False, "messages": [{"message": "No such partner"}]})
        if how == "401":
            return web.json_response({"name": "Unauthorized", "message": "key"}, status=401)
        for row in body["data"]:
            if row[0]:
                self.drafts[row[0]] = body["data"]
        if how == "hang":
            await asyncio.sleep(30)
        if how == "504":
            return web.Response(status=504)
        return web.json_response({"ids": [7], "messages": []})


@asynccontextmanager
async def running() -> AsyncIterator[FakeOdoo]:
    odoo = FakeOdoo()
    app = web.Application()
    app.router.add_post("/json/2/purchase.order/load", odoo.load)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    odoo.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield odoo
    finally:
        await runner.cleanup()


async def send(folder: Path, outbox: Outbox, url: str, now_s: float = NOW_S) -> End | None:
    (folder / "key").write_text("abc\n")
    odoo = Odoo(name="erp", url=url, key_file=folder / "key", database="shop",
                partners={"Lean GmbH": "tidegate.supplier_lean"}, timeout_seconds=0.5)  # fmt: skip
    courier = Courier(outbox, {"erp": odoo}, Clock(lambda: now_s, lambda: 0.0))
    async with aiohttp.ClientSession() as client:
        outcome = await courier.send_next(odoo, client)
    return None if outcome is None else outcome.end


def test_draft_is_that_of_the_sample() -> None:
    """One row a line; external ids that never change."""
    body = load_body(message(), {"Lean GmbH": "tidegate.supplier_lean"}, {})
    assert body["data"] == [SAMPLE_ROW]
    assert body["fields"][0] == "id"


async def test_draft_is_made_once_whatever_is_answered(tmp_path: Path) -> None:
    """Stored, then 504; stored, then no answer: sent again under the same id, one draft."""
    async with running() as odoo:
        outbox = Outbox(tmp_path / "box")
        put_in(outbox, message())
        odoo.script = ["504", "hang"]
        ends = [await send(tmp_path, outbox, odoo.url, NOW_S + wait) for wait in (0, 5, 400)]
        assert ends == [End.UNKNOWN, End.UNKNOWN, End.DELIVERED]
        assert list(odoo.drafts) == ["tidegate.po_0d42234752cf8a81a419"]
        assert odoo.came[0]["authorization"] == "bearer abc"
        assert odoo.came[0]["x-odoo-database"] == "shop"
        put_in(outbox, message(version=2, kind="changed", quantity=60), offset=5)
        assert await send(tmp_path, outbox, odoo.url, NOW_S + 500) == End.DELIVERED
        (draft,) = odoo.drafts.values()
        assert draft[0][7] == "60"


async def test_refusal_inside_a_200_is_no_delivery(tmp_path: Path) -> None:
    """With Odoo's own words; a key that is over makes the destination dead."""
    async with running() as odoo:
        outbox = Outbox(tmp_path / "box")
        put_in(outbox, message(), message("po-2"))
        odoo.script = ["refuse", "401"]
        assert await send(tmp_path, outbox, odoo.url) == End.REFUSED
        assert outbox.listed()[0].said == "Odoo refuses: No such partner"
        assert await send(tmp_path, outbox, odoo.url) == End.GONE
        assert "is the key still valid?" in outbox.stopped()[0].stopped


async def test_order_that_names_nothing_in_odoo_is_not_sent(tmp_path: Path) -> None:
    """A cancel is for a person; a name that fits no external id has to be listed."""
    outbox = Outbox(tmp_path / "box")
    put_in(outbox, message(sku="tide mug"), message("po-2", kind="cancelled"))
    assert [await send(tmp_path, outbox, "http://127.0.0.1:1") for _ in "ab"] == [End.REFUSED] * 2
    first, second = outbox.listed()
    assert first.said.startswith("sku must be letters, digits, _ and - alone")
    assert second.said == "a cancelled order must be cancelled in Odoo by a person"
    assert first.state == State.REFUSED
    body = load_body(message(sku="tide mug"), {"Lean GmbH": "x.y"}, {"tide mug": "x.mug"})
    assert body["data"][0][6] == "x.mug"
    with pytest.raises(OdooError, match="supplier must be"):
        load_body(message(), {}, {})


def test_document_is_one_draft_with_its_lines() -> None:
    """The head stands in the first row alone; a cancelled line has 0 units."""
    lines = (message("po-1", supplier="lean"), message("po-2", supplier="lean", kind="cancelled"))
    body = load_body(message("do-1", supplier="lean", lines=lines), {}, {})
    assert [row[0] for row in body["data"]] == ["tidegate.do_1", ""]
    assert [row[7] for row in body["data"]] == ["120", "0"]
