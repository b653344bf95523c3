"""The worker as a whole, between fakes: reading, dead letters, stopping and health."""

import asyncio
import logging

import pytest

from streams.ingest.transport import Chunk
from streams.worker import shard_task as shard_task_module
from tests.oracle import DAY
from tests.streams.fakes import (
    chunk_of,
)
from tests.streams.logs import START_MS
from tests.streams.worker.worker_bench import (
    ASSIGNED,
    NOW,
    ORDERS,
    Bench,
    bench,
    sale,
    sales,
)

# -- reading ---------------------------------------------------------------------------------------


async def test_records_read_again_are_passed_over():
    """After a rebalance Kafka hands over again what was folded; the state stands by its offsets."""
    async with bench() as made:
        await made.read("orders", sales(0, 10), 0)
        await made.read("orders", sales(0, 10), 0)
        await made.read("orders", sales(5, 10), 5)
        assert made.offset() == 15
        assert made.sold() == 15
        counts = made.worker.tasks[0].shard.counts
        assert counts["orders:folded"] == 15
        assert counts["orders:duplicate"] == 0


async def test_chunk_is_cut_at_the_offset_of_the_state():
    """Of a batch that reaches over the offset only the rest is folded, record by record."""
    async with bench() as made:
        await made.read("orders", sales(0, 3), 0)
        await made.worker.take(
            ORDERS, [chunk_of(sales(0, 2), 0, NOW), chunk_of(sales(2, 6), 2, NOW)]
        )
        assert made.offset() == 8
        assert made.sold() == 8


async def test_gap_is_read_again():
    """Records were missed: nothing after the gap is folded, the log is read from the state."""
    async with bench() as made:
        await made.read("orders", sales(0, 10), 0)
        await made.read("orders", sales(20, 5), 20)
        assert made.consumer.read_again_from == [{ORDERS: 10}]
        assert made.offset() == 10
        await made.read("orders", sales(10, 15), 10)
        assert made.sold() == 25


async def test_markers_of_transactions_are_no_gap():
    """The transport tells a skipped batch as an empty chunk, and reading goes on behind it."""
    async with bench() as made:
        await made.read("orders", sales(0, 5), 0)
        await made.worker.take(ORDERS, [Chunk([], 5, 6, -1, b"")])
        await made.read("orders", sales(6, 5), 6)
        assert made.consumer.read_again_from == []
        assert made.offset() == 11


async def test_log_that_begins_later_than_the_state_is_read_from_its_beginning():
    """What retention took is said in history_from; it does not stop the partition."""
    async with bench() as made:
        await made.read("orders", sales(0, 10), 0)
        made.consumer.beginnings[ORDERS] = 50
        for _ in range(3):
            await made.read("orders", sales(50, 5), 50)
        assert made.offset() == 55
        assert made.worker.tasks[0].shard.history_from["orders"] == 50


async def test_partition_that_was_taken_away_is_not_folded():
    """A batch that was on its way when the partition moved on is dropped."""
    async with bench() as made:
        await made.worker.park()
        await made.read("orders", sales(0, 3), 0)
        assert made.worker.tasks == {}


async def test_reading_waits_while_the_store_is_behind(monkeypatch):
    """Backpressure: with much changed and nothing stored, no more is folded."""
    monkeypatch.setattr(shard_task_module, "_CELLS_AT_MOST", 2)
    async with bench() as made:
        made.store.is_away = True
        await made.read("orders", sales(0, 5), 0)
        await made.until(lambda: "commit" in made.observer.failures)
        await made.read("orders", sales(5, 5), 5)
        waiting = asyncio.create_task(made.read("orders", sales(10, 5), 10))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        assert made.offset() == 10
        made.store.is_away = False
        await waiting
        assert made.offset() == 15


# -- bad records -----------------------------------------------------------------------------------


async def test_dead_letter_is_the_record_byte_for_byte_with_the_reason():
    """Key, headers and value as they lay in the log; Spring's headers and our code behind them."""
    bad = b'{"kind":"placed","\xff'
    async with bench() as made:
        await made.read("orders", [sale(0), bad, sale(1), None], 0)
        await made.until(lambda: len(made.kafka.published) == 2)
    letters = made.kafka.published
    assert [letter.topic for letter in letters] == ["orders.dlt"] * 2
    first = letters[0]
    assert (first.key, first.value) == (b"key-1", bad)
    assert letters[1].value is None
    assert first.headers[0] == ("trace", b"\xff\x001")
    headers = dict(first.headers)
    assert headers["kafka_dlt-original-topic"] == b"t-orders"
    assert int.from_bytes(headers["kafka_dlt-original-partition"], "big") == 0
    assert int.from_bytes(headers["kafka_dlt-original-offset"], "big") == 1
    stamp = START_MS + 5 * DAY + 1
    assert int.from_bytes(headers["kafka_dlt-original-timestamp"], "big") == stamp
    assert headers["kafka_dlt-original-timestamp-type"] == b"CreateTime"
    assert headers["tidegate-error-code"] == b"not_utf8"
    assert b"UTF-8" in headers["kafka_dlt-exception-message"]
    assert headers["kafka_dlt-exception-fqcn"]
    assert dict(letters[1].headers)["tidegate-error-code"] == b"empty"


async def test_record_after_the_grace_goes_to_the_late_topic():
    """Too late to count, it is kept byte for byte, and the good records around it count."""
    late = sale(1, at=START_MS - 2 * DAY)
    async with bench() as made:
        await made.read("orders", [sale(0), late, sale(2)], 0)
        await made.until(lambda: len(made.kafka.published) == 1)
        assert made.sold() == 2
    letter = made.kafka.published[0]
    assert (letter.topic, letter.key, letter.value) == ("orders.late", b"key-1", late)
    assert dict(letter.headers)["tidegate-error-code"] == b"late"


# -- failing and stopping ----------------------------------------------------------------------


async def test_unforeseen_error_ends_the_worker():
    """An error that nobody foresaw is told; half a worker does not go on."""
    async with bench() as made:

        async def broken(*_):
            raise RuntimeError("what is this")

        made.store.commit = broken
        await made.read("orders", sales(0, 5), 0)
        with pytest.raises(RuntimeError, match="what is this"):
            await asyncio.wait_for(made.worker.failed, 5)
        del made.store.commit


async def test_stopping_commits_and_publishes_what_there_is():
    """SIGTERM: the last batch is stored, its outputs are in Kafka, and Kafka's offsets stand."""
    made = Bench()
    await made.worker.read_from(ASSIGNED)
    await made.read("orders", [*sales(0, 3), b"{"], 0)
    await made.worker.stop()
    assert '"orders": 4' in made.store.kept[0].offsets
    assert [letter.value for letter in made.kafka.published] == [b"{"]
    assert made.store.kept[0].outbox == {}
    assert made.consumer.committed[ORDERS] == 4


async def test_stopping_without_a_store_ends_all_the_same(monkeypatch, caplog):
    """The next worker reads again what could not be stored."""
    made = Bench()
    await made.worker.read_from(ASSIGNED)
    await made.read("orders", sales(0, 3), 0)
    made.store.is_away = True
    timeout = asyncio.timeout
    monkeypatch.setattr(asyncio, "timeout", lambda seconds: timeout(0.05))
    with caplog.at_level(logging.WARNING):
        await made.worker.stop()
    assert "without a last commit" in caplog.text


# -- health ----------------------------------------------------------------------------------------


async def test_worker_is_ready_once_it_has_partitions():
    """Before the first assignment, and while partitions move, it is not."""
    async with bench(assigned=False) as made:
        assert made.worker.faults() == ["no partitions are assigned yet"]
        await made.worker.read_from(ASSIGNED)
        assert made.worker.faults() == []
        await made.worker.park()
        assert made.worker.faults()


async def test_stuck_worker_is_not_alive():
    """Records wait and none is read: after a while this worker should be started anew."""
    async with bench(stuck_after_s=60) as made:
        made.consumer.highwaters[ORDERS] = 10
        assert made.worker.is_alive()
        made.now += 59
        assert made.worker.is_alive()
        made.now += 2
        assert not made.worker.is_alive()
        await made.read("orders", sales(0, 3), 0)
        assert made.worker.is_alive()
        await made.until(lambda: made.worker.progress.lag_records()["orders", 0] == 7)


async def test_worker_behind_an_open_transaction_is_alive(caplog):
    """Heartbeats come back once the transaction ends: that is no hang, and it is said once."""
    async with bench(stuck_after_s=60) as made:
        task = made.worker.tasks[0]
        made.consumer.held[ORDERS] = 4
        assert made.worker.is_alive()
        task.unread_heartbeat_ms = START_MS + 1
        task.shard.clocks.update(
            {topic: START_MS + 2 for topic in task.shard.clocks if topic != "orders"}
        )
        for _ in range(20):
            made.now += 10
            assert made.worker.is_alive()
        assert made.worker.progress.open_transactions_s() == {("orders", 0): 200.0}
        assert caplog.text.count("an open transaction holds back 4 records") == 1
        made.consumer.held.clear()
        made.worker.progress.lags(task)
        assert made.worker.progress.open_transactions_s() == {}


async def test_worker_that_gets_no_partitions_back_is_not_alive():
    """A rebalance that does not end leaves nothing that could lag; it is a hang all the same."""
    async with bench(stuck_after_s=60) as made:
        await made.worker.park()
        made.now += 59
        assert made.worker.is_alive()
        made.now += 2
        assert not made.worker.is_alive()
        await made.worker.read_from(set())  # more workers than partitions: nothing to read is well
        assert made.worker.is_alive()


async def test_event_with_the_id_of_another_is_a_dead_letter():
    """The copy says why; what was counted under the id stays as it is."""
    async with bench() as made:
        await made.read("orders", [sale(1, 4), sale(1, 5)], 0)
        await made.until(lambda: bool(made.kafka.published))
        (copy,) = made.kafka.published
        assert copy.topic == "orders.dlt"
        assert ("tidegate-error-code", b"reused_id") in copy.headers
        assert made.sold() == 4
