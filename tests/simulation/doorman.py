"""The hand-over, checked: no order leaves while it must not, and each that may leaves in the end.

What is asked here is worked out a second time, from the logs and from what people wrote. Only the
bounds and the limits are the worker's own.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faust.types import TP

from streams.contracts.events import TOPICS
from streams.contracts.outgoing import OrderStatus, OrderSummary, OutboxRecord
from streams.contracts.topics import ALERTS, PURCHASE_ORDERS
from streams.handover.gate import Gate
from streams.handover.rules import Pause, person_needed
from streams.settings import GateThresholds, Limits
from streams.state.outbox import Outbox
from streams.timeline.timeline import Timeline
from streams.timestamps import NO_CLOCK
from streams.worker.shard_task import ShardTask
from tests.simulation.people import KNOWN_FOR_S, partition_of, waiting_orders
from tests.simulation.violation import Violation
from tests.streams.fakes import as_json

if TYPE_CHECKING:
    from streams.worker.worker import Worker
    from tests.simulation.node import Node
    from tests.simulation.world import World


# --- at the door ------------------------------------------------------------------------------


class Doors:
    """Watches every worker's hand-over.

    Args:
        world: around the workers.
    """

    def __init__(self, world: "World") -> None:
        self._world = world
        self._shut_at_s: dict[int, tuple[Gate, float]] = {}  # each gate: by its worker's clock
        self.left_at: list[tuple[str, int]] = []  # po_id, to where its worker had applied the log
        self.alerts_while_shut = 0

    def watch(self, node: "Node", worker: "Worker") -> None:
        """Look with a worker whenever it looks at its gates."""
        if self._world.plan.hand_over is None:
            return
        release: Any = worker.release
        look = release.look

        def watched(task: ShardTask, lags: Any, *, is_store_away: bool) -> None:
            before_s = task.looked_at_s
            look(task, lags, is_store_away=is_store_away)
            self._note_look(node, worker, task, before_s)

        release.look = watched

    def _note_look(self, node: "Node", worker: "Worker", task: ShardTask, before_s: float) -> None:
        now_s = node.clock_s()
        is_new = id(task.gate) not in self._shut_at_s
        went_back_s = 0.0 if is_new else before_s - now_s
        if is_new or went_back_s > self._bounds.clock_s or self._breach(node, worker, task):
            self._shut_at_s[id(task.gate)] = task.gate, now_s

    @property
    def _bounds(self) -> GateThresholds:
        assert self._world.plan.hand_over is not None
        return self._world.plan.hand_over.bounds

    def check_leaving(
        self, node: "Node", worker: "Worker", records: Sequence[OutboxRecord]
    ) -> None:
        """Look at what a worker is about to write to Kafka.

        Raises:
            Violation: an order is among it that must not leave now.
        """
        if self._world.plan.hand_over is None:
            return
        for record in records:
            if record.order_summary is None:
                is_shut = any(task.gate.reasons for task in worker.tasks.values())
                self.alerts_while_shut += is_shut and record.topic == ALERTS
                continue
            if (why := self._objection(node, worker, record.order_summary)) is not None:
                raise Violation(f"{record.order_summary.po_id} leaves {node.name} although {why}")
            task = worker.tasks.get(
                partition_of(record.order_summary.sku, self._world.kafka.partitions)
            )
            if task is not None and task.shard.timeline.applied_ms is not None:
                self.left_at.append((record.order_summary.po_id, task.shard.timeline.applied_ms))

    def _objection(self, node: "Node", worker: "Worker", summary: OrderSummary) -> str | None:
        """Return why an order must not leave now, as far as its worker can know; none: it may."""
        task = worker.tasks.get(partition_of(summary.sku, self._world.kafka.partitions))
        if why := self._pause(summary):
            return why
        if task is None:
            return None
        if why := self._breach(node, worker, task):
            return why
        if is_stale(node, task, summary, self._world.plan.stock_valid_ms):
            return "its stock was counted too long ago"
        _, shut_s = self._shut_at_s[id(task.gate)]
        if 0 <= node.clock_s() - shut_s < self._bounds.calm_s:
            return f"all is calm only since {shut_s:.2f}"
        return None

    def _pause(self, summary: OrderSummary) -> str | None:
        """A pause holds as soon as the worker knows, and it has to know after so long."""
        for pause, since_s in self._world.audit.pauses.values():
            if self._world.loop.time() - since_s > KNOWN_FOR_S and _covers(pause, summary):
                return f"{pause.names() or 'everything'} is paused since {since_s:.2f}"
        return None

    def _breach(self, node: "Node", worker: "Worker", task: ShardTask) -> str | None:
        """Return which bound is exceeded now, from the logs and the true time."""
        world, bounds = self._world, self._bounds
        if worker.store_failed_since is not None:
            return "Redis is away"
        cut_s = node.control_cut_since_s
        if cut_s is not None and world.loop.time() - cut_s > KNOWN_FOR_S:
            return f"the audit log is away since {cut_s:.2f}"
        partition = task.shard.partition
        places = [
            (world.kafka.logs[TP(topic, partition)], task.stored_offsets.get(topic, 0))
            for topic in TOPICS
        ]
        unread = sum(log.end - position for log, position in places)
        if unread > bounds.lag_records:
            return f"{unread} records of partition {partition} are not read"
        first = [log.first_unread(position) for log, position in places]
        waits_s = max((world.wall_s() - one.came_s for one in first if one is not None), default=0)
        if waits_s > bounds.lag_s + bounds.clock_s:
            return f"a record of partition {partition} waits for {waits_s:.0f} s"
        clocks_s = [clock / 1000 for clock in task.shard.clocks.values() if clock != NO_CLOCK]
        if task.was_live and node.clock_s() - min(clocks_s) > bounds.lag_s:
            return f"a topic of partition {partition} is silent since {min(clocks_s):.0f}"
        ahead_s = max(clocks_s, default=0) - node.clock_s()
        return f"its clock is {ahead_s:.0f} s behind" if ahead_s > bounds.clock_s else None


def is_stale(node: "Node", task: ShardTask, summary: OrderSummary, valid_ms: int) -> bool:
    """Whether the stock under an order is too old, as its worker knows it."""
    items = task.shard.timeline.items
    place = items.find(summary.sku, summary.warehouse)
    counted_ms = 0 if place is None else int(items.rows[place]["counted_at_ms"])
    return task.was_live and node.clock_s() * 1000 - counted_ms > valid_ms


def _covers(pause: Pause, summary: OrderSummary) -> bool:
    named = pause.names().items()
    return all(getattr(summary, name) == wanted for name, wanted in named)


# --- at the end -------------------------------------------------------------------------------


class Listening(Outbox):
    """An outbox that remembers what was said of each order, and at which boundary that held.

    Args:
        timeline: of its shard, which has to advance boundary by boundary.
    """

    def __init__(self, timeline: Timeline) -> None:
        super().__init__()
        self._timeline = timeline
        self.said: dict[str, list[tuple[int, OrderSummary]]] = defaultdict(list)  # the first is put
        self.bodies: dict[str, set[bytes | None]] = defaultdict(set)  # that an order may leave with

    def put(self, outgoing: OutboxRecord) -> None:
        """Note an order as it was decided."""
        super().put(outgoing)
        if outgoing.order_summary is not None:
            self._note(outgoing, outgoing.order_summary)

    def _note(self, record: OutboxRecord, summary: OrderSummary) -> None:
        self.said[summary.po_id].append((self._timeline.applied_ms or 0, summary))
        self.bodies[summary.po_id].add(record.value)

    def judge(self, po_id: str, *said: Any) -> None:
        """Note the status that it leads to."""
        super().judge(po_id, *said)
        for number in self._numbers.get(po_id, ()):
            record = self._orders[number]
            assert record.order_summary is not None
            self._note(record, record.order_summary)


@dataclass(frozen=True)
class Order:
    """A purchase order as the log decided it, and all that was said of it."""

    order_summary: OrderSummary  # at the end
    said: list[tuple[int, OrderSummary]]  # since which boundary; the first is as it was decided
    day_units: int  # ordered of its item on its day, up to this one, as they were decided
    day_amount: float

    @property
    def statuses(self) -> list[OrderStatus]:
        """What people said of it, in turn."""
        return [summary.status for _, summary in self.said]

    def needs_person(self, summary: OrderSummary, limits: Limits) -> bool:
        """Whether it had to wait for a person when it stood so."""
        if summary.status in (OrderStatus.HELD, OrderStatus.CALLED_OFF_WHILE_HELD):
            return True
        if summary.status in (OrderStatus.APPROVED, OrderStatus.RELEASED):
            return False
        first = self.said[0][1]
        more_units, more_amount = summary.quantity - first.quantity, summary.amount - first.amount
        return (
            _is_over(self.day_units + more_units, limits.cap_units_per_item_day)
            or _is_over(self.day_amount + more_amount, limits.cap_amount_per_item_day)
            or _is_over(summary.amount, limits.approval_amount)
        )


def _is_over(value: float, limit: float | None) -> bool:
    return limit is not None and value > limit


def orders_of(outbox: Listening) -> list[Order]:
    """The orders of a pure fold, which hands none over, with the sums of their days."""
    units: dict[Any, int] = defaultdict(int)
    amounts: dict[Any, float] = defaultdict(float)
    found = []
    for _, record in outbox.orders_between(0, outbox.next_number):
        assert record.order_summary is not None
        body = as_json(record.value)
        day = (body["sku"], body["warehouse"], body["decided_at"][:10])
        said = outbox.said[body["po_id"]]
        units[day] += said[0][1].quantity
        amounts[day] += said[0][1].quantity * body["unit_cost"]
        found.append(Order(record.order_summary, said, units[day], amounts[day]))
    return found


def check_hand_over(
    world: "World", orders: Iterable[Order], counted_ms: Mapping[tuple[str, str], int]
) -> set[str]:
    """Compare what left and what waits with what was said; return the ids of what left.

    Args:
        world: at rest.
        orders: all that the logs decide.
        counted_ms: when each item was counted last, as its log says.

    Raises:
        Violation: an order left that nobody let go, or waits, or is gone, for no reason.
    """
    assert world.plan.hand_over is not None
    left = {as_json(record.value)["po_id"] for record in world.kafka.outputs[PURCHASE_ORDERS]}
    waits = {
        record.order_summary.po_id
        for record in waiting_orders(world)
        if record.order_summary is not None
    }
    in_force = [pause for pause, _ in world.audit.pauses.values()]
    if untrue := world.audit.state.waiting.keys() - waits:
        raise Violation(f"the audit log says that {sorted(untrue)} wait, and they are not there")
    for order in orders:
        left_at = (at for po_id, at in world.doors.left_at if po_id == order.order_summary.po_id)
        for applied_ms in left_at:
            _require_let_go(order, applied_ms, world.plan.hand_over.limits)
        age_ms = (
            world.wall_s() * 1000
            - counted_ms[order.order_summary.sku, order.order_summary.warehouse]
        )
        if order.order_summary.po_id in waits - left and age_ms > world.plan.stock_valid_ms:
            continue
        why = _complaint(
            order, world.plan.hand_over.limits, left, waits, in_force, world.audit.ever
        )
        if why is not None:
            raise Violation(f"{order.order_summary.po_id} {order.statuses}: {why}")
    return left


def _require_let_go(order: Order, applied_ms: int, limits: Limits) -> None:
    """A worker goes by everything that its shard has read."""
    summary = [summary for since_ms, summary in order.said if since_ms <= applied_ms][-1]
    if order.needs_person(summary, limits):
        raise Violation(
            f"{order.order_summary.po_id} left at {applied_ms}, and waited for a person: {order}"
        )


def _complaint(
    order: Order,
    limits: Limits,
    left: Collection[str],
    waits: Collection[str],
    in_force: Iterable[Pause],
    ever: Iterable[Pause],
) -> str | None:
    statuses = order.statuses
    waited = [order.needs_person(summary, limits) for _, summary in order.said]
    is_paused = any(_covers(pause, order.order_summary) for pause in in_force)
    if order.order_summary.po_id in left:
        return "left, and nobody had let it go" if all(waited) else None
    if order.order_summary.po_id in waits:
        if statuses[-1].is_called_off and (waited[-1] or is_paused):
            return "waits, and was called off"
        return None if waited[-1] or is_paused else "waits for nothing"
    was_paused = any(_covers(pause, order.order_summary) for pause in ever)
    was_called_off = any(
        status.is_called_off and (needed or was_paused)
        for status, needed in zip(statuses, waited, strict=True)
    )
    return None if was_called_off else "is gone"


def unsettled_order(world: "World") -> str | None:
    """Return an order that has still to leave or to be withdrawn, or to be told of, if any."""
    assert world.plan.hand_over is not None
    limits = world.plan.hand_over.limits
    for record in waiting_orders(world):
        summary = record.order_summary
        assert summary is not None
        is_paused = any(_covers(pause, summary) for pause, _ in world.audit.pauses.values())
        needed = person_needed(summary, limits)
        if _is_stale_in_redis(world, summary):
            continue
        if needed is None and not is_paused:
            return f"{summary.po_id} may leave"
        if summary.status.is_called_off:
            return f"{summary.po_id} was called off"
        told = world.audit.state.waiting.keys() | world.audit.state.left
        if needed is not None and summary.po_id not in told:
            return f"the audit log does not say that {summary.po_id} waits"
    return None


def _is_stale_in_redis(world: "World", summary: OrderSummary) -> bool:
    partition = partition_of(summary.sku, world.kafka.partitions)
    key = f"tg:item:{{{partition}}}:{summary.sku}@{summary.warehouse}".encode()
    shown = world.redis.data.get(key, {})
    assert isinstance(shown, dict)
    age_ms = world.wall_s() * 1000 - int(shown.get(b"counted_at_ms", 0))
    return age_ms > world.plan.stock_valid_ms
