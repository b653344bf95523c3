"""A file that is ready to be read: what it is, how it is read, and the records that it gives."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from infra.connect.answers import Answers
from infra.connect.files import ReadOptions, Source, open_source
from infra.connect.guess import guess_mapping, settle_reading
from infra.connect.ledger import StockIs
from infra.connect.mapping import ShopMapping, build_mapping
from infra.connect.presets import SHOP_PRESETS, Defaults
from infra.connect.reading import Reading, Report
from infra.replay.faults import Record

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
        return SHOP_PRESETS.get(self.preset, self.preset) == "orders"

    def columns(self) -> list[str]:
        """Return the columns that are used."""
        return self.mapping.columns()

    def records(self, report: Report, *, at: str, latest_ms: int | None) -> Iterator[Record]:
        """Yield its records, in the order of the file.

        Args:
            report: takes what becomes of each row.
            at: the time of events whose rows name none.
            latest_ms: an event that is later is refused.
        """
        reading = Reading(self.source, self.mapping, report, at, latest_ms, self.stock_is)
        return reading.records()


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
    guess = guess_mapping(
        source,
        answers,
        preset=wishes.preset,
        defaults=wishes.defaults,
        columns=wishes.columns,
        name=wishes.source,
    )
    mapping = build_mapping(guess.document)
    return Intake(source, mapping, guess.preset, guess.shape, wishes.stock_is)


def _mapped(path: Path, answers: Answers, wishes: Wishes, mapping: ShopMapping) -> Intake:
    """Open a file of which a mapping says everything."""
    said = {name: mapping.read[name] for name in _OPTIONS if name in mapping.read}
    own = {name: value for name in _OPTIONS if (value := getattr(wishes.options, name)) is not None}
    source = open_source(path, ReadOptions(**{**said, **own}))
    settle_reading(source, answers)
    targets = {emit.to for emit in mapping.emits}
    preset = next((name for to, name in _PRESET_OF.items() if to in targets), "mapping")
    if wishes.source is not None:
        mapping = replace(mapping, source=wishes.source)
    return Intake(source, mapping, wishes.preset or preset, "as its mapping says", wishes.stock_is)


_PRESET_OF = {
    "lines": "orders",
    "orders": "orders",
    "catalog": "catalog",
    "stock": "counts",
    "campaigns": "campaigns",
}
