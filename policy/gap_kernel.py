"""The gap rule: the named fall-back for lead times that reach into the next review period.

CAPABILITIES A2, "corrected decision": raise the inventory position to U = mu (T + tau) + Z sigma
sqrt(T + tau); the flexible supplier brings what stock lacks until a lean order arrives,
clip(mu tau_1 + Z sigma sqrt(tau_1) - position, 0, need), the lean supplier the rest. Where the
set-up cost justifies orders larger than one review's demand, the order tops up to U plus the
difference (economic order quantity less one review's demand), and U triggers it.

Costs of the candidates are those of the days [tau_2, T + tau_2) with normal demand, so they compare
candidates; the rule does not choose by them and certifies nothing.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.item_columns import (
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
from policy.read_kernel import (
    D_BOTH,
    D_FLEXIBLE,
    D_LEAN,
    D_NOTHING,
    D_PREMIUM,
    REASON_FLEXIBLE_ONLY_SURGE,
    REASON_GAP_RULE,
    REASON_NO_DEMAND,
    REASON_POSITION_COVERS,
    whole_order,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


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
def _cycle_cost(row: FloatArray, position: float, lean: float, flexible: float) -> float:
    """Orders plus expected holding and backorder cost of days [tau_2, T + tau_2)."""
    cost = 0.0
    if lean > 0.0:
        cost += row[P_LEAN_SETUP] + row[P_LEAN_UNIT] * lean
    if flexible > 0.0:
        cost += row[P_FLEXIBLE_SETUP] + row[P_FLEXIBLE_UNIT] * flexible
    steps = int(min(max(math.ceil(row[P_REVIEW]), 1.0), 64.0))
    weight = row[P_REVIEW] / steps
    for k in range(steps):
        day = row[P_FLEXIBLE_DAYS] + (k + 0.5) * weight
        level = position + flexible + (lean if day >= row[P_LEAN_DAYS] else 0.0)
        mean, sd = row[P_MEAN] * day, row[P_SD] * math.sqrt(day)
        loss = normal_loss(mean, sd, level)
        cost += weight * (row[P_HOLDING] * (level - mean + loss) + row[P_BACKORDER] * loss)
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
    position: float, row: FloatArray, need: float, lean: int, fast: int, reading: FloatArray
) -> None:
    reading[D_NOTHING] = _cycle_cost(row, position, 0.0, 0.0)
    reading[D_LEAN], reading[D_FLEXIBLE], reading[D_BOTH] = np.inf, np.inf, np.inf
    only_lean = max(_lean(need, row), _lean(1.0, row))
    only_fast = max(_flexible(need, row), _flexible(1.0, row))
    if only_lean > 0:
        reading[D_LEAN] = _cycle_cost(row, position, only_lean, 0.0)
    if only_fast > 0:
        reading[D_FLEXIBLE] = _cycle_cost(row, position, 0.0, only_fast)
    if only_lean > 0 and only_fast > 0:
        split_lean, split_fast = max(lean, _lean(1.0, row)), max(fast, _flexible(1.0, row))
        reading[D_BOTH] = _cycle_cost(row, position, split_lean, split_fast)
    reading[D_PREMIUM] = 0.0
    if row[P_LEAN_DAYS] > row[P_FLEXIBLE_DAYS]:
        # One unit days earlier saves backlog where stock would be out, and is held where not.
        gap = row[P_LEAN_DAYS] - row[P_FLEXIBLE_DAYS]
        day = row[P_FLEXIBLE_DAYS] + 0.5 * gap
        mean, sd = row[P_MEAN] * day, row[P_SD] * math.sqrt(day)
        rise = normal_loss(mean, sd, position) - normal_loss(mean, sd, position + 1.0)
        both = row[P_HOLDING] + row[P_BACKORDER]
        reading[D_PREMIUM] = gap * (both * rise - row[P_HOLDING])


@compiled
def gap_rule(
    position: float, allow_lean: bool, row: FloatArray, reading: FloatArray, orders: IntArray
) -> None:
    """Decide one item by the gap rule: candidate costs, then (lean, flexible, reason) orders."""
    has_lean = row[P_LEAN_SETUP] < np.inf
    days = row[P_LEAN_DAYS] if has_lean else row[P_FLEXIBLE_DAYS]
    cover = row[P_REVIEW] + days
    z = safety_factor(row, cover)
    trigger = row[P_MEAN] * cover + z * row[P_SD] * math.sqrt(cover)
    setup = row[P_LEAN_SETUP] if has_lean else row[P_FLEXIBLE_SETUP]
    lot = math.sqrt(2.0 * setup * row[P_MEAN] / row[P_HOLDING])
    above = max(lot - row[P_MEAN] * row[P_REVIEW], 0.0)
    need = trigger - position + above if position < trigger else 0.0
    urgent = row[P_MEAN] * days + z * row[P_SD] * math.sqrt(days) - position
    fast = min(max(urgent, 0.0), need) if has_lean and need > 0.0 else need
    orders[0], orders[1], orders[2] = 0, 0, REASON_GAP_RULE
    orders[1] = _flexible(fast, row)
    if has_lean:
        orders[0] = _lean(need - orders[1], row)
        rest = need - orders[1] - orders[0]
        if rest > 0.5 and row[P_CAPACITY] < np.inf and need - orders[1] > row[P_CAPACITY]:
            orders[1] = _flexible(orders[1] + rest, row)
    _write_candidates(position, row, need, orders[0], orders[1], reading)
    if not allow_lean:
        orders[0], orders[2] = 0, REASON_FLEXIBLE_ONLY_SURGE
    if orders[0] + orders[1] == 0:
        orders[2] = REASON_POSITION_COVERS


@compiled
def no_demand_rule(
    position: float, allow_lean: bool, row: FloatArray, reading: FloatArray, orders: IntArray
) -> None:
    """Without demand only a backlog is ordered, from whichever supplier serves it cheaper."""
    backlog = max(0.0, -position)
    period = row[P_REVIEW] * (row[P_HOLDING] * max(position, 0.0) + row[P_BACKORDER] * backlog)
    reading[:] = np.inf
    reading[D_NOTHING], reading[D_PREMIUM] = period, 0.0
    lean, fast = _lean(max(backlog, 1.0), row), _flexible(max(backlog, 1.0), row)
    if lean > 0:
        saved = row[P_BACKORDER] * min(float(lean), backlog)
        held = row[P_HOLDING] * max(lean - backlog, 0.0)
        days = max(row[P_REVIEW] - row[P_LEAN_DAYS], 0.0)
        reading[D_LEAN] = (
            period + row[P_LEAN_SETUP] + row[P_LEAN_UNIT] * lean + days * (held - saved)
        )
    if fast > 0:
        saved = row[P_BACKORDER] * min(float(fast), backlog)
        held = row[P_HOLDING] * max(fast - backlog, 0.0)
        days = max(row[P_REVIEW] - row[P_FLEXIBLE_DAYS], 0.0)
        reading[D_FLEXIBLE] = (
            period + row[P_FLEXIBLE_SETUP] + row[P_FLEXIBLE_UNIT] * fast + days * (held - saved)
        )
    if lean > 0 and fast > 0:
        reading[D_BOTH] = reading[D_LEAN] + reading[D_FLEXIBLE] - period
    orders[0], orders[1], orders[2] = 0, 0, REASON_NO_DEMAND
    if backlog < 0.5:
        return
    if allow_lean and reading[D_LEAN] <= reading[D_FLEXIBLE]:
        orders[0] = lean
    elif fast > 0:
        orders[1] = fast
        orders[2] = REASON_NO_DEMAND if allow_lean else REASON_FLEXIBLE_ONLY_SURGE


@compiled
def decide_by_rule(
    items: IntArray,
    position: FloatArray,
    allow_lean: npt.NDArray[np.bool_],
    rows: FloatArray,
    readings: FloatArray,
    orders: IntArray,
) -> None:
    """Decide the listed items by the gap rule, or by the no-demand rule where the mean is 0."""
    for k in items:
        if rows[k, P_MEAN] <= 0.0:
            no_demand_rule(position[k], allow_lean[k], rows[k], readings[k], orders[k])
        else:
            gap_rule(position[k], allow_lean[k], rows[k], readings[k], orders[k])
