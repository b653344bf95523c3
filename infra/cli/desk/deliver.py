"""`tidegate deliver`: purchase orders to webhooks, folders, mail and EDI files."""

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter
from prometheus_client import CollectorRegistry, start_http_server

from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.options import NOT_GIVEN, Connection, Flag, Json, Person
from infra.cli.terminal.output import make_console, make_facts, make_table, safe
from infra.control.entries import AuditError, require_text
from infra.deliver.courier import Courier
from infra.deliver.destinations import DestinationError, read_destinations
from infra.deliver.edi_answers import Partner, events_of
from infra.deliver.edifact import EdiError
from infra.deliver.intake import Intake, IntakeError
from infra.deliver.metrics import OutboxMetrics
from infra.deliver.outbox import OPEN, Delivery, Outbox, OutboxError, State
from infra.local.directory_lock import DirectoryLock
from infra.wording.format import plain_time
from streams.timestamps import rfc3339

OutboxFolder = Annotated[
    Path, Parameter(name="--outbox", help="folder of the outbox; keep it on a disk that lasts.")
]
_DEFAULT = Path("tidegate-outbox")
_MessageId = Annotated[str, Parameter(help="of a message, as PO_ID:VERSION, or of an order.")]

deliver = App(
    name="deliver",
    help="""Send purchase orders to webhooks, folders, mail boxes and as EDI files.

`deliver run` is a process of its own beside the workers; the other commands look at its outbox and
work while it runs. infra/deliver/README.md says how a destination is described.""",
)


@deliver.command
def run(
    destinations: Path,
    /,
    *,
    outbox: OutboxFolder = _DEFAULT,
    from_beginning: Flag = False,
    metrics_port: int | None = None,
    metrics_host: str = "127.0.0.1",
    connection: Connection = NOT_GIVEN,
) -> None:
    """Read the orders and send them, until it is stopped.

    The first start sends what comes from then on. What was being sent when the process was killed
    is of unknown end: webhooks and folders get it again under the same id, mail waits for
    `tidegate deliver retry` or `skip`.

    Args:
        destinations: TOML file that says where to.
        from_beginning: the first start also reads what the topics hold already.
        metrics_port: serve Prometheus's figures of the outbox there; not given: nowhere.
        metrics_host: address for them; whoever reaches it may read names of destinations.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with _input_errors():
        places = read_destinations(destinations)
    settings = connection.settings()
    lock = DirectoryLock(outbox)
    lock.take()
    box = Outbox(outbox)
    try:
        intake = Intake(settings, box, places, is_from_beginning=from_beginning)
        metrics = _served_metrics(box, places, metrics_host, metrics_port)
        asyncio.run(_run(intake, Courier(box, places), metrics))
    except IntakeError as error:
        raise CommandError(str(error), ExitCode.NO) from error
    finally:
        box.close()
        lock.release()


def _served_metrics(
    box: Outbox, places: Iterable[str], host: str, port: int | None
) -> OutboxMetrics | None:
    """Serve the figures of the outbox; None where no port is given."""
    if port is None:
        return None
    registry = CollectorRegistry()
    metrics = OutboxMetrics(box, places, registry)
    start_http_server(port, addr=host, registry=registry)
    return metrics


async def _run(intake: Intake, courier: Courier, metrics: OutboxMetrics | None) -> None:
    """Read and send until a signal comes: then what is under way is sent, and no more."""
    stopping = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stopping.set)
    reading = asyncio.create_task(intake.run())
    sending = asyncio.create_task(courier.run())
    waiting = asyncio.create_task(stopping.wait())
    others = [waiting] if metrics is None else [waiting, asyncio.create_task(metrics.run())]
    await asyncio.wait((reading, sending, *others), return_when=asyncio.FIRST_COMPLETED)
    courier.stop()
    for task in (reading, *others):
        task.cancel()
    results = await asyncio.gather(reading, sending, *others, return_exceptions=True)
    for found in results:
        if isinstance(found, Exception):
            raise found
    logging.getLogger("tidegate.deliver").info("stopped")


@deliver.command(name="list")
def list_deliveries(
    *,
    outbox: OutboxFolder = _DEFAULT,
    destination: str | None = None,
    all_: Annotated[bool, Parameter(name="--all", negative="", show_default=False)] = False,
    as_json: Json = False,
) -> ExitCode:
    """List what is not delivered: waiting, sending, refused or of unknown end.

    Exit code 1: a destination is dead, or a message was refused or is of unknown end.

    Args:
        destination: only this one.
        all_: also what was delivered or skipped.
        as_json: one JSON object.
    """
    box = _open(outbox)
    states = [] if all_ else [str(one) for one in (*OPEN, State.REFUSED)]
    rows = box.listed(destination, states)
    counts, stopped = box.counts(), box.stopped()
    if as_json:
        dead = [msgspec.to_builtins(one) for one in stopped]
        plain = [_plain(one) for one in rows]
        print(_json({"messages": plain, "counts": _counted(counts), "dead_destinations": dead}))
    else:
        _show(rows)
        for (name, state), count in sorted(counts.items()):
            print(f"{name}: {count:,} {state}")
        for one in stopped:
            print(f"DEAD since {_when(one.stopped_s)}: {one.name}: {safe(one.stopped)}")
    bad = any(state in (State.REFUSED, State.UNKNOWN) for _, state in counts)
    return ExitCode.NO if stopped or bad else ExitCode.OK


@deliver.command
def show(
    message_id: _MessageId,
    /,
    *,
    outbox: OutboxFolder = _DEFAULT,
    destination: str | None = None,
    as_json: Json = False,
) -> None:
    """Show one message, and each try of it.

    Args:
        destination: only this one.
        as_json: one JSON array, one object for each destination.
    """
    box = _open(outbox)
    with _input_errors():
        found = box.find(message_id, destination)
    if as_json:
        print(_json([{**_plain(one), "events": box.events(one)} for one in found]))
        return
    console = make_console()
    for one in found:
        console.print(make_facts([(name, safe(str(value))) for name, value in _plain(one).items()]))
        rows = [
            (
                _when(float(str(it["at_s"]))),
                str(it["what"]),
                safe(str(it["said"])),
                safe(str(it["who"])),
            )
            for it in box.events(one)
        ]
        columns = [(name, False) for name in ("at", "what", "said", "who")]
        console.print(make_table(columns, rows))


@deliver.command
def retry(
    message_id: _MessageId,
    /,
    *,
    person: Person,
    outbox: OutboxFolder = _DEFAULT,
    destination: str | None = None,
) -> None:
    """Send a message again that was refused, skipped, given up or is of unknown end.

    A dead destination is sent to again, too. A mail that may have come before says so.

    Args:
        destination: only to this one.
    """
    _speak(_open(outbox), message_id, destination, person, "retry")


@deliver.command
def skip(
    message_id: _MessageId,
    /,
    *,
    person: Person,
    outbox: OutboxFolder = _DEFAULT,
    destination: str | None = None,
) -> None:
    """Never send a message: later versions of its order go on.

    Args:
        destination: only to this one.
    """
    _speak(_open(outbox), message_id, destination, person, "skip")


@deliver.command
def edi(
    file: Path,
    /,
    *,
    supplier: str,
    item: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    outbox: Annotated[Path | None, Parameter(name="--outbox")] = None,
) -> None:
    """Show the events of a supplier's EDI answer: ORDRSP, DESADV, 855 or 856.

    Events are JSON Lines, as `tidegate replay` takes them. A file whose counts or references are
    wrong is refused whole.

    Args:
        file: the interchange.
        supplier: that it is from.
        item: GTIN=SKU, where lines name items by GTIN alone.
        outbox: folder of the outbox that sent the order, where it was a document of several.
    """
    with _input_errors():
        skus = dict(_pair(one) for one in item)
        orders = {} if outbox is None else _open(outbox).document_lines()
        events = events_of(file.read_bytes(), Partner(supplier, skus, orders))
    for one in events:
        sys.stdout.write(_json(one) + "\n")


def _pair(text: str) -> tuple[str, str]:
    gtin, equals, sku = text.partition("=")
    if not (gtin and equals and sku):
        raise CommandError(f"--item must be GTIN=SKU, got {text!r}", ExitCode.USAGE)
    return gtin, sku


def _speak(
    box: Outbox, message_id: str, destination: str | None, person: Person, verb: str
) -> None:
    with _input_errors():
        require_text("who", person.who)
        require_text("why", person.why)
        found = box.find(message_id, destination)
        able = [one for one in found if one.state not in (State.DELIVERED, State.SENDING)]
        for one in able or found:
            act = box.retry if verb == "retry" else box.skip
            act(one, person.who, person.why, time.time())
            done = "is sent again" if verb == "retry" else "is never sent"
            print(f"{one.message.message_id} {done} to {one.destination}")


class _input_errors:  # reads as the function that it is
    """Say what is wrong in one line, with the exit code of wrong input."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        known = (DestinationError, OutboxError, EdiError, AuditError)
        if isinstance(error, known):
            raise CommandError(str(error), ExitCode.USAGE) from error
        if isinstance(error, OSError):
            text = f"{error.filename or 'file'} must be readable: {error.strerror}"
            raise CommandError(text, ExitCode.USAGE) from error


def _open(folder: Path) -> Outbox:
    if not folder.is_dir():
        rule = "the folder of an outbox, as `tidegate deliver run` made it"
        raise CommandError(f"--outbox must be {rule}, got {str(folder)!r}", ExitCode.USAGE)
    return Outbox(folder)


def _plain(one: Delivery) -> dict[str, Any]:
    message = one.message
    return {
        "message_id": message.message_id,
        "destination": one.destination,
        "state": str(one.state),
        "kind": message.kind,
        "supplier": message.supplier,
        "sku": message.sku,
        "quantity": message.quantity,
        "amount": message.amount,
        "currency": message.currency,
        "tries": one.tries,
        "next_try_at": _when(one.next_s) if one.state in OPEN else None,
        "since": _when(one.changed_s),
        "said": one.said,
    }


def _counted(counts: dict[tuple[str, str], int]) -> list[dict[str, Any]]:
    return [
        {"destination": name, "state": state, "messages": count}
        for (name, state), count in sorted(counts.items())
    ]


def _show(rows: Sequence[Delivery]) -> None:
    if not rows:
        print("nothing waits, is refused or of unknown end")
        return
    names = ("message", "destination", "state", "supplier", "units", "tries", "next try", "said")
    cells = [
        (
            one.message.message_id,
            one.destination,
            str(one.state),
            safe(one.message.supplier),
            f"{one.message.quantity:,}",
            str(one.tries),
            plain_time(_when(one.next_s)) if one.state in OPEN else "",
            safe(one.said),
        )
        for one in rows
    ]
    table = make_table([(name, name in ("units", "tries")) for name in names], cells)
    make_console().print(table)


def _when(seconds: float) -> str:
    return rfc3339(int(seconds * 1000))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
