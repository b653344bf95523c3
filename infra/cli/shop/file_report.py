"""What became of a file's rows, in words for the person who has to work through them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from infra.cli.terminal.output import heading, make_console, make_facts, safe
from infra.wording.format import moment, number
from streams.timestamps import rfc3339

if TYPE_CHECKING:
    from infra.connect.guessing.answers import Answers
    from infra.connect.intake import Intake
    from infra.connect.reading import Report

_EXAMPLES = 3
WHY = {
    "empty_sku": "lines without a sku",
    "gift_card": "gift cards",
    "shipping": "lines that are shipping",
    "tip": "tips",
    "fee": "fees and discounts",
    "test_order": "test orders",
    "no_units": "lines of 0 units",
    "same_row_twice": "rows that are there twice; each counts once",
    "same_event_twice": "events that are there twice; each counts once",
    "not_placed": "orders that were never placed (unpaid, failed or a draft)",
}


def show_report(intake: "Intake", report: "Report", answers: "Answers", *, verb: str) -> None:
    """Print what was read, what was taken for granted, what was left out and what was refused."""
    console = make_console()
    console.print(heading(f"{intake.source.name}: {intake.shape}"))
    console.print(make_facts(_facts(report, verb)))
    for line in (*intake.source.notes, *answers.taken):
        console.print(safe(f"  taken: {line}"))
    for line in _noticed(report):
        console.print(safe(f"  note: {line}"))
    for line in _left_out(report):
        console.print(safe(f"  left out: {line}"))
    for line in _refused(report):
        console.print(safe(f"  {line}"))


def _facts(report: "Report", verb: str) -> Iterator[tuple[str, object]]:
    yield (
        "rows",
        f"{number(report.rows)}, {number(report.taken)} taken, "
        + (f"{number(report.faults.count)} refused"),
    )
    events = ", ".join(f"{number(n)} {name}" for name, n in sorted(report.events.items()) if n)
    yield f"events {verb}", events or "none"
    if report.first_ms is not None and report.last_ms is not None:
        yield "time", f"{moment(report.first_ms)} to {moment(report.last_ms)}"
    yield "items", number(len(report.skus))


def _noticed(report: "Report") -> Iterator[str]:
    for why, count in report.noticed.most_common():
        yield f"{why}: {number(count)} ({', '.join(report.noticed_examples[why][:_EXAMPLES])})"


def _left_out(report: "Report") -> Iterator[str]:
    for why, count in report.left_out.most_common():
        rows = [one for one in report.examples[why][:_EXAMPLES] if one.row]
        places = ", ".join(f"row {one.row}" + (f" {one.what}" if one.what else "") for one in rows)
        yield f"{number(count)} {WHY.get(why, why.replace('_', ' '))}" + (
            f" ({places})" if places else ""
        )


def _refused(report: "Report") -> Iterator[str]:
    for kind in report.faults.by_kind():
        rows = "row" if kind.count == 1 else "rows"
        yield f"refused: {kind.column} must be {kind.rule}: {number(kind.count)} {rows}"
        for fault in kind.examples[:_EXAMPLES]:
            hint = "" if fault.repaired is None else f", perhaps {fault.repaired!r}"
            line = "" if fault.line == fault.row else f" (line {fault.line})"
            yield f"    row {fault.row}{line}: {fault.value!r}{hint}"


def report_summary(intake: "Intake", report: "Report", answers: "Answers") -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "file": intake.source.name,
        "preset": intake.preset,
        "rows": report.rows,
        "taken": report.taken,
        "events_by_kind": {name: n for name, n in sorted(report.events.items()) if n},
        "refused": [fault.public() for fault in report.faults.listed],
        "refused_rows": report.faults.count,
        "refused_by_kind": [
            {"column": kind.column, "rule": kind.rule, "count": kind.count}
            for kind in report.faults.by_kind()
        ],
        "left_out": dict(report.left_out),
        "asked": [
            {"sku": sku, "why": why}
            for why, skus in report.noticed_examples.items()
            for sku in skus
        ],
        "assumed": [*intake.source.notes, *answers.taken],
        "first_at": None if report.first_ms is None else rfc3339(report.first_ms),
        "last_at": None if report.last_ms is None else rfc3339(report.last_ms),
    }
