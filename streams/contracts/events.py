"""The contracts: every event that Tidegate reads, as validated structs.

Each input topic holds JSON objects that name their `kind`. A struct says which fields a kind has
and which values are allowed; nothing else in Tidegate checks them again. `infra/asyncapi.yaml` is
generated from these structs.

`streams.contracts.fields` says what each field means. Fields that a kind does not know are ignored,
so that a producer may add its own.
"""

from typing import Annotated, ClassVar, Protocol

import msgspec
from msgspec import Meta

from streams.contracts.codes import DEFAULT_WAREHOUSE, Kind
from streams.contracts.event_times import BAD_TIME, TimeFault, explain, time_fault
from streams.contracts.fields import (
    AssumeDispatched,
    AssumeReceived,
    BackorderCost,
    BreakUnitCost,
    CampaignId,
    CampaignOfOrder,
    CapacityUnits,
    Category,
    Change,
    CountedLevel,
    Currency,
    CutOffHour,
    DiscontinuedFrom,
    DiscontinuedMode,
    Discount,
    EndsAt,
    EventId,
    ExpectedAt,
    ExpectedUnits,
    ExpiresAt,
    FromUnits,
    HoldingCost,
    LeadTimeDays,
    LotUnits,
    MinimumOrderUnits,
    OccurredAt,
    OrderedUnits,
    OrderId,
    PackSizeUnits,
    Price,
    PromiseDays,
    PromisedBy,
    PurchaseOrderId,
    Reason,
    ReviewPeriodDays,
    ServiceTarget,
    ServiceType,
    SetupCost,
    Sku,
    Source,
    StartsAt,
    Supplier,
    Timestamp,
    UnitCost,
    Units,
    Warehouse,
    Weekdays,
)
from streams.timestamps import BAD_TIMESTAMP, LATEST_MS, one_time

MOST_PRICE_BREAKS = 3
"""Of one item and supplier."""


def _require_time(name: str, value: Timestamp | None) -> None:
    """Refuse what is no time at all; which times may be is the decoder's to judge.

    What is stored is read through this too, and has to be read for ever.
    """
    if value is not None and one_time(value) == BAD_TIMESTAMP:
        fault = time_fault(value, latest_ms=LATEST_MS)
        raise ValueError(explain(name, value, fault or TimeFault(BAD_TIME, "a time")))


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="kind"):
    """What every event carries. Kafka key: `sku`."""

    event_id: EventId
    occurred_at: OccurredAt
    sku: Sku
    warehouse: Warehouse = DEFAULT_WAREHOUSE
    source: Source = ""

    code: ClassVar[Kind] = Kind.ENTITY


class AnyEvent(Protocol):
    """What the fold reads of every kind, heartbeats too; a kind without a field has a constant."""

    @property
    def code(self) -> Kind: ...
    @property
    def event_id(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def occurred_at(self) -> Timestamp: ...
    @property
    def sku(self) -> str: ...
    @property
    def warehouse(self) -> str: ...
    @property
    def order_id(self) -> str: ...
    @property
    def quantity(self) -> int: ...


class Heartbeat(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="kind", tag="heartbeat"
):
    """Time passes on this topic partition, even though nothing happened. Written to a partition."""

    occurred_at: OccurredAt

    code: ClassVar[Kind] = Kind.HEARTBEAT
    event_id: ClassVar[str] = ""
    order_id: ClassVar[str] = ""
    sku: ClassVar[str] = ""
    warehouse: ClassVar[str] = DEFAULT_WAREHOUSE
    source: ClassVar[str] = ""
    quantity: ClassVar[int] = 0


class Placed(Event, frozen=True, kw_only=True, gc=False, tag="placed"):
    """A customer ordered `quantity` units: one order line."""

    code: ClassVar[Kind] = Kind.PLACED
    order_id: OrderId
    quantity: Units
    price: Price | None = None
    currency: Currency | None = None
    campaign_id: CampaignOfOrder | None = None
    promised_by: PromisedBy | None = None


class Cancelled(Event, frozen=True, kw_only=True, gc=False, tag="cancelled"):
    """A customer took back `quantity` units; what has left counts again when it is `returned`."""

    code: ClassVar[Kind] = Kind.CANCELLED
    order_id: OrderId
    quantity: Units
    price: Price | None = None
    currency: Currency | None = None
    campaign_id: CampaignOfOrder | None = None


class Returned(Event, frozen=True, kw_only=True, gc=False, tag="returned"):
    """`quantity` units came back from a customer and are on the shelf again."""

    code: ClassVar[Kind] = Kind.RETURNED
    order_id: OrderId
    quantity: Units
    price: Price | None = None
    currency: Currency | None = None
    campaign_id: CampaignOfOrder | None = None


class Dispatched(Event, frozen=True, kw_only=True, gc=False, tag="dispatched"):
    """Outbound: `quantity` units of an order left the warehouse."""

    code: ClassVar[Kind] = Kind.DISPATCHED
    order_id: OrderId
    quantity: Units


class Delivered(Event, frozen=True, kw_only=True, gc=False, tag="delivered"):
    """Outbound: `quantity` units of an order reached the customer."""

    code: ClassVar[Kind] = Kind.DELIVERED
    order_id: OrderId
    quantity: Units


class Inbound(Event, frozen=True, kw_only=True, gc=False):
    """What happens to goods that a supplier sends."""

    order_id: ClassVar[str] = ""
    po_id: PurchaseOrderId
    supplier: Supplier
    quantity: Annotated[Units, Meta(examples=[372])]
    expected_at: ExpectedAt | None = None

    def __post_init__(self) -> None:
        """Refuse what no field alone can tell."""
        _require_time("expected_at", self.expected_at)


class Advised(Inbound, frozen=True, kw_only=True, gc=False, tag="advised"):
    """The supplier announces goods for `expected_at`."""


class Delayed(Inbound, frozen=True, kw_only=True, gc=False, tag="delayed"):
    """The supplier moves the arrival to `expected_at`."""


class Received(Inbound, frozen=True, kw_only=True, gc=False, tag="received"):
    """`quantity` units are on the shelf."""


class Rejected(Inbound, frozen=True, kw_only=True, gc=False, tag="rejected"):
    """`quantity` units arrived and were refused: they will not come in under this order."""


class Lot(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the stock that expires together."""

    quantity: LotUnits
    expires_at: ExpiresAt | None = None


Lots = Annotated[
    list[Lot], Meta(description="The lots that the level is made of; empty means not known.")
]


class Counted(Event, frozen=True, kw_only=True, gc=False, tag="counted"):
    """`level` units were on the shelf at that moment."""

    code: ClassVar[Kind] = Kind.COUNTED
    order_id: ClassVar[str] = ""
    level: CountedLevel
    lots: Lots = []

    @property
    def quantity(self) -> int:
        """The column that the fold reads."""
        return self.level


class Adjusted(Event, frozen=True, kw_only=True, gc=False, tag="adjusted"):
    """The stock changed by `change` units for another reason than a sale or an arrival."""

    code: ClassVar[Kind] = Kind.ADJUSTED
    order_id: ClassVar[str] = ""
    change: Change
    reason: Reason | None = None

    @property
    def quantity(self) -> int:
        """The column that the fold reads."""
        return self.change


class PriceBreak(msgspec.Struct, frozen=True, kw_only=True):
    """All units of an order of `from_units` or more cost `unit_cost` each."""

    from_units: FromUnits
    unit_cost: BreakUnitCost


PriceBreaks = Annotated[
    list[PriceBreak],
    Meta(
        max_length=MOST_PRICE_BREAKS,
        description="Lower unit costs of this supplier for larger orders, rising in units and "
        "falling in cost. At most 3; empty means none.",
    ),
]


class Item(Event, frozen=True, kw_only=True, gc=False, tag="item"):
    """Master data of one item: what its two suppliers cost and how fast they are."""

    order_id: ClassVar[str] = ""
    quantity: ClassVar[int] = 0
    unit_cost_lean: UnitCost
    unit_cost_flexible: Annotated[UnitCost, Meta(examples=[5.2])]
    setup_cost_lean: SetupCost = 0.0
    setup_cost_flexible: Annotated[SetupCost, Meta(examples=[9.0])] = 0.0
    lead_time_days_lean: LeadTimeDays
    lead_time_days_flexible: Annotated[LeadTimeDays, Meta(examples=[2.0])]
    review_period_days: ReviewPeriodDays
    holding_cost_per_unit_day: HoldingCost
    backorder_cost_per_unit_day: BackorderCost
    service_target: ServiceTarget | None = None
    service_type: ServiceType = "cycle"
    supplier_lean: Supplier = "lean"
    supplier_flexible: Annotated[Supplier, Meta(examples=["Fast & Co"])] = "flexible"
    lean_capacity_units: CapacityUnits | None = None
    minimum_order_units_lean: MinimumOrderUnits = 0
    minimum_order_units_flexible: Annotated[MinimumOrderUnits, Meta(examples=[0])] = 0
    pack_size_units_lean: PackSizeUnits = 1
    pack_size_units_flexible: Annotated[PackSizeUnits, Meta(examples=[1])] = 1
    price_breaks_lean: PriceBreaks = []
    price_breaks_flexible: Annotated[PriceBreaks, Meta(examples=[[]])] = []
    # A supplier sends off what it got before the cut-off on a dispatch day, the rest at the start
    # of the next one; lead times count from then. An empty list: every day, at once.
    dispatch_weekdays_lean: Weekdays = []
    dispatch_weekdays_flexible: Annotated[Weekdays, Meta(examples=[[]])] = []
    cut_off_hour_lean: CutOffHour = 24.0
    cut_off_hour_flexible: Annotated[CutOffHour, Meta(examples=[24.0])] = 24.0
    currency: Currency | None = None
    category: Category | None = None
    assume_dispatched: AssumeDispatched = False
    assume_received: AssumeReceived = False
    discontinued_from: DiscontinuedFrom | None = None
    discontinued_mode: DiscontinuedMode = "sell_off"

    def __post_init__(self) -> None:
        """Refuse what no field alone can tell."""
        if self.lead_time_days_lean < self.lead_time_days_flexible:
            rule = f">= lead_time_days_flexible ({self.lead_time_days_flexible})"
            raise ValueError(f"lead_time_days_lean must be {rule}, got {self.lead_time_days_lean}")
        _require_time("discontinued_from", self.discontinued_from)
        _check_breaks("price_breaks_lean", self.price_breaks_lean, self.unit_cost_lean)
        _check_breaks("price_breaks_flexible", self.price_breaks_flexible, self.unit_cost_flexible)


def _check_breaks(name: str, breaks: list[PriceBreak], unit_cost: float) -> None:
    """Refuse breaks that do not rise in units and fall in price."""
    units = 0
    for one in breaks:
        if not one.from_units > units:
            raise ValueError(f"{name} must be ascending in from_units, got {one.from_units}")
        if not one.unit_cost < unit_cost:
            rule = f"< {unit_cost:g}, the unit cost below it"
            raise ValueError(f"{name} must have unit_cost {rule}, got {one.unit_cost:g}")
        units, unit_cost = one.from_units, one.unit_cost


class Discontinued(Event, frozen=True, kw_only=True, gc=False, tag="discontinued"):
    """The item leaves the assortment: nothing of it is ordered from a moment on.

    A later `item` event without the date brings it back.
    """

    order_id: ClassVar[str] = ""
    quantity: ClassVar[int] = 0
    discontinued_from: Annotated[
        DiscontinuedFrom | None, Meta(description="From when on; null means at once.")
    ] = None
    discontinued_mode: DiscontinuedMode = "sell_off"

    def __post_init__(self) -> None:
        """Refuse what no field alone can tell."""
        _require_time("discontinued_from", self.discontinued_from)


class CampaignLine(Event, frozen=True, kw_only=True, gc=False):
    """One SKU's part in a campaign."""

    order_id: ClassVar[str] = ""
    quantity: ClassVar[int] = 0
    campaign_id: CampaignId
    starts_at: StartsAt
    ends_at: EndsAt
    expected_units: ExpectedUnits
    discount: Discount | None = None
    promise_days: PromiseDays | None = None

    def __post_init__(self) -> None:
        """Refuse what no field alone can tell."""
        _require_time("starts_at", self.starts_at)
        _require_time("ends_at", self.ends_at)
        if one_time(self.ends_at) <= one_time(self.starts_at):
            raise ValueError(f"ends_at must be > starts_at ({self.starts_at}), got {self.ends_at}")


class CampaignPlanned(CampaignLine, frozen=True, kw_only=True, gc=False, tag="planned"):
    """The line is planned."""


class CampaignChanged(CampaignLine, frozen=True, kw_only=True, gc=False, tag="changed"):
    """The line has new values."""


class CampaignCancelled(Event, frozen=True, kw_only=True, gc=False, tag="cancelled"):
    """The line will not take place."""

    order_id: ClassVar[str] = ""
    quantity: ClassVar[int] = 0
    campaign_id: CampaignId


class Tombstone(Event, frozen=True, kw_only=True, gc=False, tag="tombstone"):
    """A record without a value: what its key names is gone.

    The key is a sku, `sku@warehouse`, or in `campaigns` `sku@warehouse@campaign_id`; `sku` here is
    only how far the key decides the partition.
    """

    order_id: ClassVar[str] = ""
    quantity: ClassVar[int] = 0
    key: Annotated[str, Meta(max_length=400)]


class CatalogTombstone(Tombstone, frozen=True, kw_only=True, gc=False, tag="tombstone"):
    """Items are in the catalog no more."""


class CampaignTombstone(Tombstone, frozen=True, kw_only=True, gc=False, tag="tombstone"):
    """Campaign lines are planned no more."""


class Response(Event, frozen=True, kw_only=True, gc=False):
    """What a person, an ERP or a supplier says of a purchase order."""

    order_id: ClassVar[str] = ""
    po_id: PurchaseOrderId
    reason: Annotated[Reason | None, Meta(examples=["agreed by telephone"])] = None

    @property
    def quantity(self) -> int:
        """A response moves no stock."""
        return 0


class Approved(Response, frozen=True, kw_only=True, gc=False, tag="approved"):
    """Somebody with the right to do so agreed, perhaps to another arrival."""

    expected_at: ExpectedAt | None = None

    def __post_init__(self) -> None:
        """Refuse what no field alone can tell."""
        _require_time("expected_at", self.expected_at)


class Held(Response, frozen=True, kw_only=True, gc=False, tag="held"):
    """The hand-over waits."""


class Released(Response, frozen=True, kw_only=True, gc=False, tag="released"):
    """The hand-over goes on."""


class Sent(Response, frozen=True, kw_only=True, gc=False, tag="sent"):
    """The order went to the supplier."""


class Acknowledged(Response, frozen=True, kw_only=True, gc=False, tag="acknowledged"):
    """The supplier confirmed, perhaps with another arrival."""

    expected_at: ExpectedAt | None = None

    def __post_init__(self) -> None:
        """Refuse what no field alone can tell."""
        _require_time("expected_at", self.expected_at)


class OrderChanged(Response, frozen=True, kw_only=True, gc=False, tag="changed"):
    """The order now stands at `quantity` units (`new_quantity` here)."""

    new_quantity: OrderedUnits = msgspec.field(name="quantity")
    expected_at: ExpectedAt | None = None

    def __post_init__(self) -> None:
        """Refuse what no field alone can tell."""
        _require_time("expected_at", self.expected_at)


class OrderRejected(Response, frozen=True, kw_only=True, gc=False, tag="rejected"):
    """A person or the supplier refused the order: nothing of it will come."""


class OrderCancelled(Response, frozen=True, kw_only=True, gc=False, tag="cancelled"):
    """The order was called off."""


TOPICS: dict[str, tuple[type[msgspec.Struct], ...]] = {
    "catalog": (Item, Discontinued, Heartbeat),
    "campaigns": (CampaignPlanned, CampaignChanged, CampaignCancelled, Heartbeat),
    "orders": (Placed, Cancelled, Returned, Heartbeat),
    "shipments": (Dispatched, Delivered, Advised, Delayed, Received, Rejected, Heartbeat),
    "stock": (Counted, Adjusted, Heartbeat),
    "order-responses": (
        Approved,
        Held,
        Released,
        Sent,
        Acknowledged,
        OrderChanged,
        OrderRejected,
        OrderCancelled,
        Heartbeat,
    ),
}
"""The input topics, in the order in which events of one instant take effect, and their kinds.

Stock counts stand after orders and shipments: a count includes what moved in its own instant.
"""

TOMBSTONES: dict[str, type[Tombstone]] = {
    "catalog": CatalogTombstone,
    "campaigns": CampaignTombstone,
}
"""By topic: what a record without a value is read as. Nobody sends these kinds as values."""


def stored_kinds(topic: str) -> tuple[type[msgspec.Struct], ...]:
    """Return the kinds of a topic, with that of its tombstones where it has them."""
    return (*TOPICS[topic], *([TOMBSTONES[topic]] if topic in TOMBSTONES else []))
