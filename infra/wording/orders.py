"""A purchase order in words for its buyer, and what a second computation finds different."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.wording.codes import (
    FAMILIES,
    FITS,
    SPLITS,
    chosen_split,
    more_than_chosen,
    reason_text,
    split_rows,
)
from infra.wording.format import number
from streams.contracts.purchase_orders import Candidates, CandidateUnits, Expected, PurchaseOrder


@dataclass(frozen=True)
class Difference:
    """A value that the record tells otherwise than the policy does now."""

    name: str
    recorded: Any
    recomputed: Any


def differences(order: PurchaseOrder, again: Mapping[str, Any]) -> list[Difference]:
    """Return what an order's record and its recomputation tell differently; none is the rule.

    Args:
        order: as it was published; what older records lack is not compared, nor the quantity of
            a version that people made.
        again: what `policy.recompute` makes of its inputs.
    """
    quantity = [(f"quantity_{order.supplier_role}_units", order.quantity)]
    pairs = [
        *(quantity if order.version == 1 else ()),
        (f"order_unit_cost_{order.supplier_role}", order.unit_cost),
        ("method", order.method),
        ("reason", order.reason),
        *_named_fields(order.candidates, "expected_cost_{}"),
        *_named_fields(order.candidate_units, "candidate_{}_units"),
        *_named_fields(order.expected, "{}"),
    ]
    found = []
    for name, recorded in pairs:
        recomputed = again.get(name, again.get(f"expected_{name}"))
        if not _same(recorded, recomputed):
            found.append(Difference(name, recorded, recomputed))
    return found


def _named_fields(
    part: Candidates | CandidateUnits | Expected | None, name: str
) -> Iterator[tuple[str, Any]]:
    if part is not None:
        for field in part.__struct_fields__:
            yield name.format(field), getattr(part, field)


def _same(recorded: Any, recomputed: Any) -> bool:
    """Whether two values agree; the record has money to the hundredth and shares to 1e-6."""
    if isinstance(recorded, float) and isinstance(recomputed, float):
        return recorded in (recomputed, round(recomputed, 2), round(recomputed, 6))
    return bool(recorded == recomputed)


def units_of(order: PurchaseOrder, again: Mapping[str, Any]) -> dict[str, int]:
    """Return the units of both suppliers; the other one's part is known from the computation."""
    roles = {role: int(again[f"quantity_{role}_units"]) for role in ("lean", "flexible")}
    return {**roles, str(order.supplier_role): order.quantity}


def split_of(order: PurchaseOrder, again: Mapping[str, Any]) -> str:
    """Return which split was chosen, as a key of `SPLITS`."""
    units = units_of(order, again)
    return chosen_split({f"quantity_{role}_units": count for role, count in units.items()})


def stock_text(known: Mapping[str, Any]) -> str:
    """Return what there was to sell, and what was on its way."""
    lean, flexible = known["on_order_lean_units"], known["on_order_flexible_units"]
    coming = "nothing is on its way"
    if lean or flexible:
        coming = f"{number(lean)} from lean and {number(flexible)} from flexible are on their way"
    return (
        f"{number(known['on_hand_units'])} on the shelf, {coming}, "
        f"customers wait for {number(known['backlog_units'])}: "
        f"a position of {number(known['inventory_position_units'])} units"
    )


def demand_text(known: Mapping[str, Any]) -> str:
    """Return the demand that was expected, and how long it has to be covered."""
    mean, spread = known["demand_mean_units_per_day"], known["demand_sd_units_per_day"]
    days = known["review_period_days"] + _days_until(known, "lean")
    return (
        f"{number(mean, 1)} units a day ± {number(spread, 1)}: about {number(mean * days)} in the "
        f"{number(days, 1)} days until the next review's lean order could be here"
    )


def basis_text(known: Mapping[str, Any]) -> str:
    """Return what the expected demand rests on: days seen, family, check, plan and surge."""
    if "demand_fit" not in known:
        return "not recorded"
    family = FAMILIES.get(str(known.get("demand_family")), str(known.get("demand_family")))
    parts = [
        f"{number(known['observed_days'])} days seen",
        family,
        FITS.get(str(known["demand_fit"]), str(known["demand_fit"])),
    ]
    level, planned = known["demand_level_units_per_day"], known["demand_planned_units_per_day"]
    parts.append(f"baseline level {number(level, 1)} a day")
    if planned > 0:
        parts.append(f"campaigns are planned to add {number(planned, 1)}")
    if not known.get("allow_lean", True):
        parts.append("raised by a surge")
    return "; ".join(parts)


def candidate_rows(
    order: PurchaseOrder, again: Mapping[str, Any]
) -> list[tuple[str, str, str, str, str]]:
    """Return a row for each split: what it is, its units, its cost, how much more, whether chosen.

    The costs hold the future too, so that only their differences mean something.
    """
    costs = {split: getattr(order.candidates, split) for split in SPLITS}
    chosen = split_of(order, again)
    more = more_than_chosen(costs, chosen)
    compared = split_rows(costs, chosen, order.currency)
    rows = []
    for split, (words, cost, difference, mark) in zip(SPLITS, compared, strict=True):
        is_open = more[split] is not None
        units = _candidate_units(order.candidate_units, split) if is_open else ""
        rows.append((words, units, cost, difference, mark))
    return rows


def _candidate_units(units: CandidateUnits | None, split: str) -> str:
    if units is None or split == "nothing":
        return ""
    if split == "both":
        return f"{number(units.both_lean)} + {number(units.both_flexible)}"
    return number(getattr(units, split))


def why_lines(order: PurchaseOrder, again: Mapping[str, Any]) -> list[str]:
    """Return sentences: what was chosen, what bound it, what a fast unit is worth, how sure."""
    reason = f"{reason_text(order.reason)} ({order.reason})"
    lines = [_changed_text(order, again), _chosen_text(order, again), reason]
    if order.expected is not None:
        lines += [_fast_text(order, order.expected), _service_text(order, order.expected)]
        lines.append(_method_text(order.method, order.expected.gap))
    return [line for line in lines if line]


def _changed_text(order: PurchaseOrder, again: Mapping[str, Any]) -> str:
    """Say what people changed before the order left; empty where they did not."""
    if order.version == 1:
        return ""
    proposed = int(again[f"quantity_{order.supplier_role}_units"])
    return (
        f"Changed before it left, now version {order.version}: {number(proposed)} were proposed, "
        f"{number(order.quantity)} are ordered."
    )


def _chosen_text(order: PurchaseOrder, again: Mapping[str, Any]) -> str:
    units = units_of(order, again)
    parts = [f"{number(count)} from {role}" for role, count in units.items() if count]
    text = f"Ordered at this review: {' and '.join(parts)}"
    expected = order.expected
    if expected is None:
        return text + "."
    return (
        f"{text}, for {_money(expected.purchase_cost)} and set-ups of "
        f"{_money(expected.setup_cost)}. "
        f"In the days that this decides, holding stock is expected to cost "
        f"{_money(expected.holding_cost)} and owing customers {_money(expected.backorder_cost)}."
    )


def _fast_text(order: PurchaseOrder, expected: Expected) -> str:
    known: Mapping[str, Any] = order.inputs
    worth = expected.break_even_fast_unit
    days = _days_until(known, "lean") - _days_until(known, "flexible")
    if worth is None or days <= 0:
        return ""
    premium = known["unit_cost_flexible"] - known["unit_cost_lean"]
    verdict = "worth its premium" if worth > premium else "not worth its premium"
    return (
        f"One more unit {number(days, 1)} days earlier saves {_money(max(worth, 0.0))} and costs "
        f"{_money(premium)} more from the flexible supplier: {verdict}, set-up apart."
    )


def _days_until(known: Mapping[str, Any], role: str) -> float:
    """Days from the decision until a supplier's delivery; older records know no dispatch days."""
    delay = known.get(f"dispatch_delay_days_{role}", 0.0)
    return float(known[f"lead_time_days_{role}"] + delay)


def _service_text(order: PurchaseOrder, expected: Expected) -> str:
    parts = [
        f"{share:.1%} {words}"
        for share, words in (
            (expected.cycle_service, "of cycles without a stock-out"),
            (expected.fill_rate, "of units from stock"),
        )
        if share is not None
    ]
    text = f"In the long run this policy serves {' and '.join(parts)}"
    if expected.review_service is not None:
        text += f"; this time stock lasts with a chance of {expected.review_service:.1%}"
    return text + "."


def _method_text(method: str, gap: float | None) -> str:
    if method == "exact":
        return f"Found exactly: at most {gap or 0.0:.2%} above the least possible cost."
    if method == "gap_rule" and gap is not None and gap < 1.0:
        return (
            f"Found by the gap rule, simulated: at most {gap:.1%} above a bound on the least "
            "possible cost."
        )
    if method == "dual_index" and gap is not None and gap < 1.0:
        return (
            f"Found by levels on stock and demand day by day, simulated: at most {gap:.1%} above "
            "a bound on the least possible cost."
        )
    return "How far this is from the least possible cost is not known."


def _money(value: float | None) -> str:
    return "not known" if value is None else number(value, 2)


def csv_text(value: object) -> object:
    """Return a value for a CSV file that people open: a formula gets an apostrophe in front.

    >>> csv_text("=1+1"), csv_text(-3), csv_text("lamp"), csv_text(None)
    ("'=1+1", -3, 'lamp', '')
    """
    if value is None:
        return ""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r", "'"):
        return f"'{value}"
    return value
