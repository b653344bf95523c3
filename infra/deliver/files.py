"""One try of a folder: a file under a fixed name, whole or not there at all."""

import csv
import io
import os
import re
from decimal import Decimal
from pathlib import Path

from infra.deliver.messages import Message
from infra.deliver.outcome import End, Outcome
from infra.wording.orders import csv_text

COLUMNS = (
    *("Order", "Line", "Your item", "Our item", "Description", "Units", "Unit", "Unit price"),
    *("Currency", "Line total", "Deliver by", "Deliver to"),
)
_UNSAFE = re.compile(r"[^\w.-]")


def file_name(message: Message, ending: str) -> str:
    """Return the name under which a version of an order is written, ever.

    >>> from types import SimpleNamespace
    >>> file_name(SimpleNamespace(po_id="po-1", version=2, kind="cancelled"), "csv")
    'po-1.v2.cancelled.csv'
    """
    kind = "" if message.kind == "proposed" else f".{message.kind}"
    return f"{_UNSAFE.sub('_', message.po_id)}.v{message.version}{kind}.{ending}"


def put(folder: Path, name: str, content: bytes) -> Outcome:
    """Write a file: to a name that readers leave alone first, then renamed.

    The same file again is delivered; another one under its name is refused, not written over.
    """
    place, half = folder / name, folder / f".{name}.tmp"
    try:
        if place.exists():
            if place.read_bytes() == content:
                return Outcome(End.DELIVERED, f"{place} is there")
            return Outcome(End.REFUSED, f"{place} is there with other content")
        with half.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        half.rename(place)
        _sync(folder)
    except OSError as error:
        return Outcome(End.AGAIN, f"{folder}: {error.strerror or error}")
    return Outcome(End.DELIVERED, f"written as {place}")


def _sync(folder: Path) -> None:
    at = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(at)
    finally:
        os.close(at)


def order_csv(message: Message, delimiter: str = ";", decimal: str = ",") -> bytes:
    """Return an order or a document as a sheet, UTF-8 with the mark that Excel wants.

    Text that a spreadsheet would run as a formula has an apostrophe in front. An order that is
    cancelled has 0 units.
    """
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    is_over = message.kind == "cancelled"
    for number, one in enumerate(message.parts, 1):
        units = 0 if is_over or one.kind == "cancelled" else one.quantity
        price = Decimal(str(one.unit_cost))
        total = f"{price * units:.2f}".replace(".", decimal)
        row = (
            *(message.po_id, number, "", one.sku, "", units, "EA", _price(price, decimal)),
            *(one.currency, total, one.expected_at[:10], one.warehouse.upper()),
        )
        writer.writerow([csv_text(cell) for cell in row])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def _price(price: Decimal, decimal: str) -> str:
    """Return a price with two digits, or more where it has them."""
    digits = max(2, -int(price.normalize().as_tuple().exponent))
    return f"{price:.{digits}f}".replace(".", decimal)
