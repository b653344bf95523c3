"""Times as shops write them."""

import pytest

from infra.connect.times import BadTimeError, TimeStyle, guess_times, names_zone, read_time

BERLIN = TimeStyle("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-09T21:14:03+08:00", "2026-11-09T21:14:03+08:00"),
        ("2026-11-09 21:14:03 +0800", "2026-11-09T21:14:03+08:00"),
        ("2026-11-09 21:14:03 UTC", "2026-11-09T21:14:03Z"),
        ("2026-11-09T21:14:03", "2026-11-09T21:14:03+01:00"),
        ("2026-07-09 21:14", "2026-07-09T21:14:00+02:00"),
        ("9.11.2026", "2026-11-09T12:00:00+01:00"),
        ("09.11.26 21:14 Uhr", "2026-11-09T21:14:00+01:00"),
        ("09/11/2026 9:14 PM", "2026-11-09T21:14:00+01:00"),
        ("12:00 9/11/2026", None),
        ("Nov 9, 2026 9:14 pm", "2026-11-09T21:14:00+01:00"),
        ("9 novembre 2026 à 21:14", "2026-11-09T21:14:00+01:00"),
        ("9 de noviembre de 2026", "2026-11-09T12:00:00+01:00"),
        ("2026年11月9日 21:14", "2026-11-09T21:14:00+01:00"),
        ("20261109", "2026-11-09T12:00:00+01:00"),
        ("1794355401", "2026-11-11T00:03:21Z"),
        ("1794355401284", "2026-11-11T00:03:21.284Z"),
        ("46337.5", "2026-11-11T12:00:00+01:00"),
        ("31/02/2026", None),
        ("yesterday", None),
        ("12.50", None),
        ("2026-11-09 25:00", None),
    ],
)
def test_times_are_read(text, time):
    """Every way has one meaning, or is refused."""
    if time is None:
        with pytest.raises(BadTimeError):
            read_time(text, BERLIN)
    else:
        assert read_time(text, BERLIN) == time


def test_the_order_of_day_and_month_is_given():
    """With points the day is first in any case."""
    american = TimeStyle(order="mdy")
    assert read_time("11/09/2026", american) == "2026-11-09T12:00:00Z"
    assert read_time("09.11.2026", american) == "2026-11-09T12:00:00Z"


def test_a_column_says_what_its_times_are():
    """A day above twelve decides which number is the day; a zone is one that all have."""
    assert guess_times(["03/04/2026", "25/12/2026"]).order == "dmy"
    assert guess_times(["03/04/2026", "12/25/2026"]).order == "mdy"
    assert guess_times(["03/04/2026"]).order is None
    assert not guess_times(["lamp", "mug"]).are_times
    assert not guess_times(["2026-11-09", "2026-11-09 10:00Z"]).has_zone
    assert not guess_times(["09.11.2026"]).has_clock
    assert names_zone("2026-11-09T21:14:03Z")
