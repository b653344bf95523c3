"""What of the outgoing records is kept in Redis for people: open incidents, newest bad records.

It is written in the commit that stores the records themselves, so that Redis and topics agree.
Nothing reads it back into a shard, and writing it twice changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from streams.contracts.outgoing import OutboxRecord

DEAD_LETTERS_KEPT = 100
"""Of each partition; and as many of those that came too late, so that neither displaces the other.
"""

_VALUE_SHOWN_BYTES = 300
_INTEGER_BYTES = 8
_FIRST_PLACES = {".dlt": 0, ".late": DEAD_LETTERS_KEPT}  # by what a topic's name ends in


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A record that nobody could use, as people see it."""

    number: int  # grows with time, within a partition
    topic: str  # where it came from
    partition: int
    offset: int
    written_ms: int  # when it was written to Kafka; 0: not known
    code: str
    message: str
    key: str | None
    value: str | None  # its beginning


@dataclass(slots=True)
class Projection:
    """What a commit changes."""

    incidents: dict[str, bytes | None] = field(default_factory=dict)  # None means resolved
    dead_letters: dict[int, bytes] = field(default_factory=dict)  # by place, late ones behind


def project(records: Iterable[tuple[int, OutboxRecord]]) -> Projection:
    """Return what newly stored outbox records, under their numbers, mean for people."""
    found = Projection()
    for number, outgoing in records:
        if (step := outgoing.incident) is not None:
            found.incidents[step.incident_id] = None if step.is_over else outgoing.value
            continue
        origin, dot, suffix = outgoing.topic.rpartition(".")
        first = _FIRST_PLACES.get(dot + suffix)
        if first is not None:
            letter = msgspec.json.encode(_dead_letter(number, origin, outgoing))
            found.dead_letters[first + number % DEAD_LETTERS_KEPT] = letter
    return found


def _dead_letter(number: int, origin: str, outgoing: OutboxRecord) -> DeadLetter:
    headers = dict(outgoing.headers)  # the last of a name: ours, whatever a producer wrote before
    return DeadLetter(
        number=number,
        topic=origin,
        partition=_integer(headers.get("kafka_dlt-original-partition")),
        offset=_integer(headers.get("kafka_dlt-original-offset")),
        written_ms=_integer(headers.get("kafka_dlt-original-timestamp")),
        code=_text(headers.get("tidegate-error-code")) or "none",
        message=_text(headers.get("kafka_dlt-exception-message")) or "",
        key=_text(outgoing.key),
        value=_text(outgoing.value),
    )


def _integer(data: bytes | None) -> int:
    return int.from_bytes((data or b"")[:_INTEGER_BYTES], "big", signed=True)


def _text(data: bytes | None) -> str | None:
    return None if data is None else data[:_VALUE_SHOWN_BYTES].decode("utf-8", "backslashreplace")
