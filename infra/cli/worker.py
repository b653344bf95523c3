"""`tidegate worker`, `up` and `demo`: commands that run until they are stopped."""

import asyncio
import logging
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console

from infra.cli.terminal.failures import CommandError, ExitCode, outcome_of
from infra.cli.terminal.options import Flag

if TYPE_CHECKING:
    from infra.local.stack import LocalStack
    from infra.settings import Settings

_WATCH_SECONDS = 0.5
_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def worker(
    *,
    state: Path | None = None,
    config: Path | None = None,
    kafka_bootstrap: str | None = None,
    redis_url: str | None = None,
    group_id: str | None = None,
    topic_prefix: str | None = None,
    redis_prefix: str | None = None,
    admin_host: str | None = None,
    admin_port: int | None = None,
    no_supervise: Flag = False,
) -> int:
    """Run a worker against your own Kafka and Redis, until SIGTERM or Ctrl-C.

    Workers of one group share the partitions: start more of them to go faster. Every other setting
    comes from the environment (TIDEGATE_...) or from the file; `tidegate settings` shows them all.

    The worker runs as a child of this process, which starts it again whenever it ends or hangs.
    Only SIGTERM, Ctrl-C and a wrong setting (exit code 2) end it for good.

    Parameters
    ----------
    state
        Directory of a running `tidegate up`: join its servers.
    config
        Settings in TOML.
    kafka_bootstrap
        Brokers as host:port, commas between them.
    redis_url
        Redis or Valkey, 7.2 or newer.
    group_id
        Consumer group.
    topic_prefix
        In front of every topic's name.
    redis_prefix
        In front of every Redis key.
    admin_host
        Where /metrics, /livez and /readyz listen.
    admin_port
        0 takes any free port.
    no_supervise
        Run in this process: something else, Kubernetes for example, watches /livez.
    """
    if not no_supervise:
        return _supervise()
    from infra.settings import load_settings

    settings = load_settings(
        state=state,
        config=config,
        kafka_bootstrap=kafka_bootstrap,
        redis_url=redis_url,
        group_id=group_id,
        topic_prefix=topic_prefix,
        redis_prefix=redis_prefix,
        admin_host=admin_host,
        admin_port=admin_port,
    )
    _log_to_stderr(settings)
    from infra.bootstrap import run_worker

    logger = logging.getLogger("tidegate")
    with _faults_are_no_settings():
        asyncio.run(run_worker(settings, on_ready=lambda url: logger.info("admin port: %s", url)))
    return 0


@contextmanager
def _faults_are_no_settings() -> Iterator[None]:
    """Give 1 for whatever ends a worker; only a setting that cannot be gives 2.

    Elsewhere a ValueError or OSError comes from a wrong argument. Out of a worker it is a fault, or
    something that passes, like a port that an earlier worker still holds.
    """
    from infra.settings import SettingsError

    try:
        yield
    except SettingsError:
        raise
    except (ValueError, OSError) as error:
        if outcome_of(error)[0] != ExitCode.USAGE:
            raise
        text = f"the worker ended: {type(error).__name__}: {error}"
        raise CommandError(text, ExitCode.NO) from error


def _supervise() -> int:
    """Run this very command once more, as a child that is watched."""
    from infra.supervisor import Supervisor

    logging.basicConfig(level="INFO", format=_LOG_FORMAT, stream=sys.stderr)
    return Supervisor([sys.executable, "-m", "infra.cli", *sys.argv[1:], "--no-supervise"]).run()


def _log_to_stderr(settings: "Settings") -> None:
    logging.basicConfig(level=settings.log_level.upper(), format=_LOG_FORMAT, stream=sys.stderr)
    # The runtime's own notices are for its developers; warnings stay.
    for noisy in ("faust", "mode", "aiokafka"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("mode.timers").setLevel(logging.ERROR)


def up(
    *,
    state: Path,
    config: Path | None = None,
    workers: Annotated[int, Parameter(validator=lambda _, n: _at_least_one(n))] = 1,
    partitions: int | None = None,
    tick_seconds: int | None = None,
    admin_port: int | None = None,
) -> None:
    """Run a broker, a Redis-compatible server and workers here, until Ctrl-C.

    Other commands find them with `--state DIR`. A worker that ends is started again. Broker and
    Redis keep everything in memory: when this command ends, all data is lost.

    Parameters
    ----------
    state
        Directory for the addresses and the logs.
    config
        Settings in TOML.
    workers
        How many workers share the partitions.
    partitions
        Of the input topics.
    tick_seconds
        Event time between detector ticks; must divide 3600.
    admin_port
        Of the first worker; by default any free port.
    """
    from infra.local.stack import LocalStack
    from infra.settings import load_settings

    settings = load_settings(config=config, partitions=partitions, tick_seconds=tick_seconds)
    console = Console(stderr=True)
    stack = LocalStack(state, settings, workers=workers, admin_port=admin_port)
    stop = _stop_signal()
    try:
        with console.status("starting broker and Redis"):
            stack.start_servers()
        with console.status("starting workers (the first start on a machine compiles)"):
            stack.start_workers()
        _tell_addresses(console, stack, state)
        while not stop.wait(_WATCH_SECONDS):
            for said in stack.watch():
                console.print(said)
        console.print("stopping")
    finally:
        stack.stop()


def _at_least_one(count: int) -> None:
    if count < 1:
        raise ValueError(f"workers must be >= 1, got {count}")


def _stop_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _tell_addresses(console: Console, stack: "LocalStack", state: Path) -> None:
    from infra.admin.access import OPERATOR_TOKEN_FILE

    console.print(f"[bold]Kafka[/]   {stack.broker.bootstrap}")
    console.print(f"[bold]Redis[/]   {stack.redis.url}")
    console.print(f"[bold]page[/]    {stack.admin_url}/")
    console.print(f"[bold]metrics[/] {stack.admin_url}/metrics")
    console.print(f"[bold]token[/]   {state / OPERATOR_TOKEN_FILE} (operators: pause and resume)")
    console.print(f"Try:  tidegate replay FILE --state {state} --wait", markup=False)
    console.print(f"      tidegate doctor --state {state}", markup=False)
    console.print("Ctrl-C ends everything.")


def demo(
    *,
    speed: float = 7_200.0,
    seed: int = 7,
    events: int = 200_000,
    keep: Annotated[bool | None, Parameter(alias="--stay", negative="--no-keep")] = None,
    state: Path | None = None,
) -> int:
    """Play a synthetic live sale through a whole Tidegate on this machine, and sum it up.

    Starts an embedded broker, an embedded Redis-compatible server and a worker on free loopback
    ports, plays five days of a shop with 500 SKUs, and ends with a summary. Ctrl-C ends everything.

    Parameters
    ----------
    speed
        Event time passes this many times faster than real time; 0 means as fast as possible.
    seed
        Another seed is another sale.
    events
        About so many events.
    keep
        Keep everything running after the summary, the live page too, until Ctrl-C. By default in a
        terminal.
    state
        Directory for the addresses and the logs; by default a temporary one.
    """
    from infra.cli.demo import Demo
    from infra.sale import SaleSettings

    started = time.monotonic()
    sale = SaleSettings(seed=seed, events=events)
    stop = _stop_signal()
    with tempfile.TemporaryDirectory(prefix="tidegate-demo-") as temporary:
        run = Demo(state or Path(temporary), speed or None, sale, started)
        finished = run.run(keep=sys.stdin.isatty() if keep is None else keep, stop=stop)
    return 0 if finished else 130
