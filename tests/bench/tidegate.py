"""What the benchmarks must know of Tidegate: how its worker starts, and what it keeps in Redis.

>>> FILL IN: everything that depends on the worker's settings and on the Redis layout is here, and
only here. `NotYet` makes a benchmark say so and go on with the other contenders.
"""

import sys
from typing import Any

import redis


class NotYet(NotImplementedError):
    """This part of Tidegate is not wired into the benchmarks yet."""


COMMAND = [sys.executable, "-c", "from infra.cli import main; main()", "worker"]


def environment(*, bootstrap: str, redis_url: str, prefix: str, group: str) -> dict[str, str]:
    """FILL IN: the worker's settings as environment variables."""
    raise NotYet("tests/bench/tidegate.py: environment()")


def committed(client: redis.Redis) -> dict[int, int]:
    """FILL IN: the next offset of each partition of the orders topic that is durable in Redis.

    Called every few milliseconds: keep it to one small command.
    """
    raise NotYet("tests/bench/tidegate.py: committed()")


# --- for memory.py: one shard of one partition ------------------------------------------------


def build(items: int) -> Any:
    """FILL IN: a shard that knows `items` items, each with some demand in its rings."""
    raise NotYet("tests/bench/tidegate.py: build()")


def save(shard: Any, redis_url: str) -> None:
    """FILL IN: commit the whole shard to Redis."""
    raise NotYet("tests/bench/tidegate.py: save()")


def load(redis_url: str) -> Any:
    """FILL IN: what a worker does on assignment: the shard from Redis, ready for events."""
    raise NotYet("tests/bench/tidegate.py: load()")


def items(shard: Any) -> int:
    """FILL IN: how many items the shard knows (the check that `load` brought them all)."""
    raise NotYet("tests/bench/tidegate.py: items()")
