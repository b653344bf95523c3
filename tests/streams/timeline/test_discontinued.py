"""An item that leaves the assortment is ordered no more, now or from a day on."""

from dataclasses import replace

import msgspec
import pytest

from streams.contracts.events import Item
from streams.handover.rules import Limits
from tests.oracle import DAY, HOUR, milliseconds
from tests.streams.logs import START_MS, Logs
from tests.streams.replenishment.test_reviews import orders_of, stocked
from tests.streams.runs import SETTINGS, read_whole
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
