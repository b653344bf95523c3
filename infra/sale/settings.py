"""What a synthetic sale may choose, and the times of its story."""

from dataclasses import dataclass
from datetime import UTC, datetime

from streams.timestamps import DAY_MS, HOUR_MS

WAREHOUSES = ("north", "south")
WAREHOUSE_SHARES = (0.6, 0.4)


@dataclass(frozen=True)
class SaleSettings:
    """Choices of a synthetic sale; the same ones give the same bytes."""

    seed: int = 7
    events: int = 200_000  # about: demand is random
    skus: int = 500
    days: int = 5
    starts_at: datetime = datetime(2026, 3, 2, tzinfo=UTC)

    def __post_init__(self) -> None:
        _require("seed", ">= 0", self.seed, self.seed >= 0)
        _require("events", ">= 20000", self.events, self.events >= 20_000)
        _require("skus", "from 200 to 9999", self.skus, 200 <= self.skus <= 9_999)
        _require("days", "from 5 to 60", self.days, 5 <= self.days <= 60)
        has_zone = self.starts_at.tzinfo is not None
        _require("starts_at", "a time with a zone", self.starts_at.isoformat(), has_zone)

    @property
    def start_ms(self) -> int:
        return int(self.starts_at.timestamp()) * 1000

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.days * DAY_MS

    def at(self, day: int, hour: float) -> int:
        """Return the event time of an hour of a day, both from 0, in milliseconds."""
        return self.start_ms + day * DAY_MS + round(hour * HOUR_MS)


def _require(name: str, rule: str, value: object, holds: bool) -> None:
    if not holds:
        raise ValueError(f"{name} must be {rule}, got {value!r}")


@dataclass(frozen=True)
class Window:
    """A time span in which some SKUs sell `factor` times their baseline rate."""

    skus: tuple[int, ...]
    start_ms: int
    end_ms: int
    factor: float


@dataclass(frozen=True)
class ClosedItem:
    """An item whose deliveries are in the file, so that its true stock level is known."""

    sku: int
    warehouse: int
    empty_from_ms: int
    received_ms: int
    po_id: str
    supplier: str


@dataclass(frozen=True)
class Story:
    """Who plays which part."""

    promotion: Window
    withdrawn_skus: tuple[int, ...]  # announced for the promotion, then taken out
    surge: Window
    bulk_sku: int
    bulk_ms: int
    bulk_units: int
    stock_out: ClosedItem
    late_delivery: ClosedItem
    advised_ms: int
    first_expected_ms: int
    delayed_ms: int
    second_expected_ms: int

    @property
    def closed_items(self) -> tuple[ClosedItem, ClosedItem]:
        return self.stock_out, self.late_delivery


CAMPAIGN_ID = "spring-sale"


def tell_story(settings: SaleSettings) -> Story:
    """Cast the parts by popularity: SKU 0 sells best."""
    at = settings.at
    return Story(
        promotion=Window(tuple(range(20, 100, 2)), at(1, 8), at(1, 22), factor=4.0),
        withdrawn_skus=(101, 103),
        surge=Window((61, 75, 87, 99, 113), at(2, 13), at(2, 19), factor=8.0),
        bulk_sku=151,
        bulk_ms=at(2, 10.3),
        bulk_units=600,
        stock_out=ClosedItem(5, 0, at(2, 6), at(3, 10), "world-po-1", "flexible"),
        late_delivery=ClosedItem(9, 1, at(2, 18), at(3, 9), "world-po-2", "lean"),
        advised_ms=at(0, 9),
        first_expected_ms=at(1, 12),
        delayed_ms=at(1, 10),
        second_expected_ms=at(2, 12),
    )
