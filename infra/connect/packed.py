"""Order lines that a plug-in has packed into cells of the order's row. Pure.

name:Tide mug|sku:85123A|quantity:3|total:37.50                  WooCommerce's plug-ins
Product Qty: 3, Product SKU: MUG-1, Product Unit Price: 12.50    BigCommerce; | between two lines
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from infra.connect.files import Row

PREFIX = "item "
"""In front of what was packed."""

_PAIRS = re.compile(r"\s*[A-Za-z_][\w ]{0,30}:[^|]*(?:\|\s*[A-Za-z_][\w ]{0,30}:[^|]*)+")
_NEXT_LINE = re.compile(r";\s*(?=[A-Za-z_]\w{0,30}:[^|;]*\|)")
_WORDY = re.compile(r"(Product [A-Za-z ]{1,30}): ?(.*?)(?=, Product [A-Z]|$)")


def lines_in(cell: Any) -> list[dict[str, str]]:
    """Return the lines that a cell holds; none where it is an ordinary cell.

    >>> lines_in("sku:a|quantity:3;sku:b|quantity:1")
    [{'item sku': 'a', 'item quantity': '3'}, {'item sku': 'b', 'item quantity': '1'}]
    >>> lines_in("Product Qty: 3, Product SKU: a, Product Name: Mug")[0]["item Product SKU"]
    'a'
    """
    if not isinstance(cell, str) or ":" not in cell:
        return []
    if cell.startswith("Product ") and ", Product " in cell:
        parts = (dict(_WORDY.findall(part.strip())) for part in cell.split("|"))
        return [{PREFIX + name: text for name, text in part.items()} for part in parts if part]
    if _PAIRS.fullmatch(cell):
        return [_pairs(part.split("|")) for part in _NEXT_LINE.split(cell)]
    return []


def _pairs(parts: Sequence[str]) -> dict[str, str]:
    pairs = (part.partition(":") for part in parts)
    return {PREFIX + name.strip(): text.strip() for name, _, text in pairs if name.strip()}


def packed_columns(rows: Iterable[Row]) -> list[str]:
    """Return the columns that hold packed lines."""
    found: dict[str, None] = {}
    for row in rows:
        for name, cell in row.cells.items():
            if lines_in(cell):
                found[name] = None
    return list(found)


def unpacked(rows: Iterable[Row], columns: Sequence[str]) -> Iterator[Row]:
    """Yield a row for each packed line, with the order's own cells beside."""
    for row in rows:
        lines = [line for name in columns for line in lines_in(row.cells.get(name))]
        if row.fault or not lines:
            yield row
            continue
        own = {name: cell for name, cell in row.cells.items() if name not in columns}
        for line in lines:
            yield row._replace(cells={**own, **line})
