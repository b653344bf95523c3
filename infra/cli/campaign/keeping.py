"""`tidegate campaign save | list | show | approve | start | close | send`: campaigns that are kept.

Each lives in the audit log, one entry for each version.
"""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from infra.campaigns import versions
from infra.campaigns.lines import line_events
from infra.campaigns.record import record_of
from infra.campaigns.sending import send_lines
from infra.campaigns.versions import document_of
from infra.cli.campaign.target import read_file
from infra.cli.terminal.failures import CommandError
from infra.cli.terminal.options import NOT_GIVEN, Connection, Flag, Json, Person
from infra.cli.terminal.output import heading, make_console, make_facts, make_table, safe
from infra.control.entries import AuditState, CampaignVersion
from infra.control.log import append_once, read_audit
from infra.wording.format import number, plain_time


def save(
    file: Path,
    /,
    *,
    person: Person,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Save a campaign from a file: a new draft, or the next version of one with the same id.

    A change takes an approval back; a campaign that is live stays live, and its lines change.

    Args:
        file: as for `tidegate campaign check`.
        as_json: one JSON object.
    """
    document = read_file(str(file))
    now_ms = int(time.time() * 1000)
    _write(
        connection,
        lambda state: versions.saved(state, document, person.who, person.why, now_ms),
        as_json=as_json,
    )


def approve(
    campaign: str,
    /,
    *,
    person: Person,
    override: Flag = False,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Approve a campaign and its ad budget: its lines go to the topic campaigns.

    It has to be checked and feasible: `tidegate campaign check ID --who NAME --why REASON`.

    Args:
        campaign: its id.
        override: approve it although the check did not pass; your name stands beside it.
        as_json: one JSON object.
    """
    _write(
        connection,
        lambda state: versions.approved(state, campaign, person.who, person.why, override=override),
        as_json=as_json,
    )


def start(
    campaign: str,
    /,
    *,
    person: Person,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Make an approved campaign live.

    Args:
        campaign: its id.
        as_json: one JSON object.
    """
    _write(
        connection,
        lambda state: versions.started(state, campaign, person.who, person.why),
        as_json=as_json,
    )


def close(
    campaign: str,
    /,
    *,
    person: Person,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Close a campaign, in whatever state it is; lines that are out are cancelled.

    Args:
        campaign: its id.
        as_json: one JSON object.
    """
    _write(
        connection,
        lambda state: versions.closed(state, campaign, person.who, person.why),
        as_json=as_json,
    )


def send(campaign: str, /, *, connection: Connection = NOT_GIVEN) -> None:
    """Send the lines of a campaign again, where a command that changed it was cut off.

    What is there already counts once.

    Args:
        campaign: its id.
    """
    settings = connection.settings()
    state, _ = asyncio.run(read_audit(settings))
    versions.newest(state, campaign)
    events = line_events(state.campaigns[campaign])
    asyncio.run(send_lines(settings, events))
    print(f"sent {len(events)} lines of {campaign}")


def record_check(
    connection: Connection, campaign: str, check: dict[str, Any], person: Person
) -> None:
    """Write the outcome of a check as the next version of a campaign."""
    _write(
        connection,
        lambda state: versions.checked(state, campaign, check, person.who, person.why),
        is_silent=True,
    )


def _write(
    connection: Connection,
    make: Callable[[AuditState], CampaignVersion],
    *,
    as_json: bool = False,
    is_silent: bool = False,
) -> None:
    """Append a version and send the lines that it makes.

    Raises:
        CommandError: somebody else made the same version at the same time.
    """
    settings = connection.settings()

    def with_lines(state: AuditState) -> CampaignVersion:
        entry = make(state)
        # What the lines cannot be made of is refused before anything is written.
        line_events((*state.campaigns.get(entry.campaign_id, ()), entry))
        return entry

    written = asyncio.run(append_once(settings, with_lines))
    assert isinstance(written, CampaignVersion)
    state, _ = asyncio.run(read_audit(settings))
    kept = state.campaigns[written.campaign_id]
    if all(one.entry_id != written.entry_id for one in kept):
        raise CommandError(
            f"campaign {written.campaign_id} changed at the same time: look at version "
            f"{kept[-1].version} and try again"
        )
    events = line_events(kept[: written.version])
    asyncio.run(send_lines(settings, events))
    if is_silent:
        return
    if as_json:
        print(json.dumps(_record(kept), ensure_ascii=False, indent=1))
        return
    lines = f", {len(events)} lines sent" if events else ""
    print(f"{written.campaign_id}: version {written.version}, {written.state}{lines}")


# --- looking ----------------------------------------------------------------------------------


def list_campaigns(*, as_json: Json = False, connection: Connection = NOT_GIVEN) -> None:
    """List the campaigns that are kept: state, version, window, target, verdict, ad budget.

    Args:
        as_json: one JSON object.
    """
    state, _ = asyncio.run(read_audit(connection.settings()))
    records = [_record(kept) for _, kept in sorted(state.campaigns.items())]
    if as_json:
        print(json.dumps({"campaigns": records}, ensure_ascii=False, indent=1))
        return
    if not records:
        print("no campaign is kept; `tidegate campaign save FILE` keeps one")
        return
    columns = ("campaign", "state", "version", "starts", "ends", "units", "verdict", "ad budget")
    numbers = ("version", "units", "ad budget")
    make_console().print(
        make_table([(name, name in numbers) for name in columns], [_row(one) for one in records])
    )


def show(campaign: str, /, *, as_json: Json = False, connection: Connection = NOT_GIVEN) -> None:
    """Show a campaign that is kept: what it says now, and its versions with who, when and why.

    Args:
        campaign: its id.
        as_json: one JSON object, with the document.
    """
    state, _ = asyncio.run(read_audit(connection.settings()))
    versions.newest(state, campaign)
    kept = state.campaigns[campaign]
    record = _record(kept)
    if as_json:
        print(json.dumps({**record, "document": document_of(kept)}, ensure_ascii=False, indent=1))
        return
    console = make_console()
    console.print(heading(f"{campaign}: {record['state']}"))
    names = ("goal", "audience", "method", "starts_at", "ends_at")
    facts = [(name.replace("_", " "), record[name]) for name in names if record[name] is not None]
    console.print(make_facts([*facts, ("ad budget", _budget(record["ad_budget"]))]))
    console.print(_history(record))


def _record(kept: Sequence[CampaignVersion]) -> dict[str, Any]:
    record: dict[str, Any] = msgspec.to_builtins(record_of(kept))
    return record


def _row(record: dict[str, Any]) -> tuple[str, ...]:
    verdict = "" if record["check"] is None else record["check"]["verdict"].replace("_", " ")
    if verdict and not record["check_is_of_this_version"]:
        verdict += " (before a change)"
    return (
        safe(record["campaign_id"]),
        record["state"],
        str(record["version"]),
        str(record["starts_at"] or "-"),
        str(record["ends_at"] or "-"),
        number(record["expected_units"]),
        verdict,
        _budget(record["ad_budget"]),
    )


def _budget(budget: dict[str, Any]) -> str:
    if not budget["total"]:
        return "none"
    word = "approved" if budget["is_approved"] else "not approved"
    return f"{budget['total']:,.2f} ({word})"


def _history(record: dict[str, Any]) -> Any:
    rows = [
        (one["version"], one["state"] + (" (overridden)" if one["is_overridden"] else ""),
         "yes" if one["has_changes"] else "", (one["verdict"] or "").replace("_", " "),
         plain_time(one["at"]), one["who"], one["why"])
        for one in record["versions"]
    ]  # fmt: skip
    columns = ("version", "state", "new values", "check", "at", "who", "why")
    return make_table([(name, name == "version") for name in columns], rows)
