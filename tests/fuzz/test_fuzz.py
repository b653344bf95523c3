"""Whatever comes in: no crash, no stall, no partial effect."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.replay.faults import SourceError
from infra.replay.schemas import SCHEMAS, adapt
from infra.replay.uci_schema import UciRules
from infra.settings import Settings, SettingsError, load_settings
from streams.contracts.events import TOPICS
from streams.ingest.decode import TopicDecoder
from tests.fuzz.folding import OUTCOMES, fold_fuzzed
from tests.fuzz.records import fuzzed_records
from tests.fuzz.targets import TARGETS, seeds

MANY = 100_000


@pytest.mark.parametrize("seed", range(3))
def test_every_fuzzed_record_is_accounted_for(seed):
    """Folded, duplicate, late, dead-lettered or heartbeat: each record is one of them."""
    outcomes = fold_fuzzed(seed, 5_000)
    assert sum(outcomes[name] for name in OUTCOMES) == 5_000
    assert all(outcomes[name] for name in OUTCOMES), outcomes


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_many_fuzzed_records_are_accounted_for():
    """The same over 100,000 records; `make fuzz` folds a million."""
    outcomes = fold_fuzzed(1, MANY)
    assert sum(outcomes[name] for name in OUTCOMES) == MANY


_SEEDS = seeds()


@pytest.mark.parametrize("name", TARGETS)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_whatever_takes_bytes_takes_any(name, data):
    """Bytes by chance, and good input with something else in the middle of it."""
    good = data.draw(st.sampled_from(_SEEDS[name]))
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(good))] * 2)))
    piece = data.draw(st.one_of(st.binary(max_size=40), st.sampled_from(_NASTY)))
    for fuzzed in (piece, good[:start] + piece + good[stop:]):
        TARGETS[name](fuzzed)


def test_targets_take_what_is_good():
    """What the fuzzing begins with is taken, and goes all the way."""
    assert set(_SEEDS) == set(TARGETS)
    for name, good in _SEEDS.items():
        for one in good:
            TARGETS[name](one)


_NASTY = (
    *(b"[" * 5_000, b'{"a":' * 5_000, b"\xed\xa0\x80", b"\\ud800", b"1e999", b"NaN", b"-0"),
    *(b"9" * 5_000, b"\x00", b"\xff", b'"', b"\n", b"=", b"&"),
)


@pytest.mark.parametrize("topic", TOPICS)
@settings(deadline=None, max_examples=60)
@given(values=st.lists(st.one_of(st.none(), st.binary(max_size=200)), max_size=20))
def test_decoder_takes_any_bytes(topic, values):
    """Good rows and rejects together are the batch, whatever lies in it."""
    decoded = TopicDecoder(topic).decode(values, None)
    rows = sorted([*decoded.columns.rows.tolist(), *(reject.row for reject in decoded.rejects)])
    assert rows == list(range(len(values)))


@pytest.mark.parametrize("seed", range(20))
def test_a_record_decodes_alone_as_among_others(seed):
    """A bad neighbour changes nothing: no reject, and no good row, depends on the batch."""
    records = [one.value for one in fuzzed_records(seed, 300) if one.topic == "orders"]
    decoder = TopicDecoder("orders")
    together = {reject.row: reject.code for reject in decoder.decode(records, None).rejects}
    alone = {
        row: reject.code
        for row, value in enumerate(records)
        for reject in decoder.decode([value], None).rejects
    }
    assert together == alone


_LINES = st.one_of(
    st.sampled_from([b"0\x00", b"[" * 100_000, b'{"topic":' * 50_000, b'{"topic":1}\xff']),
    st.binary(max_size=120),
    st.dictionaries(
        st.sampled_from(
            ["topic", "type", "kind", "value", "raw_base64", "occurred_at", "sku", "x"]
        ),
        st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=8), st.just({})),
    ).map(lambda line: json.dumps(line).encode()),
)


@pytest.mark.slow
@pytest.mark.parametrize("schema", SCHEMAS)
@settings(deadline=None, max_examples=150)
@given(lines=st.lists(_LINES, max_size=8))
def test_adapters_take_any_lines(schema, lines):
    """A bad line is told with its number, and the others go on."""
    bad = []
    records = list(adapt(lines, schema=schema, uci=UciRules(), on_bad=bad.append))
    assert all(record.topic in TOPICS for record in records)
    assert all(isinstance(error, SourceError) for error in bad)
    assert all(1 <= error.line_number <= len(lines) for error in bad)


_NAMES = st.sampled_from([*Settings.model_fields, "unknown", "kafka bootstrap"])
_VALUES = st.one_of(
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.booleans(),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=2),
)


@pytest.mark.slow
@settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(given_values=st.dictionaries(_NAMES, _VALUES, max_size=4))
def test_settings_are_right_or_refused(given_values):
    """Any value is taken or refused by name; nothing else is raised."""
    refusal = refusal_of(**given_values)
    assert refusal is None or any(name in refusal for name in given_values)


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=80).map(str.encode)))
def test_settings_file_may_hold_anything(tmp_path, content):
    """A file that is no TOML, or not ours, is refused with a word."""
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    assert refusal_of(config=path) != ""


def refusal_of(**given_values) -> str | None:
    """Why settings are refused, if they are."""
    try:
        load_settings(**given_values)
    except SettingsError as error:
        return str(error)
    return None
