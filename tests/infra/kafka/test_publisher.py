"""Whatever Kafka takes as a record comes through all the places that keep, show or write it."""

import asyncio
import struct
from typing import Any

import msgspec
import pytest
from aiokafka.errors import MessageSizeTooLargeError, UnknownError
from aiokafka.record.util import calc_crc32c
from hypothesis import example, given, settings
from hypothesis import strategies as st

from infra.cli import dlt
from infra.cli.terminal.bad_records import newest_table, print_record, record_values
from infra.cli.terminal.output import make_console
from infra.kafka.publisher import Publisher
from infra.kafka.topic_reader import TopicRecord
from infra.page.contracts import PageQuery
from infra.page.views.dead_letters import dead_letters
from infra.redis.codec import encode_outbox_record, readable_outbox
from infra.redis.projection import DeadLetter, project
from streams.contracts.outgoing import OutboxRecord
from streams.ingest.dead_letters import side_exit_records
from streams.ingest.decode import Reject, RejectCode
from streams.ingest.record_batches import RawRecord, RecordBatches
from streams.ingest.transport import Chunk
from tests.streams.fakes import Sent, batch_bytes

TOP = (1 << 63) - 1
_PLACE = "#%05d#"  # stands for a name until its bytes are put there


class Broker:
    """A producer that builds real record batches, as small as a broker allows."""

    def __init__(self, most_bytes: int = 1_048_576, *, wants_keys: bool = False) -> None:
        self.most_bytes = most_bytes
        self.wants_keys = wants_keys
        self.written: list[tuple[str, RawRecord]] = []

    def __call__(self, **options: Any) -> "Broker":
        """Stand for the class of the client."""
        return self

    async def send(self, topic: str, value=None, key=None, headers=()) -> asyncio.Future[None]:
        """Take a record, or refuse it as aiokafka and a broker do."""
        assert value is not None or key is not None
        raw = batch_bytes([(key, value, list(headers), 0)], len(self.written))
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if len(raw) > 2_097_152:
            raise MessageSizeTooLargeError
        if len(raw) > self.most_bytes:
            answer.set_exception(MessageSizeTooLargeError())
        elif self.wants_keys and key is None:
            answer.set_exception(UnknownError())
        else:
            (record,) = RecordBatches(raw).next_batch()
            self.written.append((topic, RawRecord.of(record)))
            answer.set_result(None)
        return answer

    async def flush(self) -> None:
        """All is there."""


def chunk_of_any(sent: list[tuple[bytes | None, bytes | None, list[Any], int]]) -> Chunk:
    """A record batch with these records, whose headers may have any bytes as names."""
    names: list[bytes] = []
    plain: list[Sent] = []
    for key, value, headers, at in sent:
        pairs = []
        for name, content in headers:
            pairs.append((_PLACE % len(names), content))
            names.append(name)
        plain.append((key, value, pairs, at))
    raw = batch_bytes(plain, 0)
    for place, name in enumerate(names):  # as long as what stands there: sizes stay
        raw = raw.replace((_PLACE % place).encode(), name)
    raw = bytearray(raw)
    raw[17:21] = struct.pack(">I", calc_crc32c(bytes(raw[21:])))
    return Chunk([value for _, value, _, _ in sent], 0, len(sent), 0, bytes(raw))


BYTES = st.none() | st.binary(max_size=40) | st.builds(bytes, st.sampled_from([300, 9_000]))
NAMES = st.binary(min_size=7, max_size=7)
RECORDS = st.tuples(
    BYTES,
    BYTES | st.sampled_from([b"{", b'{"kind":"placed"}']),
    st.lists(st.tuples(NAMES, BYTES), max_size=4),
    st.integers(-1 << 40, 1 << 50) | st.sampled_from([-1, 0, TOP >> 8]),
)


@pytest.mark.slow
@settings(max_examples=25)
@given(sent=st.lists(RECORDS, min_size=1, max_size=4), code=st.sampled_from(list(RejectCode)))
@example([(None, None, [(b"\xff" * 7, None)], -1)], RejectCode.EMPTY)
@example([(b"\x00" * 1_040_000, None, [], 0)], RejectCode.EMPTY)
@example([(None, b"\x00" * 1_040_000, [], 0)], RejectCode.OVERSIZED)
@example([(b"k", b"v", [(b"\x1b[2J\xff\xff\xff", b"\x00" * 1_040_000)], 0)], RejectCode.EMPTY)
@example([(b"k", b"v", [(b"\xc3\xa4" * 3 + b"a", b"")] * 4, TOP >> 8)], RejectCode.WRONG_TYPE)
def test_any_record_is_kept_shown_and_published(sent, code):
    """Outbox, Redis, page, Kafka and `tidegate dlt`: each takes the copy of any bad record."""
    part = [chunk_of_any(sent)]
    rejects = [Reject(row, code, "why") for row in range(len(sent))]
    copies = side_exit_records("orders", "orders", 3, part, rejects, range(len(sent)))
    assert [(copy.key, copy.value) for copy in copies] == [record[:2] for record in sent] * 2

    stored = {str(n).encode(): encode_outbox_record(copy) for n, copy in enumerate(copies)}
    read, unreadable = readable_outbox(stored)
    assert not unreadable
    assert list(read.values()) == copies
    require_shown(list(read.items()), len(sent))
    for topic, written in publish(list(read.values())):
        require_command(topic, written)


def require_shown(numbered: list[tuple[int, OutboxRecord]], bad: int) -> None:
    """Fail unless Redis and the page take what people see of the records."""
    kept = [
        msgspec.json.decode(one, type=DeadLetter) for one in project(numbered).dead_letters.values()
    ]
    assert len(kept) >= bad
    shown = dead_letters(_Snapshot(kept), PageQuery())  # type: ignore[arg-type]
    assert len(msgspec.json.encode(shown)) > 0


class _Snapshot:
    def __init__(self, kept: list[DeadLetter]) -> None:
        self.dead_letters = kept
        self.shards: list[Any] = []


def publish(
    records: list[OutboxRecord], broker: Broker | None = None
) -> list[tuple[str, RawRecord]]:
    """Let the publisher write records; return what a broker has then."""
    broker = broker or Broker()

    async def write() -> None:
        await Publisher({}, "", broker).publish(records)

    asyncio.run(write())
    assert len(broker.written) == len(records)
    return broker.written


def require_command(topic: str, written: RawRecord) -> None:
    """Fail unless `tidegate dlt` can list, show and send back a record."""
    record = TopicRecord(
        topic, 0, 7, written.timestamp_ms, written.key, written.value, written.headers
    )
    console = make_console()
    with console.capture() as captured:
        console.print(newest_table([record]))
        if len(written.value or b"") < 20_000:  # a terminal takes seconds for more
            print_record(console, record)
    assert "\x1b[2J" not in captured.get()
    assert msgspec.json.decode(msgspec.json.encode(record_values(record)))["code"]
    back = dlt.headers_back(record)
    batch_bytes([(record.key, record.value, back, 0)], 0)


def copy_of(value: bytes, key: bytes | None = b"k", topic: str = "orders.dlt") -> OutboxRecord:
    """A copy of a bad record."""
    headers = [("foreign", b"f" * 300), ("tidegate-error-code", b"empty")]
    return OutboxRecord(topic, key, value, headers)


def test_what_a_broker_refuses_for_its_size_leaves_with_its_reason_alone():
    """A broker with a small limit: the others of the batch are written, the large one is cut."""
    broker = Broker(most_bytes=400)
    small = OutboxRecord("orders.dlt", b"k", b"v", [("tidegate-error-code", b"empty")])
    publish([small, copy_of(b"v" * 90), small], broker)
    assert [record.value for _, record in broker.written] == [b"v", b"v", None]
    assert dict(broker.written[2][1].headers)["tidegate-value-dropped"] == b"90"
    assert dict(broker.written[2][1].headers)["tidegate-error-code"] == b"empty"


def test_a_compacted_side_exit_takes_records_without_a_key():
    """Where somebody compacts the dead letters, Kafka refuses a null key: the reason still goes."""
    broker = Broker(wants_keys=True)
    publish([copy_of(b"v", None)], broker)
    assert broker.written[0][1].key == b""


def test_a_copy_that_is_always_refused_does_not_stop_the_others(caplog):
    """It is left out and logged; nothing behind it waits for ever."""
    broker = Broker(most_bytes=100)

    async def write() -> None:
        await Publisher({}, "", broker).publish(
            [copy_of(b"v"), OutboxRecord("a.late", b"", b"", [])]
        )

    asyncio.run(write())
    assert [topic for topic, _ in broker.written] == ["a.late"]
    assert "left out" in caplog.text


def test_an_order_that_is_refused_is_not_forgotten():
    """A purchase order is no copy: the publisher fails, and it is tried again."""
    with pytest.raises(MessageSizeTooLargeError):
        publish([copy_of(b"v" * 500, topic="purchase-orders")], Broker(most_bytes=400))
