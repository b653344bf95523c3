"""`tidegate try`: what Tidegate would have done with a shop's own orders."""

import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from infra.cli.shop.asking import confirm
from infra.cli.shop.file_flags import (
    NO_ASSUMPTIONS,
    NO_FLAGS,
    AssumeFlags,
    FileFlags,
    Mapping,
    answers_of,
    wishes_of,
)
from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.options import Flag, Json
from infra.cli.terminal.output import heading, make_console, make_facts, make_table, note, safe
from infra.cli.terminal.progress import progress

if TYPE_CHECKING:
    from infra.cli.shop.findings import Findings
    from infra.connect.guessing.answers import Answers
    from infra.connect.intake import Intake


def try_(
    *files: Path,
    yes: Annotated[bool, Parameter(negative="", alias="-y", show_default=False)] = False,
    open: Flag = False,
    mapping: Mapping = None,
    save_mapping: Path | None = None,
    page: Path = Path("tidegate-report.html"),
    as_json: Json = False,
    flags: FileFlags = NO_FLAGS,
    assume: AssumeFlags = NO_ASSUMPTIONS,
) -> int:
    """Play a shop's own orders through a Tidegate in shadow, and say what it would have done.

    Give the export of the orders, and, where there are, of stock, items with costs, suppliers and
    campaigns: CSV, Excel, JSON, JSON Lines or Parquet, plain or compressed. What each file is and
    what its columns are is found out and shown first. Broker, Redis and a worker are started here
    and end with the command; nothing leaves this machine.

    Args:
        files: exports of the shop; one of them holds orders.
        yes: take what was found out without asking.
        open: open the page of the report in the browser.
        mapping: TOML file that says what the columns of the orders are.
        save_mapping: write the mapping of the orders that was found out.
        page: where the report is written, as one page of HTML.
        as_json: the report as one JSON object.
    """
    from infra.cli.shop.findings import compare, findings_of
    from infra.cli.shop.report_page import page_of
    from infra.cli.shop.shadow import Shadow

    started = time.monotonic()
    if not files:
        raise CommandError("try needs at least one FILE with orders", ExitCode.USAGE)
    if page.is_dir() or not os.access(page.parent, os.W_OK):
        raise CommandError(f"--page must be a file that can be written, got {page}", ExitCode.USAGE)
    wishes = wishes_of(flags, assume, preset=None, mapping=mapping)
    intakes = _opened(files, flags, assume, mapping, yes=yes)
    orders = [intake for intake, _ in intakes if intake.is_orders]
    if not orders:
        names = ", ".join(f"{one.source.name} ({one.shape})" for one, _ in intakes)
        raise CommandError(f"one of the files must hold orders, got {names}", ExitCode.USAGE)
    if save_mapping is not None:
        from infra.cli.shop.imports import save

        save(orders[0], save_mapping)
    if not _agreed(intakes, yes=yes):
        note("say what is wrong: --column ROLE=NAME, as --column sku=Code, or --mapping FILE")
        return ExitCode.NO
    with (
        tempfile.TemporaryDirectory(prefix="tidegate-try-") as directory,
        progress("reading") as tell,
    ):
        run = Shadow(Path(directory), intakes, wishes.defaults)
        found = run.run(tell)
        tell(1.0, "comparing with a monthly order")
        findings = findings_of(run, found, compare(run.sales, run.catalog))
    page.write_text(page_of(findings), encoding="utf-8")
    seconds = time.monotonic() - started
    if as_json:
        answer = {**findings.public(), "page": str(page), "seconds": round(seconds, 1)}
        print(json.dumps(answer, ensure_ascii=False))
    else:
        _show(findings)
        make_console().print(f"\nThe same as a page: {page} ({seconds:.0f} s)")
    if open:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
    return ExitCode.OK


def _opened(
    files: tuple[Path, ...],
    flags: FileFlags,
    assume: AssumeFlags,
    mapping: Path | None,
    *,
    yes: bool,
) -> "list[tuple[Intake, Answers]]":
    """Find out what each file is. A mapping is for the first one: the orders."""
    from infra.connect.intake import open_intake

    opened = []
    for place, path in enumerate(files):
        answers = answers_of(flags, yes=yes)
        own = mapping if place == 0 else None
        opened.append(
            (
                open_intake(path, answers, wishes_of(flags, assume, preset=None, mapping=own)),
                answers,
            )
        )
    return opened


def _agreed(intakes: "list[tuple[Intake, Answers]]", *, yes: bool) -> bool:
    """Show what was found out, and ask whether that is right."""
    for intake, answers in intakes:
        note(f"{intake.source.name}: {intake.shape}")
        for line in (*intake.source.notes, *answers.taken):
            note(f"  {line}")
    return confirm("Is that right?", yes=yes) or not _can_ask()


def _can_ask() -> bool:
    import sys

    return sys.stdin.isatty()


def _show(findings: "Findings") -> None:
    console = make_console()
    console.print(heading(findings.title))
    console.print(make_facts(findings.facts))
    for sentence in findings.sentences:
        console.print(safe(f"- {sentence}"))
    for table in findings.tables:
        console.print()
        title = table.title + (f": {table.words}" if table.words else "")
        console.print(make_table(table.columns, table.rows, title))
    console.print()
    console.print(heading("Taken for granted"))
    for line in findings.taken:
        console.print(safe(f"- {line}"))
