"""Incidents of a shard's inputs that are about its logs."""

from streams.incidents.input_incidents import InputAlerts
from streams.settings import OrderFeedSettings
from streams.timestamps import DAY_MS, HOUR_MS
from tests.streams.fakes import as_json

NOW = 1_772_323_200_000


def inputs() -> InputAlerts:
    """Nothing has happened yet."""
    return InputAlerts(3, OrderFeedSettings(), HOUR_MS)


def said(records) -> list[tuple[str, str, dict[str, int]]]:
    """Kind, state and figures of alerts."""
    values = [as_json(one.value) for one in records]
    return [(one["kind"], one["state"], one["figures"]) for one in values]


def test_lost_records_are_one_incident_with_their_number_for_a_day():
    """It begins at the next boundary, which comes soon, and ends a day after the last loss."""
    made = inputs()
    made.note_lost(250, NOW)
    assert made.next_ms(NOW) == NOW
    told = {"lost_records": 250}
    assert said(made.close_tick(NOW + 60_000)) == [("records_lost", "raised", told)]
    assert said(made.close_tick(NOW + DAY_MS - 1)) == []
    assert said(made.close_tick(NOW + DAY_MS)) == [("records_lost", "resolved", told)]
    assert said(made.close_tick(NOW + 2 * DAY_MS)) == []


def test_changed_log_is_raised_once_and_ends_with_the_next_boundary():
    """Boundaries wait while a log is not read: one that comes says that it is read again."""
    made = inputs()
    assert said(made.raise_log_changed(NOW)) == [("log_changed", "raised", {})]
    assert said(made.raise_log_changed(NOW + 10_000)) == []
    assert said(made.close_tick(NOW + 60_000)) == [("log_changed", "resolved", {})]
    assert said(made.close_tick(NOW + 120_000)) == []


def test_imports_are_one_incident_until_a_night_brings_none():
    """It goes on as long as each day has one, also an hour late, and says how many orders came."""
    made = inputs()
    feed = made.order_feed.state
    for day in range(3):
        feed.import_ms, feed.imported_orders = NOW + day * (DAY_MS + HOUR_MS // 2), 90 + day
        records = said(made.close_tick(feed.import_ms + 60_000))
        assert records == ([] if day else [("order_import", "raised", {"imported_orders": 90})])
    ends_ms = feed.import_ms + DAY_MS + HOUR_MS
    assert made.next_ms(NOW) == ends_ms - 1
    assert said(made.close_tick(ends_ms - 1)) == []
    told = {"imported_orders": 92}
    assert said(made.close_tick(ends_ms)) == [("order_import", "resolved", told)]
