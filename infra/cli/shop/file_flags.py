"""Flags that say how a file is read, where it does not say so itself."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

if TYPE_CHECKING:
    from infra.connect.guessing.answers import Answers
    from infra.connect.intake import Wishes

_FILE = Group("How the file is read", sort_key=6)
_ASSUME = Group("What is assumed", sort_key=7)


@Parameter(name="*", group=_FILE)
@dataclass(frozen=True, kw_only=True)
class FileFlags:
    """How a file is read."""

    encoding: str | None = None
    """utf-8, cp1252, gb18030, shift_jis, ..."""
    delimiter: str | None = None
    """Between the cells of CSV; tab is a word for it."""
    decimal: Literal[".", ","] | None = None
    """Decimal sign of numbers that can be read in two ways."""
    timezone: str | None = None
    """Of times that name none, as Europe/Berlin."""
    date_order: Literal["dmy", "mdy"] | None = None
    """What 03/04/2026 is: day first or month first."""
    sku_width: int | None = None
    """Digits of a sku: zeros are put before shorter ones."""
    sheet: str | None = None
    """Of a workbook."""
    header_row: int | None = None
    """Row with the names of the columns."""
    column: list[str] | None = None
    """ROLE=NAME: the column of a role, where it is not found, as sku=Code; several are allowed."""
    source: str | None = None
    """Name of the system that the events come from."""
    stock_is: Literal["available", "on_hand"] = "available"
    """What the shop's stock means; with on_hand dispatches are sent, too."""

    def given(self) -> dict[str, str]:
        """Return the answers that the flags give beforehand."""
        pairs = {
            "--encoding": self.encoding,
            "--decimal": self.decimal,
            "--timezone": self.timezone,
            "--date-order": self.date_order,
            "--sku-width": None if self.sku_width is None else str(self.sku_width),
        }
        return {flag: value for flag, value in pairs.items() if value is not None}

    def columns(self) -> dict[str, str]:
        """Return the columns of roles.

        Raises:
            ValueError: one is not ROLE=NAME.
        """
        pairs = {}
        for text in self.column or ():
            role, mark, name = text.partition("=")
            if not (role and mark and name):
                raise ValueError(f"--column must be ROLE=NAME, as sku=Code, got {text!r}")
            pairs[role.strip()] = name.strip()
        return pairs


@Parameter(name="*", group=_ASSUME)
@dataclass(frozen=True, kw_only=True)
class AssumeFlags:
    """What is assumed where no file says it."""

    margin: float = 0.5
    """Share of the price that is margin: costs follow from it."""
    lead_time_days: float = 7.0
    """Of the lean supplier."""
    review_period_days: float = 7.0
    """Between two reviews of an item."""
    holding_rate: float = 0.25
    """Cost of a unit in stock for a year, as a share of its cost."""


NO_FLAGS = FileFlags()
NO_ASSUMPTIONS = AssumeFlags()
Mapping = Annotated[Path | None, Parameter(alias="-m")]


def wishes_of(
    flags: FileFlags, assume: AssumeFlags, *, preset: str | None, mapping: Path | None
) -> "Wishes":
    """Return what the flags say about a file.

    Raises:
        ValueError: a flag or the mapping breaks a rule.
    """
    from infra.connect.files import ReadOptions
    from infra.connect.intake import Wishes
    from infra.connect.mapping import load_mapping
    from infra.connect.presets import Defaults

    defaults = replace(
        Defaults(),
        margin=assume.margin,
        lead_time_days=assume.lead_time_days,
        review_period_days=assume.review_period_days,
        holding_rate_per_year=assume.holding_rate,
    )
    _check_encoding(flags.encoding)
    return Wishes(
        preset=preset,
        mapping=None if mapping is None else load_mapping(mapping),
        options=ReadOptions(
            flags.encoding, _delimiter(flags.delimiter), flags.sheet, flags.header_row
        ),
        columns=flags.columns(),
        source=flags.source,
        defaults=defaults,
        stock_is=flags.stock_is,
    )


def answers_of(flags: FileFlags, *, yes: bool) -> "Answers":
    """Return who answers what the flags leave open."""
    from infra.cli.shop.asking import asker
    from infra.connect.guessing.answers import Answers

    return Answers(asker(yes=yes), flags.given())


def _delimiter(text: str | None) -> str | None:
    if text is None or len(text) == 1:
        return text
    known: dict[str, Any] = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
    if text not in known:
        raise ValueError(f"--delimiter must be one character or tab, got {text!r}")
    return str(known[text])


def _check_encoding(name: str | None) -> None:
    import codecs

    if name is None:
        return
    try:
        codecs.lookup(name)
    except LookupError:
        rule = "the name of an encoding, as utf-8, cp1252, gb18030 or shift_jis"
        raise ValueError(f"--encoding must be {rule}, got {name!r}") from None
