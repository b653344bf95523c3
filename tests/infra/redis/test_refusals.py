"""What happens when Redis answers, and refuses: the worker's store, the page, and what is said."""

import pytest
from redis import Redis
from redis.exceptions import RedisError

from infra.bootstrap import redis_pool
from infra.local.embedded import EmbeddedRedis
from infra.page.readers.snapshot import PageReader
from infra.page.readers.snapshot import connect as connect_page
from infra.redis.keys import Keys, Retention
from infra.redis.reader import Reader, connect
from infra.redis.refusals import REFUSALS, explain_refusal
from infra.redis.shard_store import UNREACHABLE, RedisStore
from infra.redis.start_check import UnusableRedisError, require_usable
from tests.infra.redis.refusing_server import MovingName, RefusingServer, running

KEYS = Keys()

SAID = {
    "READONLY": "You can't write against a read only replica.",
    "LOADING": "Redis is loading the dataset in memory",
    "MASTERDOWN": "Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "UNBLOCKED": "force unblock from blocking operation, instance state changed "
    "(master -> replica?)",
    "CLUSTERDOWN": "The cluster is down",
    "TRYAGAIN": "Multiple keys request during rehashing of slot",
    "MOVED": "866 127.0.0.1:6381",
    "ASK": "866 127.0.0.1:6381",
    "NOREPLICAS": "Not enough good replicas to write.",
    "NOAUTH": "Authentication required.",
    "WRONGPASS": "invalid username-password pair or user is disabled.",
    "NOPERM": "User tidegate has no permissions to run the 'set' command",
    "OOM": "command not allowed when used memory > 'maxmemory'.",
    "MISCONF": "Errors writing to the AOF file: No space left on device",
    "BUSY": "Redis is busy running a script. You can only call SCRIPT KILL.",
    "DENIED": "Redis is running in protected mode because protected mode is enabled.",
    "IMPORTING": "half of a state is here: run `tidegate state import` to its end",
}

every_refusal = pytest.mark.parametrize("code", sorted(REFUSALS))


@pytest.fixture
def refusing(code):
    """A server that refuses everything with that code."""
    server = RefusingServer(f"{code} {SAID[code]}")
    with running(server):
        yield server


@every_refusal
async def test_worker_says_what_it_is_and_connects_anew_where_that_can_help(refusing, code):
    """The very next try goes to where the name leads then; other refusals keep the connection."""
    pool = redis_pool(refusing.url)
    store = RedisStore(pool, KEYS, Retention())
    try:
        with pytest.raises(UNREACHABLE) as refused:
            await store.ping()
        assert explain_refusal(refused.value).startswith(REFUSALS[code].meaning)
        before = refusing.connections
        refusing.refusal = None
        await store.ping()
        has_connected_anew = refusing.connections > before
        if REFUSALS[code].concerns_connection:
            assert has_connected_anew
    finally:
        await pool.disconnect()


@every_refusal
def test_page_and_commands_say_what_it_is_and_connect_anew(refusing, code):
    """Their clients pool connections of their own."""
    for client in (connect_page(refusing.url), connect(refusing.url)):
        for read in (PageReader(client, KEYS, lambda _: {}).read, Reader(client, KEYS).partitions):
            with pytest.raises(RedisError) as refused:
                read()
            assert explain_refusal(refused.value).startswith(REFUSALS[code].meaning)
        before = refusing.connections
        with pytest.raises(RedisError):
            client.get("tg:any")
        if REFUSALS[code].concerns_connection:
            assert refusing.connections > before
        client.close()


@every_refusal
async def test_start_is_refused_only_where_waiting_does_not_help(refusing, code):
    """A primary that loads or is elected is waited for; a wrong password is a person's work."""
    pool = redis_pool(refusing.url)
    try:
        if REFUSALS[code].is_permanent:
            with pytest.raises(UnusableRedisError, match=r"redis|user|protected") as refused:
                await require_usable(pool, refusing.url, KEYS)
            assert REFUSALS[code].meaning in str(refused.value)
        else:
            await require_usable(pool, refusing.url, KEYS)
    finally:
        await pool.disconnect()


def test_refusal_of_a_command_inside_a_script_is_known():
    """Servers of before Redis 7 put the script's error in front."""
    error = Exception(
        "ERR Error running script (call to f_12): @user_script:13: "
        "@user_script: 13: -READONLY You can't write against a read only replica."
    )
    assert explain_refusal(error).startswith("it is a read-only replica")


def test_other_errors_stay_as_they_are():
    """What is no refusal that we know is shown in Redis's own words."""
    assert (
        explain_refusal(Exception("ERR unknown command 'FCALL'.")) == "ERR unknown command 'FCALL'"
    )


def test_page_follows_a_name_that_moved(own_redis, tmp_path):
    """The server that it was connected to lives on and answers every read: nothing refuses."""
    seconds = 1_000.0
    with (
        EmbeddedRedis(tmp_path / "other") as other,
        Redis.from_url(other.url) as there,
        running(name := MovingName(own_redis.port)),
    ):
        there.hset(KEYS.shard(3), mapping={"sequence": 1})
        client = connect_page(name.url)
        reader = PageReader(client, KEYS, lambda _: {}, lambda: seconds)
        reader.read()
        name.target = other.port
        seconds += 60
        reader.read()
        client.close()
        assert reader._partitions == [3]
