"""Order lines packed into cells."""

import pytest

from infra.connect.packed import lines_in
from tests.infra.connect.guessing.test_guess import events_of, opened

WOO = (
    "order_id,order_date,status,line_item_1,line_item_2\n727,2026-11-01T10:00:00Z,processing,"
    '"name:Mug|sku:85123A|quantity:3|total:37.50","name:Saucer|sku:85123B|quantity:1|total:5"\n'
    '728,2026-11-02T10:00:00Z,cancelled,"name:Mug|sku:85123A|quantity:1|total:12.50",\n'
)
BIG = (
    "Order ID,Order Status,Order Date,Product Details\n100,Completed,2026-11-01T10:00:00Z,"
    '"Product ID: 77, Product Qty: 3, Product SKU: 85123A, Product Name: Mug, big, '
    "Product Unit Price: 12.50, Product Total Price: 37.50|Product ID: 78, Product Qty: 1, "
    'Product SKU: 85123B, Product Name: Saucer, Product Unit Price: 5, Product Total Price: 5"\n'
)


@pytest.mark.parametrize(("text", "placed"), [(WOO, 3), (BIG, 2)])
def test_packed_lines_are_rows(tmp_path, text, placed):
    """Each line has the cells of its order beside; prices follow from totals where need be."""
    events, report = events_of(opened(tmp_path / "orders.csv", text))
    lines = [event for event in events if event["kind"] == "placed"]
    assert len(lines) == placed
    assert {(line["sku"], line["price"]) for line in lines} == {("85123A", 12.5), ("85123B", 5)}
    assert not report.faults.listed


@pytest.mark.parametrize(
    "cell", ["", "12:30", "a|b", "Mug: blue", "https://x.example/a|b", None, 3]
)
def test_ordinary_cells_hold_no_lines(cell):
    """A time, an address and a list are no lines."""
    assert lines_in(cell) == []
