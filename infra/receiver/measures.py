"""What the receiver counts, by source."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

_SOURCE = ["source"]


class Measures:
    """Counters of one process, for `/metrics`."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.received = Counter(
            "tidegate_connect_received_total",
            "Webhooks that came in, by what was answered.",
            ["source", "answer"],
            registry=registry,
        )
        self.messages = Counter(
            "tidegate_connect_messages_total",
            "Messages that were read, by source.",
            _SOURCE,
            registry=registry,
        )
        self.events = Counter(
            "tidegate_connect_events_total",
            "Events that they gave, by source and input topic.",
            ["source", "topic"],
            registry=registry,
        )
        self.refused = Counter(
            "tidegate_connect_refused_total",
            "Messages of which something was refused, by source.",
            _SOURCE,
            registry=registry,
        )
        self.left_out = Counter(
            "tidegate_connect_left_out_total",
            "Order lines that were left out, by source and reason.",
            ["source", "reason"],
            registry=registry,
        )
        self.lines = Gauge(
            "tidegate_connect_ledger_lines",
            "Order lines that are remembered, by source.",
            _SOURCE,
            registry=registry,
        )
        self.last = Gauge(
            "tidegate_connect_last_message_timestamp_seconds",
            "When the newest message of a source was written to its log.",
            _SOURCE,
            registry=registry,
        )
        self.waiting = Gauge(
            "tidegate_connect_waiting_records",
            "Messages that lie in Kafka and are not read yet.",
            registry=registry,
        )

    def text(self) -> bytes:
        """Return what a scrape gets."""
        return bytes(generate_latest(self.registry))
