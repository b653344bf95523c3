"""Invariant 4: a bad record never stops a partition, and every record is accounted for."""

import json
import struct
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from infra.kafka.topic_reader import TopicRecord
from infra.replay.log_writer import partition_for
from streams.contracts.events import TOPICS
from streams.contracts.topics import dead_letter_topic, late_topic
from tests.system.conftest import Events, Install
from tests.system.support.running import PARTITIONS, Installation, eventually
from tests.system.test_handover import command

DEAD_LETTERS = [dead_letter_topic(topic) for topic in TOPICS]
LATE = [late_topic(topic) for topic in TOPICS]
OWN_HEADERS = {
    "kafka_dlt-original-topic",
    "kafka_dlt-original-partition",
    "kafka_dlt-original-offset",
    "kafka_dlt-original-timestamp",
    "kafka_dlt-original-timestamp-type",
    "kafka_dlt-exception-fqcn",
    "kafka_dlt-exception-message",
    "tidegate-error-code",
}


def _original(record: TopicRecord) -> tuple[str, int, int]:
    """Where a record lay, as its headers say."""
    topic = record.header("kafka_dlt-original-topic")
    partition = record.header("kafka_dlt-original-partition")
    offset = record.header("kafka_dlt-original-offset")
    assert topic is not None
    assert partition is not None
    assert offset is not None
    return topic.decode(), int.from_bytes(partition, "big"), int.from_bytes(offset, "big")


def _require_copies(copies: list[TopicRecord], inputs: list[TopicRecord]) -> None:
    """Fail unless each copy is a record of the inputs: key, value and its own headers."""
    by_place = {(one.topic, one.partition, one.offset): one for one in inputs}
    for copy in copies:
        record = by_place[_original(copy)]
        no_value = record.key is None and record.value is None  # which aiokafka does not send
        assert copy.key == record.key
        assert copy.value == (b"" if no_value else record.value)
        assert {name for name, _ in copy.headers} >= OWN_HEADERS
        assert [*copy.headers][: len(record.headers)] == [*record.headers]
        ours = [name for name, _ in [*copy.headers][len(record.headers) :]]
        assert set(ours) == OWN_HEADERS | ({"tidegate-value-null"} if no_value else set())
        written = copy.header("kafka_dlt-original-timestamp")
        assert written == max(record.written_ms, 0).to_bytes(8, "big")


async def _require_truth(tidegate: Installation, truth: dict[str, Any]) -> None:
    events = truth["events"]
    found = tidegate.outcomes_by_topic()
    for topic in TOPICS:
        bad = truth["bad_records"]["by_topic_and_code"].get(topic, {})
        assert found.get((topic, "dead_lettered"), 0) == sum(bad.values())
        assert found.get((topic, "duplicate"), 0) == events["duplicates"].get(topic, 0)
        assert found.get((topic, "late"), 0) == events["3_days_late"].get(topic, 0)
    outcomes = tidegate.outcomes()
    assert outcomes["folded"] + outcomes["late"] == events["distinct"]


async def test_every_record_of_a_sale_is_accounted_for(
    sale: tuple[Events, dict[str, Any]], install: Install
) -> None:
    """A sale with duplicates, late and bad records comes to its truth; each is where it belongs."""
    events, truth = sale
    tidegate = await install(tick_seconds=900)
    result = await tidegate.replay(events.records)
    worker = await tidegate.add_worker()
    await tidegate.wait_until_stored(result)
    once = await tidegate.exports()
    assert once.day_rows() == events.days
    assert once.decisions.count(b"\n") > 100
    assert tidegate.consumed() == sum(result.end_offsets.values())
    tidegate.require_balance()
    await _require_truth(tidegate, truth)
    inputs = await tidegate.read(*TOPICS)
    dead = await tidegate.read(*DEAD_LETTERS)
    codes = Counter((one.header("tidegate-error-code") or b"").decode() for one in dead)
    assert codes == truth["bad_records"]["by_code"]
    assert len({_original(one) for one in dead}) == len(dead) == truth["events"]["bad"]
    _require_copies(dead, inputs)
    late = await tidegate.read(*LATE)
    assert len({_original(one) for one in late}) == sum(truth["events"]["3_days_late"].values())
    _require_copies(late, inputs)
    assert 'tidegate_records_total{outcome="late",topic="orders"}' in worker.ask("/metrics").text

    before = tidegate.outcomes()
    await tidegate.wait_until_stored(await tidegate.replay(events.records))
    once.require_same(await tidegate.exports())
    after = tidegate.outcomes()
    tidegate.require_balance()
    assert after["folded"] == before["folded"]
    assert after["late"] == before["late"]
    assert after["dead_lettered"] == 2 * before["dead_lettered"]


async def test_headers_of_a_bad_record_are_kept(install: Install) -> None:
    """A dead letter carries its producer's headers, also two of one name, and its very bytes."""
    tidegate = await install()
    await tidegate.add_ready_worker()
    name = tidegate.settings.topic_prefix + "orders"
    headers = [("trace", b"\x00\xff"), ("trace", b"two"), ("empty", b"")]
    async with AIOKafkaProducer(bootstrap_servers=tidegate.settings.kafka_bootstrap) as producer:
        sent = await producer.send_and_wait(
            name, b"\x80 not json", b"\xfe key", partition=2, headers=headers
        )
    await tidegate.wait_until_reached({("orders", 2): sent.offset + 1})
    (dead,) = await tidegate.read("orders.dlt")
    assert (dead.key, dead.value) == (b"\xfe key", b"\x80 not json")
    assert list(dead.headers)[: len(headers)] == headers
    assert _original(dead) == (name, 2, sent.offset)
    (raw,) = await tidegate.read("orders")
    _require_copies([dead], [raw])


HOME = partition_for(b"lamp", PARTITIONS)
NAME = b"\xff\x80 \xc3"  # of a header: no UTF-8, which Kafka does not mind

ODD: list[tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes | None]], int]] = [
    (b"lamp", b'{"kind":"placed","quantity":"2"}', [("trace-parent", None)], 1),
    (None, None, [], -1),
    (b"", b"", [("", None), ("", b""), ("two", None), ("two", b"\x00\xff")], 0),
    (b"\xff\x00", b"[]", [("t\u00fcr \U0001fa91", None)], 1),
    (b"k" * 60_000, b"\x00" * 70_000, [("big", b"\xff" * 90_000)], 1),
    (b"lamp", b'{"kind":"gift"}', [(NAME.decode("ascii", "replace")[:1] * 2, b"odd")], 1),
    (
        b"lamp",
        b"{",
        [("kafka_dlt-original-offset", b"\xff" * 5_000), ("tidegate-error-code", None)],
        1,
    ),
]


async def _write_odd(producer: AIOKafkaProducer, topic: str, late: bytes) -> int:
    """Write each odd record and a late one with a null header; return the end of the partition."""
    end = 0
    now_ms = int(time.time() * 1000)
    for key, value, headers, at in [*ODD, (b"lamp", late, [("trace-parent", None)], now_ms)]:
        batch = producer.create_batch()
        names = [
            ("#####" if not name.isprintable() or "\ufffd" in name else name) for name, _ in headers
        ]
        pairs = [(name, content) for name, (_, content) in zip(names, headers, strict=True)]
        assert batch.append(key=key, value=value, timestamp=at, headers=pairs)
        built = bytearray(bytes(batch._build()).replace(b"#####", NAME + b"!"))
        built[17:21] = struct.pack(">I", calc_crc32c(bytes(built[21:])))
        batch._buffer = built
        end = (await (await producer.send_batch(batch, topic, partition=HOME))).offset + 1
    return end


async def test_whatever_kafka_takes_costs_only_itself(install: Install) -> None:
    """Null, empty, binary and huge keys, values, names and headers on bad and late records: each is
    put away with its reason, the worker goes on, and every command shows them.
    """
    tidegate = await install()
    worker = await tidegate.add_ready_worker()
    topic = tidegate.settings.topic_prefix + "orders"
    order = {"kind": "placed", "sku": "lamp", "order_id": "o", "quantity": 1}
    good = {**order, "event_id": "good", "occurred_at": 1_764_000_000_000}
    late = json.dumps({**order, "event_id": "late", "occurred_at": 1_700_000_000_000}).encode()
    async with AIOKafkaProducer(
        bootstrap_servers=tidegate.settings.kafka_bootstrap, enable_idempotence=False
    ) as producer:
        await producer.send_and_wait(topic, json.dumps(good).encode(), b"lamp", partition=HOME)
        end = await _write_odd(producer, topic, late)
        last = {**good, "event_id": "last"}
        await producer.send_and_wait(topic, json.dumps(last).encode(), b"lamp", partition=HOME)
    await tidegate.wait_until_reached({("orders", HOME): end + 1})
    worker.require_alive()
    counts = tidegate.outcomes_by_topic()
    assert counts["orders", "folded"] == 2
    assert counts["orders", "dead_lettered"] == len(ODD)
    assert counts["orders", "late"] == 1
    inputs = await tidegate.read("orders")
    dead = await tidegate.read("orders.dlt")
    assert len(dead) == len(ODD)
    _require_copies(dead, inputs)
    (copy,) = await tidegate.read("orders.late")
    assert copy.headers[0] == ("trace-parent", None)
    odd = next(one for one in dead if any(name.startswith("\\xff") for name, _ in one.headers))
    place = (str(odd.partition), str(odd.offset))
    for arguments in (("dlt", "list"), ("dlt", "show", "orders", *place)):
        done = command(tidegate, *arguments)
        assert done.returncode == 0, done.stderr
    page = worker.ask("/api/v1/dead-letters")
    assert page.status == 200, page.text
    assert len(json.loads(page.text)["dead_letters"]) >= len(ODD)


def _orders(skus: list[str]) -> list[tuple[str, bytes]]:
    line = {"kind": "placed", "order_id": "o", "quantity": 1, "occurred_at": 1_764_000_000_000}
    return [
        (sku, json.dumps({**line, "event_id": sku, "sku": sku}, ensure_ascii=False).encode())
        for sku in skus
    ]


async def test_records_that_lie_elsewhere_are_refused_and_can_be_sent_where_they_belong(
    install: Install,
) -> None:
    """Orders by librdkafka's default partitioner, without a key and keyed by order: none of these
    is counted in another shard; each says what mends it, and `dlt replay` puts it right.
    """
    tidegate = await install()
    await tidegate.add_ready_worker()
    topic = tidegate.settings.topic_prefix + "orders"
    orders = _orders([f"SKU-{number:03}" for number in range(40)])
    ends: dict[tuple[str, int], int] = {}
    async with AIOKafkaProducer(bootstrap_servers=tidegate.settings.kafka_bootstrap) as producer:
        for number, (sku, value) in enumerate(orders):
            key = {0: None, 1: b"order-1"}.get(number, sku.encode())
            at = zlib.crc32(sku.encode()) % PARTITIONS
            sent = await producer.send_and_wait(topic, value, key, partition=at)
            ends["orders", at] = sent.offset + 1
    await tidegate.wait_until_reached(ends)
    right = [
        sku
        for sku, _ in orders[2:]
        if zlib.crc32(sku.encode()) % PARTITIONS == partition_for(sku.encode(), PARTITIONS)
    ]
    counts = tidegate.outcomes_by_topic()
    assert counts["orders", "folded"] == len(right) < 20
    assert counts["orders", "dead_lettered"] == len(orders) - len(right)
    dead = await tidegate.read("orders.dlt")
    assert {one.header("tidegate-error-code") for one in dead} == {b"wrong_key"}
    messages = [one.header("kafka_dlt-exception-message") or b"" for one in dead]
    assert sum(b"partitioner=murmur2_random" in text for text in messages) == len(dead) - 2
    assert sum(b"set key = sku" in text for text in messages) == 2
    done = command(tidegate, "dlt", "replay", "--code", "wrong_key", "--yes")
    assert done.returncode == 0, done.stderr
    await eventually(
        lambda: tidegate.outcomes_by_topic()["orders", "folded"] == len(orders),
        "all orders are counted",
    )
    assert tidegate.outcomes_by_topic()["orders", "dead_lettered"] == len(dead)
