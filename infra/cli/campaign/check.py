"""`tidegate campaign check`: is a campaign feasible, what binds first, what would make it so."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from infra.cli.campaign.target import is_file, moment_of, read_target
from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.options import NOT_GIVEN, Connection, Json, Person
from infra.cli.terminal.output import heading, make_console, make_facts, make_table
from infra.wording.format import number, plain_time

_VERDICTS = {
    "go": "GO",
    "go_with_actions": "GO WITH ACTIONS",
    "not_feasible": "NOT FEASIBLE",
}
_WAYS = {
    "as_planned": "go ahead, nothing done",
    "with_actions": "go ahead with the actions",
    "smaller_target": "go ahead with the largest feasible target",
    "not_at_all": "do not go ahead",
}


def check(
    campaign: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    more: Annotated[Path | None, Parameter(name="--with")] = None,
    at: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    who: str | None = None,
    why: str | None = None,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> ExitCode:
    """Check a campaign: stock, arrivals, capacity, promise; say what binds and what would help.

    A file is one JSON object, or a table (CSV, Excel) with one row for each sku:

    {"campaign_id": "sale-1111", "starts_at": "2026-11-11T00:00:00+08:00", "promise_days": 3,
    "lines": [{"sku": "A", "expected_units": 8000, "stock_units": 5000}],
    "capacity": [{"warehouse": "main", "orders_per_day": 500}]}

    `tidegate template campaign --format json|csv|xlsx` writes one to fill in; every field, and what
    is assumed where it is missing, stands in infra/campaigns/README.md.

    Exit code 1: not feasible.

    Args:
        campaign: a file, `-` for JSON on standard input, or the id of a campaign that the running
            installation knows.
        more: a file with fields that are added, as the capacity of the warehouses.
        at: moment of the check; by default what the file says (checked_at), or now.
        encoding: of a CSV file that is not UTF-8.
        sheet: of a workbook.
        who: your name: the outcome is written into the audit log, and a campaign that passes
            can be approved.
        why: the reason, for the audit log; needed with --who.
        as_json: one JSON object.
    """
    from infra.campaigns.document import check_document
    from infra.connect.files import ReadOptions

    options = ReadOptions(encoding=encoding, sheet=sheet)
    document = read_target(campaign, connection, more, options)
    if at is not None:
        document = {**document, "checked_at": None}
    found = check_document(document, moment_of(at))
    if who is not None or why is not None:
        _record(campaign, found, who, why, connection)
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        show(make_console(), found)
    return ExitCode.NO if found["verdict"] == "not_feasible" else ExitCode.OK


def _record(
    campaign: str,
    found: dict[str, Any],
    who: str | None,
    why: str | None,
    connection: Connection,
) -> None:
    """Write the outcome into the audit log.

    Raises:
        CommandError: a name is missing, or the campaign is a file.
    """
    from infra.cli.campaign.keeping import record_check

    if who is None or why is None:
        raise CommandError("--who and --why must be given together", ExitCode.USAGE)
    if is_file(campaign):
        rule = "the id of a saved campaign where --who is given; `tidegate campaign save` keeps one"
        raise CommandError(f"campaign must be {rule}, got {campaign!r}", ExitCode.USAGE)
    record_check(connection, campaign, found, Person(who=who, why=why))


def show(console: Console, found: Mapping[str, Any]) -> None:
    """Show the answer to people: verdict, why, items, warehouses, actions, money, assumptions."""
    console.print(heading(f"{found['campaign_id']}: {_VERDICTS[found['verdict']]}"))
    console.print(make_facts(_facts(found)))
    console.print(_lines(found["lines"]))
    console.print(_warehouses(found["warehouses"]))
    binding = [one for one in found["constraints"] if one["binds"]]
    if binding:
        console.print(_constraints(binding))
    if found["actions"]:
        console.print(_actions(found["actions"], found["currency"]))
    if found["money"] is not None:
        console.print(_money(found["money"], found["currency"]))
    for text in found["assumptions"]:
        console.print(f"assumed: {text}")


def _facts(found: Mapping[str, Any]) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [("why", _why(found))]
    largest = (
        f"{_number(found['largest_feasible_units'])} within the promise, "
        f"{_number(found['largest_by_stock_units'])} by stock"
    )
    if found["largest_with_actions_units"] is not None:
        largest += f", {_number(found['largest_with_actions_units'])} with the actions below"
    facts += [
        ("expected", f"{_number(found['expected_units'])} units"),
        ("largest feasible target", largest),
    ]
    if found["starts_at"] is not None:
        facts.append(("starts", plain_time(found["starts_at"])))
    if found["late_notice"]:
        facts.append(("late notice", "the start is less than 7 days away: call the warehouse"))
    return facts


def _why(found: Mapping[str, Any]) -> str:
    short = sum(line["short_units"] for line in found["lines"])
    parts = [f"{_number(short)} units short"] if short else []
    days, promise = found["ship_days_needed"], found["promise_days"]
    if days is not None and promise is not None:
        compared = "promises" if days > promise else "keeps its promise of"
        parts.append(f"needs {days} ship days ({found['ship_days_of_stock']} for what is there), "
                     f"the campaign {compared} {_number(promise)}")  # fmt: skip
    elif days is None and found["binding_constraint"] is not None and promise is not None:
        parts.append("a warehouse never gets done")
    if found["binding_constraint"] is not None:
        where = found["binding_where"]
        parts.append(f"what binds first: {_words(found['binding_constraint'])} ({where})")
    return "; ".join(parts) or "stock and capacity are enough"


def _lines(lines: Sequence[Mapping[str, Any]]) -> Any:
    columns = ("expected", "9 in 10 below", "usable", "arriving in time", "short", "short at 90 %",
               "largest by stock", "within promise")  # fmt: skip
    names = ("expected_units", "expected_units_p90", "usable_units", "arriving_in_time_units",
             "short_units", "short_units_p90", "largest_feasible_units",
             "units_within_promise")  # fmt: skip
    return make_table(
        [("sku", False), ("warehouse", False), *((name, True) for name in columns)],
        [
            (line["sku"], line["warehouse"] or "several", *(_number(line[name]) for name in names))
            for line in lines
        ],
    )


def _warehouses(warehouses: Sequence[Mapping[str, Any]]) -> Any:
    names = ("orders", "orders_per_day", "ship_days_needed", "ship_days_of_stock", "clear_days")
    rows = [
        (one["warehouse"], *(_number(one[name]) for name in names), _hour(one))
        for one in warehouses
    ]
    columns = [("warehouse", False), *((_words(name), True) for name in names)]
    return make_table([*columns, ("peak hour", False)], rows)


def _hour(one: Mapping[str, Any]) -> str:
    if one["peak_hour_orders"] is None or one["orders_per_hour"] is None:
        return "-"
    return f"{_number(one['peak_hour_orders'])} orders, {_number(one['orders_per_hour'])} an hour"


def _constraints(binding: Sequence[Mapping[str, Any]]) -> Any:
    return make_table(
        [("binds", False), ("where", False), ("needed", True), ("there is", True), ("of", False)],
        [
            (_words(one["constraint"]), one["where"], _number(one["needed"]),
             _number(one["available"]), one["of"])
            for one in binding
        ],
    )  # fmt: skip


def _actions(actions: Sequence[Mapping[str, Any]], currency: str | None) -> Any:
    def where(one: Mapping[str, Any]) -> str:
        return str(one.get("supplier") or one.get("to_sku") or one.get("warehouse") or "")

    return make_table(
        [("action", False), ("sku", False), ("where", False), ("units", True),
         (f"cost {currency or ''}".strip(), True), ("begin by", False)],
        [
            (_words(one["kind"]), one.get("sku", ""), where(one), _number(one["units"]),
             _number(one["cost"]), _by(one))
            for one in actions
        ],
    )  # fmt: skip


def _by(one: Mapping[str, Any]) -> str:
    if one["by"] is not None:
        return plain_time(one["by"])
    return f"in {one['by_in_days']:g} days"


def _money(money: Mapping[str, Any], currency: str | None) -> Any:
    rows = [
        (words, _number(money[name]["units"]), _number(money[name]["margin"]),
         _number(money[name]["result"]), "best" if money["best"] == name else "")
        for name, words in _WAYS.items()
        if name in money
    ]  # fmt: skip
    result = f"result {currency or ''}".strip()
    columns = [("money", False), ("units", True), ("margin", True), (result, True), ("", False)]
    return make_table(columns, rows)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _number(value: float | None) -> str:
    """Return a number for people; a dash where there is none."""
    if value is None:
        return "-"
    return number(value) if float(value).is_integer() else f"{value:,.2f}"
