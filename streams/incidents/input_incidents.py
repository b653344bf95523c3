"""Incidents of a shard's inputs.

Records that cannot be read or were lost, days of orders that came at once, and another log.
"""

from collections.abc import Iterable

from streams.contracts.alerts import AlertKind, AlertState
from streams.contracts.outgoing import OutboxRecord
from streams.detection.order_feed import NEVER, OrderFeed
from streams.incidents.records import input_alert
from streams.settings import OrderFeedSettings
from streams.timestamps import DAY_MS, HOUR_MS

_LOSS_SHOWN_MS = DAY_MS  # after the last one
_IMPORT_SHOWN_MS = DAY_MS + HOUR_MS  # a nightly import may be late


class InputAlerts:
    """The incidents of a shard's inputs.

    Args:
        partition: the shard's number.
        order_feed: when the silence of the orders is no chance.
        dead_letters_end_ms: without a further bad record, after which their incident is over.
    """

    def __init__(
        self, partition: int, order_feed: OrderFeedSettings, dead_letters_end_ms: int
    ) -> None:
        self._partition = partition
        self._dead_letters_end_ms = dead_letters_end_ms
        self.order_feed = OrderFeed(order_feed)
        self.dead_letters = 0
        self.last_dead_letter_ms = 0
        self.dead_letters_since_ms = 0  # open incident; 0: none
        self.lost_records = 0
        self.lost_since_ms = 0  # open incident; 0: none
        self.last_loss_ms = 0
        self.log_changed_since_ms = 0  # open incident; 0: none

    def note_dead_letters(self, count: int, newest_ms: int) -> None:
        """Note that bad records went to the dead-letter topic."""
        self.dead_letters += count
        self.last_dead_letter_ms = max(self.last_dead_letter_ms, newest_ms)

    def note_lost(self, count: int, at_ms: int) -> None:
        """Note that records were deleted before they were read.

        Args:
            count: of offsets; heartbeats are among them.
            at_ms: event time at which that was seen.
        """
        self.lost_records += count
        self.last_loss_ms = max(self.last_loss_ms, at_ms)

    def raise_log_changed(self, at_ms: int) -> Iterable[OutboxRecord]:
        """Raise at once, unless it is open: no boundary comes while the log is not read.

        Args:
            at_ms: event time at which that was seen.
        """
        if not self.log_changed_since_ms:
            self.log_changed_since_ms = at_ms
            yield self._log_changed(AlertState.RAISED, at_ms, at_ms)

    def _log_changed(self, state: AlertState, since_ms: int, at_ms: int) -> OutboxRecord:
        subject = f"inputs/{self._partition}"
        return input_alert(AlertKind.LOG_CHANGED, state, subject, since_ms, at_ms, {})

    def next_ms(self, applied_ms: int) -> int:
        """Return the time after which an incident can begin or end by time alone, or never."""
        if self.dead_letters_since_ms or self.lost_records or self.log_changed_since_ms:
            return applied_ms
        moments = [self._import_ends_ms() - 1] if self.order_feed.state.import_since_ms else []
        return min(moments, default=NEVER)

    def close_tick(self, boundary: int) -> Iterable[OutboxRecord]:
        """Raise and resolve what the boundary brings."""
        yield from self._bad_records(boundary)
        yield from self._losses(boundary)
        yield from self._imports(boundary)
        if since_ms := self.log_changed_since_ms:  # the boundary came: the logs are read again
            self.log_changed_since_ms = 0
            yield self._log_changed(AlertState.RESOLVED, since_ms, max(since_ms, boundary))

    def _losses(self, boundary: int) -> Iterable[OutboxRecord]:
        kind, subject = AlertKind.RECORDS_LOST, f"inputs/{self._partition}"
        since = self.lost_since_ms
        figures = {"lost_records": self.lost_records}
        if self.lost_records and not since:
            self.lost_since_ms = boundary
            yield input_alert(kind, AlertState.RAISED, subject, boundary, boundary, figures)
        elif since and boundary - self.last_loss_ms >= _LOSS_SHOWN_MS:
            self.lost_since_ms = self.lost_records = 0
            yield input_alert(kind, AlertState.RESOLVED, subject, since, boundary, figures)

    def _import_ends_ms(self) -> int:
        """Return until when the next import of a shop that imports each night would have come."""
        return self.order_feed.state.import_ms + _IMPORT_SHOWN_MS

    def _imports(self, boundary: int) -> Iterable[OutboxRecord]:
        kind, subject, feed = (
            AlertKind.ORDER_IMPORT,
            f"orders/{self._partition}",
            self.order_feed.state,
        )
        since, is_on = feed.import_since_ms, 0 < feed.import_ms <= boundary < self._import_ends_ms()
        figures = {"imported_orders": feed.imported_orders}
        if is_on and not since:
            feed.import_since_ms = boundary
            yield input_alert(kind, AlertState.RAISED, subject, boundary, boundary, figures)
        elif since and not is_on:
            feed.import_since_ms = 0
            yield input_alert(kind, AlertState.RESOLVED, subject, since, boundary, figures)

    def _bad_records(self, boundary: int) -> Iterable[OutboxRecord]:
        kind, subject = AlertKind.DEAD_LETTERS, f"inputs/{self._partition}"
        since = self.dead_letters_since_ms
        figures = {"dead_letters": self.dead_letters}
        if self.dead_letters and not since:
            self.dead_letters_since_ms = boundary
            yield input_alert(kind, AlertState.RAISED, subject, boundary, boundary, figures)
        elif since and boundary - self.last_dead_letter_ms >= self._dead_letters_end_ms:
            self.dead_letters_since_ms = self.dead_letters = 0
            yield input_alert(kind, AlertState.RESOLVED, subject, since, boundary, figures)
