"""Assembles the command line. Nothing here loads what only one command needs."""

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches

from cyclopts import App, CycloptsError, Group

from infra.cli.terminal.failures import ExitCode, outcome_of
from infra.cli.terminal.output import complain, prepare_streams

_EPILOGUE = """\
Exit codes: 0 success; 1 the answer is no (not found, not equal, unhealthy); 2 a wrong command or
setting; 3 a server cannot be reached; 130 interrupted.

Settings come from flags, then the environment (`TIDEGATE_KAFKA_BOOTSTRAP`, ...), then a TOML file
(`--config` or `TIDEGATE_CONFIG`); `tidegate settings` shows the ones in force. Beside a running
`tidegate up --state DIR`, every command finds it with `--state DIR`. `TIDEGATE_DEBUG=1` shows where
an error comes from.
"""

_RUN = Group("Run", sort_key=1)
_FEED = Group("Feed", sort_key=2)
_LOOK = Group("Look", sort_key=3)
_TRY = Group("Try policies", sort_key=4)
_TEND = Group("Tend", sort_key=5)

# Where it is, the group in which help shows it, and one line of help: known without loading it.
_COMMANDS = (
    ("shop.try_:try_", _RUN, "Play your shop's own orders in shadow: what would be ordered."),
    ("worker:demo", _RUN, "Play a synthetic live sale on servers of its own and sum it up."),
    ("worker:up", _RUN, "Run broker, Redis and a worker in the foreground, to try things on."),
    ("worker:worker", _RUN, "Run a worker on your own Kafka and Redis."),
    ("replay:replay", _FEED, "Send the events of a file to Kafka, at any speed."),
    ("shop.imports:import_", _FEED, "Send a shop's file: orders, items, counts, terms, campaigns."),
    ("shop.connect:connect", _FEED, "Take a shop's messages live; show what they become."),
    ("shop.template:template", _FEED, "Write a file to fill in and import, as CSV or Excel."),
    ("generate:generate", _FEED, "Write a synthetic live sale, and its truth beside it."),
    ("item:item", _LOOK, "Show one item: stock, supply, demand, incidents, latest decision."),
    ("explain:explain", _LOOK, "Say why a purchase order was proposed, and compute it again."),
    ("export:export", _LOOK, "Write days, items, decisions, orders or alerts as CSV or JSON."),
    ("classic:classic", _TRY, "Order quantities, safety stocks and classes by classic formulas."),
    ("classic:joint", _TRY, "Several items of one supplier: joint orders, containers, budgets."),
    ("solve:solve", _TRY, "Solve dual-sourcing instances of a JSON file, with bounds."),
    ("simulate:simulate", _TRY, "Simulate the published tables, or policies on your demand."),
    ("doctor:doctor", _TEND, "Check broker, topics, Redis and workers; say what to do."),
    ("health.groups:groups", _TEND, "Show how far groups are judged; go on without a partition."),
    ("dlt:dlt", _TEND, "List, show and send back dead letters: records that could not be read."),
    ("campaign.commands:campaign", _TEND, "Check campaigns before they start; silence alerts."),
    ("desk.orders:orders", _TEND, "Open purchase orders: approve, reject, edit, cancel, export."),
    ("desk.deliver:deliver", _TEND, "Send orders to webhooks, folders, mail and EDI files."),
    ("pause:pause", _TEND, "Stop the hand-over of purchase orders at once."),
    ("pause:resume", _TEND, "End a pause: publish the purchase orders that it held."),
    ("audit:audit", _TEND, "List who paused, resumed and held what, and check the audit log."),
    ("state:state", _TEND, "Write a shop's whole state to files, and put it back from them."),
    ("settings:settings", _TEND, "Show the settings in force."),
)


def make_app(chosen: str = "") -> App:
    """Return the command line, with every command registered and none loaded.

    Args:
        chosen: the command that will be used: its own page of help is longer than its one line.
    """
    app = App(
        name="tidegate",
        help="Live replenishment for an online sale: events in, purchase orders and alerts out.",
        # A page of one command ends with its own flags: the notes stand on the first page alone.
        help_epilogue=_EPILOGUE if chosen[:1] in ("", "-") else "",
        version=_version,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    flags = Group("Flags", sort_key=9)
    app["--help"].group = app["--version"].group = flags
    app.register_install_completion_command(
        group=flags, help="Complete commands and flags in your shell (bash, zsh or fish)."
    )
    for place, group, text in _COMMANDS:
        name = _name_of(place)
        help_text = None if name == chosen else text
        app.command(f"infra.cli.{place}", name=name, group=group, help=help_text)
    return app


def _name_of(place: str) -> str:
    """Return the name of a command; a word that Python keeps for itself ends in _ there.

    >>> _name_of("shop.imports:import_")
    'import'
    """
    return place.partition(":")[2].removesuffix("_")


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    A command returns None or 0 where all is well, or another exit code. What it raises becomes one
    line on standard error.
    """
    prepare_streams()
    chosen = arguments[0] if arguments else ""
    names = [_name_of(place) for place, _, _ in _COMMANDS]
    if chosen not in names and chosen[:1] not in ("", "-"):
        complain(_unknown(chosen, names))
        return ExitCode.USAGE
    try:
        result = make_app(chosen)(arguments, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        command = " ".join(("tidegate", *(error.command_chain or ())))
        complain(f"{str(error).rstrip(',. ')}; try `{command} --help`")
        return ExitCode.USAGE
    except BrokenPipeError:
        # The reader has seen enough (`| head`); nothing more can be flushed to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("TIDEGATE_DEBUG") == "1":
            raise
        code, text = outcome_of(error)
        complain(text)
        return code
    return int(result or ExitCode.OK)


def _unknown(command: str, names: Sequence[str]) -> str:
    near = get_close_matches(command, names, n=1)
    guess = f"did you mean `tidegate {near[0]}`?" if near else "`tidegate --help` lists them"
    return f"there is no command {command!r}; {guess}"


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tidegate")
    except PackageNotFoundError:
        return "not installed: run from its source"
