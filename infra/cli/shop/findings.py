"""What a run in shadow found, as figures and sentences: for the terminal and for the page."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.cli.shop.shadow import Found, Shadow
from infra.connect.assumed import Sales, opening_in_words
from infra.replay.faults import Record
from infra.wording.codes import reason_text
from infra.wording.format import number
from streams.timestamps import DAY_MS, rfc3339

_WEEK_DAYS = 7
_RANGE_SIGMAS = 1.2816  # of a range that holds 80 times in 100
_COMPARED_ITEMS = 100
_CLASSES = {
    "smooth": "sells nearly every day, in similar amounts",
    "erratic": "sells nearly every day, in very different amounts",
    "intermittent": "sells on some days, in similar amounts",
    "lumpy": "sells on some days, in very different amounts",
    "unknown": "sold on too few days to be classed",
}


@dataclass
class Table:
    """A table of the report."""

    title: str
    columns: list[tuple[str, bool]]  # heading, and whether it holds numbers
    rows: Sequence[tuple[str, ...]]
    words: str = ""


@dataclass
class Findings:
    """The report of a run."""

    title: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)  # what was assumed
    tables: list[Table] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    daily_units: list[tuple[str, int]] = field(default_factory=list)

    def public(self) -> dict[str, Any]:
        """Return it for programs."""
        tables = {
            table.title: [
                dict(zip([name for name, _ in table.columns], row, strict=True))
                for row in table.rows
            ]
            for table in self.tables
        }
        own = {"title": self.title, "facts": dict(self.facts), "assumed": self.taken}
        return {**own, "findings": self.sentences, "tables": tables}


def findings_of(run: Shadow, found: Found, comparison: "Comparison | None") -> Findings:
    """Return what a run found."""
    names = ", ".join(intake.source.name for intake, _ in run.intakes)
    made = Findings(f"What Tidegate would have done with {names}")
    made.facts = list(_facts(run, found))
    made.taken = list(_taken(run))
    made.sentences = list(_sentences(found, comparison))
    made.tables = [
        _classes(found),
        _forecasts(found),
        _orders(found),
        _by_supplier(found),
        *_compared(comparison),
        *_surges(found),
        _alerts(found),
        *_troubles(run, found),
    ]
    made.tables = [table for table in made.tables if table.rows]
    made.daily_units = daily_units(run.sales)
    return made


def _facts(run: Shadow, found: Found) -> Iterator[tuple[str, str]]:
    first_ms, last_ms = run.sales.bounds_ms()
    days = max(1, round((last_ms - first_ms) / DAY_MS))
    units = sum(item.units for item in run.sales.items.values())
    yield "days", f"{rfc3339(first_ms)[:10]} to {rfc3339(last_ms - 1)[:10]} ({number(days)})"
    yield "order lines", f"{number(run.sales.lines)} of {number(units)} units"
    yield "items", number(len(run.sales.items))
    yield "reviews", number(found.reviews)
    yield "purchase orders", number(len(found.orders))


def _taken(run: Shadow) -> Iterator[str]:
    for intake, answers in run.intakes:
        yield f"{intake.source.name} is read as {intake.shape}"
        yield from intake.source.notes
        yield from answers.taken
    missing = [name for name in run.sales.items if name not in run.known]
    if missing:
        yield f"items without costs and lead times in the files: {number(len(missing))}; so"
        yield from run.defaults.in_words()
    yield from opening_in_words(run.defaults)


# --- demand -----------------------------------------------------------------------------------


def _classes(found: Found) -> Table:
    counts = Counter(map(_class_of, found.items))
    rows = [(name, number(counts[name]), words) for name, words in _CLASSES.items() if counts[name]]
    columns = [("class", False), ("items", True), ("what it means", False)]
    return Table("Demand classes", columns, rows)


def _class_of(item: dict[str, Any]) -> str:
    """Return the class of an item's demand; a few days say nothing of it."""
    is_seen = (item["observed_days"] or 0) >= _WEEK_DAYS
    return str(item["estimate_class"] or "unknown") if is_seen else "unknown"


def _forecasts(found: Found, count: int = 15) -> Table:
    """Return what the next week is expected to bring, with the range of 80 in 100 weeks."""
    sold = [item for item in found.items if (item["demand_level_units_per_day"] or 0) > 0]
    known = [item for item in sold if _class_of(item) != "unknown"]
    known.sort(key=lambda item: -item["demand_level_units_per_day"])
    rows = []
    for item in known[:count]:
        mean, low, high = week_forecast(item)
        rows.append(
            (
                *(item["sku"], _class_of(item)),
                *(number(mean, 1), f"{number(low)} to {number(high)}"),
                number(item["on_hand_units"] or 0),
            )
        )
    columns = [
        *(("item", False), ("class", False), ("units in the next week", True)),
        *(("80 % range", True), ("stock in shadow", True)),
    ]
    words = f"the {len(rows)} of {number(len(known))} items that sell most"
    if len(known) < len(sold):
        words += f"; {number(len(sold) - len(known))} sold for less than a week and have none"
    return Table("Forecasts", columns, rows, words)


def week_forecast(item: dict[str, Any]) -> tuple[float, float, float]:
    """Return the units of the next week: mean, and the range of 80 in 100 weeks.

    The spread has two parts: how much days vary, and how well the level itself is known.
    """
    level = float(item["demand_level_units_per_day"])
    known_orders = max(1.0, float(item["level_orders"] or 1.0))
    daily = max(0.0, float(item["demand_variance_units"] or 0.0))
    mean = _WEEK_DAYS * level
    spread = math.sqrt(_WEEK_DAYS * daily + mean**2 / known_orders)
    low = max(0.0, math.floor(mean - _RANGE_SIGMAS * spread))
    return mean, low, math.ceil(mean + _RANGE_SIGMAS * spread)


# --- orders -----------------------------------------------------------------------------------


def _orders(found: Found, count: int = 15) -> Table:
    rows = [
        (
            *(order["decided_at"][:10], order["sku"], number(order["quantity"])),
            f"{order['supplier']} ({order['supplier_role']})",
            order["expected_at"][:10],
            why(order),
        )
        for order in sorted(found.orders, key=lambda one: one["decided_at"])[-count:]
    ]
    columns = [
        *(("day", False), ("item", False), ("units", True), ("supplier", False)),
        *(("arrives", False), ("why", False)),
    ]
    words = f"the last {len(rows)} of {number(len(found.orders))}"
    return Table("What would have been ordered", columns, rows[::-1], words)


def why(order: dict[str, Any]) -> str:
    """Return why an order was decided, in a few words."""
    known = order["inputs"]
    position = number(known["inventory_position_units"])
    text = f"{position} there or coming, {number(known['demand_mean_units_per_day'], 2)} a day"
    if order["reason"] == "cost_optimal":
        return text
    return f"{text}. {reason_text(order['reason'])}"


def _by_supplier(found: Found) -> Table:
    units: Counter[str] = Counter()
    orders: Counter[str] = Counter()
    money: defaultdict[str, float] = defaultdict(float)
    surges: Counter[str] = Counter()
    for order in found.orders:
        role = order["supplier_role"]
        orders[role] += 1
        units[role] += order["quantity"]
        surges[role] += order["occasion"] == "surge"
        money[role] += order["quantity"] * float(order.get("unit_cost") or 0.0)
    rows = [
        (
            *(role, number(orders[role]), number(units[role])),
            *(number(round(money[role], 2), 2), number(surges[role])),
        )
        for role in sorted(orders)
    ]
    columns = [
        *(("supplier", False), ("orders", True), ("units", True), ("cost", True)),
        ("in a surge", True),
    ]
    return Table("By supplier", columns, rows)


# --- stock-outs and heaps ---------------------------------------------------------------------


@dataclass
class Comparison:
    """Tidegate's decision beside an order up to the month's mean demand, on the same days."""

    items: int
    days: int
    tidegate: dict[str, float]
    monthly: dict[str, float]


def compare(sales: Sales, catalog: Sequence[Record]) -> Comparison | None:
    """Play the busiest items once more under two policies; None where the history is too short."""
    import numpy as np

    from infra.cli.simulate import summary_of
    from infra.replay.demand_history import read_history
    from policy import PolicyCache
    from policy.studies.backtest import WARM_UP_DAYS, backtest, dual, monthly

    records = [*catalog, *_daily_orders(sales)]
    try:
        history = read_history(records)
        days = history.demand.shape[1]
        learnt = max(WARM_UP_DAYS, days // 3)
        if days < learnt + 2 * WARM_UP_DAYS:
            return None
        history = history.with_demand_before(learnt).busiest(_COMPARED_ITEMS)
    except ValueError:
        return None
    ledgers = {
        policy.name: backtest(history.demand, history.terms, policy, first_day=learnt)
        for policy in (dual(history.terms, PolicyCache()), monthly(len(history.skus)))
    }
    first, second = (summary_of(ledger, history.terms) for ledger in ledgers.values())
    if not np.isfinite(first["cost"]):
        return None
    return Comparison(len(history.skus), days - learnt - WARM_UP_DAYS, first, second)


def _daily_orders(sales: Sales) -> Iterator[Record]:
    first_ms, last_ms = sales.bounds_ms()
    for sku, days in sales.units.items():
        for day, units in days.items():
            if units > 0 and first_ms <= day * DAY_MS < last_ms:
                value = json.dumps({"kind": "placed", "quantity": units}).encode()
                yield Record("orders", sku.encode(), value, day * DAY_MS)


def _compared(comparison: Comparison | None) -> Iterator[Table]:
    if comparison is None:
        return
    ours, theirs = comparison.tidegate, comparison.monthly
    rows = [
        (
            "cycles without a stock-out",
            f"{ours['cycle_service']:.1%}",
            f"{theirs['cycle_service']:.1%}",
        ),
        ("units met from stock", f"{ours['fill_rate']:.1%}", f"{theirs['fill_rate']:.1%}"),
        *(
            (words, number(ours[name]), number(theirs[name]))
            for words, name in (
                *(
                    ("mean stock, units", "mean_stock_units"),
                    ("mean stock, money", "mean_stock_value"),
                ),
                *(("orders", "orders"), ("cost of all, money", "cost")),
            )
        ),
    ]
    columns = [("", False), ("Tidegate", True), ("a monthly order", True)]
    words = (
        f"the {number(comparison.items)} items that sell most, {comparison.days} days, each day "
        "decided on the days before it; a monthly order fills up to the mean demand"
    )
    yield Table("Stock-outs and heaps avoided", columns, rows, words)


def _sentences(found: Found, comparison: Comparison | None) -> Iterator[str]:
    surges = [one for one in found.alerts if one["kind"] == "surge" and one["state"] == "raised"]
    yield f"{number(len(found.orders))} purchase orders would have left, all within the shadow."
    if surges:
        items = len({one["sku"] for one in surges})
        of = "one item" if items == 1 else f"{number(items)} items"
        calls = "One surge" if len(surges) == 1 else f"{number(len(surges))} surges"
        yield f"{calls} of {of} would have been called."
    else:
        yield "No surge would have been called."
    if comparison is None:
        yield (
            "Stock-outs and heaps are compared from three months of orders on: the files hold "
            "less, or no item that sells all the time."
        )
        return
    ours, theirs = comparison.tidegate, comparison.monthly
    gained = ours["cycle_service"] - theirs["cycle_service"]
    stock = theirs["mean_stock_value"] and ours["mean_stock_value"] / theirs["mean_stock_value"] - 1
    yield (
        f"Beside a monthly order, {abs(gained):.1%} {'fewer' if gained >= 0 else 'more'} of the "
        f"cycles run out, with {abs(stock):.0%} {'less' if stock <= 0 else 'more'} money in stock."
    )


# --- alerts and troubles ----------------------------------------------------------------------


def _surges(found: Found, count: int = 10) -> Iterator[Table]:
    raised = [
        one
        for one in found.alerts
        if one["state"] == "raised" and one["kind"] in ("surge", "broad_surge", "bulk_order")
    ]
    rows = [(one["occurred_at"][:16].replace("T", " "), one["summary"]) for one in raised[:count]]
    columns = [("when (UTC)", False), ("what", False)]
    words = f"{len(rows)} of {number(len(raised))}" if len(raised) > count else ""
    yield Table("Surges that would have been called", columns, rows, words)


def _alerts(found: Found) -> Table:
    counts = Counter(one["kind"] for one in found.alerts if one["state"] == "raised")
    rows = [(kind.replace("_", " "), number(n)) for kind, n in counts.most_common()]
    return Table("Alerts", [("alert", False), ("raised", True)], rows)


def _troubles(run: Shadow, found: Found) -> Iterator[Table]:
    rows: list[tuple[str, ...]] = []
    for (intake, _), report in zip(run.intakes, run.reports, strict=True):
        name = intake.source.name
        for kind in report.faults.by_kind():
            examples = "; ".join(f"row {one.row}: {one.value!r}"[:80] for one in kind.examples[:3])
            rows.append((name, f"{kind.column} must be {kind.rule}", number(kind.count), examples))
        for why, count in report.left_out.most_common():
            places = ", ".join(f"row {one.row}" for one in report.examples[why][:3] if one.row)
            rows.append((name, f"left out: {why.replace('_', ' ')}", number(count), places))
        for why, count in report.noticed.most_common():
            examples = ", ".join(report.noticed_examples[why][:3])
            rows.append((name, why, number(count), examples))
    if run.same.total():
        rows.append(
            ("all files", "the same event twice: counted once", number(run.same.total()), "")
        )
    if run.outside:
        why = "left out: more than a year away from all other orders"
        rows.append(("all files", why, number(run.outside), ""))
    for code, count in found.dead_letters.most_common():
        rows.append(("all files", f"refused when read: {code}", number(count), ""))
    late = sum(n for name, n in found.counts.items() if name.endswith(":late"))
    if late:
        rows.append(("all files", "too late to count", number(late), ""))
    columns = [("file", False), ("what", False), ("rows", True), ("where", False)]
    yield Table("Data troubles", columns, rows)


def daily_units(sales: Sales) -> list[tuple[str, int]]:
    """Return the units sold of each day, days without a sale too."""
    totals: Counter[int] = Counter()
    for units in sales.units.values():
        totals.update(units)
    first_ms, last_ms = sales.bounds_ms()
    days = range(first_ms // DAY_MS, max(first_ms // DAY_MS, last_ms // DAY_MS))
    return [(rfc3339(day * DAY_MS)[:10], max(0, totals[day])) for day in days]
