"""A person's word about a purchase order: what is possible, and what it becomes."""

import msgspec
import pytest

from infra.control.entries import AuditError, AuditState, OrderLeft, response_of, sealed
from infra.control.holds import WaitingOrder
from infra.control.orders import (
    FoundOrder,
    UnknownOrderError,
    Word,
    find_order,
    make_answer,
    read_orders,
)
from infra.redis.codec import ShardMeta
from infra.redis.options import keys_of
from infra.redis.reader import OpenOrderState, Reader, ShardState, connect
from infra.settings import Settings
from streams.contracts.events import Approved, Item, OrderChanged, OrderRejected
from streams.contracts.outgoing import OrderSummary, OutboxRecord
from streams.contracts.purchase_orders import SupplierRole
from streams.handover.rules import Answer, Controls, HoldReason, Verdict
from streams.state.open_orders import AWAITING_APPROVAL, OpenOrder
from streams.timestamps import DAY_MS, one_time, rfc3339
from tests.streams.logs import catalog_line

NOW_MS = 1_767_225_600_000
SUMMARY = OrderSummary("po-1", "acme", "lamp", "main", 10, 900.0, "EUR", 10, 900.0)
WAITING = WaitingOrder(SUMMARY, b"{}", HoldReason.APPROVAL)
LINE = msgspec.json.decode(catalog_line("c1", NOW_MS, ("lamp", "main")), type=Item)
OPEN = OpenOrder(
    po_id="po-1",
    item=0,
    role=SupplierRole.LEAN,
    supplier="acme",
    quantity=10,
    outstanding=10,
    due_ms=NOW_MS,
    is_assumed=False,
    state=AWAITING_APPROVAL,
)


def found(*, has_left: bool = False, clock_ms: int = NOW_MS) -> FoundOrder:
    """An order of ten lamps, as it stands."""
    meta = ShardMeta({"orders": clock_ms}, clock_ms, {}, {}, 0, {})
    opened = OpenOrderState(0, "lamp", "main", OPEN, LINE)
    shard = ShardState(0, 1, {}, meta, 0)
    return FoundOrder(opened, None if has_left else WAITING, shard)


def said(verdict: Verdict, order: FoundOrder | None = None, before: Answer | None = None, **more):
    """The entry of a word about it."""
    word = Word("po-1", verdict, "ada", "agreed by telephone", **more)
    return make_answer(order or found(), word, before, 600.0, NOW_MS / 1000)


def test_approved_order_that_is_late_gets_a_new_date():
    """Its lead time begins now; the event says the same, and is one that the decoder takes."""
    entry = said(Verdict.APPROVED)
    assert one_time(entry.expected_at) > OPEN.due_ms
    event = response_of(msgspec.structs.replace(entry, entry_id="au-1"))
    assert isinstance(event, Approved)
    assert event.expected_at == entry.expected_at
    assert one_time(event.occurred_at) == NOW_MS
    assert msgspec.json.decode(msgspec.json.encode(event), type=Approved) == event


def test_change_has_units_or_a_date_or_both():
    """A day means its beginning; what is not given stays."""
    entry = said(Verdict.CHANGED, quantity=7)
    assert (entry.quantity, entry.expected_at) == (7, None)
    entry = said(Verdict.CHANGED, expected_at="2026-01-09")
    assert (entry.quantity, entry.expected_at) == (10, "2026-01-09T00:00:00Z")
    event = response_of(entry)
    assert isinstance(event, OrderChanged)
    assert (event.new_quantity, event.expected_at) == (10, "2026-01-09T00:00:00Z")


def test_approval_after_a_change_is_one_of_the_changed_units():
    """Though the logs have not brought the change yet."""
    before = Answer(po_id="po-1", verdict=Verdict.CHANGED, quantity=7, moment_ms=NOW_MS)
    assert said(Verdict.APPROVED, before=before).quantity == 7


def test_word_to_a_log_of_old_events_is_of_their_time():
    """A shop that is replayed lives in its own time."""
    old_ms = NOW_MS - 900 * DAY_MS
    entry = said(Verdict.REJECTED, found(clock_ms=old_ms))
    assert entry.occurred_at == rfc3339(old_ms)
    assert isinstance(response_of(entry), OrderRejected)


@pytest.mark.parametrize(
    ("verdict", "more", "field"),
    [
        (Verdict.CHANGED, {}, "quantity"),
        (Verdict.CHANGED, {"quantity": 0}, "quantity"),
        (Verdict.CHANGED, {"quantity": 1_000_001}, "quantity"),
        (Verdict.CHANGED, {"expected_at": "next week"}, "expected_at"),
        (Verdict.CHANGED, {"expected_at": "2026-02-30"}, "expected_at"),
    ],
)
def test_impossible_change_names_its_field(verdict, more, field):
    """And the rule, and the value."""
    with pytest.raises(AuditError) as caught:
        said(verdict, **more)
    assert caught.value.field == field
    assert caught.value.rule


def test_order_that_has_left_cannot_be_approved_any_more():
    """It can still be rejected or changed: the state counts what will come."""
    with pytest.raises(AuditError, match="has not left"):
        said(Verdict.APPROVED, found(has_left=True))
    assert said(Verdict.REJECTED, found(has_left=True)).quantity == 10


def test_answers_are_in_force_until_the_order_has_left():
    """Then nothing of them is kept, and one that comes late is none."""
    state = AuditState()
    entry = said(Verdict.APPROVED)
    for number, one in enumerate([entry, OrderLeft(who="t", why="w", po_id="po-1", status="")]):
        state.take(msgspec.json.encode(sealed(one, state.heads, rfc3339(NOW_MS))), str(number))
        assert len(state.controls().answers) == 1 - number
    state.take(msgspec.json.encode(sealed(entry, state.heads, rfc3339(NOW_MS + 1))), "late")
    assert state.controls().answers == {}


# -- in Redis --------------------------------------------------------------------------------------


def stored(redis_url: str) -> Settings:
    """A shop with one open order, which waits for its approval."""
    redis = connect(redis_url)
    meta = ShardMeta({"orders": NOW_MS, "stock": 0}, NOW_MS - 10_000, {}, {}, 0, {})
    shard = {"epoch": 1, "offsets": "{}", "meta": msgspec.json.encode(meta)}
    redis.hset("tg:shard:{0}", mapping=shard)
    redis.rpush("tg:names:{0}", msgspec.json.encode(["lamp", "main"]))
    redis.hset("tg:orders:{0}", "po-1", msgspec.json.encode(OPEN))
    record = OutboxRecord("purchase-orders", b"lamp", b"{}", [], SUMMARY)
    redis.hset("tg:outbox:{0}", "0", msgspec.msgpack.encode(record))
    return Settings(redis_url=redis_url, approval_amount=800.0)


def test_open_orders_are_listed_with_what_they_wait_for(redis_url):
    """As the worker that holds them judges."""
    (row,) = read_orders(stored(redis_url), Controls(), {})
    assert (row.po_id, row.hold, row.amount) == ("po-1", HoldReason.APPROVAL, 900.0)
    assert (row.sku, row.warehouse, row.state) == ("lamp", "main", AWAITING_APPROVAL)


def test_order_that_is_not_open_is_reported_by_its_id(redis_url):
    """With the command that lists those that are."""
    settings = stored(redis_url)
    reader = Reader(connect(redis_url), keys_of(settings))
    assert find_order(reader, settings, Controls(), {}, "po-1").waiting is not None
    with pytest.raises(UnknownOrderError, match="orders list"):
        find_order(reader, settings, Controls(), {}, "po-2")
