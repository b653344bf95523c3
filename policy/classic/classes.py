"""Classes of items: ABC by value, XYZ by spread, demand by interval and size, and their targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from policy.classic.fields import Custom, FloatArray, Given, Number, Numbers, Rows
from policy.errors import PolicyInputError

Names = npt.NDArray[np.str_]

INTERVAL_LIMIT = 1.32
SIZE_LIMIT = 0.49
VALUE_LIMITS = (0.80, 0.95)
SPREAD_LIMITS = (0.5, 1.0)
# The slide deck's matrix. It names no columns; steadier demand has the higher target here. Its
# figure for A and Z is lost, and 0.98 is ours.
SERVICE_MATRIX = ((0.99, 0.99, 0.98), (0.95, 0.93, 0.90), (0.90, 0.87, 0.85))

LIMITS = Numbers(
    "limits",
    "shares of value where B and C begin, 0.8 and 0.95 by default",
    Number("limits", "", is_above=True, high=1),
    fewest=2,
)
SPREADS = Numbers(
    "spread_limits",
    "coefficients of variation where Y and Z begin, 0.5 and 1 by default",
    Number("spread_limits", "", is_above=True),
    fewest=2,
)
_TARGET = Number("", "", is_above=True, high=1, is_below=True)
_AMOUNT = Number("", "")
VALUES = Numbers("values", "value of each item, such as its sales of a year", _AMOUNT)
SERIES = Rows("series", "demand by period, a list for each item", _AMOUNT)
_TIE = 1e-12


def abc_classes(values: Given, limits: Sequence[float] = VALUE_LIMITS) -> Names:
    """Return A, B or C for each item, by the cumulated value before it.

    Args:
        values: of each item, >= 0; of equal values the earlier item comes first.
        limits: shares of the whole value where B and C begin, rising, inside (0, 1].

    Items without value are C.

    Raises:
        PolicyInputError: an argument breaks a range above.

    >>> "".join(abc_classes([50, 30, 8, 5, 3, 2, 1, 0.6, 0.3, 0.1]))
    'AABBBCCCCC'
    """
    worth = _AMOUNT_OF_VALUES.check(values)
    first, second = _limits(LIMITS, limits)
    order = np.argsort(-worth, kind="stable")
    total = worth.sum()
    before = np.empty_like(worth)
    before[order] = np.concatenate(([0.0], np.cumsum(worth[order])[:-1]))
    share = before / total if total > 0 else np.ones_like(worth)
    names = np.array(["A", "B", "C"])
    place = (share >= first - _TIE).astype(int) + (share >= second - _TIE)
    return names[np.where(worth > 0, place, 2)]


_AMOUNT_OF_VALUES = Number("values", "")
_AMOUNT_OF_SERIES = Number("series", "")


def _limits(field: Numbers, given: Sequence[float]) -> tuple[float, float]:
    if len(given) != 2 or not given[0] <= given[1]:
        raise PolicyInputError(field.name, "two numbers, rising", list(given))
    low, high = (float(field.element.check(one)) for one in given)
    return low, high


@dataclass(frozen=True)
class DemandClasses:
    """What the demand of each item looks like."""

    interval: FloatArray
    """ADI: periods / periods with demand; nan where nothing was demanded."""
    size_variation: FloatArray
    """CV^2 of the demands above 0 (divided by their number); nan where there were none."""
    names: Names
    """smooth, erratic (sizes vary), intermittent (seldom), lumpy (both) or none."""
    stability: Names
    """stable (smooth), shaky (erratic), capricious (intermittent or lumpy) or none."""


def demand_classes(series: Given) -> DemandClasses:
    """Return the class of each item by how often and how evenly it is demanded.

    Args:
        series: units by period, shape (item, period) or (period,), >= 0.

    Limits: ADI 1.32 and CV^2 0.49; a value at its limit belongs to the more difficult class.

    Raises:
        PolicyInputError: a value below 0, or no periods.

    Source: Syntetos, Boylan & Croston (2005), doi 10.1057/palgrave.jors.2601841.

    >>> found = demand_classes([0, 0, 3, 0, 0, 0, 5, 0, 2, 0, 0, 4])
    >>> float(found.interval), float(found.size_variation.round(6)), str(found.names)
    (3.0, 0.102041, 'intermittent')
    """
    units = _AMOUNT_OF_SERIES.check(series)
    if not units.ndim or not units.shape[-1]:
        raise PolicyInputError("series", "at least one period for each item", series)
    count = np.count_nonzero(units, axis=-1)
    seen = np.where(count > 0, count, 1)
    mean = units.sum(axis=-1) / seen
    squares = np.where(units > 0, (units - mean[..., None]) ** 2, 0.0).sum(axis=-1) / seen
    interval = np.where(count > 0, units.shape[-1] / seen, np.nan)
    variation = np.where(count > 0, squares / np.where(count > 0, mean, 1.0) ** 2, np.nan)
    is_seldom, is_uneven = interval >= INTERVAL_LIMIT, variation >= SIZE_LIMIT - _TIE
    place = np.where(count > 0, 2 * is_seldom + is_uneven, 4)
    names = np.array(["smooth", "erratic", "intermittent", "lumpy", "none"])
    stability = np.array(["stable", "shaky", "capricious", "capricious", "none"])
    return DemandClasses(interval, variation, names[place], stability[place])


def xyz_classes(series: Given, limits: Sequence[float] = SPREAD_LIMITS) -> tuple[FloatArray, Names]:
    """Return the coefficient of variation of each item's periods, and X, Y or Z by it.

    Args:
        series: units by period, shape (item, period) or (period,), >= 0; periods without demand
            count.
        limits: coefficients where Y and Z begin, rising, > 0.

    Items that nobody demanded have no coefficient (nan) and are Z.

    Raises:
        PolicyInputError: an argument breaks a range above.

    >>> spread, names = xyz_classes([[9, 10, 11, 10], [0, 20, 0, 0]])
    >>> spread.round(4).tolist(), names.tolist()
    ([0.0707, 1.7321], ['X', 'Z'])
    """
    units = _AMOUNT_OF_SERIES.check(series)
    if not units.ndim or not units.shape[-1]:
        raise PolicyInputError("series", "at least one period for each item", series)
    first, second = _limits(SPREADS, limits)
    mean = units.mean(axis=-1)
    spread = np.divide(units.std(axis=-1), mean, out=np.full(mean.shape, np.nan), where=mean > 0)
    place = np.where(mean > 0, (spread >= first - _TIE).astype(int) + (spread >= second - _TIE), 2)
    return spread, np.array(["X", "Y", "Z"])[place]


def read_matrix(value: Any, name: str = "matrix") -> FloatArray:
    """Return a 3 x 3 matrix of targets, rows A, B, C and columns X, Y, Z.

    Raises:
        PolicyInputError: another shape, or a target outside (0, 1).
    """
    rows = Rows(name, "", _TARGET).read(value)
    if rows.shape != (3, 3):
        raise PolicyInputError(name, _MATRIX_RULE, value)
    return rows


_MATRIX_RULE = "3 rows (A, B, C) of 3 targets (X, Y, Z), each inside (0, 1)"
MATRIX = Custom("matrix", "service target of each pair of classes", _MATRIX_RULE, read_matrix)


def service_targets(
    abc: Names, xyz: Names, matrix: Sequence[Sequence[float]] | FloatArray = SERVICE_MATRIX
) -> FloatArray:
    """Return the service target of each item from its two classes.

    >>> service_targets(np.array(["A", "B", "C"]), np.array(["X", "Y", "Z"])).tolist()
    [0.99, 0.93, 0.85]
    """
    targets = Number("matrix", "", is_above=True, high=1, is_below=True).check(matrix)
    if targets.shape != (3, 3):
        raise PolicyInputError("matrix", _MATRIX_RULE, matrix)
    rows = np.searchsorted(["A", "B", "C"], abc)
    columns = np.searchsorted(["X", "Y", "Z"], xyz)
    return np.asarray(targets[rows, columns])
