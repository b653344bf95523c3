"""`tidegate pause` and `tidegate resume`: the kill switch of the hand-over."""

import asyncio
from collections.abc import Callable

import msgspec
from redis.exceptions import RedisError

from infra.cli.terminal.failures import CommandError
from infra.cli.terminal.options import NOT_GIVEN, Connection, Flag, Json, Person
from infra.cli.terminal.output import note
from infra.control.entries import (
    AnyEntry,
    AuditState,
    Entry,
    Paused,
    make_pause,
    make_resume,
    pause_of,
)
from infra.control.known_names import UnknownNameError, require_known
from infra.control.log import append_once, read_audit
from infra.redis.refusals import explain_refusal
from infra.settings import Settings
from streams.handover.rules import Pause

_ALL = "all"


def pause(
    *,
    person: Person,
    supplier: str | None = None,
    sku: str | None = None,
    warehouse: str | None = None,
    anyway: Flag = False,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Stop the hand-over of purchase orders at once: of all, of a supplier or of an item.

    Every worker holds its orders within about a second, also after restarts, until `tidegate
    resume`. Decisions continue; held orders count as supply and are published later, unchanged. One
    that waits beyond its date counts less and less: after a long pause reject it, or order twice.

    Args:
        supplier: only orders to this supplier.
        sku: only orders of this item.
        warehouse: with sku: only this warehouse's.
        anyway: also where no such supplier or item is known yet; without it that is refused.
        as_json: one JSON object instead of a line of text.
    """
    settings = connection.settings()
    entry = make_pause(person.who, person.why, supplier=supplier, sku=sku, warehouse=warehouse)
    if not anyway:
        _require_known(settings, entry)
    written = _append(settings, lambda _: entry)
    assert isinstance(written, Paused)
    made = pause_of(written)
    if as_json:
        print(msgspec.json.encode({"hold": made}).decode())
    else:
        print(f"paused {what_is_paused(made)}")
        print(f"to end it: tidegate resume {made.hold_id} --who NAME --why REASON")


def _require_known(settings: Settings, pause: Paused) -> None:
    """Refuse a pause that would stop nothing; while Redis is away, none is refused.

    Raises:
        CommandError: the shop has no such supplier or item.
    """
    try:
        require_known(settings, pause)
    except UnknownNameError as error:
        text = f"{error}; nothing was paused; --anyway pauses it all the same"
        raise CommandError(text) from None
    except (RedisError, OSError) as error:
        note(f"Redis: {explain_refusal(error)}; whether the name is known was not looked at")


def resume(
    hold_id: str,
    /,
    *,
    person: Person,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """End a pause: publish the purchase orders that it held.

    Args:
        hold_id: of the pause, as `tidegate audit` names it; `all` ends every pause.
        as_json: one JSON object, with the pauses that ended, instead of text.
    """
    settings = connection.settings()
    state, _ = asyncio.run(read_audit(settings))
    chosen = list(state.pauses) if hold_id == _ALL else [hold_id]
    for one in chosen:
        _append(settings, _resuming(person, one))
        if as_json:
            continue
        print(f"resumed {what_is_paused(state.pauses[one])} ({one})")
    if as_json:
        ended = [state.pauses[one] for one in chosen]
        print(msgspec.json.encode({"holds": ended}).decode())
    elif not chosen:
        print("nothing is paused")


def what_is_paused(pause: Pause) -> str:
    """Say what a pause stops.

    >>> what_is_paused(Pause(hold_id="", who="", why="", since="", sku="lamp"))
    'sku lamp'
    """
    return ", ".join(f"{name} {text}" for name, text in pause.names().items()) or "everything"


def _resuming(person: Person, hold_id: str) -> Callable[[AuditState], Entry]:
    return lambda state: make_resume(person.who, person.why, hold_id, state.pauses.values())


def _append(settings: Settings, make: Callable[[AuditState], Entry]) -> AnyEntry:
    return asyncio.run(append_once(settings, make))
