"""The worker at the hand-over: what it holds, what passes, and that a held order loses nothing."""

import asyncio

import pytest

from streams.contracts.outgoing import OutboxRecord, order_record, with_response
from streams.contracts.purchase_orders import Candidates, Occasion, PurchaseOrder, SupplierRole
from streams.contracts.topics import ALERTS, PURCHASE_ORDERS
from streams.handover.rules import Answer, Controls, HoldReason, Pause, Verdict
from streams.settings import GateThresholds, Limits
from streams.timestamps import NO_CLOCK
from streams.worker import shard_task as shard_task_module
from tests.oracle import DAY
from tests.streams.logs import ITEMS, START_MS, event
from tests.streams.worker.worker_bench import ORDERS, PREFIX, Bench, bench, sales

AHEAD_MS = START_MS + 1_000 * DAY
EVERYTHING = Pause(hold_id="h", who="ada", why="w", since="now")
ALERT = OutboxRecord(ALERTS, b"lamp", b"{}", [])


def order(number: int, *, units: int = 10, day_units: int = 0) -> OutboxRecord:
    """A purchase order of the first item."""
    sku, warehouse = ITEMS[0]
    proposed = PurchaseOrder(
        po_id=f"po-{number}",
        sku=sku,
        warehouse=warehouse,
        supplier="acme",
        supplier_role=SupplierRole.LEAN,
        occasion=Occasion.REGULAR,
        quantity=units,
        unit_cost=2.0,
        currency=None,
        window_started_at="2026-01-01T00:00:00Z",
        decided_at="2026-01-01T00:00:00Z",
        expected_at="2026-01-02T00:00:00Z",
        method="exact",
        reason="cheapest",
        inputs={},
        candidates=Candidates(nothing=1.0, lean_only=None, flexible_only=None, both=None),
    )
    return order_record(proposed, day_units=day_units or units, day_amount=2.0 * units)


class Controlled:
    """A bench with people's orders in hand."""

    def __init__(self, made: Bench) -> None:
        self.made = made

    def pause(self, *pauses: Pause, is_known: bool = True) -> None:
        """Let these be in force."""
        self.made.controls = Controls(pauses, is_known)

    def decide(self, *records: OutboxRecord) -> None:
        """Put records into the outbox, as a review does."""
        task = self.made.worker.tasks[0]
        for record in records:
            task.shard.outbox.put(record)
        task.is_dirty = True
        self.made.worker.signals.work.set()

    @property
    def sent(self) -> list[OutboxRecord]:
        """Purchase orders in Kafka."""
        return [one for one in self.made.kafka.published if one.topic == PURCHASE_ORDERS]

    @property
    def reasons(self) -> set[HoldReason]:
        """Why orders wait."""
        return set(self.made.worker.tasks[0].held.values())

    async def until_held(self, reason: HoldReason) -> None:
        """Wait until an order waits for that; the worker's readiness says so."""
        await self.made.until(lambda: self.reasons == {reason})
        assert any(reason in said for said in self.made.worker.holds())

    async def until_sent(self, count: int) -> None:
        """Wait until so many are in Kafka."""
        await self.made.until(lambda: len(self.sent) == count)


async def sell(made: Bench, first: int, count: int, *, counted_ms: int = START_MS) -> None:
    """Hand order lines of the first item over; its shelf was counted then."""
    await made.read("orders", sales(first, count), first)
    made.worker.tasks[0].shard.timeline.items.rows["counted_at_ms"] = counted_ms


async def looked_at(made: Bench, now: float) -> None:
    """Set the clock, and wait until the worker has looked at its gates by it."""
    made.now = now
    await made.until(lambda: made.worker.tasks[0].looked_at_s == now)


async def until_open(made: Bench) -> None:
    """Wait until the gate of the first partition has opened."""
    await made.until(lambda: made.worker.tasks[0].gate.is_open)


async def test_paused_orders_wait_and_alerts_pass():
    """The kill switch stops what is bought, not what is said; afterwards the same bytes go out."""
    async with bench() as made:
        control = Controlled(made)
        control.pause(EVERYTHING)
        control.decide(order(1), ALERT, order(2))
        await made.until(lambda: ALERT in made.kafka.published)
        await control.until_held(HoldReason.PAUSED)
        assert control.sent == []
        assert any("ada" in said for said in made.worker.holds())
        control.pause()
        await control.until_sent(2)
        assert control.sent == [order(1), order(2)]
        await made.until(lambda: len(made.worker.tasks[0].shard.outbox) == 0)


async def test_held_order_survives_the_worker():
    """Another worker that takes the shard over hands the same bytes over, once it may."""
    async with bench() as made:
        control = Controlled(made)
        control.pause(EVERYTHING)
        await sell(made, 0, 1)
        control.decide(order(1))
        await control.until_held(HoldReason.PAUSED)
        await made.until(lambda: len(made.store.kept[0].outbox) == 1)
    async with bench(made.store) as other:
        other.worker.tasks[0].shard.timeline.items.rows["counted_at_ms"] = START_MS
        assert [one for one in other.kafka.published if one.topic == PURCHASE_ORDERS] == []
        control = Controlled(other)
        await control.until_sent(1)
        assert control.sent == [order(1)]


async def test_order_is_forgotten_only_once_it_is_written_down_that_it_left():
    """Until then whoever owns the shard has it, and sends the same bytes again."""
    async with bench() as made:
        control = Controlled(made)
        made.recorder.is_away = True
        await sell(made, 0, 1)
        control.decide(order(1))
        await made.until(lambda: made.recorder.asked > 2)
        assert len(made.store.kept[0].outbox) == 1
        made.recorder.is_away = False
        await made.until(lambda: not made.store.kept[0].outbox)
        assert made.recorder.left == ["po-1"]
        assert all(one == order(1) for one in control.sent)


async def test_pause_of_a_supplier_holds_no_other():
    """The rest of the orders go on."""
    async with bench() as made:
        control = Controlled(made)
        control.pause(Pause(hold_id="h", who="a", why="w", since="", supplier="other"))
        control.decide(order(1))
        await control.until_sent(1)


async def test_many_held_orders_do_not_stop_reading(monkeypatch):
    """Holding can last for days, and the shop sells on."""
    monkeypatch.setattr(shard_task_module, "_OUTBOX_AT_MOST", 5)
    async with bench() as made:
        control = Controlled(made)
        control.pause(EVERYTHING)
        control.decide(*(order(number) for number in range(50)))
        await made.until(lambda: len(made.worker.tasks[0].held) == 50)
        await sell(made, 0, 5)
        assert made.offset() == 5
        control.pause()
        await control.until_sent(50)


async def test_very_many_held_orders_do(monkeypatch):
    """Memory is bounded: at the bound reading rests, and nothing is dropped."""
    monkeypatch.setattr(shard_task_module, "_HELD_AT_MOST", 5)
    async with bench() as made:
        control = Controlled(made)
        control.pause(EVERYTHING)
        control.decide(*(order(number) for number in range(6)))
        await made.until(lambda: len(made.worker.tasks[0].held) == 6)
        waiting = asyncio.create_task(sell(made, 0, 5))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        control.pause()
        await waiting
        await control.until_sent(6)


async def test_unread_audit_log_holds():
    """Whether somebody paused is not known: no order goes."""
    async with bench() as made:
        control = Controlled(made)
        control.pause(is_known=False)
        control.decide(order(1))
        await control.until_held(HoldReason.CONTROL_AWAY)
        control.pause()
        await control.until_sent(1)


async def test_without_redis_orders_wait_and_alerts_go_out_unstored():
    """A stored order waits with Redis; an alert follows from the log alone and needs no store."""
    async with bench(handover=GateThresholds(calm_s=5.0)) as made:
        control = Controlled(made)
        control.decide(order(1))
        await control.until_held(HoldReason.STARTING)
        made.store.is_away = True
        made.worker.store_health.note_failure("ping", OSError("away"))
        control.decide(ALERT)
        await made.until(lambda: ALERT in made.kafka.published)
        await control.until_held(HoldReason.STORE_AWAY)
        assert control.sent == []
        made.store.is_away = False
        await made.until(lambda: made.worker.store_failed_since is None)
        await looked_at(made, made.now + 1)
        await looked_at(made, made.now + 5)
        await control.until_sent(1)
        assert made.kafka.published.count(ALERT) == 1
        await made.until(lambda: made.store.kept[0].outbox == {})


async def test_lag_holds_until_the_log_is_read():
    """Records beyond the bound wait in Kafka: decisions would be old."""
    async with bench(handover=GateThresholds(lag_records=4, calm_s=0.0)) as made:
        control = Controlled(made)
        made.consumer.highwaters[ORDERS] = 10
        control.decide(order(1))
        await control.until_held(HoldReason.LAG)
        await sell(made, 0, 9)
        await control.until_sent(1)


async def test_old_unread_record_holds_though_they_are_few():
    """A backlog of three days may be ten records; its age counts, until the log is read to its end.

    A replay of old events was written just now, and is not held.
    """
    async with bench() as made:
        control = Controlled(made)
        made.now = START_MS / 1000 + 8 * DAY / 1000  # three days after Kafka got the records
        made.consumer.highwaters[ORDERS] = 10
        await sell(made, 0, 5)
        control.decide(order(1))
        await control.until_held(HoldReason.LAG)
        await sell(made, 5, 5)
        await control.until_sent(1)


async def test_live_log_that_goes_silent_holds():
    """Heartbeats come every second; without them nobody knows what the shop sells."""
    async with bench() as made:
        control = Controlled(made)
        for topic in ("orders", "stock"):
            beat = b'{"kind":"heartbeat","occurred_at":%d}' % START_MS
            await made.read(topic, [beat], 0)
        await until_open(made)
        made.now += 61
        control.decide(order(1))
        await control.until_held(HoldReason.LAG)


async def test_stock_that_grew_old_while_an_order_waited_holds_it():
    """In a live log the shelf has to be counted again first."""
    async with bench() as made:
        control = Controlled(made)
        await sell(made, 0, 1, counted_ms=START_MS - 401 * DAY)
        control.decide(order(1))
        await control.until_held(HoldReason.STALE_STOCK)
        made.worker.tasks[0].shard.timeline.items.rows["counted_at_ms"] = START_MS
        made.now += 10
        await control.until_sent(1)


async def test_clock_behind_the_logs_holds():
    """Events from the future: this machine's clock, or somebody's, is wrong."""
    async with bench() as made:
        control = Controlled(made)
        await sell(made, 0, 1)
        made.now -= 3_600
        control.decide(order(1))
        await control.until_held(HoldReason.CLOCK)
        made.now += 3_600
        await control.until_sent(1)


async def test_clock_that_jumps_back_shuts_the_gate():
    """Though the logs agree with it before and after."""
    async with bench(handover=GateThresholds(calm_s=5.0, clock_s=10.0)) as made:
        await looked_at(made, made.now + 10_000)
        await looked_at(made, made.now + 5)
        assert made.worker.tasks[0].gate.is_open
        await looked_at(made, made.now - 600)
        assert made.worker.tasks[0].gate.reasons == (HoldReason.CLOCK,)
        await looked_at(made, made.now + 1)
        await looked_at(made, made.now + 5)
        assert made.worker.tasks[0].gate.is_open


async def test_kafkas_time_that_runs_backwards_holds_in_a_live_log():
    """The broker's clock, or a producer's, went back."""
    async with bench(handover=GateThresholds(calm_s=0.0, clock_s=10.0)) as made:
        control = Controlled(made)
        await sell(made, 0, 1)
        await until_open(made)
        from faust.types import TP

        from tests.streams.fakes import chunk_of

        back = chunk_of(sales(1, 1), 1, START_MS)
        await made.worker.take(TP(PREFIX + "orders", 0), [back])
        control.decide(order(1))
        await control.until_held(HoldReason.CLOCK)


# -- people ----------------------------------------------------------------------------------------


def response(kind: str, po_id: str, number: int) -> tuple[str, bytes]:
    """What somebody says of an order."""
    sku, warehouse = ITEMS[0]
    return "order-responses", event(kind, f"r{number}", START_MS, (sku, warehouse), po_id=po_id)


def say(control: Controlled, kind: str, po_id: str = "po-1") -> None:
    """Let a response take effect, as `advance` does."""
    task = control.made.worker.tasks[0]
    task.shard.outbox.judge(po_id, *ITEMS[0], kind)
    task.is_dirty = True
    control.made.worker.signals.work.set()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(approval_amount=19.0), HoldReason.APPROVAL),
        (Limits(cap_units_per_item_day=9), HoldReason.CAP_UNITS),
        (Limits(cap_amount_per_item_day=19.0), HoldReason.CAP_AMOUNT),
    ],
)
async def test_large_order_waits_for_a_persons_word(limits, reason):
    """The approval is stored with the order, and lets go that one and no other."""
    async with bench(order_limits=limits) as made:
        control = Controlled(made)
        control.decide(order(1), order(2))
        await control.until_held(reason)
        say(control, "approved")
        await control.until_sent(1)
        assert control.sent[0].value == order(1).value
        assert list(made.worker.tasks[0].held) == ["po-2"]


async def test_word_about_an_order_survives_the_worker():
    """Approved while the gate was shut, sent by the next owner."""
    limits = Limits(approval_amount=19.0)
    async with bench(order_limits=limits) as made:
        control = Controlled(made)
        control.pause(EVERYTHING)
        await sell(made, 0, 1)
        control.decide(order(1))
        say(control, "approved")
        await control.until_held(HoldReason.PAUSED)
        await made.until(lambda: len(made.store.kept[0].outbox) == 1)
    async with bench(made.store, order_limits=limits) as other:
        other.worker.tasks[0].shard.timeline.items.rows["counted_at_ms"] = START_MS
        await Controlled(other).until_sent(1)


async def test_held_order_waits_until_it_is_released():
    """Somebody held this one order; the last word counts."""
    async with bench() as made:
        control = Controlled(made)
        control.pause(EVERYTHING)
        control.decide(order(1))
        await control.until_held(HoldReason.PAUSED)
        say(control, "held")
        control.pause()
        await control.until_held(HoldReason.HELD)
        say(control, "released")
        await control.until_sent(1)


@pytest.mark.parametrize("kind", ["rejected", "cancelled"])
async def test_order_called_off_while_a_person_held_it_never_leaves(kind):
    """It is gone from the outbox, here and in the store."""
    async with bench() as made:
        control = Controlled(made)
        control.pause(EVERYTHING)
        await sell(made, 0, 1)
        control.decide(order(1), order(2))
        await control.until_held(HoldReason.PAUSED)
        say(control, "held")
        say(control, kind)
        await made.until(lambda: made.worker.tasks[0].shard.outbox.orders == 1)
        control.pause()
        await control.until_sent(1)
        assert control.sent == [order(2)]
        await made.until(lambda: made.store.kept[0].outbox == {})


async def test_order_that_never_leaves_is_written_down_before_it_is_forgotten():
    """What nobody wants any more is kept until the audit log says so."""
    async with bench(order_limits=Limits(approval_amount=5.0)) as made:
        control = Controlled(made)
        made.recorder.is_away = True
        control.decide(order(1))
        await control.until_held(HoldReason.APPROVAL)
        say(control, "cancelled")
        await made.until(lambda: made.recorder.asked > 2)
        assert len(made.store.kept[0].outbox) == 1
        made.recorder.is_away = False
        await made.until(lambda: not made.store.kept[0].outbox)
        assert (made.recorder.left, control.sent) == (["po-1"], [])


async def test_order_called_off_while_the_log_lagged_leaves_all_the_same():
    """The ledger says the same at any speed: proposed, and called off after it."""
    async with bench(handover=GateThresholds(lag_records=4, calm_s=0.0)) as made:
        control = Controlled(made)
        made.consumer.highwaters[ORDERS] = 10
        control.decide(order(1))
        await control.until_held(HoldReason.LAG)
        say(control, "cancelled")
        await sell(made, 0, 10)
        await control.until_sent(1)
        assert control.sent[0].value == order(1).value


async def test_word_about_another_items_order_says_nothing():
    """Only a response with the order's own sku and warehouse counts."""
    async with bench(order_limits=Limits(approval_amount=19.0)) as made:
        control = Controlled(made)
        control.decide(order(1))
        await control.until_held(HoldReason.APPROVAL)
        made.worker.tasks[0].shard.outbox.judge("po-1", "other", "main", "approved")
        await asyncio.sleep(0.05)
        assert control.reasons == {HoldReason.APPROVAL}


def answer(
    control: Controlled, verdict: Verdict, units: int = 10, moment_ms: int = AHEAD_MS
) -> None:
    """Let a person say so of the first order, at a moment that the logs have not reached."""
    given = Answer(
        po_id="po-1", verdict=verdict, quantity=units, expected_ms=START_MS, moment_ms=moment_ms
    )
    control.made.controls = Controls(answers={"po-1": given})


async def test_answer_of_a_person_acts_before_the_logs_reach_it():
    """An approved order leaves at once, with its new date: the bytes that the event gives it."""
    async with bench(order_limits=Limits(approval_amount=19.0)) as made:
        control = Controlled(made)
        control.decide(order(1), order(2))
        await control.until_held(HoldReason.APPROVAL)
        answer(control, Verdict.APPROVED)
        await control.until_sent(1)
        assert control.sent == [with_response(order(1), "approved", None, START_MS)]
        assert control.reasons == {HoldReason.APPROVAL}


async def test_approval_of_other_units_than_the_order_has_is_none():
    """Approved at 8 after a change that the logs have not brought yet: it waits for that."""
    async with bench(order_limits=Limits(approval_amount=5.0)) as made:
        control = Controlled(made)
        control.decide(order(1))
        await control.until_held(HoldReason.APPROVAL)
        answer(control, Verdict.APPROVED, units=8)
        await asyncio.sleep(0.05)
        assert control.sent == []
        made.worker.tasks[0].shard.outbox.judge("po-1", *ITEMS[0], "changed", 8, None)
        await control.until_sent(1)
        assert control.sent[0].order_summary.quantity == 8


@pytest.mark.parametrize("verdict", [Verdict.REJECTED, Verdict.CHANGED])
async def test_order_that_somebody_rejects_or_changes_waits_for_the_logs(verdict):
    """Nothing that is about to be another order leaves; then the logs say what leaves."""
    async with bench() as made:
        control = Controlled(made)
        control.pause(EVERYTHING)
        control.decide(order(1))
        await control.until_held(HoldReason.PAUSED)
        answer(control, verdict)
        await control.until_held(HoldReason.HELD)
        answer(control, verdict, moment_ms=NO_CLOCK)
        await control.until_sent(1)


# -- liveness --------------------------------------------------------------------------------------


async def test_heartbeat_that_is_not_read_back_shows_a_hung_consumer():
    """A consumer that hangs does not learn that its log has grown: our own heartbeat tells."""
    async with bench(stuck_after_s=60, heartbeat_interval_s=0.01) as made:
        await sell(made, 0, 1)
        await made.until(lambda: bool(made.kafka.beats))
        await made.until(lambda: made.worker.tasks[0].unread_heartbeat_ms > 0)
        assert made.worker.is_alive()
        made.now += 61
        assert not made.worker.is_alive()


async def test_worker_without_its_store_is_alive():
    """Reading rests then by design, and a restart would mend nothing."""
    async with bench(stuck_after_s=60) as made:
        made.consumer.highwaters[ORDERS] = 10
        assert made.worker.is_alive()
        made.now += 61
        made.worker.store_health.note_failure("ping", OSError("away"))
        assert made.worker.is_alive()
