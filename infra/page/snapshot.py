"""What was read from Redis at one moment: plain arrays and structs, for the views."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from infra.page.contracts import Acknowledgement
from infra.projection import DeadLetter
from streams.events import CampaignChanged, CampaignPlanned
from streams.outputs import Alert
from streams.rings import MINUTE_MS
from streams.totals import TOTAL
from streams.types import Float64Array, Int64Array, Table


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
    """One decision with the name of its item, as a `streams.review.DECISION` record."""

    sku: str
    warehouse: str
    record: Table


Campaign = CampaignPlanned | CampaignChanged


@dataclass(frozen=True, slots=True)
class ItemsTable:
    """All items, row by row."""

    names: Sequence[tuple[str, str]]  # sku, warehouse
    folded: Sequence[str]  # the skus, as they are searched
    by_name: Int64Array  # place of each among all of them, sorted by name, shape (item,)
    partitions: Int64Array  # shape (item,)
    rows: Table  # `streams.items.ROW`, shape (item,)
    last_hour_units: Float64Array  # sold in the sixty minutes up to the shop's time, shape (item,)
    oldest_open_ms: Int64Array  # 0: nothing open, shape (item,)
    campaigns: Sequence[tuple[int, Campaign]]  # place of the item, line
    read_number: int  # grows with each reading


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it."""

    read_ms: int  # wall clock
    changed_ms: int | None  # wall clock: when a change was last seen
    shards: Sequence[ShardView]
    totals: Totals
    decisions: Sequence[ReadDecision]  # newest first
    currencies: dict[tuple[str, str], str | None]
    incidents: Sequence[Alert]
    acknowledged: dict[str, Acknowledgement]
    dead_letters: Sequence[DeadLetter]  # newest first
    items: ItemsTable
    answers: dict[str, tuple[bytes, str]] = field(default_factory=dict)  # kept: body, ETag

    @property
    def shop_ms(self) -> int | None:
        """The newest event time that any partition has seen."""
        newest = [shard.newest_ms for shard in self.shards]
        return max((ms for ms in newest if ms is not None), default=None)
