"""How long the oldest order waits, against a queue in which every order stands by itself."""

from collections import deque

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.state.backlog_age import WAITING_MARKS, owe, settle
from streams.state.items import ROW
from streams.timestamps import DAY_MS, HOUR_MS, MINUTE_MS
from tests.streams.logs import START_MS

SALE, DISPATCH = "sale", "dispatch"
_STEPS = st.lists(
    st.tuples(
        st.sampled_from([SALE, SALE, DISPATCH]),
        st.sampled_from([0, 1, 20_000, MINUTE_MS, HOUR_MS, 7 * HOUR_MS, 2 * DAY_MS]),
        st.integers(1, 6),
    ),
    max_size=120,
)


class Queue:
    """Every unit by itself, beside a row that is told the same."""

    def __init__(self) -> None:
        self.rows = np.zeros(1, ROW)
        self.waiting: deque[int] = deque()
        self.now_ms = START_MS
        self.longest_ms = 0  # that the marks ever reached back

    def sell(self, units: int) -> None:
        """Units wait from now on."""
        owe(self.rows[0], units, self.now_ms)
        self.waiting.extend([self.now_ms] * units)
        self.longest_ms = max(self.longest_ms, self.now_ms - self.marks[0][0])

    def dispatch(self, units: int) -> None:
        """The oldest of them leave."""
        settle(self.rows[0], units)
        for _ in range(min(units, len(self.waiting))):
            self.waiting.popleft()

    @property
    def marks(self) -> list[tuple[int, int]]:
        """Since when how many wait, by the row."""
        row = self.rows[0]
        since, units = row["waiting_since_ms"].tolist(), row["waiting_units"].tolist()
        return [mark for mark in zip(since, units, strict=True) if any(mark)]


@settings(deadline=None)
@given(steps=_STEPS)
def test_the_oldest_order_is_told_never_too_young_and_never_much_too_old(steps):
    """Whatever is sold and dispatched when, all that waits stands in the marks, oldest first."""
    queue = Queue()
    for kind, passed_ms, units in steps:
        queue.now_ms += passed_ms
        (queue.sell if kind == SALE else queue.dispatch)(units)
        marks = queue.marks
        assert sum(units for _, units in marks) == len(queue.waiting)
        assert all(units > 0 for _, units in marks)
        assert marks == sorted(marks)
        assert len(marks) <= WAITING_MARKS
        if queue.waiting:
            too_old_ms = queue.waiting[0] - marks[0][0]
            assert 0 <= too_old_ms <= max(MINUTE_MS, queue.longest_ms * 2 / 7)


def test_orders_in_few_minutes_are_told_exactly():
    """As long as there are marks left, the oldest order has one of its own."""
    queue = Queue()
    for _ in range(WAITING_MARKS):
        queue.sell(2)
        queue.now_ms += 7 * HOUR_MS
    for left in range(WAITING_MARKS, 0, -1):
        assert queue.marks[0][0] == queue.waiting[0]
        queue.dispatch(1)
        assert queue.marks[0][0] == queue.waiting[0]
        queue.dispatch(1)
        assert len(queue.marks) == left - 1


def test_nothing_open_has_no_oldest_order():
    """Without a backlog there is no order to wait, even where more was dispatched than ordered."""
    queue = Queue()
    queue.sell(3)
    queue.dispatch(5)
    assert queue.marks == []
