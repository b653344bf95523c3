"""What a shop deletes from its catalog leaves ordering; that is no dead letter."""

import json
import time
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer

from tests.streams.logs import catalog_line, event
from tests.system.conftest import Install
from tests.system.support.running import Installation, WorkerUnderTest, eventually

LAMPS = (("LAMP", "main"), ("LAMP", "north"))
ITEMS = (*LAMPS, ("DESK", "main"))


async def _send(tidegate: Installation, records: Iterable[tuple[str, str, bytes | None]]) -> None:
    """Write records of topic, key and value."""
    prefix = tidegate.settings.topic_prefix
    async with AIOKafkaProducer(
        bootstrap_servers=tidegate.settings.kafka_bootstrap, enable_idempotence=False
    ) as producer:
        for topic, key, value in records:
            await producer.send_and_wait(prefix + topic, value, key.encode())


def _is_in_catalog(worker: WorkerUnderTest, sku: str, warehouse: str) -> bool:
    answer = worker.ask(f"/api/v1/item?sku={sku}&warehouse={warehouse}")
    return answer.status == 200 and json.loads(answer.text)["is_in_catalog"]


async def test_deleted_items_leave_ordering_and_are_no_dead_letters(install: Install) -> None:
    """Null values in `catalog` and `campaigns` end what their key names, in every warehouse; in
    `orders` one stays a dead letter. A key that nobody knows is counted and makes no item.
    """
    tidegate = await install(tick_seconds=1, allowed_lateness_seconds=1)
    worker = await tidegate.add_ready_worker()
    now = int(time.time() * 1000)
    plan = {"campaign_id": "c1", "expected_units": 40, "starts_at": now, "ends_at": now + 10**8}
    await _send(
        tidegate,
        [
            *(("catalog", sku, catalog_line(f"{sku}{at}", now, (sku, at))) for sku, at in ITEMS),
            ("campaigns", "LAMP", event("planned", "p1", now, LAMPS[0], **plan)),
        ],
    )
    await eventually(
        lambda: all(_is_in_catalog(worker, *item) for item in ITEMS), "the items are there"
    )
    await _send(
        tidegate,
        [(topic, key, None) for topic in ("catalog", "campaigns") for key in ("LAMP", "GONE")],
    )
    await _send(tidegate, [("orders", "LAMP", None)])
    await eventually(
        lambda: not any(_is_in_catalog(worker, *item) for item in LAMPS), "the items left"
    )
    assert _is_in_catalog(worker, *ITEMS[-1])
    counts = tidegate.outcomes_by_topic()
    assert [counts[topic, "folded"] for topic in ("catalog", "campaigns")] == [5, 3]
    found = {topic: n for (topic, outcome), n in counts.items() if n and outcome == "dead_lettered"}
    assert found == {"orders": 1}
    (dead,) = await tidegate.read("orders.dlt")
    assert dead.header("tidegate-error-code") == b"empty"
    assert worker.ask("/api/v1/item?sku=GONE").status == 404
