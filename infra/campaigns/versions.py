"""The states of a campaign and its versions: what may follow what, and who said so.

A campaign lives in the audit log, one entry for each version: draft, checked, approved, live,
closed. The ad budget counts as approved from `approved` on, and that needs a check that passed, or
a person who overrides it by name.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from infra.campaigns.document import Document, canonical, case_of
from infra.control.entries import (
    AuditError,
    AuditState,
    CampaignState,
    CampaignVersion,
    UnknownError,
    require_text,
)
from policy.campaigns.reading_case import read_case

LARGEST_DOCUMENT_BYTES = 16_000_000  # as JSON
LARGEST_PACKED_BYTES = 600_000  # a broker takes records of a megabyte
_PLAIN_BYTES = 100_000  # what is larger is packed
_MOST_ACTIONS = 50
_LONGEST_ID = 128
PASSED = ("go", "go_with_actions")
_KEPT_OF_CHECK = (
    *("verdict", "binding_constraint", "binding_where", "largest_feasible_units"),
    *("largest_by_stock_units", "ship_days_needed", "promise_days", "late_notice", "checked_at"),
    *("actions", "actions_cost"),
)


def newest(state: AuditState, campaign_id: str) -> CampaignVersion:
    """Return a campaign as it stands.

    Raises:
        UnknownError: there is none of that name.
    """
    found = state.campaigns.get(campaign_id)
    if not found:
        known = ", ".join(sorted(state.campaigns)) or "there are none"
        raise UnknownError("campaign", f"one that was saved ({known})", campaign_id)
    return found[-1]


def document_of(versions: Sequence[CampaignVersion]) -> Document:
    """Return the document that counts: that of the newest version that has one."""
    return next((_document(one) for one in reversed(versions) if has_document(one)), {})


def has_document(one: CampaignVersion) -> bool:
    """Whether a version brought a document of its own."""
    return one.document is not None or one.packed is not None


def _document(one: CampaignVersion) -> Document:
    return one.document if one.document is not None else _unpacked(one.packed or "")


@lru_cache(maxsize=64)
def _unpacked(packed: str) -> Document:
    """Return a document that was packed; one that was tampered with is no larger than allowed."""
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(base64.b64decode(packed), LARGEST_DOCUMENT_BYTES)
    document: Document = json.loads(text)
    return document


def _packed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the field of a version that holds a document.

    Raises:
        AuditError: it is too large.
    """
    text = canonical(document).encode()
    if len(text) > LARGEST_DOCUMENT_BYTES:
        rule = f"of at most {LARGEST_DOCUMENT_BYTES} bytes as JSON"
        raise AuditError("document", rule, len(text))
    if len(text) <= _PLAIN_BYTES:
        return {"document": dict(document)}
    packed = base64.b64encode(zlib.compress(text, 9)).decode()
    if len(packed) > LARGEST_PACKED_BYTES:
        raise AuditError("document", f"of at most {LARGEST_PACKED_BYTES} bytes packed", len(packed))
    return {"packed": packed}


def saved(
    state: AuditState, document: Mapping[str, Any], who: str, why: str, now_ms: int
) -> CampaignVersion:
    """Return the version that a document makes: a draft, or a live campaign with other values.

    Raises:
        AuditError: a text is missing, the campaign is closed, or nothing changed.
        PolicyInputError: the document is no campaign.
    """
    campaign_id = document.get("campaign_id")
    require_text("campaign_id", campaign_id)
    assert isinstance(campaign_id, str)
    if len(campaign_id) > _LONGEST_ID:
        raise AuditError("campaign_id", f"of at most {_LONGEST_ID} characters", campaign_id)
    case, _ = case_of(document, now_ms)
    read_case(case)
    fields = _packed(document)
    before = state.campaigns.get(campaign_id, ())
    if before and before[-1].state == "closed":
        raise AuditError("campaign", "not closed", campaign_id)
    if before and canonical(document_of(before)) == canonical(document):
        raise AuditError("document", f"another one than that of version {before[-1].version}", "it")
    is_live = bool(before) and before[-1].state == "live"
    after: CampaignState = "live" if is_live else "draft"
    return _version(state, campaign_id, who, why, after, **fields)


def checked(
    state: AuditState, campaign_id: str, check: Mapping[str, Any], who: str, why: str
) -> CampaignVersion:
    """Return the version that a check makes: checked if it passed, else the state as it was.

    Raises:
        AuditError: a text is missing, or the campaign is closed.
    """
    now = newest(state, campaign_id)
    if now.state == "closed":
        raise AuditError("campaign", "not closed", campaign_id)
    kept = {name: check[name] for name in _KEPT_OF_CHECK if name in check}
    if len(kept.get("actions", [])) > _MOST_ACTIONS:
        kept |= {"actions": kept["actions"][:_MOST_ACTIONS], "actions_total": len(kept["actions"])}
    after: CampaignState = now.state
    if now.state in ("draft", "checked"):
        after = "checked" if check["verdict"] in PASSED else "draft"
    return _version(state, campaign_id, who, why, after, check=kept)


def approved(
    state: AuditState, campaign_id: str, who: str, why: str, *, override: bool = False
) -> CampaignVersion:
    """Return the version that approves a campaign and its ad budget.

    Raises:
        AuditError: it was not checked, the check did not pass, or it is approved already.
    """
    now = newest(state, campaign_id)
    if now.state in ("approved", "live", "closed"):
        raise AuditError("campaign", "a draft or checked", f"{campaign_id} ({now.state})")
    if now.state == "draft" and not override:
        verdict = "not checked" if now.check is None else now.check["verdict"]
        rule = "checked and feasible (tidegate campaign check), or overridden with --override"
        raise AuditError("campaign", rule, f"{campaign_id} ({verdict})")
    return _version(state, campaign_id, who, why, "approved", check=now.check,
                    is_overridden=now.state == "draft")  # fmt: skip


def started(state: AuditState, campaign_id: str, who: str, why: str) -> CampaignVersion:
    """Return the version that makes an approved campaign live.

    Raises:
        AuditError: it is not approved.
    """
    now = newest(state, campaign_id)
    if now.state != "approved":
        raise AuditError("campaign", "approved", f"{campaign_id} ({now.state})")
    return _version(state, campaign_id, who, why, "live", check=now.check,
                    is_overridden=now.is_overridden)  # fmt: skip


def closed(state: AuditState, campaign_id: str, who: str, why: str) -> CampaignVersion:
    """Return the version that ends a campaign, whatever its state.

    Raises:
        AuditError: it is closed already.
    """
    now = newest(state, campaign_id)
    if now.state == "closed":
        raise AuditError("campaign", "not closed", campaign_id)
    return _version(state, campaign_id, who, why, "closed", check=now.check)


def _version(
    state: AuditState,
    campaign_id: str,
    who: str,
    why: str,
    after: CampaignState,
    **fields: Any,
) -> CampaignVersion:
    for name, text in (("who", who), ("why", why)):
        require_text(name, text)
    number = len(state.campaigns.get(campaign_id, ())) + 1
    return CampaignVersion(
        who=who, why=why, campaign_id=campaign_id, version=number, state=after, **fields
    )


def ad_budget_of(document: Mapping[str, Any], now: CampaignVersion) -> dict[str, Any]:
    """Return the ad budget by sku; what is approved of it is nothing before the approval."""
    by_sku: dict[str, float] = {}
    for line in document.get("lines", []):
        if line.get("ad_budget") is not None:
            by_sku[line["sku"]] = by_sku.get(line["sku"], 0.0) + line["ad_budget"]
    whole = document.get("ad_budget")
    total = sum(by_sku.values()) if whole is None else whole
    is_approved = now.state in ("approved", "live")
    return {
        "total": total,
        "by_sku": by_sku,
        "approved": total if is_approved else 0,
        "is_approved": is_approved,
    }
