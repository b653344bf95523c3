"""The admin port: metrics, liveness and readiness over HTTP."""

from contextlib import asynccontextmanager

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Gauge

from infra.admin.routes import make_admin
from infra.admin.server import AdminServer


class Worker:
    """A worker's health."""

    def __init__(self) -> None:
        self.tasks = {3: None, 1: None}
        self.wrong: list[str] = []
        self.stuck = 0.0
        self.progress = self

    def is_alive(self) -> bool:
        """Whether reading goes on."""
        return not self.stuck

    def stuck_for_s(self) -> float:
        """For how long it has not."""
        return self.stuck

    def holds(self) -> list[str]:
        """Why orders wait."""
        return []

    def faults(self) -> list[str]:
        """Why it is not ready."""
        return self.wrong


@asynccontextmanager
async def admin_of(worker: Worker):
    """A running admin port and a client."""
    registry = CollectorRegistry()
    Gauge("tidegate_ready", "Whether.", registry=registry)
    server = AdminServer(make_admin(worker, registry), "127.0.0.1", 0)
    url = await server.start()
    try:
        async with aiohttp.ClientSession(url) as client:
            yield client
    finally:
        await server.stop()


async def test_metrics_are_in_the_text_format():
    """Prometheus reads them from /metrics."""
    async with admin_of(Worker()) as client, client.get("/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert "tidegate_ready 0.0" in await answer.text()


async def test_readiness_says_what_is_wrong():
    """A worker without Redis gets no work, and a person reads why."""
    worker = Worker()
    async with admin_of(worker) as client:
        async with client.get("/readyz") as answer:
            assert (answer.status, await answer.json()) == (
                200,
                {"status": "ok", "partitions": [1, 3], "handover": []},
            )
        worker.wrong = ["Redis has not answered for 4 s"]
        async with client.get("/readyz") as answer:
            assert answer.status == 503
            assert (await answer.json())["reasons"] == worker.wrong


async def test_liveness_is_that_reading_goes_on():
    """A stuck worker is to be started anew; one without Redis is not."""
    worker = Worker()
    worker.wrong = ["Redis has not answered for 400 s"]
    async with admin_of(worker) as client:
        async with client.get("/livez") as answer:
            assert answer.status == 200
        worker.stuck = 61.0
        async with client.get("/livez") as answer:
            assert answer.status == 503
            assert "61 s" in (await answer.json())["reasons"][0]


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_can_be_changed(path, method):
    """Without a token a change is refused, whatever the path."""
    async with admin_of(Worker()) as client, client.request(method, path) as answer:
        assert answer.status == 401


async def test_port_is_free_again_after_stop():
    """A worker that stopped does not answer."""
    worker = Worker()
    async with admin_of(worker) as client:
        url = str(client._base_url)
    async with aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.get(f"{url}/livez")
