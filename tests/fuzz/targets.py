"""What may be fed with any bytes, each as a function that complains where it takes them wrongly.

`tests.fuzz.test_fuzz` feeds them by chance, `tests.fuzz.guided` by what the last input reached.
"""

import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from infra.cli.terminal.case_file import read_cases
from infra.cli.terminal.failures import CommandError
from infra.control.entries import AuditState
from infra.page.api import ApiError, query_of
from infra.page.contracts import ItemQuery
from infra.page.routes import VIEWS
from infra.replay.demand_history import read_history
from infra.replay.faults import SourceError
from infra.replay.schemas import SCHEMAS, adapt
from infra.replay.uci_schema import UciRules
from infra.settings import SettingsError, load_settings
from policy.sourcing.model import read_instance
from streams.contracts.events import TOPICS
from streams.ingest.decode import TopicDecoder

_DECODERS = [TopicDecoder(topic) for topic in TOPICS]
_QUERIES = [ItemQuery, *(view.query for view in VIEWS)]


def decoder(data: bytes) -> None:
    """The first byte names the topic, the lines after it are its records.

    Good rows and rejects are the batch, and none of them depends on its neighbours.
    """
    chosen = _DECODERS[_first(data) % len(_DECODERS)]
    values: list[bytes | None] = [line or None for line in data[1:].split(b"\n")]
    together = chosen.decode(values, None)
    rejects = {reject.row: reject.code for reject in together.rejects}
    rows = sorted([*together.columns.rows.tolist(), *rejects])
    assert rows == list(range(len(values)))
    for row, value in enumerate(values):
        alone = {reject.code for reject in chosen.decode([value], None).rejects}
        assert alone == ({rejects[row]} if row in rejects else set())


def adapters(data: bytes) -> None:
    """The lines of a file: a bad one is told with its number, and the others go on."""
    lines = data[1:].split(b"\n")
    bad: list[SourceError] = []
    schema = SCHEMAS[_first(data) % len(SCHEMAS)]
    records = list(adapt(lines, schema=schema, uci=UciRules(), on_bad=bad.append))
    assert all(record.topic in TOPICS for record in records)
    assert len(bad) <= len(lines)


def history(data: bytes) -> None:
    """Orders and catalog lines of a file as `tidegate simulate compare` reads them."""
    records = adapt(data.split(b"\n"), schema="tidegate", on_bad=lambda error: None)
    with suppress(ValueError):
        read_history(records)


def instance(data: bytes) -> None:
    """The file of `tidegate solve`."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "instance.json")
        path.write_bytes(data)
        try:
            given = read_cases(path)
        except CommandError:
            return
    with suppress(ValueError):
        read_instance(given)


def settings(data: bytes) -> None:
    """The file of settings."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "settings.toml")
        path.write_bytes(data)
        with suppress(SettingsError):
            load_settings(config=path)


def audit(data: bytes) -> None:
    """Entries of the audit log: what is none is noted as a fault, and changes nothing."""
    state = AuditState()
    for place, value in enumerate(data.split(b"\n")):
        before = dict(state.pauses)
        if state.take(value, str(place)) is None:
            assert state.pauses == before


def query(data: bytes) -> None:
    """What stands behind the question mark of a path of the page's API."""
    pairs = [pair.partition("=") for pair in data[1:].decode("utf-8", "replace").split("&")]
    with suppress(ApiError):
        query_of({name: value for name, _, value in pairs}, _QUERIES[_first(data) % len(_QUERIES)])


def _first(data: bytes) -> int:
    return data[0] if data else 0


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (decoder, adapters, history, instance, settings, audit, query)
}


def seeds() -> dict[str, list[bytes]]:
    """Inputs that each target takes, to begin with."""
    from tests.fuzz.records import good_records

    good = [(topic, value) for topic, value in good_records(0) if value]
    by_topic = [[value for name, value in good if name == topic][:8] for topic in TOPICS]
    files = [
        json.dumps({"topic": topic, **json.loads(value)}).encode()
        for topic, value in good
        if value.startswith(b'{"kind"') and b"occurred_at" in value and value.endswith(b"}")
    ]
    return {
        "decoder": [bytes([at]) + b"\n".join(values) for at, values in enumerate(by_topic)],
        "adapters": [b"\x00" + b"\n".join(files[start:][:4]) for start in range(0, 80, 4)],
        "history": [b"\n".join(files[start:][:12]) for start in range(0, 120, 12)],
        "instance": [_INSTANCE],
        "settings": [b'kafka_bootstrap = "here:9092"\npartitions = 3\n'],
        "audit": [b'{"kind":"paused","entry_id":"au-1","after":[],"at":"","who":"a","why":"b"}'],
        "query": [b"\x00sku=lamp", b"\x03limit=5&offset=2&sort=sku", b"\x02span=day"],
    }


_INSTANCE = (
    b'{"regular_lead_periods": 2, "expedited_cost": 20, "holding": 5, "backorder": 495, '
    b'"demand": {"family": "pmf", "values": [0, 2], "probabilities": [0.5, 0.5]}}'
)
