"""Decisions in words: what was ordered, why, and what the other splits would have cost."""

from collections.abc import Sequence
from typing import Literal, get_args

from infra.page.contracts import Decision, Decisions, DecisionsQuery, Split
from infra.page.cursor import Cursor
from infra.page.snapshot import ReadDecision, Snapshot
from infra.wording.codes import chosen_split, more_than_chosen, reason_text
from streams.contracts.ids import purchase_order_id
from streams.contracts.purchase_orders import Occasion, SupplierRole
from streams.state.items import item_key
from streams.types import Table

SplitName = Literal["nothing", "lean_only", "flexible_only", "both"]


def decisions(snapshot: Snapshot, query: DecisionsQuery) -> Decisions | None:
    """Return the page that is asked for, the newest first; None means it is not ready, read it."""
    ready = snapshot.decisions
    if query.before:
        before = Cursor.parse(query.before)
        ready = [one for one in ready if before.is_before(one.cursor)]
    chosen = [one for one in ready if is_wanted(one.record, query)]
    if query.before and len(chosen) < query.limit:
        return None
    return page_of(chosen[: query.limit], _next(ready, chosen, query.limit))


def _next(
    ready: Sequence[ReadDecision], chosen: Sequence[ReadDecision], limit: int
) -> Cursor | None:
    """Return where the next page begins: after what is shown, or after all that was looked at."""
    if len(chosen) >= limit:
        return chosen[limit - 1].cursor
    return ready[-1].cursor if ready else None


def is_wanted(record: Table, query: DecisionsQuery) -> bool:
    """Whether a decision is asked for."""
    return query.only == "all" or any(record[f"quantity_{role}_units"] > 0 for role in SupplierRole)


def page_of(shown: Sequence[ReadDecision], following: Cursor | None) -> Decisions:
    """Return decisions as they are shown."""
    return Decisions(
        decisions=[decision(one) for one in shown],
        next=None if following is None else str(following),
    )


def decision(one: ReadDecision) -> Decision:
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
        currency=one.currency,
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
    more = more_than_chosen(costs, chosen)
    return [
        Split(split=name, is_chosen=name == chosen, more_than_chosen=more[name])
        for name in get_args(SplitName)
    ]


_ROLES = tuple(SupplierRole)
