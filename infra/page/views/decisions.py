"""Decisions in words: what was ordered, why, and what the other splits would have cost."""

import math
from typing import Literal, get_args

from infra.cli.words import chosen_split, reason_text
from infra.page.contracts import Decision, Decisions, DecisionsQuery, Split
from infra.page.snapshot import ReadDecision, Snapshot
from streams.items import item_key
from streams.outputs import Occasion, SupplierRole, purchase_order_id

SplitName = Literal["nothing", "lean_only", "flexible_only", "both"]


def decisions(snapshot: Snapshot, query: DecisionsQuery) -> Decisions:
    """Return the part that is asked for, the newest first."""
    chosen = [one for one in snapshot.decisions if query.only == "all" or _is_ordered(one)]
    shown = chosen[query.offset : query.offset + query.limit]
    return Decisions(
        total=len(chosen),
        offset=query.offset,
        decisions=[
            decision(one, snapshot.currencies.get((one.sku, one.warehouse))) for one in shown
        ],
    )


def _is_ordered(one: ReadDecision) -> bool:
    return any(one.record[f"quantity_{role}_units"] > 0 for role in SupplierRole)


def decision(one: ReadDecision, currency: str | None) -> Decision:
    """Return a decision as it is shown."""
    record = one.record
    occasion = Occasion.SURGE if record["is_surge"] else Occasion.REGULAR
    reason = record["reason"].item().decode()
    key = item_key(one.sku, one.warehouse)
    quantities = {role: int(record[f"quantity_{role}_units"]) for role in SupplierRole}
    return Decision(
        decided_ms=int(record["reviewed_ms"]),
        sku=one.sku,
        warehouse=one.warehouse,
        occasion=str(occasion),
        lean_units=quantities[SupplierRole.LEAN],
        flexible_units=quantities[SupplierRole.FLEXIBLE],
        reason=reason,
        reason_text=reason_text(reason),
        currency=currency,
        splits=_splits(one),
        po_ids=[
            purchase_order_id(key, int(record["window_ms"]), role, occasion)
            for role, quantity in quantities.items()
            if quantity
        ],
    )


def _splits(one: ReadDecision) -> list[Split]:
    quantities = {f"quantity_{role}_units": one.record[f"quantity_{role}_units"] for role in _ROLES}
    chosen = chosen_split(quantities)
    costs = {name: float(one.record[f"expected_cost_{name}"]) for name in get_args(SplitName)}
    base = costs[chosen]
    return [
        Split(
            split=name,
            is_chosen=name == chosen,
            more_than_chosen=round(cost - base, 2) if math.isfinite(cost - base) else None,
        )
        for name, cost in costs.items()
    ]


_ROLES = tuple(SupplierRole)
