"""People at the hand-over: the audit log in memory, its clients, and what people write into it."""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
from aiokafka.errors import KafkaConnectionError, NotEnoughReplicasError
from faust.types import TP

from infra.control.entries import AuditState, Entry, make_pause, make_resume, sealed
from streams.contracts.outgoing import OrderSummary, OutboxRecord
from streams.handover.rules import Pause
from streams.ingest.placement import home_of
from streams.timestamps import rfc3339
from tests.simulation.network import Network, NetworkFaults
from tests.streams.logs import event

if TYPE_CHECKING:
    from tests.simulation.plan import Act
    from tests.simulation.world import World

KNOWN_FOR_S = 2.0
"""How long a worker goes by what it last knew of the audit log."""


@dataclass(frozen=True)
class Written:
    """An entry as it lies in the log."""

    value: bytes
    at_s: float


class AuditLog:
    """The topic, and what it says."""

    def __init__(self) -> None:
        self.written: list[Written] = []
        self.state = AuditState()
        self.pauses: dict[str, tuple[Pause, float]] = {}  # in force, and since when they are
        self.ever: list[Pause] = []

    def append(self, value: bytes, at_s: float) -> None:
        """Write an entry."""
        self.written.append(Written(value, at_s))
        self.state.take(value, f"entry {len(self.written)}")
        for hold_id, pause in self.state.pauses.items():
            if hold_id not in self.pauses:
                self.pauses[hold_id] = pause, at_s
                self.ever.append(pause)
        for hold_id in self.pauses.keys() - self.state.pauses.keys():
            del self.pauses[hold_id]


class AuditClient:
    """What `infra.control.log` asks of its consumer and of its producer, for one process."""

    def __init__(
        self,
        log: AuditLog,
        network: Network,
        network_faults: NetworkFaults,
        takes_nothing: Callable[[], bool],
        on_written: Callable[[], None],
    ) -> None:
        self._log = log
        self._network = network
        self._network_faults = network_faults
        self._takes_nothing = takes_nothing
        self._on_written = on_written
        self._position = 0
        self._end: int | None = None
        self._client = self  # as aiokafka's consumer has one, which is closed by itself

    async def start(self) -> None:
        """Connect; whether that works shows with the first request."""

    async def stop(self) -> None:
        """Disconnect."""

    async def close(self) -> None:
        """Disconnect."""

    async def _ask(self, serve: Any) -> Any:
        try:
            return await self._network.ask(self._network_faults, serve)
        except ConnectionError as error:
            raise KafkaConnectionError(str(error)) from error

    async def send_and_wait(self, topic: str, value: bytes, partition: int) -> None:
        """Append an entry."""
        if self._takes_nothing():
            raise NotEnoughReplicasError
        await self._ask(lambda: self._append(value))

    def _append(self, value: bytes) -> None:
        self._log.append(value, self._network.loop.time())
        self._on_written()

    def assign(self, places: Any) -> None:
        """There is one partition."""

    async def seek_to_beginning(self, place: Any) -> None:
        """Read everything."""
        self._position = 0

    def seek(self, place: Any, offset: int) -> None:
        """Read on from there."""
        self._position = offset

    async def position(self, place: Any) -> int:
        """Where it reads on."""
        return self._position

    def highwater(self, place: Any) -> int | None:
        """The end of the log as the last fetch found it."""
        return self._end

    def last_stable_offset(self, place: Any) -> int:
        """Not known, as of a broker without transactions."""
        return -1

    async def end_offsets(self, places: list[Any]) -> Mapping[Any, int]:
        """Where the log ends."""
        return {places[0]: await self._ask(lambda: len(self._log.written))}

    async def getmany(self, place: Any, *, timeout_ms: int) -> Mapping[Any, list[Any]]:
        """The next entries, or none after a while."""
        start = self._position
        found = await self._ask(lambda: self._log.written[start:])
        self._end = start + len(found)
        if not found:
            await asyncio.sleep(timeout_ms / 1000)
            return {}
        self._position = self._end
        return {
            place: [
                SimpleNamespace(value=one.value, offset=start + number)
                for number, one in enumerate(found)
            ]
        }


# --- what people do ---------------------------------------------------------------------------


def act(world: "World", what: "Act") -> None:
    """Let a person do something now."""
    if what.kind == "pause":
        pause(world, what.scope)
    elif what.kind == "resume":
        resume(world, what.chance)
    else:
        _say(world, what)


def pause(world: "World", scope: Mapping[str, str]) -> str:
    """Stop the hand-over; return the id of the hold."""
    return _write(world, make_pause("ann", "a drill", **scope))


def resume(world: "World", share: float) -> None:
    """End a pause, if there is one."""
    in_force = list(world.audit.pauses)
    if in_force:
        end_blackout(world, in_force[int(share * len(in_force))])


def end_blackout(world: "World", hold_id: str) -> None:
    """Let the hand-over go on."""
    pauses = [pause for pause, _ in world.audit.pauses.values()]
    _write(world, make_resume("bob", "all is well", hold_id, pauses))


def approve_all(world: "World") -> None:
    """Let somebody approve every order that waits."""
    for place, order in enumerate(waiting_orders(world)):
        assert order.order_summary is not None
        _respond(world, "approved", f"all-{place}", order.order_summary)


def count(world: "World", items: Iterable[tuple[str, str]]) -> None:
    """Let somebody count what is on the shelf."""
    now_ms = int(world.wall_s() * 1000)
    for place, item in enumerate(items):
        counted = event("counted", f"count-{now_ms}-{place}", now_ms, item, level=place)
        partition = partition_of(item[0], world.kafka.partitions)
        world.kafka.logs[TP("stock", partition)].append([counted], now_ms)


def _write(world: "World", entry: Entry) -> str:
    log = world.audit
    world.note(f"people: {type(entry).__name__}: {entry.why}")
    at = rfc3339(int(world.wall_s() * 1000))
    written = sealed(entry, log.state.heads, at)
    log.append(msgspec.json.encode(written), world.loop.time())
    return written.entry_id


def _say(world: "World", what: "Act") -> None:
    """Say something of an order that waits."""
    waiting = waiting_orders(world)
    if not waiting:
        return
    summary = waiting[int(what.chance * len(waiting))].order_summary
    assert summary is not None
    _respond(world, what.kind, f"word-{what.at_s}", summary)


def _respond(world: "World", kind: str, event_id: str, summary: OrderSummary) -> None:
    now_ms = int(world.wall_s() * 1000)
    said = event(kind, event_id, now_ms, (summary.sku, summary.warehouse), po_id=summary.po_id)
    partition = partition_of(summary.sku, world.kafka.partitions)
    world.note(f"people: {kind} {summary.po_id}")
    world.kafka.logs[TP("order-responses", partition)].append([said], now_ms)


def waiting_orders(world: "World") -> list[OutboxRecord]:
    """Purchase orders that are stored and not yet known to be handed over."""
    found = []
    for partition in range(world.kafka.partitions):
        stored = world.redis.data.get(b"tg:outbox:{%d}" % partition, {})
        assert isinstance(stored, dict)
        records = [
            msgspec.msgpack.decode(stored[number], type=OutboxRecord)
            for number in sorted(stored, key=int)
        ]
        found += [record for record in records if record.order_summary is not None]
    return found


def partition_of(sku: str, partitions: int) -> int:
    """Where the records of an item lie."""
    return home_of(sku.encode("utf-8", "surrogatepass"), partitions)


def draw_scope(chance: random.Random) -> dict[str, str]:
    """What a pause is for: everything, a supplier, a sku, or an item."""
    return chance.choice(
        [
            {},
            {},
            {"supplier": "lean"},
            {"supplier": "flexible"},
            {"sku": "lamp"},
            {"sku": "lamp", "warehouse": "north"},
            {"sku": "desk"},
        ]
    )
