"""How long what nothing holds has waited to be published."""

from typing import Any

from infra.metrics.unpublished import Unpublished
from streams.contracts.outgoing import OrderSummary, OutboxRecord
from streams.handover.rules import HoldReason
from streams.worker.shard_task import ShardTask
from tests.infra.metrics.test_worker import run_of


def order(po_id: str) -> OutboxRecord:
    """A purchase order that waits."""
    summary = OrderSummary(po_id, "acme", "lamp", "main", 1, 1.0, None, 1, 1.0)
    return OutboxRecord("purchase-orders", b"lamp", b"{}", [], summary)


def task_with(*records: OutboxRecord) -> Any:
    """A shard that has stored these records."""
    task = ShardTask(run_of(1).shard, None, {})
    task.shard.outbox.published(range(task.shard.outbox.next_number))  # what the run has left
    for record in records:
        task.shard.outbox.put(record)
    task.publishable_to = task.shard.outbox.next_number
    return task


def test_wait_is_that_of_the_oldest_record_and_ends_when_it_has_left() -> None:
    """What comes after it begins with a wait of its own."""
    now = [100.0]
    unpublished = Unpublished(lambda: now[0])
    task = task_with(OutboxRecord("alerts", b"a", b"{}", []), order("po-1"))
    assert unpublished.seconds({0: task}) == 0
    now[0] = 160.0
    assert unpublished.seconds({0: task}) == 60
    first = task.shard.outbox.next_number - 2
    task.shard.outbox.published([first])
    assert unpublished.seconds({0: task}) == 0
    now[0] = 170.0
    assert unpublished.seconds({0: task}) == 10
    task.shard.outbox.published([first + 1])
    assert unpublished.seconds({0: task}) == 0


def test_held_order_is_not_waiting_for_kafka() -> None:
    """It waits for a person, which has a rule of its own; what is not stored waits for Redis."""
    now = [0.0]
    unpublished = Unpublished(lambda: now[0])
    held, unstored = task_with(order("po-1")), task_with(order("po-2"))
    held.held["po-1"] = HoldReason.PAUSED
    unstored.publishable_to = 0
    unpublished.seconds({0: held, 1: unstored})
    now[0] = 50.0
    assert unpublished.seconds({0: held, 1: unstored}) == 0
