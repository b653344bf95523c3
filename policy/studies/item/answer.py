"""The answer to a case: what the live rule claims, and what a simulated world says to that."""

from __future__ import annotations

from typing import Any

from policy.dual_index.rule import (
    L_FLEXIBLE_LOT,
    L_FLEXIBLE_Z,
    L_LEAN_LOT,
    L_LEAN_Z,
    L_WINDOW,
    NO_FLEXIBLE,
)
from policy.dual_index.table import LevelTable
from policy.policy_cache import PolicyCache
from policy.studies.item.case import Case, read_case
from policy.studies.item.result import achieved_figures, claimed_figures, event_figures
from policy.studies.item.rule import ItemRule
from policy.studies.item.world import Days, play


def simulate_item(value: Any) -> dict[str, Any]:
    """Return what the live rule claims of an item, and what it achieves in a simulated world.

    Args:
        value: the case, as the JSON file of `tidegate simulate item` has it.

    Raises:
        PolicyInputError: names the field, its rule and the value.
    """
    return play_case(read_case(value))[0]


def play_case(case: Case) -> tuple[dict[str, Any], list[Days]]:
    """Return the answer to a case that was read, and the days of its runs."""
    table = LevelTable()
    rule = ItemRule(case, table, PolicyCache(100_000))
    claim = None if rule.is_exact else rule.claim()
    runs = [play(case, rule, run) for run in range(case.runs)]
    answer: dict[str, Any] = {"method": "exact" if claim is None else "dual_index"}
    if claim is not None:
        answer["levels"] = levels_record(claim.levels)
        answer["is_target_met"] = claim.is_met
        answer["claimed"] = claimed_figures(case, claim)
    answer["achieved"] = achieved_figures(case, runs)
    answer["events"] = [event_figures(case, runs, place) for place in range(len(case.events))]
    return answer, runs


def levels_record(levels: Any) -> dict[str, float | None]:
    """Return fitted levels by name; None means that the flexible supplier is not asked."""
    flexible = float(levels[L_FLEXIBLE_Z])
    return {
        "lean_safety_factor": float(levels[L_LEAN_Z]),
        "lean_lot_units": float(levels[L_LEAN_LOT]),
        "flexible_safety_factor": flexible if flexible > NO_FLEXIBLE else None,
        "flexible_lot_units": float(levels[L_FLEXIBLE_LOT]),
        "flexible_window_days": float(levels[L_WINDOW]),
    }
