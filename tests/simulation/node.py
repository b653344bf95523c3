"""One worker under a supervisor: the production worker and store, fed as Faust feeds them."""

import asyncio
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from faust.types import TP

from infra.bootstrap import KafkaPorts, bootstrap, redis_pool
from infra.control.log import ControlLog
from infra.redis.keys import Keys, Retention
from infra.redis.shard_store import RedisStore
from streams.contracts.outgoing import OutboxRecord
from streams.ingest.transport import Chunk
from streams.settings import GateThresholds, Limits, WorkerSettings
from streams.worker.worker import Worker
from tests.simulation.kafka import Assignment, Consumer, Fetcher, Group, Kafka
from tests.simulation.loop import Process, SimulatedLoop, State
from tests.simulation.network import Network, NetworkFaults
from tests.simulation.people import KNOWN_FOR_S, AuditClient, AuditLog
from tests.simulation.plan import Plan
from tests.streams.fakes import FakeObserver
from tests.streams.runs import CACHE
from tests.streams.runs import SETTINGS as SMALL

if TYPE_CHECKING:
    from tests.simulation.doorman import Doors

KEYS = Keys()
RETENTION = Retention(
    minutes=SMALL.minutes,
    hours=SMALL.hours,
    days=400,
    decision_days=400,
    ring_days=SMALL.days,
)
# The gate of the hand-over judges by the wall clock, and every published order is compared here.
_OPEN = GateThresholds(lag_records=1 << 60, lag_s=1e12, clock_s=1e12, calm_s=0.0)
_RESTART_S = (0.2, 2.0)
POINTS = ("lease", "commit", "publish", "offsets", "audit")
"""What a worker can ask for and die of before it knows that it is done."""
_BUFFERED_FETCHES = 16


class Node:
    """A worker, started again whenever it died.

    Args:
        name: of the node; each start has a number besides.
        kafka, group, network, audit: the world around it.
        chance: draws pauses.
        plan: of its world.
        wall_s: the true time.
        on_offsets: looks at the offsets that are told to Kafka.
        doors: look at what a worker is about to publish.
        note: takes a line of the trace.
    """

    def __init__(
        self,
        name: str,
        kafka: Kafka,
        group: Group,
        network: Network,
        audit: AuditLog,
        chance: random.Random,
        plan: Plan,
        wall_s: Callable[[], float],
        on_offsets: Callable[[Any], None],
        doors: "Doors",
        note: Callable[[str], None],
    ) -> None:
        self.name = name
        self.redis_faults = NetworkFaults()
        self.kafka_faults = NetworkFaults()
        self.group_faults = NetworkFaults()
        self.control_faults = NetworkFaults()
        self.control_cut_since_s: float | None = None
        self.control_takes_nothing = False  # the audit log can be read, but not written
        self.skew_s = 0.0
        self.dies_at: str | None = None  # the point
        self.is_wanted = False
        self.starts = 0
        self.deaths = 0
        self.processes: list[Process] = []
        self.pools: list[Any] = []
        self.failures: list[BaseException] = []
        self._kafka = kafka
        self._group = group
        self._network = network
        self._loop: SimulatedLoop = network.loop
        self._chance = chance
        self._plan = plan
        self._wall_s = wall_s
        self._audit = audit
        self._on_offsets = on_offsets
        self._doors = doors
        self._note = note

    # -- life, from outside -------------------------------------------------------------------

    @property
    def process(self) -> Process:
        """The newest start."""
        return self.processes[-1]

    @property
    def runs(self) -> bool:
        """Whether it was started and is not dead; it can be frozen."""
        return bool(self.processes) and self.process.state is not State.DEAD

    def start(self) -> None:
        """Start it; from now on it is started again whenever it dies."""
        self.is_wanted = True
        if self.runs:
            return
        self.starts += 1
        process = Process(self._loop, f"{self.name}.{self.starts}")
        process.on_death = self._on_death
        self.processes.append(process)
        self._note(f"{process.name}: starts")
        self._stopping = asyncio.Event()
        process.spawn(self._main(process))

    def stop(self) -> None:
        """Ask it to end, as by SIGTERM."""
        self.is_wanted = False
        if self.runs:
            self._note(f"{self.process.name}: is asked to end")
            self._stopping.set()

    def kill(self) -> None:
        """End it at once."""
        if self.runs:
            self.process.die()

    def reached(self, point: str) -> None:
        """What it asked for at a point is done; its time may have come."""
        if self.dies_at == point and self.runs:
            self.dies_at = None
            self._note(f"{self.process.name}: its {point} is done")
            self.kill()

    def _on_death(self) -> None:
        self.deaths += 1
        self._note(f"{self.process.name}: dies at step {self.process.steps}")
        if self.is_wanted:
            self._network.later(self._chance.uniform(*_RESTART_S), self._start_again)

    def _start_again(self) -> None:
        if self.is_wanted and not self._network.is_down_for_good:
            self.start()

    def cut_control(self) -> None:
        """Keep the audit log from it."""
        self.control_faults.is_cut = True
        self.control_cut_since_s = self._loop.time()

    def control_is_back(self) -> None:
        """Let it read the audit log again."""
        self.control_faults.clear()
        self.control_cut_since_s = None

    # -- life, from inside --------------------------------------------------------------------

    async def _main(self, process: Process) -> None:
        running = _Running(self, process)
        try:
            await running.run(self._stopping)
        except Exception as error:
            self._note(f"{process.name}: fails: {error!r}")
            self.failures.append(error)
        if process.state is State.RUNNING:
            process.die()

    def make_control(self) -> ControlLog | None:
        """The production follower of the audit log, where people are at the hand-over."""
        if self._plan.hand_over is None:
            return None

        def client(_: Any) -> AuditClient:
            return AuditClient(
                self._audit,
                self._network,
                self.control_faults,
                lambda: self.control_takes_nothing,
                lambda: self.reached("audit"),
            )

        return ControlLog(
            {},
            clock=self.clock_s,
            known_for_s=KNOWN_FOR_S,
            producer=client,
            consumer=client,
        )

    def clock_s(self) -> float:
        """Its wall clock."""
        return self._wall_s() + self.skew_s

    def make_worker(self, process: Process, control: ControlLog | None) -> tuple[Worker, Consumer]:
        """The production worker and store, and the consumer that it sees."""
        network_faults = self.kafka_faults
        leases = itertools.count()

        async def publish(records: Sequence[OutboxRecord]) -> None:
            self._doors.check_leaving(self, worker, records)
            await self._publish(process, records)

        async def beat(targets: Sequence[tuple[str, int]], now_ms: int) -> None:
            await self._network.ask(network_faults, lambda: self._kafka.beat(targets, now_ms))

        pool = redis_pool("redis://simulated")
        self.pools.append(pool)
        consumer = Consumer(self._kafka, self._network, network_faults, self._offsets_told)
        hand_over = self._plan.hand_over
        worker = bootstrap(
            WorkerSettings(
                commit_interval_s=self._plan.commit_interval_s,
                heartbeat_interval_s=self._plan.heartbeat_s,
                handover=_OPEN if hand_over is None else hand_over.bounds,
                order_limits=Limits() if hand_over is None else hand_over.limits,
                shard=self._plan.settings,
            ),
            store=RedisStore(pool, KEYS, RETENTION, lambda: f"{process.name}/{next(leases)}"),
            kafka=KafkaPorts(publish, beat, control, partitions=self._kafka.partitions),
            clock=self.clock_s,
            observer=FakeObserver(),
            cache=CACHE,
        )
        self._doors.watch(self, worker)
        worker.attach(consumer, lambda: consumer.assigned.generation)  # type: ignore[arg-type]
        return worker, consumer

    async def _publish(self, process: Process, records: Sequence[OutboxRecord]) -> None:
        """Some of the records can arrive although it fails, as with a producer that is cut off."""
        arriving = list(records)
        if self._chance.random() < self.kafka_faults.loss:
            arriving = arriving[: self._chance.randint(0, len(arriving))]
        self._note(f"{process.name}: publishes {len(records)}")
        await self._network.ask(self.kafka_faults, lambda: self._take_published(arriving))
        if len(arriving) < len(records):
            raise ConnectionError("Kafka took a part")

    def _take_published(self, records: Sequence[OutboxRecord]) -> None:
        self._kafka.publish(records)
        self.reached("publish")

    def _offsets_told(self, offsets: Mapping[TP, int]) -> None:
        self._on_offsets(offsets)
        self.reached("offsets")


class _Running:
    """One start of a node: what Faust does around the worker."""

    def __init__(self, node: Node, process: Process) -> None:
        self._node = node
        self._process = process
        self._network = node._network
        self._group = node._group
        self._chance = node._chance
        self._must_join = asyncio.Event()
        self._fetches: asyncio.Queue[tuple[TP, list[Chunk]]] = asyncio.Queue(_BUFFERED_FETCHES)

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until asked to stop, or until the worker gives up."""
        control = self._node.make_control()
        if control is not None:
            await control.start()
        self._worker, self._consumer = self._node.make_worker(self._process, control)
        self._worker.start()
        tasks = [
            asyncio.create_task(work)
            for work in (self._live(), self._keep_joining(), self._feed(), stopping.wait())
        ]
        ends: list[Any] = [*tasks, self._worker.failed]
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        self._consumer.assigned = Assignment(0, set())
        await self._worker.stop()
        with suppress(ConnectionError):
            await self._network.ask(
                self._node.group_faults, lambda: self._group.leave(self._process.name)
            )
        if control is not None:
            await control.stop()
        for one in done:
            one.result()

    async def _live(self) -> None:
        name = self._process.name
        while True:
            try:
                if await self._network.ask(
                    self._node.group_faults, lambda: self._group.sign_of_life(name)
                ):
                    self._must_join.set()
            except ConnectionError:
                pass
            await asyncio.sleep(0.5)

    async def _keep_joining(self) -> None:
        while True:
            await self._must_join.wait()
            self._must_join.clear()
            try:
                await self._join()
            except (ConnectionError, TimeoutError):
                await asyncio.sleep(0.3)

    async def _join(self) -> None:
        await self._worker.park()
        joined = asyncio.get_running_loop().create_future()
        await self._network.ask(
            self._node.group_faults, lambda: self._group.join(self._process.name, joined)
        )
        async with asyncio.timeout(3 * Group.SESSION_S):
            assignment = await joined
        self._consumer.assigned = assignment
        if self._chance.random() >= self._node._plan.fault_injector.stale:
            while not self._fetches.empty():
                self._fetches.get_nowait()
        self._consumer.seek(await self._worker.read_from(assignment.tps))
        fetcher = Fetcher(
            self._node._kafka,
            self._consumer,
            self._chance,
            self._node._plan.fault_injector,
            lambda tp, chunks: self._fetches.put((tp, chunks)),
        )
        for tp in sorted(assignment.tps):
            self._process.spawn(fetcher.run(tp))

    async def _feed(self) -> None:
        while True:
            await self._worker.take(*await self._fetches.get())
