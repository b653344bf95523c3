"""What all partitions have said, until it may be applied.

A boundary may be applied once the markers of all partitions are behind it. So a partition that lags
delays its groups, until it comes or somebody closes its window. What is read again after a crash,
or was sent twice, is known by its boundary and passed over.
"""

from collections import deque

from streams.groups.facts import Boundary, CloseWindow, Facts


class Inbox:
    """The facts that wait, by boundary and partition.

    What is applied lies in the state of the stage; what is not, in the log: `pinned_offset` is
    where it begins. So nothing here is stored.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, dict[int, Boundary]] = {}
        self._upto_ms: dict[int, int] = {}
        self._seen_ms: dict[int, int] = {}
        self._records: deque[tuple[int, int]] = deque()  # offset, marker
        self._next_offset = 0
        self.partitions = 0
        self.applied_ms = 0

    @property
    def limit_ms(self) -> int:
        """Up to which boundary all partitions have said everything; 0: one has said nothing."""
        if not self.partitions or len(self._upto_ms) < self.partitions:
            return 0
        return min(self._upto_ms[partition] for partition in range(self.partitions))

    def put(self, facts: Facts | CloseWindow, offset: int) -> None:
        """Take in a record.

        Args:
            facts: the record.
            offset: where it lies in its log.
        """
        partition = facts.partition
        if isinstance(facts, Facts):
            self.partitions = max(self.partitions, facts.partitions)
            seen_ms = max(self._seen_ms.get(partition, 0), self.applied_ms)
            for boundary in facts.boundaries:
                if boundary.at_ms > seen_ms:
                    self._waiting.setdefault(boundary.at_ms, {})[partition] = boundary
                    self._seen_ms[partition] = boundary.at_ms
        else:  # what comes later for that time is passed over
            closed_ms = max(self._seen_ms.get(partition, 0), facts.upto_ms)
            self._seen_ms[partition] = closed_ms
        self._upto_ms[partition] = max(self._upto_ms.get(partition, 0), facts.upto_ms)
        self._records.append((offset, facts.upto_ms))

    def next_ms(self) -> int | None:
        """The oldest boundary with facts; None means that there is none."""
        return min(self._waiting, default=None)

    def take(self, at_ms: int) -> list[tuple[int, Boundary]]:
        """Return the facts of a boundary by partition, ascending, and forget them."""
        return sorted(self._waiting.pop(at_ms, {}).items(), key=lambda one: one[0])

    def note_applied(self, applied_ms: int) -> None:
        """Note that every boundary up to this one has been applied."""
        self.applied_ms = applied_ms
        while self._records and self._records[0][1] <= applied_ms:
            self._records.popleft()

    def pinned_offset(self, next_offset: int) -> int:
        """Return from where the log has to be read again to know all that waits.

        Args:
            next_offset: where the log goes on after what was read.
        """
        return self._records[0][0] if self._records else next_offset

    def restore(self, applied_ms: int, partitions: int) -> None:
        """Begin again where the state stands: what waited is read again."""
        self.applied_ms, self.partitions = applied_ms, partitions
        self._upto_ms = dict.fromkeys(range(partitions), applied_ms) if applied_ms else {}
