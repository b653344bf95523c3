"""Fuzzed records through decoder and shard: each becomes exactly one thing (invariant 4)."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import islice

from streams.shard.checkpoint import take_commit
from tests.fuzz.records import Record, fuzzed_records
from tests.streams.runs import Run

OUTCOMES = ("folded", "duplicate", "late", "dead_lettered", "heartbeat")
_AT_ONCE = 2_000


def fold_fuzzed(
    seed: int, count: int, on_progress: Callable[[int], None] = lambda done: None
) -> Counter[str]:
    """Fold so many fuzzed records in batches of any size; return what became of them.

    Raises:
        AssertionError: a record was lost or counted twice, naming the seed.
    """
    chance = random.Random(f"batches {seed}")
    records = fuzzed_records(seed, count)
    run = Run()
    done = 0
    while batch := list(islice(records, chance.randint(1, _AT_ONCE))):
        _read(run, batch)
        run.advance(3)
        take_commit(run.shard)
        done += len(batch)
        require_balance(run, seed, done)
        on_progress(done)
    return outcomes_of(run)


def _read(run: Run, batch: list[Record]) -> None:
    by_topic = defaultdict(list)
    for record in batch:
        by_topic[record.topic].append((record.value, record.written_ms))
    for topic, log in by_topic.items():
        run.read(topic, log)


def require_balance(run: Run, seed: int, done: int) -> None:
    """Every record that was read became exactly one thing, in every topic."""
    for topic, offset in run.shard.offsets.items():
        found = sum(run.shard.counts[f"{topic}:{outcome}"] for outcome in OUTCOMES)
        assert found == offset, f"seed {seed}, {done} records, {topic}: {found}, not {offset}"
    assert sum(run.shard.offsets.values()) == done, f"seed {seed}"


def outcomes_of(run: Run) -> Counter[str]:
    """What became of the records, over all topics."""
    found: Counter[str] = Counter()
    for name, count in run.shard.counts.items():
        found[name.rpartition(":")[2]] += count
    return found
