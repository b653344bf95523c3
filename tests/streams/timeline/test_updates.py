"""What people, suppliers and other systems say of orders and supply: applied, or shown."""

import dataclasses

import msgspec
import pytest

from streams.contracts.outgoing import OrderStatus
from streams.contracts.purchase_orders import PurchaseOrder
from streams.settings import Limits, ShardSettings
from streams.state.open_orders import AWAITING_APPROVAL, OpenOrder
from tests.oracle import DAY, HOUR, milliseconds
from tests.streams.fakes import as_json
from tests.streams.logs import ITEMS, START_MS, Logs, event
from tests.streams.replenishment.test_reviews import orders_of, stocked
from tests.streams.runs import SETTINGS, Run, read_whole

PEOPLE_APPROVE = dataclasses.replace(
    SETTINGS,
    timeline=dataclasses.replace(SETTINGS.timeline, limits=Limits(approval_amount=0.01)),
)
OURS = "po-00000000000000000000"


def say(logs: Logs, topic: str, kind: str, at_ms: int, item=ITEMS[0], **fields) -> None:
    """Put an event where its time belongs in a log."""
    log = logs.of[topic]
    place = sum(1 for value, _ in log if as_json(value)["occurred_at"] <= at_ms)
    log.insert(place, (event(kind, f"{kind}-{at_ms}", at_ms, item, **fields), at_ms))


def alerts_of(run: Run, kind: str) -> list[dict]:
    """The steps of incidents of a kind."""
    told = [as_json(out.value) for out in run.outputs if out.topic == "alerts"]
    return [one for one in told if one["kind"] == kind]


def misfits(run: Run) -> list[tuple[str, str]]:
    """Which discrepancies were raised, of which order."""
    raised = [one for one in alerts_of(run, "order_discrepancy") if one["state"] == "raised"]
    return [(one["figures"]["discrepancy"], one["subject"]) for one in raised]


def waiting(run: Run, po_id: str) -> PurchaseOrder:
    """An order as it will leave."""
    (record,) = (
        record
        for _, record in run.shard.outbox.orders_between(0, run.shard.outbox.next_number)
        if record.order_summary is not None and record.order_summary.po_id == po_id
    )
    order = msgspec.json.decode(record.value, type=PurchaseOrder)
    summary = record.order_summary
    assert (summary.quantity, summary.amount) == (order.quantity, order.quantity * order.unit_cost)
    return order


def open_order(run: Run, po_id: str) -> OpenOrder:
    """An order as it is counted."""
    order = run.shard.timeline.supply.get(po_id)
    assert order is not None
    return order


def decided(settings: ShardSettings = SETTINGS) -> tuple[Logs, PurchaseOrder, int]:
    """Logs of five days, their first order, and when it was decided."""
    logs = stocked(5)
    order = orders_of(read_whole(logs, settings))[0]
    return logs, order, milliseconds(order.decided_at)


# -- what leaves is what is counted ----------------------------------------------------------------


def test_order_that_was_changed_and_approved_leaves_as_changed():
    """Quantity and date of the change are in the next version, and in what counts as supply."""
    logs, order, at_ms = decided(PEOPLE_APPROVE)
    said = {"po_id": order.po_id}
    say(
        logs,
        "order-responses",
        "changed",
        at_ms + HOUR,
        **said,
        quantity=3,
        expected_at=at_ms + DAY,
    )
    say(logs, "order-responses", "approved", at_ms + 2 * HOUR, **said)
    run = read_whole(logs, PEOPLE_APPROVE)
    left, counted = waiting(run, order.po_id), open_order(run, order.po_id)
    assert (left.version, left.quantity, milliseconds(left.expected_at)) == (2, 3, at_ms + DAY)
    assert (counted.quantity, counted.due_ms) == (3, at_ms + DAY)


def test_order_that_is_approved_late_leaves_with_a_later_date():
    """Its lead time begins when it leaves; nobody saw another version."""
    logs, order, at_ms = decided(PEOPLE_APPROVE)
    say(logs, "order-responses", "approved", at_ms + 30 * HOUR, po_id=order.po_id)
    run = read_whole(logs, PEOPLE_APPROVE)
    left = waiting(run, order.po_id)
    late_ms = milliseconds(left.expected_at) - milliseconds(order.expected_at)
    assert (left.version, late_ms) == (1, 30 * HOUR)
    assert open_order(run, order.po_id).due_ms == milliseconds(left.expected_at)


def test_approval_does_not_hold_for_more_than_was_approved():
    """A change to more units after the approval waits for another one; to fewer it does not."""
    for quantity, expected in ((10_000, OrderStatus.NONE), (1, OrderStatus.APPROVED)):
        logs, order, at_ms = decided(PEOPLE_APPROVE)
        say(logs, "order-responses", "approved", at_ms + HOUR, po_id=order.po_id)
        say(
            logs,
            "order-responses",
            "changed",
            at_ms + 2 * HOUR,
            po_id=order.po_id,
            quantity=quantity,
        )
        outbox = read_whole(logs, PEOPLE_APPROVE).shard.outbox
        found = [
            record.order_summary.status
            for _, record in outbox.orders_between(0, outbox.next_number)
            if record.order_summary.po_id == order.po_id
        ]
        assert found == [expected]


def test_order_that_waits_for_approval_is_no_late_delivery():
    """Nobody sent it, so nobody can be late; once approved it can."""
    logs, order, at_ms = decided(PEOPLE_APPROVE)
    run = read_whole(logs, PEOPLE_APPROVE)
    assert open_order(run, order.po_id).due_ms < run.shard.timeline.applied_ms
    assert open_order(run, order.po_id).state == AWAITING_APPROVAL
    assert not alerts_of(run, "late_delivery")
    say(logs, "order-responses", "approved", at_ms + HOUR, po_id=order.po_id)
    late = alerts_of(read_whole(logs, PEOPLE_APPROVE), "late_delivery")
    assert [one["subject"] for one in late] == [order.po_id]


def test_order_that_waits_for_approval_does_not_arrive_by_assumption():
    """A shop without receipts takes orders as received on their date, not those that never left."""
    logs = stocked(5, assume_received=True)
    run = read_whole(logs, PEOPLE_APPROVE)
    first = orders_of(run)[0]
    assert milliseconds(first.expected_at) < run.shard.timeline.applied_ms
    assert open_order(run, first.po_id).outstanding == first.quantity


# -- supply that others ordered --------------------------------------------------------------------


def test_order_of_others_counts_once_it_is_advised():
    """The shop's own system ordered it: with its supplier, date and source it is supply."""
    logs = stocked(5)
    due_ms = START_MS + 3 * DAY
    fields = {"po_id": "ERP-1", "supplier": "flexible", "quantity": 400, "source": "erp"}
    say(logs, "shipments", "advised", START_MS + HOUR, **fields, expected_at=due_ms)
    run = read_whole(logs)
    order = open_order(run, "ERP-1")
    assert (order.outstanding, order.due_ms, order.source) == (400, due_ms, "erp")
    assert order.is_foreign
    row = run.shard.timeline.items.rows[0]
    assert row["on_order_flexible_units"] == 400 + sum(
        one.outstanding
        for one in run.shard.timeline.supply
        if one.role == "flexible" and not one.is_foreign
    )
    assert sum(one.quantity for one in orders_of(run)) < sum(
        one.quantity for one in orders_of(read_whole(stocked(5)))
    )
    assert not misfits(run)


def test_order_that_comes_too_late_does_not_hide_a_gap():
    """What is due later than a lean order of the next review would be fills no gap before it."""
    fields = {"po_id": "ERP-1", "supplier": "lean", "quantity": 400}
    ordered = {}
    for due_days in (3, 60):
        logs = stocked(5)
        due_ms = START_MS + due_days * DAY
        say(logs, "shipments", "advised", START_MS + HOUR, **fields, expected_at=due_ms)
        ordered[due_days] = sum(one.quantity for one in orders_of(read_whole(logs)))
    assert ordered[60] == sum(one.quantity for one in orders_of(read_whole(stocked(5))))
    assert ordered[3] < ordered[60]


@pytest.mark.parametrize(
    ("kind", "fields", "outstanding", "due_days"),
    [
        ("advised", {"quantity": 300}, 300, 30),
        ("delayed", {"quantity": 400, "expected_at": START_MS + 40 * DAY}, 400, 40),
        ("received", {"quantity": 150}, 250, 30),
        ("rejected", {"quantity": 400}, None, None),
    ],
)
def test_order_of_others_lives_as_one_of_tidegate(kind, fields, outstanding, due_days):
    """It can be changed, delayed, received in part and rejected."""
    logs = stocked(4)
    said = {"po_id": "ERP-1", "supplier": "lean"}
    due_ms = START_MS + 30 * DAY
    say(logs, "shipments", "advised", START_MS + HOUR, **said, quantity=400, expected_at=due_ms)
    say(logs, "shipments", kind, START_MS + 2 * HOUR, **said, **fields)
    run = read_whole(logs)
    order = run.shard.timeline.supply.get("ERP-1")
    if outstanding is None:
        assert order is None
    else:
        assert (order.outstanding, order.due_ms) == (outstanding, START_MS + due_days * DAY)
    assert not misfits(run)


def test_order_of_others_without_a_date_is_due_after_the_lead_time():
    """Of the item's catalog line; without a line after two weeks."""
    logs = stocked(2)
    said = {"supplier": "lean", "quantity": 5}
    say(logs, "shipments", "advised", START_MS + HOUR, **said, po_id="ERP-1")
    say(logs, "shipments", "advised", START_MS + 2 * HOUR, ITEMS[1], **said, po_id="ERP-2")
    run = read_whole(logs)
    assert open_order(run, "ERP-1").due_ms == START_MS + HOUR + 2 * DAY
    assert open_order(run, "ERP-2").due_ms == START_MS + 2 * HOUR + 14 * DAY


# -- what does not fit is shown --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "kind", "fields", "expected"),
    [
        ("shipments", "received", {"po_id": "ERP-9", "quantity": 5}, "unknown_order"),
        ("shipments", "advised", {"po_id": OURS, "quantity": 5}, "unknown_order"),
        ("shipments", "delayed", {"po_id": "ERP-9", "quantity": 5}, "unknown_order"),
        ("order-responses", "changed", {"po_id": "ERP-9", "quantity": 5}, "unknown_order"),
        ("order-responses", "approved", {"po_id": OURS}, "unknown_order"),
    ],
)
def test_word_about_an_order_that_is_not_open_is_shown(topic, kind, fields, expected):
    """Received goods are on the shelf all the same."""
    logs, _, at_ms = decided()
    supplier = {"supplier": "lean"} if topic == "shipments" else {}
    plain = read_whole(logs)
    say(logs, topic, kind, at_ms + HOUR, **fields, **supplier)
    run = read_whole(logs)
    assert misfits(run) == [(expected, fields["po_id"])]
    more = int(run.shard.timeline.items.rows[0]["on_hand_units"]) - int(
        plain.shard.timeline.items.rows[0]["on_hand_units"]
    )
    assert more == (5 if kind == "received" else 0)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"item": ITEMS[1]}, "other_item"),
        ({"supplier": "somebody"}, "other_supplier"),
        ({"more_units": 7}, "over_delivery"),
    ],
)
def test_receipt_that_fits_in_part_is_shown(changes, expected):
    """Another item, another supplier, more than was ordered."""
    logs, order, at_ms = decided()
    fields = {"supplier": order.supplier, "item": ITEMS[0], "more_units": 0, **changes}
    quantity = order.quantity + fields.pop("more_units")
    say(logs, "shipments", "received", at_ms + HOUR, po_id=order.po_id, quantity=quantity, **fields)
    run = read_whole(logs)
    assert misfits(run) == [(expected, order.po_id)]
    is_other = expected == "other_item"
    assert (run.shard.timeline.supply.get(order.po_id) is not None) == is_other


@pytest.mark.parametrize("kind", ["rejected", "cancelled"])
def test_receipt_of_an_order_that_was_called_off_is_shown(kind):
    """The goods come all the same, and are on the shelf."""
    logs, order, at_ms = decided()
    say(logs, "order-responses", kind, at_ms + HOUR, po_id=order.po_id)
    said = {"po_id": order.po_id, "supplier": order.supplier, "quantity": order.quantity}
    say(logs, "shipments", "received", at_ms + 2 * HOUR, **said)
    assert misfits(read_whole(logs)) == [("unknown_order", order.po_id)]


def test_discrepancy_ends_after_a_day():
    """Raised once however often it is said, resolved once."""
    logs, _, at_ms = decided()
    for hours in (1, 2):
        fields = {"po_id": "ERP-9", "supplier": "lean", "quantity": 1}
        say(logs, "shipments", "received", at_ms + hours * HOUR, **fields)
    steps = alerts_of(read_whole(logs), "order_discrepancy")
    assert [one["state"] for one in steps] == ["raised", "resolved"]
    began, ended = (milliseconds(one["occurred_at"]) for one in steps)
    assert ended - began == DAY
    assert steps[0]["figures"]["said"] == "received"
