"""A minimum order value: raised where stock is cheap or missing is dear, else the lines wait."""

from dataclasses import replace

import numpy as np
import pytest

from policy.joint.minimum_value import ItemLines, raise_or_wait

LINES = ItemLines(
    demand=np.array([4.0, 2.0]),
    demand_sd=np.array([3.0, 2.0]),
    stock=np.array([30.0, 20.0]),
    unit_cost=np.array([5.0, 8.0]),
    holding_cost=np.array([0.01, 0.02]),
    backorder_cost=np.array([0.5, 0.8]),
    proposed=np.array([40.0, 0.0]),
    packs=np.ones(2),
)


def test_lines_that_are_worth_enough_leave_as_they_are() -> None:
    """At the minimum itself nothing is raised."""
    found = raise_or_wait(LINES, 200, 5, 7)
    assert (found.action, found.quantities.tolist()) == ("order", [40, 0])


def test_an_order_is_raised_where_waiting_would_cost_customers() -> None:
    """The lines would wait four reviews: by then both items owe."""
    found = raise_or_wait(LINES, 1200, 5, 7)
    assert (found.action, found.reviews_to_wait) == ("raise", 4)
    assert (found.cost_of_raising or 0) < (found.cost_of_waiting or 0)
    assert float(LINES.unit_cost @ found.quantities) == pytest.approx(1200, abs=8)


def test_lines_wait_where_stock_lasts_longer_than_the_wait() -> None:
    """With stock for two hundred days the raised order would only lie there."""
    found = raise_or_wait(replace(LINES, stock=np.array([800.0, 400.0])), 1200, 5, 7)
    assert found.action == "wait"
    assert found.quantities.tolist() == [0, 0]
    assert (found.cost_of_waiting or 0) < (found.cost_of_raising or 0)


def test_the_cost_of_certain_demand_is_that_of_arithmetic() -> None:
    """One item without spread, days 3 to 11: stock falls from 100 to 20, or 0 to 80 are owed."""
    one = ItemLines(*(np.array([value]) for value in (10.0, 0.0, 30.0, 1.0, 0.1, 1.0, 20.0, 1.0)))
    found = raise_or_wait(one, 100, 3, 4)
    assert found.reviews_to_wait == 2  # worth 20, and 40 more at each review
    assert found.cost_of_raising == pytest.approx(0.1 * (100 + 20) / 2 * 8)
    assert found.cost_of_waiting == pytest.approx(1.0 * 80 / 2 * 8)


def test_without_lines_or_demand_nothing_is_raised() -> None:
    """No lines are no order; lines of items that do not sell wait for a person."""
    none = replace(LINES, proposed=np.zeros(2))
    assert raise_or_wait(none, 1200, 5, 7).action == "nothing"
    still = raise_or_wait(replace(LINES, demand=np.zeros(2)), 1200, 5, 7)
    assert (still.action, still.reviews_to_wait) == ("wait", None)
