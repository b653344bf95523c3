"""A whole Tidegate on one machine: embedded broker, embedded Redis, workers; started and watched.

Everything listens on loopback and ends with the process that started it, even after kill -9. The
broker and Redis keep nothing on disk: a stack that stops has forgotten all.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import infra
from infra.admin.access import OPERATOR_TOKEN_FILE, make_token_file
from infra.kafka.topic_admin import ensure_topics
from infra.local.directory_lock import DirectoryLock
from infra.local.embedded import EmbeddedBroker, EmbeddedRedis, ServerError, ServerProcess
from infra.settings import ALWAYS, FIRST_START, STATE_FILE, Settings

_SESSION_TIMEOUT_SECONDS = 6.0  # the embedded broker holds a first join for half of it
_RESTART_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
_ASK_SECONDS = 5.0  # between questions whether a worker is stuck
_STUCK_STATUS = 503
_STUCK_ANSWERS = 3
_SILENT_SECONDS = 120.0  # without any answer: a kernel that is compiled late stops the loop
_CALM_SECONDS = 60.0  # a worker that ran so long starts anew at once


class WorkerProcess(ServerProcess):
    """A worker in a child process; it answers on its admin port."""

    start_timeout_seconds = 90.0  # a first start compiles
    stop_timeout_seconds = 30.0

    def __init__(
        self, directory: Path, settings: Settings, *, number: int, port: int | None
    ) -> None:
        self.name = f"worker-{number}"
        super().__init__(directory, port=port)
        self._settings = settings
        self._answered_at = time.monotonic()

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "infra.cli", "worker", "--no-supervise"]

    def _environment(self) -> Mapping[str, str]:
        """The settings, and nothing of this process's own that would shadow them."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("TIDEGATE_")}
        return {
            **inherited,
            "PYTHONPATH": str(Path(infra.__file__).parents[1]),
            **self._settings.environment(),
            "TIDEGATE_ADMIN_PORT": str(self.port),
        }

    def says_it_is_stuck(self) -> bool:
        """Whether the worker's own progress check fails, or it has not answered for long."""
        try:
            urllib.request.urlopen(f"http://{self.address}/livez", timeout=1).close()
        except urllib.error.HTTPError as error:
            self._answered_at = time.monotonic()
            return error.code == _STUCK_STATUS
        except OSError:
            return time.monotonic() - self._answered_at > _SILENT_SECONDS
        self._answered_at = time.monotonic()
        return False

    def _answers(self) -> bool:
        with contextlib.suppress(urllib.error.URLError):
            urllib.request.urlopen(f"http://{self.address}/livez", timeout=1).close()
            self._answered_at = time.monotonic()
            return True
        return False


class LocalStack:
    """Servers and workers, started together.

    Args:
        directory: takes the logs and `tidegate.json`, by which other commands find the stack.
        settings: addresses in them are replaced by those of the servers started here.
        workers: how many share the partitions.
        admin_port: of the first worker; None means any free port.
    """

    def __init__(
        self,
        directory: Path,
        settings: Settings,
        *,
        workers: int = 1,
        admin_port: int | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self._wanted = settings
        self._admin_port = admin_port
        self._worker_count = workers
        self.broker = EmbeddedBroker(self.directory)
        self.redis = EmbeddedRedis(self.directory)
        self.workers: list[WorkerProcess] = []
        self._started: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._stuck: dict[str, int] = {}
        self._asked_at = 0.0
        self._lock = DirectoryLock(self.directory)

    @property
    def settings(self) -> Settings:
        """The settings in force, with the addresses of this stack.

        It is there to try things on: history that is replayed orders, too.
        """
        tried = {} if self._wanted.live_from != FIRST_START else {"live_from": ALWAYS}
        addresses = {
            "kafka_bootstrap": self.broker.bootstrap,
            "redis_url": self.redis.url,
            "session_timeout_seconds": _SESSION_TIMEOUT_SECONDS,
            "operator_token": None,
            "operator_token_file": self.directory / OPERATOR_TOKEN_FILE,
        }
        return Settings(**{**self._wanted.model_dump(), **tried, **addresses})

    @property
    def admin_url(self) -> str:
        """Where the first worker's admin port is."""
        return f"http://{self.workers[0].address}"

    def start_servers(self) -> None:
        """Start broker and Redis, make the topics, a token and the state file.

        Raises:
            DirectoryInUseError: another stack runs here.
            ServerError: a server does not start.
        """
        self._lock.take()
        make_token_file(self.directory)
        self.broker.start()
        self.redis.start()
        settings = self.settings
        asyncio.run(
            ensure_topics(settings.kafka_bootstrap, settings.topic_prefix, settings.partitions)
        )
        self.write_state()

    def start_workers(self) -> None:
        """Start the workers, and name them in the state file."""
        settings = self.settings
        for number in range(1, self._worker_count + 1):
            port = self._admin_port if number == 1 else None
            worker = WorkerProcess(self.directory, settings, number=number, port=port)
            worker.start()
            self._started[worker.name] = time.monotonic()
            self.workers.append(worker)
        self.write_state()

    def write_state(self) -> None:
        """Write the file by which other commands find this stack; whole, or not at all."""
        servers: list[ServerProcess] = [self.broker, self.redis, *self.workers]
        state = {
            "settings": self.settings.public(),
            "admin_url": self.admin_url if self.workers else None,
            "pids": {server.name: server.pid for server in servers if server.running},
        }
        path = self.directory / STATE_FILE
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(state, indent=2) + "\n")
        os.replace(draft, path)

    def watch(self) -> list[str]:
        """Start workers that ended again; return what happened, in words.

        Raises:
            ServerError: the broker or Redis ended; what they held is gone.
        """
        for server in (self.broker, self.redis):
            if not server.running:
                raise ServerError(f"{server.name} ended; the end of its log:\n{server.log_tail()}")
        for worker in self._stuck_workers():
            worker.kill()
        return [said for worker in self.workers if (said := self._revive(worker))]

    def _stuck_workers(self) -> list[WorkerProcess]:
        """Workers that said several times in a row that they are stuck; asked now and then."""
        if time.monotonic() - self._asked_at < _ASK_SECONDS:
            return []
        self._asked_at = time.monotonic()
        for worker in self.workers:
            is_stuck = worker.running and worker.says_it_is_stuck()
            self._stuck[worker.name] = self._stuck.get(worker.name, 0) + 1 if is_stuck else 0
        return [one for one in self.workers if self._stuck[one.name] >= _STUCK_ANSWERS]

    def _revive(self, worker: WorkerProcess) -> str:
        if worker.running:
            return ""
        self._stuck[worker.name] = 0
        calm = time.monotonic() - self._started[worker.name] > _CALM_SECONDS
        failures = 0 if calm else self._failures.get(worker.name, 0)
        time.sleep(_RESTART_SECONDS[min(failures, len(_RESTART_SECONDS) - 1)])
        self._failures[worker.name] = failures + 1
        self._started[worker.name] = time.monotonic()
        try:
            worker.start()
        except ServerError as error:  # what broker and Redis hold is worth another attempt
            return f"{worker.name} ended and does not start yet, trying again: {error}"
        self.write_state()
        return f"{worker.name} ended and was started again (pid {worker.pid})"

    def stop(self) -> None:
        """End everything, workers first, so that they commit what they have.

        Where another stack runs in the directory, nothing was started and its files stay.
        """
        if not self._lock.is_held:
            return
        for worker in self.workers:
            with contextlib.suppress(ServerError):
                worker.stop()
        self.redis.stop()
        self.broker.stop()
        for name in (STATE_FILE, OPERATOR_TOKEN_FILE):
            (self.directory / name).unlink(missing_ok=True)
        self._lock.release()
