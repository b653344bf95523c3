"""The worker between a fake store, a fake consumer and hand-made chunks."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from faust.types import TP

from streams.contracts.events import TOPICS
from streams.contracts.outgoing import OrderSummary, OutboxRecord
from streams.handover.gate import GateThresholds
from streams.handover.rules import Controls
from streams.ingest.transport import Chunk
from streams.worker import shard_task as shard_task_module
from streams.worker import worker as worker_module
from streams.worker.ports import NoRecorder
from streams.worker.worker import Worker, WorkerSettings
from tests.oracle import DAY
from tests.streams.fakes import (
    FakeConsumer,
    FakeObserver,
    MemoryStore,
    chunk_of,
)
from tests.streams.logs import ITEMS, START_MS, event, heartbeat
from tests.streams.runs import SETTINGS

PREFIX = "t-"
NOW = START_MS + 5 * DAY  # when Kafka got the records
ORDERS = TP(PREFIX + "orders", 0)
ASSIGNED = {TP(PREFIX + topic, partition) for topic in TOPICS for partition in (0, 1)}


class Kafka:
    """Takes what the worker publishes."""

    def __init__(self, store: MemoryStore) -> None:
        self.published: list[OutboxRecord] = []
        self.failures = 0
        self.beats: list[tuple[str, int]] = []
        self.is_slow: asyncio.Event | None = None  # answers when it is set
        self._store = store

    async def publish(self, outgoing) -> None:
        """Take records, or fail after taking some, as a broken connection does."""
        self._store.log.append(f"publish {len(outgoing)}")
        if self.failures:
            self.failures -= 1
            self.published.extend(outgoing[:1])
            raise ConnectionError("Kafka is away")
        if self.is_slow is not None:
            await self.is_slow.wait()
        self.published.extend(outgoing)

    async def beat(self, targets, now_ms) -> None:
        """Take heartbeats."""
        self.beats.extend(targets)


class Recorder(NoRecorder):
    """Takes down which orders left, while it can."""

    def __init__(self) -> None:
        self.is_away = False
        self.asked = 0
        self.left: list[str] = []

    async def orders_left(self, orders: Sequence[OrderSummary]) -> None:
        """Write it down."""
        self.asked += 1
        if self.is_away:
            raise TimeoutError("the audit log is away")
        self.left += [summary.po_id for summary in orders]


class Bench:
    """A worker and all around it."""

    def __init__(self, store: MemoryStore | None = None, **settings) -> None:
        self.store = store or MemoryStore()
        self.kafka = Kafka(self.store)
        self.consumer = FakeConsumer(ASSIGNED)
        self.observer = FakeObserver()
        self.now = START_MS / 1000
        values = {
            "commit_interval_s": 0.001,
            "shard": SETTINGS,
            "handover": GateThresholds(calm_s=0.0),
            **settings,
        }
        self.controls = Controls()
        self.recorder = Recorder()
        self.worker = Worker(
            self.store,
            self.kafka.publish,
            self.kafka.beat,
            WorkerSettings(**values),
            self.observer,
            unreachable=(OSError,),
            topic_prefix=PREFIX,
            clock=lambda: self.now,
            controls=lambda: self.controls,
            recorder=self.recorder,
        )
        self.worker.attach(self.consumer, lambda: 1)

    async def read(self, topic: str, values, start: int, partition: int = 0) -> None:
        """Hand one chunk over."""
        await self.worker.take(TP(PREFIX + topic, partition), [chunk_of(values, start, NOW)])

    def offset(self, topic: str = "orders") -> int:
        """Where the shard stands."""
        return self.worker.tasks[0].shard.offsets[topic]

    def sold(self) -> int:
        """Units that the shard has counted."""
        return int(self.worker.tasks[0].shard.rings["day"].arrays.cells["units"].sum())

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for the worker's own loops."""
        deadline = time.monotonic() + 5
        while not is_so():
            assert time.monotonic() < deadline, self.store.log
            await asyncio.sleep(0.002)


@asynccontextmanager
async def bench(store: MemoryStore | None = None, *, assigned: bool = True, **settings):
    """A worker with its loops running."""
    made = Bench(store, **settings)
    if assigned:
        await made.worker.read_from(ASSIGNED)
    made.worker.start()
    try:
        yield made
    finally:
        made.store.is_away = False
        await made.worker.stop()


@pytest.fixture(autouse=True)
def short_sleeps(monkeypatch):
    """Half a second between attempts is long for a test."""
    sleep = asyncio.sleep
    monkeypatch.setattr(worker_module.asyncio, "sleep", lambda s: sleep(min(s, 0.01)))


def sale(number: int, units: int = 1, at: int = START_MS) -> bytes:
    """One order line."""
    return event("placed", f"e{number}", at, ITEMS[0], order_id=f"o{number}", quantity=units)


def sales(first: int, count: int) -> list[bytes]:
    """Order lines of one unit each."""
    return [sale(number) for number in range(first, first + count)]


async def test_published_over_a_rebalance_is_forgotten_in_the_store():
    """Kafka's answer comes after the shard was parked and taken over again: the store learns it."""
    async with bench() as made:
        made.kafka.is_slow = asyncio.Event()
        await made.read("orders", [b"bad"], 0)
        await made.until(lambda: "publish 1" in made.store.log)
        await made.worker.park()
        await made.worker.read_from(ASSIGNED)
        assert made.store.kept[0].outbox
        made.kafka.is_slow.set()
        await made.until(lambda: not made.store.kept[0].outbox)
        assert made.store.log.count("load 0") == 1  # the shard was parked, not loaded again


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


async def test_shard_without_history_says_where_it_begins():
    """A log whose beginning is gone is read from where it begins, and that is told."""
    async with bench(assigned=False) as made:
        made.consumer.beginnings[ORDERS] = 7
        offsets = await made.worker.read_from(ASSIGNED)
        assert offsets[ORDERS] == 7
        assert offsets[TP(PREFIX + "stock", 0)] == 0
        assert made.worker.tasks[0].shard.history_from == {"orders": 7}


async def test_partition_that_was_taken_away_is_not_folded():
    """A batch that was on its way when the partition moved on is dropped."""
    async with bench() as made:
        await made.worker.park()
        await made.read("orders", sales(0, 3), 0)
        assert made.worker.tasks == {}


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


# -- committing ------------------------------------------------------------------------------------


async def test_commit_and_then_kafkas_offsets():
    """Kafka is only ever told what the store has."""
    async with bench(offsets_interval_s=0.001) as made:
        await made.read("orders", sales(0, 5), 0)
        await made.until(lambda: made.consumer.committed.get(ORDERS) == 5)
        made.store.is_away = True
        await made.read("orders", sales(5, 5), 5)
        await made.until(lambda: "commit" in made.observer.failures)
        await asyncio.sleep(0.01)
        assert made.consumer.committed[ORDERS] == 5
        made.store.is_away = False
        await made.until(lambda: made.consumer.committed[ORDERS] == 10)
        assert '"orders": 10' in made.store.kept[0].offsets


async def test_away_store_is_asked_again_and_told():
    """While the store is away readiness says so; afterwards nothing is lost."""
    async with bench() as made:
        made.store.is_away = True
        await made.read("orders", sales(0, 5), 0)
        await made.until(lambda: "commit" in made.observer.failures)
        assert any("Redis" in fault for fault in made.worker.faults())
        await made.read("orders", sales(5, 5), 5)
        made.store.is_away = False
        await made.until(lambda: made.worker.tasks[0].stored_offsets.get("orders") == 10)
        assert made.worker.faults() == []


async def test_lost_reply_of_a_commit_is_asked_for_again():
    """The very same commit is sent until the store says what became of it; it counts once."""
    async with bench() as made:
        made.store.replies = ["lost", "away", "lost"]
        await made.read("orders", sales(0, 5), 0)
        await made.until(lambda: made.worker.tasks[0].stored_offsets.get("orders") == 5)
        assert [line for line in made.store.log if line.startswith("commit")] == [
            *("commit stored", "commit away", "commit stored", "commit stored")
        ]
        assert made.store.kept[0].sequence == len(made.store.commits) == 1


async def test_fenced_worker_takes_the_shard_over_anew():
    """Redis has another past: what it has is loaded, and the log is read again from there."""
    async with bench() as made:
        await made.read("orders", sales(0, 5), 0)
        await made.until(lambda: made.worker.tasks[0].stored_offsets.get("orders") == 5)
        made.store.acquire_now(0)
        await made.read("orders", sales(5, 5), 5)
        await made.until(lambda: bool(made.consumer.read_again_from))
        assert made.consumer.read_again_from[0][ORDERS] == 5
        assert made.offset() == 5
        await made.read("orders", sales(5, 5), 5)
        await made.until(lambda: made.worker.tasks[0].stored_offsets.get("orders") == 10)
        assert made.sold() == 10


async def test_wiped_store_is_filled_again_from_the_log():
    """If Redis lost everything the log is read from its beginning."""
    async with bench() as made:
        await made.read("orders", sales(0, 5), 0)
        await made.until(lambda: made.worker.tasks[0].stored_offsets.get("orders") == 5)
        made.store.kept.clear()
        await made.read("orders", sales(5, 5), 5)
        await made.until(lambda: bool(made.consumer.read_again_from))
        assert made.consumer.read_again_from[0][ORDERS] == 0
        await made.read("orders", sales(0, 10), 0)
        await made.until(lambda: made.worker.tasks[0].stored_offsets.get("orders") == 10)
        assert made.sold() == 10


async def test_fenced_worker_without_the_partition_lets_it_go():
    """If the partition has moved on there is nothing to take over."""
    async with bench() as made:
        await made.read("orders", sales(0, 5), 0)
        made.store.acquire_now(0)
        made.consumer.assigned = {tp for tp in ASSIGNED if tp.partition == 1}
        await made.until(lambda: 0 not in made.worker.tasks)
        assert made.consumer.read_again_from == []


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


async def test_rebalance_keeps_the_shard_that_nobody_touched():
    """Parked with all of it stored, a shard goes on without being loaded again."""
    async with bench() as made:
        await made.read("orders", sales(0, 5), 0)
        await made.worker.park()
        shard = made.worker._parked[0].shard
        loads = made.store.log.count("load 0")
        offsets = await made.worker.read_from(ASSIGNED)
        assert made.worker.tasks[0].shard is shard
        assert made.store.log.count("load 0") == loads
        assert offsets[ORDERS] == 5


async def test_rebalance_loads_the_shard_that_another_had_meanwhile():
    """Parked, and committed by another worker since: what is in memory is old."""
    async with bench() as made:
        await made.read("orders", sales(0, 5), 0)
        await made.worker.park()
        async with bench(made.store) as other:
            await other.read("orders", sales(5, 5), 5)
            await other.until(lambda: other.worker.tasks[0].stored_offsets.get("orders") == 10)
        offsets = await made.worker.read_from(ASSIGNED)
        assert offsets[ORDERS] == 10
        assert made.sold() == 10


async def test_zombie_commits_nothing():
    """Two workers believe that they own a shard: only the later one's commits are stored."""
    async with bench() as old, bench(old.store) as new:
        old.consumer.assigned = set()
        await new.read("orders", sales(0, 5), 0)
        await new.until(lambda: new.worker.tasks[0].stored_offsets.get("orders") == 5)
        await old.read("orders", sales(0, 3), 0)
        await old.until(lambda: 0 not in old.worker.tasks)
        assert '"orders": 5' in old.store.kept[0].offsets


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


# -- publishing ------------------------------------------------------------------------------------


async def test_nothing_is_published_before_it_is_stored():
    """What leaves can always be found again: the commit that holds it comes first."""
    async with bench() as made:
        made.store.is_away = True
        await made.read("orders", [b"{"], 0)
        await made.until(lambda: "commit" in made.observer.failures)
        await asyncio.sleep(0.02)
        assert made.kafka.published == []
        made.store.is_away = False
        await made.until(lambda: bool(made.kafka.published))
        order = [line for line in made.store.log if line.startswith(("commit s", "publish"))]
        assert order[:2] == ["commit stored", "publish 1"]
        await made.until(lambda: not made.store.kept[0].outbox)


async def test_publishing_again_takes_only_what_is_stored():
    """While Kafka was away another record came that the store does not have yet: it waits."""
    async with bench() as made:
        made.kafka.failures = 1_000_000
        await made.read("orders", [b"{"], 0)
        await made.until(lambda: "publish 1" in made.store.log)
        made.store.is_away = True
        await made.read("orders", [b"[]"], 1)
        made.kafka.failures = 0
        await made.until(lambda: len(made.worker.tasks[0].shard.outbox) == 1)
        await asyncio.sleep(0.02)
        assert {letter.value for letter in made.kafka.published} == {b"{"}
        made.store.is_away = False
        await made.until(lambda: made.kafka.published[-1].value == b"[]")


async def test_failed_publishing_is_repeated_with_the_same_bytes():
    """At least once: after a failure all of it is sent again, in order, under the same ids."""
    async with bench() as made:
        made.kafka.failures = 2
        await made.read("orders", [b"{", b"", b"[]"], 0)
        await made.until(lambda: len(made.kafka.published) >= 5)
        assert made.kafka.published[0] == made.kafka.published[1] == made.kafka.published[2]
        assert [letter.value for letter in made.kafka.published[2:]] == [b"{", b"", b"[]"]


async def test_new_owner_publishes_what_the_old_one_stored():
    """A crash after the commit and before Kafka: the next owner publishes, and forgets it then."""
    old = Bench()
    await old.worker.read_from(ASSIGNED)
    await old.read("orders", [b"{"], 0)
    await old.worker._commit_all()
    assert old.kafka.published == []
    async with bench(old.store) as new:
        await new.until(lambda: bool(new.kafka.published))
        assert new.kafka.published[0].value == b"{"
        await new.until(lambda: not new.store.kept[0].outbox)


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
    monkeypatch.setattr(worker_module.asyncio, "timeout", lambda seconds: timeout(0.05))
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


@pytest.mark.parametrize(("behind_s", "beats"), [(10, True), (400, False)])
async def test_heartbeats_are_written_to_live_logs_only(behind_s, beats):
    """A replay of old events tells its own time; the wall clock does not mix in."""
    async with bench(heartbeat_interval_s=0.001) as made:
        made.now = START_MS / 1000 + behind_s
        await made.read("orders", [heartbeat(START_MS)], 0)
        if beats:
            await made.until(lambda: len(made.kafka.beats) >= 12)
            assert set(made.kafka.beats) == {(topic, p) for topic in TOPICS for p in (0, 1)}
        else:
            await asyncio.sleep(0.03)
            assert made.kafka.beats == []


async def test_visible_time_is_that_of_the_newest_record():
    """The measure is from when Kafka got the record until Redis has it."""
    async with bench() as made:
        made.now = (START_MS + 5 * DAY) / 1000 + 3
        await made.read("orders", sales(0, 1), 0)
        await made.until(lambda: bool(made.observer.commits))
        assert made.observer.commits[-1][1] == pytest.approx(3)
