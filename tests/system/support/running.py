"""A whole Tidegate for one test: topics, keys, consumer group and workers of its own.

Workers are real processes on real sockets; faults are real signals. Everything that waits has a
deadline, and says what it waited for and what the workers logged.
"""

import asyncio
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import msgspec
import redis
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from infra.cli import export as exporting
from infra.cli.terminal.options import Connection
from infra.cli.terminal.wait import Target, remaining
from infra.kafka.topic_admin import ensure_topics
from infra.kafka.topic_reader import TopicRecord, log_ends, open_consumer, read_topics
from infra.local.stack import WorkerProcess
from infra.redis.options import keys_of
from infra.redis.reader import Reader, ShardState, connect
from infra.replay.faults import Record
from infra.replay.replay import ReplayResult, replay
from infra.settings import ALWAYS, Settings
from streams.contracts.events import TOPICS
from streams.contracts.outgoing import OutboxRecord
from streams.contracts.topics import GROUP_FACTS, PURCHASE_ORDERS
from tests.system.support import slow_worker

PARTITIONS = 4
SESSION_TIMEOUT_SECONDS = 6.0
_ANSWER_SECONDS = 30.0  # a first decision loads its kernels, and the machine may be busy
PATIENCE_SECONDS = 240.0  # the machine may be shared, and a rebalance waits for session timeouts
HEARTBEAT_SECONDS = 3_600

OUTCOMES = ("folded", "duplicate", "late", "dead_lettered", "heartbeat")
"""What becomes of a record: exactly one of these."""


# --- waiting ----------------------------------------------------------------------------------


async def eventually(
    holds: Callable[[], Any],
    what: str,
    *,
    seconds: float = PATIENCE_SECONDS,
    every: float = 0.05,
    explain: Callable[[], str] = str,
) -> Any:
    """Return the first true answer; fail, saying what was waited for, when there is none."""
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if answer := await asyncio.to_thread(holds):
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}\n{explain()}")
        # Whoever looks takes a quarter of a processor at the most from what is waited for.
        await asyncio.sleep(max(every, 3 * (time.monotonic() - began)))


async def timed(action: Awaitable[Any]) -> float:
    """Return the seconds that it took."""
    started = time.monotonic()
    await action
    return time.monotonic() - started


# --- one worker -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What the admin port said."""

    status: int
    text: str


class WorkerUnderTest(WorkerProcess):
    """A worker in a process of its own: to kill, freeze, thaw, end politely, and ask."""

    is_meant_to_run = False
    thinking_seconds = 0.0  # beyond what deciding takes anyway, for each stretch of event time

    def _command(self) -> list[str]:
        if not self.thinking_seconds:
            return super()._command()
        return [sys.executable, "-m", slow_worker.__name__, "worker", "--no-supervise"]

    def _environment(self) -> Mapping[str, str]:
        return {
            **super()._environment(),
            slow_worker.SECONDS_VARIABLE: str(self.thinking_seconds),
        }

    def ask(self, path: str, host: str | None = None) -> Answer:
        """GET a path of the admin port; raise `OSError` when nobody answers."""
        connection = HTTPConnection(host or "127.0.0.1", self.port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return Answer(response.status, response.read().decode())
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Whether it owns partitions and reaches Redis."""
        try:
            return self.ask("/readyz").status == 200
        except (OSError, HTTPException):
            return False

    def state_text(self) -> str:
        """What it says of itself: its faults and why orders wait."""
        try:
            return self.ask("/readyz").text
        except (OSError, HTTPException) as error:
            return f"does not answer: {error!r}"

    async def begin(self) -> "WorkerUnderTest":
        """Start it, also again, and return when its admin port answers."""
        await asyncio.to_thread(self.start)
        self.is_meant_to_run = True
        return self

    async def wait_until_ready(self, seconds: float = PATIENCE_SECONDS) -> "WorkerUnderTest":
        """Return when it owns its partitions."""
        what = f"{self.name} is ready"
        await eventually(self._ready_or_dead, what, seconds=seconds, explain=self.log_tail)
        return self

    def _ready_or_dead(self) -> bool:
        self.require_alive()
        return self.is_ready()

    def require_alive(self) -> None:
        """Fail when it ended by itself."""
        if self.is_meant_to_run and not self.running:
            raise AssertionError(f"{self.name} ended by itself; its log:\n{self.log_tail()}")

    def kill(self) -> None:
        """End it at once, with no chance to shut down (SIGKILL)."""
        self.is_meant_to_run = False
        super().kill()

    async def end(self, seconds: float = 30.0) -> tuple[int, float]:
        """Send SIGTERM; return its exit code and how long it took."""
        self.is_meant_to_run = False
        process = self._process
        assert process is not None
        started = time.monotonic()
        self.signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, seconds)
        return code, time.monotonic() - started

    def freeze(self) -> None:
        """Stop its processor time (SIGSTOP): it neither works nor knows it."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        self.signal(signal.SIGCONT)

    def log_text(self) -> str:
        """All that it logged, over all its starts."""
        return self.log_path.read_text(errors="replace")


# --- what came out ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Exports:
    """What `tidegate export` writes, byte for byte."""

    days: bytes
    items: bytes
    decisions: bytes
    orders: bytes
    alerts: bytes

    def differences(self, other: "Exports") -> list[str]:
        """Return which exports differ, with the first line that does."""
        found = []
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine != theirs:
                found.append(f"{field.name}: {_first_difference(mine, theirs)}")
        return found

    def require_same(self, other: "Exports") -> None:
        """Fail when any byte differs."""
        assert not (found := self.differences(other)), "\n".join(found)

    def day_rows(self) -> list[tuple[str, ...]]:
        """Day, sku, orders, lines, units, without the heading."""
        return [tuple(line.split(",")) for line in self.days.decode().splitlines()[1:]]


def _first_difference(mine: bytes, theirs: bytes) -> str:
    ours, others = mine.splitlines(), theirs.splitlines()
    for number, (one, other) in enumerate(zip(ours, others, strict=False), 1):
        if one != other:
            return f"line {number} of {len(ours)} and {len(others)}:\n  {one!r}\n  {other!r}"
    return f"{len(ours)} lines and {len(others)} lines"


# --- one installation -------------------------------------------------------------------------


class Installation:
    """Topics, Redis keys, a consumer group and workers of its own.

    Args:
        directory: takes the workers' logs and the exports.
        bootstrap: the broker.
        redis_url: shared or its own: the keys have a prefix of their own.
        prefix: in front of everything.
        settings: more of `infra.settings.Settings`.
    """

    def __init__(
        self, directory: Path, bootstrap: str, redis_url: str, prefix: str, **settings: Any
    ) -> None:
        self.directory = directory
        chosen = {
            "session_timeout_seconds": SESSION_TIMEOUT_SECONDS,
            "tick_seconds": 3_600,
            "dedupe_keys": 200_000,
            "order_keys": 200_000,
            "live_from": ALWAYS,
            **settings,
        }
        self.settings = Settings(
            kafka_bootstrap=bootstrap,
            redis_url=redis_url,
            topic_prefix=prefix,
            redis_prefix=f"{prefix}tg:",
            group_id=f"{prefix}tidegate",
            partitions=PARTITIONS,
            **chosen,
        )
        self.workers: list[WorkerUnderTest] = []
        self._redis = connect(redis_url)
        self._reader = Reader(self._redis, keys_of(self.settings))

    # -- life -----------------------------------------------------------------------------

    async def make_topics(self) -> "Installation":
        """Make the topics."""
        bootstrap, prefix = self.settings.kafka_bootstrap, self.settings.topic_prefix
        await ensure_topics(bootstrap, prefix, PARTITIONS, self.settings.replication_factor)
        return self

    async def add_worker(self, *, thinking_seconds: float = 0.0) -> WorkerUnderTest:
        """Start one more worker, perhaps a slow one; its admin port answers."""
        number = len(self.workers) + 1
        worker = WorkerUnderTest(self.directory, self.settings, number=number, port=None)
        worker.thinking_seconds = thinking_seconds
        self.workers.append(worker)
        return await worker.begin()

    async def add_ready_worker(self) -> WorkerUnderTest:
        """Start one more worker and return when it owns partitions."""
        return await (await self.add_worker()).wait_until_ready()

    def close(self) -> None:
        """End every worker at once."""
        for worker in self.workers:
            worker.kill()
        self._redis.close()

    # -- feeding --------------------------------------------------------------------------

    async def replay(self, records: Iterable[Record], **options: Any) -> ReplayResult:
        """Write records to the input topics, with heartbeats in event time."""
        chosen = {"heartbeat_seconds": HEARTBEAT_SECONDS, **options}
        result = await replay(
            records,
            bootstrap=self.settings.kafka_bootstrap,
            partitions=PARTITIONS,
            topic_prefix=self.settings.topic_prefix,
            allowed_lateness_seconds=self.settings.allowed_lateness_seconds,
            **chosen,
        )
        if (speed := options.get("speed")) is not None and result.first_ms and result.last_ms:
            wanted = (result.last_ms - result.first_ms) / 1000 / speed
            assert result.seconds > 0.9 * wanted, "a replay that is too fast meets no fault"
        return result

    async def wait_until_stored(
        self, result: ReplayResult, seconds: float = PATIENCE_SECONDS
    ) -> float:
        """Return when Redis has it all, decided and published; how many seconds that took."""
        return await self._wait_for(self.target(result), seconds)

    async def wait_until_reached(
        self, ends: dict[tuple[str, int], int], seconds: float = PATIENCE_SECONDS
    ) -> float:
        """The same for end offsets by topic, without prefix, and partition."""
        return await self._wait_for(self._target(ends), seconds)

    def target(self, result: ReplayResult) -> Target:
        """What has to be reached after a replay."""
        prefix = self.settings.topic_prefix
        ends = result.end_offsets.items()
        return self._target({(topic.removeprefix(prefix), p): end for (topic, p), end in ends})

    def _target(self, ends: dict[tuple[str, int], int]) -> Target:
        lateness_ms = self.settings.allowed_lateness_seconds * 1000
        return Target(ends, lateness_ms, self.settings.tick_seconds * 1000)

    async def _wait_for(self, target: Target, seconds: float) -> float:
        started = time.monotonic()

        def is_reached() -> bool:
            for worker in self.workers:
                worker.require_alive()
            return remaining(self.shards(), target).is_nothing

        def explain() -> str:
            logs = "\n".join(
                f"{one.name}: {one.state_text() if one.running else 'ended'}\n{one.log_tail()}"
                for one in self.workers
            )
            return f"{remaining(self.shards(), target)}\n{logs}"

        await eventually(is_reached, "all is stored", seconds=seconds, explain=explain)
        return time.monotonic() - started

    async def wait_until_consumed(self, share: float, total: int) -> None:
        """Return as soon as Redis has that share of all records, at the least."""

        def is_there() -> bool:
            for worker in self.workers:
                worker.require_alive()
            return self.consumed() >= share * total

        await eventually(is_there, f"{share:.0%} of {total} records stored", every=0.002)

    async def wait_until_read(self, result: ReplayResult, seconds: float = 150.0) -> None:
        """Return when Redis has all of these records, decided or not."""
        ends = self.target(result).end_offsets

        def is_there() -> bool:
            for worker in self.workers:
                worker.require_alive()
            stored = self.stored_offsets()
            return all(stored.get(at, 0) >= end for at, end in ends.items())

        def explain() -> str:
            return "\n".join(f"{one.name}:\n{one.log_tail()}" for one in self.workers)

        await eventually(is_there, "all is read", seconds=seconds, explain=explain)

    # -- looking --------------------------------------------------------------------------

    def shards(self) -> list[ShardState]:
        """Where each partition stands; none while Redis does not answer."""
        try:
            return self._reader.shards()
        except (redis.ConnectionError, redis.TimeoutError):
            return []

    def stored_offsets(self) -> dict[tuple[str, int], int]:
        """Offsets in Redis by topic, without prefix, and partition."""
        return {
            (topic, shard.partition): offset
            for shard in self.shards()
            for topic, offset in shard.offsets.items()
        }

    def consumed(self) -> int:
        """Records of the inputs that are accounted for in Redis."""
        stored = self.stored_offsets().items()
        return sum(offset for (topic, _), offset in stored if topic in TOPICS)

    def outcomes(self) -> Counter[str]:
        """What became of the records, over all topics and partitions."""
        found: Counter[str] = Counter()
        for (_, outcome), count in self.outcomes_by_topic().items():
            found[outcome] += count
        return found

    def outcomes_by_topic(self) -> dict[tuple[str, str], int]:
        """What became of the records of each topic."""
        counts: Counter[str] = Counter()
        for shard in self.shards():
            counts.update(shard.meta.counts if shard.meta else {})
        by_topic: dict[tuple[str, str], int] = {}
        for name, count in counts.items():
            topic, _, outcome = name.rpartition(":")
            if topic != GROUP_FACTS:
                by_topic[topic, outcome] = count
        return by_topic

    def require_balance(self) -> None:
        """Every record that was consumed became exactly one thing, in each topic of each shard.

        A shard is read at once: heartbeats may go on coming in.
        """
        shards = self.shards()
        assert shards, "no shard can be read"
        for shard in shards:
            counts = shard.meta.counts if shard.meta else {}
            for topic, offset in shard.offsets.items():
                if topic not in TOPICS:
                    continue  # what is said of groups is read again until it is applied
                became = {name: counts.get(f"{topic}:{name}", 0) for name in OUTCOMES}
                assert sum(became.values()) == offset, f"{topic}/{shard.partition}: {became}"

    def frozen_outbox(self) -> list[OutboxRecord]:
        """Records that are stored and not yet known to be in Kafka."""
        keys = keys_of(self.settings)
        stored = [
            record
            for partition in range(PARTITIONS)
            for record in self._hash_values(keys.outbox(partition))
        ]
        return [msgspec.msgpack.decode(record, type=OutboxRecord) for record in stored]

    def open_orders(self) -> dict[str, bytes]:
        """Purchase orders that are not closed, as stored."""
        keys = keys_of(self.settings)
        found: dict[str, bytes] = {}
        for partition in range(PARTITIONS):
            for po_id, order in self._redis.hgetall(keys.orders(partition)).items():
                found[po_id.decode()] = order
        return found

    def _hash_values(self, key: str) -> Sequence[bytes]:
        values: Sequence[bytes] = self._redis.hvals(key)
        return values

    async def read(self, *topics: str) -> list[TopicRecord]:
        """All records of topics, named without prefix."""
        prefix = self.settings.topic_prefix
        names = [prefix + topic for topic in topics]
        return [record async for record in read_topics(self.settings, names)]

    async def require_one_body_for_each_order(self) -> int:
        """Fail when one id was published with two different bodies; return how many ids there are.

        Delivery is at least once: the same bytes may lie there twice.
        """
        bodies: dict[str, set[tuple[bytes | None, ...]]] = defaultdict(set)
        for record in await self.read(PURCHASE_ORDERS):
            order = msgspec.json.decode(record.value or b"")
            bodies[order["po_id"]].add((record.key, record.value))
        several = {po_id: found for po_id, found in bodies.items() if len(found) > 1}
        assert not several, several
        return len(bodies)

    async def committed_offsets(self) -> dict[tuple[str, int], int]:
        """What Kafka remembers of the group, by topic, without prefix, and partition."""
        prefix = self.settings.topic_prefix
        # By name: the embedded broker cannot answer for all at once.
        places = [TopicPartition(prefix + topic, p) for topic in TOPICS for p in range(PARTITIONS)]
        client = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka_bootstrap)
        await client.start()
        try:
            found = await client.list_consumer_group_offsets(
                self.settings.group_id, partitions=places
            )
        finally:
            await client.close()
        return {
            (place.topic.removeprefix(prefix), place.partition): reported.offset
            for place, reported in found.items()
            if reported.offset > 0
        }

    async def require_kafka_behind_redis(self) -> int:
        """Fail when Kafka's memory of an offset is ahead of Redis; return how many it has."""
        committed = await self.committed_offsets()
        # Redis is asked second, and only grows: nothing that moves meanwhile excuses a breach.
        stored = await asyncio.to_thread(self.stored_offsets)
        ahead = {at: (offset, stored.get(at)) for at, offset in committed.items()}
        ahead = {at: pair for at, pair in ahead.items() if pair[0] > (pair[1] or 0)}
        assert not ahead, f"Kafka's offset, Redis's offset: {ahead}"
        return len(committed)

    @asynccontextmanager
    async def offsets_watched(self) -> AsyncIterator[None]:
        """Look all the time whether Kafka's offsets stay behind those in Redis."""
        looks: list[int] = []
        over = asyncio.Event()

        async def watch() -> None:
            while not over.is_set():
                looks.append(await self.require_kafka_behind_redis())
                await asyncio.sleep(0.05)

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            over.set()
            await watching
        assert any(looks), "no offset was ever committed to Kafka: nothing was compared"
        print(f"{self.settings.topic_prefix}: offsets compared {len(looks)} times")

    async def input_ends(self) -> dict[tuple[str, int], int]:
        """Where the input topics end, by topic with prefix and partition."""
        prefix = self.settings.topic_prefix
        places = [TopicPartition(prefix + topic, p) for topic in TOPICS for p in range(PARTITIONS)]
        async with open_consumer(self.settings, places) as consumer:
            ends = await log_ends(consumer, places)
        return {(place.topic, place.partition): end for place, end in ends.items()}

    async def exports(self) -> Exports:
        """What `tidegate export` writes now."""
        return await asyncio.to_thread(self._export)

    def _export(self) -> Exports:
        path = self.directory / "export"
        connection = Connection(
            kafka_bootstrap=self.settings.kafka_bootstrap,
            redis_url=self.settings.redis_url,
            topic_prefix=self.settings.topic_prefix,
            redis_prefix=self.settings.redis_prefix,
        )
        written = {}
        for field in fields(Exports):
            is_topic = field.name in ("orders", "alerts")
            form: exporting.Format = "jsonl" if is_topic else "csv"
            getattr(exporting, field.name)(format=form, output=path, connection=connection)
            written[field.name] = path.read_bytes()
        return Exports(**written)
