"""The states of a campaign: what may follow what, by whom, and what goes out."""

import msgspec
import pytest

from infra.campaigns import versions
from infra.campaigns.lines import line_events
from infra.campaigns.versions import ad_budget_of, document_of
from infra.control.entries import AuditError, AuditState, sealed
from policy.errors import PolicyInputError
from streams.contracts.events import TOPICS
from streams.timestamps import one_time

AT = "2026-11-01T00:00:00Z"
NOW_MS = one_time(AT)
DOCUMENT = {
    "campaign_id": "sale",
    "starts_at": "2026-11-11",
    "ends_at": "2026-11-12",
    "promise_days": 3,
    "lines": [
        {"sku": "A", "expected_units": 800, "stock_units": 500, "ad_budget": 300},
        {"sku": "B", "expected_units": 100, "stock_units": 500, "ad_budget": 200,
         "discount": 0.2},
    ],
}  # fmt: skip
GO, NO = {"verdict": "go"}, {"verdict": "not_feasible"}


class Kept:
    """A campaign in a log of its own."""

    def __init__(self):
        self.state = AuditState()

    def add(self, make, *arguments, **named):
        """Append the version that a function makes; return the events of its lines."""
        entry = make(self.state, *arguments, **named)
        record = msgspec.json.encode(sealed(entry, self.state.heads, AT))
        assert self.state.take(record, "audit/0/0") is not None
        assert not self.state.faults
        return line_events(self.all)

    @property
    def all(self):
        return self.state.campaigns["sale"]

    @property
    def now(self):
        return self.all[-1]

    def save(self, **changes):
        """Save the document with other values."""
        return self.add(versions.saved, {**DOCUMENT, **changes}, "ann", "plan", NOW_MS)


def test_a_campaign_goes_from_draft_to_closed():
    """Each step is a version with who, when and why; lines go out with the approval."""
    kept = Kept()
    assert kept.save() == []
    assert kept.add(versions.checked, "sale", GO, "bob", "room") == []
    planned = kept.add(versions.approved, "sale", "cat", "go")
    assert [(one.sku, one.expected_units, one.discount) for one in planned] == [
        ("A", 800, None),
        ("B", 100, 0.2),
    ]
    kept.add(versions.started, "sale", "dan", "it is time")
    gone = kept.add(versions.closed, "sale", "eve", "over")
    assert [type(one).__name__ for one in gone] == ["CampaignCancelled"] * 2
    assert [(one.state, one.who, one.at) for one in kept.all] == [
        ("draft", "ann", AT), ("checked", "bob", AT), ("approved", "cat", AT),
        ("live", "dan", AT), ("closed", "eve", AT),
    ]  # fmt: skip
    with pytest.raises(AuditError, match="must be not closed"):
        kept.save(promise_days=4)


def test_the_ad_budget_is_locked_until_the_check_passes():
    """Not checked, and not feasible: refused; by name it can be overridden."""
    kept = Kept()
    kept.save()
    assert ad_budget_of(DOCUMENT, kept.now)["approved"] == 0
    with pytest.raises(AuditError, match=r"checked and feasible.*'sale \(not checked\)'"):
        kept.add(versions.approved, "sale", "cat", "go")
    kept.add(versions.checked, "sale", NO, "bob", "too much")
    assert kept.now.state == "draft"
    with pytest.raises(AuditError, match=r"\(not_feasible\)"):
        kept.add(versions.approved, "sale", "cat", "go")
    kept.add(versions.approved, "sale", "cat", "the board wants it", override=True)
    assert (kept.now.state, kept.now.is_overridden, kept.now.who) == ("approved", True, "cat")
    assert ad_budget_of(DOCUMENT, kept.now) == {
        "total": 500, "by_sku": {"A": 300, "B": 200}, "approved": 500, "is_approved": True,
    }  # fmt: skip


def test_a_change_takes_check_and_approval_back():
    """Marketing revises: the new plan has to be checked again, and its lines replace the old."""
    kept = Kept()
    kept.save()
    kept.add(versions.checked, "sale", GO, "bob", "room")
    kept.add(versions.approved, "sale", "cat", "go")
    lines = [{**DOCUMENT["lines"][0], "expected_units": 400}, {"sku": "C", "expected_units": 5}]
    assert kept.save(lines=lines) == []
    assert kept.now.state == "draft"
    kept.add(versions.checked, "sale", GO, "bob", "room")
    events = kept.add(versions.approved, "sale", "cat", "go")
    assert [(type(one).__name__, one.sku) for one in events] == [
        ("CampaignChanged", "A"),
        ("CampaignPlanned", "C"),
        ("CampaignCancelled", "B"),
    ]
    assert document_of(kept.all)["lines"] == lines


def test_lines_of_a_version_are_the_same_each_time_and_read_as_events():
    """Sent twice they count once; the topic's own kinds read them."""
    kept = Kept()
    kept.save()
    kept.add(versions.checked, "sale", GO, "bob", "room")
    events = kept.add(versions.approved, "sale", "cat", "go")
    assert line_events(kept.all) == events
    decoder = msgspec.json.Decoder(TOPICS_OF_CAMPAIGNS)
    assert [decoder.decode(msgspec.json.encode(one)) for one in events] == events
    assert len({one.event_id for one in events}) == 2


TOPICS_OF_CAMPAIGNS = TOPICS["campaigns"][0] | TOPICS["campaigns"][1] | TOPICS["campaigns"][2]


def test_of_two_entries_with_one_number_the_first_counts():
    """Two people at once: the log decides, the same for all who read it."""
    kept = Kept()
    kept.save()
    one = versions.checked(kept.state, "sale", GO, "bob", "room")
    other = versions.saved(kept.state, {**DOCUMENT, "goal": "more"}, "ann", "more", NOW_MS)
    for entry in (one, other):
        kept.state.take(msgspec.json.encode(sealed(entry, kept.state.heads, AT)), "audit/0/1")
    assert [version.who for version in kept.all] == ["ann", "bob"]


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"campaign_id": None}, AuditError, "campaign_id must be a text"),
        ({"campaign_id": "x" * 129}, AuditError, "at most 128 characters"),
        ({"promise_days": -1}, PolicyInputError, "promise_days must be >= 0"),
        ({"colour": "red"}, PolicyInputError, "colour must be one of"),
        ({"note": "x" * 17_000_000}, AuditError, "document must be of at most 16000000 bytes"),
        ({"note": "".join(map(str, range(300_000)))}, AuditError, "at most 600000 bytes packed"),
        ({}, AuditError, "document must be another one than that of version 1"),
    ],
)
def test_what_is_no_campaign_is_not_kept(changes, error, text):
    """Field, rule and value."""
    kept = Kept()
    kept.save()
    with pytest.raises(error, match=text):
        kept.save(**changes)


def test_what_is_not_there_is_named():
    """The message lists what is."""
    kept = Kept()
    kept.save()
    with pytest.raises(AuditError, match=r"one that was saved \(sale\), got 'sail'"):
        kept.add(versions.approved, "sail", "cat", "go")


def test_a_campaign_without_a_window_cannot_be_approved():
    """Its lines could not be planned."""
    kept = Kept()
    kept.save(starts_at=None)
    kept.add(versions.checked, "sale", GO, "bob", "room")
    with pytest.raises(AuditError, match="starts_at must be given before"):
        kept.add(versions.approved, "sale", "cat", "go")


@pytest.mark.slow
def test_a_campaign_of_thousands_of_items_fits_into_the_log():
    """Packed; what is read is what was saved, and its check keeps the first of its actions."""
    lines = [{"sku": f"sku-{n:05}", "expected_units": n % 97, "stock_units": n % 31,
              "price": 20, "unit_cost": 12} for n in range(3_000)]  # fmt: skip
    kept = Kept()
    kept.save(lines=lines)
    assert kept.now.document is None
    assert len(msgspec.json.encode(kept.now)) < 600_000
    assert document_of(kept.all) == {**DOCUMENT, "lines": lines}
    kept.add(versions.checked, "sale", {**GO, "actions": [{"kind": "x"}] * 9_000}, "bob", "room")
    assert (len(kept.now.check["actions"]), kept.now.check["actions_total"]) == (50, 9_000)
    assert len(kept.add(versions.approved, "sale", "cat", "go")) == 3_000
    with pytest.raises(AuditError, match="another one than that of version"):
        kept.save(lines=lines)
