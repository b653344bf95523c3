"""What codes mean, in words for buyers and operations people."""

import math
from collections.abc import Mapping
from typing import Any

REASONS = {
    "position_covers": (
        "What is on the shelf and on its way covers the expected demand: nothing is ordered."
    ),
    "cost_optimal": "This has the lowest expected cost, and no limit stood in its way.",
    "service_target": "This is the cheapest way to keep the service target.",
    "service_out_of_reach": (
        "With these lead times no order can keep the service target; this is the best one."
    ),
    "lean_capacity_bound": "The lean supplier cannot deliver more in one review period.",
    "minimum_order": "The quantity was raised to the supplier's minimum order.",
    "pack_size": "The quantity was rounded to whole packs.",
    "price_break": "A larger order costs less a unit, and the saving outweighs the longer storage.",
    "flexible_only_surge": (
        "A surge: this extra order goes to the flexible supplier, because the lean one is too slow."
    ),
    "no_demand": "Nothing sells at present: only what customers already wait for is ordered.",
    "gap_rule": (
        "The lean supplier is more than a review slower than the flexible one; a rule fills the "
        "gap to the target level."
    ),
    "too_little_history": "Sales were seen for too few days: nothing is ordered yet.",
    "not_live": "This time is before live_from: history is learned from, nothing is ordered.",
    "stale_stock": "The stock was not counted, or too long ago: nothing is ordered on it.",
}

SPLITS = {
    "nothing": "order nothing",
    "lean_only": "lean only",
    "flexible_only": "flexible only",
    "both": "both",
}

FAMILIES = {
    "auto": "no distribution",
    "normal": "normally distributed",
    "poisson": "Poisson counts",
    "negative_binomial": "negative binomial counts",
    "gamma": "gamma distributed",
}

FITS = {
    "no_demand": "nothing sold",
    "too_little_history": "too little history to test that; taken no narrower than chance alone",
    "equidispersed": "varying as chance alone would make it",
    "overdispersed": "varying more than chance alone would make it",
    "underdispersed": "varying less than chance alone would make it",
}


def reason_text(code: str) -> str:
    """Return what a reason code means; the code itself where it is not known here."""
    return REASONS.get(code, code)


def chosen_split(decision: Mapping[str, Any]) -> str:
    """Return which split a decision amounts to, as a key of `SPLITS`.

    >>> chosen_split({"quantity_lean_units": 3, "quantity_flexible_units": 0})
    'lean_only'
    """
    lean = decision["quantity_lean_units"] > 0
    flexible = decision["quantity_flexible_units"] > 0
    if lean and flexible:
        return "both"
    return "lean_only" if lean else "flexible_only" if flexible else "nothing"


def more_than_chosen(costs: Mapping[str, float | None], chosen: str) -> dict[str, float | None]:
    """Return by split how much more than the chosen one it is expected to cost.

    None means that its cost says nothing: it was not computed, or a limit ruled the split out,
    which is why a cheaper one was not chosen.

    Args:
        costs: by split; None or infinite means not computed.
        chosen: which one was chosen.

    >>> more_than_chosen({"nothing": 12.5, "lean_only": 10.0, "both": 9.0}, "lean_only")
    {'nothing': 2.5, 'lean_only': 0.0, 'both': None}
    """
    base = costs.get(chosen)
    found: dict[str, float | None] = {}
    for split, cost in costs.items():
        is_known = cost is not None and base is not None and math.isfinite(cost - base)
        more = round(cost - base, 2) if is_known else -1.0  # type: ignore[operator]
        found[split] = more if more >= 0 else None
    return found


def split_rows(
    costs: Mapping[str, float | None], chosen: str, currency: str | None
) -> list[tuple[str, str, str, str]]:
    """Return a table row for each split: what it is, its cost, how much more, whether chosen.

    The costs hold the future too, so that only their differences mean something.
    """
    more = more_than_chosen(costs, chosen)
    unit = f" {currency}" if currency else ""
    rows = []
    for split, words in SPLITS.items():
        mark, above = "← chosen" if split == chosen else "", more.get(split)
        if above is None:
            rows.append((words, "not computed" if mark else "ruled out", "", mark))
            continue
        difference = "" if mark else f"+{above:,.2f}"
        rows.append((words, f"{costs[split]:,.2f}{unit}", difference, mark))
    return rows
