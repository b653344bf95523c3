"""Every query of dashboards and runbooks, on a real Prometheus that scrapes a running worker."""

import re
from pathlib import Path
from typing import Any

from grafana.boards import BOARDS
from tests.programs import program
from tests.system.conftest import Events, Install
from tests.system.support.prometheus_server import PrometheusServer
from tests.system.support.running import eventually

ROOT = Path(__file__).parents[2]
RULES = ROOT / "grafana" / "rules" / "tidegate.yaml"
_SALE_SECONDS = 8.0
_RATE_INTERVAL = "8s"
_OF_LAST_WEEK = "offset 1w"  # a sale of seconds has no last week


def queries() -> list[str]:
    """What people look at: panels, and the queries that a runbook tells them to run."""
    shown = [query for board in BOARDS for query in board.queries()]
    for page in sorted((ROOT / "grafana" / "runbooks").glob("*.md")):
        shown += re.findall(r"```promql\n(.*?)\n```", page.read_text(), re.DOTALL)
    asked = {query.replace("$__rate_interval", _RATE_INTERVAL) for query in shown}
    return sorted(query for query in asked if _OF_LAST_WEEK not in query)


async def test_every_query_finds_data_while_a_sale_runs(
    install: Install, sale: tuple[Events, dict[str, Any]], tmp_path: Path
) -> None:
    """A panel or a runbook that shows nothing on a healthy sale would show nothing on a bad day."""
    found = program("prometheus")
    tidegate = await install()
    worker = await tidegate.add_ready_worker()
    events = sale[0]
    with PrometheusServer(tmp_path / "prometheus", found, [worker.address], RULES) as prometheus:
        speed = events.speed_for(_SALE_SECONDS)
        result = await tidegate.replay(events.records, speed=speed)
        await tidegate.wait_until_stored(result)
        left = queries()

        def all_answered() -> bool:
            left[:] = [query for query in left if not prometheus.ask(query)]
            return not left

        await eventually(
            all_answered,
            "every query has data",
            seconds=30,
            every=0.5,
            explain=lambda: "\n".join(left),
        )
        firing = {one["metric"]["alertname"] for one in prometheus.ask("ALERTS")}
        assert {"TidegateWatchdog", "TidegateDeadLetters"} <= firing
        assert "TidegateDown" not in firing
        worker.kill()
        await eventually(
            lambda: prometheus.ask('ALERTS{alertname="TidegateDown"}'),
            "Prometheus misses the worker",
        )
