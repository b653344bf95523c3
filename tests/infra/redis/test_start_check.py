"""What a worker asks Redis before it begins, of real servers."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from infra.bootstrap import redis_pool
from infra.cli.terminal.failures import ExitCode, outcome_of
from infra.page.readers.snapshot import connect as connect_page
from infra.redis.keys import Keys
from infra.redis.start_check import UnusableRedisError, read_memory, require_usable
from infra.redis.tls_probe import explain_failure
from tests.certificates import Authority

KEYS = Keys()


async def start(url: str, **credentials: str) -> None:
    """Do what a worker does first."""
    pool = redis_pool(url, **credentials)
    try:
        await require_usable(pool, url, KEYS)
    finally:
        await pool.disconnect()


@pytest.mark.parametrize(
    ("policy", "limit", "is_usable"),
    [
        ("noeviction", "6mb", True),
        ("volatile-lru", "6mb", True),
        ("volatile-ttl", "6mb", True),
        ("allkeys-lru", "0", True),
        ("allkeys-lru", "6mb", False),
        ("allkeys-lfu", "6mb", False),
        ("allkeys-random", "6mb", False),
    ],
)
async def test_redis_that_would_delete_state_is_refused(own_redis, policy, limit, is_usable):
    """No key of the state expires, so policies for those that do delete none of it."""
    with Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", limit)
        client.config_set("maxmemory-policy", policy)
    if is_usable:
        await start(own_redis.url)
        return
    with pytest.raises(UnusableRedisError) as refused:
        await start(own_redis.url)
    code, text = outcome_of(refused.value)
    assert code == ExitCode.UNREACHABLE
    assert f"must be noeviction, got {policy}" in text
    assert "CONFIG SET maxmemory-policy noeviction" in text


async def test_policy_that_may_not_be_seen_is_said(own_redis, caplog):
    """Where INFO is allowed CONFIG is not needed; where both are forbidden, the log says so."""
    with Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", "6mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        for name, forbidden in (("managed", ["-config"]), ("blind", ["-config", "-info"])):
            client.acl_setuser(
                name, enabled=True, nopass=True, keys=["tg:*"], commands=["+@all", *forbidden]
            )
    with pytest.raises(UnusableRedisError, match="got allkeys-lru"):
        await start(own_redis.url, username="managed", password="any")
    with caplog.at_level(logging.WARNING):
        await start(own_redis.url, username="blind", password="any")
    assert "so it was not checked" in caplog.text


async def test_how_full_redis_is_is_measured(own_redis):
    """As a share of its limit; without one it is never full."""
    with Redis.from_url(own_redis.url) as client:
        pool = redis_pool(own_redis.url)
        redis = AsyncRedis(connection_pool=pool)
        assert (await read_memory(redis)).used_ratio == 0
        client.config_set("maxmemory", 2 * client.info("memory")["used_memory"])
        assert 0.3 < (await read_memory(redis)).used_ratio < 0.7
        await pool.disconnect()


@contextlib.asynccontextmanager
async def tls_port(authority: Authority) -> AsyncIterator[int]:
    """A port that speaks TLS and nothing else."""
    signed = authority.sign("redis")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(signed.certificate, signed.key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await reader.read(100)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def require_said(url: str, said: str) -> None:
    """The worker's start and the page say what is wrong with the address."""
    with pytest.raises(UnusableRedisError, match=said):
        await start(url)

    def page() -> str:
        client = connect_page(url)
        try:
            client.ping()
        except Exception as error:
            return explain_failure(error, url)
        finally:
            client.close()
        return "nothing"

    assert said in await asyncio.to_thread(page)


@pytest.mark.slow
async def test_plain_text_to_a_tls_port_is_said(tmp_path):
    """The server only hangs up; the port is looked at."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # the server's side of it
    async with tls_port(Authority(tmp_path)) as port:
        await require_said(f"redis://127.0.0.1:{port}/0", "redis_url must begin with rediss://")


@pytest.mark.slow
async def test_tls_to_a_plain_port_is_said(own_redis):
    """The server waits for the end of a line that never comes, or complains in plain text."""
    url = own_redis.url.replace("redis://", "rediss://")
    await require_said(url, "redis_url must begin with redis://")


async def test_redis_that_is_away_is_waited_for(caplog):
    """It may come; the worker says that it waits."""
    with caplog.at_level(logging.WARNING):
        await start("redis://127.0.0.1:1/0")
    assert "it will be asked again" in caplog.text
