"""The live decision: what to order of every item under review, from whom, and why."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from policy import item_columns as kernel
from policy import read_kernel as reader
from policy.errors import PolicyInputError
from policy.gap_kernel import decide_by_rule
from policy.item_kernel import solve_rows
from policy.policy_cache import SMALLEST_ROOM, PolicyCache
from policy.review_inputs import (
    BoolArray,
    DemandFamily,
    FloatArray,
    IntArray,
    ReviewInputs,
    checked_columns,
    usable_lean,
)
from policy.rounding import round_to_digits, rounded_demand

TOLERANCE = 2e-4
"""Relative gap at which a solve stops; the published gap is what was reached."""
_CHUNK = SMALLEST_ROOM


class Method(IntEnum):
    """How a decision was found."""

    EXACT = 0  # the dynamic program on a lattice, certified
    GAP_RULE = 1  # a lead time reaches the next review; no certificate
    NO_DEMAND = 2  # nothing sells; only a backlog is ordered


class Reason(IntEnum):
    """Which cost or constraint bound the quantities."""

    POSITION_COVERS = reader.REASON_POSITION_COVERS
    COST_OPTIMAL = reader.REASON_COST_OPTIMAL
    SERVICE_TARGET = reader.REASON_SERVICE_TARGET
    SERVICE_OUT_OF_REACH = reader.REASON_SERVICE_OUT_OF_REACH
    LEAN_CAPACITY_BOUND = reader.REASON_LEAN_CAPACITY_BOUND
    MINIMUM_ORDER = reader.REASON_MINIMUM_ORDER
    PACK_SIZE = reader.REASON_PACK_SIZE
    FLEXIBLE_ONLY_SURGE = reader.REASON_FLEXIBLE_ONLY_SURGE
    NO_DEMAND = reader.REASON_NO_DEMAND
    GAP_RULE = reader.REASON_GAP_RULE


@dataclass(frozen=True)
class Decisions:
    """Decisions of one review; every array has shape (item,). No value is NaN."""

    quantity_lean_units: IntArray
    quantity_flexible_units: IntArray
    method: IntArray
    """Method codes."""
    reason: IntArray
    """Reason codes."""
    expected_cost_nothing: FloatArray
    """Money until the next review plus relative value after it, at the rounded estimate; comparable
    with the other three, not with those of another item."""
    expected_cost_lean_only: FloatArray
    """The best order from the lean supplier alone; inf where it is not allowed."""
    expected_cost_flexible_only: FloatArray
    expected_cost_both: FloatArray
    demand_mean_used_units_per_day: FloatArray
    """The estimate on the rounding grid, which the policy was solved for."""
    demand_sd_used_units_per_day: FloatArray
    demand_family_used: IntArray
    """DemandFamily codes, never AUTO where the method is EXACT."""
    cell_units: FloatArray
    """Units per lattice cell; 0 where no lattice was used."""
    policy_cost_per_day: FloatArray
    """Long-run money a day under the policy, purchases included; 0 without certificate."""
    gap: FloatArray
    """(cost - certified lower bound) / cost on the lattice; 1 without certificate."""
    cycle_service: FloatArray
    """Long-run share of cycles without a stock-out; 0 without certificate, see `method`."""
    fill_rate: FloatArray
    """Long-run share of units served from stock; 0 without certificate, see `method`."""
    break_even_fast_unit: FloatArray
    """Premium per unit at which one more unit on day tau_2 instead of tau_1 pays, set-up apart."""

    def __len__(self) -> int:
        return int(self.quantity_lean_units.size)


def _parameter_rows(columns: dict[str, FloatArray]) -> FloatArray:
    """Return the parameter rows on the rounding grid, unusable suppliers made alike."""
    size = columns["inventory_position_units"].size
    rows = np.zeros((size, kernel.PARAMETERS))
    mean = columns["demand_mean_units_per_day"]
    rows[:, kernel.P_MEAN], rows[:, kernel.P_SD] = rounded_demand(
        mean, columns["demand_sd_units_per_day"]
    )
    for place, name in _PLAIN_COLUMNS.items():
        rows[:, place] = columns[name]
    for place in _MONEY_COLUMNS:
        rows[:, place] = round_to_digits(rows[:, place] / columns["holding_cost_per_unit_day"])
    for place, name in _LOT_COLUMNS.items():
        rows[:, place] = np.maximum(np.ceil(columns[name] - 1e-9), 1.0)
    rows[:, kernel.P_CAPACITY] = np.floor(rows[:, kernel.P_CAPACITY])
    rows[rows[:, kernel.P_SERVICE_TYPE] == kernel.SERVICE_COST, kernel.P_TARGET] = 0.0
    lean, flexible = usable_lean(columns), columns["setup_cost_flexible"] < np.inf
    _erase_lean(rows, ~lean)
    _erase_flexible(rows, ~flexible)
    return rows


def _erase_lean(rows: FloatArray, gone: BoolArray) -> None:
    rows[gone, kernel.P_LEAN_SETUP] = np.inf
    rows[gone, kernel.P_CAPACITY] = np.inf
    rows[gone, kernel.P_LEAN_DAYS] = rows[gone, kernel.P_FLEXIBLE_DAYS]
    rows[gone, kernel.P_LEAN_UNIT] = 0.0
    rows[gone, kernel.P_LEAN_LEAST] = rows[gone, kernel.P_LEAN_PACK] = 1.0


def _erase_flexible(rows: FloatArray, gone: BoolArray) -> None:
    rows[gone, kernel.P_FLEXIBLE_SETUP] = np.inf
    rows[gone, kernel.P_FLEXIBLE_DAYS] = rows[gone, kernel.P_LEAN_DAYS]
    rows[gone, kernel.P_FLEXIBLE_UNIT] = 0.0
    rows[gone, kernel.P_FLEXIBLE_LEAST] = rows[gone, kernel.P_FLEXIBLE_PACK] = 1.0


# Only the proportions of costs decide, so that items which differ in their price alone share a
# policy. Money is counted in units of the holding cost per unit and day.
_MONEY_COLUMNS = (
    kernel.P_LEAN_SETUP,
    kernel.P_FLEXIBLE_SETUP,
    kernel.P_LEAN_UNIT,
    kernel.P_FLEXIBLE_UNIT,
    kernel.P_HOLDING,
    kernel.P_BACKORDER,
)
_PLAIN_COLUMNS = {
    kernel.P_REVIEW: "review_period_days",
    kernel.P_LEAN_DAYS: "lead_time_days_lean",
    kernel.P_FLEXIBLE_DAYS: "lead_time_days_flexible",
    kernel.P_LEAN_SETUP: "setup_cost_lean",
    kernel.P_FLEXIBLE_SETUP: "setup_cost_flexible",
    kernel.P_LEAN_UNIT: "unit_cost_lean",
    kernel.P_FLEXIBLE_UNIT: "unit_cost_flexible",
    kernel.P_HOLDING: "holding_cost_per_unit_day",
    kernel.P_BACKORDER: "backorder_cost_per_unit_day",
    kernel.P_TARGET: "service_target",
    kernel.P_SERVICE_TYPE: "service_type",
    kernel.P_CAPACITY: "lean_capacity_units",
    kernel.P_FAMILY: "demand_family",
}
_LOT_COLUMNS = {
    kernel.P_LEAN_LEAST: "minimum_order_units_lean",
    kernel.P_FLEXIBLE_LEAST: "minimum_order_units_flexible",
    kernel.P_LEAN_PACK: "pack_size_units_lean",
    kernel.P_FLEXIBLE_PACK: "pack_size_units_flexible",
}


@dataclass(frozen=True)
class _Work:
    """Buffers of one call."""

    rows: FloatArray
    position: FloatArray
    mean: FloatArray
    money: FloatArray  # what one unit of money in `rows` and `readings` is worth
    allow_lean: BoolArray
    readings: FloatArray
    orders: IntArray
    answers: FloatArray
    solved: BoolArray


def decide(
    inputs: ReviewInputs, cache: PolicyCache | None = None, *, threads: int = 1
) -> Decisions:
    """Return what to order of every item under review, from whom, and why.

    Items whose lead times are shorter than their review period get the exact dynamic program of
    their rounded parameters (`Method.EXACT`, with a certified gap); the others the gap rule. An
    item's result does not depend, to the last bit, on the other items of the call, on their order,
    on the cache or on `threads`.

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
    work = _new_work(columns)
    longest = np.maximum(work.rows[:, kernel.P_LEAN_DAYS], work.rows[:, kernel.P_FLEXIBLE_DAYS])
    exact = (longest < work.rows[:, kernel.P_REVIEW]) & (work.rows[:, kernel.P_MEAN] > 0.0)
    _decide_exact(work, np.flatnonzero(exact), cache, threads)
    by_rule = np.flatnonzero(~work.solved)
    decide_by_rule(by_rule, work.position, work.allow_lean, work.rows, work.readings, work.orders)
    return _decisions(work)


def _new_work(columns: dict[str, FloatArray]) -> _Work:
    size = columns["inventory_position_units"].size
    return _Work(
        rows=_parameter_rows(columns),
        position=np.ascontiguousarray(columns["inventory_position_units"]),
        mean=np.ascontiguousarray(columns["demand_mean_units_per_day"]),
        money=columns["holding_cost_per_unit_day"],
        allow_lean=columns["allow_lean"] > 0.0,
        readings=np.zeros((size, reader.READINGS)),
        orders=np.zeros((size, 3), np.int64),
        answers=np.zeros((size, kernel.ANSWERS)),
        solved=np.zeros(size, np.bool_),
    )


def _decide_exact(work: _Work, items: IntArray, cache: PolicyCache | None, threads: int) -> None:
    """Read known policies first, then solve the rest in chunks that the smallest cache holds."""
    if cache is None:
        cache = PolicyCache(100_000)
    buffer = work.rows[items].tobytes()
    width = work.rows.shape[1] * 8
    keys = [buffer[k * width : (k + 1) * width] for k in range(items.size)]
    slots = cache.find(keys)
    _read(work, items, slots, cache)
    missing: dict[bytes, list[int]] = {}
    for k in np.flatnonzero(slots < 0):
        missing.setdefault(keys[k], []).append(int(items[k]))
    groups = list(missing.items())
    with _mapper(threads) as mapper:
        for first in range(0, len(groups), _CHUNK):
            _solve_chunk(work, groups[first : first + _CHUNK], cache, mapper)


class _mapper:
    """Runs a function over parts: here, or on threads (the kernels release the lock)."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __enter__(self) -> _mapper:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def run(self, function: Callable[[int], None]) -> None:
        if self._pool is None:
            function(0)
        else:
            list(self._pool.map(function, range(self.threads)))


def _solve_chunk(
    work: _Work, groups: list[tuple[bytes, list[int]]], cache: PolicyCache, mapper: _mapper
) -> None:
    count = len(groups)
    rows = work.rows[[members[0] for _, members in groups]]
    tables = np.empty((count, kernel.TABLES, kernel.LEVELS_CAP))
    levels = np.empty((count, kernel.LEVEL_ROWS, kernel.LEVELS_CAP), np.int64)
    answers = np.zeros((count, kernel.ANSWERS))
    solved = np.zeros(count, np.bool_)

    def solve_part(part: int) -> None:
        a, b = (count * k // mapper.threads for k in (part, part + 1))
        solve_rows(rows[a:b], TOLERANCE, tables[a:b], levels[a:b], answers[a:b], solved[a:b])

    mapper.run(solve_part)
    items: list[int] = []
    slots: list[int] = []
    for k, (key, members) in enumerate(groups):
        if not solved[k]:
            continue
        size = int(answers[k, kernel.A_LEVELS])
        slot = cache.store(key, answers[k], tables[k, :, :size], levels[k, :, :size])
        items.extend(members)
        slots.extend([slot] * len(members))
    _read(work, np.array(items, np.int64), np.array(slots, np.int64), cache)


def _read(work: _Work, items: IntArray, slots: IntArray, cache: PolicyCache) -> None:
    """Read the stored policies of the items that have a slot."""
    known = slots >= 0
    items, slots = items[known], slots[known]
    work.answers[items] = cache.answers[slots]
    work.solved[items] = True
    reader.read_many(
        items,
        slots,
        work.position,
        work.mean,
        work.allow_lean,
        work.rows,
        cache.answers,
        cache.tables,
        cache.order_levels,
        cache.starts,
        work.readings,
        work.orders,
    )


def _cost_per_day(work: _Work) -> FloatArray:
    """The cost of the rounded mean, in proportion to the real one: purchases dominate it."""
    used = work.rows[:, kernel.P_MEAN]
    scale = np.where(used > 0.0, work.mean / np.where(used > 0.0, used, 1.0), 0.0)
    return work.answers[:, kernel.A_COST] / work.rows[:, kernel.P_REVIEW] * scale * work.money


def _decisions(work: _Work) -> Decisions:
    exact, answers = work.solved, work.answers
    idle = work.rows[:, kernel.P_MEAN] <= 0.0
    method = np.where(exact, Method.EXACT, np.where(idle, Method.NO_DEMAND, Method.GAP_RULE))
    family = np.where(exact, answers[:, kernel.A_FAMILY], DemandFamily.NORMAL)
    return Decisions(
        quantity_lean_units=work.orders[:, 0].copy(),
        quantity_flexible_units=work.orders[:, 1].copy(),
        method=method.astype(np.int64),
        reason=work.orders[:, 2].copy(),
        expected_cost_nothing=work.readings[:, reader.D_NOTHING] * work.money,
        expected_cost_lean_only=work.readings[:, reader.D_LEAN] * work.money,
        expected_cost_flexible_only=work.readings[:, reader.D_FLEXIBLE] * work.money,
        expected_cost_both=work.readings[:, reader.D_BOTH] * work.money,
        demand_mean_used_units_per_day=work.rows[:, kernel.P_MEAN].copy(),
        demand_sd_used_units_per_day=work.rows[:, kernel.P_SD].copy(),
        demand_family_used=family.astype(np.int64),
        cell_units=answers[:, kernel.A_CELL].copy(),
        policy_cost_per_day=_cost_per_day(work),
        gap=np.where(exact, answers[:, kernel.A_GAP], 1.0),
        cycle_service=answers[:, kernel.A_CYCLE].copy(),
        fill_rate=answers[:, kernel.A_FILL].copy(),
        break_even_fast_unit=work.readings[:, reader.D_PREMIUM] * work.money,
    )
