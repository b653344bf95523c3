"""One item: its demand, its stock as it will be, its orders, and why the last decision is so."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from infra.page.contracts import (
    Arrival,
    Day,
    Estimate,
    Explanation,
    Fact,
    ItemPage,
    PageQuery,
    Projected,
)
from infra.page.snapshot import ReadDecision, Snapshot
from infra.page.views.decisions import decision
from infra.page.views.incidents import incidents
from infra.page.views.items import ItemsView
from infra.page.views.projection import NINETY_PERCENT, projected_stock
from infra.redis.reader import ItemState
from infra.wording.decisions import days_text, position_text, service_text, supplier_text
from streams.detection.stock_cover import net_stock_units
from streams.replenishment.decision_record import inputs_record
from streams.state.open_orders import OpenOrder
from streams.timestamps import DAY_MS
from streams.types import Table

_SHORTEST_DAYS = 2
_LONGEST_DAYS = 60


def item_page(
    snapshot: Snapshot,
    place: int,
    state: ItemState,
    newest: ReadDecision | None,
    again: Mapping[str, Any] | None,
) -> ItemPage:
    """Return all that is shown of one item.

    Args:
        snapshot: of the shop.
        place: of the item in the snapshot's table.
        state: all that is stored of it.
        newest: the newest decision about it.
        again: the same decision computed from its record, where there was something to compute.
    """
    row = state.row
    others = sorted(
        warehouse
        for sku, warehouse in snapshot.items.names
        if sku == state.sku and warehouse != state.warehouse
    )
    open_here = [
        one
        for one in incidents(snapshot, PageQuery(limit=len(snapshot.incidents) or 1)).incidents
        if (one.sku, one.warehouse) == (state.sku, state.warehouse)
    ]
    return ItemPage(
        item=ItemsView(snapshot).item(place),
        as_of_ms=state.applied_ms,
        counted_ms=int(row["counted_at_ms"]) or None,
        on_hand_units=int(row["on_hand_units"]) if row["counted_at_ms"] else None,
        next_review_ms=int(row["next_review_ms"]) or None,
        is_in_catalog=state.catalog is not None,
        days=[_day(day, cell) for day, cell in reversed(state.days)],
        estimate=estimate(row),
        projection=_projection(state),
        orders=[_arrival(order) for order in state.open_orders],
        explanation=None if newest is None else _explanation(state, newest, again),
        incidents=open_here,
        others=others,
    )


def _day(day: str, cell: Table) -> Day:
    names = ("units", "lines", "cancelled_units", "returned_units")
    return Day(day=day, **{name: int(cell[name]) for name in names})


def estimate(row: Table) -> Estimate | None:
    """Return demand as it is expected, or None before the first day has closed."""
    if not row["observed_days"]:
        return None
    level = float(row["demand_level_units_per_day"])
    spread = NINETY_PERCENT * math.sqrt(max(0.0, float(row["demand_variance_units"])))
    return Estimate(
        level=round(level, 2),
        low=round(max(0.0, level - spread), 2),
        high=round(level + spread, 2),
        trend_per_day=round(float(row["demand_trend_units_per_day"]), 3),
        observed_days=int(row["observed_days"]),
    )


def _projection(state: ItemState) -> list[Projected]:
    row = state.row
    if state.applied_ms is None or not row["counted_at_ms"] or not row["observed_days"]:
        return []
    last_due = max((order.due_ms for order in state.open_orders), default=state.applied_ms)
    # As far as the newest decision had to look: a later one orders again.
    cover_days = float(row["review_period_days"] + row["lead_time_days_lean"])
    days = (last_due - state.applied_ms) / DAY_MS + cover_days
    days = min(max(days, _SHORTEST_DAYS), _LONGEST_DAYS)
    return projected_stock(
        start_ms=state.applied_ms,
        units=float(net_stock_units(row)),
        units_per_day=max(0.0, float(row["demand_level_units_per_day"])),
        sd_per_day=math.sqrt(max(0.0, float(row["demand_variance_units"]))),
        arrivals=[(order.due_ms, order.outstanding) for order in state.open_orders],
        until_ms=state.applied_ms + round(days * DAY_MS),
    )


def _arrival(order: OpenOrder) -> Arrival:
    return Arrival(
        po_id=order.po_id,
        supplier=order.supplier,
        role=str(order.role),
        quantity=order.quantity,
        outstanding=order.outstanding,
        due_ms=order.due_ms,
        state=order.state,
        is_late=order.late_since_ms > 0,
    )


# --- why --------------------------------------------------------------------------------------


def _explanation(
    state: ItemState, newest: ReadDecision, again: Mapping[str, Any] | None
) -> Explanation:
    currency = state.catalog.currency if state.catalog else None
    is_same, text = _verdict(newest.record, again)
    return Explanation(
        decision=decision(newest),
        facts=[Fact(name=name, value=value) for name, value in _facts(newest.record, currency)],
        is_same=is_same,
        again=text,
    )


def _verdict(record: Table, again: Mapping[str, Any] | None) -> tuple[bool | None, str]:
    if again is None:
        return None, "Nothing was computed: the decision was held back for the reason above."
    names = ("quantity_lean_units", "quantity_flexible_units")
    lean, flexible = (int(again[name]) for name in names)
    got = f"{lean:,} lean and {flexible:,} flexible"
    if all(int(record[name]) == int(again[name]) for name in names):
        return True, f"Computed again from its record alone: the same, {got}."
    return False, f"Computed again from its record: NOT the same, the policy now gives {got}."


def _facts(record: Table, currency: str | None) -> Sequence[tuple[str, str]]:
    known = inputs_record(record)
    mean, sd = (float(record[f"demand_{name}_units_per_day"]) for name in ("mean", "sd"))
    return [
        ("Position", position_text(known)),
        ("Demand expected", f"{mean:,.1f} ± {sd:,.1f} units a day"),
        ("Review every", days_text(float(record["review_period_days"]))),
        ("Lean supplier", supplier_text(known, "lean", currency)),
        ("Flexible supplier", supplier_text(known, "flexible", currency)),
        ("Service wanted", service_text(known)),
    ]
