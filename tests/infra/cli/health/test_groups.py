"""`tidegate groups`: the groups wait for a partition that lags until somebody says to go on."""

import asyncio
import json

import msgspec
import pytest
import redis

from infra.cli.app import run
from infra.cli.health.groups import Progress, closing_time
from infra.cli.terminal.failures import CommandError
from infra.kafka.options import client_options
from infra.kafka.topic_admin import ensure_topics
from infra.kafka.topic_reader import read_topics
from infra.redis.codec import ShardMeta
from infra.redis.options import keys_of
from infra.settings import Settings
from streams.contracts.topics import GROUP_FACTS
from streams.groups.facts import CloseWindow, read_facts
from tests.conftest import Stack

HOUR_MS = 3_600_000
PROGRESS = Progress({0: 10 * HOUR_MS, 1: 4 * HOUR_MS, 2: None}, 4 * HOUR_MS)


def test_a_partition_is_closed_as_far_as_the_fastest_one_is() -> None:
    """Or up to an earlier time."""
    assert closing_time(PROGRESS, 1, None) == 10 * HOUR_MS
    assert closing_time(PROGRESS, 2, None) == 10 * HOUR_MS


@pytest.mark.parametrize(
    ("partition", "upto", "words"),
    [
        (7, None, ["partition must be one of 0, 1, 2", "got 7"]),
        (0, None, ["partition 0", "nothing to close"]),
        (1, "yesterday", ["--upto must be RFC 3339", "yesterday"]),
        (1, "2026-11-11T00:00:00Z", ["at most what the fastest partition", "2026"]),
    ],
)
def test_a_word_that_would_lose_more_than_meant_is_refused(
    partition: int, upto: str | None, words: list[str]
) -> None:
    """The message names what is allowed."""
    with pytest.raises(CommandError) as caught:
        closing_time(PROGRESS, partition, upto)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.system
async def test_the_word_lies_in_the_log_with_its_reason(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list names the laggard; what the groups make of the word, tests of the stage show."""
    named = {"kafka_bootstrap": stack.bootstrap, "redis_url": stack.redis_url}
    settings = Settings.model_validate({**named, "topic_prefix": stack.prefix, "partitions": 2})
    await ensure_topics(client_options(settings), stack.prefix, 2)
    decided(settings, {0: 10 * HOUR_MS, 1: 4 * HOUR_MS})
    flags = ["--kafka-bootstrap", stack.bootstrap, "--redis-url", stack.redis_url]
    flags += ["--topic-prefix", stack.prefix]
    assert await asyncio.to_thread(run, ["groups", "list", *flags]) == 0
    said = capsys.readouterr().out
    assert "partition 1: decided to" in said
    assert "21,600 s behind" in said
    why = ["--who", "ada", "--why", "its disk is gone"]
    assert await asyncio.to_thread(run, ["groups", "close", "1", *why, "--json", *flags]) == 0
    assert json.loads(capsys.readouterr().out)["upto_ms"] == 10 * HOUR_MS
    records = [one async for one in read_topics(settings, [stack.prefix + GROUP_FACTS])]
    word = CloseWindow(1, 10 * HOUR_MS, "ada", "its disk is gone")
    assert [read_facts(one.value) for one in records] == [word]


def decided(settings: Settings, applied_ms: dict[int, int]) -> None:
    """Write how far each partition is, as a worker's commit does."""
    keys = keys_of(settings)
    with redis.Redis.from_url(settings.redis_url) as client:
        for partition, at_ms in applied_ms.items():
            meta = msgspec.json.encode(ShardMeta({"orders": at_ms}, at_ms, {}, {}, 0, {}))
            fields = {"epoch": 1, "offsets": "{}", "meta": meta}
            client.hset(keys.shard(partition), mapping=fields)
