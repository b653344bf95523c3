"""Cost and service of the live decision on real demand, beside the lean supplier alone.

    python -m tests.bench.live_policy FILE.jsonl.gz [--review-days 9] [--warm-days 28]

Replays a shop's order lines day by day through the library: the same estimate, the same review and
the same policy as live, without Kafka and Redis. Suppliers, costs and opening stock are made up by
the rule of the adapter (`infra.adapters`, schema uci). A day: what is due arrives, the items whose
turn it is are reviewed, what is sold leaves the shelf or is owed, the estimate takes the day in.
Costs of a day are half those of its start level and half of its end level.

Both runs see the same demand. What stock grew in value by, at lean prices, is taken off the cost.
Costs and service count after the warm-up; a cycle is the review period from the day of a flexible
delivery on, and is served when no day in it ends in backlog.
"""

import argparse
import gzip
import json
import math
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.table import Table as RichTable

from infra.adapters import UciRules, adapt
from policy import PolicyCache
from streams.estimate import EstimateSettings, close_day
from streams.items import CATALOG, ROW
from streams.review import (
    ReviewSettings,
    decide_items,
    expected_demand,
    first_review_ms,
    period_ms,
    service_type_code,
)
from streams.rings import DAY_MS
from tests.bench.progress import Progress, console

ROLES = ("lean", "flexible")


@dataclass(frozen=True)
class History:
    """What a shop sold: units and orders of a day by item, shape (day, item), and who sells it."""

    names: list[str]
    first_day: int
    units: np.ndarray
    orders: np.ndarray
    rows: np.ndarray  # `ROW` with the catalog and the opening stock
    opens_on: np.ndarray  # the day, from `first_day`, on which an item is first seen


@dataclass
class Books:
    """What a run paid and how it served, over the days that count."""

    purchase: float = 0.0
    setup: float = 0.0
    holding: float = 0.0
    backorder: float = 0.0
    stock_grown: float = 0.0  # value of what is there and on its way at the end, less at the start
    cycles: int = 0
    clean_cycles: int = 0
    units_sold: int = 0
    units_short: int = 0
    mean_stock_units: float = 0.0
    orders_lean: int = 0
    orders_flexible: int = 0
    units_flexible: int = 0
    units_bought: int = 0

    @property
    def total(self) -> float:
        parts = (self.purchase, self.setup, self.holding, self.backorder, -self.stock_grown)
        return math.fsum(parts)

    @property
    def cycle_service(self) -> float:
        return self.clean_cycles / self.cycles if self.cycles else math.nan

    @property
    def fill_rate(self) -> float:
        return 1.0 - self.units_short / self.units_sold if self.units_sold else math.nan


def read_history(path: Path, review_days: float) -> History:
    """Read a file of schema uci, plain or gzipped."""
    rules = UciRules(review_period_days=review_days)
    items: dict[str, dict] = {}
    units: dict[tuple[int, str], int] = defaultdict(int)
    orders: dict[tuple[int, str], set[str]] = defaultdict(set)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as lines:
        for record in adapt(lines, schema="uci", uci=rules):
            event = json.loads(record.value)
            day = record.occurred_ms // DAY_MS
            if record.topic == "catalog":
                items[event["sku"]] = {"day": day, "line": event, "level": 0}
            elif event["kind"] == "counted":
                items[event["sku"]]["level"] = event["level"]
            elif event["kind"] == "placed":
                units[day, event["sku"]] += event["quantity"]
                orders[day, event["sku"]].add(event["order_id"])
    return _history(items, units, orders)


def _history(items: dict, units: dict, orders: dict) -> History:
    names = sorted(items)
    place = {name: k for k, name in enumerate(names)}
    days = [day for day, _ in units]
    first, count = min(days), max(days) - min(days) + 1
    table = np.zeros((2, count, len(names)), np.int64)
    for (day, name), sold in units.items():
        table[0, day - first, place[name]] = sold
        table[1, day - first, place[name]] = len(orders[day, name])
    rows = np.zeros(len(names), ROW)
    for name, item in items.items():
        row, line = rows[place[name]], item["line"]
        row["lean_capacity_units"] = np.inf
        row["pack_size_units_lean"] = row["pack_size_units_flexible"] = 1
        for field in set(CATALOG.names) & set(line) - {"service_type"}:
            row[field] = line[field]
        row["service_type"] = service_type_code(line["service_type"], line["service_target"])
        row["on_hand_units"] = item["level"]
        row["counted_at_ms"] = item["day"] * DAY_MS + 1
    opens_on = np.array([items[name]["day"] - first for name in names])
    return History(names, first, table[0], table[1], rows, opens_on)


class Shop:
    """One run over a history."""

    def __init__(self, history: History, *, lean_only: bool, warm_days: int) -> None:
        self.history = history
        self.warm_days = warm_days
        self.rows = history.rows.copy()
        if lean_only:
            self.rows["setup_cost_flexible"] = np.inf
        self.books = Books()
        self.cache = PolicyCache()
        self.settings = ReviewSettings()
        self.estimate = EstimateSettings()
        days, count = history.units.shape
        self.arriving = np.zeros((2, days + 40, count), np.int64)
        opened_ms = (history.first_day + history.opens_on) * DAY_MS
        periods = period_ms(self.rows, DAY_MS)
        self.rows["next_review_ms"] = [
            first_review_ms(f"{name}@main", int(at), int(period), DAY_MS)
            for name, at, period in zip(history.names, opened_ms, periods, strict=True)
        ]
        self.cycle_is_clean = np.ones(count, bool)
        self.cycle_starts = np.full(count, days + 40)

    def play(self, day: int) -> None:
        """Live through one day."""
        rows, open_now = self.rows, self.history.opens_on <= day
        counts = day >= self.warm_days
        if day == self.warm_days:
            self.books.stock_grown = -self.stock_value(day - 1)
        rows["on_hand_units"] += self._arrivals(day)
        self._review(day)
        rows["on_hand_units"] += self._arrivals(day)
        sold = np.where(open_now, self.history.units[day], 0)
        start = rows["on_hand_units"].copy()
        rows["on_hand_units"] -= sold
        self._close_cycles(day, counts)
        self.cycle_is_clean &= rows["on_hand_units"] >= 0
        if counts:
            self._pay(start, rows["on_hand_units"], sold, open_now)
        rows["day_units"] = sold
        rows["day_orders"] = np.where(open_now, self.history.orders[day], 0)
        close_day(rows, self.estimate)

    def stock_value(self, day: int) -> float:
        """Net stock and orders on their way at the end of a day, at what lean charges."""
        seen = self.history.opens_on <= day
        units = self.rows["on_hand_units"] + sum(
            self.rows[f"on_order_{role}_units"] for role in ROLES
        )
        return math.fsum(np.where(seen, self.rows["unit_cost_lean"] * units, 0.0))

    def _arrivals(self, day: int) -> np.ndarray:
        for place, role in enumerate(ROLES):
            self.rows[f"on_order_{role}_units"] -= self.arriving[place, day]
        arrived = self.arriving[:, day].sum(axis=0)
        self.arriving[:, day] = 0
        return arrived

    def _review(self, day: int) -> None:
        boundary_ms = (self.history.first_day + day) * DAY_MS
        due = np.flatnonzero(self.rows["next_review_ms"] <= boundary_ms)
        due = due[self.history.opens_on[due] < day]
        if not due.size:
            return
        nothing = np.zeros(due.size)
        demand = expected_demand(self.rows, due, nothing, self.settings)
        windows = self.rows["next_review_ms"][due]
        decided = decide_items(
            self.rows,
            due,
            windows,
            demand,
            boundary_ms,
            is_surge=False,
            settings=self.settings,
            cache=self.cache,
        )
        self.rows["next_review_ms"][due] = boundary_ms + period_ms(self.rows[due], DAY_MS)
        self.cycle_starts[due] = day + np.rint(self.rows["lead_time_days_flexible"][due])
        for place, role in enumerate(ROLES):
            self._order(place, role, due, decided[f"quantity_{role}_units"], day)

    def _order(self, place: int, role: str, due: np.ndarray, units: np.ndarray, day: int) -> None:
        leads = np.rint(self.rows[f"lead_time_days_{role}"][due]).astype(int)
        self.arriving[place, day + leads, due] += units
        self.rows[f"on_order_{role}_units"][due] += units
        if day < self.warm_days:
            return
        books = self.books
        books.purchase += math.fsum(self.rows[f"unit_cost_{role}"][due] * units)
        books.setup += math.fsum(self.rows[f"setup_cost_{role}"][due][units > 0])
        books.units_bought += int(units.sum())
        if role == "flexible":
            books.units_flexible += int(units.sum())
            books.orders_flexible += int((units > 0).sum())
        else:
            books.orders_lean += int((units > 0).sum())

    def _close_cycles(self, day: int, counts: bool) -> None:
        """On the day of a flexible delivery one cycle ends and the next begins."""
        turn = self.cycle_starts == day
        if counts:
            self.books.cycles += int(turn.sum())
            self.books.clean_cycles += int((turn & self.cycle_is_clean).sum())
        self.cycle_is_clean |= turn

    def _pay(
        self, start: np.ndarray, end: np.ndarray, sold: np.ndarray, open_now: np.ndarray
    ) -> None:
        stock = np.where(open_now, (np.maximum(start, 0) + np.maximum(end, 0)) / 2, 0.0)
        owed = np.where(open_now, (np.maximum(-start, 0) + np.maximum(-end, 0)) / 2, 0.0)
        books = self.books
        books.holding += math.fsum(self.rows["holding_cost_per_unit_day"] * stock)
        books.backorder += math.fsum(self.rows["backorder_cost_per_unit_day"] * owed)
        books.mean_stock_units += stock.sum() / (self.history.units.shape[0] - self.warm_days)
        books.units_sold += int(sold.sum())
        books.units_short += int((np.maximum(-end, 0) - np.maximum(-start, 0)).sum())


def run(history: History, *, lean_only: bool, warm_days: int) -> Shop:
    """Play a whole history."""
    shop = Shop(history, lean_only=lean_only, warm_days=warm_days)
    days = history.units.shape[0]
    with Progress("lean only" if lean_only else "dual", days) as progress:
        for day in range(days):
            shop.play(day)
            progress.update(day + 1)
    opened = history.opens_on >= warm_days  # stock that came with an item is not bought
    given = math.fsum((history.rows["unit_cost_lean"] * history.rows["on_hand_units"])[opened])
    shop.books.stock_grown += shop.stock_value(days - 1) - given
    return shop


def table(runs: dict[str, Books]) -> RichTable:
    """Return the figures side by side."""
    shown = RichTable(box=None, padding=(0, 2, 0, 0))
    shown.add_column("")
    for name in runs:
        shown.add_column(name, justify="right")
    for row, text in (
        ("total", "cost"), ("purchase", "  purchases"), ("setup", "  set-ups"),
        ("holding", "  holding"), ("backorder", "  backorders"),
        ("stock_grown", "  less stock built up"),
    ):  # fmt: skip
        shown.add_row(text, *(f"{getattr(books, row):,.0f}" for books in runs.values()))
    for row, text in (("cycle_service", "cycle service"), ("fill_rate", "fill rate")):
        shown.add_row(text, *(f"{getattr(books, row):.2%}" for books in runs.values()))
    for row, text in (
        ("mean_stock_units", "mean stock, units"), ("orders_lean", "orders, lean"),
        ("orders_flexible", "orders, flexible"), ("units_flexible", "units, flexible"),
        ("units_bought", "units bought"),
    ):  # fmt: skip
        shown.add_row(text, *(f"{getattr(books, row):,.0f}" for books in runs.values()))
    return shown


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--review-days", type=float, default=9.0)
    parser.add_argument("--warm-days", type=int, default=28)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    history = read_history(asked.file, asked.review_days)
    runs = {
        name: run(history, lean_only=lean_only, warm_days=asked.warm_days).books
        for name, lean_only in (("dual", False), ("lean only", True))
    }
    if asked.json:
        figures = ("total", "cycle_service", "fill_rate")
        print(json.dumps({
            name: {**{figure: getattr(books, figure) for figure in figures}, **asdict(books)}
            for name, books in runs.items()
        }))  # fmt: skip
        return
    console.file = sys.stdout
    days, items = history.units.shape
    counted = days - asked.warm_days
    console.print(f"{items:,} items, {counted} days after {asked.warm_days} of warm-up")
    console.print(table(runs))
    saved = 1.0 - runs["dual"].total / runs["lean only"].total
    console.print(f"two suppliers cost {saved:.1%} less than lean only on the same demand")


if __name__ == "__main__":
    main(sys.argv[1:])
