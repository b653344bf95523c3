"""Kinds of files: their columns, their templates, and the mapping that they lead to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
Columns = Mapping[str, Any]
"""By role: the column, or the whole place of a field."""


@dataclass(frozen=True)
class Defaults:
    """What is assumed where a file says nothing. All of it is stated in every report."""

    margin: float = 0.5  # of the price: what a unit costs follows from it
    flexible_cost_ratio: float = 1.3  # cost at the fast supplier over that at the lean one
    lead_time_days: float = 7.0
    flexible_lead_time_ratio: float = 0.3
    review_period_days: float = 7.0
    holding_rate_per_year: float = 0.25  # of the cost of a unit
    backorder_ratio: float = 19.0  # times holding: 95 % is worth having in stock
    setup_unit_costs: float = 0.0  # cost of an order, in units

    def __post_init__(self) -> None:
        rules = (
            ("margin", 0 <= self.margin < 1, "from 0 to below 1"),
            ("lead_time_days", 0 <= self.lead_time_days <= 3650, "from 0 to 3650"),
            ("review_period_days", 0.01 <= self.review_period_days <= 365, "from 0.01 to 365"),
            (
                "holding_rate_per_year",
                0 < self.holding_rate_per_year <= 100,
                "above 0, at most 100",
            ),
        )
        for name, holds, rule in rules:
            if not holds:
                raise ValueError(f"{name} must be {rule}, got {getattr(self, name)!r}")

    @property
    def holding_share_per_day(self) -> float:
        """Of the cost of a unit."""
        return self.holding_rate_per_year / 365

    def in_words(self) -> list[str]:
        """Return what is assumed, one fact a line."""
        return [
            f"a unit costs {1 - self.margin:.0%} of its price where no cost is given (--margin)",
            f"the fast supplier costs {self.flexible_cost_ratio:g} times the lean one and takes "
            f"{self.flexible_lead_time_ratio:.0%} of its time",
            f"the lean supplier takes {self.lead_time_days:g} days (--lead-time-days)",
            f"an item is reviewed every {self.review_period_days:g} days (--review-period-days)",
            f"a unit in stock costs {self.holding_rate_per_year:.0%} of its cost a year "
            f"(--holding-rate); a unit that a customer waits for {self.backorder_ratio:g} times "
            "as much a day, so that about 95 % are served from stock",
        ]


@dataclass(frozen=True)
class Preset:
    """One kind of file.

    Args:
        needs: roles, of each group at least one.
        may: other roles that are used.
        words: what it is, for people.
        example: rows of the template, by column.
    """

    name: str
    words: str
    needs: tuple[tuple[str, ...], ...]
    may: tuple[str, ...]
    example: tuple[Mapping[str, object], ...]

    @property
    def roles(self) -> tuple[str, ...]:
        """All roles that its columns may have."""
        return (*(role for group in self.needs for role in group), *self.may)

    @property
    def columns(self) -> Sequence[str]:
        """Columns of the template."""
        return list(self.example[0])


PRESETS = {
    one.name: one
    for one in (
        Preset(
            "orders",
            "order lines, one a row",
            (("sku", "name"), ("quantity",), ("placed_at",)),
            (
                *("order_id", "line_id", "current_quantity", "undone_quantity", "price"),
                *("line_total", "currency", "cancelled_at", "status", "warehouse", "promised_by"),
                *("dispatched_quantity", "dispatched_at"),
            ),
            (
                {
                    **{"order_id": "1001", "placed_at": "2026-11-09 21:14:03 +0800"},
                    **{"sku": "85123A", "quantity": 2, "price": 12.5, "currency": "EUR"},
                    **{"status": "", "cancelled_at": ""},
                },
                {
                    **{"order_id": "1002", "placed_at": "2026-11-09 22:00:00 +0800"},
                    **{"sku": "85123B", "quantity": 1, "price": 5, "currency": "EUR"},
                    **{"status": "cancelled", "cancelled_at": "2026-11-09 22:30:00 +0800"},
                },
            ),
        ),
        Preset(
            "catalog",
            "items with their costs and lead times, one a row",
            (("sku",), ("unit_cost", "price")),
            (
                *("margin", "unit_cost_flexible", "lead_time_days", "lead_time_days_flexible"),
                *("review_period_days", "minimum_order_units", "pack_size_units", "setup_cost"),
                *("supplier", "supplier_flexible", "holding_rate_per_year", "service_target"),
                *("holding_cost_per_unit_day", "backorder_cost_per_unit_day", "currency"),
                *("category", "warehouse"),
            ),
            (
                {
                    **{"sku": "85123A", "unit_cost": 6.25, "currency": "EUR"},
                    **{"supplier": "Slow & Steady", "lead_time_days": 9},
                    **{"minimum_order_units": 24, "pack_size_units": 12},
                    **{"supplier_flexible": "Fast & Co", "unit_cost_flexible": 8.1},
                    **{"lead_time_days_flexible": 2, "category": "mugs"},
                },
            ),
        ),
        Preset(
            "suppliers",
            "what suppliers ask for items: one row for each item and supplier",
            (("sku",), ("supplier",), ("unit_cost",), ("lead_time_days",)),
            ("minimum_order_units", "pack_size_units", "currency", "warehouse", "setup_cost"),
            (
                {
                    **{"sku": "85123A", "supplier": "Slow & Steady", "unit_cost": 6.25},
                    **{"lead_time_days": 9, "minimum_order_units": 24, "pack_size_units": 12},
                    "currency": "EUR",
                },
                {
                    **{"sku": "85123A", "supplier": "Fast & Co", "unit_cost": 8.1},
                    **{"lead_time_days": 2, "minimum_order_units": 0, "pack_size_units": 1},
                    "currency": "EUR",
                },
            ),
        ),
        Preset(
            "counts",
            "units on the shelf, one item a row",
            (("sku",), ("level",)),
            ("occurred_at", "warehouse"),
            ({"sku": "85123A", "level": 40, "counted_at": "2026-11-09 18:00:00 +0800"},),
        ),
        Preset(
            "campaigns",
            "planned campaigns: one row for each campaign and item",
            (("sku",), ("starts_at",), ("ends_at",), ("expected_units",)),
            ("campaign_id", "discount", "warehouse"),
            (
                {
                    **{"campaign_id": "black-friday-2026", "sku": "85123A"},
                    **{"starts_at": "2026-11-27 00:00:00 +0800"},
                    **{"ends_at": "2026-11-30 00:00:00 +0800"},
                    **{"expected_units": 500, "discount": 0.2},
                },
            ),
        ),
    )
}
SHOP_PRESETS = {"shopify-orders": "orders", "woocommerce-orders": "orders"}
"""Presets of one shop's export, by the kind of file that they are."""


# --- mappings ---------------------------------------------------------------------------------


def emits_of(preset: str, columns: Columns, defaults: Defaults) -> list[Document]:
    """Return the events that a file of a kind gives, with the defaults written out."""
    makers = {
        "orders": _orders,
        "catalog": _catalog,
        "suppliers": _suppliers,
        "counts": _counts,
        "campaigns": _campaigns,
    }
    return [makers[preset](columns, defaults)]


def _orders(columns: Columns, defaults: Defaults) -> Document:
    fields: Document = dict(columns)
    if "sku" not in fields and "name" in fields:  # the shop has no other name for its items
        fields["sku"] = {**fields["name"], "as": "text"}
    content = [
        fields[name]["column"]
        for name in ("order_id", "sku", "quantity", "price", "line_total", "placed_at", "warehouse")
        if "column" in fields.get(name, {})
    ]
    if "order_id" not in fields:
        fields["order_id"] = {"row_id": content}
        fields.setdefault("line_id", {"const": "1"})
    else:
        fields.setdefault("line_id", {"hash": content})
    return {"to": "lines", "fields": fields}


def _catalog(columns: Columns, defaults: Defaults) -> Document:
    fields: Document = {"sku": columns["sku"]}
    fields |= _unit_cost(columns, defaults)
    fields |= _pair(columns, "unit_cost_flexible", ["unit_cost_lean", defaults.flexible_cost_ratio])
    lead = columns.get("lead_time_days")
    days = defaults.lead_time_days
    fields["lead_time_days_lean"] = {**lead, "empty": days} if lead else {"const": days}
    ratio = defaults.flexible_lead_time_ratio
    fields |= _pair(columns, "lead_time_days_flexible", ["lead_time_days_lean", ratio])
    fields["review_period_days"] = columns.get(
        "review_period_days", {"const": defaults.review_period_days}
    )
    fields |= _holding(columns, defaults)
    backorder = {"times": ["holding_cost_per_unit_day", defaults.backorder_ratio]}
    fields["backorder_cost_per_unit_day"] = columns.get("backorder_cost_per_unit_day", backorder)
    for name, role in _LEAN.items():
        if role in columns:
            fields[name] = columns[role]
    if "minimum_order_units_lean" in fields:
        fields["minimum_order_units_lean"] = {**fields["minimum_order_units_lean"], "empty": 0}
    if "pack_size_units_lean" in fields:
        fields["pack_size_units_lean"] = {**fields["pack_size_units_lean"], "empty": 1}
    return {"to": "catalog", "kind": "item", "fields": fields}


FLEXIBLE = "flexible: "
"""In front of a column that comes from the row of an item's fast supplier."""


def _suppliers(columns: Columns, defaults: Defaults) -> Document:
    """Of two rows of an item the cheaper one is the lean supplier's."""
    fast = {
        f"{role}_flexible": {**place, "column": FLEXIBLE + place["column"]}
        for role, place in columns.items()
        if role in ("supplier", "unit_cost", "lead_time_days")
    }
    emit = _catalog({**columns, **fast}, defaults)
    for role, empty in (("minimum_order_units", 0), ("pack_size_units", 1)):
        if role in columns:
            column = FLEXIBLE + columns[role]["column"]
            own = {**columns[role], "column": column, "empty": empty}
            emit["fields"][f"{role}_flexible"] = own
    emit["fields"]["supplier_flexible"] = {**fast["supplier_flexible"], "empty": "flexible"}
    return emit


_LEAN = {
    "minimum_order_units_lean": "minimum_order_units",
    "pack_size_units_lean": "pack_size_units",
    "setup_cost_lean": "setup_cost",
    "supplier_lean": "supplier",
    "supplier_flexible": "supplier_flexible",
    "service_target": "service_target",
    "currency": "currency",
    "category": "category",
    "warehouse": "warehouse",
}


def _unit_cost(columns: Columns, defaults: Defaults) -> Document:
    """Cost where it is given, else what the margin leaves of the price."""
    if "price" not in columns:
        return {"unit_cost_lean": columns["unit_cost"]}
    from_price = {"_price": {**columns["price"], "as": "number"}}
    share = 1 - defaults.margin
    if "unit_cost" not in columns:
        return {**from_price, "unit_cost_lean": {"times": ["_price", share]}}
    return {
        "_cost": {**columns["unit_cost"], "as": "number"},
        **from_price,
        "_cost_by_margin": {"times": ["_price", share]},
        "unit_cost_lean": {"either": ["_cost", "_cost_by_margin"]},
    }


def _pair(columns: Columns, name: str, product: list[Any]) -> Document:
    """A field of the fast supplier, or what follows from the lean one."""
    if name not in columns:
        return {name: {"times": product}}
    own, other = f"_{name}", f"_{name}_by_default"
    return {own: columns[name], other: {"times": product}, name: {"either": [own, other]}}


def _holding(columns: Columns, defaults: Defaults) -> Document:
    name = "holding_cost_per_unit_day"
    if name in columns:
        return {name: columns[name]}
    if "holding_rate_per_year" in columns:
        rate = {**columns["holding_rate_per_year"], "as": "share"}
        rate["empty"] = defaults.holding_rate_per_year
        return {"_rate": rate, name: {"times": ["unit_cost_lean", "_rate", round(1 / 365, 9)]}}
    return {name: {"times": ["unit_cost_lean", round(defaults.holding_share_per_day, 9)]}}


def _counts(columns: Columns, defaults: Defaults) -> Document:
    return {"to": "stock", "kind": "counted", "fields": dict(columns)}


def _campaigns(columns: Columns, defaults: Defaults) -> Document:
    fields = {"campaign_id": {"const": "campaign"}, **columns}
    return {"to": "campaigns", "kind": "planned", "fields": fields}


SHOPIFY_ORDERS: Document = {
    "read": {
        "group_by": "Name",
        "fill_down": [
            *("Id", "Currency", "Financial Status", "Fulfilled at", "Cancelled at"),
            *("Created at", "Location"),
        ],
    },
    "fields": {
        "order_id": {"first": ["Id", "Name"]},
        "line_id": {"count_within": "Name"},
        "sku": {"column": "Lineitem sku"},
        "name": {"column": "Lineitem name"},
        "quantity": {"column": "Lineitem quantity"},
        "price": {"column": "Lineitem price"},
        "currency": {"column": "Currency"},
        "placed_at": {"column": "Created at"},
        "cancelled_at": {"column": "Cancelled at"},
        "dispatched_at": {"column": "Fulfilled at"},
        "status": {"column": "Financial Status", "lookup": {"voided": "void", "*": "open"}},
    },
}
"""The export of orders of a Shopify shop; columns that a file lacks are left out of the mapping."""
