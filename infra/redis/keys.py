"""The names of everything that Tidegate keeps in Redis, in one place.

All keys of a partition carry its number as hash tag, so that one commit touches one slot.
"""

import re
from dataclasses import dataclass

from streams.timestamps import DAY_MS, HOUR_MS, MINUTE_MS, rfc3339

RING_WIDTHS_MS = {"minute": MINUTE_MS, "hour": HOUR_MS, "day": DAY_MS}


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names under a prefix.

    >>> Keys("tg:").item(3, "85123A@main")
    'tg:item:{3}:85123A@main'
    """

    prefix: str = "tg:"

    def of(self, family: str, partition: int) -> str:
        """The key of a family that has one key a partition, or the beginning of those it has."""
        return f"{self.prefix}{family}:{{{partition}}}"

    def shard(self, partition: int) -> str:
        """Hash: epoch, sequence, offsets, meta."""
        return f"{self.prefix}shard:{{{partition}}}"

    def probe(self) -> str:
        """String: written now and then, to see whether Redis takes anything; it expires."""
        return f"{self.prefix}probe"

    def names(self, partition: int) -> str:
        """List: each item's [sku, warehouse], in order of their places."""
        return f"{self.prefix}names:{{{partition}}}"

    def rows(self, partition: int) -> str:
        """Hash: item -> everything that decides about it, packed (`streams.state.items.ROW`)."""
        return f"{self.prefix}rows:{{{partition}}}"

    def item(self, partition: int, key: str) -> str:
        """Hash: an item's fields by name, with units, for people and other programs."""
        return f"{self.prefix}item:{{{partition}}}:{key}"

    def bucket(self, partition: int, ring: str, bucket: int) -> str:
        """Hash: item -> packed units, lines and orders of one minute, hour or day."""
        text = rfc3339(bucket * RING_WIDTHS_MS[ring])
        length = {"minute": 16, "hour": 13, "day": 10}[ring]
        return f"{self.prefix}{ring}:{{{partition}}}:{text[:length]}"

    def memory(self, partition: int, name: str, side: int) -> str:
        """String: one generation of a key memory."""
        return f"{self.prefix}memory:{{{partition}}}:{name}:{side}"

    def pending(self, partition: int) -> str:
        """Hash: number -> chunk of events that wait for their time."""
        return f"{self.prefix}pending:{{{partition}}}"

    def orders(self, partition: int) -> str:
        """Hash: po_id -> open purchase order."""
        return f"{self.prefix}orders:{{{partition}}}"

    def catalog(self, partition: int) -> str:
        """Hash: item -> its catalog and campaign lines."""
        return f"{self.prefix}catalog:{{{partition}}}"

    def groups(self, partition: int) -> str:
        """Hash: group of items -> its row, packed (`streams.groups.rows`)."""
        return f"{self.prefix}groups:{{{partition}}}"

    def decisions(self, partition: int, day: int) -> str:
        """Hash: review -> packed decisions of one day."""
        return f"{self.prefix}decisions:{{{partition}}}:{rfc3339(day * DAY_MS)[:10]}"

    def totals(self, partition: int, day: int) -> str:
        """Hash: minute of the day -> packed sums of all items (`minute_totals.TOTAL`)."""
        return f"{self.prefix}totals:{{{partition}}}:{rfc3339(day * DAY_MS)[:10]}"

    def incidents(self, partition: int) -> str:
        """Hash: incident -> the newest step of it, as published; resolved ones are not there."""
        return f"{self.prefix}incidents:{{{partition}}}"

    def dead_letters(self, partition: int) -> str:
        """Hash: place -> one of the newest dead letters."""
        return f"{self.prefix}dead-letters:{{{partition}}}"

    def outbox(self, partition: int) -> str:
        """Hash: number -> record that is not yet known to be in Kafka."""
        return f"{self.prefix}outbox:{{{partition}}}"

    def unreadable(self, partition: int) -> str:
        """Hash: number -> record of the outbox that could not be read, and so was put away."""
        return f"{self.prefix}unreadable:{{{partition}}}"


def glob_escape(text: str) -> str:
    """Return a pattern of SCAN that only the text itself fits.

    >>> glob_escape("shop[1]*")
    'shop\\\\[1\\\\]\\\\*'
    """
    return re.sub(r"([*?\[\]\\^])", r"\\\1", text)


@dataclass(frozen=True, slots=True)
class Retention:
    """Buckets that Redis keeps."""

    minutes: int = 60
    hours: int = 48
    days: int = 400
    decision_days: int = 400
    ring_days: int = 35  # days that a shard itself works on

    def of(self, ring: str) -> int:
        """Buckets kept of a ring."""
        return {"minute": self.minutes, "hour": self.hours, "day": self.days}[ring]
