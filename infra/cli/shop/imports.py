"""`tidegate import`: files of a shop go to Kafka as events, or are only checked."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from infra.cli.shop.file_flags import (
    NO_ASSUMPTIONS,
    NO_FLAGS,
    AssumeFlags,
    FileFlags,
    Mapping,
    answers_of,
    wishes_of,
)
from infra.cli.shop.file_report import report_summary, show_report
from infra.cli.terminal.failures import ExitCode
from infra.cli.terminal.options import NOT_GIVEN, Connection, Flag, Json
from infra.cli.terminal.output import note
from infra.cli.terminal.progress import progress
from infra.wording.format import number
from streams.timestamps import rfc3339

if TYPE_CHECKING:
    from infra.connect.guessing.answers import Answers
    from infra.connect.intake import Intake
    from infra.connect.reading import Report
    from infra.replay.faults import Record
    from infra.settings import Settings

_SHOWN_EVENTS = 1_000
_TELL_RECORDS = 2_000

Preset = Literal[
    "orders",
    "catalog",
    "suppliers",
    "counts",
    "campaigns",
    "shopify-orders",
    "woocommerce-orders",
]


def import_(
    file: Path,
    /,
    *,
    preset: Preset | None = None,
    mapping: Mapping = None,
    dry_run: Flag = False,
    refused: Path | None = None,
    save_mapping: Path | None = None,
    yes: Annotated[bool, Parameter(negative="", alias="-y", show_default=False)] = False,
    at: str | None = None,
    as_json: Json = False,
    flags: FileFlags = NO_FLAGS,
    assume: AssumeFlags = NO_ASSUMPTIONS,
    connection: Connection = NOT_GIVEN,
) -> int:
    """Send a shop's file to Kafka: orders, items, counts, suppliers' terms or campaigns.

    CSV, Excel, JSON, JSON Lines or Parquet, plain or compressed. What the file does not say beyond
    doubt is asked; without a terminal it has to be said by a flag, or taken with --yes. Good rows
    are sent, bad ones are listed by kind, and the exit code is 1 then. A second import of the same
    file changes nothing.

    Past orders come first: what is a day older than the newest event of the shop is too late.

    Args:
        file: what to import.
        preset: what it is; by default that is found out by its columns. `tidegate template` writes
            files to fill in.
        mapping: TOML file that says what the columns are; see infra/connect/README.md.
        dry_run: check and count only; with --json the first 1,000 events are shown.
        refused: CSV that takes each refused row: row, column, rule, value, and a copy of the row,
            repaired where that is safe.
        save_mapping: write the mapping that was found out, to use it again.
        yes: take all proposals without asking.
        at: time of rows that name none, as RFC 3339; by default now.
        as_json: sum up as one JSON object.
    """
    from infra.connect.intake import open_intake

    answers = answers_of(flags, yes=yes)
    wishes = wishes_of(flags, assume, preset=preset, mapping=mapping)
    intake = open_intake(file, answers, wishes)
    if save_mapping is not None:
        save(intake, save_mapping)
    run = _Import(intake, answers, checked_time(at))
    with ExitStack() as files:
        run.report = new_report(intake, refused, files)
        if dry_run:
            run.check(keep=_SHOWN_EVENTS if as_json else 0)
        else:
            asyncio.run(run.send(connection.settings()))
    if as_json:
        print(json.dumps(run.summary(), ensure_ascii=False))
    else:
        show_report(intake, run.report, answers, verb="checked" if dry_run else "sent")
        if refused is not None and run.report.faults.count:
            note(f"wrote {number(run.report.faults.count)} refused rows to {refused}")
    return ExitCode.NO if run.report.faults.count or not run.report.taken else ExitCode.OK


def checked_time(at: str | None) -> str:
    """Return a time that somebody said, or now.

    Raises:
        SchemaError: it is none.
    """
    from infra.replay.faults import occurred_ms

    if at is None:
        return rfc3339(int(time.time() * 1000))
    occurred_ms(at)
    return at


def save(intake: "Intake", path: Path) -> None:
    """Write the mapping of a file."""
    from infra.connect.mapping_text import mapping_text

    if not intake.mapping.document:
        note(f"{intake.source.name} needs no mapping: it holds {intake.shape}")
        return
    comment = f"{intake.source.name}: {intake.shape}"
    path.write_text(mapping_text(intake.mapping.document, comment), encoding="utf-8")
    note(f"wrote {path}; use it with --mapping {path}")


def new_report(intake: "Intake", refused: Path | None, files: ExitStack) -> "Report":
    """Return an empty report, that writes refused rows where that is asked for."""
    from infra.connect.faults import Faults, open_refused
    from infra.connect.reading import Report

    out: IO[str] | None = None
    if refused is not None:
        out = files.enter_context(open_refused(refused))
    return Report(Faults(out, intake.columns()))


class _Import:
    """One import, from the file to Kafka."""

    report: "Report"

    def __init__(self, intake: "Intake", answers: "Answers", at: str) -> None:
        self.intake = intake
        self.answers = answers
        self.at = at
        self.shown: list[dict[str, Any]] = []
        self.is_dry = True

    def check(self, *, keep: int) -> None:
        """Read everything and send nothing."""
        with progress(f"reading {self.intake.source.name}") as tell:
            for count, record in enumerate(self._records(None), 1):
                if len(self.shown) < keep:
                    self.shown.append({"topic": record.topic, **json.loads(record.value)})
                if count % _TELL_RECORDS == 0:
                    tell(0.0, f"{number(count)} events")

    async def send(self, settings: "Settings") -> None:
        """Write the events to Kafka, in the order of their times."""
        from infra.kafka.options import clear_errors, client_options, security_options
        from infra.kafka.topic_admin import ensure_topics
        from infra.replay.replay import replay

        self.is_dry = False
        with clear_errors(settings):
            partitions = await ensure_topics(
                client_options(settings),
                settings.topic_prefix,
                settings.partitions,
                settings.replication_factor,
            )
        latest_ms = int(time.time() * 1000) + int(settings.future_seconds * 1000)
        with progress(f"sending {self.intake.source.name}") as tell:
            await replay(
                self._records(latest_ms),
                bootstrap=settings.kafka_bootstrap,
                partitions=partitions,
                topic_prefix=settings.topic_prefix,
                allowed_lateness_seconds=settings.allowed_lateness_seconds,
                on_progress=lambda sent: tell(0.0, f"{number(sent.records)} events sent"),
                client_options=security_options(settings),
            )

    def _records(self, latest_ms: int | None) -> "Iterator[Record]":
        from infra.connect.sorting import in_order_of_time

        records = self.intake.records(self.report, at=self.at, latest_ms=latest_ms)
        return in_order_of_time(records, on_same=self.report.same)

    def summary(self) -> dict[str, Any]:
        """Return the report for programs."""
        events = {"events": self.shown} if self.is_dry else {}
        return {**report_summary(self.intake, self.report, self.answers), **events}
