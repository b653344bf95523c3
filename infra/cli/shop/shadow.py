"""A shop's orders through a whole Tidegate of its own, in shadow: nothing leaves this machine."""

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.progress import Tell
from infra.cli.terminal.wait import Target, remaining
from infra.connect.assumed import (
    MAIN,
    Sales,
    assumed_records,
    in_one_warehouse,
    in_shadow,
)
from infra.connect.faults import Faults
from infra.connect.guessing.answers import Answers
from infra.connect.intake import Intake
from infra.connect.presets import Defaults
from infra.connect.reading import Report
from infra.connect.sorting import in_order_of_time
from infra.kafka.topic_reader import Ledger, read_topics
from infra.local.stack import LocalStack
from infra.redis.reader import Reader, open_reader
from infra.redis.rows import ITEM_COLUMNS
from infra.replay.faults import Record
from infra.replay.replay import Progress as Sent
from infra.replay.replay import ReplayResult, replay
from infra.settings import Settings, load_settings
from infra.wording.format import moment, number
from streams.contracts.topics import ALERTS, INPUTS, PURCHASE_ORDERS, dead_letter_topic
from streams.timestamps import DAY_MS, rfc3339

_YEAR_SECONDS = 366 * 86_400
_LARGE_BYTES = 4_000_000
_TICK_SECONDS, _LARGE_TICK_SECONDS = 300, 3_600  # a tick takes longer the more items there are
_TELL_ROWS = 1_000
_LOOK_SECONDS = 0.5
_GIVE_UP_SECONDS = 300.0  # a very first start compiles for a while
_READ_SHARE, _SENT_SHARE = 0.4, 0.6  # of the bar


@dataclass
class Found:
    """What came of it, read back from Redis and Kafka as anybody would."""

    items: list[dict[str, Any]] = field(default_factory=list)
    reviews: int = 0
    orders: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)  # by topic and outcome
    dead_letters: Counter[str] = field(default_factory=Counter)  # by code


class Shadow:
    """One run: files in, decisions out.

    Args:
        directory: takes logs and addresses.
        intakes: the files, with who answers for each.
        defaults: what is assumed where no file says it.
    """

    def __init__(
        self, directory: Path, intakes: list[tuple[Intake, Answers]], defaults: Defaults
    ) -> None:
        self.intakes = intakes
        self.defaults = defaults
        self.sales = Sales()
        self.reports = [Report(Faults()) for _ in intakes]
        self.same: Counter[str] = Counter()
        self.outside = 0
        self.known: set[tuple[str, str]] = set()
        self.counted: set[tuple[str, str]] = set()
        self.catalog: list[Record] = []
        self._directory = directory

    def run(self, tell: Tell) -> Found:
        """Play all of it and read what came of it."""
        is_large = sum(_size_bytes(intake) for intake, _ in self.intakes) > _LARGE_BYTES
        settings = shadow_settings(is_large=is_large)
        stack = LocalStack(self._directory, settings, workers=2 if is_large else 1)
        starting = _Background(lambda: _start(stack))
        try:
            starting.start()
            result = asyncio.run(self._send(stack, starting, self.records(tell), tell))
            if not result.records:
                raise CommandError("the files hold no orders that can be played", ExitCode.NO)
            return self._wait(stack, result, tell)
        finally:
            starting.join()
            stack.stop()

    # -- records ------------------------------------------------------------------------------

    def records(self, tell: Tell) -> Iterator[Record]:
        """Yield everything that is played, by time: read, made up, and what is far off left out."""
        records = in_order_of_time(
            self._orders(tell), on_same=self._count_same, further=self._others
        )
        return self._within(records, tell)

    def _orders(self, tell: Tell) -> Iterator[Record]:
        """Yield the records of the files with orders, and collect what they say."""
        for (intake, _), report in zip(self.intakes, self.reports, strict=True):
            if not intake.is_orders:
                continue
            for count, record in enumerate(intake.records(report, at=rfc3339(0), latest_ms=None)):
                self.sales.add(record)
                self._notice(record)
                if count % _TELL_ROWS == 0:
                    tell(0.0, f"reading {intake.source.name}: {number(count)} events")
                yield in_shadow(record)

    def _others(self) -> Iterator[Record]:
        """Yield what the other files say, and what is made up."""
        first_ms, last_ms = self.sales.bounds_ms()
        for (intake, _), report in zip(self.intakes, self.reports, strict=True):
            if intake.is_orders:
                continue
            # A count without a time is of now, so it stands behind the orders; master data and
            # plans stand before them.
            at_ms = last_ms if intake.preset == "counts" else first_ms - 1_000
            records = intake.records(report, at=rfc3339(at_ms), latest_ms=None)
            if {warehouse for _, warehouse in self.sales.items} == {MAIN}:
                records = in_one_warehouse(records)
            for record in records:
                self._notice(record)
                record = in_shadow(record)
                if record.topic == "catalog":
                    self.catalog.append(record)
                yield record
        for record in assumed_records(
            self.sales, self.defaults, known_items=self.known, counted_items=self.counted
        ):
            if record.topic == "catalog":
                self.catalog.append(record)
            yield record

    def _notice(self, record: Record) -> None:
        """Remember which items have a catalog line, or a count before their first order."""
        if record.topic == "orders":
            return
        try:
            fields = msgspec.json.decode(record.value)
        except (msgspec.DecodeError, UnicodeDecodeError):  # bad on purpose
            return
        name = (record.key.decode(), fields.get("warehouse", "main"))
        if record.topic == "catalog":
            self.known.add(name)
            return
        item = self.sales.items.get(name)
        if record.topic == "stock" and item is not None and record.occurred_ms <= item.first_ms:
            self.counted.add(name)

    def _count_same(self, record: Record) -> None:
        self.same[record.topic] += 1

    def _within(self, records: Iterable[Record], tell: Tell) -> Iterator[Record]:
        """Leave out what lies years away from all other orders."""
        bounds: tuple[int, int] | None = None
        for count, record in enumerate(records):
            if bounds is None:
                first_ms, last_ms = self.sales.bounds_ms()
                bounds = (first_ms - DAY_MS, last_ms + DAY_MS)
            if record.topic == "orders" and not bounds[0] <= record.occurred_ms <= bounds[1]:
                self.outside += 1
                continue
            if count % _TELL_ROWS == 0:
                tell(_READ_SHARE, f"replaying, event time {moment(record.occurred_ms)}")
            yield record

    # -- the run ------------------------------------------------------------------------------

    async def _send(
        self,
        stack: LocalStack,
        starting: "_Background",
        records: Iterator[Record],
        tell: Tell,
    ) -> ReplayResult:
        """Write everything to the shadow's own Kafka, as fast as it goes."""
        first = await asyncio.to_thread(lambda: next(records, None))
        tell(_READ_SHARE, "starting a worker (the first start on a machine compiles)")
        await asyncio.to_thread(starting.join)
        starting.raise_failure()
        settings = stack.settings

        def show(sent: Sent) -> None:
            at = "" if sent.clock_ms is None else f", event time {moment(sent.clock_ms)}"
            tell(_READ_SHARE, f"replaying: {number(sent.records)} events{at}")

        return await replay(
            _with_first(first, records),
            bootstrap=stack.broker.bootstrap,
            partitions=settings.partitions,
            allowed_lateness_seconds=settings.allowed_lateness_seconds + self._tail_seconds(),
            on_progress=show,
        )

    def _tail_seconds(self) -> int:
        """Let time go on to the next review of every item, if the stock of today is known."""
        if not any(intake.preset == "counts" for intake, _ in self.intakes):
            return 0
        return int(self.defaults.review_period_days * 86_400) + 3_600

    def _wait(self, stack: LocalStack, result: ReplayResult, tell: Tell) -> Found:
        """Return what came of it, once all is decided and published."""
        settings = stack.settings
        target = Target(
            result.end_offsets,
            settings.allowed_lateness_seconds * 1000,
            settings.tick_seconds * 1000,
        )
        first_ms, last_ms = self.sales.bounds_ms()
        with open_reader(settings) as reader:
            before, moved_at = None, time.monotonic()
            while not (left := remaining(reader.shards(), target)).is_nothing:
                if left != before:
                    before, moved_at = left, time.monotonic()
                elif time.monotonic() - moved_at > _GIVE_UP_SECONDS:
                    raise CommandError(f"the shadow stands still: {left}", ExitCode.UNREACHABLE)
                share = ((left.applied_ms or first_ms) - first_ms) / max(1, last_ms - first_ms)
                tell(_READ_SHARE + _SENT_SHARE * min(1.0, max(0.0, share)), str(left))
                time.sleep(_LOOK_SECONDS)
            found = _found(reader)
        asyncio.run(_read_topics(settings, found))
        return found


def _found(reader: Reader) -> Found:
    """Read what Redis holds."""
    found = Found(
        items=[dict(zip(ITEM_COLUMNS, row, strict=True)) for row in reader.items()],
        reviews=sum(1 for _ in reader.decisions()),
    )
    for shard in reader.shards():
        found.counts.update(shard.meta.counts if shard.meta else {})
    return found


def shadow_settings(*, is_large: bool) -> Settings:
    """Return the settings of a shadow: history that is long, and counts that stay valid.

    Settings of a live shop in the environment are none of the shadow's.
    """
    names = [name for name in os.environ if name.startswith("TIDEGATE_")]
    live = {name: os.environ.pop(name) for name in names}
    try:
        return load_settings(
            partitions=2 if is_large else 1,
            tick_seconds=_LARGE_TICK_SECONDS if is_large else _TICK_SECONDS,
            stock_valid_days=36_500,
            future_seconds=2 * _YEAR_SECONDS,
            handover_clock_seconds=2 * _YEAR_SECONDS,
            day_history=1_500,
            decision_history_days=1_500,
        )
    finally:
        os.environ.update(live)


def _start(stack: LocalStack) -> None:
    stack.start_servers()
    stack.start_workers()


def _with_first(first: Record | None, records: Iterator[Record]) -> Iterator[Record]:
    if first is not None:
        yield first
        yield from records


async def _read_topics(settings: Settings, found: Found) -> None:
    for kind, topic, into in (
        ("orders", PURCHASE_ORDERS, found.orders),
        ("alerts", ALERTS, found.alerts),
    ):
        ledger = Ledger(kind)
        async for record in read_topics(settings, [settings.topic_prefix + topic]):
            ledger.add(record.value)
        into += [_needed(msgspec.json.decode(value)) for value in ledger.in_order()]
    names = [settings.topic_prefix + dead_letter_topic(topic) for topic in INPUTS]
    async for record in read_topics(settings, names):
        code = record.header("tidegate-error-code") or b"unknown"
        found.dead_letters[code.decode("utf-8", "replace")] += 1


_NEEDED = frozenset(
    (
        *("decided_at", "sku", "quantity", "supplier", "supplier_role", "expected_at", "reason"),
        *("unit_cost", "occasion", "kind", "state", "occurred_at", "summary"),
    )
)
_NEEDED_INPUTS = ("inventory_position_units", "demand_mean_units_per_day")


def _needed(record: dict[str, Any]) -> dict[str, Any]:
    """Return what a report says of an order or an alert: a long history has many of them."""
    needed = {name: value for name, value in record.items() if name in _NEEDED}
    if (inputs := record.get("inputs")) is not None:
        needed["inputs"] = {name: inputs[name] for name in _NEEDED_INPUTS}
    return needed


def _size_bytes(intake: Intake) -> int:
    return intake.source.path.stat().st_size


class _Background(threading.Thread):
    """Runs something beside, and keeps what it raised."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Do it."""
        try:
            self._work()
        except BaseException as error:
            self._failure = error

    def raise_failure(self) -> None:
        """Raise what it raised."""
        if self._failure is not None:
            raise self._failure
