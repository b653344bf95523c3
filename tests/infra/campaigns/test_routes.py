"""Campaigns in the API: what is kept is shown, what is not is named."""

from contextlib import asynccontextmanager

import aiohttp
from prometheus_client import CollectorRegistry

from infra.admin.access import Access
from infra.admin.routes import make_admin
from infra.admin.server import AdminServer
from infra.campaigns import versions
from infra.campaigns.routes import PATH, add_campaign_routes
from tests.infra.admin.test_routes import Worker
from tests.infra.campaigns.test_versions import DOCUMENT, Kept


@asynccontextmanager
async def api(kept):
    """The API on a loopback socket, and a client."""
    app = make_admin(Worker(), CollectorRegistry(), Access("127.0.0.1"))
    add_campaign_routes(app, kept)
    server = AdminServer(app, "127.0.0.1", 0)
    url = await server.start()
    try:
        async with aiohttp.ClientSession(url) as client:
            yield client
    finally:
        await server.stop()


async def test_campaigns_are_listed_with_state_budget_and_versions():
    """As the audit log of the worker has them."""
    kept = Kept()
    kept.save()
    kept.add(versions.checked, "sale", {"verdict": "go"}, "bob", "room")
    async with api(kept) as client:
        async with client.get(PATH) as answer:
            (row,) = (await answer.json())["campaigns"]
        assert (row["state"], row["version"], row["expected_units"]) == ("checked", 2, 900)
        assert row["ad_budget"]["total"] == 500
        assert row["ad_budget"]["approved"] == 0
        assert [(one["who"], one["verdict"]) for one in row["versions"]] == [
            ("ann", None),
            ("bob", "go"),
        ]
        async with client.get(f"{PATH}/sale") as answer:
            page = await answer.json()
        assert page["document"] == DOCUMENT
        assert page["campaign"] == row


async def test_a_campaign_that_is_not_kept_is_named():
    """404, with the field and its rule."""
    async with api(Kept()) as client, client.get(f"{PATH}/other") as answer:
        assert answer.status == 404
        assert "campaign" in await answer.text()
