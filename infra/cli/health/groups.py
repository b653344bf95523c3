"""`tidegate groups`: how far groups are judged, and going on without a partition that lags."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from aiokafka import AIOKafkaProducer
from cyclopts import App

from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.options import NOT_GIVEN, Connection, Json, Person
from infra.kafka.options import client_options
from infra.redis.reader import ShardState, open_reader
from infra.settings import Settings
from infra.wording.format import moment
from streams.contracts.event_times import time_fault
from streams.contracts.topics import GROUP_FACTS
from streams.groups.facts import KEY, CloseWindow
from streams.timestamps import one_time

groups = App(
    name="groups",
    help="""Show how far shop, categories and campaigns are judged; go on without a partition.

They are judged once all partitions are decided up to a time. One that lags holds them up; `close`
lets them go on without it.""",
)


@dataclass(frozen=True)
class Progress:
    """How far the partitions are decided, and the groups judged, in milliseconds since 1970."""

    decided_ms: Mapping[int, int | None]
    judged_ms: int  # 0: nothing yet

    @property
    def newest_ms(self) -> int:
        """How far the fastest partition is; 0: none has begun."""
        return max((at for at in self.decided_ms.values() if at is not None), default=0)


def progress_of(shards: Sequence[ShardState]) -> Progress:
    """Return how far a shop is, as Redis has it."""
    metas = {shard.partition: shard.meta for shard in shards}
    judged = [meta.groups.applied_ms for meta in metas.values() if meta and meta.groups]
    decided = {one: None if meta is None else meta.applied_ms for one, meta in metas.items()}
    return Progress(decided, max(judged, default=0))


@groups.command(name="list")
def list_groups(*, as_json: Json = False, connection: Connection = NOT_GIVEN) -> int:
    """Show how far each partition is decided, and how far the groups are judged.

    Args:
        as_json: one JSON object instead of text.
    """
    progress = _progress(connection.settings())
    if as_json:
        decided = {str(one): at for one, at in progress.decided_ms.items()}
        print(json.dumps({"judged_ms": progress.judged_ms, "decided_ms": decided}))
        return ExitCode.OK
    if not progress.newest_ms:
        print("nothing is decided yet")
        return ExitCode.OK
    judged = moment(progress.judged_ms) if progress.judged_ms else "no time yet"
    print(f"shop, categories and campaigns are judged to {judged}")
    for partition, at_ms in sorted(progress.decided_ms.items()):
        behind_s = 0 if at_ms is None else (progress.newest_ms - at_ms) // 1000
        text = "nothing is decided" if at_ms is None else f"decided to {moment(at_ms)}"
        print(f"partition {partition}: {text}" + (f", {behind_s:,} s behind" if behind_s else ""))
    return ExitCode.OK


@groups.command
def close(
    partition: int,
    *,
    person: Person,
    upto: str | None = None,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> int:
    """Judge the groups without a partition up to a time; what it says later of that time is lost.

    The word lies in the topic group-facts, with name and reason: a replay does the same. Items of
    the partition are not concerned: they are decided when it comes.

    Args:
        partition: which one lags, as `tidegate groups list` shows.
        upto: RFC 3339; by default as far as the fastest partition is.
        as_json: one JSON object instead of a line of text.
    """
    settings = connection.settings()
    upto_ms = closing_time(_progress(settings), partition, upto)
    word = CloseWindow(partition=partition, upto_ms=upto_ms, who=person.who, why=person.why)
    asyncio.run(_send(settings, word))
    if as_json:
        print(msgspec.json.encode(word).decode())
    else:
        print(f"the groups go on without partition {partition} up to {moment(upto_ms)}")
    return ExitCode.OK


def closing_time(progress: Progress, partition: int, upto: str | None) -> int:
    """Return up to when a partition is closed.

    Raises:
        CommandError: there is no such partition, it does not lag, or the time is none.
    """
    if partition not in progress.decided_ms:
        known = ", ".join(map(str, sorted(progress.decided_ms))) or "none"
        raise CommandError(f"partition must be one of {known}, got {partition}", ExitCode.USAGE)
    if upto is not None and (fault := time_fault(upto)) is not None:
        raise CommandError(f"--upto must be {fault.rule}, got {upto!r}", ExitCode.USAGE)
    upto_ms = progress.newest_ms if upto is None else one_time(upto)
    if upto_ms > progress.newest_ms:
        newest = moment(progress.newest_ms) if progress.newest_ms else "nothing is decided yet"
        text = f"--upto must be at most what the fastest partition is decided to, {newest}"
        raise CommandError(f"{text}, got {moment(upto_ms)}", ExitCode.USAGE)
    decided_ms = progress.decided_ms[partition]
    if decided_ms is not None and decided_ms >= upto_ms:
        text = f"partition {partition} is decided to {moment(decided_ms)}"
        raise CommandError(f"{text}: there is nothing to close")
    return upto_ms


def _progress(settings: Settings) -> Progress:
    with open_reader(settings) as reader:
        return progress_of(reader.shards())


async def _send(settings: Settings, word: CloseWindow) -> None:
    producer = AIOKafkaProducer(**client_options(settings), acks="all", enable_idempotence=False)
    await producer.start()
    try:
        topic = settings.topic_prefix + GROUP_FACTS
        await producer.send_and_wait(topic, msgspec.json.encode(word), KEY)
    finally:
        await producer.stop()
