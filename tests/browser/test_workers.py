"""The page of real workers: each shows the whole shop, and outlives the others and itself."""

import asyncio
import json
import time

import aiohttp
import msgspec
from aiokafka import AIOKafkaProducer

from infra.replay.log_writer import partition_for
from tests.browser.shop import TOKEN, placed
from tests.system.support.running import PARTITIONS, Installation, WorkerUnderTest, eventually

SKUS = [f"sku-{number}" for number in range(12)]  # on every partition some


async def produce(tidegate: Installation, *events: dict) -> None:
    """Write orders to Kafka."""
    prefix = tidegate.settings.topic_prefix
    async with AIOKafkaProducer(bootstrap_servers=tidegate.settings.kafka_bootstrap) as producer:
        for event in events:
            key = event["sku"].encode()
            value = msgspec.json.encode({"event_id": event["order_id"], **event})
            partition = partition_for(key, PARTITIONS)
            await producer.send(f"{prefix}orders", value, key, partition=partition)
        await producer.flush()


def items_at(worker: WorkerUnderTest) -> list[str]:
    """What a worker's API says of the whole shop."""
    answer = worker.ask("/api/v1/items?sort=sku")
    return [one["sku"] for one in json.loads(answer.text)["items"]] if answer.status == 200 else []


def owned_by(worker: WorkerUnderTest) -> int:
    """How many partitions are its own."""
    return len(json.loads(worker.ask("/readyz").text).get("partitions", []))


async def test_any_worker_shows_the_whole_shop_and_comes_back(install, visit):
    """Two workers share the partitions; each page has all items, also after its worker's death."""
    tidegate = await install(tick_seconds=1, heartbeat_interval_seconds=0.5)
    one, two = [await tidegate.add_worker() for _ in range(2)]
    assert {PARTITIONS} == {len({partition_for(sku.encode(), PARTITIONS) for sku in SKUS})}
    now_ms = int(time.time() * 1000)
    await produce(tidegate, *[placed(sku, now_ms) for sku in SKUS])
    for worker in (one, two):
        await eventually(lambda w=worker: items_at(w) == sorted(SKUS), "the whole shop")
        await eventually(lambda w=worker: 0 < owned_by(w) < PARTITIONS, "each owns a part")

    visitor = await visit(f"http://{one.address}")
    await visitor.go("#/items")
    rows = visitor.page.locator("tbody tr")
    await visitor.page.get_by_text(f"1 to {len(SKUS)} of {len(SKUS)}").wait_for()
    assert await rows.count() == len(SKUS)
    await asyncio.to_thread(one.kill)
    await visitor.page.locator("#banner").get_by_text("No connection").wait_for()
    await produce(tidegate, placed("late", int(time.time() * 1000)))
    await one.begin()
    await visitor.page.locator("tbody tr", has_text="late").wait_for(timeout=60_000)
    await visitor.page.locator("#banner").wait_for(state="hidden")


async def test_an_incident_acknowledged_at_one_worker_is_acknowledged_at_all(install):
    """It is so at the other worker, in the metrics, and after both have been killed."""
    tidegate = await install(
        tick_seconds=1,
        heartbeat_interval_seconds=0.5,
        operator_token=TOKEN,
        allowed_lateness_seconds=1,
    )
    one, two = await asyncio.gather(*[tidegate.add_worker() for _ in range(2)])
    await eventually(
        lambda: owned_by(one) + owned_by(two) == PARTITIONS, "the partitions have owners"
    )
    await produce(tidegate, *[placed(sku, int(time.time() * 1000)) for sku in SKUS])
    await eventually(lambda: items_at(one) == sorted(SKUS), "every partition has a clock")
    await produce_bad_record(tidegate)
    incident = await eventually(lambda: incident_at(one), "the bad record is an incident")
    assert incident["acknowledged"] is None
    async with aiohttp.ClientSession(f"http://{one.address}") as client:
        body = {"incident_id": incident["incident_id"], "who": "Ada", "note": "on it"}
        headers = {"Authorization": f"Bearer {TOKEN}"}
        path = "/api/v1/incidents/acknowledge"
        async with client.post(path, json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()

    async def acknowledged_by_one(workers) -> None:
        for worker in workers:
            await eventually(lambda w=worker: who_has_it(w) == "Ada", "Ada has it")
        count = 'tidegate_incidents_open{acknowledged="yes",kind="dead_letters"} 1.0'
        await eventually(
            lambda: any(count in worker.ask("/metrics").text for worker in workers),
            "the metrics tell it",
        )

    await acknowledged_by_one([one, two])
    for worker in (one, two):
        await asyncio.to_thread(worker.kill)
    await one.begin()
    await acknowledged_by_one([one])


async def produce_bad_record(tidegate: Installation) -> None:
    """Write something to the orders that is none."""
    topic = f"{tidegate.settings.topic_prefix}orders"
    async with AIOKafkaProducer(bootstrap_servers=tidegate.settings.kafka_bootstrap) as producer:
        await producer.send_and_wait(topic, b"{", partition=0)


def incident_at(worker: WorkerUnderTest) -> dict | None:
    """The only incident that a worker's API tells of."""
    answer = worker.ask("/api/v1/incidents")
    found = json.loads(answer.text)["incidents"] if answer.status == 200 else []
    return found[0] if found else None


def who_has_it(worker: WorkerUnderTest) -> str | None:
    """Who has taken that incident on, as a worker's API says."""
    taken = (incident_at(worker) or {}).get("acknowledged")
    return taken and taken["who"]


async def test_an_operator_pauses_and_resumes_ordering(install, visit):
    """The kill switch asks who, why and for the token, and says who paused what."""
    tidegate = await install(operator_token=TOKEN)
    worker = await tidegate.add_ready_worker()
    visitor = await visit(f"http://{worker.address}")
    await visitor.go()
    page = visitor.page
    await page.get_by_role("button", name="Pause ordering").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Who you are").fill("Ada")
    await dialog.get_by_label("Why").fill("a drill")
    await dialog.get_by_label("Operator's token").fill(TOKEN)
    await dialog.get_by_role("button", name="Pause").click()
    assert not json.loads(worker.ask("/api/v1/holds").text)["holds"], "it was not confirmed"
    await dialog.get_by_label("Yes, orders shall wait").check()
    await dialog.get_by_role("button", name="Pause").click()
    await page.get_by_role("button", name="Ordering paused (1)").click()
    await dialog.get_by_text("Ada: a drill").wait_for()
    (hold,) = json.loads(worker.ask("/api/v1/holds").text)["holds"]
    assert (hold["who"], hold["why"], hold["sku"]) == ("Ada", "a drill", None)
    await dialog.get_by_role("button", name="Resume").click()
    await dialog.get_by_label("Why").fill("it is over")
    await dialog.get_by_role("button", name="Resume").click()
    await page.get_by_role("button", name="Pause ordering").wait_for()
    assert json.loads(worker.ask("/api/v1/holds").text)["holds"] == []
