"""`tidegate campaign report`: plan against actual, why they differ, what to change."""

import asyncio
import csv
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from infra.cli.campaign.target import is_file, moment_of, read_target
from infra.cli.terminal.options import NOT_GIVEN, Connection, Json
from infra.cli.terminal.output import heading, make_console, make_facts, make_table, note
from infra.wording.format import number

_CAUSES = {
    "plan": "error of the plan",
    "surge": "surge beyond the plan",
    "stock_out": "lost without stock",
    "late_supply": "lost by late suppliers",
    "capacity": "taken back because they were late",
}
_LINE_COLUMNS = ("planned_units", "actual_units", "gap_units", "bias", "wape_by_hour", "lost_units",
                 "lost_margin", "uplift")  # fmt: skip
_SHARES = ("bias", "wape_by_hour")


def report(
    campaign: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    more: Annotated[Path | None, Parameter(name="--with")] = None,
    at: str | None = None,
    format: Literal["text", "html", "csv"] = "text",
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    save_next: Path | None = None,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Report on a campaign: plan against actual by sku and hour, causes, money, what to change.

    A line has `actual_hours` (hour after the start, units, planned_units, out_share, late_supply,
    surge, cancelled_late_units) or `actual_units`; of a campaign that is known by its id they come
    from the running installation and its alerts. The causes of a gap add up to it.

    Args:
        campaign: a file, `-`, or the id of a campaign that the running installation knows.
        more: a file with fields that are added, as service, actions_taken, questions.
        at: the moment; by default now.
        format: text, a page of HTML, or CSV by sku.
        output: where to; by default standard output.
        save_next: JSON with what was learned, for `--with` of the next check.
        as_json: one JSON object.
    """
    from infra.campaigns.document import case_of
    from policy.campaigns.report import report_campaign

    now_ms = moment_of(at)
    document, assumed, incidents = _document(campaign, connection, more, now_ms)
    case, _ = case_of(document, now_ms)
    found = {**report_campaign(case), "incidents": incidents, "assumptions": assumed}
    if save_next is not None:
        save_next.write_text(json.dumps(found["next"], indent=1) + "\n", encoding="utf-8")
        note(f"wrote {save_next}; `tidegate campaign check NEXT --with {save_next}` uses it")
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
    elif format == "csv":
        _write_csv(found, output)
    elif format == "html":
        _write_html(found, output)
    else:
        _show(found)


def _document(
    campaign: str, connection: Connection, more: Path | None, now_ms: int
) -> tuple[dict[str, Any], list[str], list[dict[str, Any]]]:
    """Return the document, what was assumed about its sales, and its incidents."""
    document = read_target(campaign, connection, more)
    if is_file(campaign):
        return document, [], []
    from infra.campaigns.actuals import read_spans, span_rows, with_actuals
    from infra.campaigns.document import window_of
    from infra.redis.reader import open_reader

    settings = connection.settings()
    spans = asyncio.run(read_spans(settings, now_ms))
    with open_reader(settings) as reader:
        document, assumed = with_actuals(reader, document, spans, now_ms)
    return document, assumed, span_rows(spans, window_of(document))


def _facts(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [
        ("planned", f"{_number(found['planned_units'])} units"),
        ("sold", f"{_number(found['actual_units'])} units ({_signed(found['gap_units'])})"),
        ("bias", _percent(found["bias"], is_signed=True)),
        ("WAPE by item", _percent(found["wape_by_sku"])),
        ("WAPE by hour", _percent(found["wape_by_hour"])),
    ]
    if found["year_on_year"] is not None:
        facts.append(("against last year", _percent(found["year_on_year"], is_signed=True)))
    service, money = found["service"], found["money"]
    if service is not None:
        late = f"{_number(service['late_orders'])} of {_number(service['orders'])}"
        facts.append(("late orders", f"{late} ({_percent(service['late_share'])})"))
    if money is not None:
        currency = found["currency"] or ""
        facts.append(("result", f"{_number(money['result'])} {currency}".strip()))
        facts.append(("lost margin", f"{_number(money['lost_margin'])} {currency}".strip()))
    return facts


def _tables(found: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, bool]], list[Any]]]:
    """Return title, columns and rows of each table."""
    causes = [(_CAUSES[one["cause"]], _signed(one["units"])) for one in found["causes_ranked"]]
    changes = [(one["sku"], _CAUSES[one["cause"]], _signed(one["units"]), one["do"])
               for one in found["changes"]]  # fmt: skip
    lines = [(one["sku"], *(_cell(name, one[name]) for name in _LINE_COLUMNS))
             for one in found["lines"]]  # fmt: skip
    incidents = [(one["kind"].replace("_", " "), one["sku"] or "", one["from"], one["to"])
                 for one in found["incidents"]]  # fmt: skip
    return [
        ("why sold is not planned", [("cause", False), ("units", True)], causes),
        ("by item", [("sku", False), *((n.replace("_", " "), True) for n in _LINE_COLUMNS)], lines),
        ("what to change", [("sku", False), ("cause", False), ("units", True), ("do", False)],
         changes),
        ("incidents", [(name, False) for name in ("kind", "sku", "from", "to")], incidents),
    ]  # fmt: skip


def _show(found: Mapping[str, Any]) -> None:
    console = make_console()
    console.print(heading(f"{found['campaign_id']}: report"))
    console.print(make_facts(_facts(found)))
    for title, columns, rows in _tables(found):
        if rows:
            console.print(make_table(columns, rows, title=title))
    for text in found["assumptions"]:
        console.print(f"assumed: {text}")


def _write_csv(found: Mapping[str, Any], output: Path | None) -> None:
    names = ("sku", "warehouse", *_LINE_COLUMNS, *_CAUSES)
    rows = [{**{name: one.get(name) for name in names}, **one["causes"]} for one in found["lines"]]
    if output is None:
        _write_rows(sys.stdout, names, rows)
        return
    with output.open("w", encoding="utf-8-sig", newline="") as file:
        _write_rows(file, names, rows)
    note(f"wrote {output}")


def _write_rows(file: Any, names: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _write_html(found: Mapping[str, Any], output: Path | None) -> None:
    from infra.cli.shop.findings import Findings, Table
    from infra.cli.shop.report_page import page_of

    made = Findings(f"Campaign {found['campaign_id']}: plan and what came")
    made.facts = _facts(found)
    made.taken = found["assumptions"] or ["nothing"]
    made.tables = [
        Table(title.capitalize(), columns, rows) for title, columns, rows in _tables(found) if rows
    ]
    made.daily_units = [(f"hour {one['hour']}", round(one["actual_units"]))
                        for one in found["hours"]]  # fmt: skip
    text = page_of(made)
    if output is None:
        print(text, end="")
    else:
        output.write_text(text, encoding="utf-8")
        note(f"wrote {output}")


def _cell(name: str, value: float | None) -> str:
    if name in _SHARES:
        return _percent(value, is_signed=name == "bias")
    return _signed(value) if name == "gap_units" else _number(value)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return number(value) if float(value).is_integer() else f"{value:,.2f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else ("+" if value > 0 else "") + _number(value)


def _percent(share: float | None, *, is_signed: bool = False) -> str:
    return "-" if share is None else f"{share:{'+' if is_signed else ''}.1%}"
