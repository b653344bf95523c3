"""What the hand-over writes into the audit log by itself, and that each order ends there too."""

import pytest

from infra.control.entries import OrderAnswered, OrderLeft, OrderWaits
from infra.control.recorder import AuditRecorder
from streams.contracts.outgoing import OrderStatus, OrderSummary
from streams.handover.rules import HoldReason, Verdict
from tests.infra.memory_log import MemoryLog


def summary(status: OrderStatus = OrderStatus.NONE) -> OrderSummary:
    """An order, and what people said of it."""
    return OrderSummary("po-1", "acme", "lamp", "main", 10, 900.0, "EUR", 10, 900.0, status)


async def test_order_that_waited_is_reported_twice():
    """That it waits, and that it left; said again, neither is written again."""
    log = MemoryLog()
    recorder = AuditRecorder(log)
    for _ in range(2):
        recorder.order_waits(summary(), HoldReason.APPROVAL)
        assert (log.state.waiting, len(log.entries)) == ({"po-1": HoldReason.APPROVAL}, 1)
    for _ in range(2):
        await recorder.orders_left([summary(OrderStatus.APPROVED)])
        assert (log.state.waiting, len(log.entries)) == ({}, 2)
    recorder.order_waits(summary(), HoldReason.APPROVAL)
    assert len(log.entries) == 2


async def test_order_nobody_had_a_say_in_is_not_reported():
    """Most orders just go."""
    log = MemoryLog()
    await AuditRecorder(log).orders_left([summary()])
    assert log.entries == []


async def test_order_that_waits_for_what_was_answered_is_not_reported_again():
    """Who changed it stands in the log; "somebody held it" behind that would say less."""
    log = MemoryLog()
    said = OrderAnswered(
        who="ada",
        why="half",
        po_id="po-1",
        sku="lamp",
        warehouse="main",
        verdict=Verdict.CHANGED,
        quantity=5,
        occurred_at="2026-01-01T00:00:00Z",
    )
    log.note(said)
    AuditRecorder(log).order_waits(summary(), HoldReason.HELD)
    assert [type(entry) for entry in log.entries] == [OrderAnswered]


async def test_next_worker_tells_that_an_order_left():
    """Who hands an order over says so, whoever had said that it waits."""
    log = MemoryLog()
    AuditRecorder(log).order_waits(summary(), HoldReason.APPROVAL)
    await AuditRecorder(log).orders_left([summary(OrderStatus.APPROVED)])
    assert [type(entry) for entry in log.entries] == [OrderWaits, OrderLeft]


async def test_word_of_a_worker_that_was_robbed_comes_too_late():
    """Its entry was on its way while another worker handed the order over: it waits no more."""
    log = MemoryLog()
    log.is_away = True
    AuditRecorder(log).order_waits(summary(), HoldReason.APPROVAL)
    log.is_away = False
    await AuditRecorder(log).orders_left([summary(OrderStatus.APPROVED)])
    for entry in log.on_their_way:
        log.note(entry)
    assert (log.state.waiting, log.state.left) == ({}, {"po-1"})


async def test_what_kafka_does_not_take_is_not_passed_over():
    """The worker must not forget the order; it says the same again later."""
    log = MemoryLog()
    recorder = AuditRecorder(log, patience_s=0.001)
    recorder.order_waits(summary(), HoldReason.APPROVAL)
    log.is_away = True
    with pytest.raises(TimeoutError):
        await recorder.orders_left([summary(OrderStatus.APPROVED)])
    log.is_away = False
    await recorder.orders_left([summary(OrderStatus.APPROVED)])
    assert log.state.left == {"po-1"}
