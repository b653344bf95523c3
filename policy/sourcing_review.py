"""Two suppliers, both leads below the review period: exact rule for one item, on a grid of units.

A second, slower solver beside the live one: demand is any daily distribution on the grid (the
paper's replaced normal among them), whole arrays per sweep, one item at a time. At a review net
inventory is I; the flexible order lifts it to a, in hand from day tau_2, the lean order on to b, in
hand from day tau_1:

    V(I) + g = A(I) + min over a >= I of { flexible price + B(a)
                   + min over b >= a of { lean price + C(b) + penalty * S(a, b) + E V(b - D_T) } }

A, B and C are the expected holding and backorder cost of days [0, tau_2), [tau_2, tau_1) and
[tau_1, T); S is the chance of a stock-out in the cycle [tau_2, T + tau_2). A service target is met
by the least penalty that reaches it, found by bisection; the penalty also gives a lower bound on
the cost of every rule that meets the target.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.signal import fftconvolve
from scipy.special import ndtr

from policy.errors import PolicyInputError
from policy.simulation import Setting
from policy.sourcing_demand import FloatArray
from policy.sourcing_model import IntArray

MOST_LEVELS = 20_000
TAIL = 1e-13


@dataclass(frozen=True)
class ReviewRule:
    """The best rule found and what it costs; money per horizon, levels in units.

    `flexible_to` and `lean_to` give a and b for each of `levels`, ready for
    `policy.simulation.interval_table`. `lower` bounds the cost of every rule that meets the target.
    """

    cost: float
    lower: float
    cycle_service: float
    penalty: float
    levels: FloatArray = field(repr=False)
    flexible_to: FloatArray = field(repr=False)
    lean_to: FloatArray = field(repr=False)


def normal_day(
    mean: float, sigma: float, *, cell_units: float = 1.0, negatives: str = "replace"
) -> FloatArray:
    """Return the chances of 0, 1, 2, ... cells of demand on one day.

    Normal demand rounded to the nearest cell; the mass below 0 goes to the mean (`replace`, as in
    the paper, P10) or to 0 (`clip`).

    >>> chances = normal_day(100, 50)
    >>> round(float(np.arange(len(chances)) @ chances), 2)
    102.7
    """
    last = int(np.ceil((mean + 8 * sigma) / cell_units)) + 1
    edges = (np.arange(last + 2) - 0.5) * cell_units
    edges[0] = 0.0
    chances: FloatArray = np.diff(ndtr((edges - mean) / sigma)) if sigma > 0 else np.zeros(last + 1)
    if sigma == 0:
        chances[round(mean / cell_units)] = 1.0
    below = max(0.0, 1.0 - float(chances.sum()))
    chances[round(mean / cell_units) if negatives == "replace" else 0] += below
    return chances


def quantile_units(day: FloatArray, days: int, chance: float, *, cell_units: float = 1.0) -> float:
    """Return the least level that demand of `days` days stays within with this chance.

    >>> quantile_units(normal_day(100, 50), 11, 0.95)
    1387.0
    """
    total = np.ones(1)
    for _ in range(days):
        total = _trim(np.convolve(total, day))
    return float(np.searchsorted(np.cumsum(total), chance) * cell_units)


def solve_review(
    setting: Setting,
    day: FloatArray,
    *,
    cycle_service: float | None = None,
    suppliers: str = "both",
    least_level_units: float = -np.inf,
    cell_units: float = 1.0,
) -> ReviewRule:
    """Return the cheapest rule in the long run, or the cheapest that meets a service target.

    Args:
        setting: costs and lead times, flexible <= lean < review period; start stock and capacity
            are not used.
        day: chances of 0, 1, 2, ... cells of demand on one day.
        cycle_service: least share of cycles without a stock-out, inside (0, 1), or None.
        suppliers: `both`, `lean` or `flexible`.
        least_level_units: every review lifts net inventory at least to here, whatever it costs (the
            paper's service condition is such a level).
        cell_units: units per cell of the grid, > 0.

    Raises:
        PolicyInputError: an argument breaks a range above.

    The paper's case (MODEL: 520,783 per 360 days for two suppliers):

    >>> rule = solve_review(Setting(), normal_day(100, 50, cell_units=5), cell_units=5)
    >>> bool(abs(rule.cost / 520_783 - 1) < 5e-4)
    True
    """
    _check(setting, cycle_service, suppliers)
    terms = _Terms.of(setting, day, suppliers, cell_units)
    terms.after[terms.levels < least_level_units - cell_units / 2] = np.inf
    if cycle_service is None:
        return _answer(terms, _optimum(terms, 0.0), 0.0, None)
    return _meet(terms, cycle_service)


def _check(setting: Setting, cycle_service: float | None, suppliers: str) -> None:
    flexible, lean = setting.flexible_lead_time_days, setting.lean_lead_time_days
    if not 0 <= flexible <= lean < setting.review_period_days:
        rule = "0 <= flexible <= lean < review_period_days"
        raise PolicyInputError("lead times", rule, (flexible, lean))
    if not setting.holding_cost > 0:
        raise PolicyInputError("holding_cost", "> 0", setting.holding_cost)
    if cycle_service is not None and not 0 < cycle_service < 1:
        raise PolicyInputError("cycle_service", "inside (0, 1)", cycle_service)
    if suppliers not in ("both", "lean", "flexible"):
        raise PolicyInputError("suppliers", "both, lean or flexible", suppliers)


def split_rule(
    setting: Setting,
    day: FloatArray,
    *,
    level_units: float,
    penalty: float = 1.0,
    cell_units: float = 1.0,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the paper's split of a fixed need (Eq. 15): levels, flexible target, lean target.

    Every review orders up to `level_units` in all; the flexible share is the one with the least
    cost until the next review, with the backorder cost times `penalty` (P21 guesses that much of
    its search). The published equation has signs and set-ups put right (P17 to P20).

    >>> levels, flexible, lean = split_rule(Setting(), normal_day(100, 50), level_units=1597)
    >>> float(flexible[levels == 600].item()), float(lean[levels == 600].item())
    (600.0, 1597.0)
    """
    dearer = replace(setting, backorder_cost=setting.backorder_cost * penalty)
    terms = _Terms.of(dearer, day, "both", cell_units)
    flexible_setup, flexible_cell, lean_setup, lean_cell = terms.prices
    top = int(np.searchsorted(terms.levels, level_units - cell_units / 2))
    room = np.maximum(top - np.arange(len(terms.levels)), 0)
    rest = np.where(room > 0, lean_setup + lean_cell * room, 0.0)
    over = np.arange(len(terms.levels)) > top
    cost = terms.between + rest + np.where(over, np.inf, 0.0)
    _, lifted = _lift(cost, flexible_setup, flexible_cell)
    flexible = np.where(over, np.arange(len(lifted)), lifted)
    return terms.levels, terms.levels[flexible], np.full(len(lifted), terms.levels[top])


@dataclass(frozen=True)
class _Terms:
    """Expected values on the grid; every array has shape (level,)."""

    cell: float
    reviews: float  # per horizon
    levels: FloatArray
    before: FloatArray  # A
    between: FloatArray  # B
    after: FloatArray  # C
    stockout: FloatArray  # S, shape (first levels a, level b)
    first: int  # row 0 of `stockout` is this level; lower a count as this, higher as the last
    period: FloatArray  # chances of demand over one review period
    prices: tuple[float, float, float, float]  # flexible set-up and cell, lean set-up and cell

    @staticmethod
    def of(setting: Setting, day: FloatArray, suppliers: str, cell: float) -> _Terms:
        """Return the terms of a setting on a grid wide enough for every level that pays."""
        period, flexible = setting.review_period_days, setting.flexible_lead_time_days
        lean = setting.lean_lead_time_days
        sums = [np.ones(1)]
        for _ in range(period + lean):
            sums.append(_trim(np.convolve(sums[-1], day)))
        # Above the last point of demand until the next chance to order, more stock saves nothing.
        setup_cost = setting.lean_setup_cost + setting.flexible_setup_cost
        mean = float(np.arange(len(day)) @ day) * cell
        order = np.sqrt(2 * setup_cost * mean / setting.holding_cost)
        top = len(sums[period + lean]) + int(order / cell)
        low = -len(sums[period]) // 2
        if top - low + len(sums[period]) > MOST_LEVELS:
            raise PolicyInputError("cell_units", f"coarse enough for {MOST_LEVELS} levels", cell)
        levels = np.arange(low - len(sums[period]) + 1, top + 1, dtype=np.float64)
        levels *= cell
        daily = [_expected_cost(setting, chances, levels, cell) for chances in sums]
        half = [(daily[s] + daily[s + 1]) / 2 for s in range(period)]
        setups = {
            "both": (setting.flexible_setup_cost, setting.lean_setup_cost),
            "lean": (np.inf, setting.lean_setup_cost),
            "flexible": (setting.flexible_setup_cost, np.inf),
        }[suppliers]
        # A single supplier has its own cycle, from its own arrival to the next.
        start = lean if suppliers == "lean" else flexible
        early = lean if suppliers == "both" else 0
        stockout, first = _stockout(sums, levels, cell, early, period + start)
        return _Terms(
            cell=cell,
            reviews=setting.horizon_days / period,
            levels=levels,
            before=sum(half[:flexible], np.zeros(len(levels))),
            between=sum(half[flexible:lean], np.zeros(len(levels))),
            after=sum(half[lean:period], np.zeros(len(levels))),
            stockout=stockout,
            first=first,
            period=sums[period],
            prices=(
                setups[0],
                setting.flexible_unit_cost * cell,
                setups[1],
                setting.lean_unit_cost * cell,
            ),
        )


def _trim(chances: FloatArray) -> FloatArray:
    """Drop the points of the upper tail that together have less chance than rounding error."""
    tail = np.cumsum(chances[::-1])[::-1]
    kept = chances[: max(1, int(np.searchsorted(-tail, -TAIL)))]
    rescaled: FloatArray = kept / kept.sum()
    return rescaled


def _expected_cost(
    setting: Setting, chances: FloatArray, levels: FloatArray, cell: float
) -> FloatArray:
    """Return E[c(level - demand)] for demand of some days in cells."""
    grid = np.round(levels / cell).astype(int)
    inside = np.clip(grid, 0, len(chances))
    below = np.concatenate([[0.0], np.cumsum(chances)])
    units = np.concatenate([[0.0], np.cumsum(np.arange(len(chances)) * chances)])
    left_over = (grid * below[inside] - units[inside]) * cell
    short = left_over - levels + units[-1] * cell
    cost: FloatArray = setting.holding_cost * left_over + setting.backorder_cost * short
    return cost


def _stockout(
    sums: list[FloatArray],
    levels: FloatArray,
    cell: float,
    early: int,
    late: int,
) -> tuple[FloatArray, int]:
    """Return 1 - P(D_early <= a, D_late <= b) for a over the range of D_early, and its first level.

    With `early` 0 only b matters.
    """
    grid = np.round(levels / cell).astype(int)
    rest = np.concatenate([np.cumsum(sums[late - early]), [1.0]])
    first = int(np.searchsorted(grid, 0)) - 1
    rows = [np.ones(len(grid))] if early else []
    served = np.zeros(len(grid))
    for demand, chance in enumerate(sums[early]):
        at = np.clip(grid - demand, -1, len(rest) - 1)
        served = served + chance * np.where(at >= 0, rest[at], 0.0)
        rows.append(1.0 - served)
    return np.maximum(np.array(rows), 0.0), first


@dataclass(frozen=True)
class _Plan:
    """Relative values with their bounds, and the level index each level is lifted to."""

    values: FloatArray
    lower: float
    upper: float
    flexible: IntArray
    lean: IntArray


def _optimum(terms: _Terms, penalty: float, values: FloatArray | None = None) -> _Plan:
    """Iterate to the best rule at a price per cycle with a stock-out."""
    values = np.zeros(len(terms.levels)) if values is None else values
    lower, upper = -np.inf, np.inf
    for _ in range(5000):
        improved, _, _ = _improve(terms, penalty, values)
        change = improved - values
        lower, upper = max(lower, float(change.min())), min(upper, float(change.max()))
        values = improved - improved[0]
        if upper - lower <= 1e-9 * max(1.0, abs(upper)):
            break
    _, flexible, lean = _improve(terms, penalty, values)
    return _Plan(values, lower, upper, flexible, lean)


def _improve(
    terms: _Terms, penalty: float, values: FloatArray
) -> tuple[FloatArray, IntArray, IntArray]:
    """Return TV and the choices behind it, as level indices (a per level I, b per level I)."""
    flexible_setup, flexible_cell, lean_setup, lean_cell = terms.prices
    reach, count = len(terms.period) - 1, len(values)
    ahead = np.full(count, np.inf)
    ahead[reach:] = terms.after[reach:] + fftconvolve(values, terms.period)[reach:count]
    follow, lean = _best_lean(terms, ahead, penalty, lean_setup, lean_cell)
    total, flexible = _lift(terms.between + follow, flexible_setup, flexible_cell)
    return terms.before + total, flexible, lean[flexible]


def _best_lean(
    terms: _Terms, ahead: FloatArray, penalty: float, setup: float, price: float
) -> tuple[FloatArray, IntArray]:
    """Return the cost after the best lean order from each level a, and the level it lifts to."""
    rows, first, count = len(terms.stockout), terms.first, len(ahead)
    last = min(first + rows - 1, count - 1)
    best, where = np.empty(count), np.empty(count, dtype=np.int64)
    top_best, top_where = _lift(ahead + penalty * terms.stockout[-1], setup, price)
    best[last:], where[last:] = top_best[last:], top_where[last:]
    if rows == 1:
        return top_best, top_where
    low_best, low_where = _lift(ahead + penalty * terms.stockout[0], setup, price)
    best[: first + 1], where[: first + 1] = low_best[: first + 1], low_where[: first + 1]
    here = np.arange(first + 1, last)
    cost = ahead + penalty * terms.stockout[1 : last - first]
    ordered = np.where(np.arange(count) > here[:, None], cost + price * np.arange(count), np.inf)
    target = ordered.argmin(axis=1)
    row = np.arange(len(here))
    buy, stay = ordered[row, target] + setup - price * here, cost[row, here]
    best[here], where[here] = np.minimum(buy, stay), np.where(buy < stay, target, here)
    return best, where


def _lift(cost: FloatArray, setup: float, price: float) -> tuple[FloatArray, IntArray]:
    """Return min(cost[i], setup + min over j > i of price (j - i) + cost[j]) and its j."""
    index = np.arange(len(cost))
    if not np.isfinite(setup):
        return cost, index
    line = cost + price * index
    least = np.minimum.accumulate(line[::-1])[::-1]
    # The nearest level at or above i whose cost is the least from i on.
    attained = np.minimum.accumulate(np.where(line <= least, index, len(cost))[::-1])[::-1]
    buy = np.append(least[1:], np.inf) + setup - price * index
    lifted = np.where(buy < cost, np.append(attained[1:], len(cost) - 1), index)
    return np.minimum(buy, cost), lifted.astype(np.int64)


def _meet(terms: _Terms, target: float) -> ReviewRule:
    """Raise the penalty until the target is met, then close in on the least such penalty."""
    plan = _optimum(terms, 0.0)
    best = _answer(terms, plan, 0.0, target)
    low, high = 0.0, 1000.0
    while best.cycle_service < target and high < 1e9:
        plan = _optimum(terms, high, plan.values)
        best = _better(best, _answer(terms, plan, high, target), target)
        if best.cycle_service < target:
            low, high = high, 4 * high
    for _ in range(24):
        if best.penalty == 0.0:
            break
        middle = (low + high) / 2
        plan = _optimum(terms, middle, plan.values)
        answer = _answer(terms, plan, middle, target)
        low, high = (low, middle) if answer.cycle_service >= target else (middle, high)
        best = _better(best, answer, target)
    return best


def _better(old: ReviewRule, new: ReviewRule, target: float) -> ReviewRule:
    """Return the cheaper rule that meets the target, with the better of both bounds."""
    rank = [(rule.cycle_service < target, rule.cost) for rule in (old, new)]
    kept = new if rank[1] < rank[0] else old
    return replace(kept, lower=max(old.lower, new.lower))


def _answer(terms: _Terms, plan: _Plan, penalty: float, target: float | None) -> ReviewRule:
    cost, short = _long_run(terms, plan)
    lower = plan.lower - penalty * (1 - target) if target is not None else plan.lower
    return ReviewRule(
        cost=cost * terms.reviews,
        lower=lower * terms.reviews,
        cycle_service=1.0 - short,
        penalty=penalty,
        levels=terms.levels,
        flexible_to=terms.levels[plan.flexible],
        lean_to=terms.levels[plan.lean],
    )


def _long_run(terms: _Terms, plan: _Plan) -> tuple[float, float]:
    """Return cost per review without penalty, and the share of cycles with a stock-out."""
    index = np.arange(len(terms.levels))
    flexible_setup, flexible_cell, lean_setup, lean_cell = terms.prices
    fast, slow = plan.flexible - index, plan.lean - plan.flexible
    paid = terms.before + terms.between[plan.flexible] + terms.after[plan.lean]
    paid = paid + flexible_cell * fast + lean_cell * slow
    paid = paid + np.where(fast > 0, flexible_setup, 0.0) + np.where(slow > 0, lean_setup, 0.0)
    row = np.clip(plan.flexible - terms.first, 0, len(terms.stockout) - 1)
    chances = _stationary(terms, plan.lean)
    return float(chances @ paid), float(chances @ terms.stockout[row, plan.lean])


def _stationary(terms: _Terms, lifted: IntArray) -> FloatArray:
    """Return the long-run chances of each level at a review."""
    count, reach = len(lifted), len(terms.period) - 1
    chances = np.zeros(count)
    chances[np.searchsorted(terms.levels, 0.0)] = 1.0
    for _ in range(5000):
        after = np.bincount(lifted, weights=chances, minlength=count)
        spread = fftconvolve(after, terms.period[::-1])[reach : reach + count]
        following = np.maximum(spread, 0.0)
        following = 0.5 * chances + 0.5 * following / following.sum()
        moved = float(np.abs(following - chances).sum())
        chances = following
        if moved < 1e-11:
            break
    return chances
