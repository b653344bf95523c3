"""Waiting until Redis has reached the end of a replay, and what was decided is published."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from infra.cli.terminal.failures import CommandError, ExitCode
from infra.redis.reader import Reader, ShardState
from infra.wording.format import duration, moment, number

_LOOK_SECONDS = 0.1
_WARN_SECONDS = 30.0
_GIVE_UP_SECONDS = 120.0  # a worker's very first start compiles for a while


@dataclass(frozen=True, slots=True)
class Target:
    """What has to be reached."""

    end_offsets: Mapping[tuple[str, int], int]  # (topic without prefix, partition)
    allowed_lateness_ms: int
    tick_ms: int


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is still to come."""

    records: int  # in Kafka and not in Redis
    undecided: tuple[int, ...]  # partitions whose events have not all taken effect
    outbox: int  # decided, and not known to be in Kafka
    applied_ms: int | None  # event time that every partition has reached

    @property
    def is_nothing(self) -> bool:
        return not (self.records or self.undecided or self.outbox)

    def __str__(self) -> str:
        """What is waited for, in words."""
        if self.records:
            return f"{number(self.records)} records are not in Redis yet"
        if self.undecided:
            at = "" if self.applied_ms is None else f", decided up to {moment(self.applied_ms)}"
            return f"partitions {_listed(self.undecided)} still decide{at}"
        if self.outbox:
            return f"{number(self.outbox)} orders, alerts or bad records are not published yet"
        return "nothing"


def remaining(shards: Sequence[ShardState], target: Target) -> Remaining:
    """Return what is between the shards and the target. Pure."""
    by_partition = {shard.partition: shard for shard in shards}
    concerned = sorted({partition for _, partition in target.end_offsets})
    missing = 0
    for (topic, partition), end in target.end_offsets.items():
        shard = by_partition.get(partition)
        missing += max(0, end - (shard.offsets.get(topic, 0) if shard else 0))
    states = [by_partition[partition] for partition in concerned if partition in by_partition]
    applied = [shard.applied_ms for shard in states if shard.applied_ms is not None]
    return Remaining(
        records=missing,
        undecided=tuple(shard.partition for shard in states if not _is_decided(shard, target)),
        outbox=sum(shard.outbox for shard in states),
        applied_ms=min(applied, default=None),
    )


def _is_decided(shard: ShardState, target: Target) -> bool:
    watermark_ms = shard.watermark_ms(target.allowed_lateness_ms)
    if watermark_ms is None:
        return True  # a topic without a clock holds everything back: there is nothing to wait for
    reached = watermark_ms // target.tick_ms * target.tick_ms
    return shard.applied_ms is not None and shard.applied_ms >= reached


def wait_until_reached(
    reader: Reader, target: Target, tell: Callable[[str], None], warn: Callable[[str], None]
) -> None:
    """Return when nothing is left to wait for.

    Args:
        reader: of Redis.
        target: what has to be reached.
        tell: takes what is waited for, at every look.
        warn: takes what seems to be wrong.

    Raises:
        CommandError: nothing has moved for two minutes.
    """
    before: Remaining | None = None
    moved_at = time.monotonic()
    is_warned = False
    while not (now := remaining(reader.shards(), target)).is_nothing:
        if now != before:
            before, moved_at, is_warned = now, time.monotonic(), False
        still_seconds = time.monotonic() - moved_at
        if still_seconds > _GIVE_UP_SECONDS:
            text = f"nothing has moved for {duration(still_seconds)}: {_advice(now)}"
            raise CommandError(text, ExitCode.UNREACHABLE)
        if still_seconds > _WARN_SECONDS and not is_warned:
            is_warned = True
            warn(f"nothing has moved for {duration(still_seconds)}: {_advice(now)}")
        tell(str(now))
        time.sleep(_LOOK_SECONDS)


def _advice(left: Remaining) -> str:
    if left.records:
        return (
            f"{left}; is a worker running on the same Kafka and Redis (`tidegate worker`)? "
            "`tidegate doctor` looks"
        )
    if left.undecided:
        return (
            f"{left}; does the worker have other settings (tick_seconds, "
            "allowed_lateness_seconds) than this command?"
        )
    return f"{left}; can the worker write to Kafka? `tidegate doctor` looks"


def _listed(partitions: Sequence[int]) -> str:
    return ", ".join(map(str, partitions))
