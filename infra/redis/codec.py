"""How a record of the outbox lies in Redis: the one place that packs and unpacks it."""

import msgspec

from streams.contracts.outgoing import OutboxRecord

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(OutboxRecord)


def encode_outbox_record(record: OutboxRecord) -> bytes:
    """Return a record as it is stored."""
    return _encoder.encode(record)


def decode_outbox_record(packed: bytes) -> OutboxRecord:
    """Return a stored record.

    Raises:
        msgspec.DecodeError: it is no record of the outbox.
    """
    return _decoder.decode(packed)
