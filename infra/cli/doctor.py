"""`tidegate doctor`: is everything there, does it fit together, does it move; and what to do."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.cli.health.check import Check, Server, Status, run_within, within
from infra.cli.health.kafka import examine_kafka, kafka_server
from infra.cli.health.redis import RedisExamination, redis_server
from infra.cli.health.redis import connect as connect_redis
from infra.cli.health.shards import check_groups, check_handover, check_shards
from infra.cli.health.topic_sample import judge, read_sample
from infra.cli.health.workers import ask_ready
from infra.cli.terminal.failures import ExitCode
from infra.cli.terminal.options import NOT_GIVEN, Connection, Json
from infra.cli.terminal.output import make_console, safe
from infra.control.holds import waiting_orders
from infra.control.log import read_audit
from infra.kafka.options import client_options
from infra.redis.options import connection_options, keys_of
from infra.redis.reader import Reader
from infra.settings import STATE_FILE, Settings, SettingsError, without_password
from streams.contracts.topics import audit_topic

_STYLES = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red", Status.SKIP: "dim"}
_NAME_COLUMNS = 13


def doctor(
    *, topic: str | None = None, as_json: Json = False, connection: Connection = NOT_GIVEN
) -> ExitCode:
    """Check settings, broker, topics, Redis and workers; say what is wrong and what to do.

    Each check has three seconds and is shown when it ends. What depends on a server that did not
    answer is not looked at. Exit code 1: something fails. Warnings alone are no failure.

    Args:
        topic: look at the newest 1,000 records of this topic alone, Tidegate's or your own: form,
            contract, keys, partitioner, times, clocks, repeats.
        as_json: one JSON object with all checks.
    """
    console = make_console()
    checks = []
    examined = Examination(connection).checks() if topic is None else _examine(topic, connection)
    for check in examined:
        checks.append(check)
        if not as_json:
            _show(console, check)
    failed = any(check.status == Status.FAIL for check in checks)
    if as_json:
        records = [check.record() for check in checks]
        print(json.dumps({"healthy": not failed, "checks": records}))
    else:
        _show_end(console, checks)
    return ExitCode.NO if failed else ExitCode.OK


def _examine(topic: str, connection: Connection) -> Iterator[Check]:
    """Yield what is to be said of one topic.

    Raises:
        TopicReadError: it is not there.
    """
    settings = connection.settings()
    records, total, partitions = asyncio.run(read_sample(settings, topic))
    yield from judge(records, topic, total, partitions, settings)


def _show(console: Console, check: Check) -> None:
    line = Table.grid(padding=(0, 2, 0, 0))
    line.add_column(width=4)
    line.add_column(width=_NAME_COLUMNS)
    line.add_column(overflow="fold")
    said = f"{check.finding} — {check.advice}" if check.advice else check.finding
    status = Text(str(check.status), style=_STYLES[check.status])
    line.add_row(status, Text(safe(check.name)), Text(safe(said)))
    console.print(line)
    console.file.flush()  # also into a pipe: the next check may take a while


def _show_end(console: Console, checks: Sequence[Check]) -> None:
    found = {check.status for check in checks}
    worst = next((one for one in (Status.FAIL, Status.WARN) if one in found), Status.OK)
    words = {
        Status.OK: "all is well",
        Status.WARN: "it works; look at the warnings",
        Status.FAIL: "something is wrong: see what each failing line advises",
    }
    skipped = ", ".join(check.name for check in checks if check.status == Status.SKIP)
    console.print(words[worst], style=_STYLES[worst])
    if skipped:
        console.print(f"not looked at: {skipped}", style=_STYLES[Status.SKIP])


class Examination:
    """All checks in their order; what one needs of another is kept here.

    Args:
        connection: what the command was given.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def checks(self) -> Iterator[Check]:
        """Yield each check as it ends."""
        try:
            settings = self._connection.settings()
            client_options(settings)
            connection_options(settings)
        except SettingsError as error:
            yield Check("settings", Status.FAIL, str(error), "correct it; nothing else is checked")
            return
        addresses = (
            f"Kafka {settings.kafka_bootstrap}, Redis {without_password(settings.redis_url)}"
        )
        yield Check("settings", Status.OK, addresses)
        yield from self._servers(settings)
        yield from self._worker(settings)

    def _servers(self, settings: Settings) -> Iterator[Check]:
        kafka, server = kafka_server(), redis_server(settings)
        counts, logs, checks = examine_kafka(kafka, settings)
        yield from checks
        redis = connect_redis(settings)
        try:
            examination = RedisExamination(server, redis, settings)
            yield from examination.server()
            yield from examination.writing()
            yield from examination.memory()
            shards, checks = examination.state()
            yield from checks
            if shards is not None and logs is not None:
                yield from check_shards(shards, logs.ends, settings, logs.identities)
            elif shards is not None:
                yield kafka.skipped("shards")
            if shards is not None:
                yield from check_groups(shards)
                yield from examination.uncounted(shards, int(time.time() * 1000))
            if counts is None:
                yield kafka.skipped("hand-over")
            elif counts.get(audit_topic(settings.topic_prefix)):
                reader = None if shards is None else Reader(redis, keys_of(settings))
                yield from _handover(kafka, server, reader, settings)
        finally:
            redis.close()

    def _worker(self, settings: Settings) -> Iterator[Check]:
        """Ask the worker that the state file names, if there is one."""
        if self._connection.state is None:
            return
        try:
            text = (self._connection.state / STATE_FILE).read_text()
            url = json.loads(text).get("admin_url")
        except (OSError, ValueError):
            return
        if url:
            yield ask_ready(str(url), settings)
        else:
            text = f"{STATE_FILE} names no admin port"
            yield Check("worker", Status.WARN, text, "wait, ask again")


def _handover(
    kafka: Server, server: Server, reader: Reader | None, settings: Settings
) -> Iterator[Check]:
    answer, failed = kafka.ask("hand-over", lambda: run_within(lambda: read_audit(settings)))
    yield from failed
    if answer is None:
        return
    audit = answer[0]
    held = None
    if reader is not None:
        controls, closed = audit.controls(), audit.closed
        orders, failed = server.ask(
            "held orders",
            lambda: within(
                lambda: list(waiting_orders(reader, settings, controls, closed, time.time()))
            ),
        )
        held = None if orders is None else Counter(one.reason for one in orders if one.reason)
    elif server.away is not None:
        failed = [server.skipped("held orders")]
    yield from check_handover(audit, held)
    yield from failed
