"""How far a worker has read and stored its logs, beside how far Kafka says that they go."""

from collections.abc import Callable, Mapping

from faust.types import TP

from streams.contracts.events import TOPICS
from streams.ingest.transport import BatchConsumer
from streams.worker.shard_task import ShardTask


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
        self.consumer: BatchConsumer | None = None

    def lags(self, task: ShardTask) -> dict[str, int | None]:
        """Return the records of each topic not stored yet; None means Kafka has not told."""
        if self.consumer is None:
            return {}
        lags: dict[str, int | None] = {}
        for topic in TOPICS:
            end = self.consumer.highwater(TP(self._prefix + topic, task.shard.partition))
            stored = task.stored_offsets.get(topic, 0)
            lags[topic] = None if end is None else max(0, end - stored)
        return lags

    def lag_records(self) -> dict[tuple[str, int], int]:
        """Return the same of every input partition, as far as Kafka has told."""
        return {
            (topic, partition): lag or 0
            for partition, task in self._tasks.items()
            for topic, lag in self.lags(task).items()
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
        learn that its log has grown.
        """
        now_s = self._clock()
        longest_s = 0.0
        for (topic, partition), lag in self.lag_records().items():
            task = self._tasks[partition]
            position = task.shard.offsets.get(topic, 0)
            waits = lag or task.unread_heartbeat_ms > task.shard.clocks[topic]
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
