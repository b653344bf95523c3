"""A decision in words: its position and its suppliers, for `explain`, the item page and `item`."""

from collections.abc import Mapping
from typing import Any

from infra.wording.format import number

Known = Mapping[str, Any]
"""What a decision rested on, as `streams.replenishment.decision_record.inputs_record` gives it."""


def position_text(known: Known) -> str:
    """Return the inventory position and what it is made of.

    >>> position_text({"on_hand_units": 1200, "on_order_lean_units": 30, "backlog_units": 4,
    ...                "on_order_flexible_units": 0, "inventory_position_units": 1226.0})
    '1,226 units: 1,200 on hand + 30 on order - 4 backlog'
    """
    on_order = known["on_order_lean_units"] + known["on_order_flexible_units"]
    return (
        f"{number(known['inventory_position_units'])} units: {number(known['on_hand_units'])} on "
        f"hand + {number(on_order)} on order - {number(known['backlog_units'])} backlog"
    )


def service_text(known: Known) -> str:
    """Return the service target.

    >>> service_text({"service_target": 0.95}), service_text({"service_target": 0.0})
    ('95.0% wanted', 'no target: the cheapest')
    """
    target = known["service_target"]
    return f"{target:.1%} wanted" if target else "no target: the cheapest"


def supplier_text(known: Known, role: str, currency: str | None = None) -> str:
    """Return what a supplier costs and asks for.

    Args:
        known: of the decision; None stands for unlimited.
        role: lean or flexible.
        currency: of the item; None means not known.

    >>> supplier_text({"unit_cost_lean": 1.5, "setup_cost_lean": 90, "lead_time_days_lean": 9,
    ...                "minimum_order_units_lean": 1, "pack_size_units_lean": 12}, "lean", "EUR")
    '1.5 EUR a unit, 90 EUR an order, 9 days, packs of 12'
    """
    unit = f" {currency}" if currency else ""
    parts = [
        f"{number(known[f'unit_cost_{role}'], 4)}{unit} a unit",
        f"{number(known[f'setup_cost_{role}'], 2)}{unit} an order",
        days_text(known[f"lead_time_days_{role}"]),
    ]
    if (least := known.get(f"minimum_order_units_{role}") or 0) > 1:
        parts.append(f"at least {number(least)}")
    if (pack := known.get(f"pack_size_units_{role}") or 0) > 1:
        parts.append(f"packs of {number(pack)}")
    if (delay := float(known.get(f"dispatch_delay_days_{role}") or 0.0)) > 0:
        parts.append(f"dispatches in {days_text(delay)}")
    breaks = (known.get(f"price_break_{what}_{role}", []) for what in ("units", "unit_cost"))
    for units, cost in zip(*breaks, strict=True):
        parts.append(f"from {number(units)} units {number(cost, 4)}{unit} each")
    if role == "lean" and known.get("lean_capacity_units") is not None:
        parts.append(f"at most {number(known['lean_capacity_units'])} a review")
    return ", ".join(parts)


def days_text(days: float) -> str:
    """Return a number of days.

    >>> days_text(1.0), days_text(2.5)
    ('1 day', '2.5 days')
    """
    return "1 day" if days == 1 else f"{number(days, 2)} days"
