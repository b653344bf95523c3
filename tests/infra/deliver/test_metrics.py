"""What Prometheus sees of an outbox."""

from pathlib import Path

from prometheus_client import CollectorRegistry

from infra.deliver.metrics import OutboxMetrics
from infra.deliver.outbox import DestinationState, Outbox, State
from tests.infra.deliver.orders import NOW_S, message, put_in


def test_figures_of_each_destination(tmp_path: Path) -> None:
    """What waits and for how long, what is refused, who is dead; zero where there is nothing."""
    outbox, registry = Outbox(tmp_path), CollectorRegistry()
    put_in(outbox, message(), message("po-2"))
    first = outbox.listed()[0]
    outbox.end(first, State.REFUSED, "no", NOW_S, NOW_S)
    outbox.set_destination(DestinationState("erp", "HTTP 410", NOW_S, 0.0, 1))
    metrics = OutboxMetrics(outbox, ["erp", "mail"], registry, lambda: NOW_S + 90)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"tidegate_delivery_{name}", labels)

    assert value("messages", destination="erp", state="waiting") == 1
    assert value("messages", destination="erp", state="refused") == 1
    assert value("oldest_seconds", destination="erp") == 90
    assert value("dead", destination="erp") == 1
    assert value("messages", destination="mail", state="waiting") == 0
    assert value("oldest_seconds", destination="mail") == 0
    assert value("dead", destination="mail") == 0
    outbox.end(outbox.listed()[1], State.DELIVERED, "ok", NOW_S, NOW_S)
    metrics.look()
    assert value("oldest_seconds", destination="erp") == 0
