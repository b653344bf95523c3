"""How long the oldest order waits to be dispatched.

Orders are not followed one by one: if they are dispatched in the order in which they came, the
oldest open one lies where the sales since then make up the backlog. The answer is as fine as the
rings are: to the minute in the last hour, then to the hour, then to the day.
"""

import numpy as np

from streams.rings import Ring
from streams.types import Int64Array


def oldest_open_order_ms(
    backlog_units: Int64Array, items: Int64Array, rings: list[Ring], until_ms: int
) -> Int64Array:
    """Return the start of the bucket in which each item's oldest open order came.

    Args:
        backlog_units: ordered and not dispatched, shape (n,).
        items: places of the items in the rings, shape (n,).
        rings: of sales, the finest first.
        until_ms: the backlog is as of this time; later sales are left out.

    Returns:
        Milliseconds, shape (n,); 0 where nothing is open, and the start of the oldest bucket kept
        where the order is older than all of them.
    """
    found = np.zeros(items.size, np.int64)
    open_places = np.flatnonzero(backlog_units > 0)
    for ring in rings:
        if not open_places.size:
            return found
        if ring.newest < 0:
            continue
        newest = min(ring.newest, (until_ms - 1) // ring.width_ms)
        buckets = np.arange(newest, ring.buckets().start - 1, -1)
        if not buckets.size:
            continue
        slots = buckets % ring.length
        units = ring.arrays.cells["units"][slots[:, None], items[open_places]]
        reached = np.cumsum(units, axis=0) >= backlog_units[open_places]
        is_reached = reached.any(axis=0)
        first = np.where(is_reached, reached.argmax(axis=0), buckets.size - 1)
        found[open_places] = buckets[first] * ring.width_ms
        open_places = open_places[~is_reached]
    return found
