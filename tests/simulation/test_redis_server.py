"""The Redis of the simulation and a real one answer the same, and hold the same: above all the
fence, which the simulation has in Python and the real one in Lua.
"""

import asyncio
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from tests.simulation.redis_server import RedisServer, Reply

ACQUIRE, COMMIT = (
    files("infra.redis").joinpath(f"{name}_script.lua").read_bytes()
    for name in ("acquire", "commit")
)
SHARD = b"tg:shard:{0}"
HASH, LIST, TEXT = b"tg:hash:{0}", b"tg:list:{0}", b"tg:text:{0}"

_WORDS = st.sampled_from([b"", b"x", b"y", b"\r\n$3\r\n", b"\xff\x00"])
_PLACES = st.sampled_from([b"0", b"2", b"-1"])
_COMMANDS = st.one_of(
    st.tuples(st.just(b"HSET"), st.just(HASH), _WORDS, _WORDS, _WORDS, _WORDS),
    st.tuples(st.just(b"HDEL"), st.just(HASH), _WORDS, _WORDS),
    st.tuples(st.just(b"RPUSH"), st.just(LIST), _WORDS, _WORDS),
    st.tuples(st.just(b"LTRIM"), st.just(LIST), st.just(b"0"), _PLACES),
    st.tuples(st.just(b"SETRANGE"), st.just(TEXT), st.sampled_from([b"0", b"3", b"16"]), _WORDS),
    st.tuples(st.just(b"DEL"), st.sampled_from([HASH, LIST, TEXT])),
)
_OFFSETS = st.sampled_from([b"{}", b'{"orders": 1}', b'{"orders": 2}'])
_COMMITS = st.builds(
    lambda head, commands: [COMMIT, *head, *_in_one_row(commands)],
    st.tuples(
        st.sampled_from([b"ann", b"bob"]),  # lease
        st.sampled_from([b"0", b"1", b"2"]),  # sequence before
        st.sampled_from([b"1", b"2", b"3"]),  # sequence after
        _OFFSETS,
        _OFFSETS,
        st.just(b"{}"),
    ),
    st.lists(_COMMANDS, max_size=4),
)
_CLAIMS = st.builds(
    lambda generation, lease: [ACQUIRE, b"%d" % generation, lease],
    st.integers(1, 4),
    st.sampled_from([b"ann", b"bob"]),
)
_STEPS = st.lists(st.one_of(_CLAIMS, _COMMITS), min_size=1, max_size=14)


def _in_one_row(commands: Any) -> list[bytes]:
    return [word for command in commands for word in (b"%d" % len(command), *command)]


def run_simulated(steps: list[list[bytes]]) -> tuple[list[Reply], dict[bytes, Any]]:
    """Return the replies, and everything that is held at the end."""
    server = RedisServer()
    digests = {source: server.run(b"SCRIPT", b"LOAD", source) for source in (ACQUIRE, COMMIT)}
    replies = [
        server.run(b"EVALSHA", digests[script], b"1", SHARD, *arguments)
        for script, *arguments in steps
    ]
    held = {
        key: bytes(one) if isinstance(one, bytearray) else one for key, one in server.data.items()
    }
    return replies, held


async def run_really(url: str, steps: list[list[bytes]]) -> tuple[list[Any], dict[bytes, Any]]:
    """The same on a real server."""
    async with Redis.from_url(url) as redis:
        await redis.flushdb()
        replies = [await redis.eval(script, 1, SHARD, *arguments) for script, *arguments in steps]
        held = {key: await _value(redis, key) async for key in redis.scan_iter()}
    return replies, held


async def _value(redis: Any, key: bytes) -> Any:
    match await redis.type(key):
        case b"hash":
            return await redis.hgetall(key)
        case b"list":
            return await redis.lrange(key, 0, -1)
        case _:
            return await redis.get(key)


@pytest.mark.slow
@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=_STEPS)
def test_fence_and_commands_are_those_of_the_real_server(redis_url, steps):
    """Any leases and commits, under any lease, number and past, end the same on both."""
    assert run_simulated(steps) == asyncio.run(run_really(redis_url, steps))


def test_steps_reach_every_verdict():
    """What the property draws from has a way to each answer of the fence."""
    ann, bob = [ACQUIRE, b"1", b"ann"], [ACQUIRE, b"1", b"bob"]
    head = [b"{}", b'{"orders": 1}', b"{}"]
    first = [COMMIT, b"ann", b"0", b"1", *head]
    other_past = [COMMIT, b"ann", b"1", b"2", *head]
    replies, _ = run_simulated([first, ann, first, first, other_past, bob, first])
    assert [one for one in replies if isinstance(one, bytes)] == [
        *(b"missing", b"ok", b"already", b"mismatch", b"stale_lease")
    ]
