"""Prometheus metrics of a worker. Label sets are bounded: topics, outcomes, partitions; no SKU.

A counter counts what this process stored: `increase()` over all workers is what happened, also
while partitions move. What a shard has is a gauge; gauges are read from the shards at each scrape.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client import Counter as CounterMetric
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from infra.metrics.unpublished import Unpublished
from streams.contracts.events import TOPICS
from streams.handover.rules import HoldReason
from streams.shard.folding import DEAD_LETTERED, NEW_ORDERS, REVIEWS, SOLD_UNITS
from streams.state.open_lines import WRITTEN_OFF_UNITS
from streams.timestamps import NO_CLOCK
from streams.worker.shard_task import ShardTask
from streams.worker.worker import Worker

OUTCOMES = ("folded", "folded_late", "duplicate", "late", "heartbeat", DEAD_LETTERED)
_COMMIT_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_VISIBLE_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class WorkerMetrics:
    """The worker's `Observer`: what is measured as it happens."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._commit = Histogram(
            "tidegate_commit_duration_seconds",
            "Time from the start of a commit to Redis's answer.",
            buckets=_COMMIT_BUCKETS,
            registry=registry,
        )
        self._visible = Histogram(
            "tidegate_record_visible_seconds",
            "Time from when a commit's newest record was written to Kafka until it is in Redis.",
            buckets=_VISIBLE_BUCKETS,
            registry=registry,
        )
        self._committed_at = Gauge(
            "tidegate_last_commit_timestamp_seconds",
            "When Redis last stored something.",
            registry=registry,
        )
        self._redis_memory = Gauge(
            "tidegate_redis_memory_used_ratio",
            "Share of Redis's maxmemory that is used; 0 where it has no limit.",
            registry=registry,
        )
        self._counters = _counters(registry)
        self._failures = CounterMetric(
            "tidegate_retries",
            "Times that something outside failed and was tried again.",
            ["operation"],
            registry=registry,
        )
        for operation in (
            *("lease", "load", "commit", "ping"),
            *(
                "commit_loop",
                "publish_loop",
                "offsets_loop",
                "heartbeat_loop",
                "store_loop",
                "overdue_loop",
                "gate_loop",
            ),
        ):
            self._failures.labels(operation)

    def committed(self, seconds: float, visible_seconds: float) -> None:
        """Note a commit."""
        self._commit.observe(seconds)
        self._visible.observe(max(0.0, visible_seconds))
        self._committed_at.set_to_current_time()

    def redis_memory(self, used_ratio: float) -> None:
        """Note how full Redis is."""
        self._redis_memory.set(used_ratio)

    def counted(self, added: Mapping[str, int]) -> None:
        """Note what a commit added to the totals of its shard."""
        for name, count in added.items():
            if name in self._counters:
                self._counters[name].inc(count)

    def failed(self, what: str) -> None:
        """Note a failure that is tried again."""
        self._failures.labels(what).inc()


def _counters(registry: CollectorRegistry) -> dict[str, CounterMetric]:
    """Return the counters by the names of `Shard.counted`, each of them at 0."""
    records = CounterMetric(
        "tidegate_records",
        "Records stored by this process, by what became of them; folded_late is part of folded.",
        ["topic", "outcome"],
        registry=registry,
    )
    by_outcome = {
        f"{topic}:{outcome}": records.labels(topic, outcome)
        for topic in TOPICS
        for outcome in OUTCOMES
    }
    others = {
        NEW_ORDERS: ("tidegate_orders", "Distinct orders of an item, by item."),
        SOLD_UNITS: ("tidegate_sold_units", "Units ordered, before cancellations."),
        REVIEWS: ("tidegate_reviews", "Decisions made, orders or not."),
        WRITTEN_OFF_UNITS: (
            "tidegate_written_off_units",
            "Units that left the backlog because more than open_lines order lines were open.",
        ),
    }
    alone = {name: CounterMetric(*one, registry=registry) for name, one in others.items()}
    return {**by_outcome, **alone}


class ShardCollector(Collector):
    """Reads the shards of a worker on each scrape."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._unpublished = Unpublished()

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked of the worker when this is registered."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Return all families."""
        task = dict(self._worker.tasks)
        yield from self._times(task)
        yield from self._sizes(task)
        yield self._lag(task)
        yield self._margin(task)
        yield self._lag_seconds()
        yield from self._handover(task)
        yield _gauge(
            "tidegate_oldest_unpublished_seconds",
            "For how long the oldest record that nothing holds has waited for Kafka; 0 if none.",
            self._unpublished.seconds(task),
        )
        yield _gauge(
            "tidegate_ready", "Whether the worker is ready.", float(not self._worker.faults())
        )
        yield _gauge(
            "tidegate_redis_up",
            "Whether Redis answered when it was last asked.",
            float(self._worker.store_failed_since is None),
        )

    def _times(self, task: dict[int, ShardTask]) -> Iterable[Metric]:
        newest = GaugeMetricFamily(
            "tidegate_newest_event_timestamp_seconds",
            "Event time of the newest record, heartbeats among them; the oldest of all partitions.",
            labels=["topic"],
        )
        clocks: dict[str, list[int]] = {topic: [] for topic in TOPICS}
        watermark = GaugeMetricFamily(
            "tidegate_watermark_timestamp_seconds",
            "Event time up to which a partition is decided.",
            labels=["partition"],
        )
        horizon = GaugeMetricFamily(
            "tidegate_dedupe_horizon_seconds",
            "Event time that the memory of event ids reaches back, the shortest of all partitions.",
            labels=["topic"],
        )
        horizons: dict[str, list[int]] = {topic: [] for topic in TOPICS}
        for partition, one in task.items():
            if one.shard.watermark_ms != NO_CLOCK:
                watermark.add_metric([str(partition)], one.shard.watermark_ms / 1000)
            for topic, clock_ms in one.shard.clocks.items():
                clocks[topic].append(clock_ms)
            for topic, seconds in one.shard.dedupe_horizon_s().items():
                horizons[topic].append(seconds)
        for topic, seconds_of in horizons.items():
            horizon.add_metric([topic], min(seconds_of, default=0))
        for topic, clocks_ms in clocks.items():
            if (oldest := min(clocks_ms, default=NO_CLOCK)) != NO_CLOCK:
                newest.add_metric([topic], oldest / 1000)
        yield newest
        yield watermark
        yield self._groups(task)
        yield horizon

    def _groups(self, task: dict[int, ShardTask]) -> Metric:
        judged = GaugeMetricFamily(
            "tidegate_groups_timestamp_seconds",
            "Event time up to which shop, categories and campaigns are judged, in one worker.",
        )
        for one in task.values():
            groups = one.shard.groups
            if groups is not None and groups.inbox.applied_ms:
                judged.add_metric([], groups.inbox.applied_ms / 1000)
        return judged

    def _sizes(self, task: dict[int, ShardTask]) -> Iterable[Metric]:
        shards = [one.shard for one in task.values()]
        sizes = {
            "tidegate_shards": ("Shards that this worker owns.", len(shards)),
            "tidegate_items": ("Items known.", sum(len(s.timeline.items) for s in shards)),
            "tidegate_pending_events": (
                "Events that wait for their time.",
                sum(len(s.timeline.pending) for s in shards),
            ),
            "tidegate_open_purchase_orders": (
                "Purchase orders that are not closed.",
                sum(len(s.timeline.supply) for s in shards),
            ),
            "tidegate_outbox_records": (
                "Records that are stored and not yet known to be in Kafka.",
                sum(len(s.outbox) for s in shards),
            ),
        }
        for name, (text, value) in sizes.items():
            yield _gauge(name, text, float(value))

    def _handover(self, task: dict[int, ShardTask]) -> Iterable[Metric]:
        is_open = GaugeMetricFamily(
            "tidegate_handover_open",
            "Whether a partition's purchase orders may be published (1) or not (0).",
            labels=["partition"],
        )
        closed = GaugeMetricFamily(
            "tidegate_handover_closed_partitions",
            "Partitions whose purchase orders are held, by reason.",
            labels=["reason"],
        )
        held = GaugeMetricFamily(
            "tidegate_held_orders", "Purchase orders held back, by reason.", labels=["reason"]
        )
        reasons: Counter[HoldReason] = Counter()
        orders: Counter[HoldReason] = Counter()
        for partition, one in task.items():
            is_open.add_metric([str(partition)], float(one.gate.is_open))
            reasons.update(one.gate.reasons)
            orders.update(one.held.values())
        for reason in HoldReason:
            closed.add_metric([reason], reasons[reason])
            held.add_metric([reason], orders[reason])
        yield from (is_open, closed, held)
        text = "Pauses in force."
        yield _gauge("tidegate_pauses", text, float(len(self._worker.controls().pauses)))

    def _lag(self, task: dict[int, ShardTask]) -> Metric:
        family = GaugeMetricFamily(
            "tidegate_consumer_lag_records",
            "Records in Kafka that are not in Redis yet.",
            labels=["topic", "partition"],
        )
        for (topic, partition), lag in self._worker.progress.lag_records().items():
            if partition in task:
                family.add_metric([topic, str(partition)], lag)
        return family

    def _margin(self, task: dict[int, ShardTask]) -> Metric:
        family = GaugeMetricFamily(
            "tidegate_log_margin_records",
            "Records of Kafka that retention deletes before it reaches one that is not in Redis.",
            labels=["topic", "partition"],
        )
        for (topic, partition), margin in self._worker.progress.margin_records().items():
            if partition in task:
                family.add_metric([topic, str(partition)], margin)
        return family

    def _lag_seconds(self) -> Metric:
        family = GaugeMetricFamily(
            "tidegate_consumer_lag_seconds",
            "Age of the newest record in Redis while others wait in Kafka; 0 if none waits.",
            labels=["partition"],
        )
        for partition, seconds in self._worker.progress.lag_seconds().items():
            family.add_metric([str(partition)], seconds)
        return family


def _gauge(name: str, text: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, text)
    family.add_metric([], value)
    return family


def make_registry(page_url: str = "", grafana_url: str = "") -> CollectorRegistry:
    """Return a registry with the process: its memory, processor time, files, and its start.

    Args:
        page_url: of the page, to which alerts link.
        grafana_url: of Grafana, likewise.
    """
    # A second series for each counter, which says when it was made.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    started = _gauge("tidegate_start_timestamp_seconds", "When the worker started.", time.time())

    links = GaugeMetricFamily(
        "tidegate_links_info",
        "1, with the addresses that links in alerts begin with.",
        labels=["page_url", "grafana_url"],
    )
    links.add_metric([page_url, grafana_url], 1.0)

    class Started(Collector):
        def collect(self) -> Iterable[Metric]:
            yield started
            yield links

    registry.register(Started())
    ProcessCollector(registry=registry)  # yields nothing outside of Linux
    return registry
