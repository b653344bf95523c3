"""Whether the stock lasts until goods can come."""

import numpy as np

from policy.compiled import compiled
from streams.alert_records import Figures
from streams.outputs import rfc3339
from streams.rings import DAY_MS
from streams.types import Float64Array, Int64Array, Table


@compiled
def _ratios(rows: Table, items: Int64Array, at_ms: int, ratios: Float64Array) -> None:
    for place in range(items.size):
        row = rows[items[place]]
        level = row.demand_level_units_per_day
        if row.counted_at_ms > 0 and row.next_review_ms > 0 and level > 0.0:
            waits_days = row.lead_time_days_flexible
            if row.next_due_ms > at_ms:
                waits_days = (row.next_due_ms - at_ms) / DAY_MS
            needed = level * waits_days
            if needed > 0.0:
                ratios[place] = max(row.on_hand_units - row.backlog_units, 0) / needed


def cover_ratios(rows: Table, items: Int64Array, at_ms: int) -> Float64Array:
    """Return days that the stock lasts divided by days until goods can come; infinite: not known.

    Goods come with the next open order, or else with an order placed now at the fast supplier.

    Args:
        rows: `streams.items.ROW` records, shape (item,).
        items: places in them, shape (n,).
        at_ms: event time.

    Returns:
        Ratios, shape (n,).
    """
    ratios = np.full(items.size, np.inf)
    _ratios(rows, items, at_ms, ratios)
    return ratios


def cover_figures(item: int, row: Table, boundary: int) -> Figures:
    """Return the figures of an item that will run out for its alert."""
    del item
    level = float(row["demand_level_units_per_day"])
    available = max(0, int(row["on_hand_units"] - row["backlog_units"]))
    arrival = int(row["next_due_ms"])
    return {
        "available_units": available,
        "minutes_to_zero": round(available / level * 1440) if level > 0 else None,
        "next_arrival_at": rfc3339(arrival) if arrival > boundary else None,
    }
