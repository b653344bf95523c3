"""Waiting until Redis has reached the end of a replay, and what was decided is published."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from infra.cli.terminal.failures import CommandError, ExitCode
from infra.redis.reader import Reader, ShardState
from infra.wording.format import duration, moment, number
from streams.handover.rules import PEOPLES, HoldReason

_LOOK_SECONDS = 0.1
_ASK_SECONDS = 5.0  # between two looks at what holds the orders that are left
_WARN_SECONDS = 30.0
_GIVE_UP_SECONDS = 120.0  # a worker's very first start compiles for a while
_HOLDS = {
    HoldReason.PAUSED: "because of a pause",
    HoldReason.HELD: "for a person, who held it back",
    HoldReason.CAP_UNITS: "for a person: above the units of an item a day",
    HoldReason.CAP_AMOUNT: "for a person: above the amount of an item a day",
    HoldReason.APPROVAL: "for an approval",
}
"""Why an order waits, as far as only a person ends it."""


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

    @property
    def is_only_outbox(self) -> bool:
        """Whether all is read and decided, and only the hand-over is left."""
        return not (self.records or self.undecided) and self.outbox > 0

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


Held = Mapping[HoldReason, int]


def wait_until_reached(
    reader: Reader,
    target: Target,
    tell: Callable[[str], None],
    warn: Callable[[str], None],
    held: Callable[[], Held] = dict,
) -> None:
    """Return when nothing is left to wait for.

    Args:
        reader: of Redis.
        target: what has to be reached.
        tell: takes what is waited for, at every look.
        warn: takes what seems to be wrong.
        held: counts the orders that are decided and held, by reason; it may take a while.

    Raises:
        CommandError: nothing has moved for two minutes, or all that is left waits for a person.
    """
    before: Remaining | None = None
    moved_at = time.monotonic()
    is_warned, times_asked = False, 0
    while not (now := remaining(reader.shards(), target)).is_nothing:
        if now != before:
            before, moved_at, is_warned, times_asked = now, time.monotonic(), False, 0
        still_seconds = time.monotonic() - moved_at
        if still_seconds > _ASK_SECONDS * (times_asked + 1) and now.is_only_outbox:
            times_asked += 1
            if (text := waits_for_people(now, held())) is not None:
                raise CommandError(text, ExitCode.NO)
        if still_seconds > _GIVE_UP_SECONDS:
            text = f"nothing has moved for {duration(still_seconds)}: {_advice(now)}"
            raise CommandError(text, ExitCode.UNREACHABLE)
        if still_seconds > _WARN_SECONDS and not is_warned:
            is_warned = True
            warn(f"nothing has moved for {duration(still_seconds)}: {_advice(now)}")
        tell(str(now))
        time.sleep(_LOOK_SECONDS)


def waits_for_people(left: Remaining, held: Held) -> str | None:
    """Say who or what keeps the orders that are left; None means that not only people do.

    >>> left = Remaining(records=0, undecided=(), outbox=2, applied_ms=None)
    >>> print(waits_for_people(left, {HoldReason.APPROVAL: 2}))
    all is in Redis and decided, but not all is published: 2 orders wait for an approval; \
`tidegate orders list --waiting` lists them
    >>> waits_for_people(left, {HoldReason.APPROVAL: 1})
    """
    if held.keys() - PEOPLES or sum(held.values()) < left.outbox:
        return None
    causes = [
        f"{number(count)} {'order waits' if count == 1 else 'orders wait'} {_HOLDS[reason]}"
        for reason, count in sorted(held.items())
    ]
    return (
        f"all is in Redis and decided, but not all is published: {', '.join(causes)}; "
        "`tidegate orders list --waiting` lists them"
    )


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
