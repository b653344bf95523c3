"""The logs that a shard's state was made from, and whether those of this moment are still they.

Kafka gives a topic that is made anew another id. Where the broker gives no ids, a log that ends
before the place up to which the state was made shows the same.
"""

from dataclasses import dataclass
from enum import StrEnum

import msgspec


class LogIdentity(msgspec.Struct, frozen=True, array_like=True):
    """What a topic was when the state began to read it."""

    topic_id: str  # "" where the broker gives none
    partitions: int


class LogChange(StrEnum):
    """In what a log differs from the one that the state was made from."""

    MISSING = "missing"
    RECREATED = "recreated"
    PARTITIONS = "partitions"
    SHORTER = "shorter"


@dataclass(frozen=True, slots=True)
class ChangedLog:
    """A log that is not the one that the state was made from.

    Attributes:
        change: in what it differs.
        text: the same for people.
    """

    change: LogChange
    text: str


def compare(
    known: LogIdentity | None, now: LogIdentity | None, stands_at: int, end: int | None
) -> ChangedLog | None:
    """Return in what a log differs from the one that the state was made from; None means nothing.

    Args:
        known: when the state began to read it; None means that nobody looked.
        now: None means that the topic is not there.
        stands_at: the offset up to which the state was made.
        end: where the log ends; None means Kafka has not said.

    >>> known = LogIdentity("one", 4)
    >>> compare(known, LogIdentity("two", 4), 7, 9).text
    'was made anew since (its topic id is another)'
    >>> compare(None, known, 7, 5).text
    'ends at offset 5, and the state was made from it up to 7'
    >>> compare(known, known, 7, 7)
    """
    if now is None:
        return ChangedLog(LogChange.MISSING, "is not there any more")
    if known is not None and known.topic_id and now.topic_id not in ("", known.topic_id):
        text = "was made anew since (its topic id is another)"
        return ChangedLog(LogChange.RECREATED, text)
    if known is not None and known.partitions != now.partitions:
        text = f"has {now.partitions} partitions, and the state was made from {known.partitions}"
        return ChangedLog(LogChange.PARTITIONS, text)
    if end is not None and end < stands_at:
        text = f"ends at offset {end}, and the state was made from it up to {stands_at}"
        return ChangedLog(LogChange.SHORTER, text)
    return None
