"""X12 004010: an order written as an 850, and any interchange read with its counts."""

import re

from infra.deliver.edifact import EdiError, EdiOrder

_NUMBER_LIMIT = 22  # BEG03
_ISA_CHARACTERS = 106  # with its end
# No escape exists: a separator in a text is replaced, as is what the basic set does not have.
_OUTSIDE = re.compile(r"[^A-Za-z0-9 !\"&'()+,\-./;?=%@\[\]_{}\\|<#$]")


def plain(text: str) -> str:
    """Return a text in which what X12 cannot carry is a blank.

    >>> plain("Tide*mug~ 50>40")
    'Tide mug  50 40'
    """
    return _OUTSIDE.sub(" ", text)


def order_number(po_id: str) -> str:
    """Return the number of an order in X12, which is at most 22 characters: without its prefix.

    Raises:
        EdiError: it is longer.
    """
    number = po_id.removeprefix("po-").removeprefix("do-")
    if len(number) > _NUMBER_LIMIT:
        raise EdiError(f"an order number must have at most {_NUMBER_LIMIT} characters, {number!r}")
    return number


_PURPOSES = {"9": "00", "5": "05", "1": "01"}


def write_850(
    order: EdiOrder, *, buyer_name: str, buyer_code: str, deliver_to_name: str, usage: str = "P"
) -> bytes:
    """Return an interchange with one 850.

    Args:
        order: of whom `buyer` and `supplier` are interchange ids of at most 15 characters.
        buyer_name: of the buyer.
        buyer_code: the supplier's code for the buyer.
        deliver_to_name: of the warehouse; its code is the order's `deliver_to`.
        usage: P for production, T for test.

    Raises:
        EdiError: an id or number is too long.
    """
    for name, one in (("buyer", order.buyer), ("supplier", order.supplier)):
        if len(one) > 15:
            raise EdiError(f"{name} must have at most 15 characters, got {one!r}")
    day, time = order.prepared_at[:8], order.prepared_at[8:12]
    body = [
        ["BEG", _PURPOSES[order.function], "SA", order_number(order.number), "", order.ordered_on],
        ["CUR", "BY", order.currency],
        ["DTM", "002", order.deliver_on],
        ["N1", "BY", buyer_name, "92", buyer_code],
        ["N1", "ST", deliver_to_name, "92", order.deliver_to],
    ]
    for number, line in enumerate(order.lines, 1):
        vendor = ["VP", line.supplier_item] if line.supplier_item else []
        parts = [str(number), str(line.quantity), "EA", line.price, "PE", "BP", line.sku, *vendor]
        body.append(["PO1", *parts])
    units = sum(line.quantity for line in order.lines)
    body.append(["CTT", str(len(order.lines)), str(units)])
    control = f"{order.control:09d}"
    segments = [
        ["ISA", "00", " " * 10, "00", " " * 10, "ZZ", f"{order.buyer:<15}", "ZZ",
         f"{order.supplier:<15}", day[2:], time, "U", "00401", control, "0", usage],
        ["GS", "PO", order.buyer, order.supplier, day, time, str(order.control), "X", "004010"],
        ["ST", "850", "0001"],
        *body,
        ["SE", str(len(body) + 2), "0001"],
        ["GE", "1", str(order.control)],
        ["IEA", "1", control],
    ]  # fmt: skip
    written = ["*".join(plain(one) for one in segment) for segment in segments]
    written[0] += "*>"
    return "".join(f"{one}~\n" for one in written).encode("ascii")


# --- reading -----------------------------------------------------------------------------------


def read_sets(content: bytes) -> list[list[list[str]]]:
    """Return the transaction sets of an interchange, each from ST to SE.

    Raises:
        EdiError: the envelope, a count or a reference is not that of what is there.
    """
    text = content.decode("latin-1")
    if not text.startswith("ISA") or len(text) < _ISA_CHARACTERS:
        raise EdiError("an interchange must begin with an ISA of 106 characters")
    element, end = text[3], text[_ISA_CHARACTERS - 1]
    rows = [one.strip("\r\n").split(element) for one in text.split(end)]
    rows = [row for row in rows if row != [""]]
    if rows[-1][0] != "IEA":
        raise EdiError("an interchange must end with IEA")
    sets: list[list[list[str]]] = []
    group, groups, begun = 0, 0, 0
    current: list[list[str]] | None = None
    reference = ""
    for row in rows[1:-1]:
        match row[0]:
            case "GS":
                group, reference, begun = len(sets), _at(row, 6), begun + 1
            case "GE":
                if current is not None:
                    raise EdiError("every set must end with SE, before its group ends")
                _require("GE01", len(sets) - group, _at(row, 1))
                _same("GE02", reference, _at(row, 2))
                groups += 1
            case _:
                if row[0] == "ST":
                    current = []
                if current is None:
                    raise EdiError(f"a segment must be inside a set, got {row[0]}")
                current.append(row)
                if row[0] == "SE":
                    _check_set(current)
                    sets.append(current)
                    current = None
    if current is not None or begun != groups:
        raise EdiError("every set must end with SE, every group with GE")
    _require("IEA01", groups, _at(rows[-1], 1))
    _same("IEA02", _at(rows[0], 13), _at(rows[-1], 2))
    return sets


def _check_set(rows: list[list[str]]) -> None:
    _require("SE01", len(rows), _at(rows[-1], 1))
    _same("SE02", _at(rows[0], 2), _at(rows[-1], 2))
    counted = "HL" if _at(rows[0], 1) == "856" else "PO1"
    for row in rows:
        if row[0] == "CTT":
            _require("CTT01", sum(one[0] == counted for one in rows), _at(row, 1))


def _require(name: str, count: int, said: str) -> None:
    if not said.isdigit() or int(said) != count:
        raise EdiError(f"{name} must be {count}, got {said!r}")


def _same(name: str, reference: str, said: str) -> None:
    if said != reference:
        raise EdiError(f"{name} must be {reference!r}, got {said!r}")


def _at(row: list[str], place: int) -> str:
    return row[place] if place < len(row) else ""


value_at = _at
"""Return an element of a segment; empty where there is none."""
