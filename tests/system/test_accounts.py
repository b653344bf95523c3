"""Invariant 4: a bad record never stops a partition, and every record is accounted for."""

from collections import Counter
from typing import Any

from aiokafka import AIOKafkaProducer

from infra.kafka.topic_reader import TopicRecord
from streams.contracts.events import TOPICS
from streams.contracts.topics import dead_letter_topic, late_topic
from tests.system.conftest import Events, Install
from tests.system.support.running import Installation

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
        assert (copy.key, copy.value) == (record.key, record.value)
        assert {name for name, _ in copy.headers} >= OWN_HEADERS
        kept = [header for header in copy.headers if header[0] not in OWN_HEADERS]
        assert kept == list(record.headers)
        written = copy.header("kafka_dlt-original-timestamp")
        assert written == record.written_ms.to_bytes(8, "big")


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
