"""The real Alertmanager with our configuration, and receivers that note what they get."""

import contextlib
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller

from infra.local.embedded import LOOPBACK, ServerProcess, free_port

CONFIG = Path(__file__).parents[2] / "infra" / "deploy" / "alertmanager" / "alertmanager.yaml"


class Receivers:
    """A webhook and a mail server on free loopback ports."""

    def __init__(self) -> None:
        self.notices: list[tuple[str, dict[str, Any]]] = []  # receiver, body
        self.mails: list[tuple[list[str], str]] = []  # addresses, text
        receivers = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receivers.notices.append((self.path.strip("/"), body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """The test's own output is enough."""

        self._web = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._web.serve_forever, daemon=True)
        self._mail = Controller(self, hostname=LOOPBACK, port=free_port())

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take a mail."""
        self.mails.append((envelope.rcpt_tos, envelope.content.decode(errors="replace")))
        return "250 taken"

    @property
    def web_url(self) -> str:
        """Where notices go."""
        return f"http://{LOOPBACK}:{self._web.server_port}"

    @property
    def mail_address(self) -> str:
        """Where mails go."""
        return f"{LOOPBACK}:{self._mail.port}"

    def of(self, receiver: str) -> list[dict[str, Any]]:
        """What one receiver got, in order."""
        return [body for name, body in self.notices if name == receiver]

    def __enter__(self) -> Self:
        self._thread.start()
        self._mail.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._mail.stop()
        self._web.shutdown()
        self._thread.join()
        self._web.server_close()


class AlertmanagerServer(ServerProcess):
    """Alertmanager with the file that is deployed; only addresses and waits are the test's."""

    name = "alertmanager"

    def __init__(self, directory: Path, program: str, receivers: Receivers) -> None:
        super().__init__(directory)
        self._program = program
        self._receivers = receivers

    def _command(self) -> list[str]:
        config = self.directory / "alertmanager.yaml"
        config.write_text(self._own(CONFIG.read_text()))
        return [
            self._program,
            f"--config.file={config}",
            f"--storage.path={self.directory / 'data'}",
            f"--web.listen-address={LOOPBACK}:{self.port}",
            "--cluster.listen-address=",
        ]

    def _own(self, text: str) -> str:
        text = text.replace("http://notify:9095", self._receivers.web_url)
        text = text.replace("mail:25", self._receivers.mail_address)
        text = text.replace("smtp_require_tls: true", "smtp_require_tls: false")
        text = text.replace("group_wait: 15s", "group_wait: 1s")
        return re.sub(r"group_interval: \w+", "group_interval: 1s", text)

    def _answers(self) -> bool:
        with contextlib.suppress(urllib.error.URLError):
            urllib.request.urlopen(f"{self.url}/-/ready", timeout=1).close()
            return True
        return False

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://{self.address}"

    def tell(self, alerts: Sequence[dict[str, str]]) -> None:
        """Let alerts with these labels fire."""
        body = json.dumps([{"labels": labels} for labels in alerts]).encode()
        request = urllib.request.Request(
            f"{self.url}/api/v2/alerts", body, {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=10).close()
