"""How far each shard is behind its logs, and whether purchase orders go out."""

from collections.abc import Mapping

from infra.cli.health.check import Check, Status
from infra.cli.health.kafka import Ends
from infra.cli.pause import what_is_paused
from infra.control.entries import AuditState
from infra.redis.reader import ShardState
from infra.settings import Settings
from infra.wording.format import moment, number
from streams.handover.rules import HoldReason

_LAG_WORTH_A_WARNING = 10_000
_OUTBOX_WORTH_A_WARNING = 1_000
HOLD_ADVICE = "they are published when the reason ends, or after `tidegate resume`"


def check_shards(shards: list[ShardState], ends: Ends, settings: Settings) -> list[Check]:
    """Return whether every partition has a shard, and how far each is behind its logs."""
    expected = {partition for _, partition in ends}
    present = {shard.partition for shard in shards}
    if not present:
        advice = "start a worker: `tidegate worker`"
        return [Check("shards", Status.WARN, "no worker has ever written here", advice)]
    checks = []
    if missing := sorted(expected - present):
        advice = "is a worker running? each partition gets its shard when it is first assigned"
        text = f"no shard of partitions {', '.join(map(str, missing))}"
        checks.append(Check("shards", Status.WARN, text, advice))
    if strange := sorted(present - expected):
        advice = "do redis_prefix and topic_prefix belong together?"
        text = f"shards of partitions that no topic has: {', '.join(map(str, strange))}"
        checks.append(Check("shards", Status.FAIL, text, advice))
    return [*checks, *(_check_shard(shard, ends, settings) for shard in shards)]


def _check_shard(shard: ShardState, ends: Ends, settings: Settings) -> Check:
    name = f"shard {shard.partition}"
    lags = {
        topic: end - shard.offsets.get(topic, 0)
        for (topic, partition), end in ends.items()
        if partition == shard.partition
    }
    ahead = [topic for topic, lag in lags.items() if lag < 0]
    if ahead:
        text = f"Redis is ahead of the logs of {', '.join(ahead)}"
        advice = "was the broker emptied, or is it the wrong one? delete these keys to start again"
        return Check(name, Status.FAIL, text, advice)
    behind = sum(lags.values())
    parts = [f"{number(behind)} records behind" if behind else "at the end of its logs"]
    if shard.applied_ms is not None:
        parts.append(f"decided up to {moment(shard.applied_ms)}")
    parts.append(f"{number(shard.outbox)} in the outbox")
    history = {} if shard.meta is None else shard.meta.history_from
    parts += [f"{topic} begins at offset {at}" for topic, at in sorted(history.items())]
    advice = _shard_advice(shard, behind, settings)
    return Check(name, Status.WARN if advice else Status.OK, ", ".join(parts), advice)


def _shard_advice(shard: ShardState, behind: int, settings: Settings) -> str:
    if behind > _LAG_WORTH_A_WARNING:
        return "is a worker running? ask again: the number should fall"
    if shard.outbox > _OUTBOX_WORTH_A_WARNING:
        return "orders and alerts wait to be published: can the worker write to Kafka?"
    if shard.meta is not None and shard.watermark_ms(0) is None and shard.offsets:
        silent = sorted(t for t, clock in shard.meta.clocks.items() if clock < 0)
        return (
            f"nothing is decided until every input topic has a record; empty: {', '.join(silent)}"
        )
    return ""


def check_handover(audit: AuditState, held: Mapping[HoldReason, int] | None) -> list[Check]:
    """Return whether purchase orders go out, and if not, who or what holds them.

    Args:
        audit: what the audit log says.
        held: how many orders wait for what; None means that this could not be read.
    """
    checks = [
        Check(
            "paused",
            Status.WARN,
            f"{what_is_paused(pause)}, by {pause.who} since {pause.since}: {pause.why}",
            f"tidegate resume {pause.hold_id} --who NAME --why REASON",
        )
        for pause in audit.pauses.values()
    ]
    for partition, reasons in sorted(audit.closed.items()):
        text = f"partition {partition} is held: {', '.join(reasons)}"
        checks.append(Check("hand-over", Status.WARN, text, HOLD_ADVICE))
    if held:
        listed = ", ".join(f"{number(count)} {reason}" for reason, count in sorted(held.items()))
        advice = "`tidegate export orders` lists them; `approved` or `released` frees one"
        checks.append(Check("held orders", Status.WARN, listed, advice))
    if not checks and held is not None:
        checks.append(Check("hand-over", Status.OK, "purchase orders are published"))
    for fault in audit.faults:
        advice = "who could write to that topic? compare with a backup of it"
        checks.append(Check("audit log", Status.FAIL, fault, advice))
    return checks
