"""A record that does not lie where its sku belongs is refused, with what mends it."""

import json
import zlib

import numpy as np
import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from infra.replay.log_writer import partition_for
from streams.contracts.events import TOPICS
from streams.ingest.decode import Decoded, TopicDecoder
from streams.ingest.placement import Place, home_of, refuse_misplaced
from tests.streams.logs import ITEMS, START_MS, build, event, heartbeat, random_steps

SKUS = [f"SKU-{number:03}" for number in range(40)]


def placed(sku: str, number: int = 0, **more: object) -> bytes:
    """One order line."""
    return event("placed", f"e{number}", START_MS, (sku, "main"), order_id="o", quantity=1, **more)


def refused(
    values: list[bytes | None],
    keys: list[bytes | None],
    place: Place,
    topic: str = "orders",
) -> Decoded:
    """What is left of a batch."""
    return refuse_misplaced(TopicDecoder(topic).decode(values, None), keys, place)


@given(key=st.binary(max_size=40), partitions=st.integers(1, 100))
def test_home_is_where_kafkas_clients_put_a_key(key, partitions):
    """The compiled hash is Java's, for keys of any length and any bytes."""
    assert home_of(key, partitions) == (murmur2(key) & 0x7FFFFFFF) % partitions
    assert home_of(key, partitions) == partition_for(key, partitions)


def test_records_of_another_partitioner_are_refused_and_no_others():
    """librdkafka's default places 30 of 40 items elsewhere: each of these is refused, once."""
    for partition in range(4):
        skus = [sku for sku in SKUS if zlib.crc32(sku.encode()) % 4 == partition]
        values: list[bytes | None] = [placed(sku, n) for n, sku in enumerate(skus)]
        decoded = refused(values, [sku.encode() for sku in skus], Place(partition, 4))
        right = [row for row, sku in enumerate(skus) if home_of(sku.encode(), 4) == partition]
        assert decoded.columns.rows.tolist() == right
        assert {reject.code for reject in decoded.rejects} == {"wrong_key"}
        assert len(decoded.rejects) == len(skus) - len(right)
        assert all("partitioner=murmur2_random" in one.message for one in decoded.rejects)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (None, "got none: set key = sku"),
        (b"", "got '': set key = sku"),
        (b"order-17", "got 'order-17': set key = sku"),
        (b'"lamp"', "plain string"),
        (b"\x00\x00\x00\x00\x07lamp", "schema registry"),
        (b"LAMP ", "case and spaces"),
        (b"lam", "got 'lam'"),
        (b"lamp2", "got 'lamp2'"),
        (b"\xff" * 500, "\\\\xff"),
    ],
)
def test_key_that_is_not_the_sku_is_refused_with_what_mends_it(key, says):
    """No key, an order's id, JSON, a schema's prefix: the text names the producer's setting."""
    decoded = refused([placed("lamp"), placed("lamp", 1)], [key, b"lamp"], Place(0, 1))
    ((row, code, message),) = [(one.row, one.code, one.message) for one in decoded.rejects]
    assert (row, code) == (0, "wrong_key")
    assert says in message
    assert len(message) < 400
    assert decoded.columns.rows.tolist() == [1]


def test_heartbeats_belong_where_they_lie_and_bad_records_keep_their_code():
    """A heartbeat has no sku; what is bad already is refused once, for its own reason."""
    values = [heartbeat(START_MS), b"{", placed("lamp"), heartbeat(START_MS), None]
    decoded = refused(values, [None, None, None, b"heartbeat", b"x"], Place(2, 4))
    assert decoded.columns.rows.tolist() == [0, 3]
    codes = [(one.row, one.code) for one in decoded.rejects]
    assert codes == [(1, "truncated"), (2, "wrong_key"), (4, "empty")]


@pytest.mark.parametrize("topic", TOPICS)
def test_every_kind_of_record_is_looked_at(topic):
    """Catalog, campaigns, stock, shipments and responses too; details stay with their records."""
    logs = dict(build(random_steps(5, 300)))
    values = [value for value, _ in logs[topic]]
    before = TopicDecoder(topic).decode(values, None)
    keys: list[bytes | None] = [b"?"] * len(values)
    for at, row in enumerate(before.columns.rows.tolist()):
        keys[row] = before.columns.names.text(at)[0].encode()
    same = refuse_misplaced(before, keys, Place(0, 1))
    assert same is before
    wrong = [
        row for row in before.columns.rows.tolist() if json.loads(values[row] or b"").get("sku")
    ]
    for row in wrong[::2]:
        keys[row] = b"order-1"
    after = refuse_misplaced(before, keys, Place(0, 1))
    rows = [*after.columns.rows.tolist(), *(one.row for one in after.rejects)]
    assert sorted(rows) == list(range(len(values)))
    assert [one.row for one in after.rejects] == sorted(one.row for one in after.rejects)
    kept = after.columns.rows.tolist()
    for at, detail in after.columns.updates.items():
        assert detail == before.columns.updates[before.columns.rows.tolist().index(kept[at])]
    assert len(after.columns.updates) == sum(
        row not in wrong[::2] for row in before.columns.rows[[*before.columns.updates]].tolist()
    )


def test_names_of_any_letters_are_compared_by_their_bytes():
    """A sku with letters beyond ASCII, in a batch that both the scanner and msgspec read."""
    skus = [sku for sku, _ in ITEMS] * 3
    values: list[bytes | None] = [
        placed(sku, n, **({"note": {"nested": 1}} if n % 2 else {})) for n, sku in enumerate(skus)
    ]
    decoded = refused(values, [sku.encode() for sku in skus], Place(0, 1))
    assert not decoded.rejects
    assert np.all(decoded.columns.rows == np.arange(len(skus)))
