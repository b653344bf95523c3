"""Logs that change under a worker: recognised, read no further, and no order leaves."""

import pytest

from streams.contracts.events import TOPICS
from streams.contracts.topics import ALERTS
from streams.handover.rules import HoldReason
from streams.shard.logs import LogIdentity
from streams.state.commit import Commit
from tests.streams.fakes import MemoryStore, as_json
from tests.streams.worker.worker_bench import ASSIGNED, ORDERS, PREFIX, Bench, bench, sales


def topics(topic_id: str = "one", partitions: int = 2) -> dict[str, LogIdentity]:
    """What a broker has."""
    return {f"{PREFIX}{topic}": LogIdentity(topic_id, partitions) for topic in TOPICS}


def end_logs(made: Bench, offset: int) -> None:
    """Let every log end there."""
    made.consumer.highwaters = dict.fromkeys(ASSIGNED, offset)


async def settle(made: Bench, count: int = 5) -> None:
    """Let the worker read some orders, and store where it stands."""
    end_logs(made, count)
    await made.read("orders", sales(0, count), 0)
    await made.until(lambda: made.worker.tasks[0].stored_offsets.get("orders") == count)
    await made.until(lambda: "orders" in made.worker.tasks[0].shard.logs)


def alerts(made: Bench) -> list[tuple[str, str]]:
    """Kind and state of the alerts that were published."""
    values = [as_json(one.value) for one in made.kafka.published if one.topic == ALERTS]
    return [(value["kind"], value["state"]) for value in values]


def made_anew(made: Bench) -> None:
    made.topics = {**made.topics, ORDERS.topic: LogIdentity("two", 2)}


def shorter(made: Bench) -> None:
    end_logs(made, 3)


def removed(made: Bench) -> None:
    made.topics = {name: one for name, one in made.topics.items() if name != ORDERS.topic}


def widened(made: Bench) -> None:
    made.topics = topics(partitions=3)


@pytest.mark.parametrize("change", [made_anew, shorter, removed, widened])
async def test_log_that_is_another_is_not_read_and_holds_its_orders(change):
    """The gate, readiness and an alert say so; what the new log has is not folded."""
    async with bench(topics=topics()) as made:
        await settle(made)
        change(made)
        made.worker.signals.strange_log.set()
        task = made.worker.tasks[0]
        await made.until(lambda: HoldReason.LOG_CHANGED in task.gate.reasons)
        await made.until(lambda: ("log_changed", "raised") in alerts(made))
        assert any(f"{ORDERS.topic}/0 " in fault for fault in made.worker.faults())
        assert any("log_changed" in text for text in made.worker.holds())
        await made.read("orders", sales(100, 9), 0)
        assert (made.offset(), made.sold()) == (5, 5)
        assert made.worker.is_alive()


async def test_log_that_begins_anew_is_looked_at_as_soon_as_it_is_read():
    """The consumer of a log that was made anew begins at its start: nobody waits for the look."""
    async with bench(topics=topics()) as made:
        await settle(made)
        made_anew(made)
        await made.read("orders", sales(100, 3), 0)
        await made.until(lambda: "orders" in made.worker.tasks[0].changed_logs)


async def test_log_that_seems_shorter_once_is_still_the_same():
    """A broker that has just begun may name an end that is too low: one look decides nothing."""
    async with bench(topics=topics()) as made:
        await settle(made)
        shorter(made)
        await made.worker._watch.look()
        assert not made.worker.tasks[0].changed_logs
        end_logs(made, 5)
        await made.worker._watch.look()
        shorter(made)
        await made.worker._watch.look()
        assert not made.worker.tasks[0].changed_logs


async def test_log_that_comes_back_is_read_on():
    """Once the old topic is there again the worker goes on where it stood."""
    async with bench(topics=topics()) as made:
        await settle(made)
        made_anew(made)
        made.worker.signals.strange_log.set()
        await made.until(lambda: "orders" in made.worker.tasks[0].changed_logs)
        made.topics = topics()
        made.worker.signals.strange_log.set()
        await made.until(lambda: not made.worker.tasks[0].changed_logs)
        await made.read("orders", sales(5, 4), 5)
        assert made.sold() == 9
        assert made.worker.faults() == []


async def test_next_worker_knows_the_log_that_the_state_was_made_from():
    """What the topic was is stored with the offsets: a worker that starts later compares too."""
    store = MemoryStore()
    async with bench(store, topics=topics()) as made:
        await settle(made)
        await made.until(lambda: b'"one"' in store.kept[0].meta)
    async with bench(store, topics=topics("two")) as other:
        assert set(other.worker.tasks[0].changed_logs) == set(TOPICS)


async def test_partition_that_was_added_takes_no_orders_of_its_own():
    """A shard of a new partition is compared with shard 0: its items have their past elsewhere."""
    async with bench(topics=topics(partitions=2), first={"orders": LogIdentity("one", 1)}) as made:
        assert set(made.worker.tasks[0].changed_logs) == {"orders"}


async def test_state_without_identities_takes_those_of_now():
    """A state of before this was kept loads, and knows its logs from then on."""
    store = MemoryStore()
    async with bench(store) as made:
        await made.read("orders", sales(0, 5), 0)
        await made.until(lambda: made.worker.tasks[0].stored_offsets.get("orders") == 5)
    assert b'"logs":{}' in store.kept[0].meta
    async with bench(store, topics=topics(), assigned=False) as made:
        end_logs(made, 5)
        await made.worker.read_from(ASSIGNED)
        assert made.worker.tasks[0].shard.logs["orders"] == LogIdentity("one", 2)
        assert not made.worker.tasks[0].changed_logs


def stored(commits: list[Commit]) -> dict[str, int]:
    """The newest counts of shard 0."""
    return as_json([one for one in commits if one.partition == 0][-1].meta)["counts"]


@pytest.mark.parametrize("running", [True, False])
async def test_records_that_were_deleted_unread_are_an_incident_with_their_number(running):
    """Whether a worker runs or starts later, and whether anything is left in the log or not."""
    store = MemoryStore()
    async with bench(store, topics=topics()) as made:
        await settle(made)
        if running:
            made.consumer.beginnings[ORDERS] = 50
            await made.read("orders", sales(50, 1), 50)
    async with bench(store, topics=topics(), assigned=False) as made:
        made.consumer.beginnings[ORDERS] = 50
        assert (await made.worker.read_from(ASSIGNED))[ORDERS] == 50
        shard = made.worker.tasks[0].shard
        assert shard.counts["orders:lost"] == 45
        assert shard.timeline.alerts.inputs.lost_records == 45
        await made.until(lambda: stored(store.commits).get("orders:lost") == 45)


async def test_how_far_retention_is_from_what_is_unread_is_known():
    """Each look asks where the logs begin; a log that is not read is left out."""
    async with bench(topics=topics()) as made:
        await settle(made)
        made.consumer.beginnings = dict.fromkeys(ASSIGNED, 2)
        made.worker.signals.strange_log.set()
        await made.until(lambda: made.worker.progress.margin_records().get(("orders", 0)) == 3)
        made_anew(made)
        made.worker.signals.strange_log.set()
        await made.until(lambda: "orders" in made.worker.tasks[0].changed_logs)
        assert ("orders", 0) not in made.worker.progress.margin_records()
