"""Can-order levels evaluated exactly: the chain of the positions of all items after the orders."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np

from policy.classic.fields import FloatArray
from policy.joint.items import CanOrderLevels, JointCost, JointItem, JointProblem

MOST_STATES = 1_600
"""Positions of all items together that are evaluated exactly."""


def states_of(levels: CanOrderLevels) -> int:
    """Return how many positions after the orders the levels allow."""
    return math.prod(top - s for s, top in zip(levels.s, levels.S, strict=True))


@dataclass(frozen=True)
class _ItemChain:
    """Moves of one item within a period, by its position after the order, s + 1 .. S."""

    stays: FloatArray
    """To positions above s, nothing ordered; shape (position, position)."""
    joins: FloatArray
    """The same, with those at c or below raised to S."""
    triggers: FloatArray
    """Chance of falling to s or below, shape (position,)."""
    may_join: FloatArray
    """Chance of falling to above s and at most c."""


def exact_cost(problem: JointProblem, levels: CanOrderLevels) -> JointCost:
    """Return the cost per period of can-order levels, exactly.

    Args:
        problem: few items whose levels lie close together (`states_of` at most `MOST_STATES`).
        levels: s < S and s <= c < S for each item.

    >>> from policy.classic.demand import PoissonDemand, on_cells
    >>> two = on_cells(PoissonDemand(2), 1)
    >>> items = [JointItem(name, two, 1, 1, 9) for name in "ab"]
    >>> found = exact_cost(JointProblem(items, 10), CanOrderLevels((1, 1), (4, 4), (6, 6)))
    >>> round(found.total, 4)
    12.5624
    """
    chains = [
        _item_chain(item, s, c, top)
        for item, s, c, top in zip(problem.items, levels.s, levels.c, levels.S, strict=True)
    ]
    stays = _product([one.stays for one in chains])
    quiet_joins = _product([one.joins for one in chains])
    last = [_with_triggers(one) for one in chains]
    moves = stays + _product(last) - quiet_joins
    share = _stationary(moves)
    quiet = [1 - one.triggers for one in chains]
    orders = 1 - float(share @ _outer(quiet))
    lines = 0.0
    for at, (item, one) in enumerate(zip(problem.items, chains, strict=True)):
        others = [one.may_join if place == at else quiet[place] for place in range(len(chains))]
        ordered = np.ones(share.size)
        ordered = _spread(chains, at, one.triggers + one.may_join) - _outer(others)
        lines += item.line_cost * float(share @ ordered)
    stock = sum(
        float(share @ _spread(chains, at, costs))
        for at, costs in enumerate(_level_costs(problem, levels))
    )
    headers = problem.header_cost * orders
    return JointCost(headers + lines + stock, headers, lines, stock, orders)


def _level_costs(problem: JointProblem, levels: CanOrderLevels) -> list[FloatArray]:
    cover = problem.lead_time_periods + 1
    return [
        item.level_costs(np.arange(s + 1, top + 1, dtype=float), cover)
        for item, s, top in zip(problem.items, levels.s, levels.S, strict=True)
    ]


def _item_chain(item: JointItem, s: int, c: int, top: int) -> _ItemChain:
    size = top - s
    fall = np.subtract.outer(np.arange(size), np.arange(size))  # units sold, from row to column
    mass = item.demand.mass
    chances = np.where(fall < mass.size, mass[np.clip(fall, 0, mass.size - 1)], 0.0)
    stays = np.where(fall >= 0, chances, 0.0)
    below = c - s  # positions s + 1 .. c
    joins = stays.copy()
    may_join = joins[:, :below].sum(axis=1)
    joins[:, :below] = 0.0
    joins[:, -1] += may_join
    return _ItemChain(stays, joins, 1 - stays.sum(axis=1), may_join)


def _with_triggers(chain: _ItemChain) -> FloatArray:
    """Return the moves of an item in a period in which something is ordered."""
    moves = chain.joins.copy()
    moves[:, -1] += chain.triggers
    return moves


def _product(matrices: list[FloatArray]) -> FloatArray:
    return reduce(lambda left, right: np.asarray(np.kron(left, right)), matrices)


def _outer(columns: list[FloatArray]) -> FloatArray:
    return reduce(lambda left, right: np.multiply.outer(left, right).ravel(), columns)


def _spread(chains: list[_ItemChain], at: int, column: FloatArray) -> FloatArray:
    """Return a column of one item by the positions of all items."""
    others = [np.ones(one.triggers.size) for one in chains]
    others[at] = column
    return _outer(others)


def _stationary(moves: FloatArray) -> FloatArray:
    size = moves.shape[0]
    system = np.eye(size) - moves.T
    system[-1] = 1.0
    right = np.zeros(size)
    right[-1] = 1.0
    return np.asarray(np.linalg.solve(system, right))
