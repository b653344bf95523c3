"""The demand estimate and the movements, against loops over plain numbers."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.estimate import EstimateSettings, close_day
from streams.events import Kind
from streams.items import ROW
from streams.movements import apply_entries
from streams.pending import ENTRY

SETTINGS = EstimateSettings()


class Holt:
    """One item's estimate, day by day."""

    def __init__(self) -> None:
        self.days = 0
        self.level = self.trend = self.variance = self.orders = self.order_variance = 0.0

    def close(self, units: int, orders: int) -> None:
        """Take a day in."""
        if not self.days and not orders:
            return
        sold = float(max(units, 0))
        weight = max(SETTINGS.level_weight, 1 / (self.days + 1))
        if not self.days:
            self.level, self.variance = sold, sold
            self.orders = self.order_variance = float(orders)
        else:
            expected = max(self.level + self.trend, 0.0)
            error = sold - expected
            level = expected + weight * error
            if self.days >= 14:
                self.trend += SETTINGS.trend_weight * (level - self.level - self.trend)
            self.level = level
            spread = max(SETTINGS.variance_weight, 1 / self.days)
            self.variance += spread * (error * error - self.variance)
            missed = orders - self.orders
            self.orders += weight * missed
            self.order_variance += weight * (missed * missed - self.order_variance)
        self.days += 1


@settings(deadline=None)
@given(
    days=st.lists(
        st.lists(st.tuples(st.integers(-20, 500), st.integers(0, 50)), min_size=3, max_size=3),
        max_size=60,
    )
)
def test_estimate_is_holts_method_day_by_day(days):
    """Level, trend and variances of every item equal a loop over its days; days before the first
    sale do not count.
    """
    rows = np.zeros(3, ROW)
    plain = [Holt() for _ in range(3)]
    for day in days:
        for item, (units, orders) in enumerate(day):
            rows["day_units"][item], rows["day_orders"][item] = units, orders
            plain[item].close(units, orders)
        close_day(rows, SETTINGS)
        assert not rows["day_units"].any()
        assert not rows["day_orders"].any()
    for row, holt in zip(rows, plain, strict=True):
        assert row["observed_days"] == holt.days
        for name, value in (
            ("demand_level_units_per_day", holt.level),
            ("demand_trend_units_per_day", holt.trend),
            ("demand_variance_units", holt.variance),
            ("order_level_per_day", holt.orders),
            ("order_variance", holt.order_variance),
        ):
            np.testing.assert_allclose(row[name], value, rtol=1e-12, atol=1e-12)


def test_steady_demand_is_found():
    """With the same sales each day the level is they, without trend or spread."""
    rows = np.zeros(1, ROW)
    for _ in range(100):
        rows["day_units"], rows["day_orders"] = 7, 3
        close_day(rows, SETTINGS)
    assert rows["demand_level_units_per_day"][0] == 7
    assert rows["demand_trend_units_per_day"][0] == 0
    assert rows["demand_variance_units"][0] < 0.01
    assert rows["order_level_per_day"][0] == 3


CODES = [
    *(Kind.PLACED, Kind.CANCELLED, Kind.RETURNED, Kind.DISPATCHED, Kind.COUNTED, Kind.ADJUSTED)
]


def moved(row: dict[str, int], code: int, units: int, opens: int, moment: int) -> None:
    """What an event does to its item."""
    at_once = row["assume_dispatched"]
    if code == Kind.PLACED:
        row["day_units"] += units
        row["day_orders"] += opens
        row["tick_orders"] += opens
        row["on_hand_units" if at_once else "backlog_units"] += -units if at_once else units
    elif code == Kind.CANCELLED:
        row["cancelled_units"] += units
        row["day_units"] -= units
        if at_once:
            row["on_hand_units"] += units
        else:
            row["backlog_units"] = max(0, row["backlog_units"] - units)
    elif code == Kind.RETURNED:
        row["returned_units"] += units
        row["on_hand_units"] += units
    elif code == Kind.DISPATCHED:
        row["on_hand_units"] -= units
        row["backlog_units"] = max(0, row["backlog_units"] - units)
    elif code == Kind.COUNTED:
        row["on_hand_units"], row["counted_at_ms"] = units, moment
    else:
        row["on_hand_units"] += units


@settings(deadline=None, max_examples=100)
@given(
    drawn=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(CODES), st.integers(0, 50), st.booleans()),
        max_size=40,
    )
)
def test_movements_are_those_of_a_loop(drawn):
    """Stock, backlog, cancellations and returns follow the entries one by one."""
    entries = np.zeros(len(drawn), ENTRY)
    rows = np.zeros(3, ROW)
    rows["assume_dispatched"] = [False, True, False]
    plain = [{name: int(row[name]) for name in ROW.names if row[name].ndim == 0} for row in rows]
    for place, (item, code, units, opens) in enumerate(drawn):
        entries[place] = (1_000 + place, units, item, code, opens)
        moved(plain[item], code, units, int(opens), 1_000 + place)
    touched = apply_entries(entries, rows)
    assert touched.tolist() == sorted({item for item, *_ in drawn})
    for row, expected in zip(rows, plain, strict=True):
        assert {name: int(row[name]) for name in expected} == expected
