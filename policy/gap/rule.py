"""The gap rule: the named fall-back where the lean supplier is more than a review slower.

CAPABILITIES A2, "corrected decision": raise the inventory position to U = mu (T + tau) + Z sigma
sqrt(T + tau); the flexible supplier brings what stock lacks until a lean order arrives,
clip(mu tau_1 + Z sigma sqrt(tau_1) - position, 0, need), the lean supplier the rest. No unit comes
from the flexible supplier that saves less than its premium, where the simulated rule costs more
than the lean supplier alone. Where the set-up cost justifies orders larger than one review's
demand, the order tops up to U plus the difference (economic order quantity less one review's
demand), and U triggers it.

Costs of the candidates are those of the days [tau_2, T + tau_2) with normal demand, so they compare
candidates; the rule does not choose by them. What it costs and serves in the long run, and how far
that is from a bound, `policy.gap.simulation` tells.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.solver.break_orders import FLEXIBLE, LEAN, raise_to_break, split_saving
from policy.solver.candidates import whole_order
from policy.solver.columns import (
    A_LEAN_CHEAPER,
    A_PENALTY,
    P_BACKORDER,
    P_CAPACITY,
    P_FLEXIBLE_DAYS,
    P_FLEXIBLE_LEAST,
    P_FLEXIBLE_PACK,
    P_FLEXIBLE_SETUP,
    P_FLEXIBLE_UNIT,
    P_HOLDING,
    P_LEAN_DAYS,
    P_LEAN_LEAST,
    P_LEAN_PACK,
    P_LEAN_SETUP,
    P_LEAN_UNIT,
    P_MEAN,
    P_REVIEW,
    P_SD,
    P_SERVICE_TYPE,
    P_TARGET,
    SERVICE_COST,
    SERVICE_FILL,
)
from policy.solver.reading_columns import (
    D_BACKORDER,
    D_BOTH,
    D_FLEXIBLE,
    D_HOLDING,
    D_LEAN,
    D_NOTHING,
    D_PREMIUM,
    D_REVIEW_SERVICE,
    O_CANDIDATES,
    O_FLEXIBLE,
    O_LEAN,
    O_REASON,
    REASON_FLEXIBLE_ONLY_SURGE,
    REASON_GAP_RULE,
    REASON_NO_DEMAND,
    REASON_POSITION_COVERS,
    REASON_PRICE_BREAK,
)

_NEVER = -1e18  # a position that no item has

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@compiled
def unit_loss(z: float) -> float:
    """E(N - z)+ of a standard normal N."""
    return max(
        0.3989422804014327 * math.exp(-0.5 * z * z) - z * 0.5 * math.erfc(z * 0.7071067811865476),
        0.0,
    )


@compiled
def normal_loss(mean: float, sd: float, level: float) -> float:
    """E(D - level)+ of normal demand; certain demand where sd is 0."""
    if sd <= 1e-12 * (1.0 + abs(mean)):
        return max(0.0, mean - level)
    return sd * unit_loss((level - mean) / sd)


@compiled
def normal_share(mean: float, sd: float, level: float) -> float:
    """P(D <= level) of normal demand; certain demand where sd is 0."""
    if sd <= 1e-12 * (1.0 + abs(mean)):
        return 1.0 if mean <= level else 0.0
    return 0.5 * math.erfc((mean - level) / sd * 0.7071067811865476)


@compiled
def safety_factor(row: FloatArray, days: float) -> float:
    """Z of the service type: quantile of cycle service, fill-rate equation, or critical ratio."""
    low, high = -4.0, 6.0
    fill = row[P_SERVICE_TYPE] == SERVICE_FILL
    target = row[P_TARGET]
    if row[P_SERVICE_TYPE] == SERVICE_COST:
        target = row[P_BACKORDER] / (row[P_BACKORDER] + row[P_HOLDING])
    spread = row[P_SD] * math.sqrt(days)
    short = (1.0 - target) * row[P_MEAN] * row[P_REVIEW]
    for _ in range(60):
        z = 0.5 * (low + high)
        if fill:
            enough = spread * unit_loss(z) <= short
        else:
            enough = 0.5 * math.erfc(z * 0.7071067811865476) <= 1.0 - target
        if enough:
            high = z
        else:
            low = z
    return high


@compiled
def _stock_costs(row: FloatArray, position: float, lean: float, fast: float) -> tuple[float, float]:
    """Expected holding and backorder cost of days [tau_2, T + tau_2)."""
    holding, backorder = 0.0, 0.0
    steps = int(min(max(math.ceil(row[P_REVIEW]), 1.0), 64.0))
    weight = row[P_REVIEW] / steps
    for k in range(steps):
        day = row[P_FLEXIBLE_DAYS] + (k + 0.5) * weight
        level = position + fast + (lean if day >= row[P_LEAN_DAYS] else 0.0)
        mean, sd = row[P_MEAN] * day, row[P_SD] * math.sqrt(day)
        loss = normal_loss(mean, sd, level)
        holding += weight * row[P_HOLDING] * (level - mean + loss)
        backorder += weight * row[P_BACKORDER] * loss
    return holding, backorder


@compiled
def _order_cost(row: FloatArray, lean: float, flexible: float) -> float:
    """Set-ups and purchases."""
    cost = 0.0
    if lean > 0.0:
        cost += row[P_LEAN_SETUP] + row[P_LEAN_UNIT] * lean
    if flexible > 0.0:
        cost += row[P_FLEXIBLE_SETUP] + row[P_FLEXIBLE_UNIT] * flexible
    return cost


@compiled
def _buys(wanted: float, row: FloatArray, setup: int, least: int, most: float, pack: int) -> int:
    if wanted < 0.5 or row[setup] == np.inf:
        return 0
    return whole_order(wanted, row[least], most, row[pack])[0]


@compiled
def _lean(wanted: float, row: FloatArray) -> int:
    return _buys(wanted, row, P_LEAN_SETUP, P_LEAN_LEAST, row[P_CAPACITY], P_LEAN_PACK)


@compiled
def _flexible(wanted: float, row: FloatArray) -> int:
    return _buys(wanted, row, P_FLEXIBLE_SETUP, P_FLEXIBLE_LEAST, np.inf, P_FLEXIBLE_PACK)


@compiled
def _write_candidates(
    position: float,
    row: FloatArray,
    need: float,
    break_units: FloatArray,
    break_savings: FloatArray,
    orders: IntArray,
    reading: FloatArray,
) -> None:
    """Write quantities and costs of the four candidates, orders and stock until T + tau_2."""
    splits = orders[O_CANDIDATES:]
    splits[:] = 0
    splits[0] = max(_lean(need, row), _lean(1.0, row))
    splits[3] = max(_flexible(need, row), _flexible(1.0, row))
    if splits[0] > 0 and splits[3] > 0:
        splits[4] = max(orders[O_LEAN], _lean(1.0, row))
        splits[5] = max(orders[O_FLEXIBLE], _flexible(1.0, row))
    for place in range(6):
        role = FLEXIBLE if place % 2 else LEAN
        splits[place] = raise_to_break(
            splits[place], role, row, break_units[role], break_savings[role]
        )
    holding, backorder = _stock_costs(row, position, 0.0, 0.0)
    reading[D_NOTHING] = holding + backorder
    for choice in range(3):
        lean, fast = float(splits[2 * choice]), float(splits[2 * choice + 1])
        reading[D_LEAN + choice] = np.inf
        if lean + fast > 0.0:
            holding, backorder = _stock_costs(row, position, lean, fast)
            saved = split_saving(splits[2 * choice : 2 * choice + 2], break_units, break_savings)
            reading[D_LEAN + choice] = _order_cost(row, lean, fast) + holding + backorder - saved
    reading[D_PREMIUM] = _premium(position, row)


@compiled
def _premium(position: float, row: FloatArray) -> float:
    """What one unit days earlier saves where stock would be out, less what holding it costs."""
    gap = row[P_LEAN_DAYS] - row[P_FLEXIBLE_DAYS]
    day = row[P_FLEXIBLE_DAYS] + 0.5 * gap
    mean, sd = row[P_MEAN] * day, row[P_SD] * math.sqrt(day)
    rise = normal_loss(mean, sd, position) - normal_loss(mean, sd, position + 1.0)
    return float(gap * ((row[P_HOLDING] + row[P_BACKORDER]) * rise - row[P_HOLDING]))


@compiled
def _worth_level(row: FloatArray, highest: float) -> float:
    """Return the position up to which the next flexible unit saves its premium, or the highest."""
    premium = row[P_FLEXIBLE_UNIT] - row[P_LEAN_UNIT]
    spread = row[P_MEAN] * row[P_LEAN_DAYS] + row[P_SD] * math.sqrt(row[P_LEAN_DAYS])
    low, high = highest - 40.0 * spread - 1.0, highest
    if _premium(low, row) <= premium:
        return _NEVER
    for _ in range(50):
        middle = 0.5 * (low + high)
        if _premium(middle, row) > premium:
            low = middle
        else:
            high = middle
    return high


@compiled
def gap_levels(row: FloatArray, z: float, saves_premium: bool) -> tuple[float, float, float]:
    """Return three levels of the position: what triggers an order, its target, and the urgent.

    Up to the urgent level units come from the flexible supplier; with `saves_premium` only those
    that save more than their premium at this review.
    """
    days = row[P_LEAN_DAYS] if row[P_LEAN_SETUP] < np.inf else row[P_FLEXIBLE_DAYS]
    setup = row[P_LEAN_SETUP] if row[P_LEAN_SETUP] < np.inf else row[P_FLEXIBLE_SETUP]
    cover = row[P_REVIEW] + days
    trigger = row[P_MEAN] * cover + z * row[P_SD] * math.sqrt(cover)
    lot = math.sqrt(2.0 * setup * row[P_MEAN] / row[P_HOLDING])
    above = max(lot - row[P_MEAN] * row[P_REVIEW], 0.0)
    urgent = row[P_MEAN] * days + z * row[P_SD] * math.sqrt(days)
    if saves_premium:
        urgent = min(urgent, _worth_level(row, urgent))
    return trigger, trigger + above, urgent


@compiled
def are_urgent(position: FloatArray, rows: FloatArray, answers: FloatArray) -> BoolArray:
    """Whether a unit from the flexible supplier saves more than its premium now, shape (item,)."""
    urgent = np.zeros(position.size, np.bool_)
    for k in range(position.size):
        urgent[k] = position[k] < gap_levels(rows[k], answers[k, A_PENALTY], True)[2]
    return urgent


@compiled
def gap_orders(
    position: float, row: FloatArray, levels: tuple[float, float, float]
) -> tuple[int, int]:
    """Return (lean, flexible) units of the rule at a position."""
    trigger, target, urgent = levels
    if not position < trigger:
        return 0, 0
    need = target - position
    if row[P_LEAN_SETUP] == np.inf:
        return 0, _flexible(need, row)
    fast = _flexible(min(max(urgent - position, 0.0), need), row)
    lean = _lean(need - fast, row)
    rest = need - fast - lean
    if rest > 0.5 and row[P_CAPACITY] < np.inf and need - fast > row[P_CAPACITY]:
        fast = _flexible(fast + rest, row)
    return lean, fast


@compiled
def gap_rule(
    position: float,
    allow_lean: bool,
    row: FloatArray,
    z: float,
    saves_premium: bool,
    break_units: FloatArray,
    break_savings: FloatArray,
    reading: FloatArray,
    orders: IntArray,
) -> None:
    """Decide one item by the gap rule: its readings (columns D_...) and orders (columns O_...)."""
    levels = gap_levels(row, z, saves_premium)
    need = levels[1] - position if position < levels[0] else 0.0
    orders[O_LEAN], orders[O_FLEXIBLE] = gap_orders(position, row, levels)
    orders[O_REASON] = REASON_GAP_RULE
    _write_candidates(position, row, need, break_units, break_savings, orders, reading)
    for role, place in ((LEAN, O_LEAN), (FLEXIBLE, O_FLEXIBLE)):
        units = raise_to_break(orders[place], role, row, break_units[role], break_savings[role])
        if units > orders[place]:
            orders[place], orders[O_REASON] = units, REASON_PRICE_BREAK
    if not allow_lean:
        orders[O_LEAN], orders[O_REASON] = 0, REASON_FLEXIBLE_ONLY_SURGE
    if orders[O_LEAN] + orders[O_FLEXIBLE] == 0:
        orders[O_REASON] = REASON_POSITION_COVERS
    lean, fast = float(orders[O_LEAN]), float(orders[O_FLEXIBLE])
    reading[D_HOLDING], reading[D_BACKORDER] = _stock_costs(row, position, lean, fast)
    last = row[P_REVIEW] + row[P_FLEXIBLE_DAYS]
    level = position + fast + (lean if row[P_LEAN_DAYS] <= last else 0.0)
    spread = row[P_SD] * math.sqrt(last)
    reading[D_REVIEW_SERVICE] = normal_share(row[P_MEAN] * last, spread, level)


@compiled
def no_demand_rule(
    position: float, allow_lean: bool, row: FloatArray, reading: FloatArray, orders: IntArray
) -> None:
    """Without demand only a backlog is ordered, from whichever supplier serves it cheaper."""
    backlog = max(0.0, -position)
    period = row[P_REVIEW] * (row[P_HOLDING] * max(position, 0.0) + row[P_BACKORDER] * backlog)
    reading[:] = np.inf
    reading[D_NOTHING], reading[D_PREMIUM] = period, 0.0
    splits = orders[O_CANDIDATES:]
    splits[:] = 0
    splits[0], splits[3] = _lean(max(backlog, 1.0), row), _flexible(max(backlog, 1.0), row)
    if splits[0] > 0:
        later = max(row[P_REVIEW] - row[P_LEAN_DAYS], 0.0)
        reading[D_LEAN] = period + _order_cost(row, splits[0], 0.0)
        reading[D_LEAN] += later * _backlog_change(row, backlog, splits[0])
    if splits[3] > 0:
        later = max(row[P_REVIEW] - row[P_FLEXIBLE_DAYS], 0.0)
        reading[D_FLEXIBLE] = period + _order_cost(row, 0.0, splits[3])
        reading[D_FLEXIBLE] += later * _backlog_change(row, backlog, splits[3])
    if splits[0] > 0 and splits[3] > 0:
        splits[4], splits[5] = splits[0], splits[3]
        reading[D_BOTH] = reading[D_LEAN] + reading[D_FLEXIBLE] - period
    orders[O_LEAN], orders[O_FLEXIBLE], orders[O_REASON] = 0, 0, REASON_NO_DEMAND
    if backlog >= 0.5:
        if allow_lean and reading[D_LEAN] <= reading[D_FLEXIBLE]:
            orders[O_LEAN] = splits[0]
        elif splits[3] > 0:
            orders[O_FLEXIBLE] = splits[3]
            orders[O_REASON] = REASON_NO_DEMAND if allow_lean else REASON_FLEXIBLE_ONLY_SURGE
    _write_certain_costs(position, row, orders, reading)


@compiled
def _backlog_change(row: FloatArray, backlog: float, units: float) -> float:
    """Money a day that units on the shelf change: backlog served, the rest held."""
    return float(
        row[P_HOLDING] * max(units - backlog, 0.0) - row[P_BACKORDER] * min(units, backlog)
    )


@compiled
def _write_certain_costs(
    position: float, row: FloatArray, orders: IntArray, reading: FloatArray
) -> None:
    """Write holding and backorder money until the next review, where nothing sells."""
    fast_day = min(row[P_FLEXIBLE_DAYS], row[P_REVIEW])
    lean_day = max(min(row[P_LEAN_DAYS], row[P_REVIEW]), fast_day)
    levels = (
        position,
        position + orders[O_FLEXIBLE],
        position + orders[O_FLEXIBLE] + orders[O_LEAN],
    )
    days = (fast_day, lean_day - fast_day, row[P_REVIEW] - lean_day)
    reading[D_HOLDING], reading[D_BACKORDER] = 0.0, 0.0
    for k in range(3):
        reading[D_HOLDING] += days[k] * row[P_HOLDING] * max(levels[k], 0.0)
        reading[D_BACKORDER] += days[k] * row[P_BACKORDER] * max(-levels[k], 0.0)
    reading[D_REVIEW_SERVICE] = 1.0 if levels[2] >= 0.0 else 0.0


@compiled
def decide_by_rule(
    items: IntArray,
    position: FloatArray,
    allow_lean: npt.NDArray[np.bool_],
    rows: FloatArray,
    answers: FloatArray,
    break_units: FloatArray,
    break_savings: FloatArray,
    readings: FloatArray,
    orders: IntArray,
) -> None:
    """Decide the listed items by the gap rule, or by the no-demand rule where the mean is 0."""
    for k in items:
        if rows[k, P_MEAN] <= 0.0:
            no_demand_rule(position[k], allow_lean[k], rows[k], readings[k], orders[k])
        else:
            z = answers[k, A_PENALTY]
            gap_rule(
                position[k],
                allow_lean[k],
                rows[k],
                z,
                answers[k, A_LEAN_CHEAPER] > 0.0,
                break_units[k],
                break_savings[k],
                readings[k],
                orders[k],
            )
