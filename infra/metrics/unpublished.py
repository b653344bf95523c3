"""For how long records that nothing holds have waited to be published."""

import time
from collections.abc import Callable, Mapping

from streams.worker.shard_task import ShardTask


class Unpublished:
    """Remembers when it first saw the oldest waiting record of each partition.

    A record does not say when it was stored, so that the answer is exact to one look, a scrape.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[int, tuple[int, float]] = {}  # partition -> number in the outbox, since

    def seconds(self, tasks: Mapping[int, ShardTask]) -> float:
        """Return for how long the oldest of them has waited; 0 where none waits."""
        now_s = self._clock()
        before, self._seen = self._seen, {}
        for partition, task in tasks.items():
            oldest = _oldest_number(task)
            if oldest is not None:
                number, since_s = before.get(partition, (-1, now_s))
                self._seen[partition] = (oldest, since_s if number == oldest else now_s)
        return max((now_s - since_s for _, since_s in self._seen.values()), default=0.0)


def _oldest_number(task: ShardTask) -> int | None:
    """Return the number of the oldest record that is stored and not held."""
    outbox, stop = task.shard.outbox, task.publishable_to
    numbers = [number for number, _ in outbox.stored_before(stop, 1)]
    for number, record in outbox.orders_between(0, stop):
        summary = record.order_summary
        if summary is None or summary.po_id not in task.held:
            numbers.append(number)
            break
    return min(numbers, default=None)
