"""Which records were not counted, and what to do about them."""

from collections import Counter
from collections.abc import Iterator, Sequence

from infra.cli.health.check import Check, Status
from infra.redis.projection import DeadLetter
from infra.redis.reader import ShardState
from infra.wording.format import moment, number
from infra.wording.records import LATE, advice_for
from streams.shard.folding import DEAD_LETTERED
from streams.timestamps import DAY_MS, LATEST_MS

_LINES = (("dead letters", DEAD_LETTERED), ("late records", LATE))


def check_uncounted(
    shards: Sequence[ShardState], newest: Sequence[DeadLetter], now_ms: int
) -> Iterator[Check]:
    """Yield how many records were bad or too late, by topic, and what the newest one asks for.

    It is a warning for a day: what was long ago needs nobody any more.

    Args:
        shards: as Redis has them, with their counts since the beginning.
        newest: those that are kept for people, in any order.
        now_ms: wall clock.
    """
    found = False
    for name, outcome in _LINES:
        counts = _counts(shards, outcome)
        if not counts:
            continue
        found = True
        listed = ", ".join(f"{number(count)} of {topic}" for topic, count in sorted(counts.items()))
        same = [one for one in newest if (one.code == LATE) == (outcome == LATE)]
        last = max(same, key=lambda one: one.written_ms, default=None)
        if last is None:
            yield Check(name, Status.OK, f"{listed} since the beginning")
            continue
        is_new = now_ms - last.written_ms < DAY_MS
        when = (
            moment(last.written_ms // 1000 * 1000)
            if 0 < last.written_ms <= LATEST_MS
            else "at no known time"
        )
        text = f"{listed} since the beginning; the newest: {last.code}, written {when}"
        advice = f"{advice_for(last.code)}; all of them: tidegate dlt list"
        yield Check(name, Status.WARN if is_new else Status.OK, text, advice if is_new else "")
    if not found and shards:
        yield Check("records", Status.OK, "none was bad or came too late")


def _counts(shards: Sequence[ShardState], outcome: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for shard in shards:
        for name, count in ({} if shard.meta is None else shard.meta.counts).items():
            topic, _, of = name.rpartition(":")
            if of == outcome and count:
                counts[topic] += count
    return counts
