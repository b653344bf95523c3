"""What may be ordered of one item, and what it costs: a parameter row's order rules in cells."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.solver.columns import (
    P_BACKORDER,
    P_CAPACITY,
    P_FLEXIBLE_DAYS,
    P_FLEXIBLE_LEAST,
    P_FLEXIBLE_PACK,
    P_FLEXIBLE_SETUP,
    P_FLEXIBLE_UNIT,
    P_LEAN_DAYS,
    P_LEAN_LEAST,
    P_LEAN_PACK,
    P_LEAN_SETUP,
    P_LEAN_UNIT,
    P_REVIEW,
)

FloatArray = npt.NDArray[np.float64]


class Rules(NamedTuple):
    """Costs and order rules; lots in cells. A supplier with `use` 0 is never ordered from."""

    setup_lean: float
    setup_flexible: float
    unit_lean: float
    unit_flexible: float
    use_lean: int
    use_flexible: int
    least_lean: int
    most_lean: int
    pack_lean: int
    least_flexible: int
    pack_flexible: int


@compiled
def _in_cells(units: float, cell: float) -> int:
    return int(max(1.0, math.ceil(units / cell - 1e-9)))


@compiled
def _pack_cells(pack: float, cell: float) -> int:
    """Cells of a pack if it is a whole number of cells, else 1 (rounded after the split)."""
    cells = round(pack / cell)
    return int(cells) if cells >= 1 and abs(cells * cell - pack) < 1e-6 * pack else 1


@compiled
def make_rules(row: FloatArray, cell: float, size: int) -> Rules:
    """Return the order rules of a parameter row in cells."""
    most = size if row[P_CAPACITY] == np.inf else int(row[P_CAPACITY] / cell + 1e-6)
    use_lean = 1 if row[P_LEAN_SETUP] < np.inf and most >= 1 else 0
    return Rules(
        row[P_LEAN_SETUP],
        row[P_FLEXIBLE_SETUP],
        row[P_LEAN_UNIT],
        row[P_FLEXIBLE_UNIT],
        use_lean,
        1 if row[P_FLEXIBLE_SETUP] < np.inf else 0,
        _in_cells(row[P_LEAN_LEAST], cell),
        min(most, size),
        _pack_cells(row[P_LEAN_PACK], cell),
        _in_cells(row[P_FLEXIBLE_LEAST], cell),
        _pack_cells(row[P_FLEXIBLE_PACK], cell),
    )


@compiled
def outlives_review(row: FloatArray) -> bool:
    """Whether an order can still be on its way at the next review; levels are then positions."""
    return bool(row[P_LEAN_DAYS] >= row[P_REVIEW])


@compiled
def decided_days(row: FloatArray) -> tuple[float, float, float, float]:
    """First day whose stock cost this review decides, both delivery days, and the last day."""
    quick, slow = row[P_FLEXIBLE_DAYS], row[P_LEAN_DAYS]
    if outlives_review(row):
        return quick, quick, slow, row[P_REVIEW] + quick
    return 0.0, quick, slow, row[P_REVIEW]


@compiled
def deep_slope(row: FloatArray) -> float:
    """Money that one more unit of backlog costs when all of it is ordered at this review."""
    first_day = row[P_FLEXIBLE_DAYS] if outlives_review(row) else 0.0
    lean = row[P_LEAN_UNIT] + row[P_BACKORDER] * (row[P_LEAN_DAYS] - first_day)
    flexible = row[P_FLEXIBLE_UNIT] + row[P_BACKORDER] * (row[P_FLEXIBLE_DAYS] - first_day)
    if row[P_FLEXIBLE_SETUP] == np.inf:
        return float(lean)
    if row[P_LEAN_SETUP] == np.inf or row[P_CAPACITY] < np.inf:
        return float(flexible)
    return float(min(lean, flexible))
