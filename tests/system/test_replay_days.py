"""A replay reaches exactly the totals that are known from elsewhere."""

from tests.system.conftest import Events, Install, Reference


async def test_real_orders_come_to_the_published_totals(sample: Events, install: Install) -> None:
    """Orders, lines and units of every day and SKU are right, and a second replay adds nothing."""
    tidegate = await install()
    result = await tidegate.replay(sample.records)
    await tidegate.add_worker()
    await tidegate.wait_until_stored(result)
    once = await tidegate.exports()
    assert once.day_rows() == sample.days
    assert once.decisions.count(b"\n") > 1_000
    assert once.orders.count(b"\n") > 100
    tidegate.require_balance()

    before = tidegate.outcomes()
    again = await tidegate.replay(sample.records)
    await tidegate.wait_until_stored(again)
    once.require_same(await tidegate.exports())
    after = tidegate.outcomes()
    assert after["folded"] == before["folded"]
    assert after["duplicate"] - before["duplicate"] == len(sample.records)
    tidegate.require_balance()
    assert await tidegate.require_one_body_for_each_order() > 100


def test_what_faults_are_measured_against_is_right(events: Events, reference: Reference) -> None:
    """A slice of the orders, read in peace, equals a count by hand."""
    assert reference.exports.day_rows() == events.days
    assert reference.exports.decisions.count(b"\n") > 100
