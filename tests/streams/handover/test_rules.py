"""The hand-over: what may leave now, and why the rest waits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contracts.outgoing import OrderStatus, OrderSummary
from streams.handover.gate import Gate, GateInputs, breaches
from streams.handover.rules import Controls, HoldReason, Pause, judge_orders, person_needed
from streams.settings import GateThresholds, Limits

BOUNDS = GateThresholds(lag_records=100, lag_s=60.0, clock_s=10.0, calm_s=5.0)
CALM = GateInputs(True, False, lag_records=0, lag_s=0.0, ahead_s=-1.0, back_s=0.0)


def facts(**changed) -> GateInputs:
    """Calm facts, but for some."""
    values = {name: getattr(CALM, name) for name in CALM.__slots__}
    return GateInputs(**{**values, **changed})


def summary(po_id: str = "po-1", **changed) -> OrderSummary:
    """An order of 10 lamps for 100."""
    values = {
        "supplier": "acme",
        "sku": "lamp",
        "warehouse": "main",
        "quantity": 10,
        "amount": 100.0,
        "currency": "EUR",
        "day_units": 10,
        "day_amount": 100.0,
        "status": OrderStatus.NONE,
    }
    return OrderSummary(po_id, **{**values, **changed})


def judge(waiting, *, gate=(), pauses=(), limits=Limits(), stale=()):  # noqa: B008
    """Reasons of some orders."""
    is_stale = np.array([order.po_id in stale for order in waiting], bool)
    return judge_orders(waiting, is_stale, gate, Controls(tuple(pauses)), limits)


def pause(**what) -> Pause:
    """A pause."""
    return Pause(hold_id="h", who="ada", why="w", since="2026-01-01T00:00:00Z", **what)


# -- the gate --------------------------------------------------------------------------------------


BREACHES = [
    ({"is_control_known": False}, HoldReason.CONTROL_AWAY),
    ({"is_store_away": True}, HoldReason.STORE_AWAY),
    ({"lag_records": 101}, HoldReason.LAG),
    ({"lag_records": None}, HoldReason.LAG),
    ({"lag_s": 60.1}, HoldReason.LAG),
    ({"ahead_s": 10.1}, HoldReason.CLOCK),
    ({"back_s": 10.1}, HoldReason.CLOCK),
]


@pytest.mark.parametrize(("wrong", "reason"), BREACHES)
def test_gate_shuts_at_once_and_says_why(wrong, reason):
    """One fact beyond its bound is enough."""
    gate = Gate(GateThresholds(calm_s=0.0))
    gate.look(CALM, 0.0)
    assert gate.is_open
    gate = Gate(BOUNDS)
    gate.look(CALM, 0.0)
    gate.look(CALM, 5.0)
    assert gate.is_open
    gate.look(facts(**wrong), 5.1)
    assert gate.reasons == (reason,)


@pytest.mark.parametrize(("wrong", "reason"), BREACHES)
def test_gate_opens_only_after_calm(wrong, reason):
    """Below half of every bound for `calm_s`, without interruption; until then the reason stays."""
    gate = Gate(BOUNDS)
    gate.look(facts(**wrong), 0.0)
    gate.look(CALM, 1.0)
    gate.look(CALM, 5.9)
    assert gate.reasons == (reason,)
    gate.look(CALM, 6.0)
    assert gate.is_open


def test_facts_between_half_a_bound_and_the_bound_change_nothing():
    """Hysteresis: an open gate stays open there, a shut one shut."""
    between = facts(lag_records=60)
    gate = Gate(BOUNDS)
    for second in range(100):
        gate.look(between, float(second))
    assert gate.reasons == (HoldReason.STARTING,)
    gate.look(CALM, 100.0)
    gate.look(CALM, 105.0)
    gate.look(between, 106.0)
    assert gate.is_open


def test_new_gate_is_shut():
    """Whoever takes a partition over has to see calm first: it cannot know how far it is behind."""
    assert not Gate(BOUNDS).is_open


@pytest.mark.parametrize("before", [1_000.0, 2.0])
def test_clock_that_jumps_begins_calm_anew(before):
    """Time that was not looked at is not calm, whether the clock or the process stood still."""
    gate = Gate(BOUNDS)
    gate.look(CALM, before)
    gate.look(CALM, 10.0)
    gate.look(CALM, 14.9)
    assert not gate.is_open
    gate.look(CALM, 15.0)
    assert gate.is_open


@given(
    lag_records=st.none() | st.integers(0, 300),
    lag_s=st.floats(0, 300),
    ahead_s=st.floats(-300, 300),
    back_s=st.floats(0, 300),
    share=st.floats(0.01, 1.0),
)
def test_what_breaks_a_bound_breaks_half_of_it_too(lag_records, lag_s, ahead_s, back_s, share):
    """So a gate cannot be calm and broken at once."""
    seen = facts(lag_records=lag_records, lag_s=lag_s, ahead_s=ahead_s, back_s=back_s)
    assert set(breaches(seen, BOUNDS)) <= set(breaches(seen, BOUNDS, share))


@given(st.lists(st.tuples(st.sampled_from([w for w, _ in BREACHES] + [{}]), st.floats(0, 9))))
def test_open_gate_has_seen_calm_for_long_enough(steps):
    """Whatever happened: an open gate has an unbroken stretch of calm behind it."""
    gate = Gate(BOUNDS)
    now, calm_since, was_open = 0.0, None, False
    for wrong, pause_s in steps:
        now += pause_s
        gate.look(facts(**wrong), now)
        if wrong or pause_s > BOUNDS.calm_s:
            calm_since = None
        if not wrong and calm_since is None:
            calm_since = now
        is_calm = calm_since is not None and now - calm_since >= BOUNDS.calm_s
        was_open = was_open and not wrong
        assert gate.is_open == (is_calm or was_open)
        was_open = gate.is_open


# -- orders ----------------------------------------------------------------------------------------


def test_order_goes_when_nothing_holds_it():
    """No pause, an open gate, no limit."""
    assert judge([summary()]) == [None]


@pytest.mark.parametrize(
    ("what", "is_held"),
    [
        ({}, True),
        ({"supplier": "acme"}, True),
        ({"supplier": "other"}, False),
        ({"sku": "lamp"}, True),
        ({"sku": "lamp", "warehouse": "main"}, True),
        ({"sku": "lamp", "warehouse": "north"}, False),
        ({"supplier": "acme", "sku": "vase"}, False),
    ],
)
def test_pause_holds_what_it_names(what, is_held):
    """A pause without names holds everything, with names all that they fit together."""
    expected = HoldReason.PAUSED if is_held else None
    assert judge([summary()], pauses=[pause(**what)]) == [expected]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(approval_amount=100.0), None),
        (Limits(approval_amount=99.9), HoldReason.APPROVAL),
        (Limits(cap_units_per_item_day=10), None),
        (Limits(cap_units_per_item_day=9), HoldReason.CAP_UNITS),
        (Limits(cap_amount_per_item_day=99.0), HoldReason.CAP_AMOUNT),
    ],
)
def test_limit_is_the_largest_value_that_passes(limits, reason):
    """What exceeds a limit waits; what reaches it goes."""
    assert judge([summary()], limits=limits) == [reason]


@pytest.mark.parametrize("status", [OrderStatus.APPROVED, OrderStatus.RELEASED])
def test_persons_word_lifts_limits_but_no_pause_and_no_gate(status):
    """An approved order still waits for the kill switch and for calm."""
    limits = Limits(1.0, 1, 1.0)
    order = summary(status=status)
    assert judge([order], limits=limits) == [None]
    assert judge([order], limits=limits, pauses=[pause()]) == [HoldReason.PAUSED]
    assert judge([order], limits=limits, gate=[HoldReason.LAG]) == [HoldReason.LAG]


def test_amount_that_is_no_number_needs_a_person():
    """NaN exceeds every limit: fail closed."""
    order = summary(amount=float("nan"))
    assert person_needed(order, Limits(approval_amount=1e9)) == HoldReason.APPROVAL


def test_stale_stock_holds_only_its_own_item():
    """Others go on."""
    orders = [summary("po-1"), summary("po-2", sku="vase")]
    assert judge(orders, stale={"po-1"}) == [HoldReason.STALE_STOCK, None]


def test_later_record_of_an_order_never_overtakes_an_earlier_one():
    """A change goes after what it changes, though itself it would be allowed to go."""
    orders = [summary(status=OrderStatus.HELD), summary(), summary("po-2")]
    assert judge(orders) == [HoldReason.HELD, HoldReason.HELD, None]


ORDERS = st.builds(
    summary,
    st.sampled_from(["po-1", "po-2", "po-3", "po-4"]),
    supplier=st.sampled_from(["acme", "other"]),
    sku=st.sampled_from(["lamp", "vase"]),
    amount=st.floats(0, 1_000),
    day_units=st.integers(0, 100),
    status=st.sampled_from(OrderStatus),
)


@given(st.lists(ORDERS), st.lists(st.sampled_from(HoldReason), max_size=2))
def test_nothing_passes_a_shut_gate_or_a_pause_of_everything(orders, gate):
    """Whatever the orders are, and whatever people said of them."""
    if gate:
        assert None not in judge(orders, gate=gate)
    assert None not in judge(orders, pauses=[pause()])


@pytest.mark.slow
@given(st.lists(ORDERS), st.floats(1, 500), st.floats(1, 500))
def test_tighter_limit_lets_no_more_through(orders, one, other):
    """What waits under a limit waits under a smaller one."""
    loose, tight = max(one, other), min(one, other)
    wide = judge(orders, limits=Limits(approval_amount=loose))
    narrow = judge(orders, limits=Limits(approval_amount=tight))
    assert all(b is not None for a, b in zip(wide, narrow, strict=True) if a is not None)
