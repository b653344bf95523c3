"""The store on a real server: atomic, fenced, repeatable; and what it stored is what goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlparse

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from infra.bootstrap import redis_pool
from infra.redis.keys import Keys, Retention
from infra.redis.reader import Reader, connect
from infra.redis.shard_store import (
    UNREACHABLE,
    CommitOutcome,
    Lease,
    MovedError,
    RedisStore,
    StoreError,
)
from infra.redis.wire import WORDS_AT_MOST, ScriptCall, bulk
from streams.contracts.events import TOPICS
from streams.contracts.outgoing import OutboxRecord
from streams.state.items import READABLE
from tests.oracle import DAY, HOUR, MINUTE
from tests.streams.fakes import MemoryStore
from tests.streams.logs import ITEMS, START_MS, Logs, build, event, heartbeat, random_steps, steps
from tests.streams.runs import SETTINGS, Run, pieces, read_whole, require_same
from tests.streams.tcp_proxy import Proxy, proxy_to

KEYS = Keys()
RETENTION = Retention(
    minutes=SETTINGS.minutes,
    hours=SETTINGS.hours,
    days=30,
    decision_days=30,
    ring_days=SETTINGS.days,
)
PIECES = ((0, 2, 1), (3, 1, 0), (1, 3, 5), (5, 1, 1), (2, 7, 0), (4, 1, 2))


@asynccontextmanager
async def store_at(url: str, retention: Retention = RETENTION):
    """A store with connections of its own."""
    pool = redis_pool(url)
    try:
        yield RedisStore(pool, KEYS, retention)
    finally:
        await pool.disconnect()


@asynccontextmanager
async def redis_at(url: str):
    """A client to look with."""
    redis = Redis.from_url(url)
    try:
        yield redis
    finally:
        await redis.aclose()


async def dump(redis: Redis) -> dict[bytes, bytes]:
    """Everything that Redis holds, but for what each lease brings."""
    found = {}
    async for key in redis.scan_iter(count=1000):
        kind = (await redis.type(key)).decode()
        if kind == "hash":
            held = await redis.hgetall(key)
            for name in (b"epoch", b"claim", b"writer"):
                held.pop(name, None)
            found[key] = repr(sorted(held.items())).encode()
        elif kind == "list":
            found[key] = repr(await redis.lrange(key, 0, -1)).encode()
        else:
            found[key] = await redis.get(key)
    return found


def sample(seed: int = 3) -> Logs:
    """Logs by a seed."""
    return build(random_steps(seed))


def sales(count: int, at: int = START_MS, sku: Callable[[int], str] = "sku-{}".format) -> list:
    """Order lines, each of another item."""
    return [
        (
            event("placed", f"{at}-{n}", at, (sku(n), "main"), order_id=f"o{n}", quantity=1),
            at + MINUTE,
        )
        for n in range(count)
    ]


async def ready(store, partition: int = 0):
    """Lease and load."""
    lease = await store.acquire(partition, 1)
    return lease, await store.load(lease)


# -- going on --------------------------------------------------------------------------------------


async def run_with_restarts(url: str, logs: Logs, schedule, restart_after: set[int]) -> Run:
    """Read in pieces, commit, and at some points go on with a new shard from Redis."""
    async with redis_at(url) as redis, store_at(url) as store:
        await redis.flushdb()
        lease, _ = await ready(store)
        run = Run()
        for number, (topic, batch, limit) in enumerate(pieces(logs, schedule)):
            run.read(topic, batch)
            run.advance(limit)
            if number % 4 == 0:
                run.judge_groups()
            if number % 3 == 0 or number in restart_after:
                assert await store.commit(lease, run.commit()) == CommitOutcome.STORED
            if number in restart_after:
                async with store_at(url) as fresh:
                    lease, stored = await ready(fresh)
                lease, stored = await ready(store)
                run.restart(stored)
        run.advance_fully(7)
        assert await store.commit(lease, run.commit()) == CommitOutcome.STORED
        run.judge_groups()
        assert await store.commit(lease, run.commit()) == CommitOutcome.STORED
        run.restart((await ready(store))[1])
        return run


@pytest.mark.slow
@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(drawn=steps(40), restart_after=st.sets(st.integers(0, 40), max_size=4))
def test_shard_goes_on_from_redis_as_if_it_had_never_stopped(redis_url, drawn, restart_after):
    """Commit, load and restore at any point give the state without a restart, bit for bit."""
    logs = build(drawn)
    run = asyncio.run(run_with_restarts(redis_url, logs, PIECES, restart_after))
    require_same(run, read_whole(logs))


async def test_fake_store_and_redis_load_the_same(redis_url):
    """The fake that other tests use gives back what Redis gives back."""
    async with store_at(redis_url) as store:
        fake, run = MemoryStore(), Run()
        leases = (await ready(store))[0], fake.acquire_now(0)
        for topic, batch, limit in pieces(sample(), PIECES):
            run.read(topic, batch)
            run.advance(limit)
            commit = run.commit()
            assert await store.commit(leases[0], commit) == "stored"
            assert await fake.commit(leases[1], commit) == "stored"
        ours, theirs = Run(), Run()
        ours.restart((await ready(store))[1])
        theirs.restart(fake.load_now(fake.acquire_now(0)))
        require_same(ours, theirs)


async def test_stored_record_that_cannot_be_read_is_put_away(redis_url, caplog):
    """One unreadable record of the outbox never stops a shard: the next commit moves it, the
    others leave as ever, and people see that it is there.
    """
    async with store_at(redis_url) as store, redis_at(redis_url) as redis:
        _, run = await committed(store)
        run.shard.outbox.put(OutboxRecord("orders.dlt", None, None, [("trace", None)]))
        lease, _ = await ready(store)
        assert await store.commit(lease, run.commit()) == CommitOutcome.STORED
        garbage = {b"9001": b"\xc1", b"9002": b"\x93\x01\x02\x03", b"9003": b""}
        await redis.hset(KEYS.outbox(0), mapping=garbage)
        lease, stored = await ready(store)
        assert stored.outbox[run.shard.outbox.next_number - 1].headers == [("trace", None)]
        assert "3 stored records cannot be read" in caplog.text
        for _ in range(2):  # the first commit after a load moves it, the next one has forgotten it
            read_on(run)
            assert await store.commit(lease, run.commit()) == CommitOutcome.STORED
        assert not garbage.keys() & set(await redis.hkeys(KEYS.outbox(0)))
        assert await redis.hgetall(KEYS.unreadable(0)) == garbage
    with connect(redis_url) as client:
        assert [shard.unreadable for shard in Reader(client, KEYS).shards()] == [3]


# -- the fence -------------------------------------------------------------------------------------


async def committed(store) -> tuple[Lease, Run]:
    """A lease under which one commit was stored, and the run that goes on."""
    lease, _ = await ready(store)
    run = Run()
    for topic, log in sample():
        run.read(topic, log[:5])
    run.advance_fully()
    assert await store.commit(lease, run.commit()) == CommitOutcome.STORED
    return lease, run


def read_on(run: Run) -> None:
    """Read something more."""
    run.read("orders", sales(5))
    run.advance_fully()


async def test_stale_lease_is_refused(redis_url):
    """Who lost a shard to another worker writes nothing more."""
    async with store_at(redis_url) as store, redis_at(redis_url) as redis:
        lease, run = await committed(store)
        async with store_at(redis_url) as other:
            await ready(other)
        before = await dump(redis)
        read_on(run)
        assert await store.commit(lease, run.commit()) == CommitOutcome.FENCED
        assert await dump(redis) == before


async def test_each_lease_has_a_higher_epoch_than_any_before(redis_url):
    """Neither a lower nor a higher group generation can bring an epoch back."""
    async with store_at(redis_url) as store:
        epochs = [(await store.acquire(0, generation)).epoch for generation in (1, 7, 3, 7, 20, 1)]
    assert epochs == sorted(set(epochs))
    assert epochs[1] >= 7
    assert epochs[4] >= 20


async def test_epoch_that_comes_again_with_an_older_redis_is_no_lease(redis_url):
    """Redis came back older and another worker got the same number: the first one still has lost
    the shard, even where the other one's commit has the number and the offsets of its own.
    """
    async with store_at(redis_url) as store, redis_at(redis_url) as redis:
        lease, run = await committed(store)
        lost = await redis.hgetall(KEYS.shard(0))
        await redis.hset(KEYS.shard(0), "epoch", int(lost[b"epoch"]) - 1)
        async with store_at(redis_url) as other:
            again, stored = await ready(other)
            assert again.epoch == lease.epoch
            assert not await store.is_current(lease)
            heir = Run()
            heir.restart(stored)
            read_on(heir)
            assert await other.commit(again, heir.commit()) == CommitOutcome.STORED
        before = await dump(redis)
        read_on(run)
        assert await store.commit(lease, run.commit()) == CommitOutcome.FENCED
        assert await dump(redis) == before


async def test_lease_is_current_until_redis_stands_elsewhere(redis_url):
    """Its own commits move it along; a wipe, an older state or another lease end it."""
    async with store_at(redis_url) as store, redis_at(redis_url) as redis:
        lease, run = await committed(store)
        older = await redis.hgetall(KEYS.shard(0))
        assert await store.is_current(lease)
        read_on(run)
        await store.commit(lease, run.commit())
        assert await store.is_current(lease)
        await redis.hset(KEYS.shard(0), mapping=older)
        assert not await store.is_current(lease)
        await redis.flushdb()
        assert not await store.is_current(lease)


@pytest.mark.parametrize("field", ["offsets", "sequence"])
async def test_another_past_is_refused(redis_url, field):
    """A commit that does not start where Redis stands is refused, even under a valid epoch."""
    async with store_at(redis_url) as store, redis_at(redis_url) as redis:
        lease, run = await committed(store)
        other = {"offsets": '{"orders": 4}', "sequence": 7}[field]
        await redis.hset(KEYS.shard(0), field, other)
        before = await dump(redis)
        read_on(run)
        assert await store.commit(lease, run.commit()) == CommitOutcome.FENCED
        assert await dump(redis) == before


async def test_wiped_redis_is_another_past(redis_url):
    """After a wipe nothing is written onto nothing: the shard has to be loaded, empty, again."""
    async with store_at(redis_url) as store, redis_at(redis_url) as redis:
        lease, run = await committed(store)
        await redis.flushdb()
        read_on(run)
        assert await store.commit(lease, run.commit()) == CommitOutcome.FENCED
        assert await redis.dbsize() == 0
        assert (await ready(store))[1] is None


async def test_shard_that_moves_while_it_is_loaded_is_not_taken_for_whole(redis_url):
    """Loading takes many commands: if Redis changes between them, the shard is acquired again."""
    async with store_at(redis_url) as store, store_at(redis_url) as other:
        lease, run = await committed(store)
        read_on(run)
        await store.commit(lease, run.commit())
        late = await other.acquire(0, 1)
        late.sequence -= 1  # as if the lease had come before that commit
        with pytest.raises(MovedError):
            await other.load(late)
        assert (await ready(other))[1] is not None
    assert issubclass(MovedError, UNREACHABLE)  # so that the worker tries again


async def test_commit_under_an_old_lease_spoils_nothing_of_the_next(redis_url):
    """A commit that is still tried when its shard was loaded anew is refused without a trace, in
    Redis and in what the store believes that Redis has.
    """
    async with store_at(redis_url) as store, redis_at(redis_url) as redis:
        old, run = await committed(store)
        run.read("orders", sales(4, sku="new-{}".format))
        unanswered = run.commit()
        lease, stored = await ready(store)
        assert await store.commit(old, unanswered) == CommitOutcome.FENCED
        heir = Run()
        heir.restart(stored)
        heir.read("orders", sales(4, sku="other-{}".format)[::-1])
        heir.read("orders", sales(4, sku="new-{}".format))
        assert await store.commit(lease, heir.commit()) == CommitOutcome.STORED
        for name in heir.shard.timeline.items.names:
            assert await redis.hlen(KEYS.item(0, f"{name[0]}@{name[1]}")) == len(READABLE)
        fresh = Run()
        fresh.restart((await ready(store))[1])
        require_same(_silent(fresh), _silent(heir))


@pytest.mark.parametrize(
    "guard",
    [
        "if stored[1] ~= ARGV[1] then return 'stale_lease' end",
        "if stored[2] ~= ARGV[2] or stored[3] ~= ARGV[4] then return 'mismatch' end",
        "if not stored[1] then return 'missing' end",
        "if stored[2] == ARGV[3] then return 'already' end",
    ],
)
async def test_each_guard_of_the_script_is_needed(redis_url, guard):
    """Without any one of its guards the script lets through what the tests above refuse."""
    async with store_at(redis_url) as store, redis_at(redis_url) as redis:
        await committed(store)
        whole = store._commit_script.source.decode()
        assert guard in whole
        script = redis.register_script(whole.replace(guard, ""))
        stands = await redis.hmget(KEYS.shard(0), "claim", "sequence", "offsets")
        lease, sequence, offsets = stands
        following = str(int(sequence) + 1)
        refused = {
            "stale_lease": [b"0", sequence, following, offsets],
            "mismatch": [lease, sequence, following, b"{}"],
            "missing": [lease, sequence, following, offsets],
            "already": [lease, int(sequence) - 1, sequence, offsets],
        }
        name = next(name for name in refused if name in guard)
        if name == "missing":
            await redis.flushdb()
        arguments = [*refused[name], offsets, b"{}"]
        honest = redis.register_script(whole)
        assert (await honest(keys=[KEYS.shard(0)], args=arguments)).decode() == name
        assert (await script(keys=[KEYS.shard(0)], args=arguments)).decode() != name


# -- lost replies and cut connections --------------------------------------------------------------


def behind(url: str, proxy: Proxy) -> str:
    """The server's address by way of the proxy."""
    parts = urlparse(url)
    return f"redis://127.0.0.1:{proxy.port}{parts.path}"


async def until_it_works(attempt: Callable[[], Awaitable[str]]) -> tuple[str, int]:
    """Try again as the worker does; return the result and how often it failed."""
    for failures in range(50):
        try:
            return await attempt(), failures
        except UNREACHABLE:
            await asyncio.sleep(0)
    raise AssertionError("it never worked")


async def test_repeated_commit_is_applied_once(redis_url):
    """The reply was lost; the same commit is sent again; Redis knows it."""
    parts = urlparse(redis_url)
    async with (
        proxy_to(parts.hostname, parts.port) as proxy,
        redis_at(redis_url) as redis,
        store_at(behind(redis_url, proxy)) as store,
    ):
        lease, run = await committed(store)
        read_on(run)
        run.read("orders", sales(3, sku="new-{}".format))
        commit = run.commit()
        proxy.cut_reply_at = 0
        with pytest.raises(UNREACHABLE):
            await store.commit(lease, commit)
        assert proxy.cuts == 1
        after_first = await dump(redis)
        outcome, _ = await until_it_works(lambda: store.commit(lease, commit))
        assert outcome == CommitOutcome.STORED
        assert await dump(redis) == after_first
        assert int(await redis.hget(KEYS.shard(0), "sequence")) == lease.sequence
        names = await redis.lrange(KEYS.names(0), 0, -1)
        assert len(names) == len(set(names)) == len(run.shard.timeline.items)
        read_on(run)
        assert await store.commit(lease, run.commit()) == CommitOutcome.STORED


@pytest.mark.parametrize("sent_bytes", [0, 1, 40, 5_000, 100_000])
async def test_cut_in_the_middle_leaves_all_or_nothing(redis_url, sent_bytes):
    """Wherever the connection breaks, Redis holds the state before or after, never between."""
    parts = urlparse(redis_url)
    async with (
        proxy_to(parts.hostname, parts.port) as proxy,
        redis_at(redis_url) as redis,
        store_at(behind(redis_url, proxy)) as store,
    ):
        lease, run = await committed(store)
        before = await dump(redis)
        run.read("orders", sales(300))
        run.advance_fully()
        commit = run.commit()
        proxy.cut_request_at = sent_bytes
        with pytest.raises(UNREACHABLE):
            await store.commit(lease, commit)
        await asyncio.sleep(0.05)
        assert await dump(redis) == before
        outcome, _ = await until_it_works(lambda: store.commit(lease, commit))
        assert outcome == CommitOutcome.STORED
        fresh = Run()
        fresh.restart((await ready(store))[1])
        require_same(_silent(fresh), _silent(run))


def _silent(run: Run) -> Run:
    """Leave out what only a run without a restart has seen leave."""
    run.outputs, run.decisions, run.late, run.days = [], [], [], {}
    return run


async def test_refusal_by_redis_is_reported_and_the_commit_can_be_sent_again(redis_url):
    """Redis without room refuses; nothing is stored; once there is room the same commit goes in."""
    async with store_at(redis_url) as store, redis_at(redis_url) as redis:
        lease, run = await committed(store)
        read_on(run)
        commit = run.commit()
        await redis.rename(KEYS.shard(0), "aside")
        await redis.set(KEYS.shard(0), "no hash")
        with pytest.raises(StoreError, match="Redis refused"):
            await store.commit(lease, commit)
        await redis.rename("aside", KEYS.shard(0))
        assert await store.commit(lease, commit) == CommitOutcome.STORED


async def test_refused_ping_is_a_refusal_too(redis_url):
    """It writes: a replica, or a Redis without memory, would answer a PING with no complaint."""
    async with redis_at(redis_url) as redis:
        await redis.acl_setuser(
            "mute", enabled=True, nopass=True, categories=["+@all"], commands=["-set"]
        )
        pool = redis_pool(redis_url, username="mute", password="any")
        try:
            with pytest.raises(StoreError, match="Redis refused"):
                await RedisStore(pool, KEYS, Retention()).ping()
        finally:
            await pool.disconnect()
            await redis.acl_deluser("mute")


async def test_commit_that_failed_half_way_is_whole_when_sent_again(redis_url):
    """A script that fails keeps what it did so far; the same commit, sent again, mends that."""
    async with store_at(redis_url) as store, redis_at(redis_url) as redis:
        lease, run = await committed(store)
        run.read("orders", [*sales(20), (b"{", START_MS)])
        run.advance_fully()
        commit = run.commit()
        await redis.rename(KEYS.pending(0), "aside")
        await redis.set(KEYS.pending(0), "no hash")
        with pytest.raises(StoreError):
            await store.commit(lease, commit)
        assert int(await redis.hget(KEYS.shard(0), "sequence")) == lease.sequence
        await redis.rename("aside", KEYS.pending(0))
        assert await store.commit(lease, commit) == CommitOutcome.STORED
        assert await redis.llen(KEYS.names(0)) == len(run.shard.timeline.items)
        fresh = Run()
        fresh.restart((await ready(store))[1])
        require_same(_silent(fresh), _silent(run))


async def test_forgotten_scripts_are_loaded_again(redis_url):
    """After SCRIPT FLUSH, as after a failover, lease and commit heal themselves."""
    async with store_at(redis_url) as store, redis_at(redis_url) as redis:
        lease, run = await committed(store)
        await redis.script_flush()
        read_on(run)
        assert await store.commit(lease, run.commit()) == CommitOutcome.STORED
        await redis.script_flush()
        assert (await ready(store))[1] is not None


# -- what lies in Redis ----------------------------------------------------------------------------


@pytest.mark.slow
async def test_large_commit_is_cut_into_commands_that_lua_can_run(redis_url):
    """9,000 items in one commit: more words than one command takes, none of them lost."""
    async with store_at(redis_url) as store:
        lease, _ = await ready(store)
        run = Run()
        run.read("orders", sales(9_000))
        assert await store.commit(lease, run.commit()) == CommitOutcome.STORED
        fresh = Run()
        fresh.restart((await ready(store))[1])
        require_same(_silent(fresh), _silent(run))


@pytest.mark.parametrize(("count", "group"), [(0, 2), (3_998, 2), (4_000, 2), (12_001, 1), (9, 3)])
def test_words_are_cut_at_multiples_of_the_group(count, group):
    """A field is never parted from its value, and no command has more words than Lua can spread."""
    call = ScriptCall("digest", "key", [])
    words = [b"w%d" % number for number in range(count // group * group)]
    call.add_many(b"HSET", "key", [bulk(word) for word in words], group)
    sent = parse(call.to_bytes())[4:]
    found = []
    while sent:
        size = int(sent[0])
        command, sent = sent[1 : size + 1], sent[size + 1 :]
        assert command[:2] == [b"HSET", b"key"]
        assert len(command) - 2 <= WORDS_AT_MOST
        assert (len(command) - 2) % group == 0
        found.extend(command[2:])
    assert found == words


def parse(payload: bytes) -> list[bytes]:
    """Read a command as a server does."""
    head, _, rest = payload.partition(b"\r\n")
    words = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        words.append(rest[: int(size[1:])])
        assert rest[int(size[1:]) :][:2] == b"\r\n"
        rest = rest[int(size[1:]) + 2 :]
    assert int(head[1:]) == len(words)
    return words


HOSTILE = [
    *("a b", 'quo"te', "it's", "new\nline", "\r\n$3\r\nfoo", "emoji 🪑", "x" * 128, "a@b", "@"),
    *("{5}", "}", "tab\t", "\x00", "back\\slash", "ürün", "*", "-1", "nan", "{0}:@main"),
]


async def test_hostile_names_are_only_names(redis_url):
    """Items with any characters in their names are stored, found by name, and loaded again."""
    async with store_at(redis_url) as store, redis_at(redis_url) as redis:
        lease, _ = await ready(store)
        run = Run()
        for warehouse in ("main", "no rth\n"):
            for number, sku in enumerate(HOSTILE):
                value = event(
                    "counted", f"{warehouse}{number}", START_MS, (sku, warehouse), level=number
                )
                run.read("stock", [(value, START_MS)])
        for topic in TOPICS:
            run.read(topic, [(heartbeat(START_MS + HOUR), START_MS + HOUR)])
        run.read("orders", sales(len(HOSTILE), START_MS + HOUR, HOSTILE.__getitem__))
        run.advance_fully()
        assert await store.commit(lease, run.commit()) == CommitOutcome.STORED
        for number, sku in enumerate(HOSTILE):
            found = await redis.hget(KEYS.item(0, f"{sku}@main"), "on_hand_units")
            assert found == b"%d" % number
        fresh = Run()
        fresh.restart((await ready(store))[1])
        require_same(_silent(fresh), _silent(run))


async def test_item_is_readable_by_its_name(redis_url):
    """HGETALL of an item shows named fields with units, as they are now."""
    async with store_at(redis_url) as store, redis_at(redis_url) as redis:
        lease, _ = await ready(store)
        run = Run()
        logs = Logs()
        logs.add("stock", event("counted", "s", START_MS, ITEMS[0], level=12), START_MS)
        logs.beat(START_MS + HOUR)
        for topic, log in logs:
            run.read(topic, log)
        run.advance_fully()
        await store.commit(lease, run.commit())
        shown = await redis.hgetall("tg:item:{0}:lamp@main")
        assert set(shown) >= {name.encode() for name in READABLE}
        assert shown[b"on_hand_units"] == b"12"
        assert shown[b"counted_at_ms"] == b"%d" % START_MS
        later = event("adjusted", "t", START_MS + HOUR, ITEMS[0], change=-5)
        run.read("stock", [(later, START_MS + HOUR)])
        for topic in TOPICS:
            run.read(topic, [(heartbeat(START_MS + 2 * HOUR), START_MS + 2 * HOUR)])
        run.advance_fully()
        await store.commit(lease, run.commit())
        shown = await redis.hgetall("tg:item:{0}:lamp@main")
        assert shown[b"on_hand_units"] == b"7"


async def test_old_buckets_are_forgotten(redis_url):
    """Redis keeps as many minutes, hours and days as the settings say, over steps and jumps."""
    async with store_at(redis_url) as store, redis_at(redis_url) as redis:
        lease, _ = await ready(store)
        run = Run()
        at = START_MS
        for step in (
            0,
            MINUTE,
            7 * MINUTE,
            HOUR,
            3 * HOUR,
            9 * HOUR,
            DAY,
            20 * DAY,
            DAY,
            200 * DAY,
        ):
            at += step
            run.read("orders", sales(2, at))
            run.advance_fully()
            await store.commit(lease, run.commit())
            for ring, kept in (("minute", 10), ("hour", 5), ("day", 30)):
                width = {"minute": MINUTE, "hour": HOUR, "day": DAY}[ring]
                allowed = {
                    KEYS.bucket(0, ring, at // width - back).encode() for back in range(kept)
                }
                found = [key async for key in redis.scan_iter(f"tg:{ring}:*", count=1000)]
                assert set(found) <= allowed
                assert KEYS.bucket(0, ring, at // width).encode() in found


async def test_history_of_days_outlives_the_shards_own_ring(redis_url):
    """Days that left the shard before a commit are in Redis all the same."""
    async with store_at(redis_url) as store, redis_at(redis_url) as redis:
        lease, _ = await ready(store)
        run = Run()
        log = [line for day in range(20) for line in sales(2, START_MS + day * DAY)]
        run.read("orders", log)
        await store.commit(lease, run.commit())
        for day in range(20):
            assert await redis.hlen(KEYS.bucket(0, "day", START_MS // DAY + day)) == 2


async def test_partitions_do_not_touch_each_other(redis_url):
    """Every key of a partition carries its hash tag, and only those are written."""
    async with store_at(redis_url) as store, redis_at(redis_url) as redis:
        await committed(store)
        assert all(b"{0}" in key for key in await dump(redis))
        assert (await ready(store, 1))[1] is None
