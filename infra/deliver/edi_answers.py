"""What suppliers answer by EDI: ORDRSP, DESADV, 855 and 856 as events of Tidegate's topics."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.deliver import edifact, x12
from infra.deliver.edifact import EdiError, Segment

Event = dict[str, Any]

_MESSAGE_FUNCTIONS = {"29": "acknowledged", "4": "changed", "27": "rejected"}
_LINE_ACTIONS = {"5": "acknowledged", "3": "changed", "7": "rejected"}
_RESPONSES, _SHIPMENTS = "order-responses", "shipments"


@dataclass(frozen=True)
class Partner:
    """The supplier that a file is from."""

    supplier: str
    skus: Mapping[str, str] = field(default_factory=dict)  # by GTIN
    orders: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """The order that is meant by the number of a document, without prefix, and a sku."""

    def common(self, event_id: str, at: str, sku: str, po_id: str) -> Event:
        """Return what every event has; a document is taken apart."""
        number = po_id.removeprefix("po-").removeprefix("do-")
        if po_id.startswith("do-") and (number, sku) not in self.orders:
            raise EdiError(f"{po_id} with {sku!r} must be a document of the outbox (--outbox)")
        return {
            "event_id": event_id,
            "occurred_at": _time(at),
            "sku": sku,
            "po_id": self.orders.get((number, sku), po_id),
            "source": f"edi:{self.supplier}",
        }


def events_of(content: bytes, partner: Partner) -> list[Event]:
    """Return the events of a file, each with its topic.

    Raises:
        EdiError: an envelope or a count is wrong, or it is none of the four messages.
    """
    if content.startswith(b"ISA"):
        return [one for rows in x12.read_sets(content) for one in _of_set(rows, partner)]
    messages = edifact.read_messages(content)
    return [one for message in messages for one in _of_message(message, partner)]


def _time(day: str) -> str:
    if len(day) < 8 or not day[:8].isdigit():
        raise EdiError(f"a date must be YYYYMMDD, got {day!r}")
    return f"{day[:4]}-{day[4:6]}-{day[6:8]}T00:00:00Z"


# --- EDIFACT -----------------------------------------------------------------------------------


def _of_message(message: list[Segment], partner: Partner) -> Iterator[Event]:
    kind = edifact.value_at(message[0], 2)
    if kind not in ("ORDRSP", "DESADV"):
        raise EdiError(f"a message must be ORDRSP or DESADV, got {kind!r}")
    begin = next((place for place, one in enumerate(message) if one[0][0] == "LIN"), len(message))
    head, dates = message[:begin], _dates(message[:begin])
    number = _first(head, "BGM", 2)
    po_id = _reference(head)
    for line in _lines(message[begin:]):
        sku = _sku(line, partner)
        place = edifact.value_at(line[0], 1)
        event_id = f"{kind.lower()}/{number}/{place}"
        event = partner.common(event_id, dates.get("137", ""), sku, _reference(line) or po_id)
        if not event["po_id"]:
            raise EdiError("RFF+ON must name our order")
        if kind == "DESADV":
            arrives = _time(dates.get("17", ""))
            yield {"topic": _SHIPMENTS, "kind": "advised", **event, "supplier": partner.supplier,
                   "quantity": _quantity(line, "12"), "expected_at": arrives}  # fmt: skip
        else:
            yield _answer(line, event, _MESSAGE_FUNCTIONS.get(_first(head, "BGM", 3), ""))


def _answer(line: list[Segment], event: Event, whole: str) -> Event:
    """Return the event of a line of an ORDRSP."""
    said = whole if whole == "rejected" else _LINE_ACTIONS.get(edifact.value_at(line[0], 2), whole)
    arrives = _dates(line).get("67")
    when = {} if arrives is None else {"expected_at": _time(arrives)}
    ordered, confirmed = _quantity(line, "21"), _quantity(line, "113")
    if said == "rejected" or confirmed == 0:
        return {"topic": _RESPONSES, "kind": "rejected", **event}
    if confirmed is not None and confirmed != ordered:
        quantity = {"quantity": confirmed}
        return {"topic": _RESPONSES, "kind": "changed", **event, **quantity, **when}
    if said not in ("acknowledged", "changed"):
        raise EdiError("BGM must have function 29, 4 or 27")
    return {"topic": _RESPONSES, "kind": "acknowledged", **event, **when}


def _lines(segments: list[Segment]) -> Iterator[list[Segment]]:
    line: list[Segment] = []
    for one in segments:
        if one[0][0] in ("LIN", "UNS", "CNT", "UNT"):
            if line:
                yield line
            line = [one] if one[0][0] == "LIN" else []
        elif line:
            line.append(one)


def _sku(line: list[Segment], partner: Partner) -> str:
    for one in line:
        if one[0][0] == "PIA":
            for place in range(2, len(one)):
                if edifact.value_at(one, place, 1) == "IN":
                    return edifact.value_at(one, place)
    gtin = edifact.value_at(line[0], 3)
    if gtin not in partner.skus:
        raise EdiError(f"an item must be named by PIA (IN) or a known GTIN, got {gtin!r}")
    return partner.skus[gtin]


def _dates(segments: list[Segment]) -> dict[str, str]:
    return {
        edifact.value_at(one, 1): edifact.value_at(one, 1, 1)
        for one in segments
        if one[0][0] == "DTM"
    }


def _quantity(line: list[Segment], qualifier: str) -> int | None:
    for one in line:
        if one[0][0] == "QTY" and edifact.value_at(one, 1) == qualifier:
            return _units(edifact.value_at(one, 1, 1))
    return None


def _reference(segments: list[Segment]) -> str:
    for one in segments:
        if one[0][0] == "RFF" and edifact.value_at(one, 1) == "ON":
            return edifact.value_at(one, 1, 1)
    return ""


def _first(segments: list[Segment], tag: str, element: int) -> str:
    return next((edifact.value_at(one, element) for one in segments if one[0][0] == tag), "")


def _units(text: str) -> int:
    try:
        units = float(text)
    except ValueError:
        units = -1.0
    if units < 0 or units != int(units):
        raise EdiError(f"a quantity must be whole units, got {text!r}")
    return int(units)


# --- X12 ---------------------------------------------------------------------------------------


def _of_set(rows: list[list[str]], partner: Partner) -> Iterator[Event]:
    kind = x12.value_at(rows[0], 1)
    if kind == "855":
        return _of_855(rows, partner)
    if kind == "856":
        return _of_856(rows, partner)
    raise EdiError(f"a set must be 855 or 856, got {kind!r}")


def _of_855(rows: list[list[str]], partner: Partner) -> Iterator[Event]:
    bak = next((row for row in rows if row[0] == "BAK"), [])
    po_id, number = f"po-{x12.value_at(bak, 3)}", x12.value_at(bak, 8)
    day = x12.value_at(bak, 9) or x12.value_at(bak, 4)
    line: list[str] = []
    answers = 0
    for row in rows:
        if row[0] == "PO1":
            line, answers = row, 0
        elif row[0] == "ACK":
            answers += 1
            event_id = f"855/{number}/{x12.value_at(line, 1)}"
            if answers > 1:
                event_id += f"/{answers}"
            event = partner.common(event_id, day, _buyer_item(line), po_id)
            yield _of_ack(row, line, event, partner)
    if x12.value_at(bak, 2) == "RD" and not any(row[0] == "ACK" for row in rows):
        for row in rows:
            if row[0] == "PO1":
                event_id = f"855/{number}/{x12.value_at(row, 1)}"
                event = partner.common(event_id, day, _buyer_item(row), po_id)
                yield {"topic": _RESPONSES, "kind": "rejected", **event}


def _of_ack(row: list[str], line: list[str], event: Event, partner: Partner) -> Event:
    status, units, day = x12.value_at(row, 1), x12.value_at(row, 2), x12.value_at(row, 5)
    when = {"expected_at": _time(day)} if day else {}
    if status in ("IA", "IC", "IP"):
        return {"topic": _RESPONSES, "kind": "acknowledged", **event, **when}
    if status == "IQ" and _units(units) > 0:
        return {"topic": _RESPONSES, "kind": "changed", **event, "quantity": _units(units), **when}
    if status in ("IR", "ID", "IQ"):
        return {"topic": _RESPONSES, "kind": "rejected", **event}
    if status in ("DR", "IB") and when:
        late = {"supplier": partner.supplier, "quantity": _units(units), **when}
        return {"topic": _SHIPMENTS, "kind": "delayed", **event, **late}
    raise EdiError(f"ACK01 must be IA, IC, IP, IQ, IR, ID, DR or IB with a date, got {status!r}")


def _of_856(rows: list[list[str]], partner: Partner) -> Iterator[Event]:
    bsn = next((row for row in rows if row[0] == "BSN"), [])
    arrives = next((x12.value_at(row, 2) for row in rows if row[:2] == ["DTM", "017"]), "")
    po_id, level, sku = "", "", ""
    for row in rows:
        match row[0]:
            case "HL":
                level = x12.value_at(row, 1)
            case "PRF":
                po_id = f"po-{x12.value_at(row, 1)}"
            case "LIN":
                sku = _buyer_item(row)
            case "SN1":
                event_id = f"856/{x12.value_at(bsn, 2)}/{level}"
                event = partner.common(event_id, x12.value_at(bsn, 3), sku, po_id)
                yield {"topic": _SHIPMENTS, "kind": "advised", **event,
                       "supplier": partner.supplier, "quantity": _units(x12.value_at(row, 2)),
                       "expected_at": _time(arrives)}  # fmt: skip


def _buyer_item(row: list[str]) -> str:
    for place, one in enumerate(row[:-1]):
        if one == "BP":
            return row[place + 1]
    raise EdiError(f"a line must name our item (BP), got {'*'.join(row)!r}")
