"""EDIFACT D.96A, syntax 3: an order written as ORDERS, and any interchange read with its counts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Segment = list[list[str]]
"""Elements of a segment, each a list of components; the first is its tag."""

_UNA = "UNA:+.? '"
_RELEASE = "?"


class EdiError(ValueError):
    """An interchange that is not what it says; nothing of it may be used."""


@dataclass(frozen=True)
class EdiLine:
    """One line of an order."""

    sku: str
    quantity: int
    price: str
    gtin: str | None = None
    supplier_item: str | None = None


@dataclass(frozen=True)
class EdiOrder:
    """An order as EDI has it. Days are YYYYMMDD; the time of preparation is YYYYMMDDHHMM."""

    number: str
    function: str  # 9 original, 5 replaces, 1 cancels
    ordered_on: str
    deliver_on: str
    currency: str
    lines: Sequence[EdiLine]
    buyer: str
    supplier: str
    deliver_to: str
    prepared_at: str
    control: int
    note: str = ""
    qualifier: str = "14"


def escaped(text: str) -> str:
    """Return text in which a separator has the release character in front.

    >>> escaped("dock 3+4, it's new?")
    "dock 3?+4, it?'s new??"
    """
    for mark in (_RELEASE, "'", "+", ":"):
        text = text.replace(mark, _RELEASE + mark)
    return text


def write_orders(order: EdiOrder) -> bytes:
    """Return an interchange with one ORDERS message, Latin-1.

    Raises:
        EdiError: a text has characters that UNOC does not have, or no value where one is needed.
    """
    body = _message(order)
    count = len(body) + 2
    prepared = f"{order.prepared_at[2:8]}:{order.prepared_at[8:12]}"
    sender, receiver = (
        f"{escaped(one)}:{order.qualifier}" for one in (order.buyer, order.supplier)
    )
    segments = [
        f"UNB+UNOC:3+{sender}+{receiver}+{prepared}+{order.control}",
        "UNH+1+ORDERS:D:96A:UN:EAN008",
        *body,
        f"UNT+{count}+1",
        f"UNZ+1+{order.control}",
    ]
    text = _UNA + "".join(f"{one}'" for one in segments)
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        bad = text[error.start]
        raise EdiError(f"text must be in Latin-1 (UNOC), got {bad!r}") from None


def _message(order: EdiOrder) -> list[str]:
    number = escaped(order.number)
    segments = [
        f"BGM+220+{number}+{order.function}",
        f"DTM+137:{order.ordered_on}:102",
        f"DTM+2:{order.deliver_on}:102",
    ]
    if order.note:
        segments.append(f"FTX+AAI+++{escaped(order.note)}")
    parties = (("BY", order.buyer), ("SU", order.supplier), ("DP", order.deliver_to))
    segments.extend(f"NAD+{role}+{escaped(party)}::9" for role, party in parties)
    segments.append(f"CUX+2:{escaped(order.currency)}:9")
    for number_, line in enumerate(order.lines, 1):
        segments.extend(_line(number_, line))
    return [*segments, "UNS+S", f"CNT+2:{len(order.lines)}"]


def _line(number: int, line: EdiLine) -> Iterator[str]:
    if line.gtin:
        yield f"LIN+{number}++{escaped(line.gtin)}:EN"
        yield f"PIA+1+{escaped(line.sku)}:IN"
    else:
        yield f"LIN+{number}"
        yield f"PIA+5+{escaped(line.sku)}:IN"
    if line.supplier_item:
        yield f"PIA+1+{escaped(line.supplier_item)}:SA"
    yield f"QTY+21:{line.quantity}"
    yield f"PRI+AAA:{line.price}"


# --- reading -----------------------------------------------------------------------------------


def read_messages(content: bytes) -> list[list[Segment]]:
    """Return the messages of an interchange, each from UNH to UNT.

    Raises:
        EdiError: a count or a reference is not that of what is there.

    >>> read_messages(b"UNB+UNOC:3+a+b+261111:0815+7'UNH+1+X'UNT+3+1'UNZ+1+7'")
    Traceback (most recent call last):
    infra.deliver.edifact.EdiError: UNT must be 2 segments from UNH to UNT, got '3'
    """
    segments = _segments(content.decode("latin-1"))
    if not segments or segments[0][0][0] != "UNB" or segments[-1][0][0] != "UNZ":
        raise EdiError("an interchange must begin with UNB and end with UNZ")
    messages: list[list[Segment]] = []
    current: list[Segment] | None = None
    for segment in segments[1:-1]:
        tag = segment[0][0]
        if tag == "UNH":
            current = []
        if current is None:
            raise EdiError(f"a segment must be inside a message, got {tag}")
        current.append(segment)
        if tag == "UNT":
            _check_message(current)
            messages.append(current)
            current = None
    if current is not None:
        raise EdiError("a message must end with UNT")
    _require("UNZ", len(messages), _at(segments[-1], 1), "messages")
    _require_same("UNZ", _at(segments[0], 5), _at(segments[-1], 2))
    return messages


def _check_message(message: list[Segment]) -> None:
    _require("UNT", len(message), _at(message[-1], 1), "segments from UNH to UNT")
    _require_same("UNT", _at(message[0], 1), _at(message[-1], 2))
    lines = sum(one[0][0] == "LIN" for one in message)
    for one in message:
        if one[0][0] == "CNT" and _at(one, 1, 0) == "2":
            _require("CNT+2", lines, _at(one, 1, 1), "lines")


def _require(name: str, count: int, said: str, what: str) -> None:
    if said != str(count):
        raise EdiError(f"{name} must be {count} {what}, got {said!r}")


def _require_same(name: str, reference: str, said: str) -> None:
    if said != reference:
        raise EdiError(f"the reference of {name} must be {reference!r}, got {said!r}")


def _segments(text: str) -> list[Segment]:
    component, element, release, end = ":", "+", _RELEASE, "'"
    if text.startswith("UNA"):
        component, element, _, release, _, end = tuple(text[3:9])
        text = text[9:]
    found: list[Segment] = []
    segment: Segment = [[""]]
    characters = iter(text)
    for one in characters:
        if one == release and release != " ":
            segment[-1][-1] += next(characters, "")
        elif one == end:
            found.append(segment)
            segment = [[""]]
        elif one == element:
            segment.append([""])
        elif one == component:
            segment[-1].append("")
        elif one not in "\r\n":
            segment[-1][-1] += one
    if segment != [[""]]:
        raise EdiError("the last segment must have its end")
    return found


def _at(segment: Segment, element: int, component: int = 0) -> str:
    if element >= len(segment) or component >= len(segment[element]):
        return ""
    return segment[element][component]


value_at = _at
"""Return a component of a segment; empty where there is none."""
