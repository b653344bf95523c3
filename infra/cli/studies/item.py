"""`tidegate simulate item`: the live rule in a stated world, its claim beside what it achieves."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from infra.cli.terminal.case_file import input_errors, read_cases
from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.options import Json
from infra.cli.terminal.output import heading, make_console, make_facts, make_table, note

Plot = Annotated[Path | None, Parameter(show_default=False)]
_SHARES = ("service", "rate", "fill", "share")


def item(
    file: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    plot: Plot = None,
    as_json: Json = False,
) -> None:
    """Play one item under the live rule: what it claims, what it achieves, what trouble does.

    The case is a JSON object, for example `{"days": 3600, "warm_up_days": 400, "seed": 1, "demand":
    {"family": "negative_binomial", "mean": 10, "sd": 6}, "review_period_days": 7, "lean":
    {"lead_time_days": 30, "lead_time_sd_days": 7.5, "unit_cost": 10, "setup_cost": 50}, "flexible":
    {"lead_time_days": 3, "unit_cost": 12, "setup_cost": 5}, "holding_rate_per_year": 0.25,
    "backorder_cost_per_unit_day": 0.13, "service_type": "fill", "service_target": 0.98, "events":
    [{"day": 800, "kind": "order_lost", "supplier": "lean"}], "lead_time_known": false}`.

    Service types: cost (no target), cycle (review windows without a stock-out), order_cycle (from
    one arrival to the next), fill (units), order_line. Events: order_lost, order_delayed,
    supplier_down, campaign, surge, level_change, stock_lost. `policy/README.md` has every field.
    The claim is that of a world without events; days out are counted for 60 days from the event,
    those of a lost order from the day on which it was due.

    Args:
        file: the case; `-` is standard input.
        plot: also draw stock and orders of the first run: a file that ends in .png or .svg.
        as_json: JSON on a terminal too.
    """
    from infra.cli.terminal.plotting import check_plot

    check_plot(plot)
    case = read_cases(file)
    if isinstance(case, list):
        raise CommandError(f"{file} must hold one case, got a list", ExitCode.USAGE)
    with input_errors(""):
        from policy.studies.item.answer import play_case
        from policy.studies.item.case import read_case

        answer, runs = play_case(read_case(case))
    if isinstance(case, Mapping) and "name" in case:
        answer = {"name": case["name"], **answer}
    if sys.stdout.isatty() and not as_json:
        _show(answer)
    else:
        print(json.dumps(answer, indent=1))
    if plot:
        from infra.cli.studies.item_plot import plot_item

        plot_item(runs[0], plot)
        note(f"drawn: {plot}")


def _show(answer: Mapping[str, Any]) -> None:
    console = make_console()
    console.print(heading(f"{answer.get('name', 'item')}: {answer['method'].replace('_', ' ')}"))
    if "levels" in answer:
        console.print(make_facts(_level_facts(answer["levels"])))
    console.print()
    columns = [
        ("", False),
        ("claimed", True),
        ("± s.e.", True),
        ("achieved", True),
        ("± s.e.", True),
    ]
    console.print(make_table(columns, _figure_rows(answer)))
    if answer["events"]:
        console.print()
        names = [name for name in answer["events"][0] if name not in ("day", "kind")]
        columns = [("day", True), ("event", False), *((_words(name), True) for name in names)]
        console.print(make_table(columns, _event_rows(answer["events"], names)))


def _level_facts(levels: Mapping[str, float | None]) -> Iterable[tuple[str, object]]:
    for name, value in levels.items():
        yield _words(name), "never asked" if value is None else f"{value:,.2f}"


def _figure_rows(answer: Mapping[str, Any]) -> Iterable[list[str]]:
    for name, found in answer["achieved"].items():
        cells = [_words(name)]
        for figure in (answer.get("claimed", {}).get(name), found):
            cells += ["", ""] if figure is None else [
                figure_text(name, figure["value"]),
                figure_text(name, figure["standard_error"]),
            ]  # fmt: skip
        yield cells


def _event_rows(events: Iterable[Mapping[str, Any]], names: list[str]) -> Iterable[list[str]]:
    for event in events:
        figures = [event[name] for name in names]
        texts = [
            "-" if figure is None else figure_text(name, figure["value"])
            for name, figure in zip(names, figures, strict=True)
        ]
        yield [str(event["day"]), _words(event["kind"]), *texts]


def figure_text(name: str, value: float) -> str:
    """Return a figure for people: shares as per cent, all else with two digits.

    >>> figure_text("fill_rate", 0.98123), figure_text("days_out", 3.5)
    ('98.12%', '3.50')
    """
    is_share = name.startswith("fill_") or any(part in _SHARES for part in name.split("_")[-1:])
    return f"{value:.2%}" if is_share else f"{value:,.2f}"


def _words(name: str) -> str:
    return name.replace("_", " ")
