"""Taking in a batch, the pure steps: its pieces, what became of each record, and what waits.

`fold` holds the compiled kernels; `Shard.fold` puts both together.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from streams.contracts.codes import Kind
from streams.ingest.decode import Columns, Decoded
from streams.shard.fold import Admitted, Outcome
from streams.state.pending import ENTRY
from streams.timestamps import DAY_MS, NO_CLOCK
from streams.types import AnyArray, Int32Array, Int64Array, UInt8Array

DEAD_LETTERED = "dead_lettered"
NEW_ORDERS, SOLD_UNITS = "sales:orders", "sales:units"  # beside the outcomes by topic
REVIEWS = "reviews"
REUSED = "reused"  # part of the duplicates: the id of another event
LOST = "lost"  # deleted before they were read


@dataclass(frozen=True, slots=True)
class Folded:
    """What a batch did: how many records of each outcome, and which rows came too late."""

    counts: dict[str, int]
    late_rows: list[int]
    reused_rows: list[int] = field(default_factory=list)


def pieces(columns: Columns, newest_day: int, step_days: int) -> Iterator[slice]:
    """Cut a batch so that no piece spans more than some days.

    Args:
        columns: the batch.
        newest_day: the newest day that is known already.
        step_days: how many days a piece may span, e.g. half of what a ring keeps.
    """
    if not len(columns):
        return
    newest = np.maximum.accumulate(columns.occurred_ms) // DAY_MS
    newest = np.maximum(newest, newest_day)
    cuts = np.flatnonzero(np.diff((newest - newest[0]) // step_days)) + 1
    for start, stop in pairwise([0, *cuts.tolist(), len(columns)]):
        yield slice(start, stop)


def outcome_counts(admitted: Admitted) -> Mapping[str, int]:
    """Count the records of each outcome, and those among the folded that were late."""
    counts = np.bincount(admitted.outcome, minlength=len(Outcome))
    found = {outcome.name.lower(): int(counts[outcome]) for outcome in Outcome}
    return {**found, "folded_late": admitted.late_folded}


def waiting_entries(
    columns: Columns,
    items: Int32Array,
    piece: slice,
    admitted: Admitted,
    is_new_order: UInt8Array,
) -> tuple[AnyArray, dict[int, Any]]:
    """Return what waits for its time, as `Pending.add` takes it: entries, and updates by place.

    Args:
        columns, items: the batch, shape (row,).
        piece: which rows of it.
        admitted: what became of them.
        is_new_order: whether each is the first line of its order for its item on its day.
    """
    code = columns.code[piece]
    waits = (admitted.outcome == Outcome.FOLDED) & (code != Kind.DELIVERED)
    chosen: Any = slice(None) if waits.all() else np.flatnonzero(waits)
    effective_ms = admitted.effective_ms[chosen]
    entries = np.empty(effective_ms.size, ENTRY)
    entries["effective_ms"] = effective_ms
    entries["quantity"] = columns.quantity[piece][chosen]
    entries["order_key"] = columns.order_id_key[piece][chosen]
    entries["item"] = items[piece][chosen]
    entries["code"] = code[chosen]
    entries["is_new_order"] = is_new_order[chosen]
    if not columns.updates:
        return entries, {}
    places = {int(row): place for place, row in enumerate(np.arange(code.size)[chosen])}
    updates = {
        places[row - piece.start]: event
        for row, event in columns.updates.items()
        if row - piece.start in places
    }
    return entries, updates


def dead_letter_entries(decoded: Decoded, clock_before_ms: Int64Array) -> AnyArray:
    """Let bad records take their place in event time: their topic's clock where they lie.

    Args:
        decoded: the batch.
        clock_before_ms: the clock before each good record and after the last, shape (row + 1,).
    """
    rows = [reject.row for reject in decoded.rejects]
    clocks = clock_before_ms[np.searchsorted(decoded.columns.rows, rows)]
    clocks = clocks[clocks != NO_CLOCK]
    entries = np.zeros(clocks.size, ENTRY)
    entries["effective_ms"] = clocks
    entries["code"] = Kind.DEAD_LETTER
    return entries
