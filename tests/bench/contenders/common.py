"""What the contenders share: their settings, the decoder, and where they say how far they are.

A contender is a program that reads the orders topic from its start, for ever, and keeps in the
Redis hash `bench:offsets` the next offset of each partition up to which its work is durable.
"""

import functools
import operator
import os
from dataclasses import dataclass

import msgspec
import redis

from streams.contracts.events import TOPICS, Placed

OFFSETS = "bench:offsets"
UNITS = "bench:units"

# The full contract of the topic, every field checked, as Tidegate's own decoder does.
decoder = msgspec.json.Decoder(list[functools.reduce(operator.or_, TOPICS["orders"])])  # type: ignore[misc]


@dataclass(frozen=True)
class Settings:
    bootstrap: str
    redis_url: str
    topic: str
    group: str

    @classmethod
    def from_environment(cls) -> "Settings":
        return cls(**{name: os.environ[f"BENCH_{name.upper()}"] for name in cls.__annotations__})

    def environment(self) -> dict[str, str]:
        return {f"BENCH_{name.upper()}": getattr(self, name) for name in self.__annotations__}


def decode(values: list[bytes]) -> list[Placed]:
    """All records of a batch in one call: the fastest way that msgspec has."""
    return decoder.decode(b"[" + b",".join(values) + b"]")  # type: ignore[no-any-return]


def committed(client: redis.Redis) -> dict[int, int]:
    """The next offset of each partition that a contender has said to be durable."""
    stored = client.hgetall(OFFSETS)
    return {int(partition): int(offset) for partition, offset in stored.items()}  # type: ignore[union-attr]
