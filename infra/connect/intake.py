"""A file that is ready to be read: what it is, how it is read, and the records that it gives."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

import msgspec

from infra.connect.faults import Fault, FileError
from infra.connect.files import ReadOptions, Row, Source, open_source
from infra.connect.guessing.answers import Answers
from infra.connect.guessing.guess import Guess, guess_mapping, settle_reading
from infra.connect.guessing.json_guess import SHAPES, guess_json, known_shape
from infra.connect.ledger import StockIs
from infra.connect.mapping import ShopMapping, build_mapping
from infra.connect.presets import SHOP_PRESETS, Defaults
from infra.connect.reading import Reading, Report
from infra.connect.shops.connectors import Connector
from infra.connect.shops.payloads import About, ShopSettings
from infra.replay.faults import LineError, Record
from infra.replay.schemas import adapt
from infra.replay.uci_schema import UciRules

_OPTIONS = ("encoding", "delimiter", "sheet", "header_row")


@dataclass(frozen=True)
class Wishes:
    """What somebody said about a file before it was opened.

    Args:
        preset: what it is; None means that it is found out.
        mapping: what its columns are; None means that they are found out.
        options: how it is read.
        columns: of roles.
        source: the name of its events' source; None means one that follows from the file.
        defaults: what is assumed where the file says nothing.
        stock_is: what the shop's stock means.
    """

    preset: str | None = None
    mapping: ShopMapping | None = None
    options: ReadOptions = field(default_factory=ReadOptions)
    columns: dict[str, str] = field(default_factory=dict)
    source: str | None = None
    defaults: Defaults = field(default_factory=Defaults)
    stock_is: StockIs = "available"

    def for_shop(self, kind: str, shop: str) -> "Wishes":
        """Return the same, with the source that exports of a shop have."""
        if self.source is not None or self.mapping is not None or kind == "csv":
            return self
        return replace(self, source=f"{kind}:{shop or 'shop'}/export")


@dataclass
class Intake:
    """One file with its mapping."""

    source: Source
    mapping: ShopMapping
    preset: str
    shape: str  # what it is, in words
    stock_is: StockIs = "available"

    @property
    def is_orders(self) -> bool:
        """Whether it gives orders."""
        return SHOP_PRESETS.get(self.preset, self.preset) == "orders" or self.preset in SHAPES

    def columns(self) -> list[str]:
        """Return the columns that are used, in the order of the file."""
        used = self.mapping.columns()
        if not self.source.is_table:
            return used
        first = next(iter(self.source.rows()), None)
        order = {} if first is None else {name: n for n, name in enumerate(first.cells)}
        return sorted(used, key=lambda name: order.get(name, len(order)))

    def records(self, report: Report, *, at: str, latest_ms: int | None) -> Iterator[Record]:
        """Yield its records, in the order of the file.

        Args:
            report: takes what becomes of each row.
            at: the time of events whose rows name none.
            latest_ms: an event that is later is refused.
        """
        if self.preset in ("tidegate", "uci"):
            return self._events(report, latest_ms)
        if self.preset in SHAPES:
            return self._messages(report, latest_ms)
        reading = Reading(self.source, self.mapping, report, at, latest_ms, self.stock_is)
        return reading.records()

    def _events(self, report: Report, latest_ms: int | None) -> Iterator[Record]:
        """Yield the records of a file that holds events already."""

        def refuse(error: LineError) -> None:
            fault = Fault(
                error.line_number, error.line_number, error.field, error.rule, str(error.value)
            )
            report.faults.add([fault], {})

        lines = (msgspec.json.encode(row.cells) for row in self._counted(report))
        rules = UciRules(assume=False)
        schema = "uci" if self.preset == "uci" else "tidegate"
        for record in adapt(lines, schema=schema, uci=rules, on_bad=refuse, latest_ms=latest_ms):
            report.taken += 1
            report.count(record, _kind_of(record))
            yield record

    def _messages(self, report: Report, latest_ms: int | None) -> Iterator[Record]:
        """Yield the records of a shop's own messages."""
        settings = ShopSettings(stock_is=self.stock_is)
        connector = Connector(self.preset, settings=settings, latest_ms=latest_ms)
        shop = self.mapping.source.partition(":")[2]
        for row in self._counted(report):
            outcome = connector.take(row.cells, About(shop=shop))
            for left in outcome.left_out:
                report.leave_out(row.number, left["why"])
            faults = [
                Fault(row.number, row.line, one["field"], one["rule"], str(one["value"]))
                for one in outcome.refused
            ]
            if faults:
                report.faults.add(faults, {})
            report.taken += bool(outcome.records)
            for record, event in zip(outcome.records, outcome.events, strict=True):
                report.count(record, event["kind"])
                yield record

    def _counted(self, report: Report) -> Iterator[Row]:
        """Yield the good rows; bad ones are refused."""
        for row in self.source.rows():
            report.rows += 1
            if row.fault:
                report.faults.add([Fault(row.number, row.line, "the row", row.fault, "")], {})
            else:
                yield row


def _kind_of(record: Record) -> str:
    """Return the kind of an event; a record that is bad on purpose has none."""
    try:
        return str(msgspec.json.decode(record.value)["kind"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return "without a kind"


def open_intake(path: Path, answers: Answers, wishes: Wishes | None = None) -> Intake:
    """Open a file and find out what is not said of it.

    Raises:
        FileError: it cannot be read, or is nothing that is known.
        UnansweredError: it is not certain, and nobody answers.
    """
    wishes = wishes or Wishes()
    if wishes.mapping is not None:
        return _mapped(path, answers, wishes, wishes.mapping)
    source = open_source(path, wishes.options)
    if source.is_table:
        guess = guess_mapping(
            source,
            answers,
            preset=wishes.preset,
            defaults=wishes.defaults,
            columns=wishes.columns,
            name=wishes.source,
        )
    else:
        guess = _guessed_json(source, answers, wishes)
        if guess.preset in SHAPES:
            mapping = ShopMapping(guess.document["source"], ())
            return Intake(source, mapping, guess.preset, guess.shape, wishes.stock_is)
    mapping = build_mapping(guess.document)
    return Intake(source, mapping, guess.preset, guess.shape, wishes.stock_is)


def _guessed_json(source: Source, answers: Answers, wishes: Wishes) -> Guess:
    first = next((row.cells for row in source.rows() if not row.fault), {})
    shape = known_shape(first)
    if shape is not None:
        return Guess(shape, {"source": wishes.source or f"{shape}:shop"}, SHAPES[shape])
    return guess_json(
        source,
        answers,
        preset=wishes.preset,
        defaults=wishes.defaults,
        columns=wishes.columns,
        name=wishes.source,
    )


def _mapped(path: Path, answers: Answers, wishes: Wishes, mapping: ShopMapping) -> Intake:
    """Open a file of which a mapping says everything."""
    said = {name: mapping.read[name] for name in _OPTIONS if name in mapping.read}
    own = {name: value for name in _OPTIONS if (value := getattr(wishes.options, name)) is not None}
    source = open_source(path, ReadOptions(**{**said, **own}))
    settle_reading(source, answers)
    _require_columns(source, mapping)
    targets = {emit.to for emit in mapping.emits}
    preset = next((name for to, name in _PRESET_OF.items() if to in targets), "mapping")
    if wishes.source is not None:
        mapping = replace(mapping, source=wishes.source)
    return Intake(source, mapping, wishes.preset or preset, "as its mapping says", wishes.stock_is)


def _require_columns(source: Source, mapping: ShopMapping) -> None:
    """Refuse a table that lacks a column of its mapping, before a thousand rows are refused.

    Raises:
        FileError: names the column and those that there are.
    """
    if not source.is_table or {"pair_by", "items_in"} & mapping.read.keys():
        return
    first = next(iter(source.rows()), None)
    if first is None:
        raise FileError(f"{source.name} must hold rows under a header, got none")
    for emit in mapping.emits:
        for spec in emit.fields:
            if spec.place == "column" and spec.argument not in first.cells:
                near = get_close_matches(spec.argument, first.cells, n=1)
                hint = f"did you mean {near[0]!r}?" if near else ", ".join(first.cells)
                raise FileError(f"{source.name} has no column {spec.argument!r} ({hint})")


_PRESET_OF = {
    "lines": "orders",
    "orders": "orders",
    "catalog": "catalog",
    "stock": "counts",
    "campaigns": "campaigns",
}
