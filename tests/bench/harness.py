"""Running a contender in a fresh process and measuring it from outside, the same way for all."""

import contextlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import redis

from infra.local.embedded import EmbeddedBroker, EmbeddedRedis
from tests.bench import tidegate
from tests.bench.contenders import common
from tests.bench.progress import Progress, console
from tests.kafka_server import KafkaServer, why_no_kafka

ROOT = Path(__file__).parents[2]
_POLL_SECONDS = 0.005
_LOG_TAIL_LINES = 15

Committed = Callable[[redis.Redis], dict[int, int]]


@dataclass(frozen=True)
class Contender:
    """A program that reads the orders topic, and how to see how far it is."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    committed: Committed
    most_events: int | None = None  # a slow one is measured on fewer events


@dataclass(frozen=True)
class Measured:
    """From the first durable progress to the last: joining the group and imports are left out."""

    name: str
    events: int
    seconds: float
    cpu_seconds: float  # of the contender's process
    redis_cpu_seconds: float
    first_progress_seconds: float  # from the start of the process

    @property
    def events_per_second(self) -> float:
        return self.events / self.seconds

    @property
    def cpu_seconds_per_million(self) -> float:
        return self.cpu_seconds / self.events * 1e6

    @property
    def redis_cpu_seconds_per_million(self) -> float:
        return self.redis_cpu_seconds / self.events * 1e6


@dataclass
class Bench:
    """The servers of one benchmark run."""

    broker: EmbeddedBroker | KafkaServer
    redis: EmbeddedRedis
    directory: Path
    groups: int = field(default=0)

    @property
    def broker_name(self) -> str:
        return "Apache Kafka" if isinstance(self.broker, KafkaServer) else "embedded broker"

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis.url)

    def plain(self, name: str, module: str, topic: str, **options: object) -> Contender:
        """A contender of `tests/bench/contenders`."""
        settings = common.Settings(self.broker.bootstrap, self.redis.url, topic, self._group())
        extra = {"BENCH_DIRECTORY": str(self.directory)}
        extra |= {f"BENCH_{k.upper()}": str(v) for k, v in options.items() if k != "most_events"}
        command = [sys.executable, "-m", f"tests.bench.contenders.{module}"]
        if module == "ordinary_agent":
            command += ["worker"]
        most = options.get("most_events")
        return Contender(
            name,
            command,
            settings.environment() | extra,
            common.committed,
            most_events=most if isinstance(most, int) else None,
        )

    def tidegate(self, prefix: str) -> Contender:
        """Tidegate's real worker."""
        environment = tidegate.environment(
            bootstrap=self.broker.bootstrap,
            redis_url=self.redis.url,
            prefix=prefix,
            group=self._group(),
        )
        return Contender("Tidegate", tidegate.COMMAND, environment, tidegate.committed)

    def _group(self) -> str:
        self.groups += 1
        return f"bench-{self.groups}"


@contextlib.contextmanager
def servers(broker: str) -> Iterator[Bench]:
    """Start broker and Redis in a scratch directory. `broker`: auto, kafka or embedded."""
    missing = None if broker == "embedded" else why_no_kafka()
    if broker == "kafka" and missing:
        raise SystemExit(missing)
    if missing:
        console.print(f"{missing}: measuring on the embedded broker")
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-bench-")))
        kind = EmbeddedBroker if broker == "embedded" or missing else KafkaServer
        console.print(
            f"starting {'the embedded broker' if kind is EmbeddedBroker else 'Kafka'} ..."
        )
        yield Bench(
            broker=stack.enter_context(kind(directory)),
            redis=stack.enter_context(EmbeddedRedis(directory)),
            directory=directory,
        )


@contextlib.contextmanager
def running(contender: Contender, directory: Path) -> Iterator["Running"]:
    """Run the contender's process while the block runs."""
    log_path = directory / f"{contender.name.replace(' ', '-')}.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            contender.command,
            cwd=ROOT,
            env=os.environ | contender.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Running(contender, process, log_path)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Running:
    contender: Contender
    process: subprocess.Popen[bytes]
    log_path: Path

    def require_alive(self) -> None:
        if self.process.poll() is not None:
            tail = self.log_path.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
            raise RuntimeError(
                f"{self.contender.name} ended with code {self.process.returncode}:\n"
                + "\n".join(tail)
            )


def measure(
    bench: Bench, contender: Contender, ends: Mapping[int, int], *, timeout_seconds: float = 600
) -> Measured:
    """Run the contender until it has made durable all offsets before `ends`.

    Both rate and CPU time count from the first progress seen to the last, so what a contender does
    before its first commit is in neither.
    """
    target = min(contender.most_events or sys.maxsize, sum(ends.values()))
    with bench.client() as client:
        client.flushall()
        started = time.perf_counter()
        with (
            running(contender, bench.directory) as run,
            Progress(f"measuring {contender.name}", target) as progress,
        ):
            first: tuple[float, int, float, float] | None = None
            while True:
                offsets = contender.committed(client)
                now = time.perf_counter()
                done = sum(min(offsets.get(p, 0), end) for p, end in ends.items())
                if done and first is None:
                    pids = run.process.pid, bench.redis.pid
                    first = (now, done, *map(cpu_seconds, pids))
                if first is not None and done >= target:
                    break
                run.require_alive()
                if now - started > timeout_seconds:
                    raise RuntimeError(
                        f"{contender.name} made {done:,} of {target:,} events durable "
                        f"within {timeout_seconds:g} s"
                    )
                progress.update(done)
                time.sleep(_POLL_SECONDS)
            cpu, redis_cpu = cpu_seconds(run.process.pid), cpu_seconds(bench.redis.pid)
            progress.update(done)
    if done == first[1]:
        raise RuntimeError(f"{contender.name} made all {done:,} events durable at once: use more")
    return Measured(
        name=contender.name,
        events=done - first[1],
        seconds=now - first[0],
        cpu_seconds=cpu - first[2],
        redis_cpu_seconds=redis_cpu - first[3],
        first_progress_seconds=first[0] - started,
    )


def cpu_seconds(pid: int) -> float:
    """User and system time that the process has used, with all its threads."""
    with contextlib.suppress(FileNotFoundError):
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
    listed = subprocess.run(
        ["ps", "-o", "cputime=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    seconds = 0.0
    for part in listed.stdout.strip().replace("-", ":").split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def memory_bytes(pid: int) -> int:
    """Resident memory of the process."""
    listed = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    return int(listed.stdout) * 1024


def machine() -> str:
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}"
    )
