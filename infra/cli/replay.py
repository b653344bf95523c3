"""`tidegate replay`: the events of a file go to Kafka."""

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Protocol

from cyclopts import Parameter, Token
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.options import NOT_GIVEN, Connection, Flag, Json
from infra.cli.terminal.output import complain, make_console, make_facts, note, safe
from infra.cli.terminal.wait import Target, wait_until_reached
from infra.control.holds import read_waiting_orders
from infra.kafka.options import clear_errors, client_options, security_options
from infra.kafka.topic_admin import ensure_topics
from infra.redis.reader import Reader, open_reader
from infra.replay import schemas as adapters
from infra.replay.faults import FAR_FUTURE, LineError, Record
from infra.replay.line_source import LineSource, open_lines
from infra.replay.replay import Progress as Sent
from infra.replay.replay import ReplayResult, heartbeat_seconds_for
from infra.replay.replay import replay as write_log
from infra.replay.schemas import adapt
from infra.replay.uci_schema import UciRules
from infra.settings import Settings
from infra.wording.format import duration, moment, number
from streams.contracts.event_times import TIME_CODES
from streams.handover.rules import HoldReason
from streams.timestamps import rfc3339

_PLAIN_LINE_SECONDS = 5.0  # between two lines of progress where there is no terminal
_OUTCOMES = {
    "duplicate": "known already, counted once",
    "late": "too late to count",
    "dead_lettered": "dead letters",
}
_BAD_LINES_SHOWN = 20


def _checked_speed(_: object, tokens: Sequence[Token]) -> float | None:
    text = tokens[0].value
    if text == "max":
        return None
    with suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise ValueError(f"it must be max, or a number > 0, got {text!r}")


def replay(
    file: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    schema: Literal["tidegate", "uci"] = "tidegate",
    speed: Annotated[
        float | None,
        Parameter(converter=_checked_speed, n_tokens=1, metavar="max|N", show_default=False),
    ] = None,
    wait: Flag = False,
    skip_bad: Flag = False,
    review_period_days: float = UciRules.review_period_days,
    assume: Annotated[bool, Parameter(negative="--no-assume")] = UciRules.assume,
    heartbeat_seconds: int | None = None,
    batch_records: int | None = None,
    explain_schema: Flag = False,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> int:
    """Send the events of a file to Kafka, with the right keys and with heartbeats in event time.

    Replaying the same file again changes nothing: its events have the same ids. `--explain-schema`
    prints how each schema is mapped to Tidegate's own events, and what is made up for a shop that
    has no master data.

    Args:
        file: JSON Lines, plain or gzip; `-` is standard input.
        schema: what the lines look like: Tidegate's own events, or order lines as in the UCI data.
        speed: event time passes N times as fast as real time; max: as fast as it goes.
        wait: return when Redis has everything, it is decided, and all orders are published. Where
            orders wait for a person, as for an approval, it ends with code 1 and says so.
        skip_bad: leave out lines that break the schema, and count them, instead of stopping. A line
            whose time cannot be is always left out; without --skip-bad the command then fails.
        review_period_days: between two reviews of an item; made up by schema uci.
        assume: let schema uci make up master data and opening stock.
        heartbeat_seconds: event time between heartbeats; by default one a second of real time.
        batch_records: most records in one batch; by default as many as fit.
        explain_schema: print how the schemas are mapped, and do nothing else.
        as_json: sum up as one JSON object.
    """
    if explain_schema:
        print(_mapping())
        return ExitCode.OK
    if file is None:
        raise CommandError("replay needs a FILE, or - for standard input", ExitCode.USAGE)
    replayed = _Replay(
        source=open_lines(file),
        settings=connection.settings(),
        schema=schema,
        speed=speed,
        uci=UciRules(assume=assume, review_period_days=review_period_days),
        skip_bad=skip_bad,
        heartbeat_seconds=heartbeat_seconds_for(speed)
        if heartbeat_seconds is None
        else heartbeat_seconds,
        batch_records=batch_records,
    )
    if wait:
        replayed.note_counts()
    with _show_progress() as shown:
        result = asyncio.run(replayed.send(shown))
        if wait and result.complete:
            replayed.wait(result, shown)
    _sum_up(replayed, result, as_json=as_json)
    if not result.complete:
        return ExitCode.INTERRUPTED
    return _verdict(replayed, result)


def _verdict(replayed: "_Replay", result: ReplayResult) -> ExitCode:
    """Say whether it was a success: nothing of a file in Kafka is none, nor are lines left out."""
    bad = replayed.bad_lines.total()
    if bad and not result.records:
        complain(f"nothing was sent: all {number(bad)} lines are bad; is --schema right?")
        return ExitCode.NO
    if result.complete and not result.records:
        complain("nothing was sent: the file holds no events")
        return ExitCode.NO
    if bad and not replayed.skip_bad:
        complain(f"{number(bad)} lines were left out for their time; --skip-bad allows that")
        return ExitCode.NO
    return ExitCode.OK


def _mapping() -> str:
    """The adapters' own description, so that it cannot say anything else than they do."""
    return (adapters.__doc__ or "").strip()


@dataclass
class _Replay:
    """One replay, from the file to Redis."""

    source: LineSource
    settings: Settings
    schema: str
    speed: float | None
    uci: UciRules
    skip_bad: bool
    heartbeat_seconds: int
    batch_records: int | None
    bad_lines: Counter[str] = field(default_factory=Counter)  # by code
    waited_seconds: float | None = None
    not_new: Counter[str] = field(default_factory=Counter)  # what Redis did not count, by outcome

    def note_counts(self) -> None:
        """Remember what Redis has counted before anything is sent."""
        with open_reader(self.settings) as reader:
            self.not_new.subtract(_uncounted(reader))

    async def send(self, shown: "_Shown") -> ReplayResult:
        """Write everything to Kafka; make the topics first, if they are not there."""
        settings = self.settings
        with clear_errors(settings):
            partitions = await ensure_topics(
                client_options(settings),
                settings.topic_prefix,
                settings.partitions,
                settings.replication_factor,
            )
        return await write_log(
            self._records(),
            bootstrap=settings.kafka_bootstrap,
            partitions=partitions,
            topic_prefix=settings.topic_prefix,
            speed=self.speed,
            heartbeat_seconds=self.heartbeat_seconds,
            allowed_lateness_seconds=settings.allowed_lateness_seconds,
            batch_records=self.batch_records,
            on_progress=lambda sent: shown.sent(sent, self._share()),
            stop=_stop_on_interrupt(),
            client_options=security_options(settings),
        )

    def wait(self, result: ReplayResult, shown: "_Shown") -> None:
        """Return when Redis has all of it, decided and published."""
        settings = self.settings
        started = time.monotonic()
        ends = {
            (topic.removeprefix(settings.topic_prefix), partition): end
            for (topic, partition), end in result.end_offsets.items()
        }
        target = Target(
            ends, settings.allowed_lateness_seconds * 1000, settings.tick_seconds * 1000
        )
        with open_reader(settings) as reader:
            wait_until_reached(
                reader, target, shown.waiting, shown.warn, lambda: _held_orders(settings)
            )
            self.not_new.update(_uncounted(reader))
        self.waited_seconds = time.monotonic() - started

    def _share(self) -> float | None:
        try:
            return self.source.share()
        except OSError:  # the reader has just closed the file: read to its end
            return 1.0

    def _records(self) -> Iterator[Record]:
        latest_ms = int(time.time() * 1000) + int(self.settings.future_seconds * 1000)
        return adapt(
            self.source,
            schema=self.schema,
            uci=self.uci,
            on_bad=self._leave_out,
            latest_ms=latest_ms,
        )

    def _leave_out(self, error: LineError) -> None:
        """Leave a bad line out, or stop; a time that cannot be never stops the other lines."""
        if not self.skip_bad and error.code not in TIME_CODES | {FAR_FUTURE}:
            raise error
        self.bad_lines[error.code] += 1
        if self.bad_lines.total() <= _BAD_LINES_SHOWN:
            complain(f"left out: {error}")
        elif self.bad_lines.total() == _BAD_LINES_SHOWN + 1:
            complain("further bad lines are only counted")


def _uncounted(reader: Reader) -> Counter[str]:
    """Return how many records were known already, too late or bad, since the beginning."""
    counts: Counter[str] = Counter()
    for shard in reader.shards():
        for name, count in ({} if shard.meta is None else shard.meta.counts).items():
            outcome = name.rpartition(":")[2]
            if outcome in _OUTCOMES:
                counts[outcome] += count
    return counts


def _held_orders(settings: Settings) -> Counter[HoldReason]:
    """Return how many orders are decided and held, by reason."""
    waiting = asyncio.run(read_waiting_orders(settings))
    return Counter(one.reason for one in waiting if one.reason is not None)


def _stop_on_interrupt() -> asyncio.Event:
    """Let the first Ctrl-C end the log at a whole record, and a second one end all at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, interrupted)
    return stop


# --- progress ---------------------------------------------------------------------------------


class _Shown(Protocol):
    """Where progress is shown."""

    def sent(self, sent: Sent, share: float | None) -> None:
        """So much is in Kafka."""

    def waiting(self, text: str) -> None:
        """This is waited for."""

    def warn(self, text: str) -> None:
        """This seems to be wrong."""


@contextmanager
def _show_progress() -> Iterator[_Shown]:
    if not sys.stderr.isatty():
        yield _Lines()
        return
    console = make_console(stderr=True)
    bar = Progress(
        SpinnerColumn(),
        BarColumn(bar_width=30),
        TextColumn("{task.description}", markup=False),
        console=console,
        transient=True,
    )
    with bar:
        yield _Bar(bar, bar.add_task("connecting", total=None))


@dataclass
class _Bar:
    """On a terminal: a bar that moves."""

    progress: Progress
    task: TaskID

    def sent(self, sent: Sent, share: float | None) -> None:
        total = None if share is None else 1.0
        self.progress.update(self.task, total=total, completed=share or 0.0)
        self.progress.update(self.task, description=_sent_text(sent, share))

    def waiting(self, text: str) -> None:
        self.progress.update(self.task, total=None, description=f"waiting: {text}")

    def warn(self, text: str) -> None:
        self.progress.console.print(f"tidegate: {safe(text)}")


class _Lines:
    """Anywhere else: a line now and then."""

    def __init__(self) -> None:
        self._next_at = time.monotonic() + _PLAIN_LINE_SECONDS
        self._shown = ""

    def sent(self, sent: Sent, share: float | None) -> None:
        self._now_and_then(lambda: _sent_text(sent, share))

    def waiting(self, text: str) -> None:
        self._now_and_then(lambda: f"waiting: {text}")

    def warn(self, text: str) -> None:
        complain(text)

    def _now_and_then(self, make_text: Callable[[], str]) -> None:
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + _PLAIN_LINE_SECONDS
        text = make_text()
        if text != self._shown:
            self._shown = text
            note(text)


def _sent_text(sent: Sent, share: float | None) -> str:
    parts = [] if share is None else [f"{share:4.0%}"]
    parts.append(f"{number(sent.records)} records")
    if sent.seconds > 0:
        parts.append(f"{number(sent.records / sent.seconds)}/s")
    if sent.clock_ms is not None:
        parts.append(f"event time {moment(sent.clock_ms)}")
    return " · ".join(parts)


# --- summary ----------------------------------------------------------------------------------


def _sum_up(replayed: _Replay, result: ReplayResult, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_summary(replayed, result)))
        return
    rate = result.records / result.seconds if result.seconds else 0.0
    verb = "sent" if result.complete else "interrupted after"
    line = f"{verb} {number(result.records)} records in {result.seconds:.1f} s ({number(rate)}/s)"
    topics = sorted(result.records_by_topic.items())
    facts: list[tuple[str, object]] = [(topic, number(count)) for topic, count in topics]
    facts.append(("heartbeats", number(result.heartbeats)))
    if result.first_ms is not None and result.last_ms is not None:
        span = duration((result.last_ms - result.first_ms) / 1000)
        facts.append(
            ("event time", f"{moment(result.first_ms)} to {moment(result.last_ms)} ({span})")
        )
    if replayed.bad_lines:
        facts.append(("left out", _left_out(replayed.bad_lines)))
    for outcome, text in _OUTCOMES.items():
        if replayed.waited_seconds is not None and (count := replayed.not_new[outcome]):
            facts.append((text, number(count)))
    if replayed.waited_seconds is not None:
        facts.append(("in Redis", f"all of it, after {replayed.waited_seconds:.1f} s more"))
    console = make_console()
    console.print(line)
    console.print(make_facts(facts))


def _left_out(bad_lines: Counter[str]) -> str:
    codes = ", ".join(f"{code} {number(count)}" for code, count in sorted(bad_lines.items()))
    noun = "line" if bad_lines.total() == 1 else "lines"
    return f"{number(bad_lines.total())} bad {noun}: {codes}"


def _summary(replayed: _Replay, result: ReplayResult) -> dict[str, object]:
    return {
        "complete": result.complete,
        "records": result.records,
        "records_by_topic": dict(sorted(result.records_by_topic.items())),
        "heartbeats": result.heartbeats,
        "bad_lines": replayed.bad_lines.total(),
        "bad_lines_by_code": dict(sorted(replayed.bad_lines.items())),
        "first_at": None if result.first_ms is None else rfc3339(result.first_ms),
        "last_at": None if result.last_ms is None else rfc3339(result.last_ms),
        "seconds": round(result.seconds, 3),
        "waited_seconds": None
        if replayed.waited_seconds is None
        else round(replayed.waited_seconds, 3),
        **_uncounted_of(replayed),
    }


def _uncounted_of(replayed: _Replay) -> dict[str, int | None]:
    """What Redis did not count of the file; None where nobody waited for it."""
    is_known = replayed.waited_seconds is not None
    return {one: replayed.not_new[one] if is_known else None for one in _OUTCOMES}
