"""The scanner says nothing that msgspec does not say, and reads what is written plainly."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.contracts.codes import DEFAULT_WAREHOUSE, Kind
from streams.ingest.byte_kernels import PADDING
from streams.ingest.decode import Columns, TopicDecoder
from streams.ingest.item_names import Names
from streams.ingest.order_scanner import PlainBatch, decode_plain, scan
from streams.settings import DecodeLimits
from streams.state.item_index import ItemTable
from tests.bench.orders import Flood, heartbeat

LIMITS = DecodeLimits(record_bytes=2_000, future_ms=1_000)
DECODER = TopicDecoder("orders", LIMITS, scans=False)
COLUMNS = ("rows", "code", "occurred_ms", "quantity", "event_key", "order_key", "order_id_key")
ORDER = {
    "kind": "placed",
    "event_id": "e-1",
    "occurred_at": "2024-02-29T23:59:59.123Z",
    "sku": "85123A",
    "order_id": "W-000000017",
    "quantity": 3,
}


def plain(values, written_ms=None):
    return decode_plain(
        values, written_ms, record_bytes=LIMITS.record_bytes, future_ms=LIMITS.future_ms
    )


def order(**fields):
    return json.dumps({**ORDER, **fields}).encode()


def named(names: Names) -> list[tuple[str, str]]:
    return [names.text(row) for row in range(names.item_hash.size)]


def require_same(batch: PlainBatch | Columns, columns: Columns) -> None:
    for name in COLUMNS:
        ours, theirs = getattr(batch, name), getattr(columns, name)
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
        assert ours.dtype == theirs.dtype
    assert named(batch.names) == named(columns.names)
    np.testing.assert_array_equal(batch.names.item_hash, columns.names.item_hash)


def require_agreement(values, written_ms=None) -> PlainBatch:
    """What the scanner takes is what msgspec makes of it; all else is handed over."""
    batch = plain(values, written_ms)
    assert sorted([*batch.rows, *batch.others]) == list(range(len(values)))
    judged = DECODER.decode(
        [values[row] for row in batch.rows], None if written_ms is None else written_ms[batch.rows]
    )
    assert judged.rejects == []
    require_same(replace(batch, rows=np.arange(batch.rows.size)), judged.columns)
    return batch


# -- any bytes ------------------------------------------------------------------------------------

TIMES = [
    '"2024-02-29T23:59:59.123Z"',
    '"2023-02-29T00:00:00Z"',
    '"2024-01-01 00:00:00+05:30"',
    '"2024-01-01t00:00:00.123456789z"',
    '"2024-01-01T00:00:00-00:00"',
    '"1970-01-01T00:00:00+01:00"',
    '"2024-01-01T00:00:00"',
    '"2024-01-01T24:00:00Z"',
    '"2024-01-01T00:00:60Z"',
    '"2024-01-01T00:00:00.Z"',
    '"9999-12-31T23:59:59.999Z"',
    '"yesterday"',
    "0",
    "1700000000000",
    "253402300799999",
    "253402300800000",
    "999999999999999999",
    "9223372036854775808",
    "-1",
    "1.0",
    "1e3",
    "null",
]
TEXTS = [
    '""',
    '"a"',
    '"main"',
    '"mainz"',
    '"12345678"',
    '"123456789"',
    '"a@b"',
    '"main@"',
    '"\x7f ~!"',
    '"a\\u0041"',
    '"\\""',
    '"\\\\"',
    '"\\ud800"',
    '"\\u0000"',
    '"ü"',
    '"\udcfc"',  # a byte that is not UTF-8
    '"\x1f"',
    '"\t"',
    '"' + "x" * 127 + '"',
    '"' + "x" * 128 + '"',
    '"' + "x" * 129 + '"',
    "'a'",
    "a",
    '"a',
]
NUMBERS = [
    "0",
    "-0",
    "1",
    "7",
    "01",
    "007",
    "00",
    "+1",
    "1.",
    ".5",
    "1.0",
    "0.50",
    "-1",
    "1e3",
    "1E400",
    "NaN",
    "Infinity",
    "1000000",
    "1000001",
    "99999999999.999999999999999",
    "999999999999.99999",
    "1000000000000",
    "1000000000000.1",
    "123456789012345678",
    "1234567890123456789",
    "18446744073709551617",
    "1" * 50,
    "0.12345678901234567",
    "0." + "3" * 60,
    "1 2",
    "1\x00",
]
OTHERS = ["null", "true", "false", "nul", "nullx", "[]", "{}", '{"a":1}', '["a"]', "", " ", '"a":1']
KINDS = ['"placed"', '"cancelled"', '"returned"', '"heartbeat"', '"PLACED"', '"dispatched"']
KINDS += [
    '"placed "',
    '"cancelle"',
    '"heartbeat1"',
    '"heartbeats-and-more"',
    "1",
    "null",
    '"\\u0070laced"',
]
FIELDS = {
    "kind": KINDS,
    "event_id": TEXTS,
    "occurred_at": TIMES,
    "sku": TEXTS,
    "order_id": TEXTS,
    "quantity": NUMBERS,
    "warehouse": TEXTS,
    "source": TEXTS,
    "price": NUMBERS,
    "currency": TEXTS,
    "campaign_id": TEXTS,
    "promised_by": TIMES,
}
KEYS = [
    *FIELDS,
    "",
    "x",
    "kinds",
    "event_i",
    "occurred_a",
    "occurred_at_",
    "promised_at",
    "note_of_the_customer",
]
KEYS += ["s\\u006bu", "skü", "sku\x00", "KIND"]

usual = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(KINDS[:4]),
        "event_id": st.integers(0, 10**12).map('"e{}"'.format),
        "occurred_at": st.sampled_from(TIMES[:4] + TIMES[-9:-5]),
        "sku": st.sampled_from(['"A"', '"SKU-000001"', '"12345678"']),
        "order_id": st.integers(0, 10**12).map('"{}"'.format),
        "quantity": st.integers(1, 1_000_000).map(str),
    },
    optional={
        "warehouse": st.sampled_from(['"main"', '"north"', '"mai"']),
        "source": st.sampled_from(['""', '"shop"', '"marketplace"']),
        "price": st.sampled_from(["0", "9.90", "12", "null"]),
        "currency": st.sampled_from(['"EUR"', "null"]),
        "campaign_id": st.sampled_from(['"black-friday"', "null"]),
        "promised_by": st.sampled_from(TIMES),
        "note": st.sampled_from(['"left at the door"', "12.5", "true", "null", "[1]"]),
    },
)
any_value = st.sampled_from([*TIMES, *TEXTS, *NUMBERS, *OTHERS, *KINDS])


@st.composite
def written(draw):
    """A record that is usual but for a few members and a little space, in any order."""
    members = list(draw(usual).items())
    for key in draw(st.lists(st.sampled_from(KEYS), max_size=2)):
        value = draw(st.one_of(st.sampled_from(FIELDS.get(key, OTHERS)), any_value))
        if draw(st.booleans()):  # a key may come twice
            members = [member for member in members if member[0] != key]
        members.append((key, value))
    if draw(st.integers(0, 7)) == 0:
        members.pop(draw(st.integers(0, len(members) - 1)))
    if draw(st.booleans()):
        members = draw(st.permutations(members))
    space = st.sampled_from(["", "", "", " ", "\n\t\r ", "\x0b", "\xa0", ","])
    colon = draw(space) + ":" + draw(space)
    comma = draw(space) + "," + draw(space)
    text = comma.join(f'"{key}"{colon}{value}' for key, value in members)
    ends = st.sampled_from(["", "", "", " ", "\n", "}", "{", "\x00", "null"])
    return f"{draw(ends)}{{{draw(space)}{text}{draw(space)}}}{draw(ends)}".encode(
        errors="surrogateescape"
    )


@st.composite
def damaged(draw):
    """A good record with some bytes cut, changed or doubled."""
    value = bytearray(draw(written()))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(value)))
        stop = min(len(value), start + draw(st.integers(0, 3)))
        value[start:stop] = draw(
            st.sampled_from(
                [b"", b'"', b"{", b"}", b",", b":", b"\\", b"0", b" ", b"\x80", b"\x00", b"@", b"."]
            )
        )
    return bytes(value)


@st.composite
def cut(draw):
    """The pieces of a good record as records of their own: a reader must not run on."""
    value = draw(written())
    places = sorted(draw(st.lists(st.integers(0, len(value)), min_size=1, max_size=3)))
    return [value[start:stop] for start, stop in zip([0, *places], [*places, None], strict=True)]


batches = st.one_of(
    st.lists(st.one_of(written(), damaged()), min_size=1, max_size=8),
    st.lists(st.binary(max_size=40), max_size=4),
    cut(),
)


@pytest.mark.slow
@settings(max_examples=700, deadline=None)
@given(batches)
def test_what_the_scanner_takes_is_what_msgspec_makes_of_it(values):
    """Whatever the bytes, a row that is taken is good and has the same columns and keys."""
    require_agreement(values)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("kind", ["placed", "cancelled", "heartbeat"])
def test_each_odd_value_of_each_field_is_judged_alike(key, kind):
    """Every value at or over a limit, in every field, once more and instead of the good one."""
    fields = (
        {"kind": kind, "occurred_at": 1_700_000_000_000}
        if kind == "heartbeat"
        else {**ORDER, "kind": kind}
    )
    values = []
    for odd in {*TIMES, *TEXTS, *NUMBERS, *OTHERS, *KINDS}:
        members = [f'"{name}":{json.dumps(value)}' for name, value in fields.items()]
        others = [member for member in members if not member.startswith(f'"{key}":')]
        member = f'"{key}":{odd}'
        values += [
            "{" + ",".join([*members, member]) + "}",
            "{" + ",".join([member, *others]) + "}",
        ]
    batch = require_agreement([value.encode(errors="surrogateescape") for value in values])
    assert batch.others.size > 0


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(batches)
def test_a_batch_decodes_alike_with_and_without_the_scanner(values):
    """Columns in log order and rejects are the same, whoever read the records."""
    scanned, judged = (TopicDecoder("orders", LIMITS, scans=s).decode(values, None) for s in (1, 0))
    require_same(scanned.columns, judged.columns)
    assert scanned.rejects == judged.rejects
    assert scanned.columns.updates == judged.columns.updates


# -- what has to be quick -------------------------------------------------------------------------


def test_the_flood_of_the_benchmarks_is_plain():
    """All records of the benchmark take the short way, heartbeats between them too."""
    flood = Flood(events=4_000, start_ms=1_700_000_000_000, items=500)
    values = [value for _, value in flood.records(1)]
    values[100:100] = [heartbeat(1_700_000_000_123)]
    batch = require_agreement(values)
    assert batch.others.size == 0
    assert batch.code[100] == Kind.HEARTBEAT


plain_text = st.text(
    st.characters(codec="ascii", exclude_characters='"\\', min_codepoint=32, max_codepoint=126),
    min_size=1,
    max_size=128,
)


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(st.data())
def test_plain_records_are_taken(data):
    """ASCII texts, small numbers and known or flat fields in any order, with or without space."""
    fields = {
        "kind": data.draw(st.sampled_from(["placed", "cancelled", "returned"])),
        "event_id": data.draw(plain_text),
        "occurred_at": data.draw(st.sampled_from(["2024-02-29T23:59:59.123Z", 1_700_000_000_000])),
        "sku": data.draw(plain_text),
        "order_id": data.draw(plain_text),
        "quantity": data.draw(st.integers(1, 1_000_000)),
    }
    optional = {
        "warehouse": data.draw(plain_text).replace("@", "-"),
        "source": data.draw(plain_text) * data.draw(st.integers(0, 1)),
        "price": data.draw(st.sampled_from([None, 0, 12, 9.99, 0.5])),
        "currency": data.draw(st.sampled_from([None, "EUR"])),
        "campaign_id": data.draw(st.sampled_from([None, "black-friday"])),
        "promised_by": data.draw(
            st.sampled_from([None, 1_700_000_000_000, "2024-03-01T00:00:00Z"])
        ),
        "note": data.draw(st.sampled_from([None, True, False, 1, 1.5, "left at the door"])),
    }
    chosen = data.draw(st.sets(st.sampled_from(sorted(optional))))
    fields.update({key: optional[key] for key in chosen})
    members = data.draw(st.permutations(list(fields.items())))
    separators = data.draw(st.sampled_from([None, (",", ":")]))
    indent = data.draw(st.sampled_from([None, 2]))
    value = json.dumps(dict(members), separators=separators, indent=indent).encode()
    batch = require_agreement([value, value + b"\n"])
    assert batch.rows.tolist() == [0, 1]


# -- a batch --------------------------------------------------------------------------------------


def test_records_without_a_value_or_too_long_are_handed_over():
    """Tombstones, empty values and those over the limit go to the judge."""
    long = order(note="x" * LIMITS.record_bytes)
    batch = require_agreement([order(), None, b"", long, order(event_id="e-2")])
    assert batch.rows.tolist() == [0, 4]
    assert batch.others.tolist() == [1, 2, 3]


def test_a_record_from_the_far_future_is_handed_over():
    """As in the decoder: more than the limit ahead of when it was written, if that is known."""
    start_ms = 1_700_000_000_000
    values = [order(occurred_at=start_ms + at) for at in (6_000, 6_001, 6_001)]
    batch = require_agreement(values, np.array([start_ms + 5_000, start_ms + 5_000, -1]))
    assert batch.rows.tolist() == [0, 2]


@pytest.mark.parametrize("values", [[], [None], [b"{}"]])
def test_a_batch_may_hold_nothing_plain(values):
    """No rows, and no error."""
    assert require_agreement(values).rows.size == 0


def test_a_value_within_the_padding_is_not_read():
    """Without padding the kernels would read behind the array."""
    value = order()
    joined = np.frombuffer(value + bytes(PADDING - 1), np.uint8)
    assert scan(joined, np.array([len(value)])).ok.tolist() == [0]
    assert scan(joined[:0], np.array([len(value)])).ok.tolist() == [0]
    assert scan(joined, np.array([-9, 4])).ok.tolist() == [0, 0]


# -- items ----------------------------------------------------------------------------------------

names = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from(["A", "B", "AB", "12345678", "12345678AB"]), st.text(max_size=12)
        ),
        st.sampled_from(["main", "north", "B", "AB", "main2", "südlager"]),
    ),
    max_size=30,
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(names, max_size=4), names)
@example([[("A", "BB")]], [("AB", "B"), ("A", "BB"), ("ABB", "main")])
@example([[("a\x00b", "x")], [("a", "x")]], [("a\x00b", "x"), ("a", "x")])
def test_the_table_of_items_agrees_with_a_dict(added, wanted):
    """Places in the order of first sight; -1 for whom nobody added."""
    table, places = ItemTable(), {}
    for batch in added:
        new = [name for name in dict.fromkeys(batch) if name not in places]
        places.update(zip(new, range(len(places), len(places) + len(new)), strict=True))
        table.add([sku for sku, _ in new], [warehouse for _, warehouse in new])
    asked = [*wanted, *places]
    found = table.find(Names.of([sku for sku, _ in asked], [warehouse for _, warehouse in asked]))
    assert found.tolist() == [places.get(name, -1) for name in asked]
    assert len(table) == len(places)


@pytest.mark.parametrize(
    "pair",
    [
        [("A", "main"), ("B", "main")],
        [("A", "main"), ("AB", "main")],
        [("A", "north"), ("A", "south")],
        [("A", "north"), ("A", "nor")],
        [("A", "north"), ("A", "main")],
        [("123456789", "main"), ("12345678x", "main")],
    ],
)
def test_the_bytes_decide_and_not_the_hash(pair):
    """An item with the hash of another one is still not that item."""
    skus, warehouses = zip(*pair, strict=True)
    table = ItemTable()
    table.add(skus, warehouses)
    true = Names.of(skus, warehouses)
    assert table.find(true).tolist() == [0, 1]
    swapped = true._replace(item_hash=true.item_hash[::-1].copy())
    assert table.find(swapped).tolist() == [-1, -1]


def test_the_table_grows():
    """Items keep their places while every array of the table is made anew several times."""
    table = ItemTable()
    skus = [f"SKU-{number}-{'x' * (number % 40)}" for number in range(5_000)]
    for start in range(0, 5_000, 700):
        part = skus[start : start + 700]
        table.add(part, [DEFAULT_WAREHOUSE] * len(part))
    assert table.find(Names.of(skus, ["main"] * 5_000)).tolist() == list(range(5_000))
    assert (table.find(Names.of(skus, ["north"] * 5_000)) == -1).all()


def test_scanned_names_find_what_texts_added():
    """The item of a record that names the default warehouse is that of one that names none."""
    table = ItemTable()
    table.add(["85123A", "85123A"], ["main", "north"])
    values = [order(), order(warehouse="main"), order(warehouse="north"), order(warehouse="nort")]
    assert table.find(plain(values).names).tolist() == [0, 0, 1, -1]


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(names, names, st.randoms(use_true_random=False))
def test_names_can_be_joined_and_taken(first, second, random):
    """The rows of two texts behave as those of one."""
    parts = [Names.of([sku for sku, _ in part], [at for _, at in part]) for part in (first, second)]
    both = Names.concatenate(*parts)
    assert named(both) == [*first, *second]
    rows = random.sample(range(len(first) + len(second)), k=(len(first) + len(second)) // 2)
    assert named(both.take(rows)) == [[*first, *second][row] for row in rows]
