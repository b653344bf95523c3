"""The lines of an approved campaign as events of the topic `campaigns`, keyed by sku."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from infra.campaigns.document import Document, case_of, window_of
from infra.campaigns.versions import document_of
from infra.control.entries import TIDEGATE, AuditError, CampaignVersion
from policy.campaigns.case import DEFAULT_WAREHOUSE
from policy.campaigns.reading_case import read_case
from streams.contracts.events import CampaignCancelled, CampaignChanged, CampaignPlanned
from streams.timestamps import one_time

LineEvent = CampaignPlanned | CampaignChanged | CampaignCancelled
_OUT = ("approved", "live")


def line_events(versions: Sequence[CampaignVersion]) -> list[LineEvent]:
    """Return the events that the newest version makes.

    They are a pure function of the versions, ids included: sent twice they count once. A draft
    makes none. A closed campaign cancels its lines.

    Raises:
        AuditError: the campaign is to be live and does not say when.
    """
    now, before = versions[-1], published_before(versions)
    if now.state not in (*_OUT, "closed"):
        return []
    old = {} if before is None else lines_of(before)
    new = lines_of(document_of(versions)) if now.state in _OUT else {}
    events: list[LineEvent] = [
        _planned(now, key, fields, is_new=key not in old) for key, fields in new.items()
    ]
    gone = [key for key in old if key not in new]
    return events + [_cancelled(now, key) for key in gone]


def published_before(versions: Sequence[CampaignVersion]) -> Document | None:
    """Return the document whose lines are out before the newest version; None means none."""
    for place in range(len(versions) - 2, -1, -1):
        if versions[place].state in _OUT:
            return document_of(versions[: place + 1])
    return None


def lines_of(document: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the fields of the lines that go out, by sku and warehouse."""
    window = window_of(document)
    if None in window.values():
        missing = next(name for name, value in window.items() if value is None)
        raise AuditError(missing, "given before the campaign can be approved", None)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for line in document["lines"]:
        places = [one.get("warehouse") for one in line.get("stock", []) if isinstance(one, dict)]
        named = line.get("warehouse") or next((one for one in places if one), None)
        promise = line.get("promise_days", document.get("promise_days"))
        found[line["sku"], named or DEFAULT_WAREHOUSE] = {
            **window,
            "expected_units": round(_expected(line, document)),
            "discount": line.get("discount", document.get("discount")),
            "promise_days": promise,
        }
    return found


def _expected(line: Mapping[str, Any], document: Mapping[str, Any]) -> float:
    """Return the expected units of a line, as the check reads them."""
    if line.get("expected_units") is not None:
        return float(line["expected_units"])
    start_ms = one_time(window_of(document)["starts_at"] or "")
    case = read_case(case_of({**document, "lines": [line]}, start_ms)[0])
    return case.lines[0].expected_units


def _common(now: CampaignVersion, key: tuple[str, str]) -> dict[str, Any]:
    sku, warehouse = key
    named = "\0".join((now.campaign_id, str(now.version), sku, warehouse))
    return {
        "event_id": "cl-" + hashlib.blake2b(named.encode(), digest_size=16).hexdigest(),
        "occurred_at": now.at,
        "sku": sku,
        "warehouse": warehouse,
        "source": TIDEGATE,
        "campaign_id": now.campaign_id,
    }


def _planned(
    now: CampaignVersion, key: tuple[str, str], fields: Mapping[str, Any], *, is_new: bool
) -> LineEvent:
    kind = CampaignPlanned if is_new else CampaignChanged
    return kind(**_common(now, key), **fields)


def _cancelled(now: CampaignVersion, key: tuple[str, str]) -> LineEvent:
    return CampaignCancelled(**_common(now, key))
