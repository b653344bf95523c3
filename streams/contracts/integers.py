"""Whole numbers with a point: `2.0` is an integer for JSON Schema, and many producers write it."""

from typing import Any

import msgspec


def decode_whole(decoder: "msgspec.json.Decoder[Any]", value: bytes) -> Any:
    """Decode a value as `decoder` does, but let `2.0` stand for 2.

    Raises:
        msgspec.DecodeError: as the decoder does.

    >>> decode_whole(msgspec.json.Decoder(list[int]), b"[2.0, 3]")
    [2, 3]
    """
    try:
        return decoder.decode(value)
    except msgspec.ValidationError as error:
        if "got `float`" not in str(error):
            raise
    return msgspec.convert(_whole(msgspec.json.decode(value)), decoder.type)


def _whole(value: Any) -> Any:
    """Return a value with integers in place of floats that are whole; a float may be an integer."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(one) for one in value]
    if isinstance(value, dict):
        return {name: _whole(one) for name, one in value.items()}
    return value
