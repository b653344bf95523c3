"""When an item is reviewed."""

from zlib import crc32

import numpy as np

from streams.timestamps import DAY_MS
from streams.types import Int64Array, Table

_TURNS = 64


def first_review_ms(key: str, after_ms: int, period_ms: int, slot_ms: int) -> int:
    """Return the first boundary after a time at which an item has its turn.

    Items are spread evenly over the period by their name, so that not all come at once; over about
    64 turns at the most, so that those who come together are decided together.
    """
    turn_ms = max(1, period_ms // _TURNS // slot_ms) * slot_ms
    turns = max(1, period_ms // turn_ms)
    phase_ms = crc32(key.encode("utf-8", "surrogatepass")) % turns * turn_ms
    return window_start_ms(after_ms, phase_ms, period_ms) + period_ms


def window_start_ms(at_ms: int, phase_ms: int, period_ms: int) -> int:
    """Return the start of the review window in which a time lies."""
    return (at_ms - phase_ms) // period_ms * period_ms + phase_ms


def period_ms(row: Table, slot_ms: int) -> Int64Array:
    """Return the review period of rows, whole slots, at least one."""
    slots = np.maximum(1, np.round(row["review_period_days"] * DAY_MS / slot_ms))
    periods: Int64Array = (slots * slot_ms).astype(np.int64)
    return periods
