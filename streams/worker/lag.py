"""How far a worker has read and stored its logs, beside how far Kafka says that they go."""

import logging
from collections.abc import Callable, Mapping

from faust.types import TP

from streams.contracts.events import TOPICS
from streams.ingest.transport import BatchConsumer
from streams.worker.shard_task import ShardTask

_OPEN_SECONDS = 10.0  # a transaction that is open for longer is said
_log = logging.getLogger("tidegate.worker")


class Progress:
    """Looks at the task shards; remembers when it last saw each partition move.

    Args:
        task: the shards of the worker, by partition; looked at, never changed.
        topic_prefix: in front of every topic's name.
        clock: wall-clock seconds.
    """

    def __init__(
        self, task: Mapping[int, ShardTask], topic_prefix: str, clock: Callable[[], float]
    ) -> None:
        self._tasks = task
        self._prefix = topic_prefix
        self._clock = clock
        self._moved: dict[tuple[str, int], tuple[int, float]] = {}
        self._open_since_s: dict[tuple[str, int], float] = {}
        self._said: set[tuple[str, int]] = set()
        self.consumer: BatchConsumer | None = None

    def lags(self, task: ShardTask) -> dict[str, int | None]:
        """Return the records of each topic not stored yet; None means Kafka has not said.

        What lies behind an open transaction is no lag: nobody may read it yet.
        """
        if self.consumer is None:
            return {}
        lags: dict[str, int | None] = {}
        for topic in TOPICS:
            tp = TP(self._prefix + topic, task.shard.partition)
            end = self.consumer.highwater(tp)
            self._look_at_transactions(topic, tp, self.consumer.held_back(tp))
            if topic in task.changed_logs:
                continue  # it is not read at all
            stored = task.stored_offsets.get(topic, 0)
            lags[topic] = None if end is None else max(0, end - stored)
        return lags

    def _look_at_transactions(self, topic: str, tp: TP, held: int) -> None:
        place = (topic, tp.partition)
        now_s = self._clock()
        if not held:
            if place in self._said:
                _log.info("%s/%d: the open transaction is over", *tp)
                self._said.discard(place)
            self._open_since_s.pop(place, None)
            return
        open_s = now_s - self._open_since_s.setdefault(place, now_s)
        if open_s > _OPEN_SECONDS and place not in self._said:
            self._said.add(place)
            text = "an open transaction holds back %d records until its producer ends it"
            _log.warning(f"%s/%d: {text}, or transaction.timeout.ms does", *tp, held)

    def open_transactions_s(self) -> dict[tuple[str, int], float]:
        """Return for how many seconds a transaction has been open in each partition with one."""
        now_s = self._clock()
        return {place: now_s - since_s for place, since_s in self._open_since_s.items()}

    def lag_records(self) -> dict[tuple[str, int], int]:
        """Return the same of every input partition, as far as Kafka has said."""
        return {
            (topic, partition): lag or 0
            for partition, task in self._tasks.items()
            for topic, lag in self.lags(task).items()
        }

    def margin_records(self) -> dict[tuple[str, int], int]:
        """Return how many records retention may delete of each log before one that is not stored.

        Only of logs of which it is known where they begin.
        """
        return {
            (topic, partition): task.stored_offsets.get(topic, 0) - start
            for partition, task in self._tasks.items()
            for topic, start in task.log_starts.items()
            if topic not in task.changed_logs
        }

    def lag_seconds(self) -> dict[int, float]:
        """How long ago the newest record that is stored was written, where others wait; else 0."""
        now_s = self._clock()
        return {
            partition: max(0.0, now_s - task.newest_written_ms / 1000)
            if any(self.lags(task).values()) and task.newest_written_ms > 0
            else 0.0
            for partition, task in self._tasks.items()
        }

    def stuck_for_s(self) -> float:
        """Seconds for which records waited somewhere and none was read; 0: none waits.

        A heartbeat that was written and not read back waits too: a consumer that hangs does not
        learn that its log has grown. Behind an open transaction it is not to be read.
        """
        now_s = self._clock()
        longest_s = 0.0
        for (topic, partition), lag in self.lag_records().items():
            task = self._tasks[partition]
            position = task.shard.offsets.get(topic, 0)
            is_unread = task.unread_heartbeat_ms > task.shard.clocks[topic]
            waits = lag or (is_unread and (topic, partition) not in self._open_since_s)
            before = self._moved.get((topic, partition))
            if before is None or before[0] != position or not waits:
                self._moved[topic, partition] = (position, now_s)
            else:
                longest_s = max(longest_s, now_s - before[1])
        return longest_s


def oldest_unread_s(task: ShardTask, lags: Mapping[str, int | None], now_s: float) -> float:
    """Return a time that is not after any record that waits to be read; now: none waits.

    A record that waits is newer than the last one that was read, and it came after the log was last
    seen to be read to its end.
    """
    oldest_s = now_s
    for topic, lag in lags.items():
        if not lag:
            task.at_end_s[topic] = now_s
        else:
            read_s = task.written_ms.get(topic, 0) / 1000
            oldest_s = min(oldest_s, max(read_s, task.at_end_s.get(topic, 0.0)))
    return oldest_s


def went_back_s(task: ShardTask) -> float:
    """Return the seconds by which Kafka's times lie behind the newest that it gave."""
    return (task.newest_written_ms - max(task.written_ms.values(), default=0)) / 1000
