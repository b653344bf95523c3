"""The fields of the contracts: what each one means, its unit, its range and an example.

A field that stands in many contracts is described here once. Descriptions and examples go to
`infra/asyncapi.yaml` and `streams/README.md`. The example records there take the first example of
each field, so the first examples must fit together. msgspec checks the ranges.
"""

from typing import Annotated, Literal

from msgspec import Meta


def described(words: str) -> Meta:
    """Return the description of a field that needs no example, as in the answers of the API."""
    return Meta(description=words)


# --- ranges -----------------------------------------------------------------------------------

Identifier = Annotated[str, Meta(min_length=1, max_length=128)]
Timestamp = str | int
Quantity = Annotated[int, Meta(ge=1, le=1_000_000)]
Level = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Money = Annotated[float, Meta(ge=0, le=1e12)]
Days = Annotated[float, Meta(ge=0, le=3_650)]

# --- descriptions of fields that stand in events and in what Tidegate writes ------------------

SKU = Meta(
    description="Stock-keeping unit: the shop's name of the article. 1 to 128 characters.",
    examples=["lamp", "85123A"],
)
WAREHOUSE = Meta(
    description="Warehouse that holds the stock; an item is one sku in one warehouse. 1 to 128 "
    "characters, none of them '@'.",
    examples=["main", "north"],
)
CURRENCY = Meta(
    description="Currency of the money given here, as an ISO 4217 code; null means that it is not "
    "known.",
    examples=["EUR", "GBP"],
)
PURCHASE_ORDER_ID = Meta(
    description="Id of the purchase order: a function of item, review window, supplier and "
    "occasion, and so the idempotency key of every hand-over.",
    examples=["po-2b386f4c3dc3eec98feb"],
)
SUPPLIER = Meta(
    description="Name of the supplier, as the catalog has it. 1 to 128 characters.",
    examples=["Slow & Steady", "Fast & Co"],
)
CAMPAIGN_ID = Meta(
    description="Id of the campaign, the same for all of its items.", examples=["black-friday-2026"]
)
EXPECTED_AT = Meta(
    description="When the goods are expected on the shelf, as RFC 3339 with a zone or whole "
    "milliseconds since 1970; null means that no other date is given.",
    examples=["2026-12-06T09:00:00Z", 1_796_547_600_000],
)

# --- every event ------------------------------------------------------------------------------

EventId = Annotated[
    Identifier,
    Meta(
        description="Id of the event, unique within its source: a second event with the same id is "
        "not counted. 1 to 128 characters.",
        examples=["e-20261127-000001"],
    ),
]
OccurredAt = Annotated[
    Timestamp,
    Meta(
        description="When it happened (event time), as RFC 3339 with a zone or whole milliseconds "
        "since 1970.",
        examples=["2026-11-27T10:00:00Z", 1_795_773_600_000],
    ),
]
Sku = Annotated[Identifier, SKU]
Warehouse = Annotated[Identifier, WAREHOUSE]
Source = Annotated[
    str,
    Meta(
        max_length=128,
        description="System that wrote the event. At most 128 characters; empty where there is "
        "only one.",
        examples=["shop"],
    ),
]

# --- orders and shipments ---------------------------------------------------------------------

OrderId = Annotated[
    Identifier,
    Meta(
        description="Id of the customer's order; lines with the same id are one order. What is "
        "dispatched, cancelled or returned names it, whatever the source. 1 to 128 characters.",
        examples=["order-581234"],
    ),
]
Units = Annotated[
    Quantity,
    Meta(
        description="Whole units that this event is about. From 1 to 1,000,000.", examples=[2, 120]
    ),
]
OrderedUnits = Annotated[
    Quantity,
    Meta(
        description="Whole units that the purchase order is for from now on. From 1 to 1,000,000.",
        examples=[96],
    ),
]
Price = Annotated[
    Money,
    Meta(
        description="Price of one unit, in `currency`. From 0 to 1e12; null means that it is not "
        "known.",
        examples=[9.95],
    ),
]
Currency = Annotated[str, CURRENCY]
CampaignOfOrder = Annotated[
    str,
    Meta(
        description="Campaign that the order belongs to; null means none.",
        examples=["black-friday-2026"],
    ),
]
PromisedBy = Annotated[
    Timestamp,
    Meta(
        description="Until when the customer was promised delivery, as RFC 3339 with a zone or "
        "whole milliseconds since 1970; null means no promise.",
        examples=["2026-11-29T18:00:00Z"],
    ),
]
PurchaseOrderId = Annotated[Identifier, PURCHASE_ORDER_ID]
Supplier = Annotated[Identifier, SUPPLIER]
ExpectedAt = Annotated[Timestamp, EXPECTED_AT]
DiscontinuedFrom = Annotated[
    Timestamp,
    Meta(
        description="From then on nothing of the item is ordered, as RFC 3339 with a zone or whole "
        "milliseconds since 1970; null means that it is not discontinued.",
        examples=["2026-12-24T00:00:00Z"],
    ),
]
DiscontinuedMode = Annotated[
    Literal["sell_off", "stop"],
    Meta(
        description="sell_off: what is on order still comes, and is sold. stop: orders that wait "
        "for a person are called off too.",
        examples=["sell_off"],
    ),
]
Reason = Annotated[
    str,
    Meta(
        description="Why, in free words; null means that nobody said.",
        examples=["two units were damaged"],
    ),
]

# --- stock ------------------------------------------------------------------------------------

CountedLevel = Annotated[
    Level,
    Meta(
        description="Whole units on the shelf when they were counted. From 0 to 1,000,000,000.",
        examples=[40, 0],
    ),
]
LotUnits = Annotated[
    Level, Meta(description="Whole units of this lot. From 0 to 1,000,000,000.", examples=[40])
]
ExpiresAt = Annotated[
    Timestamp,
    Meta(
        description="When the lot expires, as RFC 3339 with a zone or whole milliseconds since "
        "1970; null means never.",
        examples=["2027-11-27T00:00:00Z"],
    ),
]
Change = Annotated[
    int,
    Meta(
        ge=-1_000_000_000,
        le=1_000_000_000,
        description="Whole units that came to the stock; below 0 where they are gone. From "
        "-1,000,000,000 to 1,000,000,000.",
        examples=[-2, 5],
    ),
]

# --- catalog ----------------------------------------------------------------------------------
# Of a pair of fields that end in `_lean` and `_flexible`, "this supplier" is the one that is named.

UnitCost = Annotated[
    Money,
    Meta(
        description="Cost of one unit from this supplier, in the item's currency. From 0 to 1e12.",
        examples=[4.0],
    ),
]
SetupCost = Annotated[
    Money,
    Meta(
        description="Cost of one order at this supplier whatever its size, in the item's currency. "
        "From 0 to 1e12.",
        examples=[90.0],
    ),
]
LeadTimeDays = Annotated[
    Days,
    Meta(
        description="Days from the supplier's dispatch until the units are on the shelf, at the "
        "lean supplier at least as many as at the flexible one. From 0 to 3,650.",
        examples=[9.0],
    ),
]
ReviewPeriodDays = Annotated[
    float,
    Meta(
        ge=0.01,
        le=365,
        description="Days from one review of the item to the next. From 0.01 to 365.",
        examples=[7.0],
    ),
]
HoldingCost = Annotated[
    float,
    Meta(
        gt=0,
        le=1e9,
        description="Cost of one unit in stock for one day, in the item's currency. Above 0, at "
        "most 1e9.",
        examples=[0.02],
    ),
]
BackorderCost = Annotated[
    float,
    Meta(
        gt=0,
        le=1e9,
        description="Cost of one unit that a customer waits for, for one day, in the item's "
        "currency. Above 0, at most 1e9.",
        examples=[0.5],
    ),
]
ServiceTarget = Annotated[
    float,
    Meta(
        gt=0,
        le=0.999,
        description="Share that has to be served, of what `service_type` says. Above 0, at most "
        "0.999; null means no target: the policy with the lowest cost.",
        examples=[0.95],
    ),
]
ServiceType = Annotated[
    Literal["cycle", "fill", "paper"],
    Meta(
        description="What `service_target` is a share of: replenishment cycles without a stock-out "
        "(cycle), units served from stock (fill), or the condition of the published model (paper).",
        examples=["cycle", "fill"],
    ),
]
CapacityUnits = Annotated[
    Level,
    Meta(
        description="Units that the lean supplier takes in one review at most. From 0 to "
        "1,000,000,000; null means no limit.",
        examples=[500],
    ),
]
MinimumOrderUnits = Annotated[
    Level,
    Meta(
        description="Units of the smallest order that this supplier takes. From 0 to "
        "1,000,000,000; 0 means no minimum.",
        examples=[24, 0],
    ),
]
PackSizeUnits = Annotated[
    int,
    Meta(
        ge=1,
        le=1_000_000,
        description="Units in a pack of this supplier; an order is a whole number of packs. From 1 "
        "to 1,000,000.",
        examples=[12, 1],
    ),
]
FromUnits = Annotated[
    int,
    Meta(
        ge=1,
        le=1_000_000_000,
        description="Units from which on this price holds. From 1 to 1,000,000,000.",
        examples=[200],
    ),
]
BreakUnitCost = Annotated[
    Money,
    Meta(
        description="Cost of each unit of such an order, in the item's currency, lower than the "
        "one before. From 0 to 1e12.",
        examples=[3.8],
    ),
]
Weekdays = Annotated[
    list[Annotated[int, Meta(ge=1, le=7)]],
    Meta(
        max_length=7,
        description="ISO weekdays (UTC) on which this supplier dispatches, from 1 (Monday) to 7 "
        "(Sunday). At most 7; empty means every day.",
        examples=[[1, 2, 3, 4, 5], []],
    ),
]
CutOffHour = Annotated[
    float,
    Meta(
        ge=0,
        le=24,
        description="Hour of the day (UTC) from which on an order waits for this supplier's next "
        "dispatch day. From 0 to 24; 24 means that none waits.",
        examples=[16.0, 24.0],
    ),
]
Category = Annotated[
    str,
    Meta(
        description="Category of the item in the shop, which is watched for surges as a whole; "
        "null means none.",
        examples=["lighting"],
    ),
]
AssumeDispatched = Annotated[
    bool,
    Meta(
        description="true for a shop without shipment events: a sale leaves the shelf when it is "
        "placed, and an event that it was dispatched takes nothing more.",
        examples=[False, True],
    ),
]
AssumeReceived = Annotated[
    bool,
    Meta(
        description="true for a shop without shipment events: a purchase order is on the shelf on "
        "its due date.",
        examples=[False, True],
    ),
]

# --- campaigns --------------------------------------------------------------------------------

CampaignId = Annotated[Identifier, CAMPAIGN_ID]
StartsAt = Annotated[
    Timestamp,
    Meta(
        description="When the campaign starts for this item, as RFC 3339 with a zone or whole "
        "milliseconds since 1970.",
        examples=["2026-11-27T00:00:00Z"],
    ),
]
EndsAt = Annotated[
    Timestamp,
    Meta(
        description="When it ends, later than `starts_at`, as RFC 3339 with a zone or whole "
        "milliseconds since 1970.",
        examples=["2026-12-01T00:00:00Z"],
    ),
]
ExpectedUnits = Annotated[
    Level,
    Meta(
        description="Units that the item is planned to sell from start to end, baseline sales "
        "included. From 0 to 1,000,000,000.",
        examples=[300],
    ),
]
Discount = Annotated[
    float,
    Meta(
        ge=0,
        le=1,
        description="Share of the price that is taken off, from 0 to 1: 0.25 is 25 % off; null "
        "means that it is not known.",
        examples=[0.25],
    ),
]
PromiseDays = Annotated[
    Days,
    Meta(
        description="Days within which customers are promised delivery. From 0 to 3,650; null "
        "means no promise.",
        examples=[2.0],
    ),
]

# --- purchase orders --------------------------------------------------------------------------

OrderVersion = Annotated[
    int,
    Meta(
        description="Number of this version of the order. At least 1; a later version has a "
        "greater number.",
        examples=[1],
    ),
]
OrderQuantity = Annotated[
    int,
    Meta(
        description="Whole units to order. At least 1.",
        examples=[372],
    ),
]
OrderUnitCost = Annotated[
    float,
    Meta(
        description="Cost of one unit of this order, price breaks included, in `currency`.",
        examples=[3.8],
    ),
]
WindowStartedAt = Annotated[
    str,
    Meta(
        description="When the review window started (event time), as RFC 3339 in UTC. A supplier "
        "gets at most one order for an item, window and occasion.",
        examples=["2026-11-27T09:00:00Z"],
    ),
]
DecidedAt = Annotated[
    str,
    Meta(
        description="When it was decided (event time), as RFC 3339 in UTC.",
        examples=["2026-11-27T09:00:00Z"],
    ),
]
ArrivesAt = Annotated[
    str,
    Meta(
        description="When the units are expected on the shelf, as RFC 3339 in UTC: the decision, "
        "the wait for the supplier's dispatch and the lead time.",
        examples=["2026-12-06T09:00:00Z"],
    ),
]
Method = Annotated[
    str,
    Meta(
        description="How the policy was computed: exact (a certified optimum), gap_rule (a rule "
        "beside a certified bound), dual_index (by stock and demand day by day, for a slow lean "
        "supplier) or no_demand (only what customers wait for is ordered).",
        examples=["exact", "gap_rule"],
    ),
]
ReasonCode = Annotated[
    str,
    Meta(
        description="Code of the rule that chose the quantity; `tidegate explain` says it in "
        "words.",
        examples=["pack_size", "cost_optimal"],
    ),
]
SplitCost = Annotated[
    float,
    Meta(
        description="Expected cost of this way to split the order, in `currency`. Only "
        "differences between splits count; null means that it was not allowed.",
        examples=[2000.54],
    ),
]
SplitUnits = Annotated[
    int,
    Meta(
        description="Whole units that this way to split the order asks of the supplier that is "
        "named last. 0 also means that it was not allowed.",
        examples=[372],
    ),
]
PurchaseCost = Annotated[
    float,
    Meta(
        description="Cost of the units ordered, in `currency`; null means that it is not known.",
        examples=[1834.8],
    ),
]
OrderingCost = Annotated[
    float,
    Meta(
        description="Set-up cost of the orders, in `currency`; null means that it is not known.",
        examples=[99.0],
    ),
]
ExpectedHoldingCost = Annotated[
    float,
    Meta(
        description="Expected cost of stock in the days that this review decides, in `currency`; "
        "null means that it is not known.",
        examples=[6.99],
    ),
]
ExpectedBackorderCost = Annotated[
    float,
    Meta(
        description="Expected cost of customers who wait in the days that this review decides, in"
        " `currency`; null means that it is not known.",
        examples=[2.33],
    ),
]
PolicyCostPerDay = Annotated[
    float,
    Meta(
        description="Cost of the policy per day in the long run, in `currency`; null means that "
        "it is not known.",
        examples=[57.41],
    ),
]
Gap = Annotated[
    float,
    Meta(
        description="Share of the policy's cost that lies above a certified lower bound, from 0 "
        "to 1. 1 means that no bound is known, null that nothing was computed.",
        examples=[2.7e-05],
    ),
]
CycleService = Annotated[
    float,
    Meta(
        description="Share of replenishment cycles without a stock-out in the long run, from 0 to"
        " 1; null means that it is not known.",
        examples=[0.95],
    ),
]
ReviewService = Annotated[
    float,
    Meta(
        description="Chance that the stock lasts until the end of the days that this review "
        "decides, from 0 to 1; null means that it is not known.",
        examples=[1.0],
    ),
]
FillRate = Annotated[
    float,
    Meta(
        description="Share of units that are served from stock in the long run, from 0 to 1; null"
        " means that it is not known.",
        examples=[0.989303],
    ),
]
BreakEvenFastUnit = Annotated[
    float,
    Meta(
        description="Worth of one unit that comes as early as the flexible supplier's instead of "
        "the lean one's, set-up cost apart, in `currency`; null means that it is not known.",
        examples=[2.91],
    ),
]

# --- alerts -----------------------------------------------------------------------------------

SKU_OF_INCIDENT = Meta(
    description="Sku of the item; null where the incident is not about one item.",
    examples=["lamp"],
)
WAREHOUSE_OF_INCIDENT = Meta(
    description="Warehouse of the item; null where the incident is not about one item.",
    examples=["main"],
)
IncidentId = Annotated[
    str,
    Meta(
        description="Id of the incident, the same in all of its alerts: a function of kind, "
        "subject and start.",
        examples=["in-67b817c0e2b2b9bd5b19"],
    ),
]
StepVersion = Annotated[
    int, Meta(description="Number of this step of the incident. At least 1, rising.", examples=[1])
]
Subject = Annotated[
    str,
    Meta(
        description="What the incident is about: an item (sku@warehouse), a purchase order, a "
        "topic and its partition, or a group of items. The key of the Kafka record.",
        examples=["lamp@main", "po-2b386f4c3dc3eec98feb", "inputs/0", "campaign:black-friday-2026"],
    ),
]
StartedAt = Annotated[
    str,
    Meta(
        description="When the incident began (event time), as RFC 3339 in UTC.",
        examples=["2026-11-27T10:00:00Z"],
    ),
]
SteppedAt = Annotated[
    str,
    Meta(
        description="When this step happened (event time), as RFC 3339 in UTC.",
        examples=["2026-11-27T10:00:00Z"],
    ),
]
Summary = Annotated[
    str,
    Meta(
        description="What has happened, in one sentence.",
        examples=["lamp@main will run out before the next arrival"],
    ),
]
Action = Annotated[
    str,
    Meta(
        description="The one thing to do about it, in one sentence.",
        examples=["Order from the flexible supplier now: the stock ends before other goods come."],
    ),
]

# --- pauses of the hand-over ------------------------------------------------------------------

WHO_DID = described("Name of the person. 1 to 500 printable characters on one line.")
WHY = described("Why, in free words. 1 to 500 printable characters on one line.")
HOLD_ID = described("Id of the pause.")
ONLY_SUPPLIER = described("Only orders to this supplier wait; null means every one.")
ONLY_SKU = described("Only orders of this sku wait; null means every one.")
ONLY_WAREHOUSE = described(
    "Only orders for this warehouse wait, and only together with a sku; null means every one."
)
