"""The pump: messages that lie in Kafka -> events in the input topics -> what is known, kept.

A batch of messages is read by the connectors, and its events are written. Only when Kafka has them
is written what is now known of their lines, and after that how far each log was read. A crash in
between reads some messages again: by what was known before them, so they give the same events; or
by what is known after them, so they give none, and their events are there.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from infra.connect.shops.connectors import Connector, Outcome
from infra.connect.shops.payloads import About
from infra.receiver.config import Source
from infra.receiver.measures import Measures
from infra.receiver.topics import RAW, REFUSED, STATE, Position, Standing, key_of, read_state
from infra.settings import SettingsError

_AT_ONCE = 500
_POLL_MS = 200
_RETRY_SECONDS = 0.5
_DAY_MS = 86_400_000
_REASON_CHARACTERS = 300
_FRAMES = (b"\x00", b"\x01")
_log = logging.getLogger("tidegate.connect")


@dataclass
class _Made:
    """What a batch of messages comes to."""

    events: list[tuple[str, bytes, bytes]] = field(default_factory=list)  # topic, key, value
    refused: list[tuple[ConsumerRecord, str, str]] = field(default_factory=list)
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)


class Pump:
    """Reads the messages of all sources.

    Args:
        sources: what they are.
        consumer: in no group, read committed, started.
        producer: started.
        prefix: in front of the names of Tidegate's topics.
        measures: what is counted.
        partitions: how many each topic of the broker has.
        memory_days: a line of which nothing comes for so long is forgotten.
        clock: wall-clock seconds; only for what is forgotten.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        prefix: str,
        measures: Measures,
        *,
        partitions: Mapping[str, int],
        memory_days: float = 90.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._connectors: dict[str, Connector] = {one.name: one.connector() for one in sources}
        self._by_topic = {one.topic: one for one in sources if one.topic}
        self._consumer = consumer
        self._producer = producer
        self._prefix = prefix
        self._partitions = partitions
        self._measures = measures
        self._memory_ms = int(memory_days * _DAY_MS)
        self._clock = clock
        self._forgotten_on = 0
        self._positions: dict[TopicPartition, int] = {}
        self.standings = {one.name: Standing(kind=one.kind) for one in sources}
        self.is_ready = False

    async def run(self) -> None:
        """Read back what is known, then read on until cancelled.

        Raises:
            SettingsError: a topic is not there.
        """
        await self._restore()
        await self._assign()
        self.is_ready = True
        while True:
            batch = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_AT_ONCE)
            if batch:
                await self._take(batch)
            self._measures.waiting.set(self._waiting())
            await self._forget()

    async def _restore(self) -> None:
        kept: dict[tuple[str, ...], bytes] = {}
        async for key, kept_value in read_state(self._consumer, self._prefix):
            kept.pop(tuple(key), None)
            if kept_value is not None:
                kept[tuple(key)] = kept_value
        for names, value in kept.items():
            kind, rest = names[0], names[1:]
            if kind == "position":
                position = msgspec.json.decode(value, type=Position)
                self._positions[TopicPartition(rest[0], int(rest[1]))] = position.next_offset
            elif kind == "standing" and rest[0] in self.standings:
                self.standings[rest[0]] = msgspec.json.decode(value, type=Standing)
            elif kind == "known" and rest[0] in self._connectors:
                self._connectors[rest[0]].restore(rest[1:], value)
        for name, connector in self._connectors.items():
            self._measures.lines.labels(name).set(len(connector))
            self._measures.last.labels(name).set(self.standings[name].last_ms / 1000)
        _log.info("%d order lines are known", sum(map(len, self._connectors.values())))

    async def _assign(self) -> None:
        """Read on where each log is not known yet."""
        raw = TopicPartition(self._prefix + RAW, 0)
        places = {raw: "earliest"}
        for topic, source in self._by_topic.items():
            if not (count := self._partitions.get(topic, 0)):
                rule = "a topic that is there"
                raise SettingsError(
                    f"topic of source {source.name!r} must be {rule}, got {topic!r}"
                )
            places |= {TopicPartition(topic, one): source.begin for one in range(count)}
        self._consumer.assign(list(places))
        begins = await self._consumer.beginning_offsets(list(places))
        ends = await self._consumer.end_offsets(list(places))
        for place, begin in places.items():
            known = self._positions.get(place)
            first = begins[place] if begin == "earliest" else ends[place]
            if known is not None and not begins[place] <= known <= ends[place]:
                _log.error(
                    "%s/%d was known up to offset %d and holds %d to %d: read from %d on",
                    *(place.topic, place.partition, known, begins[place], ends[place]),
                    begins[place],
                )
                first, known = begins[place], None
            self._consumer.seek(place, first if known is None else known)
            self._positions[place] = first if known is None else known

    def _waiting(self) -> int:
        """How many records lie behind what was read, as far as Kafka has said."""
        waiting = 0
        for place, position in self._positions.items():
            end = self._consumer.highwater(place)
            waiting += 0 if end is None else max(0, end - position)
        return waiting

    # -- one batch ----------------------------------------------------------------------------

    async def _take(self, batch: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        made = _Made()
        for place, records in batch.items():
            for record in records:
                self._read(record, made)
            made.positions[place] = records[-1].offset + 1
            await asyncio.sleep(0)  # webhooks are answered meanwhile
        await self._until_written(self._events(made))
        await self._until_written(self._known(made))
        positions = [
            (["position", place.topic, str(place.partition)], Position(offset))
            for place, offset in made.positions.items()
        ]
        await self._until_written([self._state(name, value) for name, value in positions])
        self._positions |= made.positions

    def _read(self, record: ConsumerRecord, made: _Made) -> None:
        """Let the source of a record say what it means."""
        headers = {name: value for name, value in record.headers if value is not None}
        source = self._by_topic.get(record.topic)
        name = headers.get("source", b"").decode() if source is None else source.name
        connector = self._connectors.get(name)
        if connector is None:
            made.refused.append((record, name, f"source {name!r} is not in the file any more"))
            return
        made.sources.add(name)
        outcome = _outcome(connector, record, headers)
        self._count(name, outcome, record.timestamp)
        made.events += [(one.topic, one.key, one.value) for one in outcome.records]
        if outcome.refused:
            fault = outcome.refused[0]
            reason = f"{fault['field']} must be {fault['rule']}, got {fault['value']!r}"
            made.refused.append((record, name, reason))
            standing = self.standings[name]
            standing.last_refusal = reason[:_REASON_CHARACTERS]
            _log.warning("%s: a message is refused: %s", name, standing.last_refusal)

    def _count(self, name: str, outcome: Outcome, written_ms: int) -> None:
        standing, measures = self.standings[name], self._measures
        standing.messages += 1
        standing.events += len(outcome.records)
        standing.refused += bool(outcome.refused)
        standing.last_ms = max(standing.last_ms, written_ms)
        measures.messages.labels(name).inc()
        measures.refused.labels(name).inc(bool(outcome.refused))
        measures.last.labels(name).set(standing.last_ms / 1000)
        for record in outcome.records:
            measures.events.labels(name, record.topic).inc()
        for left in outcome.left_out:
            measures.left_out.labels(name, left["why"].replace(" ", "_")[:40]).inc()
        for path in outcome.fetch:
            _log.warning("%s: GET %s has to be asked of the shop", name, path)

    # -- writing ------------------------------------------------------------------------------

    def _events(self, made: _Made) -> list[dict[str, Any]]:
        events = [
            {"topic": self._prefix + topic, "key": key, "value": value}
            for topic, key, value in made.events
        ]
        for record, name, reason in made.refused:
            headers = [
                *((header, value) for header, value in record.headers if value is not None),
                ("tidegate-source", name.encode()),
                ("tidegate-reason", reason[:_REASON_CHARACTERS].encode()),
            ]
            body = record.value or b""
            topic = self._prefix + REFUSED
            events.append({"topic": topic, "key": record.key, "value": body, "headers": headers})
        return events

    def _known(self, made: _Made) -> list[dict[str, Any]]:
        kept = []
        for source in sorted(made.sources):
            connector = self._connectors[source]
            changed = connector.take_changed()
            kept += [self._state(["known", source, *name], value) for name, value in changed]
            kept.append(self._state(["standing", source], self.standings[source]))
            self._measures.lines.labels(source).set(len(connector))
        return kept

    def _state(self, name: Sequence[str], value: Any) -> dict[str, Any]:
        """Return a record of the state; a value of None takes the name out."""
        topic = self._prefix + STATE
        written = None if value is None else msgspec.json.encode(value)
        return {"topic": topic, "key": key_of(name), "value": written, "partition": 0}

    async def _until_written(self, records: Sequence[dict[str, Any]]) -> None:
        """Write records until Kafka has all of them: again, they are the same."""
        while records:
            try:
                sent = [await self._producer.send(**record) for record in records]
                await asyncio.gather(*sent)
                return
            except KafkaError as error:
                _log.warning("Kafka does not take %d records: %s; again", len(records), error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _forget(self) -> None:
        """Once a day, forget lines of which nothing came for long."""
        now_ms = int(self._clock() * 1000)
        if now_ms // _DAY_MS == self._forgotten_on:
            return
        self._forgotten_on = now_ms // _DAY_MS
        for source, connector in self._connectors.items():
            old = connector.forget_before(now_ms - self._memory_ms)
            gone = [self._state(["known", source, *name], None) for name in old]
            await self._until_written(gone)
            self._measures.lines.labels(source).set(len(connector))


def _outcome(connector: Connector, record: ConsumerRecord, headers: Mapping[str, bytes]) -> Outcome:
    """Read one record; whatever it holds, the next one goes on."""
    value = record.value
    if value is not None and value[:1] in _FRAMES:
        return _refusal("JSON: it is framed by a schema registry, which is not read", value[:8])
    about = About(topic=headers.get("topic", b"").decode("utf-8", "replace"), key=_key(record.key))
    if value is None:
        return connector.take(None, about)
    if headers.get("form"):
        return connector.take(value.decode("utf-8", "replace"), about)
    try:
        payload = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _refusal(f"JSON: {error}", value[:80])
    return connector.take(payload, about)


def _refusal(rule: str, value: bytes) -> Outcome:
    shown = value.decode("utf-8", "replace")
    return Outcome(refused=[{"field": "the message", "rule": rule, "value": shown}])


def _key(key: bytes | None) -> Any:
    """Return a record's key as JSON has it, or as text."""
    if key is None:
        return None
    try:
        found = msgspec.json.decode(key)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return key.decode("utf-8", "replace")
    has_schema = isinstance(found, dict) and found.keys() == {"schema", "payload"}
    return found["payload"] if has_schema else found
