"""Rules on the supplier's review calendar: order up to S at each review, or where s is reached.

Both need nothing of the other items, and both are evaluated exactly for any number of items: the
positions of items at reviews are independent, so the chance that nobody orders is a product.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from policy.classic.levels import search_levels
from policy.joint.items import JointCost, JointItem, JointProblem, ReviewLevels

MOST_REVIEW_PERIODS = 366
_MOST_ROUNDS = 200


class _Costs:
    """Expected costs of one item by level, where it is reviewed every so many periods."""

    def __init__(self, item: JointItem, review: int, lead: int) -> None:
        self._item, self._review, self._lead = item, review, lead
        self.setup = 0.0
        self.mass = item.mass_over(review)
        self._reach = 64
        self._grow()
        self.start = self._valley()

    def of_level(self, level: int) -> float:
        """Return the expected cost from one review to the next after which it was `level`."""
        while abs(level) > self._reach:
            self._grow()
        return float(self._levels[self._reach + level])

    def of_policy(self, s: int, top: int) -> float:
        """Return the cost per review of ordering up to `top` at `s` or below."""
        while max(top - s, abs(s), abs(top)) > self._reach:
            self._grow()
        at = self._levels[self._reach + s + 1 : self._reach + top + 1]
        visited = self._visits[: top - s]
        return (self.setup + float(visited @ at[::-1])) / float(self._periods[top - s - 1])

    def order_share(self, s: int, top: int) -> float:
        """Return in which share of reviews it is ordered."""
        return 1 / float(self._periods[top - s - 1])

    def _grow(self) -> None:
        self._reach *= 2
        levels = np.arange(-self._reach, self._reach + 1, dtype=float)
        steps = range(self._lead + 1, self._lead + self._review + 1)
        costs = [self._item.level_costs(levels, step) for step in steps]
        self._levels = np.asarray(np.sum(costs, axis=0))
        one = np.zeros(self._reach)
        one[0] = 1.0
        self._visits = np.asarray(lfilter([1.0], np.r_[1 - self.mass[0], -self.mass[1:]], one))
        self._periods = np.cumsum(self._visits)

    def _valley(self) -> int:
        at = int(np.argmin(self._levels))
        while at in (0, self._levels.size - 1):
            self._grow()
            at = int(np.argmin(self._levels))
        return at - self._reach


@dataclass(frozen=True)
class Periodic:
    """The best levels of a review calendar, and what they cost per period."""

    levels: ReviewLevels
    cost: JointCost
    least_stock: float
    """What stock and backlog cost at least, at this review period."""


def up_to_levels(problem: JointProblem, review: int) -> Periodic:
    """Return the (R, S) rule: every review raises every item to S."""
    costs = [_Costs(item, review, problem.lead_time_periods) for item in problem.items]
    tops = [one.start for one in costs]
    ordered = [1 - float(one.mass[0]) for one in costs]
    levels = ReviewLevels(review, tuple(top - 1 for top in tops), tuple(tops))
    stock = sum(one.of_level(top) for one, top in zip(costs, tops, strict=True))
    return Periodic(levels, _cost(problem, review, ordered, stock), stock / review)


def review_levels(problem: JointProblem, review: int) -> Periodic:
    """Return the best P(s, S) rule: at every review, items at s or below are raised to S.

    The header that an item causes is the header times the chance that no other item orders; with
    it as part of its setup, each item's levels are best given those of the others.
    """
    costs = [_Costs(item, review, problem.lead_time_periods) for item in problem.items]
    found = (_settled(problem, review, costs, shares) for shares in (0.0, 1.0))
    return min(found, key=lambda one: one.cost.total)


def _settled(
    problem: JointProblem, review: int, costs: list[_Costs], first_share: float
) -> Periodic:
    """Return levels that are best for each item given the others, from a share of their orders."""
    shares = [first_share] * len(costs)
    found = [(0, 0)] * len(costs)
    for _ in range(_MOST_ROUNDS):
        before = list(found)
        for at, (item, one) in enumerate(zip(problem.items, costs, strict=True)):
            quiet = math.prod(1 - share for place, share in enumerate(shares) if place != at)
            one.setup = item.line_cost + problem.header_cost * quiet
            s, top, _ = search_levels(one, one.start)
            found[at], shares[at] = (s, top), one.order_share(s, top)
        if found == before:
            break
    stock = 0.0
    for one, (s, top) in zip(costs, found, strict=True):
        one.setup = 0.0
        stock += one.of_policy(s, top)
    levels = ReviewLevels(review, tuple(s for s, _ in found), tuple(top for _, top in found))
    least = sum(one.of_level(one.start) for one in costs) / review
    return Periodic(levels, _cost(problem, review, shares, stock), least)


def _cost(problem: JointProblem, review: int, ordered: list[float], stock: float) -> JointCost:
    """Return the cost per period of shares of reviews with an item's order, and of the stock."""
    orders = (1 - math.prod(1 - share for share in ordered)) / review
    headers = problem.header_cost * orders
    pairs = zip(problem.items, ordered, strict=True)
    lines = sum(item.line_cost * share for item, share in pairs) / review
    held = stock / review
    return JointCost(headers + lines + held, headers, lines, held, orders)


def best_review(problem: JointProblem, rule: Callable[[JointProblem, int], Periodic]) -> Periodic:
    """Return a rule at the review period of least cost.

    Args:
        problem: the items.
        rule: `up_to_levels` or `review_levels`.
    """
    best = rule(problem, 1)
    for review in range(2, MOST_REVIEW_PERIODS + 1):
        found = rule(problem, review)
        best = min(best, found, key=lambda one: one.cost.total)
        # Stock and backlog alone grow with the review period.
        if found.least_stock > best.cost.total:
            break
    return best


def alone(problem: JointProblem) -> JointCost:
    """Return the cost of ordering each item by itself, with a header for each order."""
    parts = []
    for item in problem.items:
        single = JointProblem([item], problem.header_cost, problem.lead_time_periods)
        parts.append(review_levels(single, 1).cost)
    return JointCost(
        sum(one.total for one in parts),
        sum(one.headers for one in parts),
        sum(one.lines for one in parts),
        sum(one.stock for one in parts),
        sum(one.orders_per_period for one in parts),
    )
