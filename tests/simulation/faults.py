"""What goes wrong in a world, each kind by its name in `tests.simulation.plan`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.kafka import Group
from tests.simulation.network import NetworkFaults
from tests.simulation.node import POINTS, Node
from tests.simulation.plan import Fault, Plan

if TYPE_CHECKING:
    from tests.simulation.world import World

Strike = Callable[["World", Node, Fault], None]
_SKEWS_S = (10.0, 4_000.0, 200_000.0)
_BROKER_BACK_MS = 480_000
_SNAPSHOTS_LOST = 8
SNAPSHOTS_KEPT = _SNAPSHOTS_LOST + 1
_STEPS = 300
_LOADED_AFTER_S = 0.2  # what is acquired is loaded by then, more or less


def strike(world: "World", fault: Fault) -> None:
    """Let a fault happen now."""
    node = world.nodes[fault.node]
    world.note(f"fault: {fault.kind} {node.name} {fault.lasts_s:.2f} {fault.amount:.3f}")
    STRIKES[fault.kind](world, node, fault)


def forgets_something(plan: Plan) -> bool:
    """Whether Redis ever comes back with an older snapshot."""
    kinds = {fault.kind for fault in plan.faults}
    return plan.forgets_at_rest > 0 or bool(kinds & {"redis_forgets", "redis_forgets_in_load"})


def kill(world: "World", node: Node, fault: Fault) -> None:
    """SIGKILL."""
    node.kill()


def kill_at_step(world: "World", node: Node, fault: Fault) -> None:
    """SIGKILL between two awaits, wherever that is."""
    if node.runs:
        node.process.die_after(round(fault.amount * _STEPS))


def kill_at_point(world: "World", node: Node, fault: Fault) -> None:
    """SIGKILL when the next thing of a kind that it asked for is done, and it does not know yet."""
    node.dies_at = POINTS[int(fault.amount * len(POINTS))]


def freeze(world: "World", node: Node, fault: Fault) -> None:
    """SIGSTOP, often for longer than its session: a zombie when it goes on."""
    if node.runs:
        process = node.process
        process.freeze()
        world.network.later(3 * fault.lasts_s, process.thaw)


def end(world: "World", node: Node, fault: Fault) -> None:
    """SIGTERM, and a new start later."""
    node.stop()
    world.network.later(fault.lasts_s, node.start)


def clock(world: "World", node: Node, fault: Fault) -> None:
    """Its wall clock jumps by seconds, an hour or days, to either side."""
    node.skew_s = (fault.amount - 0.5) * _SKEWS_S[int(fault.amount * 1e6) % len(_SKEWS_S)]


def unheard(world: "World", node: Node, fault: Fault) -> None:
    """The group does not hear it any more, but it goes on: two believe to own a partition."""
    node.group_faults.is_cut = True
    lasts_s = Group.SESSION_S + 2 * fault.lasts_s
    world.network.later(lasts_s, setattr, node.group_faults, "is_cut", False)


def group_moves(world: "World", node: Node, fault: Fault) -> None:
    """A rebalance for no reason that a worker knows."""
    world.group.rebalance()


def group_moves_in_commit(world: "World", node: Node, fault: Fault) -> None:
    """The same while a commit is on its way."""
    world.moves_at_commit = True


def silence(world: "World", node: Node, fault: Fault) -> None:
    """Heartbeats do not reach one partition of one topic, so that it says nothing for a while."""
    places = sorted(world.kafka.logs)
    place = places[int(fault.amount * len(places))]
    world.kafka.silent.add(place)
    world.network.later(3 * fault.lasts_s, world.kafka.silent.discard, place)


def broker_clock(world: "World", node: Node, fault: Fault) -> None:
    """The times that Kafka gives go back by up to eight minutes."""
    world.broker_skew_ms = -round(fault.amount * _BROKER_BACK_MS)
    world.network.later(2 * fault.lasts_s, setattr, world, "broker_skew_ms", 0)


def redis_forgets(world: "World", node: Node, fault: Fault) -> None:
    """Redis comes back with an older snapshot."""
    world.forget(1 + int(fault.amount * _SNAPSHOTS_LOST))


def redis_forgets_in_load(world: "World", node: Node, fault: Fault) -> None:
    """The same between two commands of the next load, which a rebalance brings."""
    world.forgets_in_load = 1 + int(fault.amount * _SNAPSHOTS_LOST)
    world.group.rebalance()


def redis_forgets_lease(world: "World", node: Node, fault: Fault) -> None:
    """It comes back as it was before the next lease, and the group counts from 1 again, while the
    acquirer is frozen: another one gets the epoch that this one has, and then it goes on.
    """
    world.forgets_lease_after_s = _LOADED_AFTER_S * fault.amount
    world.group.rebalance()


def redis_forgets_all(world: "World", node: Node, fault: Fault) -> None:
    """FLUSHALL."""
    world.forget_all()


def _storm(choose: Callable[[Node], NetworkFaults]) -> Strike:
    """Requests and answers get lost."""

    def begin(world: "World", node: Node, fault: Fault) -> None:
        network_faults = choose(node)
        network_faults.loss = fault.amount * 0.7
        world.network.later(fault.lasts_s, setattr, network_faults, "loss", 0.0)

    return begin


def _cut(choose: Callable[[Node], NetworkFaults]) -> Strike:
    """Nothing gets through."""

    def begin(world: "World", node: Node, fault: Fault) -> None:
        network_faults = choose(node)
        network_faults.is_cut = True
        world.network.later(fault.lasts_s, setattr, network_faults, "is_cut", False)

    return begin


def _slow(choose: Callable[[Node], NetworkFaults]) -> Strike:
    """Everything takes up to 500 times as long."""

    def begin(world: "World", node: Node, fault: Fault) -> None:
        network_faults = choose(node)
        network_faults.slowness = 1.0 + 500.0 * fault.amount
        world.network.later(fault.lasts_s, setattr, network_faults, "slowness", 1.0)

    return begin


def control_cut(world: "World", node: Node, fault: Fault) -> None:
    """The audit log is away, for a worker, for a while."""
    node.cut_control()
    world.network.later(3 * fault.lasts_s, node.control_is_back)


STRIKES: dict[str, Strike] = {
    "kill": kill,
    "kill_at_step": kill_at_step,
    "kill_at_point": kill_at_point,
    "freeze": freeze,
    "end": end,
    "clock": clock,
    "unheard": unheard,
    "group_moves": group_moves,
    "group_moves_in_commit": group_moves_in_commit,
    "silence": silence,
    "broker_clock": broker_clock,
    "redis_forgets": redis_forgets,
    "redis_forgets_in_load": redis_forgets_in_load,
    "redis_forgets_lease": redis_forgets_lease,
    "redis_forgets_all": redis_forgets_all,
    "redis_storm": _storm(lambda node: node.redis_faults),
    "redis_cut": _cut(lambda node: node.redis_faults),
    "redis_slow": _slow(lambda node: node.redis_faults),
    "kafka_storm": _storm(lambda node: node.kafka_faults),
    "kafka_cut": _cut(lambda node: node.kafka_faults),
    "kafka_slow": _slow(lambda node: node.kafka_faults),
    "control_cut": control_cut,
    "control_storm": _storm(lambda node: node.control_faults),
}
