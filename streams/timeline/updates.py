"""Events that are kept whole: catalog and campaign lines, inbound shipments, words about orders."""

from collections.abc import Iterable

import msgspec
import numpy as np

from streams.contracts import events
from streams.contracts.events import AnyEvent
from streams.contracts.ids import is_purchase_order_id
from streams.contracts.purchase_orders import SupplierRole
from streams.demand.exposure import note_stock
from streams.detection.shortfall import forget_plans
from streams.groups.rows import CAMPAIGN, CATEGORY
from streams.incidents.order_discrepancies import Discrepancy, OpenDiscrepancy
from streams.replenishment.reviews import service_type_code
from streams.replenishment.schedule import first_review_ms, period_ms
from streams.replenishment.supplier_terms import arrival_ms, late_start_ms
from streams.state.items import ROW
from streams.state.open_orders import AWAITING_APPROVAL, OpenOrder
from streams.timeline.group_facts import note_joined
from streams.timeline.partition_state import OrderResponse, State
from streams.timestamps import DAY_MS, one_time

FOREIGN_LEAD_TIME_DAYS = 14.0
"""Until an order of others arrives that names no date, of an item without a catalog line."""


_COPIED = tuple(
    name
    for name in events.Item.__struct_fields__
    if name in (ROW.names or ()) and name not in ("service_type", "service_target")
)
"""Fields of a catalog line that a row has under the same name."""


def tell(state: State, item: int, event: AnyEvent, moment: int) -> None:
    """Apply an event of an item that is kept whole, at its moment of event time."""
    match event:
        case events.CatalogTombstone():
            _remove(state, [named for named, line in _named_by(state, event.key) if not line])
            return
        case events.CampaignTombstone():
            for named, line in _named_by(state, event.key):
                _forget_lines(state, named, line)
            return
        case events.Item():
            _describe(state, item, event, moment)
        case events.Discontinued():
            _discontinue(state, item, event, moment)
        case events.CampaignLine():
            lines = state.campaigns.setdefault(item, {})
            if event.campaign_id not in lines:
                note_joined(state, item, CAMPAIGN + event.campaign_id, moment)
            lines[event.campaign_id] = event
            state.note_catalog_changed(item, changes_plan=True)
        case events.CampaignCancelled():
            state.campaigns.get(item, {}).pop(event.campaign_id, None)
            _forget_plans(state, item)
        case events.Inbound():
            _inbound(state, item, event, moment)
        case events.Response():
            _respond(state, item, event, moment)
    _touch(state, item)


def _describe(state: State, item: int, line: events.Item, moment: int) -> None:
    row, before = state.items.rows[item], state.catalog.get(item)
    state.keep_line(item, line)
    if line.category and (before is None or before.category != line.category):
        note_joined(state, item, CATEGORY + line.category, moment)
    state.note_catalog_changed(item, changes_plan=False)
    for name in _COPIED:
        value = getattr(line, name)
        row[name] = np.inf if value is None else value
    row["service_target"] = line.service_target or 0.0
    row["service_type"] = service_type_code(line.service_type, line.service_target)
    slot_ms = state.settings.review.slot_ms
    period = int(period_ms(state.items.rows[item : item + 1], slot_ms)[0])
    row["next_review_ms"] = first_review_ms(state.items.key(item), moment, period, slot_ms)
    end_discontinued(state, moment)


def _discontinue(state: State, item: int, event: events.Discontinued, moment: int) -> None:
    line = state.catalog.get(item)
    if line is None:  # nothing was ever ordered of it
        return
    ended = msgspec.structs.replace(
        line,
        discontinued_from=event.discontinued_from or moment,
        discontinued_mode=event.discontinued_mode,
    )
    state.keep_line(item, ended)
    state.note_catalog_changed(item, changes_plan=False)
    end_discontinued(state, moment)


def end_discontinued(state: State, moment: int) -> None:
    """Take the items out of ordering whose last day has come: no reviews, no campaigns."""
    for item in sorted(state.ending):
        line = state.catalog[item]
        row = state.items.rows[item]
        starts_ms = _time_of(line.discontinued_from)
        if starts_ms is None or starts_ms > moment or not row["next_review_ms"]:
            continue
        row["next_review_ms"] = 0
        _forget_lines(state, item)
        if line.discontinued_mode == "stop":
            _call_off_waiting(state, item)
        _touch(state, item)


def _named_by(state: State, key: str) -> list[tuple[int, str]]:
    """Return the items that a key names, each with the campaign that it names; "" means none.

    A sku may have "@" in itself; then what is there says where it ends.
    """
    named = []
    ends = [place for place, char in enumerate(key) if char == "@"] + [len(key)]
    for end in ends:
        for item in state.items_of(key[:end]):
            warehouse, at, line = key[end + 1 :].partition("@")
            if end == len(key) or warehouse == state.items.names[item][1]:
                named.append((item, line if at else ""))
    return named


def _remove(state: State, items: Iterable[int]) -> None:
    """Take items out of ordering of which nothing is in the catalog any more.

    What remains is what a shard knows that never read their catalog lines.
    """
    for item in items:
        _forget_lines(state, item)
        _call_off_waiting(state, item)
        state.drop_line(item)
        state.note_catalog_changed(item, changes_plan=False)
        _touch(state, item)


def _call_off_waiting(state: State, item: int) -> None:
    for order in [one for one in state.supply.of_item(item) if one.state == AWAITING_APPROVAL]:
        state.effects.append(OrderResponse(order.po_id, *state.items.names[item], "cancelled"))
        _change_order(state, order, outstanding=0, due_ms=None)


def _forget_lines(state: State, item: int, only: str = "") -> None:
    """End the campaign lines of an item, or only that of one campaign."""
    lines = state.campaigns.get(item, {})
    gone = [line for line in lines if only in ("", line)]
    for line in gone:
        del lines[line]
    if gone:
        if not lines:
            del state.campaigns[item]
        _forget_plans(state, item)
        _touch(state, item)


def _touch(state: State, item: int) -> None:
    state.changed.add_one(item)
    state.alerts.touch(np.array([item], np.int32))


def _forget_plans(state: State, item: int) -> None:
    state.items.rows[item]["campaign_units"] = 0
    state.items.rows[item]["campaign_baseline_units"] = 0.0
    forget_plans(state.items.rows, np.array([item]))
    state.note_catalog_changed(item, changes_plan=True)


def _inbound(state: State, item: int, event: events.Inbound, moment: int) -> None:
    order = state.supply.get(event.po_id)
    if isinstance(event, events.Received):
        _put_on_shelf(state, item, event.quantity, moment)
    if order is None:
        if isinstance(event, events.Advised) and not is_purchase_order_id(event.po_id):
            _open_foreign(state, item, event, moment)
        else:
            _note_discrepancy(state, item, event, Discrepancy.UNKNOWN_ORDER)
        return
    if order.item != item:
        _note_discrepancy(state, item, event, Discrepancy.OTHER_ITEM)
        return
    _note_misfit(state, order, event)
    outstanding = order.outstanding
    if isinstance(event, events.Received | events.Rejected):
        outstanding -= event.quantity
    elif isinstance(event, events.Advised) and order.is_foreign:
        outstanding += event.quantity - order.quantity
        order.quantity = event.quantity
    _change_order(state, order, outstanding=outstanding, due_ms=_time_of(event.expected_at))


def _open_foreign(state: State, item: int, event: events.Advised, moment: int) -> None:
    """Count what others ordered, and a supplier announces, from now on."""
    line = state.catalog.get(item)
    is_flexible = line is not None and event.supplier == line.supplier_flexible
    role = SupplierRole.FLEXIBLE if is_flexible else SupplierRole.LEAN
    due_ms = _time_of(event.expected_at)
    if due_ms is None and line is None:
        due_ms = moment + round(FOREIGN_LEAD_TIME_DAYS * DAY_MS)
    elif due_ms is None and line is not None:
        due_ms = arrival_ms(line, role, moment)
    order = OpenOrder(
        po_id=event.po_id,
        item=item,
        role=role,
        supplier=event.supplier,
        quantity=event.quantity,
        outstanding=event.quantity,
        due_ms=moment if due_ms is None else due_ms,
        is_assumed=line is not None and line.assume_received,
        state="advised",
        is_foreign=True,
        source=event.source,
    )
    state.supply.open(order)
    count_supply(state, item)


def _note_misfit(state: State, order: OpenOrder, event: events.Inbound) -> None:
    """Say what of an arrival does not fit its order; what fits is applied all the same."""
    if event.supplier != order.supplier:
        _note_discrepancy(state, order.item, event, Discrepancy.OTHER_SUPPLIER, order)
    is_taken = isinstance(event, events.Received | events.Rejected)
    if is_taken and event.quantity > order.outstanding:
        _note_discrepancy(state, order.item, event, Discrepancy.OVER_DELIVERY, order)


def _note_discrepancy(
    state: State,
    item: int,
    event: events.Inbound | events.Response,
    discrepancy: Discrepancy,
    order: OpenOrder | None = None,
) -> None:
    sku, warehouse = state.items.names[item]
    found = OpenDiscrepancy(
        sku=sku,
        warehouse=warehouse,
        discrepancy=discrepancy,
        said=str(event.__struct_config__.tag),
        supplier=event.supplier if isinstance(event, events.Inbound) else None,
        units=event.quantity,
        outstanding_units=0 if order is None else order.outstanding,
    )
    state.alerts.discrepancies.note(event.po_id, found)


def _time_of(stated: str | int | None) -> int | None:
    """Return a stated time in ms; None means that none was stated."""
    return None if stated is None else one_time(stated)


def _put_on_shelf(state: State, item: int, units: int, moment: int) -> None:
    state.items.rows[item]["on_hand_units"] += units
    note_stock(state.items.rows, item, moment, state.profile.elapsed, state.shop_orders)


def _respond(state: State, item: int, event: events.Response, moment: int) -> None:
    said = str(event.__struct_config__.tag)
    order = state.supply.get(event.po_id)
    if order is None or order.item != item:
        misfit = Discrepancy.UNKNOWN_ORDER if order is None else Discrepancy.OTHER_ITEM
        _note_discrepancy(state, item, event, misfit)
        state.effects.append(OrderResponse(event.po_id, *state.items.names[item], said))
        return
    quantity, due_ms = None, None
    outstanding = order.outstanding
    if isinstance(event, events.OrderRejected | events.OrderCancelled):
        outstanding = 0
    elif isinstance(event, events.OrderChanged):
        quantity, due_ms = event.new_quantity, _time_of(event.expected_at)
        outstanding += quantity - order.quantity
        order.quantity = quantity
    elif isinstance(event, events.Acknowledged) or (
        isinstance(event, events.Approved) and event.expected_at is not None
    ):
        due_ms = _time_of(event.expected_at)
    elif isinstance(event, events.Approved | events.Released):
        due_ms = late_start_ms(order, state.catalog.get(order.item), moment)
    order.is_date_agreed |= due_ms is not None
    if order.state != AWAITING_APPROVAL or said not in _STILL_WAITING_AFTER:
        order.state = said
    _change_order(state, order, outstanding=outstanding, due_ms=due_ms)
    changed = OrderResponse(event.po_id, *state.items.names[item], said, quantity, due_ms)
    state.effects.append(changed)


_STILL_WAITING_AFTER = ("changed", "acknowledged", "sent", "held")
"""Words about an order after which it still waits for its approval."""


def arrive(state: State, order: OpenOrder, moment: int) -> None:
    """An order's due date has come: it is taken as received, or from now on it is late.

    One that still waits for its approval has not left: it is neither.
    """
    if order.state == AWAITING_APPROVAL:
        return
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
