"""Joint replenishment with certain demand: how often to order each item of one supplier."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from policy.classic.fields import FloatArray, Given, Number
from policy.errors import PolicyInputError

HEADER = Number("header_cost", "cost of an order, whatever lines it has")
LINE = Number("line_cost", "cost of an item's line in an order", is_above=True)
HOLDING_RATE = Number(
    "holding_cost_per_period", "cost of one period's demand in stock for a period", is_above=True
)


@dataclass(frozen=True)
class Cycles:
    """A basic cycle, in every so many of which each item is ordered."""

    cycle_periods: float
    multiples: tuple[int, ...]
    cost_per_period: float
    cost_apart_per_period: float
    """Of ordering each item by itself, at its economic lot, with a header for each."""


def best_cycles(header_cost: float, line_cost: Given, holding: Given) -> Cycles:
    """Return the cycles of least cost: an order each basic cycle, with at least one item in it.

    Exact: for a cycle T the best multiple of an item is known, and it changes only at
    T = sqrt(2 a / (h n (n + 1))). Between two of those the cost is convex in T.

    Args:
        header_cost: of an order, A >= 0.
        line_cost: of each item in it, a > 0, shape (item,).
        holding: h, the holding cost of one period's demand for one period, shape (item,), > 0:
            holding rate x demand x unit cost.

    Source: Silver, Pyke & Peterson, chapter 11; MODEL, section 7:

    >>> values = np.array([86000.0, 12500, 1400, 3000])
    >>> found = best_cycles(40, [15] * 4, 0.24 * values)
    >>> found.multiples, round(found.cycle_periods, 7), round(found.cost_per_period, 4)
    ((1, 1, 4, 3), 0.0761734, 2067.6508)
    >>> round(found.cost_apart_per_period, 4)
    2554.9157
    """
    header, rate = float(HEADER.check(header_cost)), HOLDING_RATE.check(holding).ravel()
    lines = np.broadcast_to(LINE.check(line_cost).ravel(), rate.shape)
    if not rate.size:
        raise PolicyInputError(HOLDING_RATE.name, "of at least one item", holding)
    apart = float(np.sqrt(2 * (header + lines) * rate).sum())
    longest = math.sqrt(2 * (header + lines.sum()) / rate.sum())
    best = _at(longest, np.ones(rate.size), header, lines, rate)
    one_ordered = float(np.sqrt(lines / rate).min())  # below it no item is in every order
    for ends, begins in _stretches(longest, one_ordered, lines, rate):
        if header > best[0] * ends:
            break  # headers alone cost more
        multiples = _multiples((ends + begins) / 2, lines, rate)
        optimum = math.sqrt(2 * (header + (lines / multiples).sum()) / (multiples * rate).sum())
        best = min(best, _at(min(max(optimum, begins), ends), multiples, header, lines, rate),
                   key=lambda found: found[0])  # fmt: skip
    cost, cycle, multiples = best
    return Cycles(cycle, tuple(int(one) for one in multiples), cost, apart)


def _at(
    cycle: float, multiples: FloatArray, header: float, lines: FloatArray, rate: FloatArray
) -> tuple[float, float, FloatArray]:
    ordering = header + float((lines / multiples).sum())
    return ordering / cycle + float((multiples * rate).sum()) * cycle / 2, cycle, multiples


def _multiples(cycle: float, lines: FloatArray, rate: FloatArray) -> FloatArray:
    """Return the best multiple of each item: the least n with n (n + 1) >= 2 a / (h T^2)."""
    ratio = 2 * lines / (rate * cycle**2)
    return np.maximum(1.0, np.ceil(-0.5 + np.sqrt(0.25 + ratio) - 1e-12))


def _stretches(
    longest: float, shortest: float, lines: FloatArray, rate: FloatArray
) -> list[tuple[float, float]]:
    """Return the stretches of T in which no multiple changes, from the longest down."""
    if not shortest < longest:
        return [(longest, longest)]
    changes = [longest, shortest]
    for line, held in zip(lines.tolist(), rate.tolist(), strict=True):
        most = int(_multiples(shortest, np.array([line]), np.array([held]))[0])
        n = np.arange(1, most + 1)
        at = np.sqrt(2 * line / (held * n * (n + 1)))
        changes.extend(at[(at < longest) & (at > shortest)].tolist())
    points = sorted(set(changes), reverse=True)
    return list(pairwise(points))
