"""The exact dual-sourcing policy of one item, with a certificate and an exact evaluation.

MODEL section 2: both lead times shorter than the review period, so nothing is on order at a review
and the state is net inventory alone. `decide` uses the same compiled core on a coarser lattice;
here demand is any distribution on a grid and the lattice is that grid, so the answer is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from policy import item_kernel as kernel
from policy.demand import GridDemand, summed
from policy.dual_kernel import (
    MEASURE_CYCLE,
    MEASURE_FILL,
    Rules,
    Terms,
    new_columns,
    new_plan,
)
from policy.errors import PolicyInputError
from policy.review_inputs import HIGHEST_TARGET, ServiceType
from policy.terms_kernel import FAMILY_NORMAL

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class DualProblem:
    """One item and two suppliers; a step is a day or an hour, money per unit, order or unit-step.

    A supplier that does not exist has an infinite set-up cost. Lots are in units.
    """

    demand: GridDemand
    review_period_steps: int
    lead_time_steps_lean: int
    lead_time_steps_flexible: int
    setup_cost_lean: float
    setup_cost_flexible: float
    unit_cost_lean: float
    unit_cost_flexible: float
    holding_cost_per_unit_step: float
    backorder_cost_per_unit_step: float
    service_type: ServiceType = ServiceType.COST
    service_target: float = 0.0
    lean_capacity_units: float = math.inf
    minimum_order_units_lean: float = 0.0
    minimum_order_units_flexible: float = 0.0
    pack_size_units_lean: float = 1.0
    pack_size_units_flexible: float = 1.0

    def __post_init__(self) -> None:
        _check_times(self)
        _check_money(self)
        if self.service_type is not ServiceType.COST:
            _require(
                0.0 < self.service_target <= HIGHEST_TARGET,
                "service_target",
                f"> 0 and <= {HIGHEST_TARGET}",
                self.service_target,
            )


@dataclass(frozen=True)
class IntervalTable:
    """What each net inventory at a review orders: rows of [from_units, next from_units).

    Attributes:
        from_units: lowest net inventory of each row, ascending; the first row reaches down without
            end, the last up without end.
        flexible_to_units: level that the flexible supplier raises stock to; NaN-free: equal to
            -inf where nothing is ordered from it.
        lean_to_units: the same for the lean supplier, after the flexible order.
    """

    from_units: FloatArray
    flexible_to_units: FloatArray
    lean_to_units: FloatArray

    def orders(self, net_inventory_units: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (lean, flexible) units ordered at each net inventory, any shape."""
        held = np.asarray(net_inventory_units, dtype=np.float64)
        row = np.searchsorted(self.from_units, held, side="right") - 1
        row = np.maximum(row, 0)
        flexible_to = np.maximum(self.flexible_to_units[row], held)
        lean_to = np.maximum(self.lean_to_units[row], flexible_to)
        return lean_to - flexible_to, flexible_to - held


@dataclass(frozen=True)
class Evaluation:
    """Exact long-run behaviour of a policy. Money, units and orders are per step."""

    cost: float
    setup_cost_lean: float
    setup_cost_flexible: float
    purchase_cost_lean: float
    purchase_cost_flexible: float
    holding_cost: float
    backorder_cost: float
    cycle_service: float
    """Share of cycles [tau_2, T + tau_2) without a stock-out."""
    review_service: float
    """Share of reviews that find no backlog."""
    fill_rate: float
    mean_stock_units: float
    mean_backlog_units: float
    orders_lean: float
    orders_flexible: float
    share_flexible: float
    """Share of units bought from the flexible supplier."""


@dataclass(frozen=True)
class DualPolicy:
    """An optimal policy, its certificate and its evaluation. Money per step."""

    table: IntervalTable
    evaluation: Evaluation
    cost: float
    lower_bound: float
    """Certified: no policy that meets the target costs less, a mixed one included."""
    gap: float
    """(cost - lower_bound) / cost."""
    stockout_price: float
    """Penalty on the service measure at which the target is met; 0 where it does not bind."""
    target_met: bool
    sweeps: int


def _alone(problem: DualProblem) -> DualProblem:
    """A supplier that does not exist has no lead time of its own: cycles begin with the other's."""
    if problem.setup_cost_flexible == math.inf:
        return replace(problem, lead_time_steps_flexible=problem.lead_time_steps_lean)
    if problem.setup_cost_lean == math.inf:
        return replace(problem, lead_time_steps_lean=problem.lead_time_steps_flexible)
    return problem


def solve_dual(
    problem: DualProblem, *, tolerance: float = 1e-6, between: bool = True
) -> DualPolicy:
    """Return the cheapest policy of one item subject to its service target, with a certificate.

    Args:
        problem: the item; demand independent between steps.
        tolerance: relative gap of MacQueen's bounds at which a solve stops, in (0, 0.01].
        between: also search between the two plans at the optimal price, which meets the target with
            hardly a surplus; False keeps the plan of one price, often a simpler table.

    Raises:
        PolicyInputError: an argument breaks its range.

    Source: Xiang, Naseem, Ahmad (2025), DOI 10.37256/cm.6520257779, corrected (P1-P30); the
    paper's case without a target costs 520,783 per 360 days:

    >>> from policy.demand import normal_demand
    >>> policy = solve_dual(DualProblem(
    ...     demand=normal_demand(100, 50, below_zero="replace"), review_period_steps=9,
    ...     lead_time_steps_lean=4, lead_time_steps_flexible=2, setup_cost_lean=900,
    ...     setup_cost_flexible=90, unit_cost_lean=10, unit_cost_flexible=13,
    ...     holding_cost_per_unit_step=0.9, backorder_cost_per_unit_step=2))
    >>> round(policy.cost * 360)
    520783
    """
    _require(0.0 < tolerance <= 0.01, "tolerance", "in (0, 0.01]", tolerance)
    problem = _alone(problem)
    down, up = 1.0, 1.0
    for _ in range(10):
        units = _levels(problem, down, up)
        terms = _terms(problem, units)
        found = _search(problem, terms, tolerance)
        if found is None:
            down *= 2.0
        elif found.touches_top:
            up *= 1.5
        else:
            return _policy(problem, terms, found, between)
    raise PolicyInputError("problem", "one whose orders fit a lattice", problem)


def evaluate_dual(problem: DualProblem, table: IntervalTable) -> Evaluation:
    """Return the exact long-run cost parts and service of any interval table.

    The stationary distribution of net inventory at reviews is found by iterating its own
    transition, not by the optimiser's recursion.
    """
    problem = _alone(problem)
    tops = np.concatenate([table.lean_to_units, table.flexible_to_units, table.from_units])
    top = float(tops.max())
    cell = problem.demand.cell_units
    reach = summed(problem.demand, problem.review_period_steps).size * cell
    low = min(0.0, float(table.from_units[0])) - reach
    count = math.ceil((top - low) / cell) + 2
    units = cell * (math.floor(low / cell) + np.arange(count, dtype=np.float64))
    lean, flexible = table.orders(units)
    middle = np.rint((units + flexible - units[0]) / cell).astype(np.int64)
    final = np.rint((units + flexible + lean - units[0]) / cell).astype(np.int64)
    return _evaluation(problem, _terms(problem, units), middle, final)


def _check_times(problem: DualProblem) -> None:
    review = problem.review_period_steps
    slow, fast = problem.lead_time_steps_lean, problem.lead_time_steps_flexible
    _require(review >= 1, "review_period_steps", ">= 1", review)
    _require(fast >= 0, "lead_time_steps_flexible", ">= 0", fast)
    _require(slow >= fast, "lead_time_steps_lean", ">= lead_time_steps_flexible", slow)
    _require(slow < review, "lead_time_steps_lean", "< review_period_steps", slow)
    for name in ("review_period_steps", "lead_time_steps_lean", "lead_time_steps_flexible"):
        value = getattr(problem, name)
        _require(value == int(value), name, "whole", value)


def _check_money(problem: DualProblem) -> None:
    for name in ("holding_cost_per_unit_step", "backorder_cost_per_unit_step"):
        value = getattr(problem, name)
        _require(0.0 < value < math.inf, name, "> 0 and finite", value)
    for name in ("setup_cost_lean", "setup_cost_flexible", "lean_capacity_units"):
        _require(getattr(problem, name) >= 0.0, name, ">= 0", getattr(problem, name))
    for name in ("unit_cost_lean", "unit_cost_flexible"):
        value = getattr(problem, name)
        _require(0.0 <= value < math.inf, name, ">= 0 and finite", value)
    for order in ("minimum_order_units", "pack_size_units"):
        for supplier in ("lean", "flexible"):
            value = getattr(problem, f"{order}_{supplier}")
            _require(0.0 <= value < math.inf, f"{order}_{supplier}", ">= 0 and finite", value)
    exists = min(problem.setup_cost_lean, problem.setup_cost_flexible) < math.inf
    _require(exists, "setup_cost_lean", "finite, or a flexible supplier", problem.setup_cost_lean)


def _require(holds: bool, name: str, rule: str, value: object) -> None:
    if not holds:
        raise PolicyInputError(name, rule, value)


def _row(problem: DualProblem) -> FloatArray:
    """The item as a parameter row of the compiled core, per step."""
    row = np.zeros(kernel.PARAMETERS)
    row[kernel.P_MEAN], row[kernel.P_SD] = problem.demand.mean_units, problem.demand.sd_units
    row[kernel.P_REVIEW] = problem.review_period_steps
    row[kernel.P_LEAN_DAYS] = problem.lead_time_steps_lean
    row[kernel.P_FLEXIBLE_DAYS] = problem.lead_time_steps_flexible
    row[kernel.P_LEAN_SETUP] = problem.setup_cost_lean
    row[kernel.P_FLEXIBLE_SETUP] = problem.setup_cost_flexible
    row[kernel.P_LEAN_UNIT] = problem.unit_cost_lean
    row[kernel.P_FLEXIBLE_UNIT] = problem.unit_cost_flexible
    row[kernel.P_HOLDING] = problem.holding_cost_per_unit_step
    row[kernel.P_BACKORDER] = problem.backorder_cost_per_unit_step
    row[kernel.P_TARGET] = problem.service_target
    row[kernel.P_SERVICE_TYPE] = problem.service_type
    row[kernel.P_CAPACITY] = problem.lean_capacity_units
    row[kernel.P_LEAN_LEAST] = problem.minimum_order_units_lean
    row[kernel.P_FLEXIBLE_LEAST] = problem.minimum_order_units_flexible
    row[kernel.P_LEAN_PACK] = max(problem.pack_size_units_lean, problem.demand.cell_units)
    row[kernel.P_FLEXIBLE_PACK] = max(problem.pack_size_units_flexible, problem.demand.cell_units)
    row[kernel.P_FAMILY] = FAMILY_NORMAL
    return row


def _levels(problem: DualProblem, widen_down: float, widen_up: float) -> FloatArray:
    cell = problem.demand.cell_units
    bottom, top = kernel.lattice_reach(_row(problem), problem.demand.sd_units**2)
    low = -math.ceil(2.0 * bottom * widen_down / cell) - 2
    high = math.ceil(1.1 * top * widen_up / cell) + 2
    return cell * np.arange(low, high + 1, dtype=np.float64)


@dataclass(frozen=True)
class _Sum:
    """Demand of s steps: P(D > y) and E(D - y)+ at the lattice levels."""

    mean: float
    tail: FloatArray
    loss: FloatArray


def _sum_at(problem: DualProblem, steps: int, units: FloatArray) -> _Sum:
    cell = problem.demand.cell_units
    mass = summed(problem.demand, steps)
    above = np.concatenate([np.cumsum(mass[::-1])[::-1][1:], [0.0]])  # P(D > k)
    missing = np.cumsum(above[::-1])[::-1] * cell  # E(D - k)+
    place = np.rint(units / cell).astype(np.int64)
    inside = np.clip(place, 0, mass.size - 1)
    mean = problem.demand.mean_units * steps
    below = place < 0
    tail = np.where(below, 1.0, np.where(place < mass.size, above[inside], 0.0))
    loss = np.where(below, mean - units, np.where(place < mass.size, missing[inside], 0.0))
    return _Sum(mean, tail, loss)


def _segment(problem: DualProblem, sums: list[_Sum], start: int, end: int) -> FloatArray:
    """E of the losses over steps [start, end), half of each step at its start, half at its end."""
    total = np.zeros(sums[0].loss.size)
    for step in range(start, end):
        total += 0.5 * (sums[step].loss + sums[step + 1].loss)
    return total


def _means(sums: list[_Sum], start: int, end: int) -> float:
    return sum(0.5 * (sums[k].mean + sums[k + 1].mean) for k in range(start, end))


def _segment_cost(
    problem: DualProblem, sums: list[_Sum], units: FloatArray, start: int, end: int
) -> FloatArray:
    holding = problem.holding_cost_per_unit_step
    both = holding + problem.backorder_cost_per_unit_step
    held = (end - start) * units - _means(sums, start, end)
    cost: FloatArray = holding * held + both * _segment(problem, sums, start, end)
    return cost


def _joint(problem: DualProblem, units: FloatArray) -> tuple[FloatArray, int]:
    """P(D_tau1 <= a, D_{T+tau2} > b), one row per level a from 0 up to the largest D_tau1."""
    slow, fast = problem.lead_time_steps_lean, problem.lead_time_steps_flexible
    cover = problem.review_period_steps + fast
    if slow == fast:
        return _sum_at(problem, cover, units).tail[None, :], 0
    cell = problem.demand.cell_units
    first = int(np.searchsorted(units, -0.5 * cell))
    wait = summed(problem.demand, slow)
    rows = min(wait.size, units.size - first)
    rest = _sum_at(problem, cover - slow, cell * np.arange(units.size, dtype=np.float64)).tail
    table = np.zeros((rows, units.size))
    for row in range(rows):
        if row:
            table[row] = table[row - 1]
        table[row, first + row :] += wait[row] * rest[: units.size - first - row]
    return table, first


def _terms(problem: DualProblem, units: FloatArray) -> Terms:
    review = problem.review_period_steps
    slow, fast = problem.lead_time_steps_lean, problem.lead_time_steps_flexible
    sums = [_sum_at(problem, step, units) for step in range(review + fast + 1)]
    cell = problem.demand.cell_units
    steps = cell * np.arange(units.size, dtype=np.float64)
    period = _sum_at(problem, review, steps)
    at_least = np.concatenate([[1.0], period.tail[:-1]])
    mass = summed(problem.demand, review)[: units.size]
    joint, first = _joint(problem, units)
    return Terms(
        units,
        _segment_cost(problem, sums, units, 0, fast),
        _segment_cost(problem, sums, units, fast, slow),
        _segment_cost(problem, sums, units, slow, review),
        sums[slow].tail if slow > fast else np.zeros(units.size),
        joint,
        first,
        sums[slow].loss - sums[fast].loss,
        sums[review + fast].loss - sums[slow].loss,
        _paper_penalty(problem, sums[review + fast].tail, units),
        mass,
        at_least,
        period.loss,
        kernel.deep_slope(_row(problem)),
    )


def _paper_penalty(problem: DualProblem, tail: FloatArray, units: FloatArray) -> FloatArray:
    """A steep price on final levels below the paper's U, its condition on P(D_{T+tau2} <= U)."""
    if problem.service_type is not ServiceType.PAPER:
        return np.zeros(units.size)
    level = units[int(np.argmax(1.0 - tail >= problem.service_target))]
    price = problem.backorder_cost_per_unit_step * problem.review_period_steps
    price += problem.unit_cost_lean + problem.unit_cost_flexible + 1.0
    return np.asarray(1e3 * price * np.maximum(level - units, 0.0), dtype=np.float64)


@dataclass(frozen=True)
class _Found:
    """What the price search returned on one lattice."""

    levels: IntArray
    lower: float
    price: float
    met: bool
    sweeps: int
    touches_top: bool


def _search(problem: DualProblem, terms: Terms, tolerance: float) -> _Found | None:
    """Search the stock-out price; None when the lattice must reach deeper."""
    size = terms.level_units.size
    row = _row(problem)
    rules: Rules = kernel.make_rules(row, problem.demand.cell_units, size)
    plan, columns = new_plan(size), new_columns(size)
    kernel.set_first_values(row, terms.level_units, columns)
    measure = MEASURE_FILL if problem.service_type is ServiceType.FILL else MEASURE_CYCLE
    levels = np.full((kernel.LEVEL_ROWS, size), -1, np.int64)
    price, lower, weight, sweeps = kernel.search_price(
        terms,
        rules,
        plan,
        columns,
        measure,
        kernel.allowed_measure(row),
        kernel.first_price(row, problem.demand.sd_units**2, measure),
        tolerance,
        1e-3 * tolerance,
        levels,
        np.zeros(3),
        np.zeros(3),
    )
    if sweeps < 0:
        return None
    top = int(plan.final_level[0]) >= size - 1 and rules.most_lean >= size
    return _Found(levels, lower, price, weight >= 0.0, sweeps, top)


def _chosen_levels(levels: IntArray) -> tuple[IntArray, IntArray]:
    """Return flexible and final level of the plan that meets the target."""
    here = np.arange(levels.shape[1])
    choice = levels[kernel.L_CHOICE]
    middle, final = here.copy(), here.copy()
    for kind, a, b in (
        (kernel.T_LEAN, here, levels[kernel.L_LEAN]),
        (kernel.T_FLEXIBLE, levels[kernel.L_FLEXIBLE], levels[kernel.L_FLEXIBLE]),
        (kernel.T_BOTH, levels[kernel.L_BOTH_FLEXIBLE], levels[kernel.L_BOTH_FINAL]),
    ):
        middle = np.where(choice == kind, a, middle)
        final = np.where(choice == kind, b, final)
    return middle, final


def _policy(problem: DualProblem, terms: Terms, found: _Found, between: bool) -> DualPolicy:
    table, evaluation = _best_between(problem, terms, found, between)
    lower = found.lower / problem.review_period_steps
    gap = (evaluation.cost - lower) / evaluation.cost if evaluation.cost else 0.0
    return DualPolicy(
        table,
        evaluation,
        evaluation.cost,
        lower,
        max(0.0, gap) if found.met else 1.0,
        found.price,
        found.met,
        found.sweeps,
    )


def _best_between(
    problem: DualProblem, terms: Terms, found: _Found, between: bool
) -> tuple[IntervalTable, Evaluation]:
    """Return the cheapest plan found that meets the target.

    The two plans at the optimal price bracket the target. Following the one that meets it below a
    level and the other above gives plans in between; the level is found by bisection, so that the
    target is met with hardly a surplus.
    """
    units = terms.level_units
    met = _chosen_levels(found.levels[: kernel.PLAN_ROWS])
    below = _chosen_levels(found.levels[kernel.PLAN_ROWS :])

    def mixed(split: int) -> tuple[IntervalTable, Evaluation]:
        here = np.arange(units.size) < split
        table = _interval_table(
            units, np.where(here, met[0], below[0]), np.where(here, met[1], below[1])
        )
        return table, evaluate_dual(problem, table)

    best = mixed(units.size)
    if not (between and found.met and found.price > 0.0):
        return best
    low, high = 0, units.size
    while high - low > 1:
        split = (low + high) // 2
        table, evaluation = mixed(split)
        if _meets(problem, evaluation):
            high = split
            if evaluation.cost < best[1].cost:
                best = (table, evaluation)
        else:
            low = split
    return best


def _meets(problem: DualProblem, evaluation: Evaluation) -> bool:
    if problem.service_type is ServiceType.FILL:
        return evaluation.fill_rate >= problem.service_target
    return evaluation.cycle_service >= problem.service_target


def _interval_table(units: FloatArray, middle: IntArray, final: IntArray) -> IntervalTable:
    """Merge levels with the same targets into rows."""
    here = np.arange(units.size)
    flexible_to = np.where(middle > here, units[middle], -np.inf)
    lean_to = np.where(final > middle, units[final], -np.inf)
    change = (flexible_to[1:] != flexible_to[:-1]) | (lean_to[1:] != lean_to[:-1])
    first = np.concatenate([[0], np.flatnonzero(change) + 1])
    return IntervalTable(units[first], flexible_to[first], lean_to[first])


def _stationary(final: IntArray, mass: FloatArray) -> FloatArray:
    """Return the long-run distribution of levels at reviews under post-order levels `final`."""
    size = final.size
    state = np.zeros(size)
    state[int(final[0])] = 1.0
    for _ in range(20_000):
        after = np.bincount(final, weights=state, minlength=size)
        spread = np.convolve(after, mass[::-1])
        cut = mass.size - 1
        following = spread[cut:].copy()
        following[0] += spread[:cut].sum()
        moved = float(np.abs(following - state).sum())
        # The half step keeps cycles of certain demand from going round for ever.
        state = 0.5 * (state + following)
        if moved < 1e-12:
            break
    return np.asarray(state / state.sum(), dtype=np.float64)


def _evaluation(
    problem: DualProblem, terms: Terms, middle: IntArray, final: IntArray
) -> Evaluation:
    review = problem.review_period_steps
    units = terms.level_units
    share = _stationary(final, terms.demand_mass)
    at = np.flatnonzero(share > 0.0)
    share, middle, final = share[at], middle[at], final[at]
    bought_fast, bought_slow = units[middle] - units[at], units[final] - units[middle]
    stock, backlog = _stock_and_backlog(problem, units, (at, middle, final), share)
    short = terms.short_before_lean[middle] + terms.short_after_lean[final]
    rows = np.minimum(middle - terms.joint_first_level, terms.stockout_joint.shape[0] - 1)
    joint = np.where(rows >= 0, terms.stockout_joint[np.maximum(rows, 0), final], 0.0)
    stockout = terms.stockout_before_lean[middle] + joint
    fast, slow = float(share @ (middle > at)) / review, float(share @ (final > middle)) / review
    units_fast, units_slow = (
        float(share @ bought_fast) / review,
        float(share @ bought_slow) / review,
    )
    parts = (
        problem.setup_cost_lean * slow if slow else 0.0,
        problem.setup_cost_flexible * fast if fast else 0.0,
        problem.unit_cost_lean * units_slow,
        problem.unit_cost_flexible * units_fast,
        problem.holding_cost_per_unit_step * stock,
        problem.backorder_cost_per_unit_step * backlog,
    )
    bought = units_fast + units_slow
    return Evaluation(
        sum(parts),
        *parts,
        cycle_service=1.0 - float(share @ stockout),
        review_service=float(share @ (units[at] >= 0.0)),
        fill_rate=1.0 - float(share @ short) / (problem.demand.mean_units * review),
        mean_stock_units=stock,
        mean_backlog_units=backlog,
        orders_lean=slow,
        orders_flexible=fast,
        share_flexible=units_fast / bought if bought > 0.0 else 0.0,
    )


def _stock_and_backlog(
    problem: DualProblem,
    units: FloatArray,
    levels: tuple[IntArray, IntArray, IntArray],
    share: FloatArray,
) -> tuple[float, float]:
    """Mean stock on hand and mean backlog over time, units."""
    slow, fast = problem.lead_time_steps_lean, problem.lead_time_steps_flexible
    review = problem.review_period_steps
    sums = [_sum_at(problem, step, units) for step in range(review + 1)]
    backlog = net = 0.0
    for level, start, end in zip(levels, (0, fast, slow), (fast, slow, review), strict=True):
        lost = _segment(problem, sums, start, end)
        backlog += float(share @ lost[level])
        net += float(share @ units[level]) * (end - start) - _means(sums, start, end)
    return (net + backlog) / review, backlog / review
