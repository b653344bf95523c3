"""What a check of a campaign is given: a plan, stock, arrivals, capacity, and what could be done.

Times are days from the moment of the check: 0 is now, -1 was yesterday.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_WAREHOUSE = "main"
NOTICE_DAYS = 7.0
CONFIDENCE = 0.9
MOST_PROFILE_DAYS = 60
NORMAL_90 = 1.2815515655446004
SHIFT_HOURS = 8.0
RETURN_DAYS = 14.0

OPTION_KINDS = (
    *("overtime", "temporary_staff", "rented_space", "carrier_runs", "backup_carrier"),
    *("third_party", "packaging", "other"),
)
RESOURCES = ("ship", "pack", "labour", "units", "returns")
DESCRIPTIONS = (
    *("name", "goal", "audience", "method", "state", "owner", "note", "version"),
    *("ad_budget", "release", "presale_limit_units", "last_year_units"),
    *("discount", "thresholds", "metrics", "orders_by_hour", "orders_per_staff_hour"),
    *("within_hours", "waiting_orders", "orders", "noticed", "offer_cost", "call_rate"),
    *("service", "alerts", "actions_taken", "questions"),
)
"""Fields of a campaign that say nothing about whether it is feasible."""
LINE_DESCRIPTIONS = (
    *("name", "category", "discount", "presale_limit_units", "release", "waiting_units"),
    *("sold_units", "units_per_hour", "actual_units", "actual_hours", "last_year_units"),
)
"""Likewise of a line: what is known once it runs."""


@dataclass(frozen=True)
class Lot:
    """Units that expire together; `expires_in_days` None means never."""

    units: float
    expires_in_days: float | None
    is_blocked: bool


@dataclass(frozen=True)
class Stock:
    """What lies in one warehouse."""

    warehouse: str
    units: float
    blocked_units: float
    owed_units: float
    lots: tuple[Lot, ...]


@dataclass(frozen=True)
class Arrival:
    """Units that are on their way."""

    warehouse: str
    units: float
    in_days: float
    chance: float  # that it comes
    sd_days: float  # of the day; 0 means that the day is certain if it comes


@dataclass(frozen=True)
class Purchase:
    """Units that could still be bought."""

    kind: str
    supplier: str
    warehouse: str
    lead_time_days: float
    unit_cost: float
    order_cost: float
    minimum_units: float
    pack_units: float
    maximum_units: float


@dataclass(frozen=True)
class Substitute:
    """Another line that customers would take instead."""

    sku: str
    most_units: float
    cost_per_unit: float


@dataclass(frozen=True)
class Line:
    """One sku of the campaign."""

    sku: str
    expected_units: float
    low_units: float  # one in ten is below
    high_units: float  # one in ten is above
    baseline_units: float
    uplift: float | None
    samples: int | None
    price: float | None
    unit_cost: float | None
    ad_budget: float | None
    promise_days: float | None
    units_per_order: float
    give_up_cost_per_unit: float | None  # None means that its target has to stay
    stocks: tuple[Stock, ...]
    arrivals: tuple[Arrival, ...]
    purchases: tuple[Purchase, ...]
    substitutes: tuple[Substitute, ...]

    @property
    def warehouses(self) -> tuple[str, ...]:
        """Where it can ship from."""
        stocks = [one.warehouse for one in self.stocks]
        coming = [one.warehouse for one in self.arrivals]
        bought = [one.warehouse for one in self.purchases]
        return tuple(dict.fromkeys([*stocks, *coming, *bought]))

    @property
    def margin(self) -> float | None:
        """Money that a unit brings; None means not known."""
        if self.price is None or self.unit_cost is None:
            return None
        return self.price - self.unit_cost

    @property
    def orders_each(self) -> float:
        """Orders that a unit makes."""
        return 1.0 / self.units_per_order


@dataclass(frozen=True)
class Limit:
    """One thing of a warehouse that can run out: so much a day, or so much in all."""

    name: str
    amount: float
    is_daily: bool = True
    is_units: bool = False  # of units; else of orders


@dataclass(frozen=True)
class Warehouse:
    """What a warehouse can do."""

    name: str
    limits: tuple[Limit, ...]
    backlog_orders: float
    orders_per_hour: tuple[float, ...]  # by hour of the day, or one for all; empty means unknown


@dataclass(frozen=True)
class Option:
    """Extra capacity that could be had."""

    name: str
    kind: str
    warehouse: str
    orders_per_day: float
    start_delay_days: float
    cost_per_day: float
    cost_per_order: float
    fixed_cost: float
    maximum_days: float
    resources: tuple[str, ...]
    space_units: float
    packages: float


@dataclass(frozen=True)
class Case:
    """A whole campaign."""

    campaign_id: str
    currency: str | None
    starts_in_days: float
    ends_in_days: float
    has_start: bool
    promise_days: float | None
    profile: tuple[float, ...]  # share of the orders of each day
    peak_hour_share: float | None
    confidence: float
    ad_budget: float
    late_cost_per_order: float | None  # None means the margin of the order
    lines: tuple[Line, ...]
    warehouses: Mapping[str, Warehouse]
    options: tuple[Option, ...]
    notes: tuple[str, ...]

    def promise_of(self, line: Line) -> float | None:
        """Days within which an order of a line has to ship; None means no promise."""
        return self.promise_days if line.promise_days is None else line.promise_days
