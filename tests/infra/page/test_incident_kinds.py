"""Every kind of incident is known wherever incidents are shown: page, command line, metrics."""

import numpy as np
import pytest

from infra.cli.item import _show, item_record
from infra.cli.terminal.output import make_console
from infra.metrics.open_incidents import open_incidents
from infra.page.contracts import ItemsQuery, PageQuery
from infra.page.views.incidents import incidents
from infra.page.views.items import ItemsView
from infra.redis.reader import ItemState
from infra.redis.rows import item_row
from streams.contracts.alerts import AlertKind
from streams.demand.week_profile import flat_profile
from streams.incidents.kinds import INCIDENT_KINDS, ITEM_FIELDS, SubjectClass, table_of
from streams.state.items import READABLE, ROW
from tests.infra.metrics.test_worker import Worker, incidents_of, run_of
from tests.infra.page.test_views import alert, snapshot_of
from tests.streams.logs import START_MS

OF_ITEMS = [kind for kind, row in INCIDENT_KINDS.items() if SubjectClass.ITEM in row.subjects]


def state_of(**fields: int) -> ItemState:
    """What is stored of one item."""
    row = np.zeros(1, ROW)[0]
    for name, value in fields.items():
        row[name] = value
    return ItemState(
        partition=0,
        place=0,
        sku="lamp",
        warehouse="main",
        row=row,
        shown=item_row("lamp", "main", [None] * len(READABLE)),
        open_orders=[],
        catalog=None,
        campaigns=[],
        applied_ms=START_MS,
        days=[],
        profile=flat_profile(),
    )


@pytest.mark.parametrize("kind", OF_ITEMS)
def test_open_incident_of_an_item_is_in_the_page_list_and_its_filter(kind: AlertKind):
    """The item carries the kind, and the filter finds this item alone."""
    snapshot = snapshot_of({}, {ITEM_FIELDS[kind]: START_MS}, {ITEM_FIELDS[kind]: -1})
    found = ItemsView(snapshot).page(ItemsQuery(only="incidents"))
    (only,) = found.items
    (tag,) = only.incidents
    row = INCIDENT_KINDS[kind]
    assert (only.sku, tag.kind) == ("b", kind)
    assert (tag.label, tag.severity) == (row.label, row.severity)


@pytest.mark.parametrize("kind", OF_ITEMS)
def test_open_incident_of_an_item_is_on_the_command_line(
    kind: AlertKind, capsys: pytest.CaptureFixture[str]
):
    """`tidegate item` says what has happened and since when, as text and as JSON."""
    state = state_of(**{ITEM_FIELDS[kind]: START_MS})
    _show(make_console(), state, None)
    text = " ".join(capsys.readouterr().out.split())
    assert f"incident {INCIDENT_KINDS[kind].summary.format(subject='it')}, since" in text
    assert [*item_record(state, None)["incidents"]] == [ITEM_FIELDS[kind].removesuffix("_ms")]


@pytest.mark.parametrize("kind", AlertKind)
def test_open_incident_of_every_kind_is_counted(kind: AlertKind):
    """Each kind has a series of its own; an item's open incident raises it by one."""
    run = run_of(2)
    before = incidents_of(Worker(run))
    assert set(open_incidents(run.shard)) == set(AlertKind) == set(before)
    if kind in ITEM_FIELDS:
        run.shard.timeline.items.rows[ITEM_FIELDS[kind]][0] = START_MS
        assert incidents_of(Worker(run)) == {**before, kind: before[kind] + 1}


@pytest.mark.parametrize("kind", AlertKind)
def test_every_kind_has_a_summary_a_severity_and_a_team(kind: AlertKind):
    """What the page shows of an incident is what its row says."""
    row = INCIDENT_KINDS[kind]
    assert row.subjects
    assert "{subject}" in row.summary
    (shown,) = incidents(snapshot_of(incidents=[alert(kind, 1)]), PageQuery()).incidents
    assert (shown.severity, shown.team) == (row.severity, row.team)


def test_start_of_every_incident_in_an_items_row_is_of_a_kind():
    """A new field `..._since_ms` of the row belongs to a kind, or is named here."""
    states = {"out_since_ms", "quiet_since_ms", "waiting_since_ms"}
    fields = {name for name in ROW.names or () if name.endswith("_since_ms")}
    assert fields - states == set(ITEM_FIELDS.values())


def test_kind_without_a_row_is_refused():
    """Whoever adds a kind of alert has to say what it is before anything starts."""
    rows = tuple(INCIDENT_KINDS.values())
    with pytest.raises(ValueError, match="every kind"):
        table_of(rows[1:])
    with pytest.raises(ValueError, match="every kind"):
        table_of((*rows, rows[0]))
