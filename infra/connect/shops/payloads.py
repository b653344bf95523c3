"""What an adapter makes of one message of a shop. Pure."""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from infra.connect.cells import money as cell_money
from infra.connect.faults import CellError
from infra.connect.ledger import Fields, Ledger, LineState, Part
from infra.connect.lines import time_ms
from infra.connect.times import BadTimeError, TimeStyle, read_time

OnMissingSku = Literal["variant", "skip", "stop"]
_Some = TypeVar("_Some")


class PayloadError(ValueError):
    """A message breaks a rule: it is refused, and the next one goes on."""

    def __init__(self, field: str, rule: str, value: object = "") -> None:
        super().__init__(f"{field} must be {rule}, got {value!r}")
        self.field = field
        self.rule = rule
        self.value = value


@dataclass(frozen=True)
class About:
    """What is known of a message beside its body.

    Args:
        topic: what the shop calls its kind; empty means that it follows from the body.
        shop: the shop's name.
        key: the record's key in Kafka, decoded.
    """

    topic: str = ""
    shop: str = ""
    key: Any = None


@dataclass
class News:
    """What a message says."""

    lines: list[LineState | Part] = field(default_factory=list)
    events: list[Fields] = field(default_factory=list)  # that no ledger is needed for
    left_out: list[dict[str, Any]] = field(default_factory=list)  # lines, with the reason
    fetch: list[str] = field(default_factory=list)  # what has to be asked of the shop's API
    notes: list[str] = field(default_factory=list)

    def leave_out(self, line: object, why: str) -> None:
        """Leave out a line, with the reason."""
        self.left_out.append({"line": line, "why": why})


class Notes:
    """What an adapter has to remember beside the ledger, by name, as JSON has it."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}
        self._changed: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        """Return what was noted."""
        return self._known.get(name, default)

    def put(self, name: str, value: Any) -> None:
        """Note something."""
        self._known[name] = msgspec.to_builtins(value)
        self._changed.add(name)

    def restore(self, name: str, value: Any) -> None:
        """Know something again as it was kept."""
        self._known[name] = value

    def take_changed(self) -> list[tuple[str, Any]]:
        """Return what changed since this was asked last."""
        changed = [(name, self._known[name]) for name in sorted(self._changed)]
        self._changed.clear()
        return changed


class Adapter(Protocol):
    """Knows the messages of one kind of shop."""

    notes: Notes

    def read(self, payload: Any, about: About, ledger: Ledger) -> News:
        """Return what a message says.

        Raises:
            PayloadError: it breaks a rule.
        """


@dataclass(frozen=True)
class ShopSettings:
    """What a shop's operator chooses.

    Args:
        stock_is: what the shop's stock means.
        on_missing_sku: a line without a sku is named by its variant, left out, or refused.
    """

    stock_is: Literal["available", "on_hand"] = "available"
    on_missing_sku: OnMissingSku = "skip"


def converted(payload: Any, kind: type[_Some]) -> _Some:
    """Return a body as a struct; numbers may come as texts.

    Raises:
        PayloadError: a field is missing or of another type.
    """
    try:
        return msgspec.convert(payload, kind, strict=False)
    except UnicodeEncodeError as error:
        raise PayloadError("the body", "text that can be written as UTF-8", str(error)) from None
    except msgspec.ValidationError as error:
        text = str(error)
        rule, _, path = text.partition(" - at `$")
        if "missing required field" in rule:
            name = rule.split("`")[1]
            place = f"{path.strip('`').lstrip('.')}.{name}".lstrip(".")
            raise PayloadError(place, "present: is it cut by include_fields?") from None
        rule = rule.removeprefix("Expected ").replace("`", "")
        raise PayloadError(path.strip("`").lstrip(".") or "the body", rule) from None


def money(value: Any) -> float | None:
    """Return an amount that comes as a text, a number, or an object with a scale.

    Raises:
        PayloadError: it is none.
    """
    try:
        return cell_money(value)
    except CellError as error:
        raise PayloadError("price", error.rule, value) from None


def utc_text(text: str) -> str:
    """Return a time that names no zone and is UTC, as RFC 3339.

    >>> utc_text("2026-11-11T00:03:21")
    '2026-11-11T00:03:21Z'

    Raises:
        PayloadError: it is no time.
    """
    try:
        return read_time(text, TimeStyle())
    except BadTimeError as error:
        raise PayloadError("a time", str(error), text) from None


def checked_ms(name: str, at: str | int) -> int:
    """Return a time in milliseconds.

    Raises:
        PayloadError: it is none that an event may have.
    """
    try:
        return time_ms(at)
    except CellError as error:
        raise PayloadError(name, error.rule, at) from None
