"""The real Prometheus on a free loopback port, scraping workers and evaluating our rules."""

import contextlib
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.local.embedded import ServerProcess

_SCRAPE = "1s"


class PrometheusServer(ServerProcess):
    """Scrapes once a second.

    Args:
        directory: takes its data, its configuration and its log.
        program: where Prometheus is.
        targets: `host:port` of workers.
        rules: file of rules; evaluated once a second here, whatever it says.
    """

    name = "prometheus"

    def __init__(self, directory: Path, program: str, targets: Sequence[str], rules: Path) -> None:
        super().__init__(directory)
        self._program = program
        self._targets = list(targets)
        self._rules = rules

    def _command(self) -> list[str]:
        rules = self.directory / "rules.yaml"
        text = self._rules.read_text()
        rules.write_text(text.replace("interval: 15s", "interval: 1s").replace("30s", "1s"))
        config = self.directory / "prometheus.json"
        config.write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": _SCRAPE, "evaluation_interval": _SCRAPE},
                    "rule_files": [str(rules)],
                    "scrape_configs": [
                        {"job_name": "tidegate", "static_configs": [{"targets": self._targets}]}
                    ],
                }
            )
        )
        return [
            self._program,
            f"--config.file={config}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]

    def _answers(self) -> bool:
        with contextlib.suppress(urllib.error.URLError):
            urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=1).close()
            return True
        return False

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return the series that a query has now; raise `HTTPError` where it is none."""
        encoded = urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(
            f"http://{self.address}/api/v1/query?{encoded}", timeout=10
        ) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result
