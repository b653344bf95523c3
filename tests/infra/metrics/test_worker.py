"""Invariant 7: bounded label sets and names by the rules, whatever the SKUs."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from infra.control.entries import Acknowledged
from infra.kafka.group_monitor import GroupMonitor
from infra.metrics.shop import ITEMS_SHOWN, ShopCollector
from infra.metrics.worker import OUTCOMES, ShardCollector, WorkerMetrics, make_registry
from streams.contracts.alerts import AlertKind
from streams.contracts.events import TOPICS, Item
from streams.contracts.ids import incident_id
from streams.contracts.purchase_orders import SupplierRole
from streams.handover.rules import Controls, HoldReason
from streams.incidents.group_incidents import GroupIncident
from streams.settings import ShardSettings
from streams.state.open_orders import OpenOrder
from streams.worker.shard_task import ShardTask
from tests.oracle import DAY
from tests.streams.logs import START_MS, catalog_line, event, heartbeat
from tests.streams.runs import SETTINGS, Run


class Worker:
    """What the collector reads of a worker."""

    def __init__(self, *runs: Run, acknowledged: dict[str, Acknowledged] | None = None) -> None:
        self.acknowledged = acknowledged or {}
        self.tasks = {
            number: ShardTask(run.shard, None, dict(run.shard.offsets))
            for number, run in enumerate(runs)
        }
        self.progress = self
        self.shards = [run.shard for run in runs]
        self.store_failed_since = None
        self.counted: Counter[str] = Counter()  # by this process, as its commits said
        for run in runs:
            self.counted.update(run.shard.counted())

    def lag_seconds(self) -> dict[int, float]:
        """Nothing lags."""
        return dict.fromkeys(self.tasks, 0.0)

    def controls(self) -> Controls:
        """Nobody paused anything."""
        return Controls()

    def faults(self) -> list[str]:
        """Nothing is wrong."""
        return []

    def lag_records(self) -> dict[tuple[str, int], int]:
        """Three records everywhere."""
        return {(topic, partition): 3 for topic in TOPICS for partition in self.tasks}

    def margin_records(self) -> dict[tuple[str, int], int]:
        """Retention may delete five records of each log."""
        return {(topic, partition): 5 for topic in TOPICS for partition in self.tasks}


def run_of(skus: int, settings: ShardSettings = SETTINGS) -> Run:
    """A shard that knows so many SKUs."""
    run = Run(settings)
    log = [
        (
            event("placed", f"e{n}", START_MS, (f"sku {n}\n", "main"), order_id="o", quantity=1),
            START_MS,
        )
        for n in range(skus)
    ]
    run.read("orders", [*log, *log[:5], (b"{", START_MS)])
    for topic in TOPICS:
        run.read(topic, [(heartbeat(START_MS + DAY), START_MS + DAY)])
    run.advance_fully()
    return run


def registry_of(worker: Worker) -> CollectorRegistry:
    """Everything that a worker exposes."""
    registry = make_registry()
    observer = WorkerMetrics(registry)
    observer.committed(0.01, 0.02)
    observer.counted(worker.counted)
    registry.register(ShardCollector(worker))
    registry.register(ShopCollector(worker, lambda: worker.acknowledged))
    GroupMonitor(registry)
    return registry


def series_of(worker: Worker) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every series of a scrape."""
    text = generate_latest(registry_of(worker)).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_number_of_series_does_not_depend_on_the_skus():
    """Ten thousand SKUs bring not one series more than one SKU."""
    few, many = series_of(Worker(run_of(1))), series_of(Worker(run_of(10_000)))
    assert few.keys() == many.keys()
    assert len(many) < 220
    assert many["tidegate_items", ()] == 10_000


def test_labels_are_of_closed_sets():
    """Topics, outcomes, partitions, operations and buckets; a new label has to be added here."""
    allowed = {
        "topic": set(TOPICS),
        "outcome": set(OUTCOMES),
        "partition": {"0", "1"},
        "kind": set(AlertKind),
        "acknowledged": {"no", "yes"},
        "supplier_role": set(SupplierRole),
        "operation": {
            *("lease", "load", "commit", "ping"),
            *("commit_loop", "publish_loop", "offsets_loop", "heartbeat_loop"),
            *("store_loop", "overdue_loop", "gate_loop"),
        },
        "reason": set(HoldReason),
        "page_url": {""},
        "grafana_url": {""},
        "currency": {""},  # beside it, those of the catalog
    }
    for _, labels in series_of(Worker(run_of(3), run_of(3))):
        for name, value in labels:
            if name != "le":
                assert value in allowed[name]


def test_names_follow_the_rules():
    """Prefix, base units, counters in _total, and a help text for each."""
    text = generate_latest(registry_of(Worker(run_of(2)))).decode()
    for family in text_string_to_metric_families(text):
        if family.name.startswith("process_"):  # the client's own names
            continue
        assert family.name.startswith("tidegate_")
        assert re.fullmatch(r"[a-z][a-z0-9_]*", family.name)
        assert family.documentation.endswith(".")
        assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|percent)(_|$)", family.name)
        for sample in family.samples:
            if family.type == "counter":
                assert sample.name.endswith(("_total", "_created"))
            else:
                assert not sample.name.endswith("_total")


def test_every_label_is_there_from_the_start():
    """Rates need the zero: a worker without partitions shows each outcome and operation at 0."""
    series = series_of(Worker())
    for topic in TOPICS:
        for outcome in OUTCOMES:
            labels = (("outcome", outcome), ("topic", topic))
            assert series["tidegate_records_total", labels] == 0
    loops = ("commit_loop", "publish_loop", "offsets_loop", "heartbeat_loop")
    for operation in ("lease", "load", "commit", *loops):
        assert series["tidegate_retries_total", (("operation", operation),)] == 0


def test_records_are_counted_by_what_became_of_them():
    """The accounting of invariant 4, as Prometheus sees it, summed over partitions."""
    series = series_of(Worker(run_of(7), run_of(9)))

    def records(outcome: str) -> float:
        return series["tidegate_records_total", (("outcome", outcome), ("topic", "orders"))]

    assert records("folded") == 16
    assert records("duplicate") == 10
    assert records("dead_lettered") == 2
    assert records("heartbeat") == 2
    assert records("late") == 0
    assert series["tidegate_shards", ()] == 2
    assert series["tidegate_ready", ()] == 1


def test_history_that_comes_with_a_partition_is_in_no_counter():
    """A worker takes over shards with a history and stores nothing: `increase()` stays 0."""
    worker = Worker(run_of(7), run_of(9))
    worker.counted.clear()
    families = list(registry_of(worker).collect())
    ours = [family for family in families if family.name.startswith("tidegate_")]
    counters = [family for family in ours if family.type == "counter"]
    assert {"tidegate_records", "tidegate_orders"} <= {family.name for family in counters}
    for family in counters:
        assert {sample.value for sample in family.samples} == {0}, family.name


def test_watermark_and_horizon_are_seconds():
    """Base units: seconds since 1970, and seconds of event time."""
    series = series_of(Worker(run_of(2)))
    watermark = series["tidegate_watermark_timestamp_seconds", (("partition", "0"),)]
    assert watermark == (START_MS + DAY - SETTINGS.allowed_lateness_ms) / 1000
    assert series["tidegate_dedupe_horizon_seconds", (("topic", "orders"),)] == DAY // 1000
    lag = (("partition", "0"), ("topic", "orders"))
    assert series["tidegate_consumer_lag_records", lag] == 3
    assert series["tidegate_log_margin_records", lag] == 5


def test_items_that_run_out_first_are_shown_and_no_more():
    """The top-k is bounded, and leaves out items whose stock is not known; one unit is promised."""
    run = run_of(3 * ITEMS_SHOWN)
    rows = run.shard.timeline.items.rows[: 3 * ITEMS_SHOWN]
    rows["counted_at_ms"] = START_MS
    rows["on_hand_units"] = np.arange(3 * ITEMS_SHOWN)
    rows["demand_level_units_per_day"] = 2.0
    rows["counted_at_ms"][0] = 0
    shown = {
        labels: value
        for (name, labels), value in series_of(Worker(run)).items()
        if name == "tidegate_item_cover_seconds"
    }
    half_days = [n * DAY / 1000 / 2 for n in range(ITEMS_SHOWN)]
    assert sorted(shown.values()) == half_days


def test_items_short_are_weighed_by_the_money_of_their_demand():
    """By currency, and apart what somebody has acknowledged; an item without a price has none."""
    run = run_of(4)
    items, catalog = run.shard.timeline.items, run.shard.timeline.catalog
    items.rows["low_cover_since_ms"][:3] = START_MS
    items.rows["demand_level_units_per_day"][:4] = 10.0
    for item, currency in ((0, "EUR"), (1, "EUR"), (3, "EUR")):
        line = catalog_line("c", START_MS, items.names[item], currency=currency)
        catalog[item] = msgspec.json.decode(line, type=Item)
    word = taken(AlertKind.LOW_COVER, items.key(1), START_MS)
    shown = {
        tuple(value for _, value in labels): amount
        for (name, labels), amount in series_of(Worker(run, acknowledged=word)).items()
        if name == "tidegate_short_sales_per_day"
    }
    assert shown == {("no", ""): 0, ("yes", ""): 0, ("no", "EUR"): 40, ("yes", "EUR"): 40}


def test_process_is_measured():
    """Memory, processor time and open files of the worker, where the system tells them."""
    names = {name for name, _ in series_of(Worker())}
    if Path("/proc/self/stat").exists():
        assert {"process_resident_memory_bytes", "process_cpu_seconds_total"} <= names
        assert {"process_open_fds", "process_max_fds"} <= names


def test_hostile_name_of_an_item_is_escaped():
    """Quotes, backslashes and newlines in a SKU do not break the exposition."""
    run = run_of(1)
    run.shard.timeline.items.names[0] = ('a"b\\c\nd', "main")
    rows = run.shard.timeline.items.rows
    rows["counted_at_ms"], rows["demand_level_units_per_day"] = START_MS, 1.0
    labels = dict.fromkeys([("sku", 'a"b\\c\nd'), ("warehouse", "main")])
    assert ("tidegate_item_cover_seconds", tuple(labels)) in series_of(Worker(run))


def test_demand_is_counted_in_orders_and_units():
    """Two shards with seven and nine orders of one unit; nothing is dispatched."""
    series = series_of(Worker(run_of(7), run_of(9)))
    assert series["tidegate_orders_total", ()] == 16
    assert series["tidegate_sold_units_total", ()] == 16
    assert series["tidegate_backlog_units", ()] == 16
    assert series["tidegate_newest_order_timestamp_seconds", ()] == START_MS // 60_000 * 60
    assert series["tidegate_oldest_open_order_timestamp_seconds", ()] <= START_MS / 1000


def test_units_that_left_the_backlog_are_counted(caplog):
    """Two are remembered, at most four: when the fifth comes, two of one unit are written off."""
    few = replace(SETTINGS, timeline=replace(SETTINGS.timeline, open_lines=2))
    series = series_of(Worker(run_of(5, few)))
    assert series["tidegate_backlog_units", ()] == 3
    assert series["tidegate_written_off_units_total", ()] == 2
    assert "partition 0: 2 open order lines of 2 units are written off" in caplog.text
    assert series_of(Worker(run_of(5)))["tidegate_written_off_units_total", ()] == 0


def incidents_of(worker: Worker, acknowledged: str = "no") -> dict[AlertKind, float]:
    """Open incidents of each kind that somebody has acknowledged, or not."""
    series = series_of(worker)
    labels = {kind: (("acknowledged", acknowledged), ("kind", kind)) for kind in AlertKind}
    return {kind: series["tidegate_incidents_open", labels[kind]] for kind in AlertKind}


def taken(kind: AlertKind, subject: str, began_ms: int) -> dict[str, Acknowledged]:
    """Somebody's word on an incident."""
    name = incident_id(kind, subject, began_ms)
    entry = Acknowledged(who="Ada", why="", incident_id=name, alert=kind, subject=subject)
    return {name: entry}


def test_incident_that_somebody_has_acknowledged_is_distinguished():
    """It is this very incident: of the same item a later one, or one of another kind, is not it."""
    run = run_of(5)
    items = run.shard.timeline.items
    items.rows["surge_since_ms"][:3] = START_MS
    word = taken(AlertKind.SURGE, items.key(1), START_MS)
    worker = Worker(run, acknowledged=word)
    assert incidents_of(worker)[AlertKind.SURGE] == 2
    assert incidents_of(worker, "yes")[AlertKind.SURGE] == 1
    items.rows["surge_since_ms"][1] = START_MS + 1  # it was resolved, and another one began
    assert incidents_of(worker)[AlertKind.SURGE] == 3
    for other in (taken(AlertKind.LOW_COVER, items.key(0), START_MS), taken("new kind", "x", 1)):
        assert not any(incidents_of(Worker(run, acknowledged=other), "yes").values())


def test_incidents_of_inputs_and_groups_are_acknowledged_too():
    """The groups are judged in one shard; dead letters of another partition are not its own."""
    run, since = run_of(0), START_MS
    groups, inputs = run.shard.groups, run.shard.timeline.alerts.inputs
    assert groups is not None
    groups.silent_since_ms = inputs.dead_letters_since_ms = since
    groups.incidents.surges.open["shop"] = GroupIncident(window_ms=since)
    groups.incidents.shortfalls.open["campaign:spring"] = GroupIncident(window_ms=since)
    words = {
        **taken(AlertKind.STALE_INPUT, "orders", since),
        **taken(AlertKind.BROAD_SURGE, "shop", since),
        **taken(AlertKind.PLAN_SHORTFALL, "campaign:spring", since),
        **taken(AlertKind.DEAD_LETTERS, "inputs/0", since),
    }
    found = incidents_of(Worker(run, acknowledged=words), "yes")
    kinds = ("stale_input", "broad_surge", "plan_shortfall", "dead_letters")
    assert [found[AlertKind(kind)] for kind in kinds] == [1, 1, 1, 1]
    other = taken(AlertKind.DEAD_LETTERS, "inputs/1", since)
    assert incidents_of(Worker(run, acknowledged=other), "yes")[AlertKind.DEAD_LETTERS] == 0


def test_late_order_that_somebody_looks_after_is_distinguished():
    """By supplier, and whether anybody has taken it on."""
    run = run_of(1)
    for number in range(3):
        order = OpenOrder(
            po_id=f"po-{number}",
            item=0,
            role=SupplierRole.LEAN,
            supplier="acme",
            quantity=5,
            outstanding=5,
            due_ms=START_MS,
            is_assumed=False,
            late_since_ms=START_MS,
        )
        run.shard.timeline.supply.open(order)
    word = taken(AlertKind.LATE_DELIVERY, "po-1", START_MS)
    series = series_of(Worker(run, acknowledged=word))
    late = "tidegate_late_purchase_orders"
    assert series[late, (("acknowledged", "no"), ("supplier_role", "lean"))] == 2
    assert series[late, (("acknowledged", "yes"), ("supplier_role", "lean"))] == 1
