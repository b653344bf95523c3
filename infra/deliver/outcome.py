"""How a try ended."""

from dataclasses import dataclass
from enum import StrEnum


class End(StrEnum):
    """What is known of a try."""

    DELIVERED = "delivered"
    REFUSED = "refused"  # for good: the receiver does not want this message
    AGAIN = "again"  # it has certainly not been taken, and may be later
    UNKNOWN = "unknown"  # it was sent, and nobody knows whether it was taken
    GONE = "gone"  # the destination wants nothing any more


@dataclass(frozen=True)
class Outcome:
    """The end of a try, in words, and how long the destination asks to be left alone."""

    end: End
    said: str
    wait_s: float | None = None
