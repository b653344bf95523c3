"""How often people override what is proposed: each order once, by its last word."""

from infra.control.entries import OrderAnswered, Paused
from infra.control.overrides import overrides_of
from streams.handover.rules import Verdict


def said(po_id: str, verdict: str, who: str = "ada", why: str = "plan") -> OrderAnswered:
    return OrderAnswered(
        who=who,
        why=why,
        po_id=po_id,
        sku="lamp",
        warehouse="main",
        verdict=Verdict(verdict),
        quantity=1,
        occurred_at="2026-01-01T00:00:00Z",
    )


def test_rate_is_of_orders_and_not_of_words() -> None:
    """Approved as proposed is no override; one that was changed, then rejected, is one."""
    entries = [
        Paused(who="ada", why="w"),
        said("po-1", "approved"),
        said("po-2", "changed", why="too many"),
        said("po-2", "approved"),
        said("po-3", "changed", why="too many"),
        said("po-3", "rejected", who="bob", why="supplier closed"),
        said("po-4", "rejected", who="tidegate", why="expired: no answer for 48 h"),
        said("po-5", "rejected", who="bob", why="too many"),
    ]
    found = overrides_of(entries, ["po-1", "po-2", "po-6", "po-7", "po-7"])
    assert (found.proposed, found.approved, found.changed) == (7, 1, 1)
    assert (found.rejected, found.expired) == (2, 1)
    assert found.override_rate == 3 / 7
    assert [(one.name, one.orders) for one in found.reasons] == [
        ("too many", 2),
        ("supplier closed", 1),
    ]
    assert [(one.name, one.orders) for one in found.people] == [("bob", 2), ("ada", 1)]
    assert [(one.name, one.orders) for one in found.items] == [("lamp@main", 3)]


def test_without_orders_there_is_no_rate() -> None:
    """Not 0 %."""
    assert overrides_of([], []).override_rate is None
