"""What leaves the outbox: only what is stored, at least once, in order."""

import asyncio

from tests.streams.worker.worker_bench import (
    ASSIGNED,
    Bench,
    bench,
)


async def test_nothing_is_published_before_it_is_stored():
    """What leaves can always be found again: the commit that holds it comes first."""
    async with bench() as made:
        made.store.is_away = True
        await made.read("orders", [b"{"], 0)
        await made.until(lambda: "commit" in made.observer.failures)
        await asyncio.sleep(0.02)
        assert made.kafka.published == []
        made.store.is_away = False
        await made.until(lambda: bool(made.kafka.published))
        order = [line for line in made.store.log if line.startswith(("commit s", "publish"))]
        assert order[:2] == ["commit stored", "publish 1"]
        await made.until(lambda: not made.store.kept[0].outbox)


async def test_publishing_again_takes_only_what_is_stored():
    """While Kafka was away another record came that the store does not have yet: it waits."""
    async with bench() as made:
        made.kafka.failures = 1_000_000
        await made.read("orders", [b"{"], 0)
        await made.until(lambda: "publish 1" in made.store.log)
        made.store.is_away = True
        await made.read("orders", [b"[]"], 1)
        made.kafka.failures = 0
        await made.until(lambda: len(made.worker.tasks[0].shard.outbox) == 1)
        await asyncio.sleep(0.02)
        assert {letter.value for letter in made.kafka.published} == {b"{"}
        made.store.is_away = False
        await made.until(lambda: made.kafka.published[-1].value == b"[]")


async def test_failed_publishing_is_repeated_with_the_same_bytes():
    """At least once: after a failure all of it is sent again, in order, under the same ids."""
    async with bench() as made:
        made.kafka.failures = 2
        await made.read("orders", [b"{", b"", b"[]"], 0)
        await made.until(lambda: len(made.kafka.published) >= 5)
        assert made.kafka.published[0] == made.kafka.published[1] == made.kafka.published[2]
        assert [letter.value for letter in made.kafka.published[2:]] == [b"{", b"", b"[]"]


async def test_new_owner_publishes_what_the_old_one_stored():
    """A crash after the commit and before Kafka: the next owner publishes, and forgets it then."""
    old = Bench()
    await old.worker.read_from(ASSIGNED)
    await old.read("orders", [b"{"], 0)
    await old.worker.park()  # commits, and publishes nothing
    assert old.kafka.published == []
    async with bench(old.store) as new:
        await new.until(lambda: bool(new.kafka.published))
        assert new.kafka.published[0].value == b"{"
        await new.until(lambda: not new.store.kept[0].outbox)
