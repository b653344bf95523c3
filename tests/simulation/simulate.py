"""One seed, from its plan to the verdict."""

from dataclasses import dataclass, field

from tests.simulation.checker import check_end, check_prefix
from tests.simulation.loop import SimulatedLoop
from tests.simulation.plan import Plan, draw_plan
from tests.simulation.violation import Violation
from tests.simulation.world import World, worker_log_in


@dataclass
class Verdict:
    """What a seed led to."""

    seed: int
    violation: str | None = None  # what does not hold, if anything
    trace: list[str] = field(default_factory=list)
    commits: int = 0
    refusals: int = 0  # commits that the fence did not take
    deaths: int = 0
    faults: int = 0
    orders: int = 0
    alerts_while_shut: int = 0  # that left while a gate kept orders back
    virtual_s: float = 0.0


def simulate(seed: int) -> Verdict:
    """Run one world to its end and check it."""
    plan = draw_plan(seed)
    verdict = Verdict(seed, faults=len(plan.faults))
    loop = SimulatedLoop()
    try:
        loop.run_until_complete(_live(plan, loop, verdict))
    except Violation as error:
        verdict.violation = str(error)
    except Exception as error:  # a state that cannot even be read, or a deadlock
        verdict.violation = repr(error)
    finally:
        loop.close()
    return verdict


async def _live(plan: Plan, loop: SimulatedLoop, verdict: Verdict) -> None:
    world = World(plan, loop, verdict.trace.append)
    with worker_log_in(world.note):
        try:
            await world.run()
            verdict.virtual_s = loop.time()
        finally:
            verdict.commits, verdict.refusals = world.commits, world.refusals
            verdict.deaths = sum(node.deaths for node in world.nodes)
            verdict.alerts_while_shut = world.doors.alerts_while_shut
            verdict.orders = len(world.kafka.outputs["purchase-orders"])
            await world.bury()
    if world.looked_at is not None:
        await check_prefix(world.kafka, world.looked_at, loop, plan.settings)
    await check_end(world)
