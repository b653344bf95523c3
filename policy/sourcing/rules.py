"""Rules for the two-speed model where its exact optimum is out of reach, and what they cost.

* Capped dual index with reorder points: when stock is at or below `fast_point` a fast order lifts
  it to `fast_level`; when stock plus pipeline is at or below `slow_point` a slow order lifts it to
  `slow_level`, by at most `slow_cap` (Sun & Van Mieghem 2019; the points are one below the levels
  there, which is best without set-ups).
* Projected expedited inventory position (PEIP): the slow order lifts the expected stock at its
  arrival, counting the fast orders in between, to a target (Drent & Arts 2022).
* Rollout: every period, the best of the decisions near the base rule's, each followed by the base
  rule over simulated demand; one step of policy improvement.

Rules are searched on one set of simulated demand and priced on a fresh one. The two dearer rules
are priced as a difference from the first one on the same demand, which is far less noisy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from policy.compiled import compiled
from policy.sourcing.demand import FloatArray
from policy.sourcing.model import IntArray, TwoSpeedModel, highest_useful_level, period_cost

BATCHES = 40
STANDARD_ERRORS = 4.0
SEARCH_PERIODS = 40_000
PRICE_PERIODS = 4_000_000
PROJECTION_WORK = 6e9
ROLLOUT_PERIODS = 20_000
FUTURES = 160


@dataclass(frozen=True)
class RuleResult:
    """Simulated cost per period of a rule, with the standard error of the mean."""

    method: str
    cost: float
    standard_error: float

    @property
    def upper(self) -> float:
        """Cost per period that the rule, so the optimum, exceeds with a chance of about 3e-5."""
        return self.cost + STANDARD_ERRORS * self.standard_error


def best_rule(model: TwoSpeedModel, generator: np.random.Generator) -> RuleResult:
    """Return the rule with the least upper bound among those that fit the model."""
    tables = _tables(model)
    cost = _index_cost(model, tables, generator)
    # A cap near the mean (a base flow with surges) and no cap are different valleys.
    rules = [_best_index(model, cost, share) for share in (0.99, 1.2, 2.0)]
    rule = min(rules, key=cost)
    demand = _draw(model, PRICE_PERIODS, generator)
    base = _follow_index(demand, model.gap_periods, rule, *tables)
    results = [_result("capped dual index, simulated", base)]
    other = _rollout if model.has_setups else _projection
    results += other(model, rule, results[0], tables, generator)
    return min(results, key=lambda result: result.upper)


def _projection(
    model: TwoSpeedModel,
    rule: IntArray,
    base: RuleResult,
    tables: tuple[Any, ...],
    generator: np.random.Generator,
) -> list[RuleResult]:
    points = len(model.demand.probabilities)
    step = points * (model.gap_periods + 1) * (rule[1] + model.gap_periods * model.demand.mean_lots)
    periods = int(PROJECTION_WORK / max(step, 1.0)) // BATCHES * BATCHES
    if periods < 20 * SEARCH_PERIODS // BATCHES:
        return []
    few = _draw(model, min(SEARCH_PERIODS, periods // 20), generator)

    def cost(candidate: IntArray) -> float:
        return float(_follow_projection(few, *_of(model), candidate, *tables).mean())

    mean = round(4 * model.demand.mean_lots)
    start = np.array([rule[1], 4 * rule[1] + mean])
    found = _search(cost, start, step=2 * _first_step(model), keep=lambda candidate: True)
    demand = _draw(model, min(periods, PRICE_PERIODS), generator)
    paid = _follow_projection(demand, *_of(model), found, *tables)
    return [
        _beside(
            "projected expedited inventory position, simulated",
            paid,
            demand,
            base,
            rule,
            model,
            tables,
        )
    ]


def _rollout(
    model: TwoSpeedModel,
    rule: IntArray,
    base: RuleResult,
    tables: tuple[Any, ...],
    generator: np.random.Generator,
) -> list[RuleResult]:
    horizon = 3 * model.gap_periods + 12
    periods = int(ROLLOUT_PERIODS * 24 / horizon) // BATCHES * BATCHES
    demand = _draw(model, periods, generator)
    futures = _draw(model, 5000 * horizon, generator).reshape(5000, horizon)
    step = max(1, round(model.demand.mean_lots / 4))
    paid = _follow_rollout(demand, futures, model.gap_periods, rule, step, *tables)
    return [
        _beside(
            "rollout of a capped dual index, simulated", paid, demand, base, rule, model, tables
        )
    ]


def _beside(
    method: str,
    paid: FloatArray,
    demand: IntArray,
    base: RuleResult,
    rule: IntArray,
    model: TwoSpeedModel,
    tables: tuple[Any, ...],
) -> RuleResult:
    """Price a rule as the base rule's cost plus the difference on the same demand."""
    gain = _result(method, paid - _follow_index(demand, model.gap_periods, rule, *tables))
    error = float(np.hypot(gain.standard_error, base.standard_error))
    return RuleResult(method, base.cost + gain.cost, error)


def _result(method: str, batches: FloatArray) -> RuleResult:
    error = float(batches.std(ddof=1) / np.sqrt(len(batches)))
    return RuleResult(method, float(batches.mean()), error)


def _draw(model: TwoSpeedModel, periods: int, generator: np.random.Generator) -> IntArray:
    bounds = np.cumsum(model.demand.probabilities)
    drawn = np.searchsorted(bounds / bounds[-1], generator.random(periods), side="right")
    return np.minimum(drawn, model.demand.largest_lots).astype(np.int64)


def _tables(model: TwoSpeedModel) -> tuple[FloatArray, int, FloatArray]:
    """Return stock costs on a range of levels, the lowest of them, and the prices.

    Outside the range cost is a straight line whose slope the two last points give.
    """
    reach = model.cover_periods * model.demand.largest_lots
    costs = period_cost(model, model.cover_periods, -2, reach + 2)
    prices = np.array([model.fast_unit, model.slow_unit, model.fast_setup, model.slow_setup])
    return costs, -2, prices


def _of(model: TwoSpeedModel) -> tuple[int, FloatArray]:
    return model.gap_periods, model.demand.probabilities


def _index_cost(
    model: TwoSpeedModel, tables: tuple[Any, ...], generator: np.random.Generator
) -> Callable[[IntArray], float]:
    few = _draw(model, SEARCH_PERIODS, generator)
    return lambda rule: float(_follow_index(few, model.gap_periods, rule, *tables).mean())


def _best_index(
    model: TwoSpeedModel, cost: Callable[[IntArray], float], cap_share: float
) -> IntArray:
    """Search the rule; without set-ups the points stay one below the levels."""
    start = _index_start(model, cap_share)
    if model.has_setups:
        return _search(cost, start, step=_first_step(model), keep=_index_keep)

    def whole(levels: IntArray) -> IntArray:
        fast, slow, cap = levels
        return np.array([fast - 1, fast, slow - 1, slow, cap])

    found = _search(
        lambda levels: cost(whole(levels)),
        start[[1, 3, 4]],
        step=_first_step(model),
        keep=lambda levels: bool(levels[2] >= 0),
    )
    return whole(found)


def _first_step(model: TwoSpeedModel) -> int:
    """Return a power of two near two standard deviations of demand or half an order."""
    lots = np.arange(len(model.demand.probabilities))
    variance = model.demand.probabilities @ (lots - model.demand.mean_lots) ** 2
    setup = max(model.fast_setup, model.slow_setup)
    order = np.sqrt(2 * setup * model.demand.mean_lots / model.holding)
    return int(2 ** np.floor(np.log2(max(2.0, 2 * np.sqrt(variance), order / 2))))


def _index_start(model: TwoSpeedModel, cap_share: float) -> IntArray:
    fast = highest_useful_level(model, model.cover_periods, 0.0)
    slow = highest_useful_level(model, model.cover_periods + model.gap_periods, 0.0)
    mean = max(1, round(model.demand.mean_lots))
    fast_order = np.sqrt(2 * model.fast_setup * mean / model.holding)
    slow_order = np.sqrt(2 * model.slow_setup * mean / model.holding)
    cap = cap_share * mean + slow_order
    points = [fast - 1 - fast_order, fast, slow - 1 - slow_order, slow, cap]
    return np.array([round(point) for point in points])


def _index_keep(rule: IntArray) -> bool:
    return bool(rule[0] < rule[1] and rule[2] < rule[3] and rule[4] >= 0)


def _search(
    cost: Callable[[IntArray], float],
    start: IntArray,
    *,
    step: int,
    keep: Callable[[IntArray], bool],
) -> IntArray:
    """Return a local minimum of `cost` on whole numbers: steps along one or two axes, halving."""
    best, least = start.astype(np.int64), cost(start.astype(np.int64))
    while step >= 1:
        moved = False
        for direction in _directions(len(start)):
            candidate = best + step * direction
            if keep(candidate) and (paid := cost(candidate)) < least - 1e-12:
                best, least, moved = candidate, paid, True
        step = step if moved else step // 2
    return best


def _directions(axes: int) -> list[IntArray]:
    units = np.eye(axes, dtype=np.int64)
    pairs = [units[i] + sign * units[j] for i in range(axes) for j in range(i) for sign in (1, -1)]
    return [sign * direction for direction in [*units, *pairs] for sign in (1, -1)]


@compiled
def _stock_cost(level: int, costs: FloatArray, low: int) -> float:
    i = level - low
    last = len(costs) - 1
    if i < 0:
        return float(costs[0] + i * (costs[1] - costs[0]))
    if i > last:
        return float(costs[last] + (i - last) * (costs[last] - costs[last - 1]))
    return float(costs[i])


@compiled
def _price(fast: int, slow: int, prices: FloatArray) -> float:
    paid = prices[0] * fast + prices[1] * slow
    if fast > 0:
        paid += prices[2]
    if slow > 0:
        paid += prices[3]
    return float(paid)


@compiled
def _index_orders(stock: int, pipeline: int, rule: IntArray) -> tuple[int, int]:
    """Return the fast and slow order of the capped dual index at this stock and pipeline sum."""
    fast = rule[1] - stock if stock <= rule[0] else 0
    position = stock + fast + pipeline
    slow = min(rule[4], rule[3] - position) if position <= rule[2] else 0
    return fast, slow


@compiled
def _follow_index(
    demand: IntArray, gap: int, rule: IntArray, costs: FloatArray, low: int, prices: FloatArray
) -> FloatArray:
    """Return the mean cost per period in each of BATCHES spans after a warm-up of one span."""
    due = np.zeros(gap, dtype=np.int64)
    stock, pipeline = rule[1], 0
    size = len(demand) // BATCHES
    paid = np.zeros(BATCHES)
    for t in range(-size, size * BATCHES):
        fast, slow = _index_orders(stock, pipeline, rule)
        stock += fast
        if t >= 0:
            paid[t // size] += _stock_cost(stock, costs, low) + _price(fast, slow, prices)
        due[t % gap] = slow
        arriving = due[(t + 1) % gap]
        pipeline += slow - arriving
        stock += arriving - demand[t % (size * BATCHES)]
    return paid / size


@compiled
def _projected(
    level: int,
    target: int,
    due: IntArray,
    t: int,
    gap: int,
    chances: FloatArray,
    now: FloatArray,
    after: FloatArray,
) -> float:
    """Return the expected stock `gap` periods on, before a slow order placed now arrives.

    `now` holds the chances of stock above `target`, which fast orders never let it fall below.
    """
    room = level - target
    now[: room + 1] = 0.0
    now[room] = 1.0
    for ahead in range(1, gap):
        arriving = due[(t + ahead) % gap]
        after[: room + arriving + 1] = 0.0
        for over in range(room + 1):
            chance = now[over]
            if chance > 0.0:
                for demand in range(len(chances)):
                    after[max(0, over + arriving - demand)] += chance * chances[demand]
        room += arriving
        now[: room + 1] = after[: room + 1]
    mean = 0.0
    for over in range(room + 1):
        mean += over * now[over]
    return target + mean


@compiled
def _follow_projection(
    demand: IntArray,
    gap: int,
    chances: FloatArray,
    rule: IntArray,
    costs: FloatArray,
    low: int,
    prices: FloatArray,
) -> FloatArray:
    """Return batch means of PEIP with rule = (fast level, four times the projected target)."""
    due = np.zeros(gap, dtype=np.int64)
    stock = rule[0]
    size = len(demand) // BATCHES
    paid = np.zeros(BATCHES)
    now, after = np.zeros(1), np.zeros(1)
    for t in range(-size, size * BATCHES):
        level = max(stock, rule[0])
        room = level - rule[0] + due.sum() + 1
        if room > len(now):
            now, after = np.zeros(2 * room), np.zeros(2 * room)
        due[t % gap] = 0
        expected = _projected(level, rule[0], due, t, gap, chances, now, after)
        slow = max(0, int(np.floor(rule[1] / 4 - expected + 0.5)))
        if t >= 0:
            paid[t // size] += _stock_cost(level, costs, low) + _price(level - stock, slow, prices)
        due[t % gap] = slow
        stock = level + due[(t + 1) % gap] - demand[t % (size * BATCHES)]
    return paid / size


@compiled
def _future_cost(
    stock: int,
    slow: int,
    due: IntArray,
    t: int,
    gap: int,
    future: IntArray,
    rule: IntArray,
    costs: FloatArray,
    low: int,
    prices: FloatArray,
    line: IntArray,
) -> float:
    """Return the cost of the base rule over `future`, after stock and slow order are chosen now."""
    line[:] = due
    line[t % gap] = slow
    pipeline = line.sum()
    paid = 0.0
    for s in range(len(future)):
        arriving = line[(t + s + 1) % gap]
        line[(t + s + 1) % gap] = 0
        pipeline -= arriving
        stock += arriving - future[s]
        fast, order = _index_orders(stock, pipeline, rule)
        stock += fast
        paid += _stock_cost(stock, costs, low) + _price(fast, order, prices)
        line[(t + s + 1) % gap] = order
        pipeline += order
    return paid


@compiled
def _improved(
    stock: int,
    due: IntArray,
    t: int,
    gap: int,
    futures: IntArray,
    rule: IntArray,
    step: int,
    costs: FloatArray,
    low: int,
    prices: FloatArray,
    line: IntArray,
    base: FloatArray,
) -> tuple[int, int]:
    """Return the fast and slow order near the base rule's that cost least with the rule after.

    The base rule's own decision is left only for one that is better by two standard errors over
    the same futures: picking the least of many noisy means would make the policy worse.
    """
    pipeline = due.sum()
    base_fast, base_slow = _index_orders(stock, pipeline, rule)
    count = len(futures)
    for k in range(count):
        base[k] = _future_cost(
            stock + base_fast, base_slow, due, t, gap, futures[k], rule, costs, low, prices, line
        )
    base += _stock_cost(stock + base_fast, costs, low) + _price(base_fast, base_slow, prices)
    best_fast, best_slow, least = base_fast, base_slow, 0.0
    for i in range(-2, 2):
        fast = 0 if i == -2 else base_fast + i * step
        _, follow = _index_orders(stock + fast, pipeline, rule)
        for j in range(-2, 3):
            slow = 0 if j == -2 else follow + j * step
            if fast < 0 or slow < 0:
                continue
            now = _stock_cost(stock + fast, costs, low) + _price(fast, slow, prices)
            total, squares = 0.0, 0.0
            for k in range(count):
                gain = now - base[k]
                gain += _future_cost(
                    stock + fast, slow, due, t, gap, futures[k], rule, costs, low, prices, line
                )
                total += gain
                squares += gain * gain
            mean = total / count
            error = np.sqrt(max(0.0, squares / count - mean * mean) / count)
            if mean < least and mean < -2.0 * error:
                best_fast, best_slow, least = fast, slow, mean
    return best_fast, best_slow


@compiled
def _follow_rollout(
    demand: IntArray,
    futures: IntArray,
    gap: int,
    rule: IntArray,
    step: int,
    costs: FloatArray,
    low: int,
    prices: FloatArray,
) -> FloatArray:
    """Return batch means of the rollout policy, after a warm-up of one span."""
    due = np.zeros(gap, dtype=np.int64)
    line = np.zeros(gap, dtype=np.int64)
    base = np.empty(FUTURES)
    stock = rule[1]
    size = len(demand) // BATCHES
    paid = np.zeros(BATCHES)
    for t in range(-size, size * BATCHES):
        due[t % gap] = 0
        # Fresh futures for every decision: a fixed set would be learnt by heart.
        first = (t * 7919) % (len(futures) - FUTURES)
        fast, slow = _improved(
            stock,
            due,
            t,
            gap,
            futures[first : first + FUTURES],
            rule,
            step,
            costs,
            low,
            prices,
            line,
            base,
        )
        stock += fast
        if t >= 0:
            paid[t // size] += _stock_cost(stock, costs, low) + _price(fast, slow, prices)
        due[t % gap] = slow
        stock += due[(t + 1) % gap] - demand[t % (size * BATCHES)]
    return paid / size
