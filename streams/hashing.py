"""Columns of text as bytes: stable 64-bit keys and RFC 3339 times, many rows at a time.

Python's own `hash` differs from process to process, and a memory of keys that is stored must not.
"""

from collections.abc import Sequence

import numpy as np
from numba import uint64

from policy.compiled import compiled, compiled_with
from streams.types import UInt64Array

SEPARATOR = "\x00"

_MULTIPLY = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
SEED = np.uint64(0x243F6A8885A308D3)


@compiled_with(inline="always")
def mix(key: int, value: int) -> int:
    """Fold one 64-bit value into a key (the finaliser of SplitMix64 after a multiply)."""
    key = (uint64(key) ^ uint64(value)) * _MULTIPLY
    key ^= key >> uint64(30)
    key *= _MIX
    return key ^ (key >> uint64(27))


@compiled
def _hash_fields(joined: np.ndarray, keys: np.ndarray) -> int:
    """Hash each zero-separated field into its key; return how many fields there were."""
    row = 0
    key = SEED
    word = np.uint64(0)
    filled = 0
    length = np.uint64(0)
    for position in range(joined.size + 1):
        if position < joined.size and joined[position] != 0:
            word |= np.uint64(joined[position]) << np.uint64(8 * filled)
            filled += 1
            length += np.uint64(1)
            if filled == 8:
                key = mix(key, word)
                word = np.uint64(0)
                filled = 0
        else:
            if row < keys.size:
                keys[row] = mix(mix(keys[row] ^ key, word), length)
            row += 1
            key = SEED
            word = np.uint64(0)
            filled = 0
            length = np.uint64(0)
    return row


def hash_texts(texts: Sequence[str], onto: UInt64Array | None = None) -> UInt64Array:
    """Return a 64-bit key for each text, shape (row,); equal texts have equal keys everywhere.

    Args:
        texts: one text a row.
        onto: keys of other columns, so that a row's key depends on both.

    >>> hash_texts(["a", "b"])[0] == hash_texts(["a"])[0]
    np.True_
    """
    if not texts:
        return np.empty(0, np.uint64)
    keys = np.zeros(len(texts), np.uint64) if onto is None else onto.copy()
    joined = SEPARATOR.join(texts).encode("utf-8", "surrogatepass")
    if _hash_fields(np.frombuffer(joined, np.uint8), keys) != len(texts):
        return _hash_with_zeros(texts, onto)
    return keys


def _hash_with_zeros(texts: Sequence[str], onto: UInt64Array | None) -> UInt64Array:
    """Hash texts of which one holds the separator: by what no text out of JSON can hold."""
    return hash_texts([text.replace(SEPARATOR, "\ud800") for text in texts], onto)
