"""A replay writes records in order to the right partitions, with heartbeats among them."""

import asyncio
import collections
import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from infra.kafka.topic_admin import ensure_topics
from infra.local.embedded import EmbeddedBroker, free_port
from infra.replay.faults import LineError, Record, SourceError
from infra.replay.line_source import open_lines
from infra.replay.log_writer import ReplayError, partition_for
from infra.replay.replay import (
    EventClock,
    Progress,
    ReplayResult,
    replay,
)
from infra.replay.schemas import adapt
from streams.contracts.events import TOPICS

PARTITIONS = 3
HOUR_MS = 3_600_000
START_MS = 1_300_000_000_000 - 1_300_000_000_000 % HOUR_MS
Log = list[tuple[bytes | None, bytes]]

_prefixes = (f"run{number}-" for number in count())


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(tmp_path_factory.mktemp("broker")) as running:
        yield running


def make_record(number: int, occurred_ms: int, topic: str = "orders") -> Record:
    value = json.dumps({"kind": "placed", "event_id": str(number)}).encode()
    return Record(topic, f"sku {number % 17}".encode(), value, occurred_ms)


def make_records(total: int, step_ms: int) -> list[Record]:
    topics = ("orders", "shipments", "orders", "stock", "catalog")
    return [
        make_record(number, START_MS + 1 + number * step_ms, topics[number % len(topics)])
        for number in range(total)
    ]


async def replayed(
    broker: EmbeddedBroker, records: Any, **options: Any
) -> tuple[ReplayResult, dict[tuple[str, int], Log]]:
    """Replay to fresh topics; return the result and the logs, topics without their prefix."""
    prefix = next(_prefixes)
    await ensure_topics(broker.bootstrap, prefix, PARTITIONS)
    result = await replay(
        records, bootstrap=broker.bootstrap, partitions=PARTITIONS, topic_prefix=prefix, **options
    )
    logs = await read_logs(broker.bootstrap, prefix)
    ends = {(topic.removeprefix(prefix), p): end for (topic, p), end in result.end_offsets.items()}
    assert ends == {place: len(log) for place, log in logs.items() if log}
    return result, logs


async def read_logs(bootstrap: str, prefix: str) -> dict[tuple[str, int], Log]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = [
            TopicPartition(prefix + topic, partition)
            for topic in TOPICS
            for partition in range(PARTITIONS)
        ]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        logs: dict[TopicPartition, Log] = {place: [] for place in places}
        while any(len(logs[place]) < ends[place] for place in places):
            for place, records in (await consumer.getmany(timeout_ms=1000)).items():
                logs[place] += [(record.key, record.value) for record in records]
    finally:
        await consumer.stop()
    return {(place.topic.removeprefix(prefix), place.partition): logs[place] for place in places}


def without_heartbeats(log: Log) -> Log:
    return [record for record in log if heartbeat_ms(record) is None]


def heartbeat_ms(record: tuple[bytes | None, bytes]) -> int | None:
    event = json.loads(record[1])
    return event["occurred_at"] if event["kind"] == "heartbeat" else None


def heartbeats(log: Log) -> list[int]:
    return [at_ms for record in log if (at_ms := heartbeat_ms(record)) is not None]


async def test_each_partition_holds_its_records_in_order(broker: EmbeddedBroker) -> None:
    """Records lie where Kafka's own partitioner puts their key, in the order of the file."""
    records = make_records(40_000, step_ms=10)
    result, logs = await replayed(broker, records)
    for (topic, partition), log in logs.items():
        assert without_heartbeats(log) == [
            (record.key, record.value)
            for record in records
            if record.topic == topic and partition_for(record.key, PARTITIONS) == partition
        ]
    assert result.records == len(records)
    assert result.records_by_topic["orders"] == 16_000
    assert result.heartbeats == sum(len(heartbeats(log)) for log in logs.values())
    assert (result.first_ms, result.last_ms) == (records[0].occurred_ms, records[-1].occurred_ms)
    assert result.complete


@given(st.binary(max_size=40), st.integers(1, 50))
def test_partition_is_that_of_the_default_partitioner(key: bytes, partitions: int) -> None:
    """Other producers of the same key, in any language, write to the same partition."""
    everywhere = list(range(partitions))
    assert partition_for(key, partitions) == DefaultPartitioner()(key, everywhere, everywhere)


async def test_heartbeats_reach_every_topic_partition_in_event_time(
    broker: EmbeddedBroker,
) -> None:
    """All logs have one at the start, one at each boundary before what follows, one at the end."""
    records = make_records(300, step_ms=60_000)  # five hours
    _, logs = await replayed(broker, records, allowed_lateness_seconds=120)
    times = {record.value: record.occurred_ms for record in records}
    first_ms, last_ms = records[0].occurred_ms, records[-1].occurred_ms
    boundaries = [START_MS + hour * HOUR_MS for hour in (1, 2, 3, 4)]
    for log in logs.values():
        assert heartbeats(log) == [first_ms, *boundaries, last_ms + 120_000]
        reported_ms = 0
        for record in log:
            at_ms = heartbeat_ms(record)
            reported_ms = reported_ms if at_ms is None else at_ms
            if at_ms is None:
                assert reported_ms <= times[record[1]] < reported_ms + HOUR_MS


async def test_heartbeats_have_a_key_only_where_a_topic_is_compacted(
    broker: EmbeddedBroker,
) -> None:
    """Kafka refuses a record without a key on a compacted topic."""
    _, logs = await replayed(broker, make_records(1, step_ms=1))
    keys = {(topic, key) for (topic, _), log in logs.items() for key, v in log if b"heartbeat" in v}
    with_key = {topic for topic, key in keys if key is not None}
    assert with_key == {"catalog", "campaigns"}


@given(times=st.lists(st.integers(0, 1_000), min_size=1, max_size=40), step_ms=st.integers(1, 300))
def test_heartbeats_are_as_few_as_the_boundaries_need(times: list[int], step_ms: int) -> None:
    """Each is the newest boundary, comes before what is at or after it, and none comes twice."""
    clock = EventClock(step_ms)
    reported = [clock.advance(times[0])]
    assert reported == [times[0]]
    newest_ms = times[0]
    for at_ms in times[1:]:
        heartbeat_ms = clock.advance(at_ms)
        boundary_ms = at_ms - at_ms % step_ms
        crossed = at_ms > newest_ms and boundary_ms > max(
            beat for beat in reported if beat is not None
        )
        assert heartbeat_ms == (boundary_ms if crossed else None)
        newest_ms = max(newest_ms, at_ms)
        assert clock.now_ms == newest_ms
        reported.append(heartbeat_ms)


async def test_batch_size_changes_no_log(broker: EmbeddedBroker) -> None:
    """Two batch sizes write the same records, heartbeats and order."""
    records = make_records(3_000, step_ms=5_000)
    _, small = await replayed(broker, records, batch_records=7)
    _, big = await replayed(broker, records, batch_records=1_000, compression="gzip")
    assert small == big


async def test_big_records_need_several_batches(broker: EmbeddedBroker) -> None:
    """What does not fit into one batch goes into the next, in order; one record always fits."""
    sizes = [20_000] * 100 + [950_000, 1, 950_000] + [20_000] * 100
    records = [
        make_record(0, START_MS)._replace(
            value=b'{"kind":"%d","note":"%s"}' % (number, b"x" * size)
        )
        for number, size in enumerate(sizes)
    ]
    _, logs = await replayed(broker, records)
    written = [value for log in logs.values() for _, value in without_heartbeats(log)]
    assert written == [record.value for record in records]


async def test_speed_follows_event_time(broker: EmbeddedBroker) -> None:
    """At a given speed a replay takes as long as it should, and its logs are the same."""
    records = make_records(200, step_ms=60_000)  # 199 minutes
    _, fast = await replayed(broker, records)
    paced, slow = await replayed(broker, records, speed=12_000)
    assert slow == fast
    assert paced.seconds == pytest.approx(199 * 60 / 12_000, abs=0.5)
    assert paced.seconds > 0.9


async def test_silence_is_reported_while_it_lasts(broker: EmbeddedBroker) -> None:
    """At a given speed each boundary of a silence is written when it is due, else the last one."""
    records = [make_record(0, START_MS), make_record(1, START_MS + 5 * HOUR_MS)]
    _, fast = await replayed(broker, records, allowed_lateness_seconds=0)
    _, slow = await replayed(broker, records, allowed_lateness_seconds=0, speed=10 * 3600)
    ends = [START_MS, START_MS + 5 * HOUR_MS, START_MS + 5 * HOUR_MS]
    assert all(heartbeats(log) == ends for log in fast.values())
    for log in slow.values():
        reported = heartbeats(log)
        assert reported == sorted(reported)
        assert {START_MS + hour * HOUR_MS for hour in (1, 2, 3, 4)} <= set(reported)
    assert {place: without_heartbeats(log) for place, log in slow.items()} == {
        place: without_heartbeats(log) for place, log in fast.items()
    }


async def test_records_may_be_out_of_time_order(broker: EmbeddedBroker) -> None:
    """An older record is written where it stands and moves no clock."""
    records = [
        make_record(0, START_MS + 2 * HOUR_MS),
        make_record(1, START_MS),
        make_record(2, START_MS + 2 * HOUR_MS + 1),
    ]
    result, logs = await replayed(broker, records, allowed_lateness_seconds=0)
    assert result.last_ms == START_MS + 2 * HOUR_MS + 1
    for log in logs.values():
        assert heartbeats(log) == [START_MS + 2 * HOUR_MS, START_MS + 2 * HOUR_MS + 1]


async def test_nothing_to_replay_writes_nothing(broker: EmbeddedBroker) -> None:
    """Without an event there is no event time to tell."""
    result, logs = await replayed(broker, [])
    assert result.complete
    assert result.first_ms is None
    assert not any(logs.values())


async def test_a_stopped_replay_writes_what_it_accepted(broker: EmbeddedBroker) -> None:
    """After the stop signal the result says how far it came, and the logs hold exactly that."""
    stop = asyncio.Event()
    reported: list[Progress] = []

    def watch(progress: Progress) -> None:
        reported.append(progress)
        if progress.records >= 20:
            stop.set()

    records = make_records(10_000, step_ms=60_000)
    result, logs = await replayed(broker, records, speed=60_000, stop=stop, on_progress=watch)
    assert not result.complete
    assert 20 <= result.records < 1_000
    assert sum(len(without_heartbeats(log)) for log in logs.values()) == result.records
    assert reported[-1].finished
    assert reported[-1].records == result.records


async def test_a_cancelled_replay_writes_what_it_accepted(broker: EmbeddedBroker) -> None:
    """Ctrl-C leaves a prefix of each log behind, as long as the last progress says."""
    prefix = next(_prefixes)
    await ensure_topics(broker.bootstrap, prefix, PARTITIONS)
    reported: list[Progress] = []
    all_written = asyncio.Event()
    silence = threading.Event()

    def watch(progress: Progress) -> None:
        reported.append(progress)
        if progress.records == 5_000:
            all_written.set()

    def endless() -> Iterator[Record]:
        yield from make_records(5_000, step_ms=1_000)
        silence.wait(30)

    running = asyncio.create_task(
        replay(
            endless(),
            bootstrap=broker.bootstrap,
            partitions=PARTITIONS,
            topic_prefix=prefix,
            on_progress=watch,
        )
    )
    await all_written.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    silence.set()
    logs = await read_logs(broker.bootstrap, prefix)
    assert reported[-1].finished
    assert (
        sum(len(without_heartbeats(log)) for log in logs.values()) == reported[-1].records == 5_000
    )


async def test_a_bad_line_comes_after_everything_before_it(broker: EmbeddedBroker) -> None:
    """The replay ends with the line's own error; what stood before it is in the log."""
    prefix = next(_prefixes)
    await ensure_topics(broker.bootstrap, prefix, PARTITIONS)
    line = b'{"topic":"stock","key":"lamp","occurred_at":1700000000000,"raw":"{}"}'
    with pytest.raises(LineError, match="line 4: "):
        await replay(
            adapt([line, line, line, b"oh"], schema="tidegate"),
            bootstrap=broker.bootstrap,
            partitions=PARTITIONS,
            topic_prefix=prefix,
        )
    logs = await read_logs(broker.bootstrap, prefix)
    values = [value for log in logs.values() for _, value in log if value == b"{}"]
    assert len(values) == 3


async def test_a_wrong_number_of_partitions_is_refused(broker: EmbeddedBroker) -> None:
    """Records would lie where no shard looks for them."""
    prefix = next(_prefixes)
    await ensure_topics(broker.bootstrap, prefix, PARTITIONS)
    with pytest.raises(ReplayError, match=r"-catalog' must have 4 partitions, got 3"):
        await replay([], bootstrap=broker.bootstrap, partitions=4, topic_prefix=prefix)


async def test_missing_topics_are_refused_and_not_created(broker: EmbeddedBroker) -> None:
    """A misspelt prefix must not make topics."""
    for _ in range(2):
        with pytest.raises(ReplayError, match="topic 'none-catalog' must have 3 partitions, got 0"):
            await replay(
                [], bootstrap=broker.bootstrap, partitions=PARTITIONS, topic_prefix="none-"
            )


async def test_an_unreachable_broker_is_one_clear_error() -> None:
    """The error names the setting and its value."""
    nowhere = f"127.0.0.1:{free_port()}"
    with pytest.raises(ReplayError, match=f"bootstrap '{nowhere}' must be a reachable broker"):
        await replay([], bootstrap=nowhere, partitions=PARTITIONS)


@pytest.mark.slow
async def test_a_broker_that_dies_is_one_clear_error(tmp_path: Path) -> None:
    """A batch that nobody takes ends the replay."""
    with EmbeddedBroker(tmp_path) as mortal:
        await ensure_topics(mortal.bootstrap, "", PARTITIONS)

        def watch(progress: Progress) -> None:
            if progress.records > 20:
                mortal.kill()

        with pytest.raises(ReplayError, match="the broker did not take a batch"):
            await replay(
                make_records(10_000, step_ms=60_000),
                bootstrap=mortal.bootstrap,
                partitions=PARTITIONS,
                speed=60_000,
                on_progress=watch,
                client_options={"request_timeout_ms": 1_000},
            )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"speed": 0}, "speed must be > 0 or none, got 0"),
        ({"speed": float("nan")}, "speed must be > 0 or none, got nan"),
        ({"heartbeat_seconds": 0}, "heartbeat_seconds must be >= 1, got 0"),
        ({"batch_records": 0}, "batch_records must be >= 1 or none, got 0"),
        ({"allowed_lateness_seconds": -1}, "allowed_lateness_seconds must be >= 0, got -1"),
    ],
)
async def test_a_wrong_choice_names_field_rule_and_value(
    wrong: dict[str, Any], message: str
) -> None:
    """Choices are checked before anything is connected."""
    with pytest.raises(ValueError, match=message):
        await replay([], bootstrap="nowhere:1", partitions=1, **wrong)


LINES = [b"one\n", b"two\n", b"three"]


@pytest.mark.parametrize("name", ["lines.txt", "packed.gz", "packed-without-suffix"])
def test_lines_of_a_file(tmp_path: Path, name: str) -> None:
    """Plain and gzip files are distinguished by their first bytes."""
    path = tmp_path / name
    content = b"".join(LINES)
    path.write_bytes(gzip.compress(content) if name.startswith("packed") else content)
    source = open_lines(path)
    assert source.share() == 0
    assert list(source) == LINES
    assert source.share() == 1


@pytest.mark.slow
@pytest.mark.parametrize("is_packed", [False, True])
def test_lines_of_standard_input(is_packed: bool) -> None:
    """A pipe may be packed too; its size is not known."""
    script = (
        "from infra.replay.line_source import open_lines; source = open_lines('-'); "
        "print(source.share(), list(source))"
    )
    content = b"".join(LINES)
    ran = subprocess.run(
        [sys.executable, "-c", script],
        input=gzip.compress(content) if is_packed else content,
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert ran.stdout.decode().strip() == f"None {LINES}"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A wrong path is known before anything is written."""
    with pytest.raises(SourceError, match=r"nowhere\.jsonl must be a readable file: No such file"):
        open_lines(tmp_path / "nowhere.jsonl")


def test_a_damaged_gzip_file(tmp_path: Path) -> None:
    """A cut download is an error that names the file, after the lines that could be read."""
    path = tmp_path / "cut.gz"
    content = b"".join(b"%d\n" % (number * 7919 % 10_007) for number in range(100_000))
    path.write_bytes(gzip.compress(content)[:100_000])
    read: list[bytes] = []
    with pytest.raises(SourceError, match=r"cut\.gz must be readable to its end"):
        collections.deque(map(read.append, open_lines(path)), maxlen=0)
    assert read[:3] == [b"0\n", b"7919\n", b"5831\n"]
