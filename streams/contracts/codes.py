"""Codes that kernels and events share; no file of kernels needs the contracts themselves."""

from enum import IntEnum

DEFAULT_WAREHOUSE = "main"


class Kind(IntEnum):
    """What the fold does with an event. Kinds without a code of their own are kept whole."""

    HEARTBEAT = 0
    PLACED = 1
    CANCELLED = 2
    RETURNED = 3
    DISPATCHED = 4
    DELIVERED = 5
    COUNTED = 6
    ADJUSTED = 7
    ENTITY = 8
    DEAD_LETTER = 9  # never in an event: marks the place of a bad record
