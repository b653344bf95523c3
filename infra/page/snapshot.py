"""What was read from Redis at one moment: plain arrays and structs, for the views."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from infra.page.contracts import Acknowledgement
from infra.page.cursor import Cursor
from infra.redis.projection import DeadLetter
from streams.contracts.alerts import Alert
from streams.incidents.kinds import ITEM_FIELDS
from streams.state.items import ROW
from streams.state.minute_totals import TOTAL
from streams.timestamps import DAY_MS, MINUTE_MS
from streams.types import Float64Array, Int64Array, Table

LIVE_WITHIN_MS = DAY_MS  # an outage of hours is no data; only older events are a replay
SHOWN = np.dtype(
    [
        (name, ROW[name])
        for name in (
            "on_hand_units",
            "counted_at_ms",
            "backlog_units",
            "on_order_lean_units",
            "on_order_flexible_units",
            "next_due_ms",
            "observed_days",
            "demand_level_units_per_day",
            "order_level_per_day",
            "baseline_orders",
            "baseline_days",
            "baseline_pace",
            "surge_orders",
            "surge_days",
            *ITEM_FIELDS.values(),
        )
    ]
    + [("waiting_since_ms", "<i8")]  # of its marks the first: the oldest order that is open
)
"""What the page shows of every item, as `streams.state.items.ROW` has it: a sixth of the bytes."""

CAMPAIGN = np.dtype(
    [("item", "<i8"), ("starts_ms", "<i8"), ("ends_ms", "<i8"), ("expected_units", "<f8")]
)
"""One campaign line; `item` is a place in the table of items."""


@dataclass(frozen=True, slots=True)
class ShardView:
    """Where one partition stands."""

    partition: int
    clocks: dict[str, int]  # topic -> newest event time; topics that were never read are not there
    applied_ms: int | None
    counts: dict[str, int]  # topic:outcome -> records
    waiting_records: int
    history_from: dict[str, int]
    profile: list[float]

    @property
    def newest_ms(self) -> int | None:
        """Newest event or heartbeat of any topic."""
        return max(self.clocks.values(), default=None)


@dataclass(frozen=True, slots=True)
class Totals:
    """What the whole shop sold and sent, minute by minute."""

    first_minute: int  # since the epoch
    cells: Table  # `TOTAL`, shape (minutes,)

    def between(self, start: int, stop: int) -> Table:
        """Return the sums of the minutes from `start` to before `stop`; 0 where none are kept."""
        found: Table = np.zeros(max(0, stop - start), TOTAL)
        first, last = max(start, self.first_minute), min(stop, self.first_minute + self.cells.size)
        if first < last:
            found[first - start : last - start] = self.cells[
                first - self.first_minute : last - self.first_minute
            ]
        return found

    @property
    def oldest_sale_minute(self) -> int | None:
        """The first minute with a sale, or None."""
        places = np.flatnonzero(self.cells["lines"])
        return self.first_minute + int(places[0]) if places.size else None

    @property
    def newest_sale_ms(self) -> int | None:
        """Start of the newest minute with a sale, or None."""
        places = np.flatnonzero(self.cells["lines"])
        return (self.first_minute + int(places[-1])) * MINUTE_MS if places.size else None


@dataclass(frozen=True, slots=True)
class ReadDecision:
    """One decision with the name of its item; the record is `reviews.DECISION`."""

    sku: str
    warehouse: str
    record: Table
    currency: str | None
    cursor: Cursor  # its place in the list


@dataclass(frozen=True, slots=True)
class ItemsTable:
    """All items, row by row."""

    names: Sequence[tuple[str, str]]  # sku, warehouse
    folded: Sequence[str]  # sku, warehouse and category, as they are searched
    by_name: Int64Array  # place of each among all of them, sorted by name, shape (item,)
    partitions: Int64Array  # shape (item,)
    starts: dict[int, int]  # partition -> place of its first item; its items follow in their order
    rows: Table  # `SHOWN`, shape (item,)
    last_hour_units: Float64Array  # sold in the sixty minutes up to the shop's time, shape (item,)
    oldest_open_ms: Int64Array  # 0: nothing open, shape (item,)
    campaigns: Table  # `CAMPAIGN`, shape (line,)
    read_number: int = 0  # grows with each reading


def no_items() -> ItemsTable:
    """Return the table of a shop of which no item is known."""
    nothing: Int64Array = np.zeros(0, np.int64)
    return ItemsTable(
        names=[],
        folded=[],
        by_name=nothing,
        partitions=nothing,
        starts={},
        rows=np.zeros(0, SHOWN),
        last_hour_units=np.zeros(0),
        oldest_open_ms=nothing,
        campaigns=np.zeros(0, CAMPAIGN),
    )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it."""

    read_ms: int  # wall clock
    changed_ms: int | None  # wall clock: when a change was last seen
    shards: Sequence[ShardView]
    totals: Totals
    decisions: Sequence[ReadDecision]  # newest first
    incidents: Sequence[Alert]
    incidents_open: int  # may be more than were read
    acknowledged: dict[str, Acknowledgement]
    dead_letters: Sequence[DeadLetter]  # newest first
    items: ItemsTable
    losses: int = 0  # how often Redis was seen to have lost what it held
    answers: dict[str, tuple[bytes, str]] = field(default_factory=dict)  # kept: body, ETag

    @property
    def newest_ms(self) -> int | None:
        """The newest event time that any partition has seen on any topic."""
        newest = [shard.newest_ms for shard in self.shards]
        return max((ms for ms in newest if ms is not None), default=None)

    @property
    def is_live(self) -> bool:
        """Whether the logs are near to now."""
        newest = self.newest_ms
        return newest is not None and abs(self.read_ms - newest) <= LIVE_WITHIN_MS

    @property
    def shop_ms(self) -> int | None:
        """The shop's time: live the newest event, in a replay as far as all orders are read.

        Old logs are read at different speeds: where one is ahead, nothing is known to be unsold.
        """
        orders = [shard.clocks["orders"] for shard in self.shards if "orders" in shard.clocks]
        return self.newest_ms if self.is_live or not orders else min(orders)
