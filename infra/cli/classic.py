"""`tidegate classic` and `tidegate joint`: formulas for one item and for several, from JSON."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from infra.cli.terminal.case_file import case_name, input_errors, read_cases
from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.options import Flag, Json
from infra.cli.terminal.output import heading, make_console, make_facts, make_table


def classic(
    file: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    models: Flag = False,
    as_json: Json = False,
) -> None:
    """Answer cases of classic inventory control from a JSON file.

    How much to order: `eoq`, `eoq_discount`, `wagner_whitin`, `newsvendor`. When: `s_S`, `r_Q`,
    `base_stock`, `safety_stock`, `review_up_to`, `order_line_fill`. What a rule orders now:
    `reorder_point`, `periodic_review`, `cover_time`, `mrp`. Which items: `abc`, `demand_class`,
    `service_matrix`, `capital`, `kits` (and their parts). Money and trend: `turns`, `dupont`,
    `holt`.

    A case is an object with `model` and the fields of that model, for example `{"model": "eoq",
    "order_cost": 8, "holding_cost_per_unit_period": 0.225, "demand_per_period": 1300}`. `--models`
    lists every model with an example, its fields and what its answer means. `name` is given back.
    A period is any length of time, the same in all fields of a case. On a terminal the answer is
    text; elsewhere, and with --json, it is JSON with all digits.

    Args:
        file: one case, or a list of them (then the answers are a list in the same order); `-` is
            standard input.
        models: list models and fields as Markdown instead.
        as_json: JSON on a terminal too.
    """
    from policy.classic import answer, reference

    if models:
        print(reference(), end="")
    else:
        _answer_file(file, "classic", answer, as_json)


def joint(
    file: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    models: Flag = False,
    as_json: Json = False,
) -> None:
    """Answer cases of several items of one supplier from a JSON file.

    One order for many: `joint_cycles` (certain demand), `joint_levels` (uncertain demand: can-order
    levels and rules on a review calendar), `joint_history` (a history of yours). One order of a
    size: `container_fill`, `minimum_order_value`. What is scarce: `joint_budget`, `joint_capacity`.

    A case is an object with `model` and the fields of that model, for example `{"model":
    "joint_cycles", "header_cost": 40, "holding_rate_per_period": 0.24, "items":
    [{"demand_per_period": 86000, "unit_cost": 1, "line_cost": 15}]}`. `--models` lists every model
    with an example, its fields and what its answer means. A period is any length of time, the same
    in all fields of a case. On a terminal the answer is text; elsewhere, and with --json, it is
    JSON with all digits.

    Args:
        file: one case, or a list of them (then the answers are a list in the same order); `-` is
            standard input.
        models: list models and fields as Markdown instead.
        as_json: JSON on a terminal too.
    """
    from policy.joint import answer_joint, joint_reference

    if models:
        print(joint_reference(), end="")
    else:
        _answer_file(file, "joint", answer_joint, as_json)


def _answer_file(
    file: Path | None, command: str, answer: Callable[[Any], dict[str, Any]], as_json: bool
) -> None:
    if file is None:
        text = (
            f"FILE must be a JSON file of cases, or -; `tidegate {command} --models` lists models"
        )
        raise CommandError(text, ExitCode.USAGE)
    given = read_cases(file)
    cases = given if isinstance(given, list) else [given]
    answers = _answer_all(cases, answer)
    if sys.stdout.isatty() and not as_json:
        _show(answers)
    else:
        print(json.dumps(answers if isinstance(given, list) else answers[0], indent=1))


def _answer_all(cases: list[Any], answer: Callable[[Any], dict[str, Any]]) -> list[dict[str, Any]]:
    answers = []
    for number, case in enumerate(cases, 1):
        with input_errors(case_name("case", number, case) if len(cases) > 1 else ""):
            answers.append(answer(case))
    return answers


def _show(answers: list[dict[str, Any]]) -> None:
    console = make_console()
    for number, answer in enumerate(answers, 1):
        if number > 1:
            console.print()
        found = dict(answer)
        name = str(found.pop("name", f"case {number}"))
        console.print(heading(f"{name}: {found.pop('model')}"))
        _show_answer(console, found)


def _show_answer(console: Console, found: Mapping[str, Any]) -> None:
    tables = {name: value for name, value in found.items() if _is_table(value)}
    facts = [pair for name, value in found.items() if name not in tables
             for pair in fact_lines(name, value)]  # fmt: skip
    console.print(make_facts(facts))
    for name, rows in tables.items():
        columns = [(column.replace("_", " "), column != "name") for column in rows[0]]
        cells = [[shown(value) for value in row.values()] for row in rows]
        console.print(make_table(columns, cells, title=name.replace("_", " ")))


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def fact_lines(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the lines that show one part of an answer: its name in words, and its value.

    >>> list(fact_lines("order_quantity", 304.0467800264368))
    [('order quantity', '304.047')]
    >>> list(fact_lines("driver_shares", {"demand": 0.25, "scrap": 0}))
    [('driver shares: demand', '0.25'), ('driver shares: scrap', '0')]
    """
    words = name.replace("_", " ")
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield f"{words}: {key.replace('_', ' ')}", shown(part)
    else:
        yield words, shown(value)


def shown(value: Any) -> str:
    """Return a value for people: six digits, lists with commas, "-" for what there is not.

    >>> shown(1234567.891), shown([210.0, 0.0]), shown(None), shown(True), shown(-0.0)
    ('1,234,568', '210, 0', '-', 'yes', '0')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(shown(one) for one in value)
    if isinstance(value, float) and abs(value) >= 1e5:
        return f"{value:,.0f}"
    return f"{value + 0.0:,.6g}" if isinstance(value, int | float) else str(value)
