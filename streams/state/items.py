"""What a shard knows of each item: one row of named fields an item, all items in one array."""

from collections.abc import Iterable

import numpy as np

from streams.ingest.item_names import Names
from streams.state.backlog_age import WAITING_MARKS
from streams.state.item_index import ItemTable
from streams.types import AnyArray, Int32Array, Table

SURGE_FACTORS = (1.5, 2.0, 3.0, 5.0, 8.0, 20.0)
"""How much faster than the baseline a surge may run; the detector keeps one sum for each."""

PLAN_SHARES = (0.5, 0.2, 0.05)
"""How much of its plan a campaign line in shortfall may sell; its test keeps one sum for each."""

CATALOG = np.dtype(
    [
        ("unit_cost_lean", "<f8"),
        ("unit_cost_flexible", "<f8"),
        ("setup_cost_lean", "<f8"),
        ("setup_cost_flexible", "<f8"),
        ("lead_time_days_lean", "<f8"),
        ("lead_time_days_flexible", "<f8"),
        ("review_period_days", "<f8"),
        ("holding_cost_per_unit_day", "<f8"),
        ("backorder_cost_per_unit_day", "<f8"),
        ("service_target", "<f8"),
        ("service_type", "<i8"),
        ("lean_capacity_units", "<f8"),
        ("minimum_order_units_lean", "<i8"),
        ("minimum_order_units_flexible", "<i8"),
        ("pack_size_units_lean", "<i8"),
        ("pack_size_units_flexible", "<i8"),
        ("assume_dispatched", "?"),
        ("assume_received", "?"),
    ]
)
"""Master data that decisions read, as `streams.contracts.events.Item` names them."""

ROW = np.dtype(
    [
        # What an order touches stands together: a row is many cache lines long.
        ("on_hand_units", "<i8"),  # last count and what moved after it
        ("counted_at_ms", "<i8"),  # last count; 0: never counted, so the stock is not known
        ("backlog_units", "<i8"),  # ordered by customers, not yet dispatched
        ("open_line_units", "<i8"),  # of it, in the order lines of `streams.state.open_lines`
        ("tick_orders", "<i8"),  # in the open tick, by the time at which they take effect
        ("tick_units", "<i8"),  # likewise
        ("tick_largest_units", "<i8"),  # of one line in the open tick
        ("day_orders", "<i8"),  # in the open day, likewise
        ("day_units", "<i8"),
        ("day_taught_orders", "<i8"),  # in the open day, outside campaigns
        ("day_taught_units", "<i8"),
        ("size_count", "<f8"),  # orders of which the size is known
        ("size_logs", "<f8"),
        ("size_log_squares", "<f8"),
        ("size_limit_units", "<f8"),  # a larger order teaches as if it were this; 0: none yet
        ("out_since_ms", "<i8"),  # nothing to sell by the record; 0: there is
        ("quiet_since_ms", "<i8"),  # last sale or refill
        ("quiet_since_orders", "<i8"),  # the shop's orders at that time
        ("silent_since_ms", "<i8"),  # open incident; 0: none; -1: the silence was found to be real
        ("demand_level_units_per_day", "<f8"),
        ("next_due_ms", "<i8"),  # earliest open arrival; 0: none
        ("next_review_ms", "<i8"),  # 0: no catalog line yet
        ("low_cover_since_ms", "<i8"),  # open incident; 0: none
        # Stock.
        ("waiting_since_ms", "<i8", (WAITING_MARKS,)),  # see `streams.state.backlog_age`; 0: unused
        ("waiting_units", "<i8", (WAITING_MARKS,)),  # their sum is the backlog
        ("on_order_lean_units", "<i8"),
        ("on_order_flexible_units", "<i8"),
        ("cancelled_units", "<i8"),  # since the beginning
        ("returned_units", "<i8"),  # since the beginning
        ("observed_days", "<i8"),  # days that closed since the first sale
        # The estimate. Days are operational: the mean over the days of the shop's ordinary week.
        ("demand_trend_units_per_day", "<f8"),  # change of the level in a day
        ("demand_variance_units", "<f8"),  # of a day's units when the level is known
        ("order_level_per_day", "<f8"),
        ("order_variance", "<f8"),  # of a day's orders when the level is known
        ("units_per_order", "<f8"),
        ("kept_share", "<f8"),  # of the units sold, not cancelled or returned
        ("pooled_share", "<f8"),  # weight of category and shop in the level
        ("level_orders", "<f8"),  # what the level rests on, in orders: its variance is level^2 / it
        ("estimate_class", "i1"),  # streams.demand.estimate.DemandClass
        ("estimated_ms", "<i8"),  # newest day that taught it; 0: none
        # What it is learned from; sums in which older days have less weight.
        ("known_orders", "<f8"),
        ("known_days", "<f8"),  # on sale, up to the last day with a sale
        ("quiet_days", "<f8"),  # on sale, since then
        ("order_trend", "<f8"),
        ("error_squares", "<f8"),  # of a day's orders against the estimate before it
        ("unit_error_squares", "<f8"),  # of its units, each of the size foreseen, likewise
        ("error_means", "<f8"),  # what Poisson orders would give
        ("sale_days", "<f8"),  # days with orders
        ("sale_units", "<f8"),
        ("sale_unit_squares", "<f8"),
        ("undone_units", "<f8"),  # cancelled and returned
        ("day_undone_units", "<i8"),
        ("day_censored_days", "<f8"),  # of the open day, not on sale
        ("day_exposure_days", "<f8"),  # of the newest closed day, on sale
        ("out_days", "<f8"),  # in closed days since there is nothing to sell
        ("quiet_rate", "<f8"),  # orders per day when the silence began, of which it is judged
        ("quiet_rate_orders", "<f8"),  # that it rests on
        ("quiet_dispersion", "<f8"),  # variance over mean of a day's orders then
        ("campaign_units", "<i8"),  # sold inside campaign windows
        ("campaign_baseline_units", "<f8"),  # the level would have sold there
        ("baseline_orders", "<f8"),  # of the baseline, capped by day, older ones with less weight
        ("baseline_days", "<f8"),  # operational days that they rest on, likewise
        ("baseline_excess", "<f8"),  # see `streams.demand.baseline`
        ("baseline_squares", "<f8"),
        ("baseline_pace", "<f8"),  # of late, beyond what the null allows for; below 1: 1
        ("pace_orders", "<f8"),  # of the newest days, capped as above
        ("pace_due", "<f8"),  # the baseline orders in them
        ("day_before_orders", "<f8"),  # of the newest open day
        ("day_before_days", "<f8"),  # its operational days
        # The hours of the open day, and what they taught: streams.demand.hourly_dispersion.
        ("hour_ms", "<i8"),  # when the newest hour with orders began
        ("hour_orders", "<i8"),  # in it
        ("hours_orders", "<f8"),  # in the hours before it
        ("hours_squares", "<f8"),  # sum of their squares
        ("hours_products", "<f8"),  # and of each with the operational days of its hour
        ("fullest_hour_orders", "<f8"),
        ("fullest_hour_days", "<f8"),  # its operational days
        ("hourly_excess", "<f8"),
        ("hourly_weight", "<f8"),
        ("surge_sums", "<f8", (len(SURGE_FACTORS),)),
        ("surge_dispersion", "<f8"),  # of its hours, as the test saw it last
        ("surge_ticked_ms", "<i8"),
        ("surge_day_orders", "<i8"),  # of the open day, as the test saw them
        ("surge_day_days", "<f8"),  # operational days of the open day, as the test saw them
        ("surge_calm_days", "<f8"),  # of them before the estimated beginning
        ("surge_path", "<f8"),  # log ratio since the estimated beginning
        ("surge_start_ms", "<i8"),  # estimated beginning
        ("surge_orders", "<i8"),  # since then
        ("surge_units", "<i8"),
        ("surge_days", "<f8"),  # operational days since then
        ("surge_since_ms", "<i8"),  # open incident; 0: none
        ("surge_is_proved", "?"),  # since then the evidence has reached the level
        ("surge_published_ms", "<i8"),  # when it was published last
        ("surge_published_orders", "<i8"),  # and with how many orders
        ("surge_version", "<i8"),  # of what was published last
        ("bulk_since_ms", "<i8"),  # open incident; 0: none
        ("bulk_units", "<i8"),  # of its line
        # The plan of a campaign against what came, since the window began:
        # streams.detection.shortfall.
        ("plan_logs", "<f8", (len(PLAN_SHARES),)),  # log ratios of the closed days
        ("plan_day_orders", "<i8"),  # in the open day
        ("plan_day_units", "<i8"),
        ("plan_day_due_orders", "<f8"),
        ("plan_sold_orders", "<f8"),  # in the closed days, as the test counts them
        ("plan_sold_units", "<i8"),
        ("plan_due_orders", "<f8"),
        ("plan_shortfall_since_ms", "<i8"),  # open incident; 0: none
        ("backlog_age_since_ms", "<i8"),  # open incident; 0: none
        ("stale_stock_since_ms", "<i8"),  # open incident; 0: none
        ("surge_reviewed_ms", "<i8"),  # window of the newest extra review
        ("ordered_day", "<i8"),  # days since 1970 of the newest purchase order
        ("ordered_units", "<i8"),  # in purchase orders of that day
        ("ordered_amount", "<f8"),  # likewise, in the item's currency
        *CATALOG.descr,
    ]
)
"""Everything that decides about an item, as it is stored."""

OLDEST_OPEN_ORDER = "oldest_open_order_ms"  # the first of waiting_since_ms

ESTIMATE_WORDS = ("estimate_class", "estimate_method", "estimate_quality")
"""What is shown as words; they follow from the row."""

READABLE = (
    "on_hand_units",
    "counted_at_ms",
    "backlog_units",
    "on_order_lean_units",
    "on_order_flexible_units",
    "next_due_ms",
    "cancelled_units",
    "returned_units",
    "observed_days",
    "demand_level_units_per_day",
    "demand_trend_units_per_day",
    "demand_variance_units",
    "order_level_per_day",
    "order_variance",
    "units_per_order",
    "kept_share",
    "pooled_share",
    "level_orders",
    "known_days",
    "quiet_days",
    "sale_days",
    "estimated_ms",
    "out_since_ms",
    "next_review_ms",
    *ESTIMATE_WORDS,
    OLDEST_OPEN_ORDER,
)
"""What an item's hash in Redis shows by name."""


class Columns:
    """Some rows of a table, read field by field: to copy whole records takes 200 times as long.

    Args:
        rows: a table, shape (item,).
        places: in it, shape (n,).
    """

    def __init__(self, rows: Table, places: AnyArray) -> None:
        self._rows, self._places = rows, places
        self.size = places.size

    def __getitem__(self, name: str) -> AnyArray:
        """One field of the rows, shape (n,)."""
        values: AnyArray = self._rows[name][self._places]
        return values


def item_key(sku: str, warehouse: str) -> str:
    """Return the name of an item: `sku@warehouse`.

    >>> item_key("85123A", "main")
    '85123A@main'
    """
    return f"{sku}@{warehouse}"


class Items:
    """The items of a shard: their names, in the order of first sight, and their rows."""

    def __init__(self) -> None:
        self.rows: Table = np.zeros(0, ROW)
        self.names: list[tuple[str, str]] = []  # (sku, warehouse)
        self._by_name: dict[tuple[str, str], int] = {}
        self._table = ItemTable()

    def __len__(self) -> int:
        return len(self.names)

    def key(self, item: int) -> str:
        """The name of an item as text."""
        return item_key(*self.names[item])

    def index(self, names: Names) -> Int32Array:
        """Return the place of each named item, shape (row,); new ones get the next free place."""
        found = self._table.find(names)
        unknown = np.flatnonzero(found < 0)
        if unknown.size:
            self._add(map(names.text, unknown.tolist()))
            return self.index(names)
        return found

    def find(self, sku: str, warehouse: str) -> int | None:
        """Return the place of an item, or None where it was never seen."""
        return self._by_name.get((sku, warehouse))

    def _add(self, names: Iterable[tuple[str, str]]) -> None:
        new = [name for name in dict.fromkeys(names) if name not in self._by_name]
        self._by_name.update((name, place) for place, name in enumerate(new, len(self.names)))
        self._table.add([sku for sku, _ in new], [warehouse for _, warehouse in new])
        self.names += new
        if len(self.names) > self.rows.size:
            rows = np.zeros(max(256, len(self.names), 2 * self.rows.size), ROW)
            rows[: self.rows.size] = self.rows
            self.rows = rows

    def restore(self, names: list[tuple[str, str]], rows: Table) -> None:
        """Take over stored items."""
        self._add(names)
        self.rows[: len(rows)] = rows
