"""What a surge's incident says: how many times the plan, since when, and what it will cost.

Of the distinct orders since the estimated beginning, and of what was due in that time, the factor
has a gamma posterior. Everything else follows from it and from the item's own figures.
"""

import numpy as np

from streams.demand.week_profile import Profile
from streams.detection.factors import (
    _PRIOR_PLAN,
    baseline_rate_of,
    current_units_per_day,
    factor_of,
    surge_factor,
    surge_units_per_day,
    units_per_order,
)
from streams.detection.stock_cover import (
    available_units,
    minutes_to_zero,
    shortage,
    whole_minutes,
)
from streams.settings import SurgeSettings
from streams.timestamps import HOUR_MS, rfc3339
from streams.types import Table

AMOUNT_AT_RISK = "amount_at_risk_per_hour"
"""The figure by which incidents are sorted: value of the units short, by hours until goods come."""


def item_minutes_to_zero(
    row: Table, profile: Profile, now_ms: int, settings: SurgeSettings
) -> int | None:
    """Return minutes until an item's stock is sold at its current rate, as they are shown.

    Args:
        row: one record of `streams.state.items.ROW`.
        profile: the shop's week.
        now_ms: event time.
        settings: of the surge test.
    """
    units_per_day = current_units_per_day(np.atleast_1d(row), settings)
    return whole_minutes(minutes_to_zero(row, units_per_day, profile, now_ms)[0])


def cover_figures(
    row: Table, boundary_ms: int, profile: Profile, settings: SurgeSettings
) -> dict[str, float | int | str | None]:
    """Return the figures of an item that will run out for its alert; as for `surge_figures`."""
    arrival = int(row["next_due_ms"])
    return {
        "available_units": int(available_units(row)),
        "minutes_to_zero": item_minutes_to_zero(row, profile, boundary_ms, settings),
        "next_arrival_at": rfc3339(arrival) if arrival > boundary_ms else None,
        **shortage_figures(row, boundary_ms, profile, settings),
    }


def shortage_figures(
    row: Table, boundary_ms: int, profile: Profile, settings: SurgeSettings
) -> dict[str, float | int | str | None]:
    """Return what an item will lack before goods can come, and what that is worth.

    The value is that of the lean unit cost: what customers pay is not kept.
    """
    rows = np.atleast_1d(row)
    units_per_day = current_units_per_day(rows, settings)
    lacks = shortage(rows, units_per_day, profile.elapsed, boundary_ms)
    amount = float(lacks.units[0]) * max(float(row["unit_cost_lean"]), 0.0)
    return {
        "chance_to_run_out": round(float(lacks.chance[0]), 2),
        "units_short": round(float(lacks.units[0]), 1),
        AMOUNT_AT_RISK: round(amount / max(float(lacks.wait_hours[0]), 1.0), 2),
    }


def surge_figures(
    row: Table, boundary_ms: int, profile: Profile, settings: SurgeSettings
) -> dict[str, float | int | str | None]:
    """Return the figures of an item's surge for its alert.

    Args:
        row: one record of `streams.state.items.ROW`.
        boundary_ms: event time of the alert.
        profile: the shop's week.
        settings: of the test.
    """
    factor = surge_factor(row, settings)
    rate = baseline_rate_of(row, settings)
    due = rate * float(row["surge_days"])
    units_per_day = rate * units_per_order(row)
    units_due = units_per_day * float(row["surge_days"])
    rates = [surge_units_per_day(row, settings)]
    rates += [units_per_day * pace for pace in (factor.high, factor.low)]
    lasting = minutes_to_zero(row, np.array(rates), profile, boundary_ms)
    zero = [whole_minutes(minutes) for minutes in lasting.tolist()]
    return {
        "factor": round(factor.mean, 2),
        "factor_low": round(factor.low, 2),
        "factor_high": round(factor.high, 2),
        "began_at": rfc3339(int(row["surge_start_ms"])),
        "baseline_orders_per_day": round(rate, 3),
        "orders": int(row["surge_orders"]),
        "orders_beyond_plan": round(int(row["surge_orders"]) - due, 1),
        "units": int(row["surge_units"]),
        "units_beyond_plan": round(int(row["surge_units"]) - units_due, 1),
        "minutes_to_zero": zero[0],
        "minutes_to_zero_low": zero[1],
        "minutes_to_zero_high": zero[2],
        **shortage_figures(row, boundary_ms, profile, settings),
    }


def bulk_figures(row: Table) -> dict[str, float | int | str | None]:
    """Return the figures of a bulk order for its alert."""
    units_per_day = float(row["demand_level_units_per_day"])
    largest = int(row["bulk_units"])
    return {
        "units": largest,
        "baseline_units_per_order": round(units_per_order(row), 2),
        "days_of_demand": round(largest / units_per_day, 1) if units_per_day > 0 else None,
    }


def group_surge_figures(
    orders: int, due: float, dispersion: float
) -> dict[str, float | int | str | None]:
    """Return the figures of a group's surge for its alert.

    Args:
        orders: that came since it began.
        due: orders that were due.
        dispersion: variance over mean of the orders of an hour.
    """
    if not due > 0:
        return {}
    clump = max(dispersion, 1.0)
    factor = factor_of(orders / clump, due / clump)
    return {
        "factor": round(factor.mean, 2),
        "factor_low": round(factor.low, 2),
        "factor_high": round(factor.high, 2),
        "orders": orders,
        "orders_beyond_plan": round(orders - due, 1),
    }


def shortfall_figures(row: Table, units_left: float | None) -> dict[str, float | int | str | None]:
    """Return the figures of a campaign's shortfall for its alert.

    Args:
        row: one record of `streams.state.items.ROW`, of an item or of a group.
        units_left: that the plan still expects from now on; None means not known, as for a group.
    """
    size = max(float(row["units_per_order"]), 1.0)
    sold = float(row["plan_sold_orders"]) + float(row["plan_day_orders"])
    due = float(row["plan_due_orders"]) + float(row["plan_day_due_orders"])
    share = factor_of(sold, max(due, 1e-6), _PRIOR_PLAN)
    units = int(row["plan_sold_units"]) + int(row["plan_day_units"])
    figures: dict[str, float | int | str | None] = {
        "factor": round(share.mean, 2),
        "factor_low": round(share.low, 2),
        "factor_high": round(share.high, 2),
        "orders": round(sold, 1),
        "planned_orders": round(due, 1),
    }
    if units_left is not None:
        missing = due * size - units + units_left * max(1.0 - share.mean, 0.0)
        figures |= {
            "units": units,
            "planned_units": round(due * size, 1),
            "units_short_at_end": round(max(missing, 0.0), 1),
        }
    return figures


def silence_figures(row: Table) -> dict[str, float | int | str | None]:
    """Return the figures of an item that is in stock by the record and does not sell."""
    return {
        "on_hand_units": int(row["on_hand_units"]),
        "quiet_since": rfc3339(int(row["quiet_since_ms"])),
        "baseline_orders_per_day": round(float(row["quiet_rate"]), 3),
    }


def stock_figures(row: Table) -> dict[str, float | int | str | None]:
    """Return the figures of an item whose stock is not known well enough."""
    counted = int(row["counted_at_ms"])
    return {"counted_at": rfc3339(counted) if counted else None}


def backlog_figures(
    row: Table, boundary_ms: int, promise_ms: int
) -> dict[str, float | int | str | None]:
    """Return the figures of an item whose orders wait longer than promised.

    Args:
        row: one record of `streams.state.items.ROW`.
        boundary_ms: event time of the alert.
        promise_ms: within which an order is to be dispatched.
    """
    since_ms = int(row["waiting_since_ms"][0])
    return {
        "oldest_order_at": rfc3339(since_ms) if since_ms else None,
        "oldest_order_hours": round((boundary_ms - since_ms) / HOUR_MS, 1) if since_ms else 0.0,
        "promised_hours": promise_ms / HOUR_MS,
        "backlog_units": int(row["backlog_units"]),
        "on_hand_units": int(row["on_hand_units"]),
    }
