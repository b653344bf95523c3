"""The live decision: what to order of every item under review, from whom, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from policy.decisions import Decisions, Method, Reason
from policy.errors import PolicyInputError
from policy.gap.rule import are_urgent, decide_by_rule
from policy.gap.simulation import fit_gap_rules
from policy.parameters import parameter_rows
from policy.policy_cache import SMALLEST_ROOM, PolicyCache
from policy.price_breaks import PriceBreaks, checked_breaks
from policy.review_inputs import (
    ROLES,
    BoolArray,
    FloatArray,
    IntArray,
    ReviewInputs,
    checked_columns,
)
from policy.slow_lean import decide_slow_lean, is_slow_lean, read_outlook
from policy.solver import columns as kernel
from policy.solver import reading_columns as reading
from policy.solver.item import solve_rows
from policy.solver.read_policy import read_many

__all__ = ["TOLERANCE", "Decisions", "Method", "Reason", "decide"]

TOLERANCE = 2e-4
"""Relative gap at which a solve stops; the published gap is what was reached."""
_CHUNK = SMALLEST_ROOM
_RULE_KEY = b"rule"  # a fitted rule lies in the cache beside the policies


@dataclass(frozen=True)
class _Work:
    """Buffers of one call."""

    columns: dict[str, FloatArray]
    rows: FloatArray
    position: FloatArray
    mean: FloatArray
    money: FloatArray  # what one unit of money in `rows` and `readings` is worth
    allow_lean: BoolArray
    readings: FloatArray
    orders: IntArray
    answers: FloatArray
    solved: BoolArray
    is_lean_alone: BoolArray  # instead of the gap rule, which would cost more
    breaks: PriceBreaks
    break_savings: FloatArray  # a unit, in the money of `rows`; shape (item, role, tier)


def decide(
    inputs: ReviewInputs, cache: PolicyCache | None = None, *, threads: int = 1
) -> Decisions:
    """Return what to order of every item under review, from whom, and why.

    Items whose lean supplier is at most one review period slower than the flexible one, and those
    with one supplier, get the exact dynamic program of their rounded parameters (`Method.EXACT`,
    with a certified gap): all that was ordered before is there when a flexible order of now could
    be, so that the inventory position is the whole state. The others get the gap rule, simulated,
    beside the certified bound of a faster lean supplier; where it costs more than the lean supplier
    alone, that one's exact policy takes its place. Where an outlook is given, `policy.slow_lean`
    decides instead, by stock and demand day by day. An item's result does not depend, to the last
    bit, on the other items of the call, on their order, on the cache or on `threads`.

    Args:
        inputs: the items; shapes and units in `ReviewInputs`.
        cache: solved policies to use and to add to; None solves every parameter set of this call.
        threads: threads that solve, >= 1. A cache must not be shared by concurrent calls.

    Raises:
        PolicyInputError: a field breaks its documented range; names field, rule and value.

    Source: Xiang, Naseem, Ahmad (2025), DOI 10.37256/cm.6520257779, equations corrected.

    >>> one = lambda value: np.array([value], dtype=float)
    >>> decisions = decide(ReviewInputs(
    ...     inventory_position_units=one(400), demand_mean_units_per_day=one(102.7),
    ...     demand_sd_units_per_day=one(46.54), review_period_days=one(9),
    ...     lead_time_days_lean=one(4), lead_time_days_flexible=one(2), setup_cost_lean=one(900),
    ...     setup_cost_flexible=one(90), unit_cost_lean=one(10), unit_cost_flexible=one(13),
    ...     holding_cost_per_unit_day=one(0.9), backorder_cost_per_unit_day=one(2),
    ...     service_target=one(0.95), service_type=np.array([1]), lean_capacity_units=one(np.inf),
    ...     minimum_order_units_lean=one(0), minimum_order_units_flexible=one(0),
    ...     pack_size_units_lean=one(1), pack_size_units_flexible=one(1)))
    >>> Method(decisions.method[0]).name, Reason(decisions.reason[0]).name
    ('EXACT', 'SERVICE_TARGET')
    """
    if not threads >= 1:
        raise PolicyInputError("threads", ">= 1", threads)
    columns = checked_columns(inputs)
    work = _new_work(columns, checked_breaks(inputs, columns))
    slower = work.rows[:, kernel.P_LEAN_DAYS] - work.rows[:, kernel.P_FLEXIBLE_DAYS]
    sells = work.rows[:, kernel.P_MEAN] > 0.0
    exact = (slower <= work.rows[:, kernel.P_REVIEW]) & sells
    if cache is None:
        cache = PolicyCache(100_000)
    with _Mapper(threads) as mapper:
        _decide_exact(work, np.flatnonzero(exact), cache, mapper)
        by_levels = _decide_by_levels(work, np.flatnonzero(~work.solved & sells), inputs, cache)
        slow = np.flatnonzero(~work.solved & ~by_levels & sells)
        _fit_rules(work, slow, cache, mapper)
        lean, alone = _solve_lean_alone(work, slow[work.allow_lean[slow]], cache, mapper)
        decide_by_rule(
            np.flatnonzero(~work.solved & ~by_levels),
            work.position,
            work.allow_lean,
            work.rows,
            work.answers,
            work.breaks.units,
            work.break_savings,
            work.readings,
            work.orders,
        )
        _take_lean_alone(work, lean, alone)
    return _decisions(work, by_levels)


def _decide_by_levels(
    work: _Work, slow: IntArray, inputs: ReviewInputs, cache: PolicyCache
) -> BoolArray:
    """Decide the slow items whose outlook is given; return which those are, shape (item,)."""
    chosen = np.zeros(work.solved.size, np.bool_)
    known = read_outlook(inputs)
    if known is not None:
        has_outlook = known.outlook.mean[:, -1] > 0.0
        items = slow[(is_slow_lean(work.rows) & has_outlook)[slow]]
        chosen[items] = True
        decide_slow_lean(
            items,
            known,
            work.rows,
            work.allow_lean,
            cache.levels,
            work.answers,
            work.readings,
            work.orders,
        )
    return chosen


def _new_work(columns: dict[str, FloatArray], breaks: PriceBreaks) -> _Work:
    size = columns["inventory_position_units"].size
    return _Work(
        columns=columns,
        rows=parameter_rows(columns),
        position=np.ascontiguousarray(columns["inventory_position_units"]),
        mean=np.ascontiguousarray(columns["demand_mean_units_per_day"]),
        money=columns["holding_cost_per_unit_day"],
        allow_lean=columns["allow_lean"] > 0.0,
        readings=np.zeros((size, reading.READINGS)),
        orders=np.zeros((size, reading.ORDERS), np.int64),
        answers=np.zeros((size, kernel.ANSWERS)),
        solved=np.zeros(size, np.bool_),
        is_lean_alone=np.zeros(size, np.bool_),
        breaks=breaks,
        break_savings=breaks.savings(columns),
    )


def _decide_exact(work: _Work, items: IntArray, cache: PolicyCache, mapper: _Mapper) -> None:
    """Read known policies first, then solve the rest in chunks that the smallest cache holds."""
    keys = _keys(work.rows[items])
    slots = cache.find(keys)
    _read(work, items, slots, cache, mapper)
    for groups in _missing(items, keys, slots):
        _solve_chunk(work, groups, cache, mapper)


def _keys(rows: FloatArray) -> list[bytes]:
    buffer, width = rows.tobytes(), rows.shape[1] * 8
    return [buffer[k * width : (k + 1) * width] for k in range(rows.shape[0])]


_Groups = list[tuple[bytes, list[int]]]


def _missing(items: IntArray, keys: list[bytes], slots: IntArray) -> Iterator[_Groups]:
    """Yield the items without a slot, those with the same key together, in chunks."""
    missing: dict[bytes, list[int]] = {}
    for k in np.flatnonzero(slots < 0):
        missing.setdefault(keys[k], []).append(int(items[k]))
    groups = list(missing.items())
    for first in range(0, len(groups), _CHUNK):
        yield groups[first : first + _CHUNK]


def _fit_rules(work: _Work, items: IntArray, cache: PolicyCache, mapper: _Mapper) -> None:
    """Write the answers of the gap rule for items that have no policy."""
    keys = [_RULE_KEY + key for key in _keys(work.rows[items])]
    slots = cache.find(keys)
    known = slots >= 0
    work.answers[items[known]] = cache.answers[slots[known]]
    for groups in _missing(items, keys, slots):
        rows = work.rows[[members[0] for _, members in groups]]
        answers = np.zeros((len(groups), kernel.ANSWERS))
        lower = _lower_costs(rows, mapper)

        def fit_part(
            part: int,
            rows: FloatArray = rows,
            lower: FloatArray = lower,
            answers: FloatArray = answers,
        ) -> None:
            chosen = mapper.part(part, rows.shape[0])
            fit_gap_rules(rows[chosen], lower[chosen], answers[chosen])

        mapper.run(fit_part)
        for (key, members), answer in zip(groups, answers, strict=True):
            work.answers[members] = answer
            nothing = np.zeros((kernel.LEVEL_ROWS, 1), np.int64)
            cache.store(key, answer, np.zeros((kernel.TABLES, 1)), nothing)


def _solve_lean_alone(
    work: _Work, items: IntArray, cache: PolicyCache, mapper: _Mapper
) -> tuple[IntArray, _Work]:
    """Find the items that cost less with the lean supplier alone than by the gap rule.

    A second supplier is an option and no duty. Cost and service of these items are those of the
    exact policy of the lean supplier; the gap is still to the bound of any policy.

    Returns:
        The items, and their decisions with that supplier alone.
    """
    rows = work.rows[items]
    items = items[
        (rows[:, kernel.P_LEAN_SETUP] < np.inf) & (rows[:, kernel.P_FLEXIBLE_SETUP] < np.inf)
    ]
    alone = _lean_alone(work, items)
    _decide_exact(alone, np.arange(items.size), cache, mapper)
    rule, cost = work.answers[items], alone.answers[:, kernel.A_COST]
    misses = rule[:, kernel.A_GAP] >= 1.0
    is_met = alone.answers[:, kernel.A_MET] > 0.0
    better = alone.solved & is_met & (misses | (cost <= rule[:, kernel.A_COST]))
    items, cost, lower = items[better], cost[better], rule[better, kernel.A_LOWER]
    gap = np.maximum(alone.answers[better, kernel.A_GAP], 1.0 - lower / cost)
    for column in (kernel.A_COST, kernel.A_CYCLE, kernel.A_FILL):
        work.answers[items, column] = alone.answers[better, column]
    work.answers[items, kernel.A_GAP] = gap
    work.answers[items, kernel.A_LEAN_CHEAPER] = 1.0
    decided = _lean_alone(work, items)
    for name in ("answers", "readings", "orders"):
        getattr(decided, name)[:] = getattr(alone, name)[better]
    decided.answers[:, kernel.A_GAP] = gap
    return items, decided


def _lean_alone(work: _Work, items: IntArray) -> _Work:
    """Return the work on some items as if they had no flexible supplier."""
    columns = {name: column[items] for name, column in work.columns.items()}
    columns["setup_cost_flexible"] = np.full(items.size, np.inf)
    return _new_work(columns, PriceBreaks(work.breaks.units[items], work.breaks.unit_cost[items]))


def _take_lean_alone(work: _Work, items: IntArray, alone: _Work) -> None:
    """Let the lean supplier alone decide, but where a flexible unit saves its premium just now."""
    calm = ~are_urgent(work.position[items], work.rows[items], work.answers[items])
    chosen = items[calm]
    for name in ("rows", "answers", "readings", "orders"):
        getattr(work, name)[chosen] = getattr(alone, name)[calm]
    work.solved[chosen] = work.is_lean_alone[chosen] = True


def _lower_costs(rows: FloatArray, mapper: _Mapper) -> FloatArray:
    """Return a bound on the cost per review: the optimum for a lean supplier whole reviews faster.

    Whoever has the faster supplier can order that many reviews later, so it never costs more.
    """
    faster = rows.copy()
    review = rows[:, kernel.P_REVIEW]
    slower = rows[:, kernel.P_LEAN_DAYS] - rows[:, kernel.P_FLEXIBLE_DAYS]
    faster[:, kernel.P_LEAN_DAYS] -= review * np.maximum(np.ceil(slower / review) - 1.0, 0.0)
    _, _, answers, solved = _solve(faster, mapper)
    bound: FloatArray = answers[:, kernel.A_COST] * (1.0 - answers[:, kernel.A_GAP])
    return np.where(solved, bound, 0.0)


class _Mapper:
    """Runs a function over parts: here, or on threads (the kernels release the lock)."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __enter__(self) -> _Mapper:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def part(self, number: int, count: int) -> slice:
        """The share of `count` things that falls to one part."""
        return slice(count * number // self.threads, count * (number + 1) // self.threads)

    def run(self, function: Callable[[int], None]) -> None:
        if self._pool is None:
            function(0)
        else:
            list(self._pool.map(function, range(self.threads)))


def _solve(rows: FloatArray, mapper: _Mapper) -> tuple[FloatArray, IntArray, FloatArray, BoolArray]:
    """Return tables, levels, answers and whether a lattice fitted, for each parameter row."""
    count = rows.shape[0]
    tables = np.empty((count, kernel.TABLES, kernel.LEVELS_CAP))
    levels = np.empty((count, kernel.LEVEL_ROWS, kernel.LEVELS_CAP), np.int64)
    answers = np.zeros((count, kernel.ANSWERS))
    solved = np.zeros(count, np.bool_)

    def solve_part(part: int) -> None:
        k = mapper.part(part, count)
        solve_rows(rows[k], TOLERANCE, tables[k], levels[k], answers[k], solved[k])

    mapper.run(solve_part)
    return tables, levels, answers, solved


def _solve_chunk(work: _Work, groups: _Groups, cache: PolicyCache, mapper: _Mapper) -> None:
    rows = work.rows[[members[0] for _, members in groups]]
    tables, levels, answers, solved = _solve(rows, mapper)
    items: list[int] = []
    slots: list[int] = []
    for k, (key, members) in enumerate(groups):
        if not solved[k]:
            continue
        size = int(answers[k, kernel.A_LEVELS])
        slot = cache.store(key, answers[k], tables[k, :, :size], levels[k, :, :size])
        items.extend(members)
        slots.extend([slot] * len(members))
    _read(work, np.array(items, np.int64), np.array(slots, np.int64), cache, mapper)


def _read(
    work: _Work, items: IntArray, slots: IntArray, cache: PolicyCache, mapper: _Mapper
) -> None:
    """Read the stored policies of the items that have a slot."""
    known = slots >= 0
    items, slots = items[known], slots[known]
    work.answers[items] = cache.answers[slots]
    work.solved[items] = True

    def read_part(part: int) -> None:
        chosen = mapper.part(part, items.size)
        read_many(
            items[chosen],
            slots[chosen],
            work.position,
            work.mean,
            work.allow_lean,
            work.rows,
            cache.answers,
            cache.tables,
            cache.order_levels,
            cache.starts,
            work.breaks.units,
            work.break_savings,
            work.readings,
            work.orders,
        )

    mapper.run(read_part)


def _cost_per_day(work: _Work) -> FloatArray:
    """The cost of the rounded mean, in proportion to the real one: purchases dominate it."""
    used = work.rows[:, kernel.P_MEAN]
    sells = used > 0.0
    scale = np.where(sells, work.mean / np.where(sells, used, 1.0), 0.0)
    idle = work.readings[:, reading.D_HOLDING] + work.readings[:, reading.D_BACKORDER]
    per_review = np.where(sells, work.answers[:, kernel.A_COST] * scale, idle)
    return per_review / work.rows[:, kernel.P_REVIEW] * work.money


def _order_money(work: _Work, unit_cost: dict[str, FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Return purchase and set-up money of the orders placed."""
    purchase, setup = np.zeros(work.mean.size), np.zeros(work.mean.size)
    for column, role in ((reading.O_LEAN, "lean"), (reading.O_FLEXIBLE, "flexible")):
        units = work.orders[:, column]
        purchase += unit_cost[role] * units
        setup += np.where(units > 0, work.columns[f"setup_cost_{role}"], 0.0)
    return purchase, setup


def _decisions(work: _Work, by_levels: BoolArray) -> Decisions:
    answers, readings, orders = work.answers, work.readings, work.orders
    idle = work.rows[:, kernel.P_MEAN] <= 0.0
    is_exact = work.solved & ~work.is_lean_alone
    rule = np.where(by_levels, Method.DUAL_INDEX, Method.GAP_RULE)
    method = np.where(is_exact, Method.EXACT, np.where(idle, Method.NO_DEMAND, rule))
    unit_cost = {
        role: work.breaks.unit_cost_of(place, orders[:, place], work.columns[f"unit_cost_{role}"])
        for place, role in enumerate(ROLES)
    }
    purchase, setup = _order_money(work, unit_cost)
    candidates = orders[:, reading.O_CANDIDATES :]
    return Decisions(
        quantity_lean_units=orders[:, reading.O_LEAN].copy(),
        quantity_flexible_units=orders[:, reading.O_FLEXIBLE].copy(),
        method=method.astype(np.int64),
        reason=orders[:, reading.O_REASON].copy(),
        expected_cost_nothing=readings[:, reading.D_NOTHING] * work.money,
        expected_cost_lean_only=readings[:, reading.D_LEAN] * work.money,
        expected_cost_flexible_only=readings[:, reading.D_FLEXIBLE] * work.money,
        expected_cost_both=readings[:, reading.D_BOTH] * work.money,
        candidate_lean_only_units=candidates[:, 0].copy(),
        candidate_flexible_only_units=candidates[:, 3].copy(),
        candidate_both_lean_units=candidates[:, 4].copy(),
        candidate_both_flexible_units=candidates[:, 5].copy(),
        order_unit_cost_lean=unit_cost["lean"],
        order_unit_cost_flexible=unit_cost["flexible"],
        expected_purchase_cost=purchase,
        expected_setup_cost=setup,
        expected_holding_cost=readings[:, reading.D_HOLDING] * work.money,
        expected_backorder_cost=readings[:, reading.D_BACKORDER] * work.money,
        demand_mean_used_units_per_day=work.rows[:, kernel.P_MEAN].copy(),
        demand_sd_used_units_per_day=work.rows[:, kernel.P_SD].copy(),
        demand_family_used=np.where(idle, 0, answers[:, kernel.A_FAMILY]).astype(np.int64),
        cell_units=np.where(work.solved, answers[:, kernel.A_CELL], 0.0),
        policy_cost_per_day=_cost_per_day(work),
        gap=np.where(idle, 1.0, answers[:, kernel.A_GAP]),
        cycle_service=np.where(idle, 1.0, answers[:, kernel.A_CYCLE]),
        review_service=readings[:, reading.D_REVIEW_SERVICE].copy(),
        fill_rate=np.where(idle, 1.0, answers[:, kernel.A_FILL]),
        break_even_fast_unit=readings[:, reading.D_PREMIUM] * work.money,
    )
