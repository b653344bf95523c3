"""What a topic holds, looked at before anything reads it: `tidegate doctor --topic`.

`judge` is pure: records in, checks out. A topic of Tidegate's own is judged by its contract, any
other one by what a mapping will need.
"""

import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from infra.cli.health.check import Check, Status
from infra.kafka.topic_reader import (
    TopicReadError,
    TopicRecord,
    log_ends,
    open_consumer,
    partition_counts,
    read_between,
)
from infra.settings import Settings
from infra.wording.format import number
from infra.wording.records import advice_for
from streams.contracts.event_times import time_fault
from streams.contracts.events import TOPICS
from streams.contracts.topics import COMPACTED
from streams.ingest.decode import TopicDecoder
from streams.ingest.placement import home_of
from streams.timestamps import one_time

SAMPLE_RECORDS = 1_000
_TIME_NAME = re.compile(
    r"(_at|_ts|time|date|timestamp|_ms|created|updated|modified)$", re.IGNORECASE
)
_SKU_NAMES = ("sku", "product_sku", "item_sku", "article", "item_id", "product_id")
_AMOUNT_NAME = re.compile(r"(price|amount|total|cost|quantity|qty|units)$", re.IGNORECASE)
_MURMUR2 = "set partitioner=murmur2_random in its producer"
_SHOWN_CHARACTERS = 60
_HOUR_MS = 3_600_000
_MOSTLY = 0.9

Values = Sequence[Mapping[str, Any]]


async def read_sample(
    settings: Settings, topic: str, count: int = SAMPLE_RECORDS
) -> tuple[list[TopicRecord], int, int]:
    """Return the newest records of a topic, how many there are in all, and its partitions.

    Raises:
        TopicReadError: it is not there, or the broker does not give what it has.
    """
    from aiokafka import TopicPartition

    partitions = (await partition_counts(settings)).get(topic, 0)
    if not partitions:
        raise TopicReadError(f"topic {topic!r} is not there")
    places = [TopicPartition(topic, one) for one in range(partitions)]
    async with open_consumer(settings, places) as consumer:
        begins = await consumer.beginning_offsets(places)
        ends = await log_ends(consumer, places)
        share = max(1, count // partitions)
        firsts = {one: max(begins[one], ends[one] - share) for one in places}
        found = [record async for record in read_between(consumer, firsts, ends)]
    return found, sum(ends[one] - begins[one] for one in places), partitions


def judge(
    records: Sequence[TopicRecord], topic: str, total: int, partitions: int, settings: Settings
) -> Iterator[Check]:
    """Yield what is to be said of a topic.

    Args:
        records: a sample.
        topic: its name, with prefix.
        total: records in it.
        partitions: of it.
        settings: prefix and lateness.
    """
    if not records:
        yield Check("records", Status.WARN, f"{topic} is empty", "look again when it holds some")
        return
    yield Check(
        "records",
        Status.OK,
        f"{number(len(records))} of {number(total)}, in {number(partitions)} partitions",
    )
    own = topic.removeprefix(settings.topic_prefix)
    is_own = topic.startswith(settings.topic_prefix) and own in TOPICS
    values = list(_objects(records))
    yield from _form(records, values)
    if is_own:
        yield from _contract(records, own)
    elif values:
        yield from _amounts(values)
    yield from _keys(records, partitions, may_go_on=is_own and own in COMPACTED)
    yield from _times(records, values, is_own=is_own, settings=settings)
    yield from _repeats(records)


# --- form -------------------------------------------------------------------------------------


def _form(records: Sequence[TopicRecord], values: Values) -> Iterator[Check]:
    """What the values are: JSON, frames of a registry, envelopes, nothing."""
    if framed := sum((one.value or b"x")[:1] in (b"\x00", b"\x01") for one in records):
        yield Check(
            "form",
            Status.FAIL,
            f"{number(framed)} records begin as a schema registry's do",
            "let the producer, or Kafka Connect, write JSON: Avro and Protobuf are not read",
        )
    empty = sum(one.value is None for one in records)
    others = len(records) - len(values) - framed - empty
    if others:
        example = next(one for one in records if one.value and _object(one.value) is None)
        shown = (example.value or b"")[:_SHOWN_CHARACTERS].decode("utf-8", "backslashreplace")
        where = f"{example.partition}/{example.offset}"
        yield Check(
            "form",
            Status.FAIL,
            f"{number(others)} values are no JSON object, as at {where}: {shown}",
            "one event a record, as a JSON object in UTF-8",
        )
    envelopes = sum(_is_envelope(one) for one in values)
    if envelopes:
        yield Check(
            "form",
            Status.OK,
            f"{number(envelopes)} records are change events of Debezium",
            'read them with tidegate connect run: kind = "kafka", format = "debezium"',
        )
    if not framed and not others:
        text = f"JSON objects; {number(empty)} without a value" if empty else "JSON objects"
        yield Check("form", Status.OK, text)


def _is_envelope(value: Mapping[str, Any]) -> bool:
    inner = value.get("payload", value)
    return isinstance(inner, dict) and {"op", "source"} <= inner.keys()


def _contract(records: Sequence[TopicRecord], own: str) -> Iterator[Check]:
    """What the contract of an input topic says against its records."""
    written = np.array([one.written_ms for one in records], np.int64)
    decoded = TopicDecoder(own).decode([one.value for one in records], written)
    if not decoded.rejects:
        yield Check("contract", Status.OK, f"all of them are events of {own}")
        return
    for code, count in Counter(str(one.code) for one in decoded.rejects).most_common():
        first = next(one for one in decoded.rejects if one.code == code)
        at = records[first.row]
        text = f"{number(count)} are {code}, as at {at.partition}/{at.offset}: {first.message}"
        yield Check("contract", Status.FAIL, text, advice_for(code))


def _amounts(values: Values) -> Iterator[Check]:
    """Numbers that are texts: a mapping has to say so."""
    texts: Counter[str] = Counter()
    commas: Counter[str] = Counter()
    for path, value in _leaves(values):
        if isinstance(value, str) and _AMOUNT_NAME.search(path) and re.search(r"\d", value):
            texts[path] += 1
            commas[path] += "," in value
    for path, count in texts.most_common(3):
        decimal = ', decimal = ","' if commas[path] else ""
        yield Check(
            "decimals",
            Status.WARN,
            f"{path} is a text in {number(count)} places",
            f'in the mapping: {{ path = "{path}", as = "money"{decimal} }}',
        )


# --- keys -------------------------------------------------------------------------------------


def _keys(records: Sequence[TopicRecord], partitions: int, *, may_go_on: bool) -> Iterator[Check]:
    """Whether records lie where their sku belongs."""
    keyed = [one for one in records if one.key]
    heartbeats = sum(_kind_of(one) == "heartbeat" for one in records)
    if missing := len(records) - len(keyed) - heartbeats:
        text = f"{number(missing)} records have no key"
        yield Check("keys", Status.FAIL, text, "set key = sku in the producer")
    different = [
        one
        for one in keyed
        if (sku := _sku_of(one)) is not None and not _is_key_of(one.key or b"", sku, may_go_on)
    ]
    if different:
        one = different[0]
        key = (one.key or b"")[:_SHOWN_CHARACTERS].decode("utf-8", "backslashreplace")
        text = f"{number(len(different))} keys are not the sku: {key!r} of {_sku_of(one)!r}"
        yield Check("keys", Status.FAIL, text, "set key = sku, or read it with connect run")
    if not different and not missing and keyed:
        yield Check("keys", Status.OK, f"{number(len({one.key for one in keyed}))} of them")
    yield from _partitioner(keyed, partitions, may_go_on=may_go_on)


def _partitioner(
    keyed: Sequence[TopicRecord], partitions: int, *, may_go_on: bool
) -> Iterator[Check]:
    if partitions < 2 or not keyed:
        return

    def share(home: Callable[[bytes], int]) -> float:
        return sum(
            home(_hashed(one.key or b"", may_go_on)) == one.partition for one in keyed
        ) / len(keyed)

    right = share(lambda key: home_of(key, partitions))
    if right == 1.0:
        yield Check("partitioner", Status.OK, "murmur2, as Kafka's own clients have it")
        return
    others = {
        "CRC32, librdkafka's default": lambda key: zlib.crc32(key) % partitions,
        "FNV-1a": lambda key: _fnv1a(key) % partitions,
    }
    name = next((name for name, home in others.items() if share(home) > _MOSTLY), "")
    one = next(
        record
        for record in keyed
        if home_of(_hashed(record.key or b"", may_go_on), partitions) != record.partition
    )
    key = (one.key or b"").decode("utf-8", "backslashreplace")
    home = home_of(_hashed(one.key or b"", may_go_on), partitions)
    text = f"key {key!r} lies in partition {one.partition}, murmur2 puts it into {home}"
    seen = f"; it looks like {name}" if name else ""
    yield Check("partitioner", Status.FAIL, text + seen, _MURMUR2)


def _hashed(key: bytes, may_go_on: bool) -> bytes:
    """The part of a key that decides where it lies: the sku."""
    return key.partition(b"@")[0] if may_go_on else key


def _fnv1a(key: bytes) -> int:
    """Hash as Sarama and Redpanda Connect's output `kafka` do."""
    found = 0x811C9DC5
    for byte in key:
        found = ((found ^ byte) * 0x01000193) & 0xFFFFFFFF
    signed = found - (1 << 32) if found >= 1 << 31 else found
    return abs(signed)


def _is_key_of(key: bytes, sku: str, may_go_on: bool) -> bool:
    whole = sku.encode("utf-8", "surrogatepass")
    return key == whole or (may_go_on and key.startswith(whole + b"@"))


# --- times ------------------------------------------------------------------------------------


def _times(
    records: Sequence[TopicRecord], values: Values, *, is_own: bool, settings: Settings
) -> Iterator[Check]:
    """Units, zones, dates alone, clocks and lateness."""
    names = ["occurred_at"] if is_own else _time_paths(values)
    for path in names[:3]:
        found = [value for one, value in _leaves(values) if one == path]
        yield from _units(path, found)
    if is_own:
        yield from _clocks(records, settings)


def _time_paths(values: Values) -> list[str]:
    seen: Counter[str] = Counter(
        path
        for path, value in _leaves(values)
        if _TIME_NAME.search(path) and isinstance(value, str | int) and not isinstance(value, bool)
    )
    return [path for path, _ in seen.most_common()]


def _units(path: str, found: Sequence[Any]) -> Iterator[Check]:
    faults: Counter[str] = Counter()
    midnights = 0
    for value in found:
        if not isinstance(value, str | int) or isinstance(value, bool):
            continue
        fault = time_fault(value)
        if fault is not None:
            looks = fault.looks.partition(":")[0] or _zone_of(value)
            faults[looks] += 1
        midnights += fault is None and one_time(value) % (24 * _HOUR_MS) == 0
    for looks, count in faults.most_common(2):
        said = looks or "no time that is read"
        text = f"{path}: {number(count)} values: {said}"
        yield Check("times", Status.FAIL, text, "write RFC 3339 with a zone, or milliseconds")
    if len(found) > 10 and midnights > _MOSTLY * len(found):
        text = f"{path}: nearly all are at midnight"
        advice = "these are dates: such orders count as an import, and call no surge"
        yield Check("times", Status.WARN, text, advice)
    elif found and not faults:
        yield Check("times", Status.OK, f"{path} can be read")


def _zone_of(value: str | int) -> str:
    text = str(value)
    return "they name no zone" if re.fullmatch(r"\d{4}-\d\d-\d\d[T ][\d:.]+", text) else ""


def _clocks(records: Sequence[TopicRecord], settings: Settings) -> Iterator[Check]:
    """How far what a record claims lies from when it was written, and how many are late."""
    ahead: list[int] = []
    clocks: dict[int, int] = {}
    late = beyond = count = 0
    for record in sorted(records, key=lambda one: (one.partition, one.offset)):
        value = _object(record.value or b"")
        at = None if value is None else value.get("occurred_at")
        if not isinstance(at, str | int) or isinstance(at, bool) or time_fault(at) is not None:
            continue
        at_ms, count = one_time(at), count + 1
        if record.written_ms > 0:
            ahead.append(at_ms - record.written_ms)
        behind_ms = clocks.get(record.partition, at_ms) - at_ms
        late += behind_ms > settings.allowed_lateness_seconds * 1000
        beyond += behind_ms > (settings.allowed_lateness_seconds + settings.grace_seconds) * 1000
        clocks[record.partition] = max(clocks.get(record.partition, at_ms), at_ms)
    yield from _shifted(ahead)
    if not count:
        return
    if beyond:
        text = f"{number(beyond)} of {number(count)} came after the grace: they do not count"
        yield Check("lateness", Status.FAIL, text, "send events in the order of their time")
    elif late > 0.01 * count:
        text = f"{number(late)} of {number(count)} came later than allowed_lateness_seconds"
        yield Check("lateness", Status.WARN, text, "raise it, or mend the delay of the source")
    else:
        yield Check("lateness", Status.OK, f"{number(late)} of {number(count)} were late")


def _shifted(ahead: Sequence[int]) -> Iterator[Check]:
    """Tell a clock or a zone by the distance between claim and log, where it hardly differs."""
    if len(ahead) < 10:
        return
    middle = float(np.median(ahead))
    spread = float(np.percentile(ahead, 90) - np.percentile(ahead, 10))
    if middle > 60_000:
        text = f"events lie {middle / 60_000:.0f} minutes ahead of the log"
        yield Check("clocks", Status.FAIL, text, "set the producer's clock, or name its time zone")
    elif middle < -60_000 and spread < 60_000:
        hours = -middle / _HOUR_MS
        if abs(hours - round(hours * 2) / 2) < 0.02:
            text = f"events lie {hours:g} hours behind the log, all alike: a time zone?"
            advice = "write times with their zone; Z means UTC"
            yield Check("clocks", Status.WARN, text, advice)


# --- repeats ----------------------------------------------------------------------------------


def _repeats(records: Sequence[TopicRecord]) -> Iterator[Check]:
    """Ids that come twice, with the same content and with another one."""
    seen: dict[tuple[str, str], bytes] = {}
    same = other = 0
    example = ""
    for record in records:
        value = _object(record.value or b"")
        if value is None or not isinstance(value.get("event_id"), str):
            continue
        name = (str(value.get("source", "")), value["event_id"])
        content = msgspec.json.encode(
            {key: each for key, each in value.items() if key != "occurred_at"}, order="sorted"
        )
        before = seen.setdefault(name, content)
        if before is not content:
            same += before == content
            if before != content:
                other, example = other + 1, value["event_id"]
    if other:
        text = f"{number(other)} ids are of two different events, as {example!r}"
        yield Check("ids", Status.FAIL, text, "give each event an event_id of its own")
    if same:
        yield Check("ids", Status.OK, f"{number(same)} events came again: each counts once")
    if seen and not same and not other:
        yield Check("ids", Status.OK, f"{number(len(seen))}, each once")


# --- values -----------------------------------------------------------------------------------


def _object(value: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _objects(records: Sequence[TopicRecord]) -> Iterator[dict[str, Any]]:
    for record in records:
        if record.value and (found := _object(record.value)) is not None:
            yield found


def _kind_of(record: TopicRecord) -> str:
    value = _object(record.value or b"")
    return "" if value is None else str(value.get("kind", ""))


def _sku_of(record: TopicRecord) -> str | None:
    value = _object(record.value or b"") or {}
    found = next((value[name] for name in _SKU_NAMES if isinstance(value.get(name), str)), None)
    return None if found is None else str(found)


def _leaves(values: Values) -> Iterator[tuple[str, Any]]:
    """Yield each plain value with its path, lists and objects gone through."""
    for value in values:
        yield from _leaves_of(value, "", 0)


def _leaves_of(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > 6:
        return
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _leaves_of(each, f"{path}.{name}" if path else str(name), depth + 1)
    elif isinstance(value, list):
        for each in value[:20]:
            yield from _leaves_of(each, path, depth + 1)
    else:
        yield path, value
