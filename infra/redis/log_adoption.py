"""Letting a shard go on with a log that is not the one that it was made from.

All that Redis knows stays: items, stock, sums, open orders, and the ids of the events that were
seen. Only where the logs are read on, and what they are, is written anew, under a lease of its own:
a running worker is fenced, and loads the shard as it then stands.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from redis import Redis

from infra.redis.keys import Keys
from streams.shard.logs import LogIdentity

_TRIES = 20


class AdoptionRefusedError(RuntimeError):
    """Nothing was written; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class NewLog:
    """Where a topic of a partition is read on, and what it is."""

    offset: int
    identity: LogIdentity


def adopt_logs(redis: Redis, keys: Keys, partition: int, logs: Mapping[str, NewLog]) -> None:
    """Let a shard go on with other logs.

    Args:
        redis: a client that gives bytes.
        keys: names.
        partition: of the shard.
        logs: by topic without prefix; the other topics stay as they are.

    Raises:
        AdoptionRefusedError: an import is under way, or a worker takes the shard every time.
    """
    shard = keys.shard(partition)
    source = files("infra.redis").joinpath("fenced_script.lua").read_text()
    write = redis.register_script(source)
    for _ in range(_TRIES):
        token = f"adopt:{secrets.token_hex(8)}"
        taking = redis.pipeline()
        taking.hincrby(shard, "epoch", 1)
        taking.hset(shard, "claim", token)
        taking.hmget(shard, ["offsets", "meta", "importing"])
        offsets, meta, importing = taking.execute()[-1]
        if importing:
            rule = "run `tidegate state import` to its end first"
            raise AdoptionRefusedError(f"half of a state is in partition {partition}: {rule}")
        fields = {"offsets": _offsets(offsets, logs), "meta": _meta(meta, logs), "writer": token}
        words = ["HSET", shard, *(word for one in fields.items() for word in one)]
        if write(keys=[shard], args=[token, len(words), *words]) == b"ok":
            return
    rule = "run the command again"
    raise AdoptionRefusedError(f"partition {partition} changes its owner all the time: {rule}")


def _offsets(stored: bytes, logs: Mapping[str, NewLog]) -> str:
    offsets = json.loads(stored) | {topic: one.offset for topic, one in logs.items()}
    return json.dumps(offsets, sort_keys=True)


def _meta(stored: bytes, logs: Mapping[str, NewLog]) -> str:
    meta: dict[str, Any] = json.loads(stored)
    identities = {
        topic: [one.identity.topic_id, one.identity.partitions] for topic, one in logs.items()
    }
    meta["logs"] = meta.get("logs", {}) | identities
    begins = {topic: one.offset for topic, one in logs.items() if one.offset}
    kept = {topic: at for topic, at in meta["history_from"].items() if topic not in logs}
    meta["history_from"] = kept | begins
    return json.dumps(meta, separators=(",", ":"))
