"""Whether the stock lasts until goods can come."""

import numpy as np

from streams.alert_records import Figures
from streams.items import Columns
from streams.outputs import rfc3339
from streams.rings import DAY_MS
from streams.types import Float64Array, Table


def cover_ratio(rows: Columns, boundary: int) -> Float64Array:
    """Days that the stock lasts divided by days until goods can come; infinite where unknown.

    Goods come with the next open order, or else with an order placed now at the fast supplier.
    """
    level = rows["demand_level_units_per_day"]
    known = (rows["counted_at_ms"] > 0) & (rows["next_review_ms"] > 0) & (level > 0)
    available = np.maximum(rows["on_hand_units"] - rows["backlog_units"], 0)
    waits_days = np.where(
        rows["next_due_ms"] > boundary,
        (rows["next_due_ms"] - boundary) / DAY_MS,
        rows["lead_time_days_flexible"],
    )
    needed = np.where(known, level * waits_days, 0.0)
    ratio: Float64Array = np.full(rows.size, np.inf)
    np.divide(available, needed, out=ratio, where=needed > 0)
    return ratio


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
