"""Logs of all six topics for property tests: small clocks, and everything that can be wrong."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from streams.contracts.events import TOPICS
from tests.oracle import DAY, HOUR

START_MS = 1_700_000_000_000  # a Tuesday in November 2023, 22:13:20 UTC
WAREHOUSES = ("main", "north")
ITEMS = (("lamp", "main"), ("lamp", "north"), ("desk", "main"), ("ca@fé 🪑", "main"))

_STEPS_MS = (
    *(0, 0, 1, 500, 7_000, 40_000, 61_000, 61_000, 600_000, 600_000),
    *(HOUR, HOUR, 5 * HOUR, 26 * HOUR, 4 * DAY),
)
_JITTERS_MS = (0, 0, 0, -3_000, -40_000, -2 * HOUR, -30 * HOUR)


Log = list[tuple[bytes | None, int]]  # value, and when it was written


def event(kind: str, event_id: str, at: int | str, item: tuple[str, str], **fields: Any) -> bytes:
    """One record's value."""
    sku, warehouse = item
    record = {"kind": kind, "event_id": event_id, "occurred_at": at, "sku": sku, **fields}
    if warehouse != "main":
        record["warehouse"] = warehouse
    return json.dumps(record, ensure_ascii=False).encode()


def heartbeat(at: int) -> bytes:
    """A heartbeat's value."""
    return json.dumps({"kind": "heartbeat", "occurred_at": at}).encode()


def catalog_line(event_id: str, at: int, item: tuple[str, str], **changes: Any) -> bytes:
    """A catalog line; with its lead times the cheap gap rule decides."""
    line: dict[str, Any] = {
        "unit_cost_lean": 4.0,
        "unit_cost_flexible": 5.0,
        "lead_time_days_lean": 2.0,
        "lead_time_days_flexible": 1.0,
        "review_period_days": 1.0,
        "holding_cost_per_unit_day": 0.01,
        "backorder_cost_per_unit_day": 1.0,
        "minimum_order_units_lean": 3,
        "pack_size_units_flexible": 2,
    }
    return event("item", event_id, at, item, **{**line, **changes})


@dataclass
class Logs:
    """A log for each topic."""

    of: dict[str, Log] = field(default_factory=lambda: {topic: [] for topic in TOPICS})

    def add(self, topic: str, value: bytes | None, written_ms: int) -> None:
        """Append a record."""
        self.of[topic].append((value, written_ms))

    def beat(self, at: int) -> None:
        """Append a heartbeat everywhere."""
        for topic in self.of:
            self.add(topic, heartbeat(at), at)

    def __iter__(self) -> Iterator[tuple[str, Log]]:
        return iter(self.of.items())


def columns_of(log: Log) -> tuple[list[bytes | None], np.ndarray]:
    """Values and times of writing, as `TopicDecoder.decode` takes them."""
    return [value for value, _ in log], np.array([written for _, written in log], np.int64)


_BAD: tuple[bytes | None, ...] = (
    *(None, b"", b"\xff\xfe", b"{", b"[]", b"7", b'{"kind":"placed"}', b'{"kind":"gift"}'),
    b'{"kind":"heartbeat","occurred_at":"soon"}',
)
_KINDS = (
    *("placed",) * 10,
    *("cancelled", "returned", "dispatched", "delivered", "counted", "counted", "adjusted"),
    *("advised", "delayed", "received", "rejected", "item", "planned", "uncampaign"),
    *("acknowledged", "changed", "refused", "beat", "beat", "bad", "again", "again", "future"),
)


@dataclass(frozen=True)
class Step:
    """One draw: what happens next, how long after the last, and to what."""

    kind: str
    step: int
    jitter: int
    item: int
    number: int  # of an order, a purchase order, a quantity


STEPS = st.builds(
    Step,
    kind=st.sampled_from(_KINDS),
    step=st.sampled_from(_STEPS_MS),
    jitter=st.sampled_from(_JITTERS_MS),
    item=st.integers(0, len(ITEMS) - 1),
    number=st.integers(0, 40),
)


def steps(most: int = 70) -> st.SearchStrategy[list[Step]]:
    """Draw what happens."""
    return st.lists(STEPS, min_size=3, max_size=most)


def random_steps(seed: int, count: int = 60, longest_ms: int = 4 * DAY) -> list[Step]:
    """Steps by a seed, for checks that need the same logs each time.

    Args:
        seed: draws them.
        count: how many.
        longest_ms: no step takes longer.
    """
    steps_ms = [step_ms for step_ms in _STEPS_MS if step_ms <= longest_ms]
    chance = random.Random(seed)
    return [
        Step(
            kind=chance.choice(_KINDS),
            step=chance.choice(steps_ms),
            jitter=chance.choice(_JITTERS_MS),
            item=chance.randrange(len(ITEMS)),
            number=chance.randrange(41),
        )
        for _ in range(count)
    ]


KnownOrders = tuple[tuple[str, tuple[str, str]], ...]  # po_id, item
_UNKNOWN: KnownOrders = (("po-x", ITEMS[0]), ("po-y", ITEMS[1]))


def build(steps: list[Step], known_orders: KnownOrders = ()) -> Logs:
    """Return the logs of some steps: a stock of everything first, and last, mostly, what lets all
    of it take effect. Suppliers and people speak of the purchase orders given.
    """
    made = Logs()
    now = START_MS
    for number, item in enumerate(ITEMS):
        changes = {"assume_dispatched": number == 2, "review_period_days": (1.0, 0.5)[number % 2]}
        made.add("catalog", catalog_line(f"c{number}", now, item, **changes), now)
        made.add("stock", event("counted", f"s{number}", now, item, level=5), now)
    made.beat(now)
    for place, step in enumerate(steps):
        now += step.step
        _write(made, step, f"e{place}", now, known_orders or _UNKNOWN)
    if steps[-1].number % 3:  # else the last events wait for ever
        made.beat(now)
        made.beat(now + 2 * DAY + 17)
    return made


def _write(logs: Logs, step: Step, event_id: str, now: int, known_orders: KnownOrders) -> None:
    item = ITEMS[step.item]
    po_id, ordered = known_orders[step.number % len(known_orders)]
    at = now + step.jitter
    order = {"order_id": f"o{step.number % 9}", "quantity": 1 + step.number % 5}
    if step.number % 7 == 3:
        order["source"] = "web"
    supplied: dict[str, Any] = {
        "po_id": po_id,
        "supplier": "lean",
        "quantity": 1 + step.number % 4,
    }
    if step.number % 3:
        supplied["expected_at"] = at + (step.number - 5) * HOUR
    match step.kind:
        case "beat":
            logs.beat(now)
        case "bad":
            topic = list(TOPICS)[step.number % len(TOPICS)]
            logs.add(topic, _BAD[step.number % len(_BAD)], now)
        case "again":
            topic = list(TOPICS)[step.number % len(TOPICS)] if step.number % 2 else "orders"
            log = logs.of[topic]
            if log:
                logs.add(topic, log[(7 * step.number) % len(log)][0], now)
        case "future":
            logs.add("orders", event("placed", event_id, now + 601_000, item, **order), now)
        case "placed" | "cancelled" | "returned":
            logs.add("orders", event(step.kind, event_id, at, item, **order), now)
        case "dispatched" | "delivered":
            logs.add("shipments", event(step.kind, event_id, at, item, **order), now)
        case "advised" | "delayed" | "received" | "rejected":
            logs.add("shipments", event(step.kind, event_id, at, ordered, **supplied), now)
        case "counted":
            logs.add("stock", event("counted", event_id, at, item, level=step.number), now)
        case "adjusted":
            logs.add("stock", event("adjusted", event_id, at, item, change=step.number - 20), now)
        case "item":
            changes = {"review_period_days": (0.25, 0.5, 1.0, 2.0)[step.number % 4]}
            changes["assume_dispatched"] = step.number % 5 == 0
            logs.add("catalog", catalog_line(event_id, at, item, **changes), now)
        case "planned":
            plan = {"starts_at": at + HOUR, "ends_at": at + 2 * DAY, "expected_units": 40}
            value = event("planned", event_id, at, item, campaign_id="sale", **plan)
            logs.add("campaigns", value, now)
        case "uncampaign":
            value = event("cancelled", event_id, at, item, campaign_id="sale")
            logs.add("campaigns", value, now)
        case "acknowledged":
            due = at + (step.number % 9) * HOUR
            value = event("acknowledged", event_id, at, ordered, po_id=po_id, expected_at=due)
            logs.add("order-responses", value, now)
        case "changed":
            value = event("changed", event_id, at, ordered, po_id=po_id, quantity=1 + step.number)
            logs.add("order-responses", value, now)
        case "refused":
            kind = ("rejected", "cancelled", "held", "sent")[step.number % 4]
            logs.add("order-responses", event(kind, event_id, at, ordered, po_id=po_id), now)
        case _:
            raise AssertionError(step.kind)
