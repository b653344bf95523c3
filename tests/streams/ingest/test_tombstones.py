"""A record without a value is an event in a compacted topic, and a bad record everywhere else."""

import numpy as np
import pytest

from streams.contracts.events import TOPICS, CampaignTombstone, CatalogTombstone
from streams.contracts.topics import COMPACTED
from streams.ingest.chunks import keys_of, written_ms
from streams.ingest.decode import Decoded, RejectCode, TopicDecoder
from streams.ingest.placement import Place, home_of, refuse_misplaced
from streams.ingest.tombstones import read_values
from streams.ingest.transport import Chunk
from tests.streams.fakes import Sent, batch_bytes
from tests.streams.logs import START_MS, catalog_line

ALONE = Place(0, 1)
KINDS = {"catalog": CatalogTombstone, "campaigns": CampaignTombstone}


def chunk_of(sent: list[Sent], start: int = 0) -> Chunk:
    """A record batch with keys, as the transport hands it over."""
    values, keys = [value for _, value, _, _ in sent], [key for key, *_ in sent]
    newest = max(at for *_, at in sent)
    return Chunk(values, start, start + len(sent), newest, batch_bytes(sent, start), keys)


def decoded_of(topic: str, part: list[Chunk], place: Place = ALONE) -> Decoded:
    """What a worker makes of chunks."""
    decoded = TopicDecoder(topic).decode(read_values(topic, part, place), written_ms(part))
    keys = keys_of(part) or []
    return refuse_misplaced(decoded, keys, place, is_compacted=topic in COMPACTED)


@pytest.mark.parametrize("topic", TOPICS)
def test_only_a_compacted_topic_has_tombstones(topic):
    """There it is the sku's, at the record's own time; elsewhere the value is missing."""
    decoded = decoded_of(topic, [chunk_of([(b"l\xc3\xa4mp", None, [], START_MS)])])
    if topic not in KINDS:
        assert [one.code for one in decoded.rejects] == [RejectCode.EMPTY]
        return
    assert decoded.rejects == []
    (event,) = decoded.columns.updates.values()
    assert isinstance(event, KINDS[topic])
    assert (event.sku, event.occurred_at) == ("l\xe4mp", START_MS)


@pytest.mark.parametrize(
    ("key", "at_ms", "code"),
    [
        (None, START_MS, RejectCode.EMPTY),
        (b"", START_MS, RejectCode.EMPTY),
        (b"\xff", START_MS, RejectCode.EMPTY),
        (b"k" * 401, START_MS, RejectCode.OUT_OF_RANGE),
        (b"lamp", -1, RejectCode.TIME_OUT_OF_RANGE),
        (b"lamp", 1 << 60, RejectCode.TIME_IN_NANOSECONDS),
    ],
)
def test_key_or_time_that_cannot_be_makes_a_dead_letter(key, at_ms, code):
    """Its time is bounded as that of every event is; its key has to be a sku."""
    (reject,) = decoded_of("catalog", [chunk_of([(key, None, [], at_ms)])]).rejects
    assert reject.code == code


def test_each_tombstone_is_an_event_of_its_own():
    """A connector deletes, writes and deletes again within one batch and one millisecond."""
    line = catalog_line("c1", START_MS, ("lamp", "main"))
    sent: list[Sent] = [
        (b"lamp", None, [], START_MS),
        (b"lamp", line, [], START_MS),
        (b"lamp", None, [], START_MS),
    ]
    part = [chunk_of([(b"lamp", line, [], START_MS)]), chunk_of(sent, start=1)]
    columns = decoded_of("catalog", part).columns
    assert columns.rows.tolist() == [0, 1, 2, 3]
    assert np.unique(columns.event_key[[1, 3]]).size == 2


def test_tombstone_in_another_partition_is_refused():
    """Its key belongs elsewhere, as that of any record can."""
    place = Place(1 - home_of(b"lamp", 2), 2)
    (reject,) = decoded_of("catalog", [chunk_of([(b"lamp", None, [], START_MS)])], place).rejects
    assert reject.code == RejectCode.WRONG_KEY


@pytest.mark.parametrize("key", ["lamp", "lamp@north", "lamp@north@black-friday"])
@pytest.mark.parametrize("partition", [0, 1, 2, 3])
def test_key_may_name_a_warehouse_and_a_campaign(key, partition):
    """It lies where its sku belongs, as the line itself does, and is refused elsewhere."""
    line = catalog_line("c1", START_MS, ("lamp", "north"))
    part = [chunk_of([(key.encode(), line, [], START_MS), (key.encode(), None, [], START_MS)])]
    decoded = decoded_of("catalog", part, Place(partition, 4))
    if partition != home_of(b"lamp", 4):
        assert decoded.rejects[0].code == RejectCode.WRONG_KEY
        assert "murmur2" in decoded.rejects[0].message
        return
    assert decoded.rejects == []
    assert decoded.columns.updates[1].key == key


def test_batch_that_cannot_be_read_again_costs_only_itself(caplog):
    """Its tombstones are dead letters, its other records count."""
    line = catalog_line("c1", START_MS, ("lamp", "main"))
    part = [Chunk([line, None], 0, 2, START_MS, b"\x00" * 80, [b"lamp", b"lamp"])]
    decoded = decoded_of("catalog", part)
    assert [one.code for one in decoded.rejects] == [RejectCode.EMPTY]
    assert len(decoded.columns) == 1


@pytest.mark.parametrize("topic", KINDS)
def test_value_that_says_it_is_a_tombstone_is_refused(topic):
    """Else a producer could take any item of the partition out of ordering by a kind of ours."""
    value = (
        b'{"kind":"tombstone","event_id":"x","occurred_at":"2026-01-01T00:00:00Z",'
        b'"sku":"lamp","key":"desk"}'
    )
    at_ms = 1_767_225_600_000
    sent: list[Sent] = [(b"lamp", value, [], at_ms), (b"lamp", None, [], at_ms)]
    decoded = decoded_of(topic, [chunk_of(sent)])
    (reject,) = decoded.rejects
    assert (reject.row, reject.code) == (0, RejectCode.UNKNOWN_KIND)
    assert decoded.columns.rows.tolist() == [1]
