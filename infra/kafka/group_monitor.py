"""What the stream runtime tells of the consumer group: our own Faust monitor.

Faust's own exports milliseconds under names off the convention, and times every event, which whole
batches make needless. What is left is what an engineer asks in the night: does the group settle?
"""

import time
from typing import Any

from faust.sensors.base import Sensor
from prometheus_client import CollectorRegistry, Counter, Histogram

_BUCKETS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class GroupMonitor(Sensor):  # type: ignore[misc]
    """Counts rebalances of the consumer group, and how long each takes.

    Args:
        registry: where its metrics are shown.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._rebalances = Counter(
            "tidegate_rebalances", "Rebalances of the consumer group that began.", registry=registry
        )
        self._rebalance_seconds = Histogram(
            "tidegate_rebalance_duration_seconds",
            "From a rebalance's start until this worker reads again; loading shards is part of it.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self._failed_assignments = Counter(
            "tidegate_failed_assignments",
            "Times that this worker, leading the group, could not share out the partitions.",
            registry=registry,
        )

    def on_rebalance_start(self, app: Any) -> dict[str, float]:
        """Note that partitions are being moved."""
        self._rebalances.inc()
        return {"started": time.monotonic()}

    def on_rebalance_end(self, app: Any, state: dict[str, float]) -> None:
        """Note that reading goes on."""
        self._rebalance_seconds.observe(time.monotonic() - state["started"])

    def on_assignment_error(self, assignor: Any, state: Any, exc: BaseException) -> None:
        """Note that the group could not be settled."""
        self._failed_assignments.inc()
