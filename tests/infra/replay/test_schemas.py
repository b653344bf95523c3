"""Adapters turn lines of a schema into records, and say which line is wrong and why."""

import base64
import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.replay.faults import LineError, Record, SourceError, occurred_ms
from infra.replay.schemas import adapt
from infra.replay.uci_schema import UciRules
from streams.contracts.events import TOPICS

SAMPLE = Path(__file__).parents[4] / "shared/data/uci_sample_2011_autumn_300skus.jsonl.gz"
AT = "2011-01-04T10:00:00Z"
AT_MS = 1_294_135_200_000
CONTRACTS: dict[str, msgspec.json.Decoder[Any]] = {
    topic: msgspec.json.Decoder(reduce(or_, kinds)) for topic, kinds in TOPICS.items()
}


def uci_line(**fields: Any) -> bytes:
    line = {
        "type": "order",
        "event_id": "e-1",
        "sku": "85123A",
        "quantity": 6,
        "occurred_at": AT,
        "order_id": "536365",
        "price": 2.5,
    }
    line |= fields
    return json.dumps({name: value for name, value in line.items() if value is not None}).encode()


def adapt_uci(*lines: bytes, assume: bool = False) -> list[Record]:
    return list(adapt(lines, schema="uci", uci=UciRules(assume=assume)))


def event_of(record: Record) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(record.value)
    return event


def assert_keeps_contract(record: Record) -> None:
    """The record is an event of its topic, is keyed by its SKU, and names its kind first."""
    event = CONTRACTS[record.topic].decode(record.value)
    assert record.key == event.sku.encode()
    assert record.value.startswith(b'{"kind":"')


@pytest.mark.parametrize(
    ("line", "topic", "expected"),
    [
        (
            uci_line(),
            "orders",
            {
                "kind": "placed",
                "order_id": "536365",
                "quantity": 6,
                "price": 2.5,
                "currency": "GBP",
            },
        ),
        (
            uci_line(kind="cancellation", quantity=-6, order_id="C536365"),
            "orders",
            {
                "kind": "cancelled",
                "order_id": "C536365",
                "quantity": 6,
                "price": 2.5,
                "currency": "GBP",
            },
        ),
        (
            uci_line(type="shipment", kind="outbound", price=None),
            "shipments",
            {"kind": "dispatched", "order_id": "536365", "quantity": 6},
        ),
        (
            uci_line(type="shipment", kind="inbound", order_id=None, price=None),
            "shipments",
            {"kind": "received", "po_id": "e-1", "supplier": "lean", "quantity": 6},
        ),
        (
            uci_line(type="stock", kind="adjustment", quantity=-33, reason="crushed"),
            "stock",
            {"kind": "adjusted", "change": -33, "reason": "crushed"},
        ),
        (
            uci_line(type="stock", kind="level", quantity=0),
            "stock",
            {"kind": "counted", "level": 0},
        ),
    ],
    ids=["order", "cancellation", "outbound", "inbound", "adjustment", "level"],
)
def test_each_kind_of_uci_line_has_its_event(
    line: bytes, topic: str, expected: dict[str, Any]
) -> None:
    """A line becomes one event of the documented kind that keeps id, time and SKU."""
    (record,) = adapt_uci(line)
    assert record.topic == topic
    assert record.occurred_ms == AT_MS
    assert event_of(record) == expected | {"event_id": "e-1", "occurred_at": AT, "sku": "85123A"}
    assert_keeps_contract(record)


def test_first_line_of_a_sku_brings_master_data_and_a_count() -> None:
    """What the shop lacks is made up once a SKU, at its first line, in the published ratios."""
    catalog, count, first, second = adapt_uci(
        uci_line(), uci_line(event_id="e-2", price=99.0), assume=True
    )
    item = event_of(catalog)
    assert (item["event_id"], item["occurred_at"]) == ("assumed-catalog-85123A", AT)
    assert item["unit_cost_lean"] == 1.25
    assert item["unit_cost_flexible"] == pytest.approx(1.3 * 1.25)
    assert item["setup_cost_lean"] == 10 * item["setup_cost_flexible"]
    assert item["review_period_days"] == 9
    assert event_of(count)["event_id"] == "assumed-count-85123A"
    assert event_of(count)["level"] == 60
    assert [event_of(record)["event_id"] for record in (first, second)] == ["e-1", "e-2"]
    for record in (catalog, count, first, second):
        assert_keeps_contract(record)


def test_assumptions_see_nothing_of_later_lines() -> None:
    """Made-up events are the same whatever follows the first line."""
    alone = adapt_uci(uci_line(), assume=True)
    followed = adapt_uci(uci_line(), uci_line(event_id="e-2", quantity=900), assume=True)
    assert followed[: len(alone)] == alone


def test_a_first_level_is_not_counted_twice() -> None:
    """A SKU that starts with a real stock level gets no made-up one."""
    line = uci_line(type="stock", kind="level", quantity=17, order_id=None, price=None)
    kinds = [event_of(record)["kind"] for record in adapt_uci(line, assume=True)]
    assert kinds == ["item", "counted"]


def test_review_period_is_a_choice() -> None:
    """The made-up master data has the review period that was asked for."""
    rules = UciRules(review_period_days=1.0)
    catalog = next(adapt([uci_line()], schema="uci", uci=rules))
    assert event_of(catalog)["review_period_days"] == 1.0
    with pytest.raises(ValueError, match="review_period_days must be"):
        UciRules(review_period_days=0)


@pytest.mark.slow
@given(
    sku=st.text(min_size=1, max_size=40),
    quantity=st.integers(1, 1_000_000),
    price=st.one_of(st.none(), st.floats(0, 1e6)),
)
def test_any_sku_keeps_its_text(sku: str, quantity: int, price: float | None) -> None:
    """Leading zeros, spaces, quotes and any other text of a SKU arrive unchanged, also as key."""
    for record in adapt_uci(uci_line(sku=sku, quantity=quantity, price=price), assume=True):
        assert event_of(record)["sku"] == sku
        assert_keeps_contract(record)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"type":"order"', "the line must be a JSON object"),
        (b"\xff\xfe", "the line must be a JSON object"),
        (b"[1]", "the line must be a JSON object, got [1]"),
        (uci_line(sku=None), "sku must be present, got nothing"),
        (uci_line(sku=""), "sku must be str of length >= 1, got ''"),
        (uci_line(quantity="six"), "quantity must be int, got 'six'"),
        (uci_line(quantity=-6), "quantity must be from 1 to 1000000, got -6"),
        (uci_line(quantity=0), "quantity must be from 1 to 1000000, got 0"),
        (uci_line(quantity=6, kind="cancellation"), "quantity must be from -1000000 to -1"),
        (uci_line(type="stock", kind="level", quantity=-1), "quantity must be >= 0"),
        (uci_line(type="stock"), "kind must be one that type stock knows, got None"),
        (uci_line(type="rumour"), "type must be a known value, got 'rumour'"),
        (uci_line(order_id=None), "order_id must be present, got nothing"),
        (uci_line(price=-1), "price must be float >= 0.0, got -1"),
        (uci_line(occurred_at="2011-01-04T10:00:00"), "occurred_at must be RFC 3339 with a zone"),
        (uci_line(occurred_at="2011-02-30T10:00:00Z"), "occurred_at must be a date and time"),
    ],
)
def test_a_bad_line_is_one_clear_error(line: bytes, message: str) -> None:
    """The error names the line, the field, the rule and the value."""
    with pytest.raises(LineError) as caught:
        adapt_uci(uci_line(), b"\n", line)
    assert str(caught.value).startswith("line 3: " + message)
    assert caught.value.line_number == 3


def test_bad_lines_can_be_left_out() -> None:
    """With `on_bad` the other lines go on, and each bad one is reported."""
    errors: list[LineError] = []
    lines = [uci_line(), b"nonsense", uci_line(event_id="e-2"), uci_line(quantity=0)]
    rules = UciRules(assume=False)
    records = list(adapt(lines, schema="uci", uci=rules, on_bad=errors.append))
    assert [event_of(record)["event_id"] for record in records] == ["e-1", "e-2"]
    assert [error.line_number for error in errors] == [2, 4]


def test_an_unknown_schema_is_refused_at_once() -> None:
    """The schema is checked before the first line is read."""
    with pytest.raises(SourceError, match="schema must be one of tidegate, uci, got 'erp'"):
        adapt([], schema="erp")


TIDEGATE_LINE = (
    b'{"topic":"orders","kind":"placed","event_id":"e-1","occurred_at":"2011-01-04T10:00:00Z",'
    b'"sku":"lamp","order_id":"o-1","quantity":2,"note":"\xc3\xa4"}\n'
)


def test_a_tidegate_line_goes_out_verbatim() -> None:
    """The event keeps all its fields, also those that Tidegate does not know."""
    (record,) = adapt([TIDEGATE_LINE], schema="tidegate")
    assert record == Record(
        "orders",
        b"lamp",
        TIDEGATE_LINE.rstrip().replace(b'"topic":"orders",', b""),
        AT_MS,
    )
    assert_keeps_contract(record)


@given(st.permutations(list(json.loads(TIDEGATE_LINE).items())))
def test_the_order_of_fields_does_not_matter(fields: list[tuple[str, Any]]) -> None:
    """Wherever topic and kind stand in the line, the event is the same and has its kind first."""
    (record,) = adapt([json.dumps(dict(fields)).encode()], schema="tidegate")
    (plain,) = adapt([TIDEGATE_LINE], schema="tidegate")
    assert event_of(record) == event_of(plain)
    assert record._replace(value=b"") == plain._replace(value=b"")
    assert_keeps_contract(record)


def test_heartbeats_of_a_file_are_left_out() -> None:
    """Replay writes its own heartbeats."""
    line = b'{"topic":"orders","kind":"heartbeat","occurred_at":5}'
    assert list(adapt([line], schema="tidegate")) == []


@given(st.binary(max_size=60))
def test_a_bad_record_is_carried_byte_for_byte(value: bytes) -> None:
    """A deliberately bad record arrives as it was meant, at its place in time, under its key."""
    line = {"topic": "stock", "key": "lamp", "occurred_at": AT}
    line["raw_base64"] = base64.b64encode(value).decode()
    (record,) = adapt([json.dumps(line).encode()], schema="tidegate")
    assert record == Record("stock", b"lamp", value, AT_MS)


def test_a_bad_record_may_be_text() -> None:
    """Text needs no encoding in the file."""
    line = b'{"topic":"stock","key":"lamp","occurred_at":1700000000007,"raw":"not JSON"}'
    expected = Record("stock", b"lamp", b"not JSON", 1_700_000_000_007)
    assert list(adapt([line], schema="tidegate")) == [expected]


NOW = 1_772_900_000_000
TIMES = [
    ("time_in_seconds", NOW // 1000),
    ("time_in_microseconds", NOW * 1000),
    ("time_in_nanoseconds", NOW * 1_000_000),
    ("time_out_of_range", "2205-03-05T09:00:00Z"),
    ("time_out_of_range", "1970-01-21T12:28:20Z"),
    ("time_out_of_range", 10**20),
    ("time_out_of_range", -1),
    ("time_out_of_range", 0),
    ("far_future", NOW + 1),
    ("far_future", "2031-01-01T00:00:00Z"),
    ("bad_timestamp", "yesterday"),
    ("bad_timestamp", "2026-02-30T00:00:00Z"),
]


@pytest.mark.parametrize("schema", ["tidegate", "uci"])
def test_a_time_that_cannot_be_costs_its_own_line(schema: str) -> None:
    """Each has its code and names its line; none moves the clock, and every other line is there."""
    lines: list[bytes] = []
    for _, at in [*TIMES, ("", NOW)]:
        line = json.loads(uci_line() if schema == "uci" else TIDEGATE_LINE)
        for each in (NOW - 5, at):
            lines.append(json.dumps({**line, "occurred_at": each}).encode())
    found: list[LineError] = []
    uci = UciRules(assume=False)
    records = list(adapt(lines, schema=schema, uci=uci, on_bad=found.append, latest_ms=NOW))
    assert [(error.code, error.line_number) for error in found] == [
        (code, 2 * place + 2) for place, (code, _) in enumerate(TIMES)
    ]
    assert {record.occurred_ms for record in records} == {NOW - 5, NOW}
    assert len(records) == len(TIMES) + 2
    assert all("occurred_at must be" in str(error) for error in found)
    assert "looks like microseconds: 2026-03-07T16:13:20Z" in str(found[1])


def test_a_detail_that_cannot_be_is_a_bad_line_too() -> None:
    """A promise in seconds is refused where the worker would refuse it."""
    line = json.dumps({**json.loads(TIDEGATE_LINE), "promised_by": NOW // 1000}).encode()
    with pytest.raises(LineError, match="promised_by must be in milliseconds") as caught:
        list(adapt([line], schema="tidegate"))
    assert caught.value.code == "time_in_seconds"


def test_a_whole_number_with_a_point_is_an_integer() -> None:
    """The contract's JSON Schema allows `2.0`, and so does the adapter."""
    line = TIDEGATE_LINE.replace(b":2", b":2.0")
    assert b":2.0" in line
    assert len(list(adapt([line], schema="tidegate"))) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"kind":"placed"}', "topic must be present"),
        (b'{"topic":"ordres","kind":"placed"}', "topic must be one of catalog, campaigns, orders"),
        (b'{"topic":"orders","event_id":"e"}', "kind must be present"),
        (b'{"topic":"orders","kind":"plaecd"}', "kind must be a known value, got 'plaecd'"),
        (TIDEGATE_LINE.replace(b":2", b":-2"), "quantity must be int >= 1, got -2"),
        (b'{"topic":"stock","raw":"x"}', "key must be present"),
        (
            b'{"topic":"stock","key":"k","occurred_at":1,"raw_base64":"?"}',
            "raw_base64 must be base64, got '?'",
        ),
    ],
)
def test_a_bad_tidegate_line_is_one_clear_error(line: bytes, message: str) -> None:
    """A line that breaks its contract is refused unless it says that it is meant to be bad."""
    with pytest.raises(LineError) as caught:
        list(adapt([line], schema="tidegate"))
    assert str(caught.value).startswith("line 1: " + message)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)))
def test_times_are_whole_milliseconds(moment: datetime) -> None:
    """Text and number of a time agree; what is below a millisecond is cut off."""
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (
        datetime(1970, 1, 1, 0, 0, 0, 1000) - datetime(1970, 1, 1)
    )
    assert occurred_ms(moment.isoformat(timespec="microseconds")) == expected
    assert occurred_ms(expected) == expected


@pytest.mark.slow
def test_the_real_sample_is_taken_whole() -> None:
    """Every line of the real sample becomes an event that keeps its contract."""
    if not SAMPLE.exists():
        pytest.skip(f"real orders are not here: {SAMPLE.name}")
    with gzip.open(SAMPLE) as lines:
        records = list(adapt(lines, schema="uci"))
    topics = Counter(record.topic for record in records)
    assert topics["catalog"] == 300
    assert len(records) == 91_213 + 2 * 300
    assert len({record.value for record in records}) == len(records)
    for record in records[:: len(records) // 2_000]:
        assert_keeps_contract(record)


def test_bytes_in_a_name_that_nobody_asks_for_are_reported_by_line() -> None:
    """Fields that are passed over are not validated with the rest; coverage-guided fuzzing did."""
    good = {"topic": "orders", "kind": "placed", "event_id": "e1", "occurred_at": AT_MS}
    good |= {"sku": "lamp", "order_id": "o1", "quantity": 1, "colour": "red"}
    line = json.dumps(good).encode()
    errors: list[LineError] = []
    lines = [line.replace(b"colour", b"col\x85ur"), line]
    assert len(list(adapt(lines, schema="tidegate", on_bad=errors.append))) == 1
    (error,) = errors
    assert "line 1: the line must be a JSON object in UTF-8" in str(error)


@pytest.mark.parametrize(
    ("line", "looks"),
    [
        (b"Name,Email,Total\r\n", "looks like CSV: write each row as one JSON object"),
        (b"Artikelnummer;Preis\n", "looks like CSV"),
        (b"{\n", "looks like one JSON document over many lines: write one object a line (jq -c)"),
        (b"[\n", "looks like one JSON document over many lines"),
        (b'{"topic":"orders","kind":"pla\n', ""),
    ],
)
def test_file_of_another_form_is_refused_as_what_it_looks_like(line: bytes, looks: str) -> None:
    """A clerk's export is often CSV, or JSON made to be read; the line is shown as text."""
    errors: list[LineError] = []
    assert not list(adapt([line], schema="tidegate", on_bad=errors.append))
    (error,) = errors
    assert f"got {line.decode().rstrip()!r}" in str(error)
    assert looks in str(error)
    assert ("looks like" in str(error)) == bool(looks)


@pytest.mark.parametrize("schema", ["tidegate", "uci"])
def test_mark_of_byte_order_at_the_beginning_is_no_fault(schema: str) -> None:
    """Editors put it there; elsewhere it is one."""
    order = {"event_id": "e1", "occurred_at": AT_MS, "sku": "lamp", "order_id": "o1", "quantity": 1}
    kinds = {"tidegate": {"topic": "orders", "kind": "placed"}, "uci": {"type": "order"}}
    line = b"\xef\xbb\xbf" + json.dumps({**kinds[schema], **order}).encode()
    assert list(adapt([line], schema=schema))
    with pytest.raises(LineError, match="line 2"):
        list(adapt([line, line], schema=schema))
