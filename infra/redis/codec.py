"""How what is stored as JSON or msgpack reads: the one place that knows these forms.

Packed tables are read by `infra.redis.rows`; the shard itself reads its whole meta
(`streams.shard.checkpoint`).
"""

from collections.abc import Mapping

import msgspec

from streams.contracts.events import CampaignChanged, CampaignPlanned
from streams.contracts.events import Item as CatalogLine
from streams.contracts.outgoing import OutboxRecord
from streams.demand.campaigns import Uplift
from streams.shard.logs import LogIdentity

CampaignLines = list[CampaignPlanned | CampaignChanged]


class InputIncidents(msgspec.Struct):
    """What of a shard's incidents is looked at beside the incidents themselves."""

    lost_records: int = 0  # while their incident is open


class GroupsMeta(msgspec.Struct):
    """How far the groups are judged, in the shard that does."""

    applied_ms: int


class ShardMeta(msgspec.Struct):
    """What people want to know of a shard's state; the rest of it is the shard's own."""

    clocks: dict[str, int]  # topic -> newest event time in its log
    applied_ms: int | None  # event time up to which everything has taken effect
    counts: dict[str, int]  # topic:outcome -> records
    newest_buckets: dict[str, int]  # ring -> bucket
    reviews: int
    history_from: dict[str, int]  # topic -> where its log began, if that was not its beginning
    uplifts: dict[str, Uplift] = {}  # by type of promotion
    profile: list[float] = []  # of the shop's week
    logs: dict[str, LogIdentity] = {}  # topic -> what it was when it began to be read
    alerts: InputIncidents = msgspec.field(default_factory=InputIncidents)
    groups: GroupsMeta | None = None


class _Currency(msgspec.Struct, gc=False):
    currency: str | None = None


_outbox_encoder = msgspec.msgpack.Encoder()
_outbox_decoder = msgspec.msgpack.Decoder(OutboxRecord)
_meta_decoder = msgspec.json.Decoder(ShardMeta)
_name_decoder = msgspec.json.Decoder(tuple[str, str])
_catalog_decoder = msgspec.json.Decoder(tuple[CatalogLine | None, CampaignLines])
_campaigns_decoder = msgspec.json.Decoder(tuple[msgspec.Raw, CampaignLines])
_currency_decoder = msgspec.json.Decoder(tuple[_Currency | None, msgspec.Raw])


def encode_outbox_record(record: OutboxRecord) -> bytes:
    """Return a record of the outbox as it is stored."""
    return _outbox_encoder.encode(record)


def decode_outbox_record(packed: bytes) -> OutboxRecord:
    """Return a stored record of the outbox.

    Raises:
        msgspec.DecodeError: it is none. So for all the functions below.
    """
    return _outbox_decoder.decode(packed)


def readable_outbox(
    stored: Mapping[bytes, bytes],
) -> tuple[dict[int, OutboxRecord], dict[int, bytes]]:
    """Return a stored outbox by its numbers: its records, and what is none of them."""
    records: dict[int, OutboxRecord] = {}
    unreadable: dict[int, bytes] = {}
    for number, packed in stored.items():
        try:
            records[int(number)] = decode_outbox_record(packed)
        except (msgspec.DecodeError, UnicodeDecodeError):
            unreadable[int(number)] = packed
    return records, unreadable


def decode_meta(stored: bytes) -> ShardMeta:
    """Return a shard's meta."""
    return _meta_decoder.decode(stored)


def decode_name(stored: bytes) -> tuple[str, str]:
    """Return the sku and warehouse of an item.

    >>> decode_name(b'["lamp","main"]')
    ('lamp', 'main')
    """
    return _name_decoder.decode(stored)


def decode_catalog(stored: bytes | None) -> tuple[CatalogLine | None, CampaignLines]:
    """Return an item's catalog line and the lines of its campaigns; None means none is stored."""
    return (None, []) if stored is None else _catalog_decoder.decode(stored)


def decode_campaigns(stored: bytes) -> CampaignLines:
    """Return the lines of an item's campaigns alone."""
    return _campaigns_decoder.decode(stored)[1]


def decode_currency(stored: bytes | None) -> str | None:
    """Return the currency of an item's catalog line alone; None means it is not known."""
    line = None if stored is None else _currency_decoder.decode(stored)[0]
    return None if line is None else line.currency
