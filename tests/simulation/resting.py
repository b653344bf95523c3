"""What is tried once a world has come to rest: one reason to hold, while there are orders to send.

Each leaves the world with nothing wrong any more; what it must not do, `doorman` and `checker` see.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tests.oracle import HOUR
from tests.simulation import people
from tests.simulation.kafka import Group
from tests.simulation.people import KNOWN_FOR_S

if TYPE_CHECKING:
    from tests.simulation.world import World

_HOURS = 2 * HOUR / 1000
_NOTICED_AFTER_S = 5.0  # a worker pings its store every two seconds


async def audit_log_away(world: "World") -> None:
    """What is decided while it cannot be read waits, and alerts go out."""
    for node in world.nodes:
        node.cut_control()
    await asyncio.sleep(KNOWN_FOR_S + 1)
    world.pass_day()
    await world.settle(orders=False)
    for node in world.nodes:
        node.control_is_back()


async def clock_behind(world: "World") -> None:
    """The same while every worker's clock is hours behind the logs."""
    _turn_clocks(world, -_HOURS)
    world.pass_day()
    await world.settle(orders=False)
    _turn_clocks(world, 0.0)


async def clock_turned_back(world: "World") -> None:
    """Clocks that were ahead are set right when a pause ends."""
    hold_id = people.pause(world, {})
    _turn_clocks(world, _HOURS)
    world.pass_day()
    await world.settle(orders=False)
    _turn_clocks(world, 0.0)
    people.end_blackout(world, hold_id)


async def store_away(world: "World") -> None:
    """A pause ends while Redis is away: orders that it stored go on waiting."""
    hold_id = people.pause(world, {})
    world.pass_day()
    await world.settle(orders=False)
    for node in world.nodes:
        node.redis_faults.is_cut = True
    await asyncio.sleep(_NOTICED_AFTER_S)
    people.end_blackout(world, hold_id)
    await asyncio.sleep(_NOTICED_AFTER_S)
    for node in world.nodes:
        node.redis_faults.is_cut = False


async def death_before_the_last_word(world: "World") -> None:
    """Workers hand over what was approved, and die before the audit log takes that down."""
    world.pass_day()
    await world.settle(orders=False)
    people.approve_all(world)
    world.pass_hours(2)
    for node in world.nodes:
        node.control_takes_nothing = True
    await asyncio.sleep(_NOTICED_AFTER_S)
    for node in world.nodes:
        node.kill()
        node.control_takes_nothing = False


async def late_word(world: "World") -> None:
    """That an order waits is written by its worker when another one has handed it over already."""
    robbed = [node for node in world.nodes if node.process.name in world.owners()]
    for node in robbed[:1]:
        node.control_takes_nothing = True
        world.pass_day()
        await asyncio.sleep(_NOTICED_AFTER_S)
        node.process.freeze()
        await asyncio.sleep(Group.SESSION_S + 2 * Group.JOIN_S)
        people.approve_all(world)
        world.pass_hours(2)
        await asyncio.sleep(_NOTICED_AFTER_S)
        node.control_takes_nothing = False
        node.process.thaw()
        await asyncio.sleep(_NOTICED_AFTER_S)


def _turn_clocks(world: "World", skew_s: float) -> None:
    for node in world.nodes:
        node.skew_s = skew_s


ABOUT_PEOPLE = frozenset({death_before_the_last_word.__name__, late_word.__name__})
"""Where every order has to wait for a person."""

TRIED: dict[str, Callable[["World"], Awaitable[None]]] = {
    one.__name__: one
    for one in (
        *(audit_log_away, clock_behind, clock_turned_back, store_away),
        *(death_before_the_last_word, late_word),
    )
}
