"""A place in the list of all decisions, from which a page of it is read on."""

from typing import NamedTuple

PATTERN = r"^(\d{1,15}:\d{1,9}:\d{1,12}:[01])?$"
_BEYOND = (10**9 - 1, 10**12 - 1, 1)


class Cursor(NamedTuple):
    """After this decision: by time backwards, then by partition, item and occasion."""

    reviewed_ms: int
    partition: int
    place: int  # of the item in its partition
    is_surge: int

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Return what `str` made text of.

        >>> Cursor.parse(str(Cursor(1000, 2, 30, 0)))
        Cursor(reviewed_ms=1000, partition=2, place=30, is_surge=0)
        """
        return cls(*(int(part) for part in text.split(":")))

    @classmethod
    def after_all_of(cls, reviewed_ms: int) -> "Cursor":
        """Return the place after everything that was decided at a moment."""
        return cls(reviewed_ms, *_BEYOND)

    def __str__(self) -> str:
        return ":".join(str(part) for part in self)

    def is_before(self, other: "Cursor") -> bool:
        """Whether it stands nearer to the beginning of the list.

        >>> one, two = Cursor(2000, 1, 0, 0), Cursor(1000, 0, 0, 0)
        >>> one.is_before(two), two.is_before(Cursor.after_all_of(1000)), one.is_before(one)
        (True, True, False)
        """
        return (-self.reviewed_ms, *self[1:]) < (-other.reviewed_ms, *other[1:])
