"""Invariants 2 and 6: one order of an occasion, ever; and every decision gives itself again."""

import collections
import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.wording.orders import differences
from policy import PolicyCache, recompute
from streams.contracts.ids import purchase_order_id
from streams.contracts.purchase_orders import PurchaseOrder, SupplierRole
from streams.replenishment.decision_record import (
    CANDIDATE_UNITS,
    CANDIDATES,
    DECISION,
    POLICY_INPUTS,
    RESULTS,
    inputs_record,
)
from streams.replenishment.reviews import decide_items
from streams.replenishment.schedule import first_review_ms, period_ms, window_start_ms
from streams.settings import ReviewSettings
from streams.state.items import ROW
from streams.state.open_orders import OpenOrder, Supply
from streams.timeline.review_step import review_surges
from tests.oracle import DAY, HOUR, MINUTE, milliseconds
from tests.streams.fakes import MemoryStore, as_json
from tests.streams.logs import (
    ITEMS,
    START_MS,
    Logs,
    build,
    catalog_line,
    event,
    random_steps,
    steps,
)
from tests.streams.runs import CACHE, SETTINGS, Run, pieces, read_whole

PIECES = ((0, 2, 1), (3, 1, 0), (1, 3, 5), (5, 1, 1), (2, 7, 0), (4, 1, 2))


def orders_of(run: Run) -> list[PurchaseOrder]:
    """The purchase orders of a run."""
    return [
        msgspec.json.decode(out.value, type=PurchaseOrder)
        for out in run.outputs
        if out.topic == "purchase-orders"
    ]


# -- one order of an occasion ----------------------------------------------------------------------


def check_ids(run: Run) -> None:
    """Each id once, and each is that of its item, window, supplier and occasion."""
    orders = orders_of(run)
    assert [i for i, n in collections.Counter(o.po_id for o in orders).items() if n > 1] == []
    for order in orders:
        name = f"{order.sku}@{order.warehouse}"
        window = time_of(order.window_started_at)
        assert order.po_id == purchase_order_id(name, window, order.supplier_role, order.occasion)
        assert order.quantity > 0


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(drawn=steps())
def test_no_window_is_ordered_for_twice(drawn):
    """Whatever happens to catalog, stock and responses, no id appears twice."""
    first = read_whole(build(drawn))
    known = tuple((o.po_id, (o.sku, o.warehouse)) for o in orders_of(first))
    check_ids(read_whole(build(drawn, known)))


def test_ids_are_checked():
    """The check above notices a second order of a window."""
    run = read_whole(build(random_steps(2)))
    run.outputs.extend([out for out in run.outputs if out.topic == "purchase-orders"][:1])
    with pytest.raises(AssertionError):
        check_ids(run)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_deciding_a_window_again_gives_the_same_bytes_under_the_same_id(seed):
    """A worker dies after deciding and before its commit; the next one decides the same."""
    logs = build(random_steps(seed))
    store, run = MemoryStore(), Run()
    lease = store.acquire_now(0)
    for number, (topic, batch, _) in enumerate(pieces(logs, PIECES)):
        if number == 12:
            store.commit_now(lease, run.commit())
            before = len(run.outputs)
            rest = list(pieces(logs, PIECES))[12:]
        run.read(topic, batch)
        run.advance_fully()
    run.commit()
    lost = [(out.key, out.value, out.headers) for out in run.outputs[before:]]
    again = Run()
    again.restart(store.load_now(store.acquire_now(0)))
    for topic, batch, _ in rest:
        again.read(topic, batch)
        again.advance_fully()
    again.commit()
    assert [(out.key, out.value, out.headers) for out in again.outputs] == lost
    assert any(b"proposed" in value for _, value, _ in lost)


@settings(deadline=None, max_examples=60)
@given(
    name=st.text(min_size=1, max_size=8),
    windows=st.lists(st.integers(0, 2**45), min_size=2, max_size=2, unique=True),
)
def test_ids_differ_where_any_part_differs(name, windows):
    """Item, window, supplier and occasion: each of them is in the id."""
    ids = {
        purchase_order_id(key, window, role, occasion)
        for key in (name, name + "x")
        for window in windows
        for role in SupplierRole
        for occasion in ("regular", "surge")
    }
    assert len(ids) == 16


def stocked(days: int = 4, **changes) -> Logs:
    """An item that sells 10 a day from a stock of 5, reviewed daily."""
    logs = Logs()
    now = START_MS
    logs.add("catalog", catalog_line("c", now, ITEMS[0], **changes), now)
    logs.add("stock", event("counted", "s", now, ITEMS[0], level=5), now)
    logs.beat(now)
    for hour in range(24 * days):
        now += HOUR
        if hour % 2 == 0:
            sale = event("placed", f"e{hour}", now, ITEMS[0], order_id=f"o{hour}", quantity=1)
            logs.add("orders", sale, now)
        logs.beat(now + MINUTE)
    return logs


def test_drafts_count_as_supply():
    """An order counts from the moment it is decided: the next review sees it as on its way, and
    the position is never counted short again before it is overdue.
    """
    run = read_whole(stocked(5, lead_time_days_lean=6.0, lead_time_days_flexible=5.5))
    ordered = 0
    decisions = [np.frombuffer(packed, DECISION)[0] for _, _, _, packed in sorted(run.decisions)]
    assert len(decisions) >= 4
    for decision in decisions:
        on_order = decision["on_order_lean_units"] + decision["on_order_flexible_units"]
        assert on_order == ordered
        position = decision["on_hand_units"] - decision["backlog_units"] + on_order
        assert decision["inventory_position_units"] == position
        ordered += decision["quantity_lean_units"] + decision["quantity_flexible_units"]
    assert ordered > 0
    assert sum(order.outstanding for order in run.shard.timeline.supply) == ordered


# -- every decision gives itself again -------------------------------------------------------------


def check_recomputed(run: Run) -> int:
    """Recompute every decision from its record; return how many were not held."""
    free = 0
    for _, _, _, packed in run.decisions:
        decision = np.frombuffer(packed, DECISION)[0]
        if decision["method"] == b"held":
            assert decision["reason"] in (b"stale_stock", b"too_little_history")
            assert not decision["quantity_lean_units"]
            assert not decision["quantity_flexible_units"]
            assert np.isinf([decision[name] for name in RESULTS]).all()
            continue
        free += 1
        record = inputs_record(decision)
        again = recompute({name: record[name] for name in POLICY_INPUTS})
        for name in ("quantity_lean_units", "quantity_flexible_units"):
            assert again[name] == decision[name]
        assert again["reason"] == decision["reason"].decode()
        assert again["method"] == decision["method"].decode()
        assert again["demand_family_used"] == record["demand_family"]
        for name in (*RESULTS, *CANDIDATE_UNITS, *(f"expected_cost_{one}" for one in CANDIDATES)):
            value = decision[name].item()
            assert again[name] == (None if math.isinf(value) else value), name
    return free


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_every_decision_recomputes_from_its_record(seed):
    """Quantities, reason and method follow from the stored inputs alone, in any logs."""
    check_recomputed(read_whole(build(random_steps(seed, 80))))


def test_exact_decisions_recompute_from_the_published_order():
    """Where the dynamic program decided, the order's own JSON is enough, too."""
    exact = {"lead_time_days_lean": 0.5, "lead_time_days_flexible": 0.25, "service_target": 0.9}
    run = read_whole(stocked(6, **exact))
    assert check_recomputed(run) >= 3
    methods = set()
    for order in orders_of(run):
        inputs = {name: order.inputs[name] for name in POLICY_INPUTS}
        again = recompute(inputs)
        assert again[f"quantity_{order.supplier_role}_units"] == order.quantity
        assert (again["reason"], again["method"]) == (order.reason, order.method)
        for candidate, cost in msgspec.to_builtins(order.candidates).items():
            found = again[f"expected_cost_{candidate}"]
            assert cost == (None if found is None else round(found, 2))
        assert differences(order, again) == []
        methods.add(order.method)
    assert methods == {"exact"}


def test_recomputing_notices_a_changed_record():
    """The comparison above is no tautology."""
    run = read_whole(stocked(5))
    changed = []
    for reviewed, surge, name, packed in run.decisions:
        decision = np.frombuffer(packed, DECISION).copy()
        decision["inventory_position_units"] += 40
        changed.append((reviewed, surge, name, decision.tobytes()))
    run.decisions = changed
    with pytest.raises(AssertionError):
        check_recomputed(run)


def test_cache_decides_nothing():
    """A decision is the same from an empty cache and from a full one, alone or among others."""
    rows = read_whole(stocked(4)).shard.timeline.items.rows[:1]
    many = np.repeat(rows, 5)
    many["demand_level_units_per_day"] *= [1, 2, 1, 3, 1]
    places, windows = np.arange(5), np.zeros(5, np.int64)
    kwargs = {"is_surge": False, "settings": ReviewSettings(minimum_days=1)}
    demand = many["demand_level_units_per_day"].copy()
    at = int(rows["next_review_ms"][0])
    together = decide_items(many, places, windows, demand, at, cache=CACHE, **kwargs)
    for place in range(5):
        one = slice(place, place + 1)
        cache = PolicyCache(100_000)
        alone = decide_items(
            many, places[one], windows[one], demand[one], at, cache=cache, **kwargs
        )
        assert alone.tobytes() == together[one].tobytes()


def decided(change: dict[str, float], demand: float, planned: float = 0.0) -> np.void:
    """The decision about an item whose row differs by `change`."""
    rows = read_whole(stocked(4)).shard.timeline.items.rows[:1].copy()
    for name, value in change.items():
        rows[name] = value
    return decide_items(
        rows,
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
        np.full(1, demand),
        int(rows["next_review_ms"][0]),
        is_surge=False,
        settings=ReviewSettings(minimum_days=1),
        cache=CACHE,
        planned_units_per_day=np.full(1, planned),
    )[0]


KNOWN = {"observed_days": 30, "demand_level_units_per_day": 10.0, "demand_variance_units": 40.0}


@pytest.mark.parametrize(
    ("change", "demand", "family", "fit", "sd"),
    [
        ({}, 10.0, 3, b"overdispersed", 40.0),
        ({}, 30.0, 3, b"overdispersed", 120.0),  # three times the demand, the same dispersion
        ({"demand_variance_units": 10.0}, 10.0, 2, b"equidispersed", 10.0),
        ({"observed_days": 2, "demand_variance_units": 0.0}, 10.0, 2, b"too_little_history", 10.0),
        ({"demand_level_units_per_day": 0.0, "demand_variance_units": 0.0}, 8.0, 2, b"", 8.0),
    ],
)
def test_a_decision_names_the_distribution_it_saw(change, demand, family, fit, sd):
    """Family and fit check stand in the decision; more demand than usual is spread wider."""
    decision = decided(KNOWN | change, demand, planned=3.0)
    assert decision["demand_family"] == family
    assert decision["demand_fit"] == (fit or b"equidispersed")
    assert decision["demand_sd_units_per_day"] == pytest.approx(math.sqrt(sd))
    assert decision["demand_planned_units_per_day"] == 3.0


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"counted_at_ms": 0}, b"stale_stock"), ({"observed_days": 0}, b"too_little_history")],
)
def test_without_known_stock_or_history_nothing_is_ordered(change, reason):
    """Fail closed: the reason says why."""
    rows = read_whole(stocked(4)).shard.timeline.items.rows[:1].copy()
    for name, value in change.items():
        rows[name] = value
    at = int(rows["next_review_ms"][0])
    decided = decide_items(
        rows,
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
        np.full(1, 50.0),
        at,
        is_surge=False,
        settings=ReviewSettings(minimum_days=1),
        cache=CACHE,
    )[0]
    assert (decided["reason"], decided["method"]) == (reason, b"held")
    assert not decided["quantity_lean_units"] + decided["quantity_flexible_units"]


def test_review_of_the_time_before_going_live_orders_nothing():
    """History is learned from: the decision says why it orders nothing, a later one orders."""
    logs = stocked(6)
    first_ms = min(milliseconds(one.decided_at) for one in orders_of(read_whole(logs)))
    review = replace(SETTINGS.timeline.review, live_from_ms=first_ms + 2 * DAY)
    timeline = replace(SETTINGS.timeline, review=review)
    run = read_whole(logs, replace(SETTINGS, timeline=timeline))
    decided_ms = min(milliseconds(order.decided_at) for order in orders_of(run))
    assert decided_ms == first_ms + 2 * DAY
    records = [np.frombuffer(one[-1], DECISION)[0] for one in run.decisions]
    before = [one for one in records if one["reviewed_ms"] < review.live_from_ms]
    assert [one["reason"] for one in before] == [b"not_live"] * 2
    assert not any(one["quantity_lean_units"] + one["quantity_flexible_units"] for one in before)


# -- when it is an item's turn ---------------------------------------------------------------------


@settings(deadline=None)
@given(
    key=st.text(min_size=1, max_size=20),
    after=st.integers(0, 2**42),
    hours=st.integers(1, 24 * 30),
)
def test_each_item_has_its_turn_once_in_each_period(key, after, hours):
    """The next turn lies within one period, on a slot, and the turns after it a period apart."""
    period = hours * HOUR
    turn = first_review_ms(key, after, period, HOUR)
    assert after < turn <= after + period
    assert turn % HOUR == 0
    assert first_review_ms(key, turn, period, HOUR) == turn + period
    assert first_review_ms(key, turn - 1, period, HOUR) == turn
    assert window_start_ms(turn + period - 1, turn % period, period) == turn


def test_items_are_spread_over_the_period():
    """Of 2,400 items with a daily review about a hundred have their turn in each hour."""
    turns = [first_review_ms(f"sku-{n}@main", 0, DAY, HOUR) for n in range(2_400)]
    hours = np.bincount(np.array(turns) // HOUR % 24, minlength=24)
    assert hours.min() > 50
    assert hours.max() < 160


@pytest.mark.parametrize(("days", "hours"), [(0.01, 1), (1, 24), (0.05, 1), (1.02, 24), (7, 168)])
def test_period_is_whole_slots_and_at_least_one(days, hours):
    """Reviews fall on slots."""
    row = np.zeros(1, ROW)
    row["review_period_days"] = days
    assert period_ms(row, HOUR).tolist() == [hours * HOUR]


def test_jump_over_many_periods_reviews_each_once():
    """A week of event time in one advance: one review a day, each with its own window."""
    run = read_whole(stocked(7))
    regular = [one for one in sorted(run.decisions) if not one[1]]
    reviewed = [moment for moment, _, _, _ in regular]
    assert len(reviewed) >= 6
    assert set(np.diff(reviewed).tolist()) == {DAY}
    windows = [int(np.frombuffer(d[3], DECISION)[0]["window_ms"]) for d in regular]
    assert windows == reviewed


# -- supply ----------------------------------------------------------------------------------------


def open_order(po_id: str = "po-1", **changes) -> OpenOrder:
    """An order of ten units due at 100."""
    values = {"item": 0, "role": SupplierRole.LEAN, "supplier": "lean", "quantity": 10}
    values |= {"outstanding": 10, "due_ms": 100, "is_assumed": False, **changes}
    return OpenOrder(po_id=po_id, **values)


def first_order(logs: Logs) -> PurchaseOrder:
    """The first order that a log brings."""
    return orders_of(read_whole(logs))[0]


def after(kind: str, topic: str = "order-responses", **fields) -> tuple[Run, PurchaseOrder]:
    """What a response an hour after the first order does to it."""
    logs = stocked(4)
    order = first_order(logs)
    decided = time_of(order.decided_at)
    value = event(
        kind, "r", decided + HOUR, (order.sku, order.warehouse), po_id=order.po_id, **fields
    )
    place = sum(1 for v, _ in logs.of[topic] if as_json(v)["occurred_at"] <= decided + HOUR)
    logs.of[topic].insert(place, (value, decided + HOUR))
    end = max(written for _, written in logs.of["orders"])
    assert decided + HOUR < end
    return read_whole(logs), order


def time_of(text: str) -> int:
    """Milliseconds of a time in an order."""
    found = milliseconds(text)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["cancelled", "rejected"])
def test_response_that_ends_an_order_ends_its_supply(kind):
    """Cancelled and rejected orders are no supply any more."""
    run, order = after(kind)
    assert run.shard.timeline.supply.get(order.po_id) is None


@pytest.mark.parametrize("kind", ["approved", "held", "released", "sent", "acknowledged"])
def test_response_that_does_not_end_an_order_leaves_it_as_supply(kind):
    """Every other state counts as supply until the order is closed."""
    run, order = after(kind)
    kept = run.shard.timeline.supply.get(order.po_id)
    assert (kept.state, kept.outstanding) == (kind, order.quantity)


def test_changed_order_stands_at_its_new_quantity_and_date():
    """The supplier delivers another quantity at another time."""
    run, order = after("changed", quantity=order_quantity() + 7, expected_at=START_MS + 30 * DAY)
    kept = run.shard.timeline.supply.get(order.po_id)
    assert kept.quantity == kept.outstanding == order.quantity + 7
    assert kept.due_ms == START_MS + 30 * DAY


def order_quantity() -> int:
    """Units of the first order."""
    return first_order(stocked(4)).quantity


@pytest.mark.slow
def test_goods_received_in_parts_close_the_order_at_the_last():
    """Parts reduce what is to come and raise the stock."""
    run, order = after("received", "shipments", supplier="lean", quantity=2)
    kept = run.shard.timeline.supply.get(order.po_id)
    assert kept.outstanding == order.quantity - 2
    run, order = after("received", "shipments", supplier="lean", quantity=order_quantity())
    assert run.shard.timeline.supply.get(order.po_id) is None


def test_assumed_arrival_comes_on_its_due_date():
    """A shop without shipment events: the order is on the shelf when it is due."""
    run = read_whole(stocked(5, assume_received=True, assume_dispatched=True))
    order = orders_of(run)[0]
    assert time_of(order.expected_at) < run.shard.timeline.applied_ms
    assert run.shard.timeline.supply.get(order.po_id) is None
    arrived = sum(
        o.quantity for o in orders_of(run) if time_of(o.expected_at) < run.shard.timeline.applied_ms
    )
    row = run.shard.timeline.items.rows[0]
    sold = sum(cell[0] for cell in run.days.values())
    applied = run.shard.timeline.applied_ms
    assert math.isclose(row["on_hand_units"], 5 - sold + arrived, abs_tol=1)
    assert row["next_due_ms"] >= applied or not row["next_due_ms"]


def test_due_date_moved_away_and_back_is_taken_once():
    """A delay that was taken back leaves one due date."""
    supply = Supply()
    order = open_order()
    supply.open(order)
    supply.change(order, outstanding=10, due_ms=200)
    supply.change(order, outstanding=10, due_ms=100)
    assert supply.next_due() == (100, "po-1")
    assert supply.take_due() is order
    assert supply.next_due() is None


def test_due_dates_that_were_taken_are_not_taken_again_after_a_restart():
    """An order that was late before the restart is not late once more; one due now is."""
    stored = [msgspec.json.encode(open_order(f"po-{due}", due_ms=due)) for due in (99, 100, 101)]
    supply = Supply()
    supply.restore(stored, 100)
    assert supply.take_due().po_id == "po-100"
    assert supply.take_due().po_id == "po-101"
    assert supply.next_due() is None
    assert supply.on_order_units(0, SupplierRole.LEAN) == 30


def test_known_order_is_not_opened_twice():
    """The same id again is the same order: it is not counted twice as supply."""
    supply = Supply()
    supply.open(open_order())
    supply.open(open_order())
    assert supply.on_order_units(0, SupplierRole.LEAN) == 10
    assert len(supply) == 1


@settings(deadline=None, max_examples=100)
@given(
    moves=st.lists(
        st.tuples(st.integers(0, 4), st.integers(-3, 12), st.integers(0, 300)), max_size=40
    )
)
def test_supply_is_the_sum_of_what_is_outstanding(moves):
    """Opened, reduced, moved and closed: sums and due dates follow, and a restored one is equal."""
    supply, plain = Supply(), {}
    kept: dict[str, bytes] = {}
    for number, (order_number, outstanding, due) in enumerate(moves):
        po_id = f"po-{order_number}"
        if supply.get(po_id) is None:
            po_id = f"{po_id}-{number}"
        order = supply.get(f"po-{order_number}")
        if order is None:
            po_id = f"po-{order_number}"
            supply.open(open_order(po_id, due_ms=due))
            plain[po_id] = (10, due)
        else:
            supply.change(order, outstanding=outstanding, due_ms=due)
            plain[order.po_id] = (max(0, outstanding), due)
            if outstanding <= 0:
                del plain[order.po_id]
        for changed, stored in supply.take_changes().items():
            kept.pop(changed, None)
            if stored is not None:
                kept[changed] = stored
        assert supply.on_order_units(0, SupplierRole.LEAN) == sum(o for o, _ in plain.values())
        assert supply.next_arrival_ms(0) == min((d for _, d in plain.values()), default=0)
    restored = Supply()
    restored.restore(list(kept.values()), 0)
    dates = []
    for one in (supply, restored):
        found = []
        while (due := one.next_due()) is not None:
            found.append((due, one.take_due().po_id))
        dates.append(found)
    assert dates[0] == dates[1] == sorted(((d, po), po) for po, (_, d) in plain.items())


def test_surge_window_is_reviewed_once_even_if_the_catalog_moves_it_to_and_fro():
    """A changed review period shifts the window, and changing it back brings the old one again."""
    run = read_whole(stocked(4))
    timeline = run.shard.timeline
    timeline.items.rows["on_hand_units"][0] = -500
    for hours in (10, 20, 10):
        timeline.items.rows["next_review_ms"][0] = timeline.applied_ms + hours * HOUR
        review_surges(timeline.state, PolicyCache(), np.zeros(1, np.int64), timeline.applied_ms)
    found = [as_json(out.value) for out in timeline.state.take_effects()]
    ids = [one["po_id"] for one in found if one.get("occasion") == "surge"]
    assert len(ids) == len(set(ids)) >= 1
    assert len(timeline.state.take_decisions()) == 2
