"""A plain shard for `tests/bench/memory.py`: 12 numbers an item, one packed field each in Redis.

It is the yardstick: no rings, no dedupe memory, no decisions.
"""

import numpy as np
import redis

_NUMBERS = 12  # float64: 96 bytes an item
_KEY = "bench:shard"
_CHUNK = 10_000


class PlainShard:
    def __init__(self, skus: list[str], numbers: np.ndarray) -> None:
        self.index = {sku: row for row, sku in enumerate(skus)}
        self.numbers = numbers


def build(items: int) -> PlainShard:
    skus = [f"SKU-{number:06d}@main" for number in range(items)]
    return PlainShard(skus, np.ones((items, _NUMBERS)))


def save(shard: PlainShard, redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    skus = list(shard.index)
    for start in range(0, len(skus), _CHUNK):
        part = range(start, min(start + _CHUNK, len(skus)))
        client.hset(_KEY, mapping={skus[row]: shard.numbers[row].tobytes() for row in part})
    client.close()


def load(redis_url: str) -> PlainShard:
    client = redis.Redis.from_url(redis_url)
    skus, rows = [], []
    for sku, row in client.hscan_iter(_KEY, count=_CHUNK):
        skus.append(sku.decode())
        rows.append(row)
    client.close()
    return PlainShard(skus, np.frombuffer(b"".join(rows)).reshape(-1, _NUMBERS).copy())


def items(shard: PlainShard) -> int:
    return len(shard.index)
