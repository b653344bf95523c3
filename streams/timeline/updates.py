"""What is told in full: catalog and campaign lines, inbound shipments, words about orders."""

import numpy as np

from streams.contracts import events
from streams.contracts.events import AnyEvent
from streams.contracts.purchase_orders import SupplierRole
from streams.demand.exposure import note_stock
from streams.detection.shortfall import forget_plans
from streams.replenishment.reviews import service_type_code
from streams.replenishment.schedule import first_review_ms, period_ms
from streams.state.open_orders import OpenOrder
from streams.timeline.partition_state import OrderResponse, State
from streams.timestamps import one_time


def tell(state: State, item: int, event: AnyEvent, moment: int) -> None:
    """Apply an event of an item that is told in full, at its moment of event time."""
    match event:
        case events.Item():
            _describe(state, item, event, moment)
        case events.CampaignLine():
            lines = state.campaigns.setdefault(item, {})
            if event.campaign_id not in lines:
                state.groups.join(f"campaign:{event.campaign_id}", state.items.rows[item])
            lines[event.campaign_id] = event
            state.note_catalog_changed(item, changes_plan=True)
        case events.CampaignCancelled():
            state.campaigns.get(item, {}).pop(event.campaign_id, None)
            state.items.rows[item]["campaign_units"] = 0
            state.items.rows[item]["campaign_baseline_units"] = 0.0
            forget_plans(state.items.rows, np.array([item]))
            state.note_catalog_changed(item, changes_plan=True)
        case events.Inbound():
            _inbound(state, item, event, moment)
        case events.Response():
            _respond(state, item, event)
    state.changed.add_one(item)
    state.alerts.touch(np.array([item], np.int32))


def _describe(state: State, item: int, line: events.Item, moment: int) -> None:
    row = state.items.rows[item]
    state.keep_line(item, line)
    if state.groups.set_category(item, line.category):
        state.groups.join(f"category:{line.category}", row)
    state.note_catalog_changed(item, changes_plan=False)
    for name in line.__struct_fields__:
        if name in row.dtype.names and name not in ("service_type", "service_target"):
            value = getattr(line, name)
            row[name] = np.inf if value is None else value
    row["service_target"] = line.service_target or 0.0
    row["service_type"] = service_type_code(line.service_type, line.service_target)
    slot_ms = state.settings.review.slot_ms
    period = int(period_ms(state.items.rows[item : item + 1], slot_ms)[0])
    row["next_review_ms"] = first_review_ms(state.items.key(item), moment, period, slot_ms)


def _inbound(state: State, item: int, event: events.Inbound, moment: int) -> None:
    order = state.supply.get(event.po_id)
    due_ms = None if event.expected_at is None else one_time(event.expected_at)
    if isinstance(event, events.Received):
        _put_on_shelf(state, item, event.quantity, moment)
    if order is None or order.item != item:
        return
    taken = event.quantity if isinstance(event, events.Received | events.Rejected) else 0
    _change_order(state, order, outstanding=order.outstanding - taken, due_ms=due_ms)


def _put_on_shelf(state: State, item: int, units: int, moment: int) -> None:
    state.items.rows[item]["on_hand_units"] += units
    note_stock(state.items.rows, item, moment, state.profile.elapsed, state.shop_orders)


def _respond(state: State, item: int, event: events.Response) -> None:
    said = str(event.__struct_config__.tag)
    state.effects.append(OrderResponse(event.po_id, *state.items.names[item], said))
    order = state.supply.get(event.po_id)
    if order is None or order.item != item:
        return
    order.state = said
    if isinstance(event, events.OrderRejected | events.OrderCancelled):
        _change_order(state, order, outstanding=0)
    elif isinstance(event, events.OrderChanged):
        arrived = order.quantity - order.outstanding
        order.quantity = event.new_quantity
        due_ms = None if event.expected_at is None else one_time(event.expected_at)
        _change_order(state, order, outstanding=event.new_quantity - arrived, due_ms=due_ms)
    elif isinstance(event, events.Acknowledged) and event.expected_at is not None:
        _change_order(
            state, order, outstanding=order.outstanding, due_ms=one_time(event.expected_at)
        )
    else:
        state.supply.mark(order)


def arrive(state: State, order: OpenOrder, moment: int) -> None:
    """An order's due date has come: it is taken as received, or from now on it is late."""
    if order.is_assumed:
        _put_on_shelf(state, order.item, order.outstanding, moment)
        _change_order(state, order, outstanding=0)
    else:
        state.alerts.expect(order, moment)


def _change_order(
    state: State, order: OpenOrder, *, outstanding: int, due_ms: int | None = None
) -> None:
    if due_ms is not None and due_ms < 0:
        due_ms = None
    state.supply.change(order, outstanding=outstanding, due_ms=due_ms)
    count_supply(state, order.item)
    if order.outstanding == 0 or (due_ms is not None and due_ms > order.late_since_ms):
        state.alerts.settle(order)


def count_supply(state: State, item: int) -> None:
    """Set what is on order of an item, and when the next of it arrives, from its open orders."""
    row = state.items.rows[item]
    for role in SupplierRole:
        row[f"on_order_{role}_units"] = state.supply.on_order_units(item, role)
    row["next_due_ms"] = state.supply.next_arrival_ms(item)
    state.changed.add_one(item)
