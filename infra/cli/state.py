"""`tidegate state`: a shop's whole state as files, to keep, to move and to go back to."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from cyclopts import App, Parameter
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from infra.cli.health.kafka import read_logs
from infra.cli.health.shards import changed_logs
from infra.cli.terminal.failures import CommandError
from infra.cli.terminal.options import NOT_GIVEN, Connection, Flag, Person
from infra.cli.terminal.output import note
from infra.cli.terminal.progress import progress
from infra.control.entries import AuditError, make_adoption
from infra.control.log import append_once
from infra.kafka.group_members import group_members
from infra.kafka.topic_reader import open_consumer, partition_counts
from infra.redis.log_adoption import AdoptionRefusedError, NewLog, adopt_logs
from infra.redis.options import connection_options, keys_of
from infra.redis.reader import Reader, ShardState
from infra.redis.state_files.export import StateExport
from infra.redis.state_files.records import StateFileError
from infra.redis.state_files.restore import ImportRefusedError, StateImport, read_export
from infra.redis.upgrades import StateVersionError
from infra.settings import Settings
from infra.wording.format import number
from streams.shard.logs import ChangedLog, LogChange
from streams.timestamps import rfc3339

if TYPE_CHECKING:
    from infra.redis.state_files.records import PartitionFile

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 120.0  # a large partition that is read in one step takes its time
_LEAST_WATCH_SECONDS = 3.0
_HEARTBEATS_WATCHED = 3
_REFUSALS = (
    StateFileError,
    StateVersionError,
    ImportRefusedError,
    AdoptionRefusedError,
    AuditError,
)

state = App(
    name="state",
    help="""Write a shop's whole state to files, and put it back from them.

The state is everything that Tidegate keeps in Redis: items, sums, waiting events, open orders,
records that are not published yet, days and decisions. Topics keep their records for some days
only; an export is how to keep the state longer, to move it to another Redis, and to go back after
an upgrade. Purchase orders and alerts that were published, and the audit log, are in their topics
and not in the export.""",
)


@state.command
def export(directory: Path, /, *, connection: Connection = NOT_GIVEN) -> None:
    """Write the state of every partition to a file, and a manifest with their checksums.

    Workers may go on. Each partition is written as it stood at one moment; one that is written to
    all the time is read in one step, for which its worker waits. Run again with the same directory,
    it writes only the partitions that have moved since.

    Args:
        directory: for the files; it is made where it is missing.
    """
    settings = connection.settings()
    with _connect(settings) as redis, progress("reading") as tell, _plain_refusals():
        now = rfc3339(int(time.time() * 1000))
        done = StateExport(redis, keys_of(settings), directory, now, tell, note).run()
    if not done.written and not done.kept:
        note(f"no worker has ever written to this Redis under {settings.redis_prefix!r}")
    print(f"wrote {_sum_of(done.written)} to {directory}")
    if done.kept:
        print(f"kept {_count(len(done.kept))} from the last export: nothing moved there")


@state.command(name="import")
def import_(
    directory: Path, /, *, replace: Flag = False, connection: Connection = NOT_GIVEN
) -> None:
    """Put an exported state into Redis, whole.

    Stop the workers of this shop first. The files are checked before anything is written. Run again
    after an interruption, it goes on with the partitions that are missing; until it has finished,
    workers wait. The prefix of the keys may be another one than that of the export.

    Args:
        directory: that `tidegate state export` wrote.
        replace: replace the state that is there; without it, nothing may be there.
    """
    settings = connection.settings()
    with _connect(settings) as redis, progress("checking") as tell, _plain_refusals():
        manifest = read_export(directory, tell)
        made = StateImport(redis, keys_of(settings), directory, manifest, tell)
        if made.require_place(replace=replace):
            _require_no_worker(settings, made)
        done = made.run()
    written = [one for one in manifest.partitions if one.partition in done.written]
    print(f"wrote {_sum_of(written)} under {settings.redis_prefix!r}")
    if done.kept:
        print(f"kept {_count(len(done.kept))} from an earlier run")
    if done.removed:
        print(f"removed {_count(len(done.removed))} that the export does not have")


@state.command(name="adopt-logs")
def adopt_logs_command(
    *,
    person: Person,
    from_: Annotated[Literal["start", "end"], Parameter(name="--from")] = "start",
    connection: Connection = NOT_GIVEN,
) -> None:
    """Read on in logs that are not the ones that the state was made from, and keep the state.

    For topics that were made anew, cut, or restored from a copy, and for another cluster under the
    same name: `tidegate doctor` names them, and no order leaves until this was said. Items, stock,
    sums and open orders stay. Workers may run; they go on within seconds. What changed in the
    number of partitions is refused: make the topics again with the number that the state has.

    Args:
        from_: "start" reads all that the new log has; events whose ids are still remembered count
            once. "end" skips what it has by now, as for a copy of what was read already.
    """
    settings = connection.settings()
    with _connect(settings) as redis, _plain_refusals():
        shards = Reader(redis, keys_of(settings)).shards()
        chosen = asyncio.run(_new_logs(settings, shards, from_))
        if not chosen:
            print("every log is the one that the state was made from: nothing to do")
            return
        named = {
            f"{topic}/{partition}": one.offset
            for partition, logs in sorted(chosen.items())
            for topic, one in logs.items()
        }
        asyncio.run(append_once(settings, lambda _: make_adoption(person.who, person.why, named)))
        for partition, logs in sorted(chosen.items()):
            adopt_logs(redis, keys_of(settings), partition, logs)
            said = ", ".join(f"{topic} from offset {one.offset}" for topic, one in logs.items())
            print(f"partition {partition} reads {said}")


async def _new_logs(
    settings: Settings, shards: "Sequence[ShardState]", place: str
) -> dict[int, dict[str, NewLog]]:
    """Return where the changed logs are read on, by partition and topic.

    Raises:
        AdoptionRefusedError: a topic is not there, or has another number of partitions.
    """
    counts = await partition_counts(settings)
    logs = await read_logs(settings, counts)
    made_from = next((one.meta.logs for one in shards if one.meta and one.meta.logs), {})
    chosen: dict[int, dict[str, NewLog]] = {}
    for shard in shards:
        for topic, changed in changed_logs(shard, logs.ends, logs.identities, made_from).items():
            _require_adoptable(settings.topic_prefix + topic, changed)
            if shard.meta is not None:
                end = logs.ends[topic, shard.partition]
                chosen.setdefault(shard.partition, {})[topic] = NewLog(end, logs.identities[topic])
    if place == "start" and chosen:
        await _from_start(settings, chosen)
    return chosen


def _require_adoptable(name: str, changed: ChangedLog) -> None:
    advice = {
        LogChange.MISSING: "a worker makes the topics when it starts; then run this again",
        LogChange.PARTITIONS: (
            "a sku's records now lie where its state is not. Make the topic again with the number "
            "that the state has and run this again, or replay into other prefixes"
        ),
    }.get(changed.change)
    if advice is not None:
        raise AdoptionRefusedError(f"{name} {changed.text}: {advice}")


async def _from_start(settings: Settings, chosen: dict[int, dict[str, NewLog]]) -> None:
    places = {
        TopicPartition(settings.topic_prefix + topic, partition): (partition, topic)
        for partition, logs in chosen.items()
        for topic in logs
    }
    async with open_consumer(settings, list(places)) as consumer:
        begins = await consumer.beginning_offsets(list(places))
    for place, (partition, topic) in places.items():
        identity = chosen[partition][topic].identity
        chosen[partition][topic] = NewLog(begins[place], identity)


def _require_no_worker(settings: Settings, made: StateImport) -> None:
    """Refuse while a worker is in the consumer group, or moves a shard.

    Whoever starts later does no harm: the import holds a lease of each partition.
    """
    try:
        members = asyncio.run(group_members(settings))
    except (KafkaError, OSError) as error:
        members = []
        note(f"cannot ask Kafka for running workers ({error}): watching Redis only")
    if members:
        raise ImportRefusedError(
            f"the consumer group {settings.group_id!r} has members ({len(members)}): stop every "
            f"worker of this shop; one that was killed is gone after "
            f"{settings.session_timeout_seconds:g} s"
        )
    heartbeats = _HEARTBEATS_WATCHED * settings.heartbeat_interval_seconds
    made.require_rest(max(_LEAST_WATCH_SECONDS, heartbeats))


def _sum_of(files: "list[PartitionFile]") -> str:
    keys = number(sum(one.keys for one in files))
    size = sum(one.size for one in files) / 1e6
    return f"{_count(len(files))}, {keys} keys, {size:.1f} MB"


def _count(partitions: int) -> str:
    return f"{partitions} partition{'' if partitions == 1 else 's'}"


@contextmanager
def _plain_refusals() -> Iterator[None]:
    try:
        yield
    except _REFUSALS as error:
        raise CommandError(str(error)) from error


@contextmanager
def _connect(settings: Settings) -> Iterator["Redis"]:
    """Connect without silent retries: a repeated write would be there twice."""
    redis = Redis.from_url(
        settings.redis_url,
        **connection_options(settings),
        socket_connect_timeout=_CONNECT_SECONDS,
        socket_timeout=_ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield redis
    finally:
        redis.close()
