"""A replay reaches exactly the totals that are known from elsewhere."""

from collections import Counter
from typing import Any

from tests.system.conftest import Events, Install, Reference
from tests.system.running import Installation


async def _ends_of_inputs(installation: Installation) -> Counter[str]:
    from streams.events import TOPICS

    return Counter(record.topic for record in await installation.read(*TOPICS))


async def test_real_orders_come_to_the_published_totals(sample: Events, install: Install) -> None:
    """Orders, lines and units of every day and SKU are right, also after a second replay."""
    tidegate = await install()
    result = await tidegate.replay(sample.records)
    await tidegate.add_worker()
    await tidegate.wait_until_stored(result)
    once = await tidegate.exports()
    assert once.day_rows() == sample.days
    assert once.decisions.count(b"\n") > 1_000
    assert once.orders.count(b"\n") > 100
    await _replay_again_changes_nothing(tidegate, sample, once, already=0)


async def test_a_synthetic_sale_comes_to_its_truth(
    sale: tuple[Events, dict[str, Any]], install: Install
) -> None:
    """The same on a generated sale, whose log holds duplicates and bad records of its own."""
    events, truth = sale
    tidegate = await install(tick_seconds=900)
    result = await tidegate.replay(events.records)
    await tidegate.add_worker()
    await tidegate.wait_until_stored(result)
    once = await tidegate.exports()
    assert once.day_rows() == events.days
    assert once.decisions.count(b"\n") > 100
    print(truth["events"], tidegate.outcomes())


async def _replay_again_changes_nothing(
    tidegate: Installation, events: Events, once: Any, already: int
) -> None:
    before = tidegate.outcomes()
    again = await tidegate.replay(events.records)
    await tidegate.wait_until_stored(again)
    once.require_same(await tidegate.exports())
    after = tidegate.outcomes()
    assert after["folded"] == before["folded"]
    assert after["duplicate"] - before["duplicate"] == len(events.records)
    tidegate.require_balance()
    await tidegate.require_one_body_for_each_order()


async def test_a_slice_of_the_orders_equals_a_count_by_hand(
    events: Events, reference: Reference
) -> None:
    """What every fault is measured against is right itself."""
    assert reference.exports.day_rows() == events.days
