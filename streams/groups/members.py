"""Which items of a group are in an incident of their own, as the partitions have said last."""

from collections import defaultdict
from collections.abc import Iterable

from streams.exact_sums import MILLIONTHS
from streams.groups.facts import Member
from streams.timestamps import DAY_MS


class Members:
    """The items in an incident of one kind, by partition."""

    def __init__(self) -> None:
        self._members: dict[int, list[Member]] = {}
        self._calmed: list[Member] = []  # that have just left

    def put(self, partition: int, members: list[Member]) -> None:
        """Take what a partition says now in place of what it said before."""
        left = {member.item: member for member in self._members.get(partition, ())}
        for member in members:
            left.pop(member.item, None)
        self._calmed += left.values()
        self._members[partition] = members
        if not members:
            del self._members[partition]

    def forget_calmed(self) -> None:
        """Let those that have just left count no more."""
        self._calmed = []

    def by_group(self) -> dict[str, list[Member]]:
        """Return the members of each group, by the names of their items."""
        found: dict[str, list[Member]] = defaultdict(list)
        for member in sorted(self._every(), key=lambda one: one.item):
            for group in member.groups:
                found[group].append(member)
        return found

    def _every(self) -> Iterable[Member]:
        return (member for some in (*self._members.values(), self._calmed) for member in some)

    def state(self) -> dict[int, list[Member]]:
        """What has to be stored."""
        return dict(sorted(self._members.items()))

    def restore(self, members: dict[int, list[Member]]) -> None:
        """Take over what was stored."""
        self._members = dict(members)


def count_fresh(members: Iterable[Member], at_ms: int) -> int:
    """Return how many incidents began within a day."""
    return sum(member.since_ms > at_ms - DAY_MS for member in members)


def sums_of(members: Iterable[Member]) -> tuple[int, float]:
    """Return the orders of members since their surges began, and how many were due.

    >>> sums_of([Member("a@main", ["shop"], 0, 12, 3_000_000)])
    (12, 3.0)
    """
    found = list(members)
    due = sum(member.due_millionths for member in found)
    return sum(member.orders for member in found), due / MILLIONTHS
