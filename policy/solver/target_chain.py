"""The levels that orders lead to, as a Markov chain of their own: its rates and relative values.

All but one are eliminated in turn; what passes between two visits to that one gives the rates.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

REVIEWS = 0
"""The row that counts reviews, in what the walk up the lattice carries."""

_SINGULAR = 1e-12
_REVIEWS_TO_SETTLE = 12


@compiled
def add_scaled(column: FloatArray, chances: FloatArray, x: float) -> None:
    """Add chances * x; plain arrays, so that it becomes vector code."""
    for k in range(chances.size):
        column[k] += chances[k] * x


@compiled
def _often_visited(next_target: FloatArray) -> int:
    """Return a target that is visited often: the likeliest after some reviews from any of them.

    What passes until a target that is hardly ever visited would drown the values in rounding.
    """
    size = next_target.shape[0]
    if size == 1:
        return 0
    chance, after = np.ones(size), np.empty(size)
    for _ in range(_REVIEWS_TO_SETTLE):
        after[:] = 0.0
        for t in range(size):
            if chance[t] > 1e-12:
                add_scaled(after, next_target[t], chance[t])
        chance[:] = after
    return int(np.argmax(chance))


@compiled
def _eliminate_targets(matrix: FloatArray, right: FloatArray, reach: IntArray) -> None:
    """Eliminate all targets but the last; chances of return need no exchange of rows.

    `reach` is where each row ends: under a capacity the matrix is a band. A target that is never
    left although others remain (a plan with separate cycles) gets the value 0.
    """
    size, width = right.shape
    for c in range(size - 1):
        if matrix[c, c] < _SINGULAR:
            matrix[c, c:], right[c] = 0.0, 0.0
            matrix[c, c] = 1.0
        last = reach[c] + 1
        for r in range(c + 1, size):
            factor = -matrix[r, c] / matrix[c, c]
            if factor != 0.0:
                add_scaled(matrix[r, c:last], matrix[c, c:last], factor)
                for k in range(width):
                    right[r, k] += factor * right[c, k]
                reach[r] = max(reach[r], reach[c])


@compiled
def solve_targets(targets: IntArray, base: int, work: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return each base row's rate per review, and its relative value at each target.

    From a target on, what passes until the next target solves a linear system; a target often
    visited has value 0, and what passes between its returns gives the rates.
    """
    size = targets.size
    next_target = np.empty((size, size))
    for t in range(size):
        for c in range(size):
            next_target[t, c] = work[base + c, targets[t]]
    reference = _often_visited(next_target)
    order = np.arange(size)
    order[reference:-1] = order[reference + 1 :]
    order[size - 1] = reference
    matrix, right, reach = np.zeros((size, size)), np.empty((size, base)), np.arange(size)
    for t in range(size):
        matrix[t, t] = 1.0
        for c in range(size):
            chance = next_target[order[t], order[c]]
            if chance != 0.0:
                matrix[t, c] -= chance
                reach[t] = max(reach[t], c)
        for k in range(base):
            right[t, k] = work[k, targets[order[t]]]
    _eliminate_targets(matrix, right, reach)
    rates = right[size - 1] / right[size - 1, REVIEWS]
    values = np.zeros((size, base))
    for c in range(size - 2, -1, -1):
        reviews = right[c, REVIEWS]
        for k in range(base):
            total = right[c, k] - rates[k] * reviews
            for j in range(c + 1, reach[c] + 1):
                total -= matrix[c, j] * values[order[j], k]
            values[order[c], k] = total / matrix[c, c]
    return rates, values
