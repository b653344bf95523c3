"""A world: nodes, Kafka, Redis, what is written, and what goes wrong, all in virtual time."""

import asyncio
import itertools
import json
import logging
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from faust.types import TP

from streams.contracts.topics import GROUP_FACTS
from tests.oracle import HOUR
from tests.simulation import people
from tests.simulation.checker import check_counts, is_settled
from tests.simulation.doorman import Doors, unsettled_order
from tests.simulation.faults import SNAPSHOTS_KEPT, forgets_something, strike
from tests.simulation.kafka import Group, Kafka
from tests.simulation.loop import PROCESS, Process, SimulatedLoop, State
from tests.simulation.network import Link, Network
from tests.simulation.node import Node
from tests.simulation.plan import HandOver, OrderFeed, Plan
from tests.simulation.redis_server import RedisServer, Value
from tests.simulation.resting import TRIED
from tests.simulation.violation import Violation
from tests.streams.logs import START_MS, heartbeat

SETTLES_WITHIN_S = 300.0
_COMMAND_BYTES = 40  # in which a command's name is
_TICK_S = 0.35
_TICKS_A_SNAPSHOT = 2

_Snapshot = tuple[dict[bytes, Value], dict[bytes, str]]  # what Redis holds, who owns what in it


class World:
    """Runs a plan; `run` returns when all is settled.

    Args:
        plan: drawn from a seed.
        loop: virtual time.
        note: takes the lines of the trace.
    """

    def __init__(self, plan: Plan, loop: SimulatedLoop, note: Callable[[str], None]) -> None:
        self.plan = plan
        self.loop = loop
        self._fed_ms, self._fed_at_s = START_MS, 0.0
        self._write = note
        self._chance = random.Random(f"world {plan.seed}")
        self.network = Network(loop, random.Random(f"network {plan.seed}"))
        self.kafka = Kafka(plan.partitions, self.wall_s)
        self.audit = people.AuditLog()
        self.doors = Doors(self)
        self.redis = RedisServer()
        self.redis.on_acquire = self._on_acquire
        self.redis.on_commit = self._on_commit
        self.redis.on_refusal = self._on_refusal
        self._caller = ""  # whose commands Redis runs
        self._owners: dict[bytes, str] = {}  # who acquired each shard last, as Redis remembers
        self.stored_to: dict[TP, int] = {}
        self.commits = 0
        self.refusals = 0
        self.forgets_in_load = 0  # snapshots
        self.looked_at: dict[bytes, Value] | None = None
        self._snapshots: deque[_Snapshot] = deque(maxlen=SNAPSHOTS_KEPT)
        self.forgets_lease_after_s: float | None = None
        self._robbed: Process | None = None  # frozen, until another one has its shard
        self.moves_at_commit = False
        self.broker_skew_ms = 0
        self._is_forgetful = forgets_something(plan)
        self.group = Group(self.network, plan.partitions, self.note)
        self.nodes = [self._make_node(f"w{number}") for number in range(plan.nodes)]
        loop.connect = self._connect

    def _make_node(self, name: str) -> Node:
        return Node(
            name,
            self.kafka,
            self.group,
            self.network,
            self.audit,
            random.Random(f"{name} {self.plan.seed}"),
            self.plan,
            self.wall_s,
            self._on_offsets,
            self.doors,
            self.note,
        )

    def note(self, text: str) -> None:
        """Write a line of the trace."""
        self._write(f"{self.loop.time():9.4f}  {text}")

    def wall_s(self) -> float:
        """The true time: that of what was written last, and what has passed since."""
        return self._fed_ms / 1000 + self.loop.time() - self._fed_at_s

    # -- looking ------------------------------------------------------------------------------

    def _connect(self, protocol: Any) -> Any:
        process = PROCESS.get()
        assert process is not None
        node = self._node_of(process.name)
        return Link(
            self.network,
            node.redis_faults,
            protocol,
            lambda data: self._answer(process.name, data),
        )

    def _node_of(self, process: str) -> Node:
        return next(node for node in self.nodes if process.partition(".")[0] == node.name)

    def _reached(self, point: str) -> None:
        """Let a worker die, once what it asked Redis for is done and before it knows."""
        node = self._node_of(self._caller)
        if node.process.name == self._caller:
            self.network.later(0.0, node.reached, point)

    def _answer(self, caller: str, data: bytes) -> bytes:
        self._caller = caller
        reply = self.redis.answer(data)
        if self.forgets_in_load and b"LRANGE" in data[:_COMMAND_BYTES]:
            snapshots, self.forgets_in_load = self.forgets_in_load, 0
            self.note(f"redis: comes back with an older snapshot while {caller} loads")
            self.forget(snapshots)
        return reply

    def _on_acquire(self, key: bytes) -> None:
        delay_s, self.forgets_lease_after_s = self.forgets_lease_after_s, None
        if delay_s is not None:
            self.network.later(delay_s, self._lose_lease, self._caller, self._snapshot())
        self._owners[key] = self._caller
        self.note(f"redis: {self._caller} leases {key.decode()}")
        self._reached("lease")
        if delay_s is None and self._robbed is not None and self._robbed.name != self._caller:
            self.network.later(self._chance.uniform(0.0, 0.05), self._robbed.thaw)
            self._robbed = None

    def _lose_lease(self, acquirer: str, before: "_Snapshot") -> None:
        self.note(f"redis: comes back as it was before {acquirer} acquired")
        processes = [process for node in self.nodes for process in node.processes]
        self._robbed = next(process for process in processes if process.name == acquirer)
        if self._robbed.state is State.RUNNING:
            self._robbed.freeze()
        self._come_back_with(before)
        self.group.begin_anew()

    def _on_commit(self, key: bytes) -> None:
        if self._owners[key] != self._caller:
            raise Violation(f"{self._caller} wrote {key.decode()}, acquired by {self._owners[key]}")
        state = self.redis.data[key]
        assert isinstance(state, dict)
        self.commits += 1
        offsets = json.loads(state[b"offsets"])
        partition = int(key.partition(b"{")[2].partition(b"}")[0])
        told = " ".join(f"{topic}={at}" for topic, at in sorted(offsets.items()))
        number = state[b"sequence"].decode()
        self.note(f"redis: {self._caller} commits {number} of shard {partition}: {told}")
        check_counts(offsets, _counted.decode(state[b"meta"]).counts)
        for topic, offset in offsets.items():
            tp = TP(topic, partition)
            self.stored_to[tp] = max(self.stored_to.get(tp, 0), offset)
        if self.commits == self.plan.looked_at_commit:
            self.looked_at = self.redis.snapshot()
        self._reached("commit")
        if self.moves_at_commit:
            self.moves_at_commit = False
            self.group.rebalance()

    def _on_refusal(self, key: bytes, why: bytes) -> None:
        self.refusals += why != b"already"
        self.note(f"redis: {why.decode()}: {self._caller} may not commit {key.decode()}")

    def _on_offsets(self, offsets: Mapping[TP, int]) -> None:
        for tp, offset in offsets.items():
            if offset > self.stored_to.get(tp, 0):
                raise Violation(
                    f"Kafka was told {offset} of {tp.topic}/{tp.partition}, "
                    f"and Redis never had more than {self.stored_to.get(tp, 0)}"
                )

    # -- running ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Let everything happen, then let it come to rest.

        Raises:
            Violation: an invariant does not hold on the way, or it does not come to rest.
        """
        for feed in self.plan.feeds:
            self.network.later(feed.at_s, self._feed, feed)
        for fault in self.plan.faults:
            self.network.later(fault.at_s, strike, self, fault)
        if self.plan.hand_over is not None:
            for act in self.plan.hand_over.acts:
                self.network.later(act.at_s, people.act, self, act)
        for node in self.nodes:
            self.network.later(self._chance.uniform(0.0, 2.0), node.start)
        ticks = asyncio.create_task(self._tick())
        try:
            await asyncio.sleep(self.plan.ends_s)
            self._calm()
            if self.plan.hand_over is not None and self.plan.hand_over.tried_at_rest is not None:
                await self.settle()
                self.note(f"at rest: {self.plan.hand_over.tried_at_rest}")
                await TRIED[self.plan.hand_over.tried_at_rest](self)
            await self.settle()
            if self.plan.forgets_at_rest:
                self.note("redis: comes back with an older snapshot, and nothing is read any more")
                self.forget(self.plan.forgets_at_rest)
                await self.settle()
        finally:
            ticks.cancel()

    async def _tick(self) -> None:
        for number in itertools.count():
            await asyncio.sleep(_TICK_S)
            self.group.look()
            if self._is_forgetful and number % _TICKS_A_SNAPSHOT == 0:
                self._snapshots.append(self._snapshot())

    def _feed(self, feed: OrderFeed) -> None:
        self.note(f"producer: {len(feed.values)} to {feed.tp.topic}/{feed.tp.partition}")
        values = feed.values
        if feed.tp in self.kafka.silent:
            values = [value for value in values if not _is_heartbeat(value)]
        if values:
            self.kafka.logs[feed.tp].append(values, feed.written_ms + self.broker_skew_ms)
        if feed.written_ms > self._fed_ms:
            self._fed_ms, self._fed_at_s = feed.written_ms, self.loop.time()

    def _calm(self) -> None:
        """Every node works, nothing gets lost, and a last heartbeat moves something everywhere."""
        self.note("calm")
        self.kafka.takes_heartbeats = False
        self.kafka.silent.clear()
        self.moves_at_commit, self.broker_skew_ms = False, 0
        self.forgets_in_load, self.forgets_lease_after_s = 0, None
        for node in self.nodes:
            for network_faults in (node.redis_faults, node.kafka_faults, node.group_faults):
                network_faults.clear()
            node.dies_at = None
            node.start()
            node.process.thaw()
        if self.plan.hand_over is not None:
            self._calm_hand_over(self.plan.hand_over)
        self._write_heartbeats()

    def _write_heartbeats(self) -> None:
        now_ms = round(self.wall_s() * 1000)
        for tp, log in self.kafka.logs.items():
            if tp.topic != GROUP_FACTS:
                log.append([heartbeat(now_ms)], now_ms)

    def _calm_hand_over(self, hand_over: HandOver) -> None:
        """Clocks are right again, and time passes until what people said has taken effect."""
        for node in self.nodes:
            node.skew_s = 0.0
            node.control_is_back()
        while hand_over.resumes_all and self.audit.pauses:
            people.resume(self, 0.0)
        people.count(self, hand_over.counted_at_rest)
        self._add_hours(2)

    def owners(self) -> set[str]:
        """The processes that acquired a shard last."""
        return set(self._owners.values())

    def pass_day(self) -> None:
        """Let a day pass everywhere, and count what is on the shelves at its end."""
        assert self.plan.hand_over is not None
        self._add_hours(24)
        people.count(self, self.plan.hand_over.counted_at_rest)
        self.pass_hours(2)

    def pass_hours(self, hours: int) -> None:
        """Let hours pass, in every log."""
        self._add_hours(hours)
        self._write_heartbeats()

    def _add_hours(self, hours: int) -> None:
        now_ms = round(self.wall_s() * 1000)
        self._fed_ms, self._fed_at_s = now_ms + hours * HOUR, self.loop.time()

    def _unsettled(self, *, orders: bool) -> str | None:
        is_guarded = self.plan.hand_over is not None
        unsettled = is_settled(self.redis, self.kafka, self.plan.settings, outbox=not is_guarded)
        return unsettled or (unsettled_order(self) if is_guarded and orders else None)

    async def settle(self, *, orders: bool = True) -> None:
        """Wait until all is read, decided and published; orders too, unless they are left out."""
        deadline = self.loop.time() + SETTLES_WITHIN_S
        while (unsettled := self._unsettled(orders=orders)) is not None:
            self._require_no_failure()
            if self.loop.time() > deadline:
                raise Violation(
                    f"not settled {SETTLES_WITHIN_S:g} s after the last fault: {unsettled}"
                )
            await asyncio.sleep(0.5)
        self.note("settled")
        self._require_no_failure()

    def _require_no_failure(self) -> None:
        if self.loop.failures:
            raise self.loop.failures[0]
        for node in self.nodes:
            for failure in node.failures:
                if isinstance(failure, Violation):
                    raise failure
                raise Violation(f"{node.name} gave up: {failure!r}") from failure

    async def bury(self) -> None:
        """Leave nothing behind."""
        self.network.is_down_for_good = True
        for node in self.nodes:
            node.is_wanted = False
            for process in node.processes:
                process.on_death = lambda: None
                await process.bury()
            for pool in node.pools:
                await pool.disconnect()

    def forget(self, snapshots: int) -> None:
        """Let Redis come back with what it had some snapshots ago."""
        if self._snapshots:
            for _ in range(min(snapshots, len(self._snapshots)) - 1):
                self._snapshots.pop()
            self._come_back_with(self._snapshots[-1])

    def _snapshot(self) -> "_Snapshot":
        return self.redis.snapshot(), dict(self._owners)

    def _come_back_with(self, snapshot: "_Snapshot") -> None:
        data, owners = snapshot
        self.redis.restart(data)
        self._owners = dict(owners)

    def forget_all(self) -> None:
        """Let Redis come back empty."""
        self.redis.restart({})
        self._owners = {}
        self._snapshots.clear()


class _Counted(msgspec.Struct):
    counts: dict[str, int]


_counted = msgspec.json.Decoder(_Counted)


def _is_heartbeat(value: bytes | None) -> bool:
    return b'"kind": "heartbeat"' in (value or b"")


class _TraceLog(logging.Handler):
    """What the worker logs, as lines of the trace."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__()
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        process = PROCESS.get()
        assert process is not None
        self._note(f"{process.name}: {record.levelname.lower()}: {record.getMessage()}")


@contextmanager
def worker_log_in(note: Callable[[str], None]) -> Iterator[None]:
    """Let the worker's log go into the trace, and nowhere else."""
    logger = logging.getLogger("tidegate")
    handler = _TraceLog(note)
    before = logger.propagate, logger.level
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate, logger.level = before[0], before[1]
