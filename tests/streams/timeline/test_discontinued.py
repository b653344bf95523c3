"""An item that leaves the assortment is ordered no more, now or from a day on."""

from dataclasses import replace

import msgspec
import pytest

from streams.contracts.events import Item
from streams.ingest.decode import TombstoneValue
from streams.settings import Limits
from tests.oracle import DAY, HOUR, milliseconds
from tests.streams.logs import START_MS, Logs, catalog_line
from tests.streams.replenishment.test_reviews import orders_of, stocked
from tests.streams.runs import SETTINGS, Run, read_whole, require_same
from tests.streams.shard.test_shard import read_with_restarts
from tests.streams.timeline.test_updates import say

WITH_LIMIT = replace(SETTINGS, timeline=replace(SETTINGS.timeline, limits=Limits(1.0)))


def decided_ms(logs: Logs) -> list[int]:
    """When each order was decided."""
    return sorted(milliseconds(one.decided_at) for one in orders_of(read_whole(logs)))


@pytest.mark.parametrize("days", [0, 3])
def test_nothing_is_ordered_from_the_day_on(days):
    """At once, or from a later day; the decisions before it are as they were."""
    end_ms = START_MS + 2 * DAY + days * DAY
    logs = stocked(8)
    fields = {"discontinued_from": end_ms} if days else {}
    say(logs, "catalog", "discontinued", START_MS + 2 * DAY, **fields)
    run = read_whole(logs)
    reviews = [reviewed_ms for reviewed_ms, *_ in run.decisions]
    assert max(reviews, default=0) < end_ms
    assert reviews == [one for one, *_ in read_whole(stocked(8)).decisions if one < end_ms]
    assert run.shard.timeline.items.rows[0]["next_review_ms"] == 0


def test_item_that_comes_back_is_ordered_again():
    """Its catalog line is sent anew, without the date."""
    logs = stocked(8)
    say(logs, "catalog", "discontinued", START_MS + HOUR)
    assert decided_ms(logs) == []
    line = msgspec.to_builtins(read_whole(stocked(1)).shard.timeline.catalog[0])
    taken = {
        name: value
        for name, value in line.items()
        if name not in ("kind", "event_id", "occurred_at", "sku", "warehouse")
    }
    assert set(taken) <= set(Item.__struct_fields__)
    say(logs, "catalog", "item", START_MS + 2 * HOUR, **taken)
    assert decided_ms(logs)


@pytest.mark.parametrize(("mode", "open_orders"), [("sell_off", True), ("stop", False)])
def test_stop_calls_off_what_waits_for_a_person(mode, open_orders):
    """To sell off means that what is on order still comes."""
    logs = stocked(6)
    first_ms = decided_ms(logs)[0]
    say(logs, "catalog", "discontinued", first_ms + HOUR, discontinued_mode=mode)
    run = read_whole(logs, WITH_LIMIT)
    (summary,) = (
        record.order_summary
        for _, record in run.shard.outbox.orders_between(0, run.shard.outbox.next_number)
    )
    assert summary.status.is_called_off != open_orders
    assert bool(len(run.shard.timeline.supply)) == open_orders


def test_campaigns_of_the_item_end_with_it():
    """Nothing is planned for it any more."""
    logs = stocked(6)
    plan = {"campaign_id": "c1", "expected_units": 500}
    window = {"starts_at": START_MS + 4 * DAY, "ends_at": START_MS + 5 * DAY}
    say(logs, "campaigns", "planned", START_MS + HOUR, **plan, **window)
    assert read_whole(logs).shard.timeline.campaigns
    say(logs, "catalog", "discontinued", START_MS + 2 * DAY)
    assert not read_whole(logs).shard.timeline.campaigns


def test_item_that_nobody_knows_is_no_error():
    """After compaction the last record of an item may be that it is discontinued."""
    logs = stocked(3)
    say(logs, "catalog", "discontinued", START_MS + HOUR, item=("unheard-of", "main"))
    assert decided_ms(logs) == decided_ms(stocked(3))


# --- records without a value ------------------------------------------------------------------

NORTH = ("lamp", "north")


def removed(logs: Logs, at_ms: int, topic: str = "catalog", key: str = "lamp") -> Logs:
    """Let a record without a value follow, as `read_values` reads it."""
    say(logs, topic, "tombstone", at_ms, key=key)
    log = logs.of[topic]
    log[:] = [(TombstoneValue(v) if b'"tombstone"' in v else v, written) for v, written in log]
    return logs


def decisions_of(run: Run) -> list[tuple[int, str]]:
    """When each item was reviewed."""
    return sorted((reviewed_ms, name) for reviewed_ms, _, name, _ in run.decisions)


def test_items_that_the_catalog_forgets_leave_ordering_at_once():
    """Those of every warehouse of the sku, and of no other; nothing waits for a person any more."""
    logs = stocked(6)
    for item in (NORTH, ("desk", "main")):
        line = catalog_line(f"c-{item}", START_MS, item)
        logs.of["catalog"].insert(1, (line, START_MS))
        counted = {"level": 5}
        say(logs, "stock", "counted", START_MS + len(item[0]), item=item, **counted)
    end_ms = START_MS + 3 * DAY
    before = decisions_of(read_whole(logs, WITH_LIMIT))
    run = read_whole(removed(logs, end_ms), WITH_LIMIT)
    assert {name for at, name in before if at > end_ms} == {"lamp@main", "lamp@north", "desk@main"}
    assert decisions_of(run) == [
        (at, name) for at, name in before if at < end_ms or name == "desk@main"
    ]
    timeline = run.shard.timeline
    assert {timeline.items.key(item) for item in timeline.catalog} == {"desk@main"}
    assert {timeline.items.key(order.item) for order in timeline.supply} <= {"desk@main"}


def test_state_does_not_depend_on_when_it_was_built():
    """After compaction a shard never saw the item; it knows and decides what one did that saw it
    come and go before anything else happened.
    """
    logs, compacted = stocked(6), stocked(6)
    at_ms = START_MS + 1
    removed(logs, at_ms)
    compacted.of["catalog"] = [
        (value, at)
        for value, at in removed(compacted, at_ms).of["catalog"]
        if b'"item"' not in value
    ]
    seen, rebuilt = read_whole(logs), read_whole(compacted)
    assert seen.decisions == rebuilt.decisions == []
    assert seen.shard.timeline.catalog == rebuilt.shard.timeline.catalog == {}
    ours, theirs = (run.shard.timeline.items.rows[:1] for run in (seen, rebuilt))
    assert [name for name in ours.dtype.names if (ours[name] != theirs[name]).any()] == []


def test_item_that_comes_back_after_a_tombstone_is_ordered_again():
    """A later catalog record of the sku is enough."""
    logs = removed(stocked(8), START_MS + HOUR)
    assert decided_ms(logs) == []
    back = catalog_line("back", START_MS + 2 * HOUR, ("lamp", "main"))
    place = [b"tombstone" in value for value, _ in logs.of["catalog"]].index(True)
    logs.of["catalog"].insert(place + 1, (back, START_MS + 2 * HOUR))
    assert decided_ms(logs)


@pytest.mark.parametrize("topic", ["catalog", "campaigns"])
def test_key_that_nobody_knows_is_no_error(topic):
    """It is counted, makes no item and changes nothing."""
    logs = stocked(3)
    run = read_whole(removed(logs, START_MS + HOUR, topic, "unheard-of"))
    assert run.shard.counts[f"{topic}:dead_lettered"] == 0
    assert [sku for sku, _ in run.shard.timeline.items.names] == ["lamp"]
    assert decisions_of(run) == decisions_of(read_whole(stocked(3)))


@pytest.mark.parametrize(
    ("key", "left"),
    [
        ("lamp", set()),
        ("lamp@north", {"lamp@main"}),
        ("lamp@south", {"lamp@main", "lamp@north"}),
        ("lamp@north@c1", {"lamp@main", "lamp@north"}),
    ],
)
def test_key_of_one_warehouse_ends_the_item_there(key, left):
    """Keys say which of a sku's lines compaction keeps, and so which one goes."""
    logs = stocked(2)
    logs.of["catalog"].insert(1, (catalog_line("c-north", START_MS, NORTH), START_MS))
    timeline = read_whole(removed(logs, START_MS + HOUR, key=key)).shard.timeline
    assert {timeline.items.key(item) for item in timeline.catalog} == left


@pytest.mark.parametrize(
    ("key", "left"),
    [
        ("lamp", set()),
        ("lamp@main", {("lamp@north", "c1")}),
        ("lamp@main@c@2", {("lamp@main", "c1"), ("lamp@north", "c1")}),
        ("lamp@north@c@2", {("lamp@main", "c1"), ("lamp@main", "c@2"), ("lamp@north", "c1")}),
    ],
)
def test_key_of_one_campaign_ends_its_line(key, left):
    """A sku has a line in each of its campaigns."""
    logs = stocked(2)
    window = {"starts_at": START_MS + 4 * DAY, "ends_at": START_MS + 5 * DAY}
    plans = (("main", "c1"), ("main", "c@2"), ("north", "c1"))
    for place, (warehouse, campaign) in enumerate(plans):
        plan = {"campaign_id": campaign, "expected_units": 500, "item": ("lamp", warehouse)}
        say(logs, "campaigns", "planned", START_MS + HOUR + place, **plan, **window)
    timeline = read_whole(removed(logs, START_MS + 2 * HOUR, "campaigns", key)).shard.timeline
    found = {
        (timeline.items.key(item), line)
        for item, lines in timeline.campaigns.items()
        for line in lines
    }
    assert found == left


def test_lines_that_the_campaigns_forget_are_planned_no_more():
    """The item stays."""
    logs = stocked(6)
    for warehouse in ("main", "north"):
        plan = {"campaign_id": "c1", "expected_units": 500, "item": ("lamp", warehouse)}
        window = {"starts_at": START_MS + 4 * DAY, "ends_at": START_MS + 5 * DAY}
        say(logs, "campaigns", "planned", START_MS + HOUR + len(warehouse), **plan, **window)
    assert read_whole(logs).shard.timeline.campaigns
    run = read_whole(removed(logs, START_MS + 2 * HOUR, "campaigns"))
    assert not run.shard.timeline.campaigns
    assert not run.shard.timeline.state.lines.item.size
    assert decisions_of(run) == decisions_of(read_whole(stocked(6)))


def test_tombstones_survive_pieces_and_restarts():
    """However the logs are cut, and though a worker ends while a tombstone waits."""
    logs = removed(stocked(4), START_MS + 2 * DAY)
    removed(logs, START_MS + 2 * DAY + HOUR, "campaigns", "unheard-of")

    schedule = [(0, 7, 1), (3, 40, 2), (1, 1, 0)]
    require_same(read_with_restarts(logs, schedule, set(range(0, 60, 7))), read_whole(logs))
