"""A campaign as a running installation knows it: its lines, stock, open orders, what it learned."""

import math
from typing import Any

from infra.campaigns.document import Document
from infra.redis.reader import ItemState, Reader
from streams.contracts.events import CampaignLine
from streams.demand.campaigns import Uplift, promotion_type
from streams.timestamps import one_time, rfc3339


def known_document(reader: Reader, campaign_id: str) -> Document | None:
    """Return the document of a campaign whose lines were read; None means it is not known.

    Open purchase orders count at the day they are due; those that are late already do not count.
    The range of demand is that of what promotions of the same type brought, from two on.
    """
    lines = reader.campaign(campaign_id)
    if not lines:
        return None
    uplifts = _uplifts(reader)
    promises = [line.promise_days for line in lines if line.promise_days is not None]
    document: Document = {
        "campaign_id": campaign_id,
        "starts_at": rfc3339(min(one_time(line.starts_at) for line in lines)),
        "ends_at": rfc3339(max(one_time(line.ends_at) for line in lines)),
        "lines": [_line(reader, line, uplifts) for line in sorted(lines, key=_name_of)],
    }
    return {**document, "promise_days": min(promises)} if promises else document


def with_known_items(reader: Reader, document: Document) -> Document:
    """Return a document with what is known of its items, where its lines do not say it themselves.

    A line that names its stock keeps all of its own figures of stock.
    """
    made = []
    for line in document.get("lines", []):
        places = reader.find(line["sku"], line.get("warehouse")) if "sku" in line else []
        known = {} if len(places) != 1 else _facts(reader.item(*places[0], days=0))
        if any(line.get(name) is not None for name in _STOCK):
            known = {name: value for name, value in known.items() if name not in _STOCK}
        made.append({**known, **{name: value for name, value in line.items() if value is not None}})
    return {**document, "lines": made}


_STOCK = (
    *("stock_units", "stock", "lots", "owed_units", "blocked_units", "arrivals", "waiting_units"),
)


def _name_of(line: CampaignLine) -> tuple[str, str]:
    return line.sku, line.warehouse


def _uplifts(reader: Reader) -> dict[str, Uplift]:
    """Return what promotions of each type brought, over all partitions."""
    found: dict[str, Uplift] = {}
    for shard in reader.shards():
        if shard.meta is not None:
            for promotion, uplift in shard.meta.uplifts.items():
                found.setdefault(promotion, Uplift()).merge(uplift)
    return found


def _line(reader: Reader, line: CampaignLine, uplifts: dict[str, Uplift]) -> Document:
    made: Document = {
        "sku": line.sku,
        "warehouse": line.warehouse,
        "expected_units": line.expected_units,
    }
    places = reader.find(line.sku, line.warehouse)
    if places:
        made |= _item(reader.item(*places[0], days=0), line, uplifts)
    return made


def _item(state: ItemState, line: CampaignLine, uplifts: dict[str, Uplift]) -> Document:
    """Return what is known of the item of a line, and what promotions like it brought."""
    made = _facts(state)
    return made | _uplift(made, line, uplifts)


def _facts(state: ItemState) -> Document:
    """Return stock, open orders, baseline and suppliers of an item."""
    row = state.row
    backlog = max(0, int(row["backlog_units"]))
    made: Document = {
        "stock_units": max(0, int(row["on_hand_units"])),
        "owed_units": min(backlog, max(0, int(row["on_hand_units"]))),
        "waiting_units": backlog,
        "baseline_units_per_day": max(0.0, float(row["demand_level_units_per_day"])),
        "arrivals": [
            {
                "po_id": order.po_id,
                "units": order.outstanding,
                "expected_at": rfc3339(order.due_ms),
                "chance": 0.0 if order.late_since_ms > 0 else 1.0,
            }
            for order in state.open_orders
        ],
    }
    if state.catalog is not None:
        made["unit_cost"] = state.catalog.unit_cost_lean
        made["purchases"] = _purchases(state)
    return made


def _purchases(state: ItemState) -> list[dict[str, Any]]:
    """Return what its two suppliers could still send."""
    line = state.catalog
    assert line is not None
    return [
        {
            "kind": kind,
            "supplier": getattr(line, f"supplier_{kind}"),
            "lead_time_days": getattr(line, f"lead_time_days_{kind}"),
            "unit_cost": getattr(line, f"unit_cost_{kind}"),
            "order_cost": getattr(line, f"setup_cost_{kind}"),
            "minimum_units": getattr(line, f"minimum_order_units_{kind}"),
            "pack_units": getattr(line, f"pack_size_units_{kind}"),
        }
        for kind in ("lean", "flexible")
    ]


def _uplift(made: Document, line: CampaignLine, uplifts: dict[str, Uplift]) -> Document:
    """Return the uplift of the line's type of promotion, and the range that it leaves."""
    uplift = uplifts.get(promotion_type(line))
    if uplift is None or uplift.factor is None:
        return {}
    days = (one_time(line.ends_at) - one_time(line.starts_at)) / 86_400_000
    found: Document = {"uplift": round(uplift.factor, 4), "uplift_samples": uplift.windows}
    spread = window_spread(uplift)
    if spread is not None:
        found["expected_units_sd"] = round(spread * made["baseline_units_per_day"] * days, 3)
    return found


def window_spread(uplift: Uplift) -> float | None:
    """Return how far a window's factor lies from the mean one; None below two windows.

    >>> one = Uplift()
    >>> one.add([(20, 10), (40, 10)])
    >>> one.factor, round(window_spread(one), 4)
    (3.0, 1.4142)
    """
    factor = uplift.factor
    if factor is None or uplift.windows < 2 or uplift.baseline_squares <= 0:
        return None
    squares = (
        uplift.unit_squares
        - 2.0 * factor * uplift.products
        + factor * factor * uplift.baseline_squares
    )
    scale = uplift.windows / (uplift.windows - 1)
    return math.sqrt(max(0.0, squares) * scale / uplift.baseline_squares)
