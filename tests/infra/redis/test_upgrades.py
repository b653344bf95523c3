"""State of older versions: a stored shop of each version goes on under this one."""

import gzip
import json
from base64 import b64decode
from collections.abc import Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from redis.asyncio import Redis

from infra.redis import upgrades
from infra.redis.codec import decode_outbox_record
from infra.redis.keys import Keys
from infra.redis.projection import DeadLetter
from infra.redis.shard_store import CommitOutcome, StoreError
from infra.redis.upgrades import (
    OLDEST_VERSION,
    TABLES,
    ColumnChanges,
    StateVersionError,
    Step,
    Upgrade,
    packed_layout,
    read_layout,
    version_of,
)
from streams.contracts.alerts import Alert, AlertKind
from streams.contracts.outgoing import OutboxRecord
from streams.demand import baseline
from streams.demand.hourly_dispersion import Hours
from streams.detection import surge
from streams.replenishment.expected_supply import uncounted_units
from streams.shard import shard
from streams.shard.checkpoint import STATE_VERSION, Meta
from streams.shard.folding import waiting_entries
from streams.state.items import READABLE
from streams.state.open_orders import OpenOrder
from streams.timeline import day_end, detectors, review_step, timeline
from streams.timeline.partition_state import State
from tests.infra.redis.test_shard_store import RETENTION, ready, redis_at, store_at
from tests.streams.logs import Log
from tests.streams.runs import Run, require_same

KEYS = Keys()
STATES = Path(__file__).parent / "states"
KEPT = sorted(
    int(path.name.removesuffix(".json.gz")[len("version-") :]) for path in STATES.iterdir()
)


@dataclass(frozen=True)
class Kept:
    """A shop as a version stored it, the logs that it came from, and what was in it."""

    version: int
    keys: dict[str, tuple[str, Any]]  # key -> type and value
    logs: dict[str, Log]
    reads: list[tuple[str, int, int]]  # topic, first record, end
    facts: dict[str, Any]


@cache
def kept(version: int) -> Kept:
    """Read the stored shop of a version."""
    read = json.loads(gzip.decompress((STATES / f"version-{version}.json.gz").read_bytes()))
    keys = {key: (kind, _value(kind, value)) for key, (kind, value) in read["keys"].items()}
    logs = {
        topic: [(None if value is None else b64decode(value), written) for value, written in log]
        for topic, log in read["logs"].items()
    }
    return Kept(read["version"], keys, logs, read["reads"], read["facts"])


def _value(kind: str, value: Any) -> Any:
    if kind == "hash":
        return {b64decode(name): b64decode(one) for name, one in value.items()}
    return [b64decode(one) for one in value] if kind == "list" else b64decode(value)


async def write(redis: Redis, state: Kept) -> None:
    """Let Redis hold a kept state."""
    await redis.flushdb()
    for key, (kind, value) in state.keys.items():
        if kind == "hash":
            await redis.hset(key, mapping=value)
        elif kind == "list":
            await redis.rpush(key, *value)
        else:
            await redis.set(key, value)


async def everything(redis: Redis) -> dict[str, Any]:
    """Everything that Redis holds."""
    found: dict[str, Any] = {}
    for key in await redis.keys("*"):
        kind = await redis.type(key)
        if kind == b"hash":
            found[key.decode()] = await redis.hgetall(key)
        else:
            found[key.decode()] = await (
                redis.lrange(key, 0, -1) if kind == b"list" else redis.get(key)
            )
    return found


@asynccontextmanager
async def holding(url: str, state: Kept):
    """A store on a Redis that holds a kept state, and a client to look with."""
    async with store_at(url, RETENTION) as store, redis_at(url) as redis:
        await write(redis, state)
        yield store, redis


def never_stored(state: Kept, patch: pytest.MonkeyPatch) -> Run:
    """A run that read the same batches as its version did, and was never stored."""
    with patch.context() as as_then:
        if state.version < 9:
            _sum_backlogs(as_then)
            _teach_all_hours(as_then)
        if state.version < 10:
            _take_hours_for_even(as_then)
            _count_overdue_orders(as_then)
        run = Run()
        _read_batches(run, state)
    if state.version < 9:
        feed = run.shard.timeline.alerts.order_feed.state
        for name, value in upgrades._IMPORTS_IN_9.items():
            setattr(feed, name, value)
    if state.version < 10:
        timeline = run.shard.timeline
        for name in upgrades._HOURS_IN_10:
            timeline.items.rows[name] = 0
        timeline.state.pool_items()
        timeline.state.facts.restore([])
    run.commit()
    return run


def _count_overdue_orders(patch: pytest.MonkeyPatch) -> None:
    """An order that was overdue counted in full, however late it was."""

    def overdue_in_full(
        orders: Iterable[OpenOrder], row: Any, latest_ms: float, now_ms: int
    ) -> "np.ndarray":
        return uncounted_units(orders, row, latest_ms, -(1 << 60))

    patch.setattr(review_step, "uncounted_units", overdue_in_full)


def _take_hours_for_even(as_then: pytest.MonkeyPatch) -> None:
    """Before version 10 the orders of a day were taken to be Poisson, and any surge for one."""
    as_then.setattr(baseline, "pool_hours", lambda known, settings: Hours())
    as_then.setattr(day_end, "close_hours", lambda *_: None)
    as_then.setattr(surge, "_WEEKDAY_DOUBT", 0.0)
    as_then.setattr(detectors, "is_hardly_more", lambda rows, _: np.zeros(rows.size, np.bool_))


def _sum_backlogs(as_then: pytest.MonkeyPatch) -> None:
    """Before version 9 a backlog was a sum without orders."""
    as_then.setattr(shard, "waiting_entries", _without_orders)


def _teach_all_hours(as_then: pytest.MonkeyPatch) -> None:
    """Before version 9 imports, surges and what came after outages taught hours, too."""

    def teach_tick(state: State, *_: Any, **__: Any) -> None:
        state.hour_orders += state.tick_hour_orders
        state.tick_hour_orders = np.zeros(24)

    as_then.setattr(detectors, "teach_tick", teach_tick)
    as_then.setattr(detectors, "_is_import", lambda state: False)
    as_then.setattr(timeline, "had_surges", lambda rows, at_ms: np.zeros(rows.size, np.bool_))
    as_then.setattr(day_end, "_complete_hours", lambda *_: None)
    for name in ("leave_out_surges", "make_surges_whole", "make_outage_whole"):
        as_then.setattr(detectors, name, lambda *_: None)


def _without_orders(*batch: Any) -> Any:
    entries, updates = waiting_entries(*batch)
    entries["order_key"] = 0
    return entries, updates


def _read_batches(run: Run, state: Kept) -> None:
    for topic, start, end in state.reads:
        run.read(topic, state.logs[topic][start:end])
        run.advance_fully()


def read_on(run: Run, state: Kept) -> None:
    """Read the rest of the logs."""
    for topic, log in state.logs.items():
        run.read(topic, log[run.shard.offsets.get(topic, 0) :])
        run.advance_fully()


each_version = pytest.mark.parametrize("version", KEPT)


# -- every kept version goes on --------------------------------------------------------------------


def test_a_shop_of_each_version_is_kept():
    """From the oldest version that can be upgraded to the one before this, none is left out."""
    assert list(range(OLDEST_VERSION, STATE_VERSION)) == [v for v in KEPT if v < STATE_VERSION]
    assert all(kept(version).version == version for version in KEPT)


@each_version
async def test_what_was_stored_is_there(redis_url, version):
    """Items, open orders, waiting events, outbox, campaigns and groups are the old shop's."""
    state = kept(version)
    async with holding(redis_url, state) as (store, _):
        _, stored = await ready(store)
        run = Run()
        run.restart(stored)
    timeline, facts = run.shard.timeline, state.facts
    rows = {
        timeline.items.key(place): timeline.items.rows[place]
        for place in range(len(timeline.items))
    }
    columns = ("on_hand_units", "backlog_units", "counted_at_ms", "demand_level_units_per_day")
    assert {name: [row[column] for column in columns] for name, row in rows.items()} == facts[
        "items"
    ]
    assert {o.po_id: [o.outstanding, o.due_ms] for o in timeline.supply} == facts["open_orders"]
    assert len(timeline.pending) == facts["pending"]
    assert {
        str(number): [record.topic, record.order_summary and record.order_summary.status]
        for number, record in stored.outbox.items()
    } == facts["outbox"]
    assert {
        timeline.items.key(item): sorted(lines) for item, lines in timeline.campaigns.items()
    } == facts["campaigns"]
    assert run.shard.foreign_groups == facts["groups"]  # begun anew, for all partitions
    assert timeline.state.reviews == facts["reviews"]
    assert run.shard.offsets == facts["offsets"]


KINDS_SINCE = {7: frozenset({AlertKind.BACKLOG_AGE}), 8: frozenset(), 9: frozenset()}
"""Kinds of incidents that a version did not know: they begin when its state is read."""


def _known_to(version: int, records: list[OutboxRecord]) -> list[bytes | None]:
    """What leaves, without alerts of kinds that came after a version."""
    later = tuple(f'"kind":"{kind}"'.encode() for kind in KINDS_SINCE[version])
    return [one.value for one in records if not any(kind in (one.value or b"") for kind in later)]


@pytest.mark.slow
@each_version
async def test_old_shop_decides_on_as_if_never_stored(redis_url, version, monkeypatch):
    """Folding on gives the decisions, orders and alerts of a shard that was never stored."""
    state = kept(version)
    expected = never_stored(state, monkeypatch)
    expected.decisions.clear()
    expected.outputs.clear()
    async with holding(redis_url, state) as (store, _):
        lease, stored = await ready(store)
        run = Run()
        run.restart(stored)
        run.outputs_told_to = run.shard.outbox.next_number
        read_on(run, state)
        assert await store.commit(lease, run.commit()) == CommitOutcome.STORED
        read_on(expected, state)
        expected.commit()
        assert run.decisions == expected.decisions
        assert len(run.decisions) > 5
        assert _known_to(version, run.outputs) == _known_to(version, expected.outputs)
        again, _ = await store.acquire(0, 1), None
        reloaded = Run()
        reloaded.restart(await store.load(again))
        reloaded.decisions, reloaded.outputs, reloaded.days = run.decisions, run.outputs, run.days
        require_same(reloaded, run)


@each_version
async def test_incidents_that_one_partition_had_of_groups_end(redis_url, version):
    """They are judged from all partitions now: the campaign's old incident does not stay open."""
    state = kept(version)
    async with holding(redis_url, state) as (store, redis):
        before = await incidents_of_groups(redis)
        lease, stored = await ready(store)
        run = Run()
        run.restart(stored)
        assert await store.commit(lease, run.commit()) == CommitOutcome.STORED
        assert await incidents_of_groups(redis) == []
    ended = [msgspec.json.decode(one.value or b"", type=Alert) for one in run.outputs]
    assert before
    assert {one.incident_id for one in ended if one.state == "resolved"} >= set(before)


async def incidents_of_groups(redis: Redis) -> list[str]:
    """The open incidents of campaigns, by id."""
    stored = (await redis.hgetall(KEYS.incidents(0))).values()
    alerts = (json.loads(value) for value in stored)
    return [one["incident_id"] for one in alerts if one["subject"].startswith("campaign:")]


@each_version
async def test_first_commit_leaves_nothing_of_the_old_version(redis_url, version):
    """After it Redis holds what a shop of this version holds: no old key, name or layout."""
    state = kept(version)
    async with holding(redis_url, state) as (store, redis):
        lease, stored = await ready(store)
        run = Run()
        run.restart(stored)
        assert await store.commit(lease, run.commit()) == CommitOutcome.STORED
        found = await everything(redis)
    shard = found[KEYS.shard(0)]
    assert version_of(shard[b"meta"]) == STATE_VERSION
    assert shard[b"layout"] == packed_layout()
    moved = {KEYS.of(family, 0) for step in _steps_from(version) for family in step.moved}
    assert not moved & set(found)
    assert not [key for key in found if "staged" in key]
    before = state.keys[KEYS.shard(0)][1]
    assert _is_whole(Upgrade(before[b"meta"], before.get(b"layout"), "").meta, Meta)
    assert all(_is_whole(value, Alert) for value in found[KEYS.incidents(0)].values())
    assert all(_is_whole(value, OpenOrder) for value in found[KEYS.orders(0)].values())
    dead_letters = found.get(KEYS.dead_letters(0), {})
    assert all(_is_whole(value, DeadLetter) for value in dead_letters.values())
    alerts = [decode_outbox_record(packed) for packed in found[KEYS.outbox(0)].values()]
    assert all(_is_whole(one.value, Alert) for one in alerts if one.topic == "alerts")
    for key in [key for key in found if key.startswith(KEYS.of("item", 0))]:
        assert set(found[key]) == {name.encode() for name in READABLE}


def _steps_from(version: int) -> list[Step]:
    return [upgrades._STEPS[number] for number in range(version, STATE_VERSION)]


def _is_whole(stored: bytes, kind: type) -> bool:
    """Whether a stored JSON object has all fields of a struct and no other."""
    return bool(
        json.loads(stored)
        == json.loads(msgspec.json.encode(msgspec.json.decode(stored, type=kind)))
    )


# -- a crash, a lost reply, another owner ----------------------------------------------------------


async def test_crash_before_the_first_commit_leaves_the_old_version(redis_url):
    """Loading changes nothing but the lease."""
    state = kept(OLDEST_VERSION)
    async with holding(redis_url, state) as (store, redis):
        before = await everything(redis)
        _, stored = await ready(store)
        assert stored is not None
        found = await everything(redis)
    for held in (before, found):
        for name in (b"epoch", b"claim"):
            held[KEYS.shard(0)].pop(name)
    assert found == before


async def test_crash_while_the_new_version_is_prepared_leaves_the_old_one(redis_url, monkeypatch):
    """What was staged by then is no part of the state, and the next owner removes it."""
    state = kept(OLDEST_VERSION)
    async with holding(redis_url, state) as (store, redis):
        lease, stored = await ready(store)
        run = Run()
        run.restart(stored)
        commit = run.commit()
        with monkeypatch.context() as patch:
            patch.setattr(store, "_run", _fail)
            with pytest.raises(ConnectionError):
                await store.commit(lease, commit)
        assert await redis.keys("tg:staged:*")
        assert version_of(await redis.hget(KEYS.shard(0), "meta")) == OLDEST_VERSION
        assert await redis.hgetall(KEYS.incidents(0)) == state.keys[KEYS.incidents(0)][1]
        lease, stored = await ready(store)
        run.restart(stored)
        assert await store.commit(lease, run.commit()) == CommitOutcome.STORED
        assert not await redis.keys("tg:staged:*")
        assert version_of(await redis.hget(KEYS.shard(0), "meta")) == STATE_VERSION


async def _fail(*_: Any) -> None:
    raise ConnectionError("gone")


async def test_lost_reply_of_the_upgrade_changes_nothing(redis_url, monkeypatch):
    """The reply of the script was lost: the same commit, tried again, converts nothing twice."""
    state = kept(OLDEST_VERSION)
    async with holding(redis_url, state) as (store, redis):
        lease, stored = await ready(store)
        run = Run()
        run.restart(stored)
        commit = run.commit()
        real = store._run

        async def lose(*call: Any) -> None:
            await real(*call)
            raise ConnectionError("gone")

        with monkeypatch.context() as patch:
            patch.setattr(store, "_run", lose)
            with pytest.raises(ConnectionError):
                await store.commit(lease, commit)
        upgraded = await redis.hgetall(KEYS.incidents(0))
        assert await store.commit(lease, commit) == CommitOutcome.STORED
        left = await redis.hgetall(KEYS.incidents(0))
        assert len(left) > 5
        assert left == {one: upgraded[one] for one in left}  # what the upgrade ended is gone
        assert not await redis.keys("tg:staged:*")
        assert (await ready(store))[1] is not None


async def test_who_lost_the_shard_upgrades_nothing(redis_url):
    """Another owner took the shard between load and commit: the old version is his to upgrade."""
    state = kept(OLDEST_VERSION)
    async with holding(redis_url, state) as (store, redis):
        lease, stored = await ready(store)
        run = Run()
        run.restart(stored)
        await store.acquire(0, 1)
        assert await store.commit(lease, run.commit()) == CommitOutcome.FENCED
        assert version_of(await redis.hget(KEYS.shard(0), "meta")) == OLDEST_VERSION


# -- versions that cannot go on --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "complaint"),
    [
        (
            STATE_VERSION + 1,
            rf"version {STATE_VERSION + 1}, newer than {STATE_VERSION}.*state import",
        ),
        (OLDEST_VERSION - 1, rf"version {OLDEST_VERSION - 1}, older than {OLDEST_VERSION}.*worker"),
    ],
)
async def test_unknown_version_is_refused(redis_url, version, complaint):
    """The text names both versions and the command to run; nothing is changed."""
    async with holding(redis_url, kept(OLDEST_VERSION)) as (store, redis):
        meta = json.loads(await redis.hget(KEYS.shard(0), "meta"))
        await redis.hset(KEYS.shard(0), "meta", json.dumps({**meta, "version": version}))
        before = await everything(redis)
        with pytest.raises(StateVersionError, match=complaint):
            await ready(store)
        found = await everything(redis)
        assert found.keys() == before.keys()
        assert not issubclass(StateVersionError, StoreError)  # the worker must not try for ever


# -- packed tables ---------------------------------------------------------------------------------

META = b'{"version":%d}' % STATE_VERSION
OLD_ROW = np.dtype([("units", "<i8"), ("marks", "<f8", (3,)), ("gone", "?")])
NEW_ROW = np.dtype(
    [("marks", "<f8", (3,)), ("is_new", "?"), ("sold_units", "<i8"), ("share", "<f8")]
)
CHANGES = ColumnChanges(
    renamed={"units": "sold_units"},
    added={"is_new": True, "share": 0.5},
    removed=frozenset({"gone"}),
)


@pytest.fixture
def changed_row(monkeypatch) -> None:
    """A version in which the rows of items and groups are laid out anew."""
    monkeypatch.setitem(TABLES, "row", NEW_ROW)
    monkeypatch.setitem(upgrades._STEPS, STATE_VERSION, Step(columns={"row": CHANGES}))
    monkeypatch.setattr(upgrades, "STATE_VERSION", STATE_VERSION + 1)


def layout_with(row: np.dtype) -> bytes:
    """A stored layout with another table of rows."""
    return msgspec.json.encode({**json.loads(packed_layout()), "row": row.descr})


@pytest.mark.usefixtures("changed_row")
def test_rows_of_another_layout_are_read_by_name():
    """Columns of both are copied, new ones get their default, removed ones go."""
    old = np.array([(7, (1, 2, 3), True), (8, (4, 5, 6), False)], OLD_ROW)
    upgrade = Upgrade(META, layout_with(OLD_ROW), "shard 0")
    assert upgrade.rewritten == ["groups", "rows"]
    packed = upgrade.values("rows", [bytes(row) for row in old])
    new = np.frombuffer(b"".join(packed), NEW_ROW)
    assert new["sold_units"].tolist() == [7, 8]
    assert new["marks"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert new["is_new"].all()
    assert new["share"].tolist() == [0.5, 0.5]
    assert [len(one) for one in packed] == [NEW_ROW.itemsize] * 2


@pytest.mark.usefixtures("changed_row")
@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (np.dtype([*OLD_ROW.descr, ("odd", "?")]), "no step says what became of odd"),
        (np.dtype(OLD_ROW.descr[::2]), "no step says where marks comes from"),
        (
            np.dtype([("units", "<i4"), *OLD_ROW.descr[1:]]),
            "column sold_units must be int64, got int32",
        ),
    ],
)
def test_difference_that_no_step_speaks_of_is_refused(row, complaint):
    """A column that was renamed and forgotten must not turn to zeros."""
    with pytest.raises(StateVersionError, match=complaint):
        Upgrade(META, layout_with(row), "shard 0")


def test_waiting_events_of_another_layout_are_read_by_name(monkeypatch):
    """The entries inside a chunk are packed records, too; the rest of the chunk stays."""
    entry = TABLES["entry"]
    wider = np.dtype([*entry.descr, ("weight", "<f8")])
    added = ColumnChanges(added={"weight": 1.0})
    monkeypatch.setitem(TABLES, "entry", wider)
    monkeypatch.setitem(upgrades._STEPS, STATE_VERSION, Step(columns={"entry": added}))
    monkeypatch.setattr(upgrades, "STATE_VERSION", STATE_VERSION + 1)
    entries = np.ones(3, entry)
    chunk = msgspec.msgpack.encode(("orders", entries.tobytes(), {1: b"{}"}))
    upgrade = Upgrade(META, packed_layout(), "shard 0")
    (packed,) = upgrade.values("pending", [chunk])
    topic, found, reported = msgspec.msgpack.decode(
        packed, type=tuple[str, bytes, dict[int, bytes]]
    )
    assert (topic, reported) == ("orders", {1: b"{}"})
    assert np.frombuffer(found, wider)["weight"].tolist() == [1.0] * 3


async def test_every_packed_key_is_rewritten(redis_url, monkeypatch):
    """Rows, groups, sums, waiting events, days of history and decisions: each in the new layout,
    also where its family of keys gets another name.
    """
    async with holding(redis_url, kept(KEPT[-1])) as (store, redis):
        lease, stored = await ready(store)
        run = Run()
        run.restart(stored)
        assert await store.commit(lease, run.commit()) == CommitOutcome.STORED
        before = await everything(redis)
        for name, dtype in list(TABLES.items()):
            monkeypatch.setitem(TABLES, name, np.dtype([("weight", "<f8"), *dtype.descr]))
        added = dict.fromkeys(TABLES, ColumnChanges(added={"weight": 2.0}))
        step = Step(moved={"decisions": "choices", "names": "items"}, columns=added)
        monkeypatch.setitem(upgrades._STEPS, STATE_VERSION, step)
        monkeypatch.setattr(upgrades, "STATE_VERSION", STATE_VERSION + 1)
        monkeypatch.setitem(upgrades.TABLE_OF, "choices", "decision")
        monkeypatch.delitem(upgrades.TABLE_OF, "decisions")
        shard = before[KEYS.shard(0)]
        upgrade = Upgrade(shard[b"meta"], shard[b"layout"], "shard 0")
        assert await store._store_upgrade(lease, upgrade)
        found = await everything(redis)
    renamed = {
        key.replace("decisions:", "choices:").replace("names:", "items:"): value
        for key, value in before.items()
    }
    assert found.keys() == renamed.keys()
    for key, value in found.items():
        table = upgrades.TABLE_OF.get(key.split(":")[1])
        if table is not None:
            assert value.keys() == renamed[key].keys()
            _require_widened(value, renamed[key], TABLES[table], is_chunk=table == "entry")
        elif key != KEYS.shard(0):
            assert value == renamed[key]


def _require_widened(new: dict, old: dict, dtype: np.dtype, *, is_chunk: bool) -> None:
    for name, value in new.items():
        before = old[name]
        if is_chunk:
            value, before = (msgspec.msgpack.decode(one)[1] for one in (value, before))
        table = np.frombuffer(value, dtype)
        assert set(table["weight"]) <= {2.0}
        narrow = np.zeros(table.size, np.dtype(dtype.descr[1:]))
        for column in narrow.dtype.names:
            narrow[column] = table[column]
        assert narrow.tobytes() == before


def test_same_version_of_another_layout_is_refused():
    """Whoever changes a packed table without a new version hears of it."""
    with pytest.raises(StateVersionError, match="no step says"):
        Upgrade(META, layout_with(OLD_ROW), "shard 0")


def test_layout_is_read_back():
    """What the shard's hash has is what the tables are."""
    assert read_layout(packed_layout()) == TABLES
    assert replace(CHANGES, renamed={}).added == CHANGES.added
