"""What `tidegate doctor` says of records that were not counted."""

import pytest

from infra.cli.health.check import Status
from infra.cli.health.records import check_uncounted
from infra.redis.codec import ShardMeta
from infra.redis.projection import DeadLetter
from infra.redis.reader import ShardState
from streams.timestamps import DAY_MS

NOW_MS = 1_795_953_600_000  # 2026-11-29 12:00


def shard(**counts: int) -> ShardState:
    """A shard that counted outcomes of orders."""
    by_outcome = {f"orders:{outcome}": count for outcome, count in counts.items()}
    meta = ShardMeta({}, None, by_outcome, {}, 0, {})
    return ShardState(0, 1, {}, meta, 0)


def letter(code: str, written_ms: int) -> DeadLetter:
    """A record that was kept for people."""
    return DeadLetter(
        number=1,
        topic="orders",
        partition=0,
        offset=7,
        written_ms=written_ms,
        code=code,
        message="",
        key=None,
        value=None,
    )


def test_late_and_bad_records_are_warned_of_with_what_to_do():
    """Each has its count by topic, the newest one's time and code, and what that asks for."""
    shards = [shard(folded=9, late=3), shard(late=2, dead_lettered=1)]
    newest = [letter("late", NOW_MS - 60_000), letter("wrong_key", NOW_MS - 120_000)]
    bad, late = check_uncounted(shards, newest, NOW_MS)
    assert (bad.name, bad.status) == ("dead letters", Status.WARN)
    assert bad.finding == (
        "1 of orders since the beginning; the newest: wrong_key, written 2026-11-29 11:58 UTC"
    )
    assert "partitioner=murmur2_random" in bad.advice
    assert (late.name, late.status) == ("late records", Status.WARN)
    assert late.finding.startswith("5 of orders since the beginning; the newest: late, written")
    assert "grace_seconds" in late.advice
    assert "tidegate dlt list" in late.advice


@pytest.mark.parametrize("newest", [[], [letter("late", NOW_MS - 2 * DAY_MS)]])
def test_records_of_long_ago_need_nobody(newest):
    """They are counted, and are no warning for ever."""
    (late,) = check_uncounted([shard(late=3)], newest, NOW_MS)
    assert (late.status, late.advice) == (Status.OK, "")
    assert "3 of orders" in late.finding


def test_shop_that_counted_everything_says_so():
    """One line says that it was looked at."""
    (line,) = check_uncounted([shard(folded=9)], [], NOW_MS)
    assert (line.status, line.finding) == (Status.OK, "none was bad or came too late")
