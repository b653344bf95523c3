"""A synthetic live sale: seeded, pure, written as lines of the `tidegate` schema, with its truth.

    from infra.sale import SaleSettings, write_sale
    write_sale("sale.jsonl.gz", "sale.truth.json", SaleSettings(seed=7))

The story, in event days from 2026-03-02: a calm day; an announced promotion; a bulk order of one
customer, an item that sells out, and a surge that nobody announced; a lean delivery that comes two
days late; a calm end. Throughout: cancellations, returns, corrections of stock, events that come
twice, events that come late, and records that no consumer can use.
"""

from infra.sale.generate import Sale, generate_sale, write_sale
from infra.sale.settings import SaleSettings

__all__ = ["Sale", "SaleSettings", "generate_sale", "write_sale"]
