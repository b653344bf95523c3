"""`tidegate solve`: the least cost of published dual-sourcing instances, with bounds."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from infra.cli.terminal.case_file import case_name, input_errors, read_cases
from infra.cli.terminal.options import Json
from infra.cli.terminal.output import make_console, make_table
from infra.cli.terminal.progress import progress


def solve(
    file: Annotated[Path, Parameter(allow_leading_hyphen=True)], /, *, as_json: Json = False
) -> None:
    """Solve the classic periodic dual-sourcing model of a JSON file.

    In every period both orders are placed, what is due arrives (an expedited order with lead 0 at
    once), demand is met or backordered, and holding or backorder cost is paid on what is left.

    An instance is an object with `regular_lead_periods` (1 to 60), `expedited_lead_periods` (below
    it; 0 if absent), `regular_cost` (a unit; 0 if absent), `expedited_cost`, `regular_setup` and
    `expedited_setup` (an order; 0 if absent), `holding` and `backorder` (a unit and period, above
    0), and `demand`, an object with `family` and its parameters: `uniform` (`low`, `high`),
    `poisson` (`mean`), `negative_binomial` (two of `mean`, `variance`, `size`, `probability`) or
    `pmf` (`probabilities`, and `values` unless they are 0, 1, 2, ...). `name` is given back.
    The set-ups that Böttcher et al. (2023) print as 10/5 are `expedited_setup` 10 and
    `regular_setup` 5.

    The answer has `cost_per_period`, `lower`, `upper`, `gap`, `method`, `detail` and `seconds`. It
    is `exact` up to 48 million states (about 1.2 GB) and about a minute. Beyond that `method` names
    the rule whose simulated cost it is, and the optimum still lies from `lower` to `upper`. On a
    terminal it is a table; elsewhere, and with --json, it is JSON with all digits.

    Args:
        file: one instance, or a list of them (then the answers are a list in the same order); `-`
            is standard input.
        as_json: JSON on a terminal too.
    """
    given = read_cases(file)
    instances = given if isinstance(given, list) else [given]
    answers = _solve_all(instances)
    if sys.stdout.isatty() and not as_json:
        _show(instances, answers)
    else:
        print(json.dumps(answers if isinstance(given, list) else answers[0], indent=1))


def _show(instances: list[Any], answers: list[dict[str, Any]]) -> None:
    columns = [
        *(("instance", False), ("cost a period", True), ("at least", True), ("at most", True)),
        *(("gap", True), ("method", False), ("detail", False), ("seconds", True)),
    ]
    names = [str(one.get("name", number)) for number, one in enumerate(instances, 1)]
    rows = [answer_row(name, answer) for name, answer in zip(names, answers, strict=True)]
    make_console().print(make_table(columns, rows))


def answer_row(name: str, answer: Mapping[str, Any]) -> list[str]:
    """Return a row of the table: money to the hundredth, the gap as a share.

    >>> answer = {"cost_per_period": 219.73333, "lower": 219.73333, "upper": 219.73334}
    >>> answer_row("a", {**answer, "gap": 1e-14, "method": "exact", "detail": "", "seconds": 0.25})
    ['a', '219.73', '219.73', '219.73', '0.00%', 'exact', '', '0.2']
    """
    money = [f"{answer[of]:,.2f}" for of in ("cost_per_period", "lower", "upper")]
    said = [answer["method"], answer["detail"], f"{answer['seconds']:.1f}"]
    return [name, *money, f"{answer['gap']:.2%}", *said]


def _solve_all(instances: list[Any]) -> list[dict[str, Any]]:
    """Check all instances before the first is solved, so that a typing error costs no time."""
    from policy import solve as solve_instance
    from policy.sourcing.model import read_instance

    for number, instance in enumerate(instances, 1):
        place = case_name("instance", number, instance) if len(instances) > 1 else ""
        with input_errors(place):
            read_instance(instance)
    answers = []
    with progress("solving") as tell:
        for number, instance in enumerate(instances, 1):
            tell((number - 1) / len(instances), f"instance {number} of {len(instances)}")
            answers.append(solve_instance(instance, timer=time.perf_counter))
    return answers
