"""How a record of the outbox lies in Redis: the one place that packs and unpacks it."""

import msgspec

from streams.contracts.outgoing import Outgoing

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Outgoing)


def encode_outgoing(record: Outgoing) -> bytes:
    """Return a record as it is stored."""
    return _encoder.encode(record)


def decode_outgoing(packed: bytes) -> Outgoing:
    """Return a stored record.

    Raises:
        msgspec.DecodeError: it is no record of the outbox.
    """
    return _decoder.decode(packed)
