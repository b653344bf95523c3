"""Reviews: the items whose turn has come are decided about, and their orders opened."""

import numpy as np

from policy import PolicyCache
from streams.contracts.outgoing import OutboxRecord, order_record
from streams.contracts.purchase_orders import PurchaseOrder, SupplierRole
from streams.demand.campaigns import planned_extra_units
from streams.demand.week_profile import operational_days
from streams.detection.factors import surge_demand
from streams.handover.rules import person_needed
from streams.replenishment.decision_record import purchase_orders
from streams.replenishment.expected_supply import uncounted_units
from streams.replenishment.outlook import OutlookRecord
from streams.replenishment.reviews import decide_items, expected_demand
from streams.replenishment.schedule import period_ms
from streams.replenishment.supplier_terms import SupplierTerms, supplier_terms
from streams.settings import Limits
from streams.state.open_orders import AWAITING_APPROVAL, OpenOrder
from streams.timeline.days_ahead import days_ahead
from streams.timeline.partition_state import State
from streams.timeline.updates import count_supply, end_discontinued
from streams.timestamps import DAY_MS, one_time
from streams.types import Float64Array, Int64Array, Table


def review_due(state: State, cache: PolicyCache, boundary: int) -> None:
    """Review the items whose turn has come."""
    if state.ending:
        end_discontinued(state, boundary)
    rows = state.rows()
    due = rows["next_review_ms"]
    items = np.flatnonzero((due > 0) & (due <= boundary))
    if not items.size:
        return
    windows = due[items].copy()
    periods = period_ms(rows[items], state.settings.review.slot_ms)
    missed = (boundary - windows) // periods
    state.items.rows["next_review_ms"][items] = windows + (missed + 1) * periods
    state.changed.add(items)
    planned = _planned(state, items, boundary)
    demand = _expected(state, items, planned, boundary)
    _decide(
        state, cache, items, windows + missed * periods, demand, planned, boundary, is_surge=False
    )


def review_surges(state: State, cache: PolicyCache, called: Int64Array, boundary: int) -> None:
    """Give items in a new surge an extra review, once in a review window."""
    rows = state.rows()
    known = called[rows["next_review_ms"][called] > boundary]
    if not known.size:
        return
    windows = rows["next_review_ms"][known] - period_ms(rows[known], state.settings.review.slot_ms)
    # Never a window twice, not even when the catalog moves the windows to and fro.
    fresh = rows["surge_reviewed_ms"][known] < windows
    known, windows = known[fresh], windows[fresh]
    state.items.rows["surge_reviewed_ms"][known] = windows
    planned = _planned(state, known, boundary)
    demand = _expected(state, known, planned, boundary)
    _decide(state, cache, known, windows, demand, planned, boundary, is_surge=True)


def _with_surge(state: State, items: Int64Array, demand: Float64Array) -> Float64Array:
    """What decisions see: of items in a surge more than the baseline, while it lasts."""
    raised = demand.copy()
    for place in np.flatnonzero(state.items.rows["surge_since_ms"][items] > 0):
        row = state.items.rows[items[place]]
        cover_days = float(row["review_period_days"] + row["lead_time_days_lean"])
        mean = float(demand[place])
        raised[place] = surge_demand(row, mean, cover_days, state.settings.surge)
    return raised


def _decide(
    state: State,
    cache: PolicyCache,
    items: Int64Array,
    windows: Int64Array,
    demand: tuple[Float64Array, Float64Array],
    planned: Float64Array,
    boundary: int,
    *,
    is_surge: bool,
) -> None:
    if not items.size:
        return
    terms = supplier_terms(items, state.catalog, state.special, boundary)
    outlooks: dict[int, OutlookRecord] = {}
    decisions = decide_items(
        state.items.rows,
        items,
        windows,
        _with_surge(state, items, demand[0]),
        boundary,
        demand_variance=demand[1],
        demand_before_surge=demand[0],
        is_surge=is_surge,
        settings=state.settings.review,
        cache=cache,
        planned_units_per_day=planned,
        terms=terms,
        late_supply_units=_late_supply(state, items, terms, boundary),
        ahead=days_ahead(state, items, demand[0] - planned, boundary),
        outlooks=outlooks,
    )
    state.note_decisions(decisions)
    state.effects.extend(
        state.alerts.check_stock(
            items, decisions["reason"] == b"stale_stock", state.items, boundary
        )
    )
    ordered = decisions["quantity_lean_units"] + decisions["quantity_flexible_units"] > 0
    for place in np.flatnonzero(ordered).tolist():
        _order(state, decisions[place], outlooks.get(place))


def _late_supply(
    state: State, items: Int64Array, terms: SupplierTerms | None, boundary: int
) -> Int64Array:
    """Return what is on order and brings nothing in time, shape (n, role)."""
    late = np.zeros((items.size, len(SupplierRole)), np.int64)
    rows = state.items.rows[items]
    on_order = rows["on_order_lean_units"] + rows["on_order_flexible_units"]
    days = rows["lead_time_days_lean"] + rows["review_period_days"]
    if terms is not None:
        days = days + terms.dispatch_delay_days[:, 0]
    for place in np.flatnonzero(on_order > 0):
        orders = state.supply.of_item(int(items[place]))
        latest_ms = boundary + days[place] * DAY_MS
        late[place] = uncounted_units(orders, rows[place], latest_ms, boundary)
    return late


def _order(state: State, decision: Table, outlook: OutlookRecord | None) -> None:
    """Open the orders of a decision: they count as supply from now on."""
    item = int(decision["item"])
    line = state.catalog[item]
    names = {
        SupplierRole.LEAN: line.supplier_lean,
        SupplierRole.FLEXIBLE: line.supplier_flexible,
    }
    for order in purchase_orders(decision, state.items, names, line.currency, outlook):
        outgoing = _order_record(state, item, order, int(decision["reviewed_ms"]))
        state.supply.open(
            OpenOrder(
                po_id=order.po_id,
                item=item,
                role=order.supplier_role,
                supplier=order.supplier,
                quantity=order.quantity,
                outstanding=order.quantity,
                due_ms=one_time(order.expected_at),
                is_assumed=line.assume_received,
                state=_first_state(outgoing, state.settings.limits),
            )
        )
        state.effects.append(outgoing)
    count_supply(state, item)


def _first_state(outgoing: OutboxRecord, limits: Limits) -> str:
    """Return whether an order waits for a person from the beginning."""
    summary = outgoing.order_summary
    is_waiting = summary is not None and person_needed(summary, limits) is not None
    return AWAITING_APPROVAL if is_waiting else "proposed"


def _order_record(state: State, item: int, order: PurchaseOrder, decided_ms: int) -> OutboxRecord:
    """Count the order on its day; the hand-over looks at the sum."""
    row = state.items.rows[item]
    day = decided_ms // DAY_MS
    if row["ordered_day"] != day:
        row["ordered_day"], row["ordered_units"], row["ordered_amount"] = day, 0, 0.0
    row["ordered_units"] += order.quantity
    row["ordered_amount"] += order.quantity * order.unit_cost
    return order_record(
        order, day_units=int(row["ordered_units"]), day_amount=float(row["ordered_amount"])
    )


def _planned(state: State, items: Int64Array, boundary: int) -> Float64Array:
    """Campaign units per day beyond the baseline level, over the time a decision covers."""
    lines = state.lines.chosen(state.lines.ends_ms > boundary)
    if not lines.item.size:
        return np.zeros(items.size)
    rows = state.items.rows[lines.item]
    extra = planned_extra_units(
        lines,
        rows["demand_level_units_per_day"],
        state.profile.elapsed,
        np.full(rows.size, boundary),
        boundary + _cover_ms(rows),
    )
    by_item = np.bincount(lines.item, extra, minlength=len(state.items))
    return by_item[items] * DAY_MS / _cover_ms(state.items.rows[items])


def _expected(
    state: State, items: Int64Array, planned: Float64Array, boundary: int
) -> tuple[Float64Array, Float64Array]:
    """Mean and variance of a day's demand over the time a decision covers."""
    starts = np.full(items.size, boundary)
    ends = boundary + _cover_ms(state.items.rows[items])
    open_days = operational_days(state.profile.elapsed, starts, ends)
    return expected_demand(state.rows(), items, open_days, planned)


def _cover_ms(rows: Table) -> Int64Array:
    """Return the time that a decision about items covers: a review period and the slow supply."""
    days = rows["review_period_days"] + rows["lead_time_days_lean"]
    cover: Int64Array = np.maximum(np.round(days * DAY_MS), 1).astype(np.int64)
    return cover
