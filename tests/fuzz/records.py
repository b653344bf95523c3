"""Good records, and what can become of them on their way."""

import json
import random
from collections.abc import Callable, Iterator

from streams.events import TOPICS
from tests.streams.logs import START_MS, Logs, build, random_steps

_STEPS = 400
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

Record = tuple[str, bytes | None]  # topic, value


def good_records(seed: int) -> list[Record]:
    """Records of every kind, most of them good."""
    logs: Logs = build(random_steps(seed, _STEPS))
    return [(topic, value) for topic, log in logs for value, _ in log]


def fuzzed_records(seed: int, count: int) -> Iterator[Record]:
    """Yield mutated records; one in ten is as it was, one in ten lies in another topic."""
    chance = random.Random(seed)
    good = good_records(seed)
    topics = list(TOPICS)
    for _ in range(count):
        topic, value = chance.choice(good)
        if chance.random() < 0.9 and value:
            for _ in range(chance.choice([1, 1, 1, 2, 5])):
                value = chance.choice(_MUTATIONS)(chance, value)
        yield (chance.choice(topics) if chance.random() < 0.1 else topic), value


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
    record["occurred_at"] = START_MS + chance.randrange(-(10**9), 10**9)


def _drop_field(chance: random.Random, record: dict[str, object]) -> None:
    del record[chance.choice(list(record))]


def _add_field(chance: random.Random, record: dict[str, object]) -> None:
    record[chance.choice(["kind", "extra", "sku ", "warehouse", "source"])] = chance.choice(_TEXTS)


Mutation = Callable[[random.Random, bytes], bytes]

_MUTATIONS: tuple[Mutation, ...] = (
    *(_flip, _cut, _insert, _double),
    *map(_with_fields, (_set_field, _set_field, _move_time, _drop_field, _add_field)),
)
