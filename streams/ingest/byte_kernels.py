"""Bytes in compiled code, by pointers: eight at a time, without touching a reference count."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from policy.compiled import compiled_with
from streams.hashing import SEED, mix
from streams.types import UInt8Array

PADDING = 32
"""Bytes that must follow the last value: the kernels read eight at a time."""

Pointer = Any
"""To the data of an array. An array that is handed to a function with a loop costs
two atomic operations, more than reading a short text; a pointer costs nothing."""

_ONE = np.uint64(1)

fast = compiled_with(error_model="numpy")
"""Compiles without the checks of Python's divisions."""


def join_padded(values: Sequence[bytes | None]) -> UInt8Array:
    """Return the values one after the other, and the padding."""
    return np.frombuffer(b"".join([*values, bytes(PADDING)]), np.uint8)  # type: ignore[list-item]


@intrinsic  # type: ignore[untyped-decorator]
def pointer_to(typing_context: Any, array: Any) -> Any:
    """Return a pointer to the data of an array, that must outlive it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return make_array(array)(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), generate


@fast
def byte_at(text: Pointer, place: int) -> int:
    return np.int64(text[place])


@fast
def word_at(text: Pointer, place: int) -> int:
    """Return eight bytes, the first one lowest. The compiler makes one load of it."""
    return (
        np.uint64(text[place])
        | np.uint64(text[place + 1]) << np.uint64(8)
        | np.uint64(text[place + 2]) << np.uint64(16)
        | np.uint64(text[place + 3]) << np.uint64(24)
        | np.uint64(text[place + 4]) << np.uint64(32)
        | np.uint64(text[place + 5]) << np.uint64(40)
        | np.uint64(text[place + 6]) << np.uint64(48)
        | np.uint64(text[place + 7]) << np.uint64(56)
    )


@fast
def word_within(text: Pointer, place: int, stop: int) -> int:
    """Return the bytes of a word that lie before `stop`, and zeros in place of the others."""
    count = stop - place
    if count >= 8:
        return word_at(text, place)
    if count <= 0:
        return np.uint64(0)
    return word_at(text, place) & ((_ONE << np.uint64(8 * count)) - _ONE)


@fast
def same_bytes(text: Pointer, start: int, other: Pointer, other_start: int, count: int) -> bool:
    for place in range(0, count, 8):
        word = word_within(text, start + place, start + count)
        if word != word_within(other, other_start + place, other_start + count):
            return False
    return True


@fast
def hash_text(text: Pointer, start: int, stop: int, onto: int) -> int:
    """Return the key that `streams.hashing.hash_texts` gives."""
    key = SEED
    length = np.uint64(stop - start)
    while stop - start >= 8:
        key = mix(key, word_at(text, start))
        start += 8
    return mix(mix(onto ^ key, word_within(text, start, stop)), length)
