"""`tidegate connect run` and `connect list`: a shop's messages, live."""

import asyncio
import json
import logging
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from infra.cli.terminal.failures import ExitCode
from infra.cli.terminal.options import NOT_GIVEN, Connection, Json
from infra.cli.terminal.output import note

if TYPE_CHECKING:
    from infra.receiver.config import Config
    from infra.receiver.topics import Standing
    from infra.settings import Settings

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def run(sources: Path, *, connection: Connection = NOT_GIVEN) -> int:
    """Take a shop's webhooks and read its topics, until SIGTERM or Ctrl-C.

    SOURCES is a TOML file; infra/connect/README.md has one for each kind of shop. Webhooks come to
    /in/KIND/NAME; each has to be signed, and is answered with 200 once Kafka has it. Events go
    to the input topics; a message that is refused goes to the topic connect-refused, with the
    reason. What is known of each order line lies in the topic connect-state, so that this process
    may be killed and started at any time: each event comes once.

    Args:
        sources: TOML file that says what the sources are.
    """
    from infra.receiver.config import load_config
    from infra.receiver.run import run as run_receiver

    config = load_config(sources)
    settings = connection.settings()
    logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT, stream=sys.stderr)

    def tell(address: str) -> None:
        note(f"listening on {address}, readiness at {address}/readyz")
        for source in config.webhooks:
            note(f"{source.name}: POST {address}/in/{source.kind}/{source.name}")
        for source in config.topics:
            note(f"{source.name}: topic {source.topic}")

    async def until_stopped() -> None:
        running = asyncio.create_task(run_receiver(config, settings, tell))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, running.cancel)
        await asyncio.gather(running, return_exceptions=True)
        if not running.cancelled() and (error := running.exception()) is not None:
            raise error

    asyncio.run(until_stopped())
    return ExitCode.OK


def list_(sources: Path, *, connection: Connection = NOT_GIVEN, as_json: Json = False) -> int:
    """Show how each source stands: messages, events, refusals, the newest message.

    Args:
        sources: TOML file that says what the sources are.
        as_json: one JSON array instead of text for people.
    """
    from infra.receiver.config import load_config

    config = load_config(sources)
    standings = asyncio.run(_standings(config, connection.settings()))
    if as_json:
        from msgspec import to_builtins

        rows = [{"name": name, **to_builtins(one)} for name, one in standings.items()]
        print(json.dumps(rows))
        return ExitCode.OK
    _print_table(standings)
    return ExitCode.OK


async def _standings(config: "Config", settings: "Settings") -> "dict[str, Standing]":
    """Read what the receiver said last of each source; one that never ran has nothing."""
    import msgspec

    from infra.kafka.topic_reader import TopicReadError, read_topics
    from infra.receiver.topics import STATE, Standing

    standings = {one.name: Standing(kind=one.kind) for one in config.source}
    try:
        async for record in read_topics(settings, [settings.topic_prefix + STATE]):
            kind, *rest = msgspec.json.decode(record.key or b"[null]")
            if kind == "standing" and rest[0] in standings and record.value is not None:
                standings[rest[0]] = msgspec.json.decode(record.value, type=Standing)
    except TopicReadError:
        note("nothing ran yet: start `tidegate connect run`")
    return standings


def _print_table(standings: "dict[str, Standing]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("source", "kind", "messages", "events", "refused", "newest", "last refusal"):
        table.add_column(column, justify="right" if column in _NUMBERS else "left")
    for name, one in standings.items():
        age_s = time.time() - one.last_ms / 1000
        newest = f"{age_s:.0f} s ago" if one.last_ms else "never"
        figures = [f"{number:,}" for number in (one.messages, one.events, one.refused)]
        table.add_row(name, one.kind, *figures, newest, one.last_refusal)
    Console().print(table)


_NUMBERS = ("messages", "events", "refused")
