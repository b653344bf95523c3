"""What the page shows follows from what was read: pure views, from small snapshots."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from infra.page.contracts import (
    Basis,
    Clock,
    DecisionsQuery,
    ItemsQuery,
    OrderFeed,
    PageQuery,
    Promise,
    Span,
)
from infra.page.cursor import Cursor
from infra.page.readers.snapshot import put_together
from infra.page.snapshot import CAMPAIGN, ItemsTable, ReadDecision, ShardView, Snapshot, Totals
from infra.page.views.decisions import decisions
from infra.page.views.incidents import incidents
from infra.page.views.items import ItemsView, place_of
from infra.page.views.now import NO_DATA_AFTER_MS, now
from infra.page.views.projection import projected_stock
from infra.page.views.sales import sales
from infra.page.views.sales_rate import speeds
from infra.page.views.shipping import shipping
from streams.contracts.alerts import Alert, AlertKind, AlertState
from streams.incidents.kinds import INCIDENT_KINDS
from streams.replenishment.decision_record import DECISION
from streams.state.items import ROW
from streams.state.minute_totals import MINUTES_A_DAY, TOTAL
from streams.timestamps import DAY_MS, HOUR_MS, MINUTE_MS
from streams.types import Table

NOW_MS = 1_772_600_000_000 // DAY_MS * DAY_MS + 15 * HOUR_MS  # 15:00 UTC of a day
MINUTE = NOW_MS // MINUTE_MS


def rows(*items: dict[str, Any]) -> Table:
    """Rows with these fields, counted an hour ago if nothing else is said."""
    table = np.zeros(len(items), ROW)
    table["counted_at_ms"] = NOW_MS - HOUR_MS
    for place, fields in enumerate(items):
        for name, value in fields.items():
            table[name][place] = value
    return table


def table_of(*items: dict[str, Any], **more: Any) -> ItemsTable:
    """A table of items a, b, c ..."""
    names = [(chr(ord("a") + n), "main") for n in range(len(items))]
    return ItemsTable(
        names=names,
        folded=[sku for sku, _ in names],
        by_name=np.arange(len(items)),
        partitions=np.zeros(len(items), np.int64),
        starts={0: 0},
        rows=rows(*items),
        last_hour_units=more.get("last_hour", np.zeros(len(items))),
        oldest_open_ms=more.get("oldest", np.zeros(len(items), np.int64)),
        campaigns=np.array(more.get("campaigns", []), CAMPAIGN),
        read_number=1,
    )


def snapshot_of(*items: dict[str, Any], sold: dict[int, tuple[int, ...]] | None = None, **more):
    """A snapshot of one live partition; `sold` are sums by minutes before now."""
    first = MINUTE - 8 * MINUTES_A_DAY
    cells = np.zeros(9 * MINUTES_A_DAY, TOTAL)
    for ago, cell in (sold or {}).items():
        cells[MINUTE - ago - first] = cell
    shard = ShardView(
        partition=0,
        clocks={"orders": NOW_MS, "stock": NOW_MS},
        applied_ms=NOW_MS - 11_000,
        counts={"orders:dead_lettered": 2, "stock:dead_lettered": 0, "shipments:folded": 1},
        waiting_records=0,
        history_from={},
        profile=[],
    )
    made = Snapshot(
        read_ms=NOW_MS + 500,
        changed_ms=None,
        shards=[shard],
        totals=Totals(first, cells),
        decisions=[],
        incidents=[],
        incidents_open=len(more.get("incidents", [])),
        acknowledged={},
        dead_letters=[],
        items=table_of(*items, **{k: more.pop(k) for k in list(more) if k in TABLE_FIELDS}),
    )
    return replace(made, **more)


TABLE_FIELDS = ("last_hour", "oldest", "campaigns")
SOLD = (6, 4, 3, 2, 1, 0)  # units, lines, orders, dispatched, cancelled, returned


def with_clock(snapshot: Snapshot, ms: int) -> Snapshot:
    """The same, with every log at another time."""
    (shard,) = snapshot.shards
    return replace(snapshot, shards=[replace(shard, clocks=dict.fromkeys(shard.clocks, ms))])


def test_replay_that_reads_one_topic_ahead_does_not_say_that_nobody_buys():
    """What is shown reaches as far as the orders of every partition are read."""
    orders_ms, stock_ms = NOW_MS - 2 * DAY_MS - 40 * MINUTE_MS, NOW_MS - 2 * DAY_MS
    snapshot = snapshot_of({}, sold={2 * MINUTES_A_DAY + 41: SOLD})
    (shard,) = snapshot.shards
    ahead = replace(shard, clocks={"orders": orders_ms, "stock": stock_ms})
    reported = now(replace(snapshot, shards=[ahead]))
    assert (reported.clock, reported.shop_ms, reported.feed) == (
        Clock.REPLAY,
        orders_ms,
        OrderFeed.SELLING,
    )


# --- now --------------------------------------------------------------------------------------


def test_speeds_are_means_of_whole_minutes():
    """Five whole minutes make the speed; the open minute stands apart."""
    reported = now(snapshot_of({}, sold={1: SOLD, 3: SOLD, 0: SOLD, 6: SOLD}))
    assert (reported.units.now, reported.lines.now) == (12 / 5, 8 / 5)
    assert (reported.units.this_minute, reported.lines.this_minute) == (6, 4)


def test_a_week_ago_is_known_only_if_the_log_reaches_there():
    """Without sales before it, a week ago is unknown and not 0."""
    assert now(snapshot_of({}, sold={1: SOLD})).units.week_ago is None
    week = 7 * MINUTES_A_DAY
    reported = now(snapshot_of({}, sold={week + 6: SOLD, week + 2: SOLD}))
    assert reported.units.week_ago == 6 / 5


@pytest.mark.parametrize(
    ("behind_ms", "sold", "feed"),
    [
        (0, {2: SOLD}, OrderFeed.SELLING),
        (0, {90: SOLD}, OrderFeed.NO_SALES),
        (NO_DATA_AFTER_MS, {2: SOLD}, OrderFeed.NO_DATA),
        (5 * HOUR_MS, {}, OrderFeed.NO_DATA),  # an outage of hours is no replay
    ],
)
def test_silence_is_distinguished_from_ignorance(behind_ms, sold, feed):
    """A log that is read up to now without a sale is quiet; one that is not says nothing."""
    snapshot = with_clock(snapshot_of({}, sold=sold), NOW_MS - behind_ms)
    reported = now(snapshot)
    assert (reported.feed, reported.clock) == (feed, Clock.LIVE)
    assert reported.lag_seconds == (behind_ms + 500) / 1000


def test_a_replay_follows_its_own_time():
    """Old events have no lag behind now; the delay is counted in their own time."""
    reported = now(replace(snapshot_of({}), read_ms=NOW_MS + 30 * DAY_MS))
    assert (reported.clock, reported.lag_seconds, reported.watermark_delay_seconds) == (
        Clock.REPLAY,
        None,
        11.0,
    )


def test_an_empty_shop_knows_nothing():
    """Nothing was read: no number is 0 that was not counted."""
    reported = now(replace(snapshot_of(), shards=[]))
    assert (reported.clock, reported.feed, reported.shop_ms) == (Clock.EMPTY, OrderFeed.NEVER, None)
    assert reported.units.now is None
    assert reported.watermark_delay_seconds is None


# --- speed, plan, items -----------------------------------------------------------------------

STEADY = {"demand_level_units_per_day": 24.0, "observed_days": 9, "on_hand_units": 10}


def test_one_sale_does_not_shake_the_speed_but_a_surge_does():
    """The last hour counts where it is clearly above the baseline rate of one an hour."""
    snapshot = snapshot_of(STEADY, STEADY, last_hour=np.array([3.0, 30.0]))
    units_per_hour, by_last_hour = speeds(snapshot)
    assert units_per_hour.tolist() == pytest.approx([1.0, 30.0])
    assert by_last_hour.tolist() == [False, True]


def test_a_running_campaign_is_in_the_plan():
    """Its units beyond the baseline are spread over its window, and only there."""
    line = (0, NOW_MS - HOUR_MS, NOW_MS + 9 * HOUR_MS, 610)
    snapshot = snapshot_of(STEADY, campaigns=[line], sold={30: SOLD})
    assert now(snapshot).units.plan == pytest.approx((1 + 60) / 60, abs=1e-3)
    plan = sales(snapshot_of(STEADY, campaigns=[line], sold={90: SOLD}), Span.HOUR).plan_units
    assert plan[-1] == pytest.approx((1 + 60) / 60, abs=1e-3)


def test_items_stand_by_what_runs_out_first():
    """Out and fast on top, then by minutes; what is not known or does not sell at the end."""
    snapshot = snapshot_of(
        {**STEADY, "on_hand_units": 100},
        {**STEADY, "on_hand_units": 0},
        {**STEADY, "on_hand_units": 5, "backlog_units": 3},
        {"on_hand_units": 7},
        {**STEADY, "on_hand_units": 0, "demand_level_units_per_day": 240.0},
        {**STEADY, "counted_at_ms": 0},
    )
    page = ItemsView(snapshot).page(ItemsQuery())
    assert [one.sku for one in page.items] == ["e", "b", "c", "a", "f", "d"]
    assert [one.minutes_to_zero for one in page.items] == [0.0, 0.0, 120.0, 6000.0, None, None]
    assert page.items[-2].available_units is None
    assert page.items[-1].speed_basis == Basis.UNKNOWN
    soon = ItemsView(snapshot).page(ItemsQuery(only="soon", limit=1))
    assert (soon.total, [one.sku for one in soon.items]) == (2, ["c"])
    reported = now(snapshot)
    assert (reported.items_out, reported.items_out_within_day) == (2, 1)
    assert reported.next_out is not None
    assert reported.next_out.minutes == 120.0


def test_pages_of_a_list_do_not_overlap():
    """Every item stands on exactly one page, in every order."""
    snapshot = snapshot_of(*[{**STEADY, "on_hand_units": n % 3} for n in range(20)])
    view = ItemsView(snapshot)
    for sort in ("minutes_to_zero", "speed", "stock", "backlog", "sku"):
        pages = [view.page(ItemsQuery(sort=sort, limit=7, offset=n)).items for n in (0, 7, 14)]
        assert sorted(one.sku for page in pages for one in page) == sorted(
            sku for sku, _ in snapshot.items.names
        )


def test_search_takes_several_words_of_sku_warehouse_and_category():
    """All of them have to be there, in any order."""
    folded = ["lamp north lights", "lamp south lights", "mug north kitchen"]
    snapshot = snapshot_of({}, {}, {})
    view = ItemsView(replace(snapshot, items=replace(snapshot.items, folded=folded)))
    for words, found in (("North lamp", ["a"]), ("LIGHTS", ["a", "b"]), ("lamp kitchen", [])):
        assert sorted(one.sku for one in view.page(ItemsQuery(query=words)).items) == found


def test_a_promise_needs_stock_or_a_date():
    """Goods on the shelf, an arrival to come, or no date; never a date that has passed."""
    later, past = NOW_MS + DAY_MS, NOW_MS - DAY_MS
    items = [
        ({"on_hand_units": 1}, Promise.FROM_STOCK),
        ({"next_due_ms": later}, Promise.NEXT_ARRIVAL),
        ({"next_due_ms": past}, Promise.NO_DATE),
        ({"counted_at_ms": 0, "on_hand_units": 9}, Promise.UNKNOWN),
    ]
    view = ItemsView(snapshot_of(*[fields for fields, _ in items]))
    assert [view.item(n).promise for n in range(4)] == [promise for _, promise in items]


def test_an_item_is_found_by_name_and_warehouse():
    """Without a warehouse the first one; a stranger is nobody."""
    table = replace(table_of({}, {}), names=[("lamp", "south"), ("lamp", "north")])
    assert place_of(table, "lamp", "") == 1
    assert place_of(table, "lamp", "south") == 0
    assert place_of(table, "lamp", "west") is None


# --- pictures ---------------------------------------------------------------------------------


def test_sales_begin_where_the_log_does():
    """Steps before the first sale are not shown as 0; the newest one is whole."""
    reported = sales(snapshot_of({}, sold={10: SOLD, 1: SOLD}), Span.HOUR)
    assert reported.from_ms[0] == NOW_MS - 10 * MINUTE_MS
    assert reported.from_ms[-1] == NOW_MS - MINUTE_MS
    assert reported.units == [1.2] * 5 + [0.0] * 4 + [1.2]
    assert reported.dispatched_units[0] == 0.4
    assert sales(replace(snapshot_of(), shards=[]), Span.DAY).from_ms == []


def test_headline_and_newest_point_of_the_picture_are_of_the_same_minutes():
    """Units, plan and the week before: two numbers of one screen do not contradict each other."""
    week = 7 * MINUTES_A_DAY
    sold = dict.fromkeys((1, 2, 4, 7, 9, week + 3, week + 5, week + 6, week + 200), SOLD)
    snapshot = snapshot_of({**STEADY, "on_hand_units": 9}, sold=sold)
    headline, picture = now(snapshot), sales(snapshot, Span.HOUR)
    assert headline.units.now == picture.units[-1] == 3.6
    assert headline.lines.now == picture.lines[-1]
    assert headline.units.week_ago == picture.week_ago_units[-1] == 2.4
    assert headline.units.plan == picture.plan_units[-1]


def test_projected_stock_is_a_saw_tooth():
    """It falls by the demand, jumps at arrivals, overdue ones at once; its range widens."""
    reported = projected_stock(
        start_ms=0,
        units=5,
        units_per_day=10,
        sd_per_day=2,
        arrivals=[(-DAY_MS, 3), (DAY_MS, 20), (9 * DAY_MS, 99)],
        until_ms=2 * DAY_MS,
    )
    at = {ms: [one.units for one in reported if one.at_ms == ms] for ms in (0, DAY_MS, 2 * DAY_MS)}
    assert at == {0: [5.0, 8.0], DAY_MS: [-2.0, 18.0], 2 * DAY_MS: [8.0]}
    widths = [one.high - one.low for one in reported]
    assert all(np.diff(widths) >= -0.02)  # given to the hundredth
    assert widths[0] == 0


# --- shipping, decisions, incidents -----------------------------------------------------------


def test_a_backlog_is_reported_with_its_oldest_order():
    """The longest wait first; it clears only if more leaves than comes."""
    snapshot = snapshot_of(
        {"backlog_units": 4},
        {},
        {"backlog_units": 9},
        oldest=np.array([NOW_MS - 1_000, 0, NOW_MS - 9_000]),
        sold={5: (10, 1, 1, 31, 1, 0)},
    )
    reported = shipping(snapshot, PageQuery(limit=1))
    assert (reported.backlog_units, reported.total, reported.items[0].sku) == (13, 2, "c")
    assert (reported.ordered_units_per_hour, reported.dispatched_units_per_hour) == (9.0, 31.0)
    assert reported.clear_minutes == pytest.approx(60 * 13 / 22, abs=0.1)
    assert reported.has_dispatches


def decided(**fields: Any) -> ReadDecision:
    """One decision."""
    record = np.zeros(1, DECISION)
    record["reason"], record["method"] = b"cost_optimal", b"dual"
    for name, value in fields.items():
        record[name] = value
    cursor = Cursor(int(record["reviewed_ms"][0]), 0, int(record["item"][0]), 0)
    return ReadDecision("lamp", "main", record[0], "EUR", cursor)


def test_other_splits_are_priced_beside_the_chosen_one():
    """What was ruled out has no price, also where it is cheaper; held decisions have none."""
    one = decided(
        quantity_flexible_units=3,
        expected_cost_nothing=120.0,
        expected_cost_lean_only=np.inf,
        expected_cost_flexible_only=100.5,
        expected_cost_both=99.0,
    )
    held = decided(**{f"expected_cost_{n}": np.inf for n in ("nothing", "lean_only")})
    page = decisions(snapshot_of(decisions=[held, one]), DecisionsQuery(only="ordered"))
    assert page is not None
    (reported,) = page.decisions
    assert reported.currency == "EUR"
    prices = {split.split: split.more_than_chosen for split in reported.splits}
    assert prices == {"nothing": 19.5, "lean_only": None, "flexible_only": 0.0, "both": None}
    assert [split.split for split in reported.splits if split.is_chosen] == ["flexible_only"]
    assert len(reported.po_ids) == 1
    both = decisions(snapshot_of(decisions=[held, one]), DecisionsQuery())
    assert both is not None
    assert all(split.more_than_chosen is None for split in both.decisions[0].splits)


def test_decisions_are_read_on_from_where_a_page_ended():
    """Pages of what is ready are full, and each begins after the last; then they must be read."""
    ready = [decided(reviewed_ms=9_000 - n, item=n) for n in range(5)]
    snapshot = snapshot_of(decisions=ready)
    first = decisions(snapshot, DecisionsQuery(limit=2))
    assert first is not None
    second = decisions(snapshot, DecisionsQuery(limit=2, before=first.next))
    assert second is not None
    shown = [one.decided_ms for one in (*first.decisions, *second.decisions)]
    assert shown == [9_000, 8_999, 8_998, 8_997]
    assert decisions(snapshot, DecisionsQuery(limit=2, before=second.next)) is None
    nothing = decisions(snapshot, DecisionsQuery(only="ordered"))
    assert nothing is not None
    assert (nothing.decisions, nothing.next) == ([], str(ready[-1].cursor))
    assert decisions(snapshot_of(), DecisionsQuery()).next is None


def alert(kind: AlertKind, number: int) -> Alert:
    """An open incident."""
    return Alert(
        state=AlertState.RAISED,
        incident_id=f"in-{number:020x}",
        version=1,
        kind=kind,
        subject=f"lamp-{number}@main",
        sku=f"lamp-{number}",
        warehouse="main",
        started_at="2026-03-04T15:00:00Z",
        occurred_at="2026-03-04T15:00:00Z",
        summary="something",
        action=INCIDENT_KINDS[kind].actions[0],
        figures={},
    )


def test_incidents_of_one_kind_are_one_line():
    """The grave kind first; each with its number, its action and a few of its members."""
    low, dead = AlertKind.LOW_COVER, AlertKind.DEAD_LETTERS
    alerts = [alert(dead, 0), *[alert(low, n) for n in range(1, 8)]]
    reported = incidents(snapshot_of(incidents=alerts), PageQuery(limit=2))
    assert [(group.kind, group.total) for group in reported.groups] == [(low, 7), (dead, 1)]
    assert len(reported.groups[0].newest) == 4
    assert (reported.total, len(reported.incidents)) == (8, 2)
    assert reported.incidents[0].severity == "high"


def test_line_of_a_kind_shows_what_most_of_them_need():
    """One item's promotion is no advice for the forty that need another order."""
    actions = INCIDENT_KINDS[AlertKind.LOW_COVER].actions
    alerts = [alert(AlertKind.LOW_COVER, n) for n in range(1, 6)]
    alerts = [alerts[0], *(msgspec.structs.replace(one, action=actions[2]) for one in alerts[1:])]
    (group,) = incidents(snapshot_of(incidents=alerts), PageQuery()).groups
    assert (group.action, group.action_total, group.total) == (actions[2], 4, 5)


def test_group_that_surges_on_several_partitions_is_one_incident():
    """Each partition tells its part under the same id; people see the whole, once."""
    parts = [
        msgspec.structs.replace(
            alert(AlertKind.BROAD_SURGE, 1), figures={"items": items, "orders": 3, "partition": n}
        )
        for n, items in enumerate((12, 30, 11))
    ]
    (whole, other) = put_together([*parts, alert(AlertKind.SURGE, 2)])
    assert (whole.figures["items"], whole.figures["orders"]) == (53, 9)
    assert whole.figures["partition"] == 1  # the largest part stands for all
    assert other.kind == AlertKind.SURGE
