"""The line ledger: whatever a shop says, in any order and again, ends in the same numbers."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.connect.ledger import Ledger, LineState, Part, PartKind, line_events, numbers_of
from infra.connect.shops.payloads import About
from infra.connect.shops.shopify import ShopifyAdapter

DAY = "2026-11-11T00:{:02d}:{:02d}Z"


def at(second: int) -> str:
    return DAY.format(second // 60, second % 60)


@dataclass
class Shop:
    """One order of one line, as Shopify keeps it, and what it should come to."""

    quantity: int
    clock: int = 0
    current: int = 0
    cancelled: int = 0  # before they were dispatched
    returned: int = 0
    lost: int = 0
    shipped: int = 0
    is_void: bool = False
    refunds: list[dict[str, Any]] = field(default_factory=list)
    shipments: list[dict[str, Any]] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.current = self.quantity
        self._say()

    @property
    def undispatched(self) -> int:
        return self.quantity - self.cancelled - self.shipped

    def place_more(self, units: int) -> None:
        if self.lost:  # nobody can tell then which of the units it was
            return
        self.quantity += units
        self.current += units
        self._say()

    def edit_down(self, units: int) -> None:
        units = min(units, self.undispatched)
        self.cancelled += units
        self.current -= units
        self._say()

    def cancel_units(self, units: int) -> None:
        units = min(units, self.undispatched)
        if units:
            self.cancelled += units
            self._refund(units, "cancel")

    def give_back(self, units: int) -> None:
        units = min(units, self.shipped - self.returned - self.lost)
        if units:
            self.returned += units
            self._refund(units, "return")

    def lose(self, units: int) -> None:
        if self.undispatched:
            return
        units = min(units, self.shipped - self.returned - self.lost)
        if units:
            self.lost += units
            self._refund(units, "no_restock")

    def fulfil(self, units: int) -> None:
        units = 0 if self.is_void else min(units, self.undispatched)
        if units:
            self.shipped += units
            self.clock += 1
            self.shipments.append(
                {
                    **{"id": 40 + len(self.shipments), "order_id": 1, "status": "success"},
                    **{"created_at": at(self.clock), "updated_at": at(self.clock)},
                    "line_items": [{"id": 9, "sku": "lamp", "quantity": units}],
                }
            )
            self.documents.append(dict(self.shipments[-1]))
            self._say()

    def unship(self, _: int) -> None:
        """Take the newest shipment back, while nothing of it has come back."""
        if self.shipments and not (self.returned or self.lost):
            shipment = self.shipments[-1]
            if shipment["status"] == "success":
                self.shipped -= shipment["line_items"][0]["quantity"]
                self.clock += 1
                own = {"status": "cancelled", "updated_at": at(self.clock)}
                self.shipments[-1] = {**shipment, **own}
                self.documents.append(dict(self.shipments[-1]))
                self._say()

    def void(self, _: int) -> None:
        self.is_void = True
        self._say()

    def reopen(self, _: int) -> None:
        self.is_void = False
        self._say()

    def _refund(self, units: int, kind: str) -> None:
        self.current -= units
        self.clock += 1
        self.refunds.append(
            {
                **{"id": 70 + len(self.refunds), "order_id": 1, "created_at": at(self.clock)},
                "refund_line_items": [
                    {
                        **{"id": 700 + len(self.refunds), "line_item_id": 9, "quantity": units},
                        **{"restock_type": kind, "line_item": {"id": 9, "sku": "lamp"}},
                    }
                ],
            }
        )
        self.documents.append(self.refunds[-1])
        self._say()

    def _say(self) -> None:
        self.clock += 1
        self.documents.append(
            {
                **{"id": 1, "created_at": at(0), "updated_at": at(self.clock), "currency": "EUR"},
                **{
                    "cancelled_at": at(self.clock) if self.is_void else None,
                    "financial_status": "",
                },
                **{"refunds": list(self.refunds), "fulfillments": list(self.shipments)},
                "line_items": [
                    {
                        **{"id": 9, "sku": "lamp", "quantity": self.quantity, "price": "1.00"},
                        "current_quantity": self.current,
                    }
                ],
            }
        )

    def numbers(self) -> tuple[int, int]:
        """What the last state comes to: units that stay ordered, and units that left."""
        cancelled = self.quantity - self.shipped if self.is_void else self.cancelled
        return self.quantity - cancelled - self.returned, self.shipped


STEPS = st.tuples(
    st.sampled_from(
        [
            *("place_more", "edit_down", "cancel_units", "give_back", "lose", "fulfil", "fulfil"),
            *("unship", "void", "reopen"),
        ]
    ),
    st.integers(1, 4),
)


def totals(events: list[dict[str, Any]]) -> tuple[int, int]:
    """What events add up to: units that stay ordered, and units that left."""
    sums: Counter[str] = Counter()
    for event in events:
        sums[event["kind"]] += event.get("quantity", event.get("change", 0))
    net = sums["placed"] - sums["cancelled"] - sums["returned"]
    return net, sums["dispatched"] - sums["adjusted"]


def deliver(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give documents to a new ledger; return all events."""
    ledger, adapter = Ledger("shop", "on_hand"), ShopifyAdapter()
    return [
        event
        for document in documents
        for event in ledger.apply(adapter.read(document, About(), ledger).lines)
    ]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 6), st.lists(STEPS, max_size=8), st.data())
def test_any_order_of_any_states_ends_in_the_last_numbers(quantity, steps, data):
    """Placed, edited, refunded, shipped, cancelled, reopened; shuffled, repeated, some missing."""
    shop = Shop(quantity)
    for name, units in steps:
        getattr(shop, name)(units)
    last = shop.documents[-1]
    assert "line_items" in last
    others = data.draw(st.lists(st.sampled_from(shop.documents), max_size=12))
    delivered = data.draw(st.permutations([*others, last, last]))
    events = deliver(delivered)
    assert totals(events) == shop.numbers()
    ids = [event["event_id"] for event in events]
    assert len(set(ids)) == len(ids)
    assert deliver(delivered) == events  # the same after a crash, from the raw messages


def state(units: int, changed: int, **own: Any) -> LineState:
    own = {"changed_at": at(changed), "changed_ms": changed, "placed_at": at(0), **own}
    return LineState(order_id="1", line_id="l9", sku="lamp", placed=units, **own)


def ids(events: list[dict[str, Any]]) -> list[str]:
    return [event["event_id"].removeprefix("o1/l9/") for event in events]


def test_a_line_that_is_cancelled_and_opened_again():
    """The sums go on: what is placed again has another id."""
    ledger = Ledger("shop")
    assert ids([*ledger.apply([state(3, 1)])]) == ["placed/3"]
    assert ids([*ledger.apply([state(3, 2, is_void=True)])]) == ["undone/3"]
    assert ids([*ledger.apply([state(3, 3)])]) == ["placed/6"]
    assert ids([*ledger.apply([state(3, 2, is_void=True)])]) == []


def test_of_one_instant_the_state_of_which_more_has_happened_counts():
    """Shops change an order twice in a second; neither order of arrival may decide."""
    edited, placed = state(4, 1), state(3, 1)
    for order in ([edited, placed], [placed, edited]):
        ledger = Ledger("shop")
        events = [event for one in order for event in ledger.apply([one])]
        assert totals(events) == (4, 0)


def test_an_order_that_was_never_placed_is_no_event():
    """It waits for its payment; once it is paid it counts, and when it fails it is taken back."""
    ledger = Ledger("shop")
    assert ids([*ledger.apply([state(3, 1, is_counted=False)])]) == []
    assert ids([*ledger.apply([state(3, 2)])]) == ["placed/3"]
    assert ids([*ledger.apply([state(3, 3, is_counted=False)])]) == ["undone/3"]


def test_a_deleted_refund_is_taken_back():
    """A newer state that does not know a refund any more: its units are ordered again."""
    refund = Part(
        **{"order_id": "1", "line_id": "l9", "part_id": "7", "kind": PartKind.CANCELLED},
        **{"units": 2, "at": at(2), "at_ms": 2},
    )
    ledger = Ledger("shop")
    [*ledger.apply([state(3, 1, parts=frozenset()), refund])]
    assert ids([*ledger.apply([state(3, 3, parts=frozenset({"7"}))])]) == []
    assert ids([*ledger.apply([state(3, 4, parts=frozenset())])]) == ["placed/5"]
    assert ids([*ledger.apply([refund])]) == []


@pytest.mark.parametrize("stock_is", ["available", "on_hand"])
def test_dispatches_are_events_only_where_the_stock_is_on_the_shelf(stock_is):
    """With `available` the order itself took the units."""
    events = line_events(state(3, 1, dispatched=3, dispatched_at=at(5)), "shop", stock_is)
    assert ("dispatched" in [event["kind"] for event in events]) == (stock_is == "on_hand")


def test_an_entry_says_what_it_comes_to():
    """The numbers of a line are a function of what is kept of it."""
    ledger = Ledger("shop")
    [*ledger.apply([state(5, 1, undone=2)])]
    numbers = numbers_of(ledger.entry("1", "l9"))
    assert (numbers.net, numbers.cancelled) == (3, 2)
    assert msgspec.json.encode(ledger.entry("1", "l9"))
