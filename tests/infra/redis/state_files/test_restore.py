"""A shop's state as files: written whole while workers write, put back whole or not at all."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis import Redis

from infra.cli.app import run
from infra.redis.keys import Keys
from infra.redis.shard_store import CommitOutcome, StoreError
from infra.redis.state_files.export import StateExport
from infra.redis.state_files.keys import StateKeys
from infra.redis.state_files.records import MANIFEST, StateFileError, file_name, read_manifest
from infra.redis.state_files.restore import ImportRefusedError, StateImport, read_export
from infra.redis.upgrades import StateVersionError
from infra.settings import load_settings
from tests.infra.redis.test_shard_store import KEYS, ready, sales, store_at
from tests.infra.redis.test_upgrades import KEPT, kept
from tests.streams.logs import START_MS
from tests.streams.runs import Run, require_same

NOW = "2026-01-01T00:00:00Z"
PARTITIONS = (0, 2, 3)


@pytest.fixture
def redis(redis_url: str):
    """A client of an empty database."""
    with Redis.from_url(redis_url) as client:
        client.flushdb()
        yield client


def fill(redis: Redis, partitions=PARTITIONS) -> None:
    """Write the newest kept shop as several partitions."""
    for partition in partitions:
        for key, (kind, value) in kept(KEPT[-1]).keys.items():
            key = key.replace("{0}", f"{{{partition}}}")
            if kind == "hash":
                redis.hset(key, mapping=value)
            elif kind == "list":
                redis.rpush(key, *value)
            else:
                redis.set(key, value)


def everything(redis: Redis) -> dict[bytes, Any]:
    """Everything that Redis holds, but for what each lease brings."""
    found: dict[bytes, Any] = {}
    for key in redis.keys("*"):
        kind = redis.type(key)
        if kind == b"hash":
            found[key] = redis.hgetall(key)
            found[key].pop(b"claim", None)
            found[key].pop(b"epoch", None)
        else:
            found[key] = redis.lrange(key, 0, -1) if kind == b"list" else redis.get(key)
    return found


def export(redis: Redis, directory: Path, **options: Any):
    """Write the state."""
    return StateExport(redis, KEYS, directory, NOW, **options).run()


def load(redis: Redis, directory: Path, *, replace: bool = False, keys: Keys = KEYS):
    """Check the files and put the state into Redis."""
    manifest = read_export(directory, lambda share, text: None)
    made = StateImport(redis, keys, directory, manifest)
    if made.require_place(replace=replace):
        made.require_rest(0.3)
    return made.run()


def command(redis_url: str, *arguments: str, kafka: str = "127.0.0.1:1") -> int:
    """Run `tidegate state`."""
    return run(["state", *arguments, "--redis-url", redis_url, "--kafka-bootstrap", kafka])


# -- out and in ------------------------------------------------------------------------------------


def test_what_comes_back_is_what_was_there(redis, tmp_path):
    """Export, wipe, import: every key has its type and its values."""
    fill(redis)
    before = everything(redis)
    done = export(redis, tmp_path)
    assert [one.partition for one in done.written] == list(PARTITIONS)
    assert sum(one.keys for one in done.written) == len(before)
    redis.flushdb()
    assert load(redis, tmp_path).written == list(PARTITIONS)
    assert everything(redis) == before


def test_the_prefix_may_be_another(redis, tmp_path):
    """A copy of a shop can stand beside it in the same Redis."""
    fill(redis)
    before = everything(redis)
    export(redis, tmp_path)
    load(redis, tmp_path, keys=Keys("copy[1]:"))
    found = everything(redis)
    assert {key: value for key, value in found.items() if key.startswith(b"tg:")} == before
    copied = {
        key.replace(b"copy[1]:", b"tg:"): value
        for key, value in found.items()
        if key.startswith(b"copy[1]:")
    }
    assert copied == before


@pytest.mark.slow
def test_commands_say_what_they_did(redis, redis_url, tmp_path, capsys):
    """`tidegate state export` and `import`, and `doctor`'s line about the version."""
    fill(redis)
    before = everything(redis)
    assert command(redis_url, "export", str(tmp_path / "kept")) == 0
    assert capsys.readouterr().out.startswith(f"wrote 3 partitions, {len(before)} keys, ")
    assert command(redis_url, "import", str(tmp_path / "kept")) == 1
    assert "--replace replaces all of them" in capsys.readouterr().err
    assert command(redis_url, "import", str(tmp_path / "kept"), "--replace") == 0
    assert capsys.readouterr().out.startswith(f"wrote 3 partitions, {len(before)} keys, ")
    assert everything(redis) == before


def test_replacing_removes_what_the_export_does_not_have(redis, tmp_path):
    """Neither a key nor a partition of the state that was there before is left."""
    fill(redis, (0,))
    before = everything(redis)
    export(redis, tmp_path)
    fill(redis, (1,))
    redis.hset(KEYS.rows(0), "odd@main", "x")
    redis.set(KEYS.memory(0, "odd", 0), "x")
    with pytest.raises(ImportRefusedError, match="keys of 2 partitions"):
        load(redis, tmp_path)
    done = load(redis, tmp_path, replace=True)
    assert (done.written, done.removed) == ([0], [1])
    assert everything(redis) == before


# -- going on --------------------------------------------------------------------------------------


def test_second_export_writes_only_what_moved(redis, tmp_path):
    """A partition whose shard stands where it stood is kept; a damaged file is written again."""
    fill(redis)
    export(redis, tmp_path)
    redis.hset(KEYS.shard(2), "sequence", 1000)
    (tmp_path / file_name(3)).write_bytes(b"")
    done = export(redis, tmp_path)
    assert [one.partition for one in done.kept] == [0]
    assert [one.partition for one in done.written] == [2, 3]
    before = everything(redis)
    redis.flushdb()
    load(redis, tmp_path)
    assert everything(redis) == before


def test_killed_export_goes_on(redis, tmp_path, monkeypatch):
    """What was written by then is kept; until it has finished, nobody can import it."""
    fill(redis)
    with monkeypatch.context() as patch:
        real = StateExport._write

        def fail_at_2(self: StateExport, partition: int, *progress: float):
            if partition == 2:
                raise KeyboardInterrupt
            return real(self, partition, *progress)

        patch.setattr(StateExport, "_write", fail_at_2)
        with pytest.raises(KeyboardInterrupt):
            export(redis, tmp_path)
    with pytest.raises(StateFileError, match="of a finished export"):
        load(redis, tmp_path)
    done = export(redis, tmp_path)
    assert [one.partition for one in done.kept] == [0]
    assert [one.partition for one in done.written] == [2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["_wipe", "_write", "_finish"])
def test_killed_import_goes_on(redis, tmp_path, monkeypatch, method):
    """Wherever it ended, a partition is whole or absent, and the same command does the rest."""
    fill(redis)
    before = everything(redis)
    export(redis, tmp_path)
    redis.flushdb()
    fill(redis, (7,))
    with monkeypatch.context() as patch:
        real, calls = getattr(StateImport, method), []

        def fail_at_second(*arguments: Any):
            calls.append(method)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return real(*arguments)

        patch.setattr(StateImport, method, fail_at_second)
        with pytest.raises(KeyboardInterrupt):
            load(redis, tmp_path, replace=True)
    begun = [p for p in PARTITIONS if redis.hexists(KEYS.shard(p), "importing")]
    assert len(begun) == (3 if method == "_wipe" else 2)
    assert not any(redis.hexists(KEYS.shard(p), "sequence") for p in begun)
    done = load(redis, tmp_path)
    assert done.written == begun
    assert sorted(done.written + done.kept) == list(PARTITIONS)
    assert everything(redis) == before


def test_export_of_half_a_state_is_refused(redis, tmp_path):
    """An import that was not finished is no state to keep."""
    fill(redis)
    redis.hset(KEYS.shard(2), "importing", "word")
    with pytest.raises(ValueError, match="partition 2 holds half of a state"):
        export(redis, tmp_path)


# -- files that are not sound ----------------------------------------------------------------------


def flip(path: Path) -> None:
    """Change one byte."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_flipped_byte_is_refused_before_anything_is_written(redis, redis_url, tmp_path, capsys):
    """The last file is damaged: nothing of the others is written, and what was there stays."""
    fill(redis)
    before = everything(redis)
    export(redis, tmp_path)
    flip(tmp_path / file_name(3))
    assert command(redis_url, "import", str(tmp_path), "--replace") == 1
    complaint = capsys.readouterr().err
    assert file_name(3) in complaint
    assert "must have the SHA-256" in complaint
    assert len(complaint.splitlines()) == 1
    assert everything(redis) == before


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda path: (path / file_name(2)).unlink(), "must be there"),
        (lambda path: (path / file_name(2)).write_bytes(b"x"), "must have .* bytes"),
        (lambda path: (path / MANIFEST).write_bytes(b"{"), "must be the manifest"),
        (lambda path: (path / MANIFEST).unlink(), "must be there: it is written by"),
        (lambda path: set_in_manifest(path, format=9), "must have format 1, got 9"),
    ],
)
def test_unsound_export_is_refused(redis, tmp_path, change, rule):
    """Each rule that an export can break is named with its file."""
    fill(redis)
    export(redis, tmp_path)
    redis.flushdb()
    change(tmp_path)
    with pytest.raises(StateFileError, match=rule):
        load(redis, tmp_path)
    assert redis.dbsize() == 0


def set_in_manifest(directory: Path, **fields: Any) -> None:
    """Change the manifest."""
    path = directory / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_export_of_an_unknown_version_is_refused(redis, tmp_path):
    """A newer Tidegate wrote it: the text names both versions."""
    fill(redis)
    export(redis, tmp_path)
    redis.flushdb()
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    manifest["partitions"][1]["state_version"] = 99
    set_in_manifest(tmp_path, partitions=manifest["partitions"])
    with pytest.raises(StateVersionError, match=r"partition-00002.* version 99, newer than"):
        load(redis, tmp_path)
    assert redis.dbsize() == 0


def test_directory_with_something_else_is_left_alone(redis, tmp_path):
    """Neither other files nor another shop's export are written over."""
    fill(redis)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(StateFileError, match="empty directory"):
        export(redis, tmp_path)
    other = tmp_path / "other"
    export(redis, other)
    set_in_manifest(other, prefix="another:")
    with pytest.raises(StateFileError, match="export of the prefix 'tg:', got 'another:'"):
        export(redis, other)


# -- workers ---------------------------------------------------------------------------------------


async def sell_on(store, lease, stop: asyncio.Event) -> Run:
    """Commit sales of ever new items until it has to stop; return the run."""
    run = Run()
    number = 0
    while not stop.is_set():
        at = START_MS + 60_000 * number
        run.read("orders", sales(3, at, lambda n, number=number: f"sku-{number}-{n}"))
        assert await store.commit(lease, run.commit()) == CommitOutcome.STORED
        number += 1
        await asyncio.sleep(0)
    return run


def log_of(run: Run, records: int) -> Run:
    """A run that read the first records that `sell_on` wrote."""
    again = Run()
    for number in range(records // 3):
        at = START_MS + 60_000 * number
        again.read("orders", sales(3, at, lambda n, number=number: f"sku-{number}-{n}"))
    again.commit()
    return again


@pytest.mark.slow
async def test_export_beside_a_worker_is_of_one_moment(redis, redis_url, tmp_path, monkeypatch):
    """While a worker commits without a rest, the files hold the state after one of its commits."""
    notes: list[str] = []
    real = StateKeys.of_partition

    def keys_before_a_commit(self: StateKeys, partition: int) -> list[bytes]:
        found = real(self, partition)
        sequence = redis.hget(KEYS.shard(partition), "sequence")
        while redis.hget(KEYS.shard(partition), "sequence") == sequence:
            time.sleep(0.001)
        return found

    monkeypatch.setattr(StateKeys, "of_partition", keys_before_a_commit)
    async with store_at(redis_url) as store:
        lease, _ = await ready(store)
        stop = asyncio.Event()
        selling = asyncio.create_task(sell_on(store, lease, stop))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(export, redis, tmp_path, note=notes.append)
        stop.set()
        await selling
        monkeypatch.undo()
        assert any("moved while it was read" in note for note in notes)
        assert any("never rests" in note for note in notes)
        redis.flushdb()
        load(redis, tmp_path)
        found = Run()
        found.restart((await ready(store))[1])
    expected = log_of(found, found.shard.offsets["orders"])
    found.days = expected.days
    require_same(found, expected)


async def test_import_is_refused_while_a_worker_commits(redis, redis_url, tmp_path):
    """--replace does not take the state from under a worker."""
    fill(redis)
    export(redis, tmp_path)
    redis.flushdb()
    async with store_at(redis_url) as store:
        lease, _ = await ready(store)
        stop = asyncio.Event()
        selling = asyncio.create_task(sell_on(store, lease, stop))
        await asyncio.sleep(0.2)
        with pytest.raises(ImportRefusedError, match="a worker is at work on partition 0"):
            await asyncio.to_thread(load, redis, tmp_path, replace=True)
        stop.set()
        await selling


def test_import_is_refused_while_a_worker_idles(redis, redis_url, tmp_path, broker, capsys):
    """A worker with nothing to do moves no shard, but it is in the consumer group."""
    fill(redis)
    before = everything(redis)
    export(redis, tmp_path)

    async def beside_a_member() -> int:
        group = load_settings().group_id
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic("anything", 1, 1)])
        await admin.close()
        consumer = AIOKafkaConsumer(
            "anything", bootstrap_servers=broker.bootstrap, group_id=group, session_timeout_ms=6_000
        )
        await consumer.start()
        try:
            return await asyncio.to_thread(
                command, redis_url, "import", str(tmp_path), "--replace", kafka=broker.bootstrap
            )
        finally:
            await consumer.stop()

    assert asyncio.run(beside_a_member()) == 1
    assert "the consumer group 'tidegate' has members (1)" in capsys.readouterr().err
    assert everything(redis) == before
    assert command(redis_url, "import", str(tmp_path), "--replace") == 0
    assert "cannot ask Kafka" in capsys.readouterr().err


async def test_worker_waits_for_an_import(redis, redis_url, tmp_path, monkeypatch):
    """Who owned the shard is refused, and who wants it gets it once the import has finished."""
    fill(redis, (0,))
    before = everything(redis)
    export(redis, tmp_path)
    redis.flushdb()
    async with store_at(redis_url) as store:
        lease, _ = await ready(store)
        run = Run()
        run.read("orders", sales(3))
        commit = run.commit()
        with monkeypatch.context() as patch:
            patch.setattr(StateImport, "_finish", _interrupt)
            with pytest.raises(KeyboardInterrupt):
                load(redis, tmp_path, replace=True)
        assert await store.commit(lease, commit) == CommitOutcome.FENCED
        with pytest.raises(StoreError, match="tidegate state import"):
            await store.acquire(0, 1)
        load(redis, tmp_path)
        assert everything(redis) == before
        _, stored = await ready(store)
        assert stored is not None


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def test_two_imports_do_not_mix(redis, tmp_path):
    """The second one takes the partitions; the first one is refused at its next write."""
    fill(redis)
    export(redis, tmp_path)
    redis.flushdb()
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    first = StateImport(redis, KEYS, tmp_path, manifest)
    first._take(0)
    load(redis, tmp_path)
    whole = everything(redis)
    with pytest.raises(ImportRefusedError, match="another import took partition 0"):
        first._wipe(0)
    assert everything(redis) == whole
