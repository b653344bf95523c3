"""Invariant 4: every record is accounted for, whatever its bytes; a bad one costs only itself."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contracts.events import TOPICS
from streams.ingest.decode import RejectCode, TopicDecoder
from streams.settings import DecodeLimits
from streams.shard.shard import Shard
from tests.streams.logs import (
    ITEMS,
    START_MS,
    build,
    catalog_line,
    event,
    heartbeat,
    random_steps,
)
from tests.streams.runs import CACHE, SETTINGS

LIMITS = DecodeLimits(record_bytes=600, future_ms=600_000)
GOOD = event("placed", "e1", START_MS, ITEMS[0], order_id="o1", quantity=2)
VALID = {topic: [value for value, _ in log if value] for topic, log in build(random_steps(5, 300))}


def placed(**changes: object) -> bytes:
    """An order line with some fields changed; `...` takes a field out."""
    fields = {**json.loads(GOOD), **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def codes(topic: str, *values: bytes | None) -> list[str | None]:
    """What becomes of each value in one batch: a code, or none for a good one."""
    written = np.full(len(values), START_MS)
    decoded = TopicDecoder(topic, LIMITS).decode(list(values), written)
    found: list[str | None] = [None] * len(values)
    for reject in decoded.rejects:
        assert found[reject.row] is None
        found[reject.row] = str(reject.code)
    assert sorted([*decoded.columns.rows.tolist(), *(r.row for r in decoded.rejects)]) == list(
        range(len(values))
    )
    return found


def advised(**changes: object) -> bytes:
    """A supplier's announcement."""
    return event(
        "advised", "a1", START_MS, ITEMS[0], po_id="po-1", supplier="s", quantity=1, **changes
    )


def counted(expires_at: object) -> bytes:
    """A count of a lot."""
    lots = [{"quantity": 3}, {"quantity": 4, "expires_at": expires_at}]
    return event("counted", "c1", START_MS, ITEMS[0], level=7, lots=lots)


BAD: list[tuple[str, str, bytes | None]] = [
    ("oversized", "orders", placed(note="x" * 600)),
    ("empty", "orders", b""),
    ("empty", "orders", None),
    ("not_utf8", "orders", GOOD.replace(b"lamp", b"\xff\xfe")),
    ("not_utf8", "orders", b"\xff"),
    ("not_json", "orders", b"hello"),
    ("not_json", "orders", b"\x00" * 20),
    ("not_json", "orders", GOOD + b"}"),
    ("not_json", "orders", placed(sku="\ud800")),
    ("truncated", "orders", GOOD[:-1]),
    ("truncated", "orders", GOOD[:20]),
    ("truncated", "orders", b"   "),
    ("wrong_type", "orders", b"[]"),
    ("wrong_type", "orders", b"null"),
    ("wrong_type", "orders", placed(quantity="2")),
    ("wrong_type", "orders", placed(quantity=1.5)),
    ("wrong_type", "orders", placed(sku=7)),
    ("wrong_type", "orders", placed(occurred_at=1.5)),
    ("wrong_type", "orders", placed(occurred_at=None)),
    ("wrong_type", "catalog", catalog_line("c", START_MS, ITEMS[0], service_type="a > b")),
    ("missing_field", "orders", placed(sku=...)),
    ("missing_field", "orders", placed(event_id=...)),
    ("missing_field", "orders", b'{"kind":"heartbeat"}'),
    ("out_of_range", "orders", placed(quantity=0)),
    ("out_of_range", "orders", placed(quantity=-3)),
    ("out_of_range", "orders", placed(quantity=2**70)),
    ("out_of_range", "orders", placed(sku="")),
    ("out_of_range", "orders", placed(sku="x" * 129)),
    ("out_of_range", "orders", placed(warehouse="a@b")),
    ("out_of_range", "orders", placed(price=-0.01)),
    ("out_of_range", "catalog", catalog_line("c", START_MS, ITEMS[0], lead_time_days_lean=0.5)),
    ("unknown_kind", "orders", placed(kind="gift")),
    ("unknown_kind", "orders", placed(kind="truncated")),
    ("unknown_kind", "orders", placed(kind=7)),
    ("unknown_kind", "orders", placed(kind=...)),
    ("unknown_kind", "orders", placed(kind="counted")),
    ("bad_timestamp", "orders", placed(occurred_at="yesterday")),
    ("bad_timestamp", "orders", placed(occurred_at="2024-01-01T00:00:00")),
    ("bad_timestamp", "orders", placed(occurred_at="1764000000000")),
    ("bad_timestamp", "orders", placed(promised_by="soon")),
    ("bad_timestamp", "orders", placed(promised_by="nope")),
    ("time_in_seconds", "orders", placed(occurred_at=START_MS // 1000)),
    ("time_in_seconds", "orders", heartbeat(START_MS // 1000)),
    ("time_in_seconds", "orders", placed(promised_by=START_MS // 1000)),
    ("time_in_microseconds", "orders", placed(occurred_at=START_MS * 1000)),
    ("time_in_microseconds", "catalog", heartbeat(START_MS * 1000)),
    ("time_in_nanoseconds", "orders", placed(occurred_at=START_MS * 1_000_000)),
    ("time_in_nanoseconds", "shipments", advised(expected_at=START_MS * 1_000_000)),
    ("time_in_seconds", "shipments", advised(expected_at=START_MS // 1000)),
    ("time_in_seconds", "stock", counted(START_MS // 1000)),
    ("time_out_of_range", "orders", placed(occurred_at=-1)),
    ("time_out_of_range", "orders", placed(occurred_at=0)),
    ("time_out_of_range", "orders", placed(occurred_at=10**20)),
    ("time_out_of_range", "orders", placed(occurred_at=2**70)),
    ("time_out_of_range", "orders", placed(occurred_at="1970-01-21T12:28:20Z")),
    ("time_out_of_range", "orders", placed(occurred_at="2205-03-05T09:00:00Z")),
    ("time_out_of_range", "shipments", advised(expected_at="1989-12-31T00:00:00Z")),
    ("bad_timestamp", "orders", placed(occurred_at="2024-01-01T00:00:00Z\x00")),
    ("bad_timestamp", "orders", placed(occurred_at="soon", warehouse="a@b")),
    ("far_future", "orders", placed(occurred_at=START_MS + 600_001)),
    ("far_future", "orders", placed(occurred_at=START_MS + 600_001, warehouse="a@b")),
]


@pytest.mark.parametrize(("code", "topic", "value"), BAD)
def test_each_kind_of_bad_record_has_its_code(code, topic, value):
    """The code is the same alone and among others, and the neighbours are not touched."""
    good = {"orders": GOOD, "shipments": advised(), "stock": counted(START_MS)}
    neighbour = good.get(topic, catalog_line("c", START_MS, ITEMS[0]))
    assert codes(topic, value) == [code]
    assert codes(topic, neighbour, value, neighbour) == [None, code, None]


def test_every_code_is_reachable_and_none_is_new():
    """The codes are a contract: this list changes only with the contract."""
    assert {code for code, _, _ in BAD} == set(RejectCode) - {
        *(RejectCode.UNREADABLE, RejectCode.WRONG_KEY),
        RejectCode.REUSED_ID,  # known once the shard has looked at its memory
    }
    assert {str(code) for code in RejectCode} == {
        *("oversized", "empty", "not_utf8", "not_json", "truncated", "wrong_type"),
        *("missing_field", "out_of_range", "unknown_kind", "bad_timestamp", "far_future"),
        *("time_in_seconds", "time_in_microseconds", "time_in_nanoseconds", "time_out_of_range"),
        *("unreadable", "wrong_key", "reused_id"),  # `test_placement` and `test_fold` have these
    }


WHOLE = [
    ("orders", placed(quantity=2.0)),
    ("orders", GOOD.replace(b'"quantity": 2', b'"quantity": 2e0')),
    ("orders", placed(occurred_at=float(START_MS))),
    ("orders", placed(quantity=2.0, price=3.0, promised_by=float(START_MS))),
    ("stock", event("counted", "c", START_MS, ITEMS[0], level=7.0, lots=[{"quantity": 7.0}])),
    ("stock", event("adjusted", "c", START_MS, ITEMS[0], change=-3.0)),
]


@pytest.mark.parametrize(("topic", "value"), WHOLE)
def test_a_whole_number_with_a_point_is_an_integer(topic, value):
    """JSON Schema says so, and many producers write `2.0`; `1.5` and `"2"` stay wrong."""
    decoded = TopicDecoder(topic, LIMITS).decode([value], np.full(1, START_MS))
    assert not decoded.rejects
    assert decoded.columns.quantity.tolist() in ([2], [7], [-3])
    assert decoded.columns.occurred_ms.tolist() == [START_MS]


def test_a_time_says_what_it_looks_like():
    """Whoever reads the message sees the unit that was meant, and which moment that would be."""
    values = [placed(occurred_at=START_MS * factor) for factor in (1_000, 1_000_000)]
    decoded = TopicDecoder("orders", LIMITS).decode([*values, placed(occurred_at=7)], None)
    messages = [reject.message for reject in decoded.rejects]
    assert "looks like microseconds: 2023-11-14T22:13:20Z" in messages[0]
    assert "looks like nanoseconds: 2023-11-14T22:13:20Z" in messages[1]
    assert messages[2].endswith("from 1990 to 2099, got 7: that is 1970-01-01T00:00:00.007Z")


def test_goods_and_plans_may_end_never():
    """The last day that a calendar has stands for no end, in plans and in lots."""
    plan = {"campaign_id": "c", "starts_at": START_MS, "expected_units": 1}
    never = "9999-12-31T00:00:00Z"
    assert codes("campaigns", event("planned", "p", START_MS, ITEMS[0], ends_at=never, **plan)) == [
        None
    ]
    assert codes("stock", counted(never)) == [None]


def test_deep_nesting_is_refused_and_breaks_nothing():
    """A record that nests deeper than the parser goes is bad, not the end of the worker."""
    deep = GOOD[:-1] + b',"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}"
    decoded = TopicDecoder("orders").decode([GOOD, deep, GOOD], None)
    assert [(reject.row, reject.code) for reject in decoded.rejects] == [(1, "not_json")]


def test_just_allowed_is_good():
    """Each rule refuses what is beyond it and nothing before."""
    just = [
        *(placed(occurred_at=START_MS + 600_000), placed(quantity=1_000_000)),
        *(placed(sku="x" * 128), placed(sku="a@b"), placed(sku="\x00"), placed(price=0)),
        placed(note="x" * (600 - len(placed(note="")))),
    ]
    assert len(just[-1]) == 600
    assert codes("orders", *just) == [None] * len(just)


def test_bad_batch_costs_each_bad_record_only_itself():
    """All bad records at once: each has its own code, and every good one between them is read."""
    values = [value for _, topic, value in BAD if topic == "orders" for value in (value, GOOD)]
    found = codes("orders", *values)
    assert set(found[1::2]) == {None}
    assert found[0::2] == [code for code, topic, _ in BAD if topic == "orders"]


def mutated(value: bytes, place: int, bits: int, cut: bool) -> bytes:
    """A valid record with one byte changed, or cut off there."""
    place %= len(value)
    if cut:
        return value[:place]
    return value[:place] + bytes([value[place] ^ bits]) + value[place + 1 :]


def records_of(topic: str) -> st.SearchStrategy[bytes | None]:
    """Good records, nearly good ones, and bytes."""
    good = st.integers(0, 10**6).map(lambda number: VALID[topic][number % len(VALID[topic])])
    near = st.builds(mutated, good, st.integers(0, 500), st.integers(1, 255), st.booleans())
    foreign = st.sampled_from(sorted(VALID)).map(lambda other: VALID[other][-1])
    return st.one_of(good, near, near, foreign, st.binary(max_size=40), st.none())


@pytest.mark.slow
@pytest.mark.parametrize("topic", TOPICS)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_every_record_is_accounted_for(topic, data):
    """folded + duplicate + late + dead-lettered + heartbeat = consumed, over any bytes, and the
    outcome of each is the same one by one.
    """
    values = data.draw(st.lists(records_of(topic), min_size=1, max_size=30))
    whole, single = Shard(0, SETTINGS, CACHE), Shard(0, SETTINGS, CACHE)
    decoder = TopicDecoder(topic, LIMITS)
    now = START_MS + 10**10
    decoded = decoder.decode(values, np.full(len(values), now))
    folded = whole.fold(topic, decoded, len(values))
    assert accounted(folded.counts) == len(values)
    one_by_one: Counter[str] = Counter()
    found = []
    for offset, value in enumerate(values):
        alone = decoder.decode([value], np.full(1, now))
        found.extend((offset, reject.code) for reject in alone.rejects)
        one_by_one.update(single.fold(topic, alone, offset + 1).counts)
    assert found == [(reject.row, reject.code) for reject in decoded.rejects]
    assert {k: v for k, v in one_by_one.items() if v} == {
        k: v for k, v in folded.counts.items() if v
    }


def accounted(counts: dict[str, int]) -> int:
    """Records whose fate is known; folded_late is a part of folded."""
    return sum(count for outcome, count in counts.items() if outcome != "folded_late")


def test_accounting_notices_a_lost_record():
    """The sum above is no tautology: a decoder that loses rejects breaks it."""
    values = [GOOD, b"{", GOOD]
    decoded = TopicDecoder("orders").decode(values, None)
    decoded.rejects.clear()
    folded = Shard(0, SETTINGS, CACHE).fold("orders", decoded, len(values))
    assert accounted(folded.counts) != len(values)


class _Crashing(TopicDecoder):
    """A decoder with a fault of its own that one record meets."""

    def _judge(self, values, written_ms):
        if any(value and b"sku-of-doom" in value for value in values):
            raise ZeroDivisionError
        return super()._judge(values, written_ms)


@pytest.mark.parametrize("scans", [True, False])
def test_a_fault_of_the_decoder_costs_the_record_that_meets_it(scans, caplog):
    """An error that nobody foresaw is the reject of one record; the others are folded."""
    doom = placed(event_id="e-doom", sku="sku-of-doom", note={"nested": 1})
    values = [GOOD, b"{", doom, placed(event_id="e2", sku="fine"), None, doom]
    decoded = _Crashing("orders", LIMITS, scans=scans).decode(values, np.full(6, START_MS))
    assert decoded.columns.rows.tolist() == [0, 3]
    assert [decoded.columns.names.text(row)[0] for row in (0, 1)] == ["lamp", "fine"]
    found = [(reject.row, reject.code) for reject in decoded.rejects]
    assert found == [(1, "truncated"), (2, "unreadable"), (4, "empty"), (5, "unreadable")]
    assert "ZeroDivisionError" in decoded.rejects[1].message
    assert "cannot be decoded" in caplog.text


def test_event_of_a_fast_clock_is_named_with_its_source():
    """Whose clock is wrong is the first thing that anybody has to know."""
    value = placed(occurred_at=START_MS + 700_000, source="till 7")
    (reject,) = TopicDecoder("orders").decode([value], np.full(1, START_MS)).rejects
    assert reject.code == RejectCode.FAR_FUTURE
    assert reject.message.endswith("got 700 s (source 'till 7')")


def test_an_order_has_one_key_for_the_shop_and_the_warehouse():
    """`order_id_key` is that of the order id, whichever system wrote the event."""
    fields = {"order_id": "o-581234", "quantity": 1}
    sold = event("placed", "a", START_MS, ITEMS[0], **fields, source="shop")
    sent = event("dispatched", "b", START_MS, ITEMS[0], **fields, source="warehouse")
    plain = event("dispatched", "c", START_MS, ITEMS[0], **fields)
    orders = TopicDecoder("orders", LIMITS).decode([sold], None).columns
    shipments = TopicDecoder("shipments", LIMITS).decode([sent, plain], None).columns
    alone = TopicDecoder("shipments", LIMITS).decode([plain], None).columns
    assert {*orders.order_id_key, *shipments.order_id_key, *alone.order_id_key} == {
        alone.order_key[0]
    }
    assert len({*orders.order_key, *shipments.order_key}) == 3
