"""What becomes of a record: an id that was seen, with the same content or another."""

import pytest

from policy import PolicyCache
from streams.ingest.decode import TopicDecoder
from streams.shard.folding import REUSED
from streams.shard.shard import Shard
from tests.streams.logs import ITEMS, START_MS, event
from tests.streams.runs import SETTINGS


def line(kind: str = "placed", item: int = 0, **changed) -> bytes:
    """An order line, always under the same id."""
    fields = {"order_id": "o1", "quantity": 4, **changed}
    return event(kind, "line-1", START_MS, ITEMS[item], **fields)


def fold(*batches: list[bytes], shard: Shard | None = None):
    """Return a shard that took the batches in, and what became of the last one."""
    shard = shard or Shard(0, SETTINGS, PolicyCache())
    decoder = TopicDecoder("orders")
    folded = None
    for values in batches:
        folded = shard.fold("orders", decoder.decode(values, None), shard.offsets.get("orders", 0))
    return shard, folded


@pytest.mark.parametrize(
    "other", [line("cancelled"), line(quantity=5), line(order_id="o2"), line(item=1)]
)
@pytest.mark.parametrize("batches", [1, 2])
def test_id_of_another_event_is_named_as_such(other, batches):
    """It counts as a duplicate, whether both come in one batch or not, and its row is named."""
    values = [line(), line(), other]
    shard, folded = fold(values) if batches == 1 else fold(values[:2], values[2:])
    assert folded.reused_rows == [2 if batches == 1 else 0]
    assert shard.counts["orders:duplicate"] == 2
    assert shard.counts[f"orders:{REUSED}"] == 1
    assert shard.counts["orders:folded"] == 1


def test_same_event_again_is_a_plain_duplicate():
    """At least once delivery, a later time among it: nothing is to be said."""
    again = event("placed", "line-1", START_MS + 5_000, ITEMS[0], order_id="o1", quantity=4)
    shard, folded = fold([line()], [line(), again])
    assert folded.reused_rows == []
    assert shard.counts["orders:duplicate"] == 2


def test_event_remembered_by_an_older_version_is_compared_with_nothing():
    """Its memory holds the time alone, and says nothing of the content."""
    shard, _ = fold([line()])
    values = shard.memories["seen-orders"].arrays.entries[0, :1, 1]
    values &= (1 << 33) - 1
    assert shard.dedupe_horizon_s()["orders"] == 0
    shard, folded = fold([line("cancelled")], shard=shard)
    assert folded.reused_rows == []
    assert shard.counts["orders:duplicate"] == 1
