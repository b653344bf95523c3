"""`tidegate dlt`: list and show records that were bad or came too late, send them back."""

import asyncio
import json
import sys
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
from aiokafka import AIOKafkaProducer
from cyclopts import App, Parameter

from infra.cli.terminal.bad_records import (
    CODE_HEADER,
    code_of,
    newest_table,
    print_record,
    record_values,
    second,
    time_text,
)
from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.options import NOT_GIVEN, Connection, Flag, Json
from infra.cli.terminal.output import (
    heading,
    make_console,
    make_table,
    note,
    safe,
)
from infra.kafka.options import client_options
from infra.kafka.publisher import sendable
from infra.kafka.topic_reader import TopicRecord, partition_counts, read_one, read_topics
from infra.settings import Settings
from infra.wording.format import number
from infra.wording.records import advice_for
from streams.contracts.outgoing import Header
from streams.contracts.topics import INPUTS, dead_letter_topic, late_topic
from streams.ingest.decode import RejectCode, TopicDecoder

SUFFIX, LATE_SUFFIX = dead_letter_topic(""), late_topic("")
REPLAYED_HEADER = "tidegate-replayed-from"
MENDED_HEADER = "tidegate-mended"
VALUE_DROPPED_HEADER = "tidegate-value-dropped"
_SPRING_PREFIX = "kafka_dlt-"
_SENT_AT_ONCE = 1_000

dlt = App(
    name="dlt",
    help="""List, show and send back dead letters: records that could not be read.

Late records, which came after the grace and were not counted, are listed and shown too.""",
)


@dlt.command(name="list")
def list_(
    *,
    newest: Annotated[int, Parameter(alias="-n")] = 10,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Count dead letters and late records by topic and code, and list the newest; say what to do.

    Args:
        newest: how many to list.
        as_json: one JSON object.
    """
    settings = connection.settings()
    found, latest = asyncio.run(_survey(settings, max(0, newest)))
    if as_json:
        newest_ones = [record_values(record) for record in latest]
        print(json.dumps({"counts": _count_records(found), "newest": newest_ones}))
        return
    console = make_console()
    if not found:
        console.print("no dead letters, no late records")
        return
    columns = [("topic", False), ("code", False), ("records", True), ("newest", False)]
    rows = [
        (topic, code, number(one.records), second(one.newest_ms))
        for (topic, code), one in sorted(found.items())
    ]
    console.print(make_table(columns, rows))
    console.print()
    console.print(heading("what to do"))
    for codes, advice in _advice({code for _, code in found}):
        console.print(safe(f"{codes}: {advice}"))
    if latest:
        console.print()
        console.print(heading(f"newest {len(latest)}"))
        console.print(newest_table(latest))
        console.print("look at one: tidegate dlt show TOPIC PARTITION OFFSET", style="dim")


@dlt.command
def show(
    topic: str,
    partition: int,
    offset: int,
    /,
    *,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Show headers and value of one dead letter or late record; nothing can harm the terminal.

    Args:
        topic: orders, or orders.dlt; orders.late for a late record.
        partition: as `tidegate dlt list` shows it.
        offset: likewise.
        as_json: one JSON object.
    """
    settings = connection.settings()
    name = _full_name(topic, settings)
    record = asyncio.run(read_one(settings, name, partition, offset))
    if record is None:
        raise CommandError(f"{name}, partition {partition}, has no record at offset {offset}")
    if as_json:
        print(json.dumps(record_values(record)))
        return
    print_record(make_console(), record)


@dlt.command
def replay(
    *,
    topic: str | None = None,
    code: str | None = None,
    partition: int | None = None,
    offset: int | None = None,
    value: Path | None = None,
    rate: float = 1_000.0,
    yes: Annotated[Flag, Parameter(alias="-y")] = False,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> int:
    """Send dead letters back to the topics that they came from, once their cause is fixed.

    They keep key, value and headers, and get the header tidegate-replayed-from. A record that is
    still bad comes back to the dead letters; one that was read meanwhile counts once, by its id.
    With --value one record goes back corrected, and one with the code wrong_key gets its sku as
    key, so that it goes where it belongs; its header tidegate-mended says so.

    Args:
        topic: only those of this topic, for example orders; by default all dead letters. Late
            records go back only where theirs is named, orders.late: raise grace_seconds first.
        code: only this error code.
        partition: only this one.
        offset: only this one; with --topic, and --partition where it has several.
        value: a file with the corrected value of the one record chosen; it must be valid.
        rate: records a second, at most, so that live events are not held up.
        yes: do not ask.
        as_json: one JSON object: how many were sent to each topic; wants --yes.
    """
    if offset is not None and topic is None:
        raise CommandError("--offset needs --topic: offsets count in each topic", ExitCode.USAGE)
    if as_json and not yes:
        raise CommandError("--json does not ask, so that it needs --yes", ExitCode.USAGE)
    if not rate > 0:
        raise CommandError(f"--rate must be above 0 records a second, got {rate}", ExitCode.USAGE)
    settings = connection.settings()
    found = asyncio.run(_choose(settings, topic, code, partition, offset))
    if value is not None:
        found = [_mended(found, value, settings)]
    found = [_rekeyed(record) for record in found]
    chosen = [record for record in found if record.header(VALUE_DROPPED_HEADER) is None]
    if len(chosen) < len(found):
        gone = number(len(found) - len(chosen))
        note(f"left out {gone} that were too large to be kept whole; see `tidegate dlt show`")
    if not chosen:
        raise CommandError("no dead letter matches; `tidegate dlt list` counts them")
    if not yes and not _is_confirmed(chosen):
        note("nothing was sent")
        return ExitCode.NO
    sent = asyncio.run(_send_back(settings, chosen, rate))
    if as_json:
        print(json.dumps({"sent": dict(sorted(sent.items()))}))
        return ExitCode.OK
    for name, count in sorted(sent.items()):
        print(f"sent {number(count)} records back to {safe(name)}")
    return ExitCode.OK


# --- reading ----------------------------------------------------------------------------------


async def _topics(settings: Settings, topic: str | None = None) -> list[str]:
    """The dead-letter topics that exist, or the one that is asked for."""
    if topic is not None:
        return [_full_name(topic, settings)]
    return await _existing(settings, dead_letter_topic)


async def _existing(settings: Settings, *names_of: Callable[[str], str]) -> list[str]:
    existing = await partition_counts(settings)
    names = [settings.topic_prefix + name_of(name) for name_of in names_of for name in INPUTS]
    return [name for name in names if existing.get(name)]


def _full_name(topic: str, settings: Settings) -> str:
    """Return a dead-letter topic's name as the broker knows it; people may leave parts out."""
    named = topic.removeprefix(settings.topic_prefix)
    plain = origin_of(named)
    if plain not in INPUTS:
        rule = f"one of {', '.join(INPUTS)}, or with {LATE_SUFFIX} behind it"
        raise CommandError(f"topic must be {rule}, got {topic!r}", ExitCode.USAGE)
    is_late = named.endswith(LATE_SUFFIX)
    return settings.topic_prefix + (late_topic(plain) if is_late else dead_letter_topic(plain))


def origin_of(topic: str) -> str:
    """Return the topic whose dead letters or late records a topic holds.

    >>> origin_of("eu.orders.dlt"), origin_of("orders.late"), origin_of("orders")
    ('eu.orders', 'orders', 'orders')
    """
    return topic.removesuffix(SUFFIX).removesuffix(LATE_SUFFIX)


@dataclass(slots=True)
class _Found:
    """How many records of a topic have a code, and when the newest was written."""

    records: int = 0
    newest_ms: int = 0


async def _survey(
    settings: Settings, newest: int
) -> tuple[dict[tuple[str, str], _Found], list[TopicRecord]]:
    counted: dict[tuple[str, str], _Found] = defaultdict(_Found)
    latest: dict[tuple[str, int], deque[TopicRecord]] = {}
    names = await _existing(settings, dead_letter_topic, late_topic)
    async for record in read_topics(settings, names):
        one = counted[record.topic, code_of(record)]
        one.records += 1
        one.newest_ms = max(one.newest_ms, record.written_ms)
        place = record.topic, record.partition
        latest.setdefault(place, deque(maxlen=newest)).append(record)
    found = [record for records in latest.values() for record in records]
    found.sort(key=lambda one: (-one.written_ms, one.topic, one.partition, -one.offset))
    return dict(counted), found[:newest]


def _advice(codes: Iterable[str]) -> list[tuple[str, str]]:
    """Return what to do by code; codes that ask for the same stand together."""
    by_advice: dict[str, list[str]] = defaultdict(list)
    for code in sorted(codes):
        by_advice[advice_for(code)].append(code)
    return [(", ".join(same), advice) for advice, same in by_advice.items()]


def _count_records(found: Mapping[tuple[str, str], _Found]) -> list[dict[str, Any]]:
    return [
        {
            "topic": topic,
            "code": code,
            "records": one.records,
            "newest_at": time_text(one.newest_ms),
        }
        for (topic, code), one in sorted(found.items())
    ]


async def _choose(
    settings: Settings,
    topic: str | None,
    code: str | None,
    partition: int | None,
    offset: int | None,
) -> list[TopicRecord]:
    return [
        record
        async for record in read_topics(settings, await _topics(settings, topic))
        if code in (None, code_of(record))
        and partition in (None, record.partition)
        and offset in (None, record.offset)
    ]


# --- sending back -----------------------------------------------------------------------------


def _is_confirmed(chosen: Sequence[TopicRecord]) -> bool:
    counts = Counter((record.topic, code_of(record)) for record in chosen)
    console = make_console(stderr=True)
    columns = [("from", False), ("code", False), ("records", True), ("to", False)]
    console.print(
        make_table(
            columns,
            (
                (topic, code, number(count), origin_of(topic))
                for (topic, code), count in sorted(counts.items())
            ),
        )
    )
    if not sys.stdin.isatty():
        raise CommandError("no terminal to ask for confirmation: give --yes", ExitCode.USAGE)
    print(f"send {number(len(chosen))} records back? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _mended(found: Sequence[TopicRecord], value: Path, settings: Settings) -> TopicRecord:
    """Return the one record found with its corrected value, keyed by its sku.

    Raises:
        CommandError: there is not one record, or its new value is still bad.
    """
    if len(found) != 1:
        rule = "--value corrects one record: give --topic, --partition and --offset"
        raise CommandError(f"{rule}; {number(len(found))} match", ExitCode.USAGE)
    record, mended = found[0], value.read_bytes()
    topic = origin_of(record.topic.removeprefix(settings.topic_prefix))
    decoded = TopicDecoder(topic, settings.worker().limits).decode([mended], None)
    for reject in decoded.rejects:
        raise CommandError(f"{value} is still bad: {reject.code}: {reject.message}", ExitCode.USAGE)
    sku: str = json.loads(mended).get("sku", "")
    headers = [*without(record.headers, VALUE_DROPPED_HEADER), (MENDED_HEADER, b"value")]
    key = sku.encode("utf-8", "surrogatepass") or record.key
    return replace(record, key=key, value=mended, headers=headers)


def _rekeyed(record: TopicRecord) -> TopicRecord:
    """Return a record that was refused for its key or partition with its sku as key.

    It then goes to the partition where the sku belongs; a header says that the key was mended.
    """
    if code_of(record) != RejectCode.WRONG_KEY:
        return record
    try:
        sku = msgspec.json.decode(record.value or b"", type=_Sku).sku
    except (msgspec.DecodeError, UnicodeDecodeError):
        return record
    headers = [*without(record.headers, MENDED_HEADER), (MENDED_HEADER, b"key")]
    return replace(record, key=sku.encode(), headers=headers)


class _Sku(msgspec.Struct):
    sku: str


async def _send_back(
    settings: Settings, chosen: Sequence[TopicRecord], rate: float
) -> Counter[str]:
    """Send records in their order; return how many went to each topic."""
    producer = AIOKafkaProducer(
        **client_options(settings),
        acks="all",
        enable_idempotence=False,
        max_request_size=2 * settings.record_bytes + 1_048_576,
    )
    sent: Counter[str] = Counter()
    await producer.start()
    try:
        async for piece in paced(chosen, rate):
            waiting = [await _send_one(producer, record) for record in piece]
            await asyncio.gather(*waiting)
            sent.update(origin_of(record.topic) for record in piece)
    finally:
        await producer.stop()
    return sent


async def paced(chosen: Sequence[TopicRecord], rate: float) -> AsyncIterator[Sequence[TopicRecord]]:
    """Yield records in pieces of a tenth of a second, never more than `rate` a second."""
    size = max(1, min(_SENT_AT_ONCE, int(rate / 10)))
    for start in range(0, len(chosen), size):
        piece = chosen[start : start + size]
        yield piece
        if start + size < len(chosen):
            await asyncio.sleep(len(piece) / rate)


async def _send_one(producer: AIOKafkaProducer, record: TopicRecord) -> Any:
    # The topic is the one whose dead letters these are: a header may say anything.
    value, headers = sendable(record.key, record.value, headers_back(record))
    return await producer.send(
        origin_of(record.topic), value=value, key=record.key, headers=headers
    )


def headers_back(record: TopicRecord) -> list[Header]:
    """Return the headers that a record had before it failed, and where it comes from now.

    >>> headers = [("a", b"1"), ("tidegate-error-code", b"not_json")]
    >>> headers_back(TopicRecord("orders.dlt", 2, 17, 0, b"lamp", b"{}", headers))
    [('a', b'1'), ('tidegate-replayed-from', b'orders.dlt/2/17')]
    """
    kept = [
        (name, value)
        for name, value in without(
            record.headers, CODE_HEADER, REPLAYED_HEADER, VALUE_DROPPED_HEADER
        )
        if not name.startswith(_SPRING_PREFIX)
    ]
    place = f"{record.topic}/{record.partition}/{record.offset}"
    return [*kept, (REPLAYED_HEADER, place.encode())]


def without(headers: Sequence[Header], *names: str) -> list[Header]:
    """Return headers but for those of the names given.

    >>> without([("a", b"1"), ("b", b"2")], "b")
    [('a', b'1')]
    """
    return [(name, value) for name, value in headers if name not in names]
