"""Kafka in memory: logs of record batches, a consumer group, and the consumer of one worker."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from faust.types import TP

from streams.contracts.events import Heartbeat
from streams.contracts.outgoing import OutboxRecord
from streams.contracts.topics import GROUP_FACTS, read_topics
from streams.ingest.placement import home_of
from streams.ingest.transport import Chunk
from tests.simulation.network import Network, NetworkFaults
from tests.streams.fakes import batch_bytes

BATCHES_AT_ONCE = 4


@dataclass(frozen=True)
class Batch:
    """One record batch as it lies in a log."""

    start: int
    keys: list[bytes | None]
    values: list[bytes | None]
    written_ms: int  # of its newest record
    raw: bytes
    came_s: float  # true time

    @property
    def next_offset(self) -> int:
        """Where the log goes on after it."""
        return self.start + len(self.values)

    def chunk(self, position: int) -> Chunk:
        """The batch as the transport hands it over to a reader that stands at a position."""
        start = max(self.start, position)
        values = self.values[start - self.start :]
        keys = self.keys[start - self.start :]
        return Chunk(values, start, self.next_offset, self.written_ms, self.raw, keys)


def _key_of(value: bytes | None) -> bytes | None:
    """The sku, as every producer here writes it; a bad record and a heartbeat have no key."""
    try:
        sku = msgspec.json.decode(value or b"", type=dict[str, Any])["sku"]
        return str(sku).encode()
    except (msgspec.DecodeError, UnicodeError, KeyError):
        return None


class Log:
    """One partition of an input topic.

    Args:
        wall_s: the true time.
    """

    def __init__(self, wall_s: Callable[[], float]) -> None:
        self._wall_s = wall_s
        self._waiting: list[asyncio.Future[None]] = []
        self.batches: list[Batch] = []

    @property
    def end(self) -> int:
        """The offset that the next record will have."""
        return self.batches[-1].next_offset if self.batches else 0

    def append(self, values: Sequence[bytes | None], written_ms: int) -> None:
        """Add a batch."""
        start = self.end
        keys = [_key_of(value) for value in values]
        sent = [(key, value, [], written_ms) for key, value in zip(keys, values, strict=True)]
        raw = batch_bytes(sent, start)
        self.batches.append(Batch(start, keys, list(values), written_ms, raw, self._wall_s()))
        self.wake()

    def wake(self) -> None:
        """Let whoever waits for more look again."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    async def grows(self) -> None:
        """Wait for more, as a long fetch does."""
        more = asyncio.get_running_loop().create_future()
        self._waiting.append(more)
        await more

    def read(self, position: int, batches: int) -> list[Chunk]:
        """The next batches from a position on."""
        first = next(
            (at for at, batch in enumerate(self.batches) if batch.next_offset > position), None
        )
        if first is None:
            return []
        return [batch.chunk(position) for batch in self.batches[first : first + batches]]

    def first_unread(self, position: int) -> Batch | None:
        """The batch that a reader at a position reads next."""
        return next((batch for batch in self.batches if batch.next_offset > position), None)

    def records(self, stop: int | None = None) -> list[tuple[bytes | None, int]]:
        """Values, and when the log says that they were written, up to an offset."""
        found = [(value, batch.written_ms) for batch in self.batches for value in batch.values]
        return found[:stop]


class Kafka:
    """All topics, and what workers have told of their offsets."""

    def __init__(self, partitions: int, wall_s: Callable[[], float]) -> None:
        self.partitions = partitions
        self.wall_ms = lambda: round(wall_s() * 1000)
        self.logs = {
            TP(topic, partition): Log(wall_s)
            for topic in read_topics()
            for partition in range(partitions)
        }
        self.outputs: dict[str, list[OutboxRecord]] = defaultdict(list)
        self.committed: dict[TP, int] = {}
        self.takes_heartbeats = True
        self.silent: set[TP] = set()  # heartbeats do not reach these

    def publish(self, records: Sequence[OutboxRecord]) -> None:
        """Append to output topics."""
        for record in records:
            if record.topic == GROUP_FACTS:
                home = TP(GROUP_FACTS, home_of(record.key or b"", self.partitions))
                self.logs[home].append([record.value], self.wall_ms())
            else:
                self.outputs[record.topic].append(record)

    def beat(self, targets: Sequence[tuple[str, int]], now_ms: int) -> None:
        """Append a heartbeat to each (topic, partition)."""
        value = msgspec.json.encode(Heartbeat(occurred_at=now_ms))
        for topic, partition in targets if self.takes_heartbeats else ():
            if (topic, partition) not in self.silent:
                self.logs[TP(topic, partition)].append([value], now_ms)


@dataclass
class Assignment:
    """What a member of the group may read, since which generation."""

    generation: int
    tps: set[TP]


@dataclass
class _Member:
    last_sign_s: float
    is_joining: "asyncio.Future[Assignment] | None" = None


class Group:
    """The coordinator of the consumer group: who is in it, and who reads what.

    All members join anew when one comes, leaves or gives no sign of life for too long. Who does not
    join in time is out, and learns it with its next sign of life.
    """

    SESSION_S = 3.0
    JOIN_S = 1.5

    def __init__(self, network: Network, partitions: int, note: Callable[[str], None]) -> None:
        self.generation = 0
        self._network = network
        self._partitions = partitions
        self._note = note
        self._members: dict[str, _Member] = {}
        self._is_rebalancing = False

    def sign_of_life(self, name: str) -> bool:
        """Note that a member lives; return whether it must join, perhaps again."""
        member = self._members.get(name)
        if member is None:
            return True
        member.last_sign_s = self._network.loop.time()
        return self._is_rebalancing and member.is_joining is None

    def join(self, name: str, joined: "asyncio.Future[Assignment]") -> None:
        """Let a member wait for the next generation."""
        now = self._network.loop.time()
        member = self._members.setdefault(name, _Member(now))
        member.last_sign_s, member.is_joining = now, joined
        self.rebalance()
        if all(one.is_joining for one in self._members.values()):
            self._complete(self.generation)

    def leave(self, name: str) -> None:
        """Let a member go."""
        if self._members.pop(name, None) is not None and self._members:
            self.rebalance()

    def look(self) -> None:
        """Put out who gave no sign of life; to be called now and then."""
        now = self._network.loop.time()
        for name, member in list(self._members.items()):
            if member.is_joining is None and now - member.last_sign_s > self.SESSION_S:
                self._note(f"group: {name} gave no sign of life")
                self.leave(name)

    def rebalance(self) -> None:
        """Let all members join anew."""
        if not self._is_rebalancing:
            self._is_rebalancing = True
            self._network.later(self.JOIN_S, self._complete, self.generation)

    def begin_anew(self) -> None:
        """Let generations count from 1 again, as when the broker has forgotten the group."""
        self._is_rebalancing = False
        self.generation = 0
        self.rebalance()

    def _complete(self, generation: int) -> None:
        if generation != self.generation or not self._is_rebalancing:
            return
        self._members = {name: one for name, one in self._members.items() if one.is_joining}
        self._is_rebalancing = False
        self.generation += 1
        names = sorted(self._members)
        told = []
        for place, name in enumerate(names):
            mine = range(self._partitions)[place :: len(names)]
            tps = {TP(topic, partition) for topic in read_topics() for partition in mine}
            told.append(f"{name} {[*mine]}")
            self._hand_over(name, Assignment(self.generation, tps))
        self._note(f"group: generation {self.generation}: {', '.join(told) or 'nobody'}")

    def _hand_over(self, name: str, assignment: Assignment) -> None:
        joined = self._members[name].is_joining
        self._members[name].is_joining = None
        self._members[name].last_sign_s = self._network.loop.time()
        if joined is not None and not joined.done():
            joined.set_result(assignment)


@dataclass
class FaultInjector:
    """What a consumer does wrong, each as a share of its fetches."""

    again: float = 0.0  # hands over what it had handed over already
    gap: float = 0.0  # passes over a piece of the log
    stale: float = 0.0  # hands over what it had fetched before a rebalance or a seek
    slow: Mapping[TP, float] = field(default_factory=dict)  # seconds before each fetch of it


class Consumer:
    """What a worker asks of its Kafka consumer (`streams.ingest.transport.BatchConsumer`)."""

    def __init__(
        self,
        kafka: Kafka,
        network: Network,
        network_faults: NetworkFaults,
        on_commit: Callable[[Mapping[TP, int]], None],
    ) -> None:
        self.assigned = Assignment(0, set())
        self.positions: dict[TP, int] = {}
        self.seeks = 0
        self._kafka = kafka
        self._network = network
        self._network_faults = network_faults
        self._on_commit = on_commit

    def assignment(self) -> set[TP]:
        """What may be read."""
        return set(self.assigned.tps)

    async def read_again(self, offsets: Mapping[TP, int]) -> None:
        """Seek, as far as it is still assigned."""
        self.seek(offsets)

    def seek(self, offsets: Mapping[TP, int]) -> None:
        """Read on from there."""
        self.seeks += 1
        self.positions.update({tp: at for tp, at in offsets.items() if tp in self.assigned.tps})
        for tp in sorted(offsets):  # a set's order is another in each process
            self._kafka.logs[tp].wake()

    async def commit_stored(self, offsets: Mapping[TP, int]) -> bool:
        """Tell the broker; a failure is only logged by the runtime."""
        try:
            await self._network.ask(self._network_faults, lambda: self._commit(dict(offsets)))
        except ConnectionError:
            return False
        return True

    def _commit(self, offsets: dict[TP, int]) -> None:
        self._on_commit(offsets)
        self._kafka.committed.update(offsets)

    async def earliest(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        """Where the logs begin: nothing is ever deleted here."""
        await asyncio.sleep(0.001)
        return dict.fromkeys(tps, 0)

    def highwater(self, tp: TP) -> int:
        """Where a log ends."""
        return self._kafka.logs[tp].end

    def held_back(self, tp: TP) -> int:
        """Nobody writes transactions here."""
        return 0


class Fetcher:
    """Reads what is assigned and hands it over, in order or, by its fault_injector, not."""

    def __init__(
        self,
        kafka: Kafka,
        consumer: Consumer,
        chance: random.Random,
        fault_injector: FaultInjector,
        hand_over: Callable[[TP, list[Chunk]], Any],
    ) -> None:
        self._kafka = kafka
        self._consumer = consumer
        self._chance = chance
        self._fault_injector = fault_injector
        self._hand_over = hand_over

    async def run(self, tp: TP) -> None:
        """Fetch one partition of a topic again and again, while it is assigned."""
        consumer, assigned = self._consumer, self._consumer.assigned
        log = self._kafka.logs[tp]
        while consumer.assigned is assigned:
            seeks, position = consumer.seeks, consumer.positions.get(tp, 0)
            chunks = log.read(self._twisted(position), self._chance.randint(1, BATCHES_AT_ONCE))
            if position >= log.end:
                await log.grows()
            await asyncio.sleep(self._pause_s(tp, is_idle=not chunks))
            if not chunks:
                continue
            is_stale = consumer.assigned is not assigned or consumer.seeks != seeks
            if is_stale and self._chance.random() >= self._fault_injector.stale:
                continue
            if not is_stale:
                consumer.positions[tp] = chunks[-1].next_offset
            await self._hand_over(tp, chunks)

    def _pause_s(self, tp: TP, *, is_idle: bool) -> float:
        usual = 0.4 if is_idle else 0.01
        return self._chance.uniform(0.5, 1.5) * usual + self._fault_injector.slow.get(tp, 0.0)

    def _twisted(self, position: int) -> int:
        draw = self._chance.random()
        if draw < self._fault_injector.again:
            return max(0, position - self._chance.randint(1, 20))
        if draw < self._fault_injector.again + self._fault_injector.gap:
            return position + self._chance.randint(1, 5)
        return position
