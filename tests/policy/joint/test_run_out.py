"""Equal run-out: containers filled, orders raised to a value, packs shared by key."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.errors import PolicyInputError
from policy.joint.run_out import equal_run_out, fill_container, raise_to_value

DEMAND, STOCK = np.array([10.0, 5, 2]), np.array([60.0, 20, 30])
VOLUMES = np.array([[0.1, 0.2, 0.5]])


def test_the_printed_container() -> None:
    """d 10, 5, 2, stock 60, 20, 30, volumes .1, .2, .5 in 30: all run out after 18.3333 days."""
    filled = fill_container(DEMAND, STOCK, VOLUMES, np.array([30.0]))
    assert filled.run_out_periods == pytest.approx(18.3333, abs=5e-5)
    assert filled.quantities == pytest.approx([123.33, 71.67, 6.67], abs=0.005)


def test_an_item_that_lasts_longer_takes_no_room() -> None:
    """What lies in stock for long is not ordered, and the others fill the container."""
    filled = fill_container(DEMAND, np.array([60.0, 20, 900]), VOLUMES, np.array([30.0]))
    assert filled.quantities[2] == 0
    assert float(VOLUMES[0] @ filled.quantities) == pytest.approx(30)


def test_the_constraint_that_fills_first_ends_the_order() -> None:
    """A container that is full by weight has room left, and no more is ordered."""
    sizes = np.array([[0.1, 0.2, 0.5], [1.0, 1, 1]])
    filled = fill_container(DEMAND, STOCK, sizes, np.array([30.0, 100.0]))
    assert filled.quantities.sum() == pytest.approx(100)
    assert float(VOLUMES[0] @ filled.quantities) < 30


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(-20, 200), st.integers(1, 9), st.integers(1, 12)),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, 500),
)
def test_whole_packs_fit_and_leave_no_room_for_another(
    rows: list[tuple[int, int, int, int]], room: int
) -> None:
    """Packs never exceed the room; an item that sells finds no room for one pack more."""
    demand, stock, size, packs = np.array(rows, dtype=float).T
    filled = fill_container(demand, stock, size[None, :], np.array([float(room)]), packs)
    used = float(size @ filled.quantities)
    assert used <= room * (1 + 1e-9)
    assert (filled.quantities % packs == 0).all()
    if (demand > 0).any():
        assert (used + size * packs > room)[demand > 0].all()


def test_identical_items_share_the_last_packs_by_key() -> None:
    """Ten equal items never differ by more than a pack, and use the whole container."""
    ten = np.ones(10)
    filled = fill_container(
        ten, 0 * ten, ten[None, :], np.array([255.0]), 5 * ten, list("jihgfedcba")
    )
    assert filled.quantities.tolist() == [25.0] * 9 + [30.0]


def test_least_quantities_that_do_not_fit_are_refused() -> None:
    """The refusal names what there is and what was asked for."""
    with pytest.raises(PolicyInputError, match="least quantities must be within"):
        equal_run_out(DEMAND, STOCK, VOLUMES, np.array([3.0]), least=np.full(3, 10.0))


def test_an_order_is_raised_just_beyond_the_minimum() -> None:
    """The raised order reaches the value with the fewest packs, and cuts no line."""
    proposed, cost = np.array([12.0, 0, 0]), np.array([5.0, 4, 3])
    raised = raise_to_value(DEMAND, STOCK, cost, proposed, 500, np.array([6.0, 1, 1])).quantities
    assert (raised >= proposed).all()
    assert 500 <= float(cost @ raised) < 500 + 30
    assert raised[2] == 0  # lasts longest


def test_an_order_without_demand_is_not_raised() -> None:
    """Nothing tells by how much; the lines stay as they are."""
    none = np.zeros(2)
    raised = raise_to_value(none, none, np.ones(2), np.array([3.0, 4]), 500, np.ones(2))
    assert raised.quantities.tolist() == [3, 4]
