"""A shard goes on with other logs, and keeps all that it knows."""

import json

import pytest
from redis import Redis

from infra.redis.keys import Keys
from infra.redis.log_adoption import AdoptionRefusedError, NewLog, adopt_logs
from streams.shard.logs import LogIdentity

KEYS = Keys("tg:")
SHARD = KEYS.shard(0)
META = {"logs": {"stock": ["one", 4]}, "history_from": {"orders": 7, "stock": 3}, "reviews": 12}
NEW = {"orders": NewLog(0, LogIdentity("two", 4))}


@pytest.fixture
def redis(redis_url: str):
    """An empty database with one shard."""
    with Redis.from_url(redis_url) as client:
        offsets = json.dumps({"orders": 90, "stock": 40}, sort_keys=True)
        fields = {"epoch": 3, "claim": "worker", "sequence": 8, "writer": "worker"}
        client.hset(SHARD, mapping={**fields, "offsets": offsets, "meta": json.dumps(META)})
        yield client


def test_only_where_logs_are_read_on_is_written_anew(redis: Redis):
    """The rest of the meta stays, and a worker that holds the shard is fenced."""
    adopt_logs(redis, KEYS, 0, NEW)
    stored = redis.hgetall(SHARD)
    assert json.loads(stored[b"offsets"]) == {"orders": 0, "stock": 40}
    assert json.loads(stored[b"meta"]) == {
        "logs": {"stock": ["one", 4], "orders": ["two", 4]},
        "history_from": {"stock": 3},
        "reviews": 12,
    }
    assert stored[b"claim"] != b"worker"
    assert (stored[b"epoch"], stored[b"sequence"]) == (b"4", b"8")


def test_half_of_an_import_is_left_alone(redis: Redis):
    """Where a state is being put back, nothing is written beside it."""
    redis.hset(SHARD, "importing", "x")
    with pytest.raises(AdoptionRefusedError, match="half of a state"):
        adopt_logs(redis, KEYS, 0, NEW)
    assert json.loads(redis.hget(SHARD, "offsets"))["orders"] == 90
