"""Decisions by the rule for slow lean suppliers, in the columns of `policy.live_decision`.

It decides where the caller gives an outlook (stock and demand day by day): an item whose record has
none is decided by the gap rule, as it always was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from policy.codes import DemandFamily, Reason, ServiceType
from policy.dual_index.arrivals import STATED_VARIATION
from policy.dual_index.fit import F_COST, F_CYCLE, F_FILL, Fitted, Share, help_days
from policy.dual_index.projection import Outlook, Suppliers, order_items
from policy.dual_index.rule import LEVELS, LOTS, POINTS, WINDOW_POINTS
from policy.dual_index.simulation import World
from policy.dual_index.table import LevelTable, Target, lot_row
from policy.errors import PolicyInputError
from policy.parameters import parameter_rows
from policy.review_inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    ReviewInputs,
    checked_columns,
)
from policy.rounding import rounded_demand
from policy.solver import columns as kernel
from policy.solver import reading_columns as reading

SHORTEST_LEAN_DAYS = 7.0
"""Below it the gap rule decides, whose steps may be parts of a day."""
_TYPES = (ServiceType.COST, ServiceType.CYCLE, ServiceType.FILL)


@dataclass(frozen=True)
class SlowLean:
    """What the rule needs of all items of a call, beside their parameter rows."""

    outlook: Outlook
    strain: IntArray
    level: FloatArray
    """Units of an ordinary day."""


def read_outlook(inputs: ReviewInputs) -> SlowLean | None:
    """Return the outlook of the items; None where the caller gave none.

    Raises:
        PolicyInputError: a part of it is missing, of another shape or not finite.
    """
    if inputs.outlook_demand_units is None:
        return None  # as every record of before has it
    size = len(inputs)
    wide = (
        *("outlook_demand_units", "outlook_demand_variance"),
        *("outlook_supply_units", "outlook_arrival_chance"),
    )
    found = {name: _column(inputs, name, (size, POINTS)) for name in wide}
    uncertain = _column(inputs, "outlook_uncertain_units", (size,))
    strain = _column(inputs, "outlook_strain", (size,)).astype(np.int64)
    outlook = Outlook(
        mean=found["outlook_demand_units"],
        variance=found["outlook_demand_variance"],
        supply=found["outlook_supply_units"],
        chance=found["outlook_arrival_chance"],
        uncertain_units=uncertain,
        position=np.asarray(inputs.inventory_position_units, np.float64),
    )
    return SlowLean(outlook, strain, _column(inputs, "outlook_level_units_per_day", (size,)))


def _column(inputs: ReviewInputs, name: str, shape: tuple[int, ...]) -> FloatArray:
    value = getattr(inputs, name)
    if value is None and name == "outlook_level_units_per_day":
        return np.zeros(shape)  # the mean of the time covered stands for it
    column = np.asarray(np.nan if value is None else value, np.float64)
    if column.shape != shape or not np.isfinite(column).all():
        raise PolicyInputError(name, f"finite numbers of shape {shape}", value)
    return np.ascontiguousarray(column)


def is_slow_lean(rows: FloatArray) -> BoolArray:
    """Return which parameter rows the rule can decide, shape (item,).

    Two suppliers, of which the lean one is more than a review slower and takes a week or more.
    """
    slower = rows[:, kernel.P_LEAN_DAYS] - rows[:, kernel.P_FLEXIBLE_DAYS]
    both = (rows[:, kernel.P_LEAN_SETUP] < np.inf) & (rows[:, kernel.P_FLEXIBLE_SETUP] < np.inf)
    fits: BoolArray = (
        both
        & (slower > rows[:, kernel.P_REVIEW])
        & (rows[:, kernel.P_LEAN_DAYS] >= SHORTEST_LEAN_DAYS)
        & (rows[:, kernel.P_REVIEW] >= 1.0)
        & (rows[:, kernel.P_MEAN] > 0.0)
        & np.isin(rows[:, kernel.P_SERVICE_TYPE], [int(one) for one in _TYPES])
    )
    return fits


def decide_slow_lean(
    items: IntArray,
    known: SlowLean,
    rows: FloatArray,
    allow_lean: BoolArray,
    table: LevelTable,
    answers: FloatArray,
    readings: FloatArray,
    orders: IntArray,
) -> None:
    """Decide the listed items; write their answers, readings and orders."""
    outlook = Outlook(*(getattr(known.outlook, name)[items] for name in Outlook.__annotations__))
    suppliers = stated_suppliers(
        *(rows[items, one] for one in (kernel.P_REVIEW, kernel.P_LEAN_DAYS, kernel.P_FLEXIBLE_DAYS))
    )
    levels = np.zeros((items.size, LEVELS))
    lots = np.zeros((items.size, LOTS))
    ordinary = _at_level(rows[items], known.level[items])
    for place, k in enumerate(items.tolist()):
        key = ordinary[place].tobytes()
        known_row = table.rows.get(key)
        if known_row is None:
            known_row = table.keep_row(key, _level_row(ordinary[place], table))
        levels[place], lots[place], answers[k] = known_row
    ordered, _ = order_items(
        outlook, suppliers, levels, lots, allow_lean[items], known.strain[items]
    )
    orders[items, reading.O_LEAN], orders[items, reading.O_FLEXIBLE] = ordered.T
    reason = np.where(allow_lean[items], Reason.GAP_RULE, Reason.FLEXIBLE_ONLY_SURGE)
    is_nothing = ordered.sum(axis=1) == 0
    orders[items, reading.O_REASON] = np.where(is_nothing, Reason.POSITION_COVERS, reason)
    _write_costs(items, outlook, ordered, rows, readings, orders)


def _at_level(rows: FloatArray, level: FloatArray) -> FloatArray:
    """Return parameter rows with the demand of ordinary days, of the same dispersion."""
    index = rows[:, kernel.P_SD] ** 2 / rows[:, kernel.P_MEAN]
    level = np.where(level > 0.0, level, rows[:, kernel.P_MEAN])
    ordinary = rows.copy()
    ordinary[:, kernel.P_MEAN], ordinary[:, kernel.P_SD] = rounded_demand(
        level, np.sqrt(index * level)
    )
    return ordinary


def _level_row(row: FloatArray, table: LevelTable) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return levels, lots and answer of one parameter row."""
    fitted, answer = _fit(row, table), np.zeros(kernel.ANSWERS)
    _write_answer(row, fitted, answer)
    return fitted.levels, _lots(row), answer


def _lots(row: FloatArray) -> FloatArray:
    return lot_row(
        row[kernel.P_LEAN_LEAST],
        row[kernel.P_LEAN_PACK],
        row[kernel.P_CAPACITY],
        row[kernel.P_FLEXIBLE_LEAST],
        row[kernel.P_FLEXIBLE_PACK],
    )


def _fit(row: FloatArray, table: LevelTable) -> Fitted:
    """Return levels and claims of one item; a least order beyond the economic lot counts as it."""
    mean, holding = float(row[kernel.P_MEAN]), float(row[kernel.P_HOLDING])
    lean_days, flexible_days = float(row[kernel.P_LEAN_DAYS]), float(row[kernel.P_FLEXIBLE_DAYS])
    least = max(float(row[kernel.P_LEAN_LEAST]), float(row[kernel.P_LEAN_PACK]))
    setup_of_least = 0.5 * holding * least * least / mean if least > 1.0 else 0.0
    world = World(
        mean=mean,
        sd=max(float(row[kernel.P_SD]), 1e-3 * mean),
        review_days=max(round(float(row[kernel.P_REVIEW])), 1),
        lean_days=lean_days,
        lean_sd_days=STATED_VARIATION * lean_days,
        flexible_days=flexible_days,
        flexible_sd_days=0.0,
        premium=max(float(row[kernel.P_FLEXIBLE_UNIT] - row[kernel.P_LEAN_UNIT]), 0.0),
        lean_setup=max(float(row[kernel.P_LEAN_SETUP]), setup_of_least),
        flexible_setup=float(row[kernel.P_FLEXIBLE_SETUP]),
        holding=holding,
        backorder=float(row[kernel.P_BACKORDER]),
        is_lost=False,
        line_units=1.0,
        has_flexible=True,
    )
    share = Share(int(row[kernel.P_SERVICE_TYPE]))
    return table.alike(world, _family(row), Target(share, float(row[kernel.P_TARGET])))


def _family(row: FloatArray) -> int:
    """Return the family that is simulated: counts wherever the estimate names none."""
    given = int(row[kernel.P_FAMILY])
    return given if given else int(DemandFamily.NEGATIVE_BINOMIAL)


def _write_answer(row: FloatArray, fitted: Fitted, answer: FloatArray) -> None:
    """Write what the policy comes to in the long run, beside a bound for any policy.

    The bound: all units at the lean price, and the lot of least cost where demand were certain.
    """
    mean, holding = float(row[kernel.P_MEAN]), float(row[kernel.P_HOLDING])
    backorder = float(row[kernel.P_BACKORDER])
    setup = min(float(row[kernel.P_LEAN_SETUP]), float(row[kernel.P_FLEXIBLE_SETUP]))
    purchases = min(float(row[kernel.P_LEAN_UNIT]), float(row[kernel.P_FLEXIBLE_UNIT])) * mean
    owed = holding * backorder / (holding + backorder)
    lower = purchases + math.sqrt(2.0 * setup * mean * owed)
    cost = max(purchases + float(fitted.found[F_COST]), lower)
    answer[kernel.A_COST] = cost * float(row[kernel.P_REVIEW])
    answer[kernel.A_LOWER] = lower * float(row[kernel.P_REVIEW])
    answer[kernel.A_GAP] = (cost - lower) / cost if cost > 0.0 and fitted.is_met else 1.0
    answer[kernel.A_CYCLE], answer[kernel.A_FILL] = fitted.found[F_CYCLE], fitted.found[F_FILL]
    answer[kernel.A_FAMILY] = _family(row)


def _write_costs(
    items: IntArray,
    outlook: Outlook,
    ordered: IntArray,
    rows: FloatArray,
    readings: FloatArray,
    orders: IntArray,
) -> None:
    """Write what the days that a flexible order helps are expected to cost, and the candidates."""
    review = rows[items, kernel.P_REVIEW]
    lean, flexible = ordered[:, 0].astype(np.float64), ordered[:, 1].astype(np.float64)
    money = {}
    for role, units, setup, price in (
        ("lean", lean, kernel.P_LEAN_SETUP, kernel.P_LEAN_UNIT),
        ("flexible", flexible, kernel.P_FLEXIBLE_SETUP, kernel.P_FLEXIBLE_UNIT),
    ):
        paid = rows[items, setup] + rows[items, price] * units
        money[role] = np.where(units > 0.0, paid, np.inf)
    nothing = _window_costs(outlook, np.zeros(items.size), rows[items])
    helped = _window_costs(outlook, flexible, rows[items])
    readings[items, reading.D_NOTHING] = nothing.sum(axis=1) * review
    readings[items, reading.D_LEAN] = readings[items, reading.D_NOTHING] + money["lean"]
    readings[items, reading.D_FLEXIBLE] = helped.sum(axis=1) * review + money["flexible"]
    readings[items, reading.D_BOTH] = readings[items, reading.D_FLEXIBLE] + money["lean"]
    readings[items, reading.D_HOLDING] = helped[:, 0] * review
    readings[items, reading.D_BACKORDER] = helped[:, 1] * review
    out = _out_chance(outlook, flexible)
    readings[items, reading.D_REVIEW_SERVICE] = 1.0 - out[:, -1]
    slower = rows[items, kernel.P_LEAN_DAYS] - rows[items, kernel.P_FLEXIBLE_DAYS]
    both = rows[items, kernel.P_HOLDING] + rows[items, kernel.P_BACKORDER]
    worth = both * _out_chance(outlook, 0.0 * flexible).mean(axis=1)
    readings[items, reading.D_PREMIUM] = slower * (worth - rows[items, kernel.P_HOLDING])
    splits = np.zeros((items.size, 6), np.int64)
    splits[:, 0], splits[:, 3] = ordered.T
    splits[:, 4:] = np.where(ordered.min(axis=1)[:, None] > 0, ordered, 0)
    orders[items, reading.O_CANDIDATES :] = splits


def _window_costs(outlook: Outlook, more: FloatArray, rows: FloatArray) -> FloatArray:
    """Return holding and backorder money of a mean day of the window, shape (item, 2)."""
    short, left = np.zeros(more.size), np.zeros(more.size)
    for chance, big in ((1.0 - outlook.chance, 0.0), (outlook.chance, outlook.uncertain_units)):
        weight = chance[:, :WINDOW_POINTS] / WINDOW_POINTS
        level = outlook.supply[:, :WINDOW_POINTS] + (more + big)[:, None]
        missing = _loss(outlook, level)
        short += (weight * missing).sum(axis=1)
        left += (weight * (level - outlook.mean[:, :WINDOW_POINTS] + missing)).sum(axis=1)
    return np.stack([left * rows[:, kernel.P_HOLDING], short * rows[:, kernel.P_BACKORDER]], axis=1)


def _loss(outlook: Outlook, level: FloatArray) -> FloatArray:
    """Return E(D - level)+ of normal demand at the points of the window."""
    sd = np.sqrt(np.maximum(outlook.variance[:, :WINDOW_POINTS], 1e-18))
    z = (level - outlook.mean[:, :WINDOW_POINTS]) / sd
    density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    loss: FloatArray = np.maximum(sd * (density - z * ndtr(-z)), 0.0)
    return loss


def _out_chance(outlook: Outlook, more: FloatArray) -> FloatArray:
    """Return the chance of being out at the points of the window, shape (item, point)."""
    sd = np.sqrt(np.maximum(outlook.variance[:, :WINDOW_POINTS], 1e-18))
    level = outlook.supply[:, :WINDOW_POINTS] + more[:, None] - outlook.mean[:, :WINDOW_POINTS]
    big = outlook.uncertain_units[:, None]
    chance = outlook.chance[:, :WINDOW_POINTS]
    out: FloatArray = (1.0 - chance) * ndtr(-level / sd) + chance * ndtr(-(level + big) / sd)
    return out


def wants_outlook(inputs: ReviewInputs) -> BoolArray:
    """Return which items the rule decides where their outlook is given, shape (item,)."""
    return is_slow_lean(parameter_rows(checked_columns(inputs)))


def window_days(
    review_days: FloatArray, lean_days: FloatArray, flexible_days: FloatArray
) -> FloatArray:
    """Return the days that a flexible order has to help, shape (item,), for the projection."""
    days = zip(review_days.tolist(), lean_days.tolist(), flexible_days.tolist(), strict=True)
    return np.array([float(help_days(*one)[1]) for one in days])


def stated_suppliers(
    review_days: FloatArray, lean_days: FloatArray, flexible_days: FloatArray
) -> Suppliers:
    """Return suppliers of whose lead times only the stated days are known."""
    return Suppliers(
        review_days,
        lean_days,
        STATED_VARIATION * lean_days,
        flexible_days,
        STATED_VARIATION * flexible_days,
    )
