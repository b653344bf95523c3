"""Classic inventory control: published formulas for one item or many, without two suppliers.

`answer` takes one case as `tidegate classic` does. The functions behind it take arrays of items
where the formula allows it:

- how much: `lots` (economic order quantity), `discounts`, `dynamic_lots` (Wagner & Whitin),
  `newsvendor` (one season, base stock)
- when: `levels` (s, S), `lot_levels` (r, Q), `safety` (safety stock and (R, S) by service),
  `order_lines` (order-line fill), `planning` (reorder point, review, cover time, MRP)
- which items: `classes` (ABC, XYZ, demand classes, service matrix), `capital` (capital against
  service), `money` (turns, days, DuPont), `smoothing` (Holt), `materials` (kits and their parts)
- below them: `demand` (families), `normal` (loss function), `fields` (rules of a case's fields)
- above them: `cases` (a case as JSON gives it: its fields, its answer, and the page of all models)
"""

from policy.classic.cases.answer import answer
from policy.classic.cases.reference import reference

__all__ = ["answer", "reference"]
