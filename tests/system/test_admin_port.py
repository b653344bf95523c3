"""The admin port tells the truth about a worker, and tells it on loopback only."""

import asyncio
import json
import signal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from infra.local.embedded import EmbeddedRedis
from tests.system.conftest import Events, Install
from tests.system.support.running import WorkerUnderTest, eventually

_AWAY = "Redis has taken nothing for"


def _reasons(worker: WorkerUnderTest) -> str:
    answer = worker.ask("/readyz")
    assert answer.status == 503
    return "; ".join(json.loads(answer.text)["reasons"])


def _is_away(worker: WorkerUnderTest) -> bool:
    answer = worker.ask("/readyz")
    return answer.status == 503 and _AWAY in answer.text


async def test_readiness_follows_assignment_and_redis(
    install: Install, own_redis: EmbeddedRedis, events: Events
) -> None:
    """Not ready before partitions are assigned, nor while Redis is frozen or dead; else ready."""
    tidegate = await install(redis_url=own_redis.url)
    worker = await tidegate.add_worker()
    assert worker.ask("/livez").status == 200
    assert _reasons(worker) == "no partitions are assigned yet"
    await worker.wait_until_ready()
    ready = {"status": "ok", "partitions": [0, 1, 2, 3], "handover": []}
    await eventually(lambda: json.loads(worker.ask("/readyz").text) == ready, "calm is seen")

    replaying = asyncio.create_task(tidegate.replay(events.records, speed=events.speed_for(30.0)))
    await eventually(lambda: tidegate.consumed() > 500, "events are coming in")
    own_redis.signal(signal.SIGSTOP)
    try:
        await eventually(lambda: _is_away(worker), "a frozen Redis is reported", seconds=30)
        assert worker.ask("/livez").status == 200
        assert "tidegate_ready 0.0" in worker.ask("/metrics").text
    finally:
        own_redis.signal(signal.SIGCONT)
    await worker.wait_until_ready()
    await asyncio.to_thread(own_redis.kill)
    await eventually(lambda: _is_away(worker), "a dead Redis is reported", seconds=30)
    await asyncio.to_thread(own_redis.start)
    await worker.wait_until_ready()
    await eventually(
        lambda: "tidegate_ready 1.0" in worker.ask("/metrics").text, "the metric says so, too"
    )
    replaying.cancel()
    await asyncio.gather(replaying, return_exceptions=True)


async def test_idle_worker_notices_that_redis_is_dead(
    install: Install, own_redis: EmbeddedRedis
) -> None:
    """A worker without traffic is not ready while Redis is away: the first event would wait."""
    tidegate = await install(redis_url=own_redis.url)
    worker = await tidegate.add_ready_worker()
    await asyncio.to_thread(own_redis.kill)
    await eventually(lambda: _is_away(worker), "a dead Redis is reported", seconds=5)


async def test_metrics_parse_and_listen_on_loopback_only(install: Install) -> None:
    """Prometheus can read every family, the parts add up, and other addresses get no answer."""
    tidegate = await install()
    worker = await tidegate.add_ready_worker()
    text = worker.ask("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {"tidegate_records", "tidegate_ready", "tidegate_commit_duration_seconds"} <= set(
        families
    )
    assert all(name.startswith(("tidegate_", "process_")) for name in families)
    assert all(family.documentation for family in families.values())
    assert sum(len(family.samples) for family in families.values()) < 500
    with pytest.raises(OSError):  # noqa: PT011 - refused, or no such address: both are well
        worker.ask("/livez", host="127.0.0.2")
