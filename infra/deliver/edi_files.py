"""An order as an EDI file: EDIFACT ORDERS or X12 850, the same bytes at every try."""

from datetime import UTC, datetime
from decimal import Decimal

from infra.deliver.destinations import X12, Edifact
from infra.deliver.edifact import EdiError, EdiLine, EdiOrder, write_orders
from infra.deliver.files import file_name
from infra.deliver.messages import Message
from infra.deliver.x12 import write_850

_FUNCTIONS = {"proposed": "9", "changed": "5", "cancelled": "1"}
_LARGEST_CONTROL = 999_999_999


def edi_file(
    destination: Edifact | X12, message: Message, control: int, came_s: float
) -> tuple[str, bytes]:
    """Return the name and the content of the file of a message.

    Args:
        destination: the partner.
        message: the order.
        control: number of the interchange; a partner refuses one that it has had.
        came_s: when the message came (wall clock).

    Raises:
        EdiError: the order cannot be written so.
    """
    if not message.currency:
        raise EdiError("an order must have a currency")
    if control > _LARGEST_CONTROL:
        raise EdiError(f"an interchange number must be at most {_LARGEST_CONTROL}, got {control}")
    # One that replaces names what is ordered from now on; one that cancels names all that was.
    wanted = message.parts if message.kind == "cancelled" else message.live
    lines = [EdiLine(one.sku, one.quantity, _price(one.unit_cost)) for one in wanted]
    deliver_to = message.warehouse.upper()
    if isinstance(destination, Edifact):
        deliver_to = destination.deliver_to
    order = EdiOrder(
        number=message.po_id,
        function=_FUNCTIONS[message.kind],
        ordered_on=_day(message.said_at),
        deliver_on=_day(message.expected_at),
        currency=message.currency,
        lines=lines,
        buyer=destination.buyer,
        supplier=destination.supplier,
        deliver_to=deliver_to,
        prepared_at=datetime.fromtimestamp(came_s, UTC).strftime("%Y%m%d%H%M"),
        control=control,
    )
    if isinstance(destination, Edifact):
        return file_name(message, "edi"), write_orders(order)
    content = write_850(
        order,
        buyer_name=destination.buyer_name,
        buyer_code=destination.buyer_code,
        deliver_to_name=destination.deliver_to_name,
    )
    return file_name(message, "x12"), content


def _day(moment: str) -> str:
    return moment[:10].replace("-", "")


def _price(price: float) -> str:
    return f"{Decimal(str(price)):f}"
