"""A file, read by a mapping: records for Kafka, and a report of what became of each row."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from infra.connect.cells import read_number
from infra.connect.faults import CellError, Fault, Faults, LeftOut
from infra.connect.files import Row, Source
from infra.connect.ledger import Fields, StockIs, line_events
from infra.connect.lines import NotALine, line_state, short_id, undo_event
from infra.connect.mapped import ROW_IN_GROUP, Made, Mapper, digest_of
from infra.connect.mapping import LINES, Emit, ShopMapping
from infra.connect.packed import unpacked
from infra.connect.presets import FLEXIBLE
from infra.replay.faults import LineError, Record
from infra.replay.schemas import adapt
from streams.contracts.broken_rules import Nothing
from streams.contracts.event_times import BAD_TIME, TIME_CODES

_EXAMPLES = 5
_encode = msgspec.json.Encoder().encode


@dataclass
class Report:
    """What became of the rows of a file."""

    faults: Faults
    rows: int = 0
    taken: int = 0
    events: Counter[str] = field(default_factory=Counter)  # by topic and kind
    left_out: Counter[str] = field(default_factory=Counter)  # rows or lines, by reason
    examples: dict[str, list[LeftOut]] = field(default_factory=dict)
    noticed: Counter[str] = field(default_factory=Counter)  # values taken as they are, by reason
    noticed_examples: dict[str, list[str]] = field(default_factory=dict)
    first_ms: int | None = None
    last_ms: int | None = None
    skus: set[str] = field(default_factory=set)

    def leave_out(self, row: int, why: str, what: object = "") -> None:
        """Count what is no fault and no event."""
        self.left_out[why] += 1
        examples = self.examples.setdefault(why, [])
        if len(examples) < _EXAMPLES:
            examples.append(LeftOut(row, why, str(what)))

    def notice(self, why: str, what: str) -> None:
        """Count a value that was taken as it is, though a person should know."""
        self.noticed[why] += 1
        examples = self.noticed_examples.setdefault(why, [])
        if len(examples) < _EXAMPLES and what not in examples:
            examples.append(what)

    def same(self, record: Record) -> None:
        """Count an event that is there a second time, and was left out."""
        kind = msgspec.json.decode(record.value)["kind"]
        self.events[f"{record.topic} {kind}"] -= 1
        self.leave_out(0, "same_event_twice", record.key.decode())

    def count(self, record: Record, kind: str) -> None:
        """Count an event."""
        self.events[f"{record.topic} {kind}"] += 1
        at_ms = record.occurred_ms
        self.first_ms = at_ms if self.first_ms is None else min(self.first_ms, at_ms)
        self.last_ms = at_ms if self.last_ms is None else max(self.last_ms, at_ms)
        self.skus.add(record.key.decode())


@dataclass
class Reading:
    """Reads a file by a mapping, once.

    Args:
        source: the file.
        mapping: what its columns are.
        report: takes what becomes of each row.
        at: the time of events whose rows name none, as RFC 3339.
        latest_ms: an event that is later is refused; None means none is.
        stock_is: what the shop's stock means; with `on_hand` dispatches are events, too.
    """

    source: Source
    mapping: ShopMapping
    report: Report
    at: str
    latest_ms: int | None = None
    stock_is: StockIs = "available"

    def __post_init__(self) -> None:
        self._mapper = Mapper(self.mapping)
        self._name = self.mapping.source or "files"
        self._needs_digest = any(
            emit.to == "stock" and emit.field("occurred_at") is None for emit in self.mapping.emits
        )

    def records(self) -> Iterator[Record]:
        """Yield the records of the good rows, in the order of the file."""
        source = replace(self.source, used=self._used())
        for row in self._grouped(source.rows()):
            self.report.rows += 1
            if row.fault:
                fault = Fault(row.number, row.line, "the row", row.fault, _shown(row.cells))
                self.report.faults.add([fault], row.cells)
                continue
            records, faults = self._row(row)
            if faults:
                self.report.faults.add(faults, row.cells)
                continue
            self.report.taken += bool(records)
            for record, kind in records:
                self.report.count(record, kind)
                yield record

    def _used(self) -> frozenset[str] | None:
        """Return the columns that are needed; of a table of suppliers, or a nested one, all."""
        read = self.mapping.read
        if (
            "pair_by" in read
            or "items_in" in read
            or any(emit.when or emit.each for emit in self.mapping.emits)
        ):
            return None
        groups = (read["group_by"],) if "group_by" in read else ()
        return frozenset((*self.mapping.columns(), *groups, *read.get("fill_down", ())))

    def _row(self, row: Row) -> tuple[list[tuple[Record, str]], list[Fault]]:
        records: list[tuple[Record, str]] = []
        faults: list[Fault] = []
        for made in self._mapper.make(row.cells):
            found = [
                Fault(
                    row.number,
                    row.line,
                    one.spec.label,
                    one.error.rule,
                    str(one.error.value),
                    one.error.repaired,
                )
                for one in made.faults
            ]
            if found:
                faults += found
                continue
            self._notice(made)
            for event in self._events(made, row, faults):
                record, fault = check(event, self.latest_ms)
                if fault is not None:
                    faults.append(_fault_of(fault, made.emit, row))
                elif record is not None:
                    records.append((record, event["kind"]))
        return records, faults

    def _notice(self, made: Made) -> None:
        sku = made.fields.get("sku")
        spec = made.emit.field("sku")
        is_as_written = spec is not None and spec.width is None
        if (
            is_as_written
            and isinstance(sku, str)
            and sku.isdigit()
            and sku[0] == "0"
            and sku != "0"
        ):
            self.report.notice("leading zeros kept", sku)

    def _events(self, made: Made, row: Row, faults: list[Fault]) -> Iterable[Fields]:
        if made.emit.to != LINES:
            return (self._event(made),)
        try:
            return line_events(line_state(made.fields), self._name, self.stock_is)
        except NotALine as why:
            if str(why) == "negative_units":
                return (undo_event(made.fields, self._name),)
            self.report.leave_out(row.number, str(why), made.fields.get("name", ""))
        except CellError as error:
            faults.append(_missing(made, row, error))
        return ()

    def _event(self, made: Made) -> Fields:
        fields = dict(made.fields)
        event = {"topic": made.emit.to, "kind": made.emit.kind}
        event_id = fields.pop("event_id", None) or self._event_id(fields)
        at = fields.pop("occurred_at", self.at)
        own = {"event_id": event_id, "occurred_at": at, "sku": fields.pop("sku", None), **fields}
        event |= {name: value for name, value in own.items() if value is not None}
        return {**event, "source": self._name} if self._name else event

    def _event_id(self, fields: Fields) -> str:
        """Return an id that is made of what the row says, so that a second import adds nothing.

        A count without a time says what lies on the shelf when the file was written: the same row
        of another file is another count.
        """
        content = [*fields, *fields.values()]
        digest = digest_of([*content, self.source.digest] if self._needs_digest else content)
        return short_id(f"files/{self.source.name}/{fields.get('sku', '')}/{digest}", digest)

    def _grouped(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Fill what only the first row of an order has into its other rows, and number them."""
        read = self.mapping.read
        if (items_in := read.get("items_in")) is not None:
            rows = unpacked(rows, items_in)
        if (group_by := read.get("group_by")) is not None:
            return self._fill(rows, group_by, read.get("fill_down", []))
        if (pair_by := read.get("pair_by")) is not None:
            return self._pair(rows, pair_by)
        return iter(rows)

    def _pair(self, rows: Iterable[Row], pair_by: str) -> Iterator[Row]:
        """Make one row of an item's suppliers: the cheapest one, and the fastest of the others."""
        by_item: dict[str, list[Row]] = {}
        for row in rows:
            by_item.setdefault(str(row.cells.get(pair_by)), []).append(row)
        emit = self.mapping.emits[0]
        for found in by_item.values():
            lean = min(found, key=lambda row: _number_of(emit, "unit_cost_lean", row))
            others = [row for row in found if row is not lean]
            cells = dict(lean.cells)
            if others:
                fast = min(others, key=lambda row: _number_of(emit, "lead_time_days_lean", row))
                cells |= {FLEXIBLE + name: value for name, value in fast.cells.items()}
                self.report.rows += len(others)
                self.report.taken += 1
                for row in others:
                    if row is not fast:
                        self.report.leave_out(row.number, "third_supplier", row.cells[pair_by])
            yield lean._replace(cells=cells)

    def _fill(self, rows: Iterable[Row], group_by: str, names: list[str]) -> Iterator[Row]:
        group: Any = None
        first: dict[str, Any] = {}
        first_raw = 0
        seen: dict[int, int] = {}
        for row in rows:
            cells = row.cells
            if cells.get(group_by) != group or row.raw == first_raw:
                group, first, first_raw, seen = cells.get(group_by), cells, row.raw, {}
            elif row.raw in seen:
                self.report.rows += 1
                self.report.leave_out(row.number, "same_row_twice", f"as row {seen[row.raw]}")
                continue
            seen[row.raw] = row.number
            for name in names:
                if cells.get(name) in ("", None):
                    cells[name] = first.get(name)
            cells[ROW_IN_GROUP] = len(seen)
            yield row


def _number_of(emit: Emit, name: str, row: Row) -> float:
    """Return a number of a row; what is none comes last, and is refused later."""
    spec = emit.field(name)
    try:
        return float("inf") if spec is None else read_number(row.cells[spec.argument], spec.numbers)
    except (CellError, KeyError):
        return float("inf")


def check(event: Fields, latest_ms: int | None = None) -> tuple[Record | None, LineError | None]:
    """Return an event as a record, or what its contract says against it.

    >>> check({"topic": "stock", "kind": "counted", "event_id": "e", "sku": "lamp", "level": -1,
    ...        "occurred_at": "2026-11-11T00:00:00Z"})[1].rule
    'int >= 0'
    """
    bad: list[LineError] = []
    try:
        line = _encode(event)
    except (ValueError, TypeError, UnicodeEncodeError) as error:
        return None, LineError(1, "the row", "text that can be written as UTF-8", str(error))
    made = list(adapt([line], schema="tidegate", on_bad=bad.append, latest_ms=latest_ms))
    return (made[0], None) if made else (None, bad[0] if bad else None)


def _fault_of(error: LineError, emit: Emit, row: Row) -> Fault:
    spec = emit.field(error.field)
    column = error.field if spec is None else spec.label
    value = "" if isinstance(error.value, Nothing) else str(error.value)
    is_time = error.code in TIME_CODES and error.code != BAD_TIME
    rule = f"{error.rule} ({error.code.replace('_', ' ')})" if is_time else error.rule
    return Fault(row.number, row.line, column, rule, value)


def _missing(made: Made, row: Row, error: CellError) -> Fault:
    """Name the first column that a line cannot do without and that is empty."""
    for name in ("order_id", "quantity", "placed_at"):
        if made.fields.get(name) in (None, "") and (spec := made.emit.field(name)) is not None:
            return Fault(row.number, row.line, spec.label, error.rule, "")
    return Fault(row.number, row.line, "the row", error.rule, str(error.value))


def _shown(cells: dict[str, Any]) -> str:
    """Return nothing of a row that cannot be read: it may hold names."""
    return f"{len(cells)} cells" if cells else ""
