"""There is a copy of every bad or late record, whatever it holds."""

from streams.ingest.chunks import values_of
from streams.ingest.dead_letters import side_exit_records
from streams.ingest.decode import Reject, RejectCode
from streams.ingest.transport import Chunk
from tests.streams.fakes import Sent, batch_bytes

SENT: list[Sent] = [
    (None, b"{", [("trace", None), ("", b""), ("trace", b"\xff")], 3),
    (b"\xff", None, [], 7),
    (b"", b"", [("kafka_dlt-original-offset", b"x" * 90)], 9),
]
REJECTS = [Reject(row, RejectCode.NOT_JSON, "no \ud800") for row in range(3)]


def chunk(raw: bytes | None = None, start: int = 40) -> Chunk:
    """The records above as one chunk."""
    raw = batch_bytes(SENT, start) if raw is None else raw
    return Chunk([value for _, value, _, _ in SENT], start, start + len(SENT), 5, raw)


def test_a_copy_is_the_record_and_the_reason():
    """Null keys, values and values of headers, odd names and times: the copy has them all."""
    copies = side_exit_records("orders", "p-orders", 2, [chunk()], REJECTS, [1])
    assert [copy.topic for copy in copies] == ["orders.dlt"] * 3 + ["orders.late"]
    for copy, (key, value, headers, at) in zip(copies, [*SENT, SENT[1]], strict=True):
        assert (copy.key, copy.value) == (key, value)
        assert copy.headers[: len(headers)] == headers
        own = dict(copy.headers)
        assert own["kafka_dlt-original-timestamp"] == at.to_bytes(8, "big")
        assert own["kafka_dlt-original-topic"] == b"p-orders"
    offsets = [dict(copy.headers)["kafka_dlt-original-offset"] for copy in copies]
    assert [int.from_bytes(offset or b"", "big") for offset in offsets] == [40, 41, 42, 41]


def test_a_fetch_that_cannot_be_read_again_is_copied_by_its_values(caplog):
    """The copy says that key and headers are missing; nothing is raised, nothing is left out."""
    part = [chunk(b"\x00" * 80), chunk(start=50)]
    copies = side_exit_records("orders", "orders", 0, part, REJECTS[:1], [5])
    assert [(copy.key, copy.value) for copy in copies] == [(None, b"{"), (None, b"")]
    assert values_of(part)[5] == b""
    for copy, offset in zip(copies, (40, 52), strict=True):
        headers = dict(copy.headers)
        assert b"could not be read" in (headers["kafka_dlt-exception-message"] or b"")
        assert headers["kafka_dlt-original-offset"] == offset.to_bytes(8, "big")
