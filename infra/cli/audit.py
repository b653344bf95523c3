"""`tidegate audit`: who paused, resumed, held and acknowledged what; is the log complete?"""

import asyncio

import msgspec

from infra.cli.pause import what_is_paused
from infra.cli.terminal.failures import ExitCode
from infra.cli.terminal.options import NOT_GIVEN, Connection, Json
from infra.cli.terminal.output import make_console, make_table, safe
from infra.control.entries import (
    Acknowledged,
    AnyEntry,
    AuditState,
    CampaignVersion,
    Closed,
    LogsAdopted,
    Opened,
    OrderAnswered,
    OrderLeft,
    OrderWaits,
    Paused,
    ResponsesSent,
    Resumed,
    WentLive,
    pause_of,
)
from infra.control.log import read_audit
from infra.wording.format import plain_time
from streams.incidents.subjects import subject_text


def audit(
    *, last: int | None = None, as_json: Json = False, connection: Connection = NOT_GIVEN
) -> ExitCode:
    """List the audit log of the hand-over, and check that no entry was altered or removed.

    Exit code 1: an entry was altered or is missing.

    Args:
        last: only so many of the newest entries are shown; all are checked.
        as_json: one JSON object with entries, pauses in force and faults.
    """
    state, entries = asyncio.run(read_audit(connection.settings()))
    shown = entries[-last:] if last else entries
    if as_json:
        answer = {"whole": not state.faults, "faults": state.faults, "entries": shown}
        pauses = list(state.pauses.values())
        print(msgspec.json.encode({**answer, "pauses": pauses}).decode())
    else:
        _show(state, entries, shown)
    return ExitCode.NO if state.faults else ExitCode.OK


def _show(state: AuditState, entries: list[AnyEntry], shown: list[AnyEntry]) -> None:
    console = make_console()
    columns = [(name, False) for name in ("at", "who", "what", "why", "entry")]
    rows = [
        (plain_time(one.at), safe(one.who), safe(what_happened(one)), safe(one.why), one.entry_id)
        for one in shown
    ]
    console.print(make_table(columns, rows))
    for pause in state.pauses.values():
        console.print(
            f"paused: {safe(what_is_paused(pause))}, by {safe(pause.who)}: {safe(pause.why)} "
            f"({pause.hold_id})",
            markup=False,
        )
    for fault in state.faults:
        console.print(f"NOT WHOLE: {safe(fault)}", style="bold red", markup=False)
    if not state.faults:
        console.print(f"{len(entries)} entries, none altered, none missing before another")


def what_happened(entry: AnyEntry) -> str:
    """Say what an entry is about."""
    match entry:
        case Paused():
            return f"paused {what_is_paused(pause_of(entry))}"
        case Resumed():
            return f"resumed {entry.hold_id}"
        case Closed():
            return f"holds partition {entry.partition}: {', '.join(entry.reasons)}"
        case Opened():
            return f"partition {entry.partition} goes on"
        case LogsAdopted():
            places = ", ".join(f"{name} from {at}" for name, at in entry.offsets.items())
            return f"let other logs be read: {places}"
        case OrderWaits():
            return f"{entry.po_id} waits: {entry.reason}"
        case Acknowledged():
            kind, about = entry.alert.replace("_", " "), subject_text(entry.subject)
            return f"acknowledged {kind} of {about} ({entry.incident_id})"
        case WentLive():
            return (
                f"went live: nothing is ordered for the time before {plain_time(entry.live_from)}"
            )
        case OrderAnswered():
            return f"{entry.verdict} {entry.po_id}: {entry.quantity} units{_due(entry)}"
        case ResponsesSent():
            return f"sent to order-responses: answers to orders, {len(entry.moments)} of them"
        case CampaignVersion():
            how = ", overridden" if entry.is_overridden else ""
            return f"campaign {entry.campaign_id}: version {entry.version}, {entry.state}{how}"
        case OrderLeft():
            return f"{entry.po_id} left: {entry.status or 'no approval needed any more'}"


def _due(entry: OrderAnswered) -> str:
    return "" if entry.expected_at is None else f", due {plain_time(entry.expected_at)}"
