"""A campaign that is kept, as programs and people see it: what it says now, and its versions."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from infra.campaigns.versions import ad_budget_of, document_of, has_document
from infra.control.entries import CampaignState, CampaignVersion
from streams.contracts.fields import described


class CampaignStep(msgspec.Struct, frozen=True):
    """One version of a campaign."""

    version: Annotated[int, described("Its number, from 1 on.")]
    state: Annotated[CampaignState, described("The state from then on.")]
    who: Annotated[str, described("Who made it.")]
    why: Annotated[str, described("The reason that was given.")]
    at: Annotated[str, described("When it was written (wall clock), as RFC 3339 in UTC.")]
    has_changes: Annotated[bool, described("Whether its document is another one.")]
    verdict: Annotated[
        str | None, described("What the check said that it rests on; null means none.")
    ]
    is_overridden: Annotated[
        bool, described("Whether it was approved although the check did not pass.")
    ]


class AdBudget(msgspec.Struct, frozen=True):
    """The ad budget of a campaign."""

    total: Annotated[float, described("In the currency of the campaign.")]
    by_sku: Annotated[dict[str, float], described("What its lines name, by sku.")]
    approved: Annotated[float, described("What may be spent: 0 until the campaign is approved.")]
    is_approved: Annotated[bool, described("Whether it may be spent.")]


class CampaignRow(msgspec.Struct, frozen=True):
    """A campaign as it stands."""

    campaign_id: Annotated[str, described("Its id.")]
    state: Annotated[CampaignState, described("Where it stands.")]
    version: Annotated[int, described("Number of its newest version.")]
    name: Annotated[Any, described("Its name, as the document has it; null means none.")]
    goal: Annotated[Any, described("Its goal, as the document has it; null means none.")]
    audience: Annotated[Any, described("Its audience, as the document has it; null means none.")]
    method: Annotated[Any, described("Its method, as the document has it; null means none.")]
    starts_at: Annotated[Any, described("When it starts, as the document has it.")]
    ends_at: Annotated[Any, described("When it ends, as the document has it.")]
    promise_days: Annotated[
        float | None, described("Days within which an order ships; null means no promise.")
    ]
    expected_units: Annotated[float, described("Of all lines that name them.")]
    items: Annotated[int, described("How many lines it has.")]
    ad_budget: Annotated[AdBudget, described("Its ad budget.")]
    is_overridden: Annotated[
        bool, described("Whether it was approved although the check did not pass.")
    ]
    check: Annotated[
        dict[str, Any] | None,
        described("The newest check: verdict, what binds, largest target, actions; null if none."),
    ]
    check_is_of_this_version: Annotated[
        bool, described("Whether nothing changed since that check.")
    ]
    versions: Annotated[list[CampaignStep], described("Its versions, the oldest first.")]


def record_of(kept: Sequence[CampaignVersion]) -> CampaignRow:
    """Return a campaign from its versions."""
    now, document = kept[-1], document_of(kept)
    lines = document.get("lines", [])
    check = next((one.check for one in reversed(kept) if one.check is not None), None)
    return CampaignRow(
        campaign_id=now.campaign_id,
        state=now.state,
        version=now.version,
        **{name: document.get(name) for name in ("name", "goal", "audience", "method")},
        **{name: document.get(name) for name in ("starts_at", "ends_at", "promise_days")},
        expected_units=sum(line.get("expected_units") or 0 for line in lines),
        items=len(lines),
        ad_budget=AdBudget(**ad_budget_of(document, now)),
        is_overridden=now.is_overridden,
        check=check,
        check_is_of_this_version=now.check is not None,
        versions=[_step(one) for one in kept],
    )


def _step(one: CampaignVersion) -> CampaignStep:
    return CampaignStep(
        version=one.version,
        state=one.state,
        who=one.who,
        why=one.why,
        at=one.at,
        has_changes=has_document(one),
        verdict=None if one.check is None else one.check.get("verdict"),
        is_overridden=one.is_overridden,
    )


def records_of(campaigns: Mapping[str, Sequence[CampaignVersion]]) -> list[CampaignRow]:
    """Return all campaigns, by id."""
    return [record_of(kept) for _, kept in sorted(campaigns.items())]
