"""Lead times learned from receipts."""

import pytest

from policy.dual_index.lead_times import LeadTimes


def test_the_stated_lead_time_stands_until_orders_come():
    """Nothing seen: the stated mean, and a spread of 15 % of it."""
    assert LeadTimes().moments(20.0) == pytest.approx((20.0, 3.0))


def test_receipts_outweigh_what_was_stated():
    """A supplier that states 20 days and takes 30 is believed after a few orders."""
    known = LeadTimes()
    for _ in range(12):
        known = known.with_receipt(30.0)
    mean, sd = known.moments(20.0)
    assert mean == pytest.approx(28.0)
    assert sd > 3.0  # the two disagree: that is uncertainty too


def test_a_lead_time_of_no_days_has_no_spread():
    """What is there at once cannot be late."""
    assert LeadTimes().moments(0.0) == (0.0, 0.0)
