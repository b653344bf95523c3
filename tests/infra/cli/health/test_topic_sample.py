"""`tidegate doctor --topic`: what is wrong with a topic, and which setting mends it."""

import json
import time
import zlib
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from infra.cli.app import run
from infra.cli.health.check import Check, Status
from infra.cli.health.topic_sample import judge
from infra.kafka.topic_reader import TopicRecord
from infra.settings import Settings
from streams.ingest.placement import home_of
from tests.conftest import Stack

NOW_MS = 1_796_000_000_000
MIDNIGHT_MS = NOW_MS // 86_400_000 * 86_400_000
SETTINGS = Settings.model_validate({"topic_prefix": "t-"})
PARTITIONS = 4


def order(number: int, **fields: Any) -> dict[str, Any]:
    """One event of `orders`."""
    line = {"kind": "placed", "event_id": f"e{number}", "order_id": f"o{number}", "quantity": 1}
    return {**line, "sku": f"sku-{number % 7}", "occurred_at": NOW_MS + number, **fields}


def records(values: list[dict[str, Any]], home: Any = home_of, **changed: Any) -> list[TopicRecord]:
    """Values as they lie in a topic, keyed by sku."""
    made = []
    for offset, value in enumerate(values):
        key = str(value.get("sku", "x")).encode()
        own = {"topic": "t-orders", "partition": home(key, PARTITIONS), "offset": offset}
        own |= {"written_ms": NOW_MS + offset, "key": key, "headers": ()}
        made.append(TopicRecord(**{**own, "value": json.dumps(value).encode(), **changed}))
    return made


def judged(sample: list[TopicRecord], topic: str = "t-orders") -> dict[str, Check]:
    """The worst check of each name."""
    worst: dict[str, Check] = {}
    for check in judge(sample, topic, len(sample), PARTITIONS, SETTINGS):
        if check.name not in worst or worst[check.name].status == Status.OK:
            worst[check.name] = check
    return worst


GOOD = [order(number) for number in range(60)]


def test_a_good_topic_has_nothing_to_mend() -> None:
    """Each check says what it saw."""
    found = judged(records(GOOD))
    assert {check.status for check in found.values()} == {Status.OK}
    assert {"form", "contract", "keys", "partitioner", "times", "lateness", "ids"} <= found.keys()


def crc32(key: bytes, partitions: int) -> int:
    """librdkafka's default."""
    return zlib.crc32(key) % partitions


@pytest.mark.parametrize(
    ("sample", "name", "words"),
    [
        (records(GOOD, crc32), "partitioner", ["CRC32", "murmur2_random", "sku-"]),
        (records(GOOD, key=None), "keys", ["no key", "set key = sku"]),
        (records(GOOD, key=b"o1"), "keys", ["not the sku", "'o1'"]),
        (records([order(n, occurred_at=NOW_MS // 1000) for n in range(20)]), "times", ["seconds"]),
        (
            records([order(n, occurred_at="2026-11-29T10:00:00") for n in range(20)]),
            "times",
            ["no zone", "RFC 3339"],
        ),
        (records([order(n, occurred_at=NOW_MS + 3_300_000) for n in range(20)]), "clocks", ["55"]),
        (records([order(n, occurred_at=NOW_MS - 7_200_000) for n in range(20)]), "clocks", ["2 h"]),
        (records([order(n, quantity="3") for n in range(20)]), "contract", ["wrong_type", "20 "]),
        (records([order(1), order(1, quantity=2)]), "ids", ["two different events", "e1"]),
        (records(GOOD, value=b"\x00\x00\x00\x00\x07abc"), "form", ["schema registry"]),
        (records(GOOD, value=b"a;b"), "form", ["no JSON object", "a;b"]),
        (records([order(1), order(2, occurred_at=NOW_MS - 10**8)], lambda *_: 0), "lateness", []),
        (
            records([order(n, occurred_at=MIDNIGHT_MS) for n in range(20)]),
            "times",
            ["midnight", "import"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_mends_it(
    sample: list[TopicRecord], name: str, words: list[str]
) -> None:
    """One fault each; the check says how many, shows one, and names a setting."""
    check = judged(sample)[name]
    assert check.status != Status.OK
    assert [word for word in words if word not in f"{check.finding} {check.advice}"] == []
    assert check.advice


def test_a_shops_own_topic_is_judged_by_what_a_mapping_needs() -> None:
    """Texts that are amounts, times, change events; there is no contract yet."""
    values = [{"product_sku": "a", "created": 1_796_000_000, "price": "12,50"} for _ in range(20)]
    found = judged(records(values, key=b"a"), "shop.lines")
    assert 'decimal = ","' in found["decimals"].advice
    assert "created" in found["times"].finding
    assert "contract" not in found
    change = {"op": "c", "source": {}, "after": {"sku": "a"}}
    assert "debezium" in judged_all(records([change] * 3), "shop.lines")


def judged_all(sample: list[TopicRecord], topic: str) -> str:
    """All that is said."""
    checks = judge(sample, topic, len(sample), PARTITIONS, SETTINGS)
    return "\n".join(f"{one.finding} {one.advice}" for one in checks)


def test_an_empty_topic_is_said_to_be() -> None:
    """There is nothing to judge."""
    assert "is empty" in judged([])["records"].finding


@pytest.mark.system
async def test_the_command_reads_any_topic(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over a real broker; a fault is exit code 1, a topic that is not there 3."""
    import asyncio

    topic = f"{stack.prefix}shop-lines"
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=stack.bootstrap, enable_idempotence=False) as out:
        for number in range(20):
            sku = f"sku-{number % 5}"
            value = {"sku": sku, "created_at": int(time.time()), "qty": 1}
            place = crc32(sku.encode(), PARTITIONS)
            await out.send(topic, json.dumps(value).encode(), sku.encode(), partition=place)
        await out.flush()
    flags = ["--kafka-bootstrap", stack.bootstrap, "--json"]
    assert await asyncio.to_thread(run, ["doctor", "--topic", topic, *flags]) == 1
    said = json.loads(capsys.readouterr().out)
    failing = {one["name"] for one in said["checks"] if one["status"] == "fail"}
    assert failing == {"partitioner", "times"}
    assert await asyncio.to_thread(run, ["doctor", "--topic", "none", *flags]) == 3
