"""Good records, and what can become of them on their way."""

import json
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from streams.contracts.events import TOPICS
from tests.oracle import DAY, HOUR, MINUTE
from tests.streams.logs import START_MS, Logs, build, random_steps

_STEPS = 400
_PASSED_MS = (0, 0, 1, 40, 300, 1_500)  # between two records
_AGES_MS = (*(0,) * 12, 200, 5_000, 40_000, 2 * HOUR, 30 * HOUR)  # when a record is written
_AWAY_MS = (*(-20_000, -3 * HOUR, -20 * DAY), *(5_000, 9 * MINUTE, 11 * MINUTE, 400 * DAY))
_KEPT = 200  # records that a producer may send again
_TEXTS = (
    "",
    "x" * 70_000,
    "\x00",
    "🪑",
    "\ud800",
    "-1",
    "NaN",
    "2024-02-30T00:00:00Z",
    "a@b",
    "null",
)
_NUMBERS = (0, -1, 1 << 31, 1 << 63, -(1 << 63), 1 << 64, 10**400, 1e308, -0.0, 0.1, True, None)
_BYTES = (b"\x00", b"\xff", b"\xed\xa0\x80", b"{", b"}", b'"', b"\\", b"[" * 2_000, b"\\u0000")


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it lies in its topic."""

    topic: str
    value: bytes | None
    written_ms: int


def good_records(seed: int) -> list[tuple[str, bytes | None]]:
    """Topic and value of records of every kind, most of them good."""
    logs: Logs = build(random_steps(seed, _STEPS))
    return [(topic, value) for topic, log in logs for value, _ in log]


def fuzzed_records(seed: int, count: int) -> Iterator[Record]:
    """Yield records as time passes: half are new and good, some come again, the rest are mutated.

    One in fifty lies in another topic.
    """
    chance = random.Random(seed)
    good = good_records(seed)
    topics = list(TOPICS)
    sent: deque[tuple[str, bytes | None]] = deque(maxlen=_KEPT)
    now_ms = START_MS
    for number in range(count):
        now_ms += chance.choice(_PASSED_MS)
        topic, value = chance.choice(good)
        value = _happening(value, f"f{number}", now_ms - chance.choice(_AGES_MS))
        if chance.random() < 0.4 and value:
            for _ in range(chance.choice([1, 1, 1, 2, 5])):
                value = chance.choice(_MUTATIONS)(chance, value)
        elif chance.random() < 0.1 and sent:
            topic, value = chance.choice(sent)
        sent.append((topic, value))
        yield Record(chance.choice(topics) if chance.random() < 0.02 else topic, value, now_ms)


def _happening(value: bytes | None, event_id: str, at_ms: int) -> bytes | None:
    """The same event, but another one, and at that time; bad records stay as they are."""
    try:
        record = json.loads(value or b"")
    except ValueError:
        return value
    if not isinstance(record, dict) or "occurred_at" not in record:
        return value
    record["occurred_at"] = at_ms
    if "event_id" in record:
        record["event_id"] = event_id
    return json.dumps(record, ensure_ascii=False).encode()


def _flip(chance: random.Random, value: bytes) -> bytes:
    at = chance.randrange(len(value) + 1)
    return value[:at] + bytes([chance.randrange(256)]) + value[at + 1 :]


def _cut(chance: random.Random, value: bytes) -> bytes:
    return value[: chance.randrange(len(value) + 1)]


def _insert(chance: random.Random, value: bytes) -> bytes:
    at = chance.randrange(len(value) + 1)
    return value[:at] + chance.choice(_BYTES) + value[at:]


def _double(chance: random.Random, value: bytes) -> bytes:
    start, stop = sorted(chance.randrange(len(value) + 1) for _ in range(2))
    return value[:stop] + value[start:]


def _with_fields(change: Callable[[random.Random, dict[str, object]], None]) -> "Mutation":
    def mutate(chance: random.Random, value: bytes) -> bytes:
        try:
            record = json.loads(value)
        except (ValueError, RecursionError):
            return value
        if isinstance(record, dict) and record:
            change(chance, record)
            return json.dumps(record, ensure_ascii=chance.random() < 0.5).encode(
                "utf-8", "surrogatepass"
            )
        return value

    return mutate


def _set_field(chance: random.Random, record: dict[str, object]) -> None:
    record[chance.choice(list(record))] = chance.choice([*_TEXTS, *_NUMBERS, [], {}, [[]]])


def _move_time(chance: random.Random, record: dict[str, object]) -> None:
    at_ms = record.get("occurred_at")
    if isinstance(at_ms, int):
        record["occurred_at"] = at_ms + chance.choice(_AWAY_MS)


def _drop_field(chance: random.Random, record: dict[str, object]) -> None:
    del record[chance.choice(list(record))]


def _add_field(chance: random.Random, record: dict[str, object]) -> None:
    record[chance.choice(["kind", "extra", "sku ", "warehouse", "source"])] = chance.choice(_TEXTS)


Mutation = Callable[[random.Random, bytes], bytes]

_MUTATIONS: tuple[Mutation, ...] = (
    *(_flip, _cut, _insert, _double),
    *map(_with_fields, (_set_field, _set_field, _move_time, _drop_field, _add_field)),
)
