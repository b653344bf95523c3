"""Records in the order of time, with pieces on disk."""

import random

from infra.connect.sorting import in_order_of_time
from infra.replay.faults import Record


def record(number: int) -> Record:
    return Record("orders", b"sku", f'{{"n":{number}}}'.encode(), number // 3)


def test_pieces_on_disk_are_merged():
    """The order is that of time, however many pieces there are; the same record is there once."""
    numbers = list(range(1_000)) + list(range(0, 1_000, 10))
    random.Random(1).shuffle(numbers)
    same = []
    made = in_order_of_time(map(record, numbers), on_same=same.append, piece_records=64)
    assert [one.value for one in made] == [
        one.value
        for one in sorted(map(record, range(1_000)), key=lambda r: (r.occurred_ms, r.value))
    ]
    assert len(same) == 100


def test_topics_of_one_instant_stand_in_the_order_in_which_they_take_effect():
    """An item is known before its first order."""
    records = [Record("orders", b"a", b"{}", 5), Record("catalog", b"a", b"{}", 5)]
    assert [one.topic for one in in_order_of_time(records)] == ["catalog", "orders"]
