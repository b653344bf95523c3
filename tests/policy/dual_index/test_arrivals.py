"""When open orders are taken to arrive."""

import numpy as np
import pytest

from policy.dual_index.arrivals import are_overdue, arrival_chances, chance_still_to_come

MEAN, SD = np.array(30.0), np.array(7.5)


def test_an_order_that_is_not_due_is_not_doubted():
    """Before its due date nothing speaks against an order."""
    assert chance_still_to_come(np.array(5.0), MEAN, SD) == 1.0


def test_an_order_counts_less_the_longer_it_is_overdue_and_then_not_at_all():
    """What the lead times no longer explain is likely lost; below a tenth it counts as lost."""
    chances = chance_still_to_come(-np.arange(0.0, 60.0), MEAN, SD)
    assert (np.diff(chances) <= 0.0).all()
    assert chances[5] > 0.8
    assert chances[35] == 0.0


def test_a_punctual_supplier_that_is_late_by_a_day_has_lost_the_order():
    """Without spread the day after the due date explains nothing."""
    assert chance_still_to_come(np.array(-1.0), MEAN, np.array(0.0)) == 0.0


def test_an_order_comes_on_its_day_where_the_supplier_is_punctual():
    """It comes in the morning and counts at the end of that day."""
    by_days = np.array([4.0, 5.0, 6.0])
    chances = arrival_chances(by_days, np.array(5.0), MEAN, np.array(0.0))
    assert chances.tolist() == pytest.approx([0.0, 0.0, 1.0])


def test_an_overdue_order_comes_by_the_conditional_distribution():
    """It has not come yet: the share of lead times that are longer is what is left."""
    soon = arrival_chances(np.array(7.0), np.array(-3.0), MEAN, SD)
    before = arrival_chances(np.array(7.0), np.array(3.0), MEAN, SD)
    assert 0.5 < float(soon) < 0.95
    assert float(soon) > float(before)


def test_an_order_is_overdue_only_beyond_what_lead_times_explain():
    """A wide spread explains a week, a narrow one does not."""
    assert not are_overdue(np.array(-7.0), MEAN, SD)
    assert are_overdue(np.array(-7.0), MEAN, np.array(2.0))
