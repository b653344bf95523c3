"""How far each shard is behind its logs, and whether purchase orders go out."""

from collections.abc import Mapping

from infra.cli.health.check import Check, Status
from infra.cli.health.kafka import Ends
from infra.cli.pause import what_is_paused
from infra.control.entries import AuditState
from infra.redis.reader import ShardState
from infra.settings import Settings
from infra.wording.format import moment, number
from streams.contracts.events import TOPICS
from streams.handover.rules import HoldReason
from streams.shard.folding import LOST
from streams.shard.logs import ChangedLog, LogIdentity, compare
from streams.timestamps import HOUR_MS

_LAG_WORTH_A_WARNING = 10_000
_OUTBOX_WORTH_A_WARNING = 1_000
_GROUPS_BEHIND_MS = 2 * HOUR_MS
HOLD_ADVICE = (
    "they leave when the reason ends; `tidegate orders list --waiting` names them, "
    "`tidegate orders approve` lets one go, `tidegate resume` ends a pause"
)


def check_shards(
    shards: list[ShardState],
    ends: Ends,
    settings: Settings,
    identities: Mapping[str, LogIdentity] | None = None,
) -> list[Check]:
    """Return whether every partition has a shard, and how far each is behind its logs.

    Args:
        shards: as Redis has them.
        ends: of the logs.
        settings: of the shop.
        identities: what the topics are now; None means that nobody asked.
    """
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
    made_from = next((one.meta.logs for one in shards if one.meta and one.meta.logs), {})
    for shard in shards:
        changed = changed_logs(shard, ends, identities, made_from)
        checks.append(_check_logs(shard, changed) or _check_shard(shard, ends, settings))
    return checks


def check_groups(shards: list[ShardState]) -> list[Check]:
    """Return how far shop, categories and campaigns are judged: as far as the slowest partition."""
    metas = {shard.partition: shard.meta for shard in shards if shard.meta is not None}
    judged_ms = next((meta.groups.applied_ms for meta in metas.values() if meta.groups), 0)
    applied = {one: meta.applied_ms for one, meta in metas.items() if meta.applied_ms is not None}
    if not judged_ms or not applied:
        return []
    newest_ms = max(applied.values())
    text = f"shop, categories and campaigns are judged to {moment(judged_ms)}"
    if newest_ms - judged_ms <= _GROUPS_BEHIND_MS:
        return [Check("groups", Status.OK, text)]
    slowest = min(applied, key=lambda one: (applied[one], one))
    text += f"; partition {slowest} is decided to {moment(applied[slowest])}"
    advice = (
        "they wait for the slowest partition: mend it, or go on without it: "
        f"tidegate groups close {slowest} --who NAME --why REASON"
    )
    return [Check("groups", Status.WARN, text, advice)]


def changed_logs(
    shard: ShardState,
    ends: Ends,
    identities: Mapping[str, LogIdentity] | None,
    made_from: Mapping[str, LogIdentity],
) -> dict[str, ChangedLog]:
    """Return the topics whose log is not the one that a shard was made from.

    Args:
        shard: as Redis has it.
        ends: of the logs.
        identities: what the topics are now; None means that nobody asked.
        made_from: what the logs of the first shard were: one that is new has as many partitions.
    """
    own = {} if shard.meta is None else shard.meta.logs
    found = {}
    for topic in TOPICS:
        first = made_from.get(topic)
        known = own.get(topic) or (first and LogIdentity("", first.partitions))
        if identities:
            now = identities.get(topic)
        else:  # nobody asked, or no topic is there, which another line says
            known, now = None, LogIdentity("", 0)
        end = ends.get((topic, shard.partition))
        changed = compare(known, now, shard.offsets.get(topic, 0), end)
        if changed is not None:
            found[topic] = changed
    return found


def _check_logs(shard: ShardState, changed: Mapping[str, ChangedLog]) -> Check | None:
    if not changed:
        return None
    text = "; ".join(f"the log of {topic} {one.text}" for topic, one in changed.items())
    advice = (
        "no order leaves. Is it the wrong broker? Else bring the old log back, or read the new one "
        "and keep what Redis knows: tidegate state adopt-logs --who NAME --why REASON"
    )
    return Check(f"shard {shard.partition}", Status.FAIL, text, advice)


def _check_shard(shard: ShardState, ends: Ends, settings: Settings) -> Check:
    name = f"shard {shard.partition}"
    lags = {
        topic: end - shard.offsets.get(topic, 0)
        for (topic, partition), end in ends.items()
        if partition == shard.partition
    }
    behind = sum(lags.values())
    parts = [f"{number(behind)} records behind" if behind else "at the end of its logs"]
    if shard.applied_ms is not None:
        parts.append(f"decided up to {moment(shard.applied_ms)}")
    parts.append(f"{number(shard.outbox)} in the outbox")
    history = {} if shard.meta is None else shard.meta.history_from
    parts += [f"{topic} begins at offset {at}" for topic, at in sorted(history.items())]
    parts += [f"{number(count)} records of {topic} were lost" for topic, count in _lost(shard)]
    advice = _shard_advice(shard, behind, settings)
    return Check(name, Status.WARN if advice else Status.OK, ", ".join(parts), advice)


def _shard_advice(shard: ShardState, behind: int, settings: Settings) -> str:
    if behind > _LAG_WORTH_A_WARNING:
        return "is a worker running? ask again: the number should fall"
    if shard.outbox > _OUTBOX_WORTH_A_WARNING:
        return "orders and alerts wait to be published: can the worker write to Kafka?"
    if shard.meta is not None and shard.meta.alerts.lost_records:
        return "they were deleted unread: send them or new stock counts, and raise the retention"
    if shard.meta is not None and shard.watermark_ms(0) is None and shard.offsets:
        silent = sorted(t for t, clock in shard.meta.clocks.items() if clock < 0)
        return (
            f"nothing is decided until every input topic has a record; empty: {', '.join(silent)}"
        )
    return ""


def _lost(shard: ShardState) -> list[tuple[str, int]]:
    counts = {} if shard.meta is None else shard.meta.counts
    return [(topic, lost) for topic in TOPICS if (lost := counts.get(f"{topic}:{LOST}", 0))]


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
        checks.append(Check("held orders", Status.WARN, listed, HOLD_ADVICE))
    if not checks and held is not None:
        checks.append(Check("hand-over", Status.OK, "purchase orders are published"))
    for fault in audit.faults:
        advice = "who could write to that topic? compare with a backup of it"
        checks.append(Check("audit log", Status.FAIL, fault, advice))
    return checks
