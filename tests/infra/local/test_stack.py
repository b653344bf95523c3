"""What `tidegate up` keeps an eye on: workers that ended, and workers that hang."""

import json
import stat
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from infra.local import stack as stack_module
from infra.local.embedded import ServerError
from infra.local.stack import LocalStack, WorkerProcess
from infra.settings import Settings


class Worker(WorkerProcess):
    """A worker's shell: its admin port is a small server here, its process is not there."""

    def __init__(self, directory, port: int) -> None:
        super().__init__(directory, Settings(), number=1, port=port)
        self.killed = 0
        self.started = 0

    @property
    def running(self) -> bool:
        """As long as nobody killed it."""
        return self.killed == self.started

    @property
    def pid(self) -> int:
        """Of nothing."""
        return 1

    def kill(self) -> None:
        """End it."""
        self.killed += 1

    def start(self):
        """Start it again."""
        self.started += 1
        return self


@pytest.fixture
def admin_port():
    """A server that answers with the next of some statuses."""
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses.pop(0) if statuses else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], statuses
    server.shutdown()
    thread.join()
    server.server_close()


def watched(tmp_path, port: int, monkeypatch) -> tuple[LocalStack, Worker]:
    """A stack whose servers run, and whose worker answers there."""
    monkeypatch.setattr(stack_module, "_ASK_SECONDS", 0.0)
    monkeypatch.setattr(stack_module, "_RESTART_SECONDS", (0.0,))
    stack = LocalStack(tmp_path, Settings())
    for server in (stack.broker, stack.redis):
        monkeypatch.setattr(type(server), "running", True)
    monkeypatch.setattr(stack, "write_state", lambda: None)
    worker = Worker(tmp_path, port)
    stack.workers.append(worker)
    stack._started[worker.name] = 0.0
    return stack, worker


def test_worker_that_says_it_hangs_is_started_again(tmp_path, admin_port, monkeypatch):
    """Three times in a row; one good answer in between starts the count anew."""
    port, statuses = admin_port
    stack, worker = watched(tmp_path, port, monkeypatch)
    statuses[:] = [503, 503, 200, 503, 503, 503, 200]
    said = [stack.watch() for _ in range(5)]
    assert said == [[]] * 5
    assert worker.killed == 0
    assert "started again" in stack.watch()[0]
    assert (worker.killed, worker.started) == (1, 1)
    assert stack.watch() == []


def test_worker_that_does_not_answer_is_left_alone(tmp_path, admin_port, monkeypatch):
    """For a while: it may be busy compiling. Another error than "stuck" says nothing either."""
    port, statuses = admin_port
    stack, worker = watched(tmp_path, port, monkeypatch)
    statuses[:] = [500] * 5
    for _ in range(5):
        assert stack.watch() == []
    worker._port = 1  # nobody listens there
    for _ in range(5):
        assert stack.watch() == []
    assert worker.killed == 0


def test_worker_that_does_not_answer_for_long_is_started_again(tmp_path, monkeypatch):
    """Its event loop stands still: it cannot even say that it is stuck."""
    stack, worker = watched(tmp_path, 1, monkeypatch)
    monkeypatch.setattr(stack_module, "_SILENT_SECONDS", 0.0)
    said = [reported for _ in range(4) for reported in stack.watch()]
    assert (worker.killed, worker.started) == (1, 1)
    assert "started again" in said[0]


def test_worker_that_does_not_start_yet_is_tried_again(tmp_path, admin_port, monkeypatch):
    """The servers beside it keep what they hold; the command goes on and says so."""
    stack, worker = watched(tmp_path, admin_port[0], monkeypatch)
    worker.killed = 1

    def fail() -> None:
        raise ServerError("worker-1 ended with code 1 while it started")

    with monkeypatch.context() as context:
        context.setattr(worker, "start", fail)
        assert "does not start yet, trying again" in stack.watch()[0]
        assert "does not start yet" in stack.watch()[0]
    assert "started again" in stack.watch()[0]
    assert stack.watch() == []


def test_state_file_names_the_token_and_holds_no_secret(tmp_path, monkeypatch):
    """Other commands find the operator's token by it; the token itself lies in its own file."""
    monkeypatch.setattr(stack_module.EmbeddedBroker, "bootstrap", "127.0.0.1:1")
    monkeypatch.setattr(stack_module.EmbeddedRedis, "url", "redis://127.0.0.1:2/0")
    stack = LocalStack(tmp_path, Settings(viewer_token="a-viewer-token-of-the-tests"))
    token = stack_module.make_token_file(tmp_path)
    stack.write_state()
    text = (tmp_path / "tidegate.json").read_text()
    assert json.loads(text)["settings"]["operator_token_file"] == str(token)
    assert token.read_text().strip() not in text
    assert "a-viewer-token" not in text
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
