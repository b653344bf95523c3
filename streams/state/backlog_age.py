"""How long the oldest order waits to be dispatched.

What is open is known by order line, in `open_lines`; since when is not: the units of an item are
taken to leave in the order in which they came. Each item has a short queue of marks in its row:
since when so many units wait. It changes with the backlog, in event time, so that it follows from
the log alone.
"""

from policy.compiled import compiled
from streams.timestamps import MINUTE_MS
from streams.types import Int64Array, Record

WAITING_MARKS = 8


@compiled
def owe(row: Record, units: int, at_ms: int) -> None:
    """Let units of an item wait from now on.

    Args:
        row: of `streams.state.items.ROW`; its marks stand oldest first, and those without units
            last.
        units: > 0.
        at_ms: event time, not before that of any earlier call.
    """
    since, waiting = row.waiting_since_ms, row.waiting_units
    used = 0
    while used < WAITING_MARKS and waiting[used] > 0:
        used += 1
    if used > 0 and at_ms // MINUTE_MS == since[used - 1] // MINUTE_MS:
        waiting[used - 1] += units
        return
    if used == WAITING_MARKS:
        _join_nearest(since, waiting, at_ms)
        used -= 1
    since[used] = at_ms
    waiting[used] = units


@compiled
def _join_nearest(since: Int64Array, waiting: Int64Array, at_ms: int) -> None:
    """Make one of the two neighbours that cover the shortest time, and leave the last one free.

    They cover at most 2/7 of the time that the whole queue covers then, so that by no more than
    that the oldest order ever seems too old.
    """
    nearest, shortest = 0, at_ms - since[0]
    for place in range(WAITING_MARKS - 1):
        end = since[place + 2] if place + 2 < WAITING_MARKS else at_ms
        if end - since[place] < shortest:
            nearest, shortest = place, end - since[place]
    waiting[nearest] += waiting[nearest + 1]
    _take_out(since, waiting, nearest + 1)


@compiled
def _take_out(since: Int64Array, waiting: Int64Array, place: int) -> None:
    for later in range(place + 1, WAITING_MARKS):
        since[later - 1] = since[later]
        waiting[later - 1] = waiting[later]
    since[WAITING_MARKS - 1] = 0
    waiting[WAITING_MARKS - 1] = 0


@compiled
def settle(row: Record, units: int) -> None:
    """Let units of an item wait no longer, those first that have waited longest."""
    since, waiting = row.waiting_since_ms, row.waiting_units
    while units > 0 and waiting[0] > 0:
        taken = min(units, waiting[0])
        waiting[0] -= taken
        units -= taken
        if waiting[0] == 0:
            _take_out(since, waiting, 0)
