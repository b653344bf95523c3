"""Order-line fill: lines arrive at random and have sizes, so that large ones miss more often."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.signal import lfilter

from policy.classic.fields import Custom, FloatArray, Number
from policy.classic.newsvendor import LEAD_TIME
from policy.classic.safety import TARGET
from policy.errors import PolicyInputError

LINES = Number("lines_per_period", "order lines in a period", is_above=True)
BASE_STOCK = Number("base_stock", "position that is kept by ordering after every line", high=1e6)
_RULE = "[[units, chance], ...], chances that sum to 1"
LARGEST_LINE_UNITS = 100_000
_MOST_LEVELS = 1 << 24


def read_sizes(value: Any, name: str = "line_sizes") -> FloatArray:
    """Return the chances of lines of 0, 1, 2, ... units.

    Args:
        value: pairs of units and chance, or an object of units and chances.
        name: of the field, for complaints.

    Raises:
        PolicyInputError: no such pairs, or chances that do not sum to 1 within 1e-6.

    >>> read_sizes([[1, 0.7], [3, 0.3]]).tolist()
    [0.0, 0.7, 0.0, 0.3]
    """
    pairs = list(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(pairs, Sequence) or isinstance(pairs, str) or not pairs:
        raise PolicyInputError(name, _RULE, value)
    read = [_pair(pair, f"{name}[{place}]") for place, pair in enumerate(pairs)]
    chances = np.zeros(max(units for units, _ in read) + 1)
    for units, chance in read:
        chances[units] += chance
    if not abs(chances.sum() - 1) <= 1e-6:
        raise PolicyInputError(name, _RULE, value)
    return np.asarray(chances / chances.sum())


def _pair(pair: Any, name: str) -> tuple[int, float]:
    if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
        raise PolicyInputError(name, "[units, chance]", pair)
    units = float(pair[0]) if isinstance(pair[0], str) and pair[0].isdecimal() else pair[0]
    size = Number(f"{name}[0]", "", low=1, high=LARGEST_LINE_UNITS, is_whole=True).read(units)
    return int(size), Number(f"{name}[1]", "", high=1).read(pair[1])


LINE_SIZES = Custom("line_sizes", "units of a line and their chances", _RULE, read_sizes)


@dataclass(frozen=True)
class LineFill:
    """Shares that a base stock serves from stock."""

    base_stock: int
    line_fill: float
    """Share of lines that are served in full at once."""
    unit_fill: float
    """Share of units that are served at once."""


def line_demand(lines: float, sizes: FloatArray, largest: int) -> FloatArray:
    """Return the chances of 0, 1, ..., `largest` units on a Poisson number of lines.

    Panjer's recursion n g(n) = lines x sum of j p(j) g(n - j), a filter with these weights: halves
    of the lines are summed where their number is so large that g(0) = exp(-lines) would vanish.

    >>> line_demand(2.0, np.array([0, 0.7, 0, 0.3]), 3).round(6).tolist()
    [0.135335, 0.189469, 0.132629, 0.143095]
    """
    square = float(sizes @ np.arange(sizes.size) ** 2)
    mean = lines * float(sizes @ np.arange(sizes.size))
    reach = math.ceil(mean + 60 * (math.sqrt(lines * square) + sizes.size))
    if largest > reach:  # more than 60 standard deviations: nothing that a float could hold
        return np.append(line_demand(lines, sizes, reach), np.zeros(largest - reach))
    halvings = max(0, math.ceil(math.log2(max(lines, 1.0) / 500.0)))
    part = lines / 2**halvings
    total = _panjer(part, sizes, largest)
    for _ in range(halvings):
        length = 1 << (2 * largest + 1).bit_length()
        spectrum = np.fft.rfft(total, length)
        total = np.maximum(np.fft.irfft(spectrum * spectrum, length)[: largest + 1], 0.0)
    return total


def _panjer(lines: float, sizes: FloatArray, largest: int) -> FloatArray:
    weights = lines * np.arange(1, sizes.size) * sizes[1:]
    chances = np.zeros(largest + 1)
    chances[0] = math.exp(-lines)
    backwards = weights[::-1]
    for units in range(1, largest + 1):
        reach = min(units, weights.size)
        recent = chances[units - reach : units]
        chances[units] = float(recent @ backwards[weights.size - reach :]) / units
    return chances


def line_fill(
    lines_per_period: float, sizes: FloatArray, lead_time_periods: float, base_stock: int
) -> LineFill:
    """Return the shares of lines and units that a base stock serves.

    Args:
        lines_per_period: Poisson, > 0.
        sizes: chances of lines of 0, 1, 2, ... units, as `read_sizes` returns them.
        lead_time_periods: from an order, placed after every line, to its arrival, >= 0.
        base_stock: units, >= 0.

    A line of j units is served if the demand of the lead time before it was at most S - j.

    Raises:
        PolicyInputError: an argument breaks a range above.

    >>> fill = line_fill(2, read_sizes([[1, 0.7], [3, 0.3]]), 1, 6)
    >>> round(fill.line_fill, 6), round(fill.unit_fill, 6)
    (0.755219, 0.764022)
    """
    lines = float(LINES.check(lines_per_period)) * float(LEAD_TIME.check(lead_time_periods))
    stock = int(BASE_STOCK.check(base_stock))
    by_line, by_unit = _fills(lines, sizes, stock)
    return LineFill(stock, float(by_line[stock]), float(by_unit[stock]))


def base_stock_for_lines(
    lines_per_period: float,
    sizes: FloatArray,
    lead_time_periods: float,
    target: float,
) -> LineFill:
    """Return the least base stock that serves this share of lines in full.

    >>> base_stock_for_lines(2, read_sizes([[1, 0.7], [3, 0.3]]), 1, 0.95).base_stock
    10
    """
    lines = float(LINES.check(lines_per_period)) * float(LEAD_TIME.check(lead_time_periods))
    share = float(TARGET.check(target))
    units = np.arange(sizes.size)
    mean, square = float(sizes @ units), float(sizes @ units**2)
    most = math.ceil(lines * mean + 4 * math.sqrt(lines * square)) + sizes.size
    while True:
        by_line, by_unit = _fills(lines, sizes, most)
        is_enough = by_line >= share - 1e-12
        if is_enough.any():
            stock = int(np.argmax(is_enough))
            return LineFill(stock, float(by_line[stock]), float(by_unit[stock]))
        most *= 2
        if most > _MOST_LEVELS:
            raise PolicyInputError(LINES.name, "such that the stock is below 2^24 units", lines)


def _fills(lines: float, sizes: FloatArray, most: int) -> tuple[FloatArray, FloatArray]:
    """Return the shares of lines and of units served by base stocks 0, 1, ..., `most`."""
    at_most = np.cumsum(line_demand(lines, sizes, most))
    at_least = np.cumsum(sizes[::-1])[::-1]  # P(a line has at least i units)
    by_line = lfilter(sizes, [1.0], at_most)
    by_unit = lfilter(np.r_[0.0, at_least[1:]], [1.0], at_most) / at_least[1:].sum()
    return np.asarray(by_line), np.asarray(by_unit)
