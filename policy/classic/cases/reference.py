"""The lists of models, fields and answers that `policy/README.md` shows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from policy.classic.cases.answer import answer
from policy.classic.cases.models import MODELS, Model

# What an answer means, where its name does not say it.
ANSWERS = {
    "S": "order up to this position",
    "Q": "units of an order",
    "adi": "periods / periods with demand; null without demand",
    "backorder_share": "share of a cycle in which units are owed",
    "can_be_made": "units of each item that the parts in stock would make, were only it made",
    "capital": "money in safety stock, allocated best",
    "capital_equal_targets": "the same service where every item has the same target",
    "cell_units": "distance of the levels that were compared: 1, or more for large demand",
    "change_if_a_tenth_more": "units of safety stock more, where one driver is a tenth larger "
    "(`target`: where a tenth fewer may be missed)",
    "cover_periods": "how long the position lasts; null without demand",
    "cv": "sd / mean of the periods; null without demand",
    "cv_squared": "(sd / mean)^2 of the demands above 0; null without demand",
    "cycle_service": "share of order cycles without a stock-out",
    "driver_shares": "what share of the safety stock each driver causes; null without spread",
    "fill_rate": "share of units served from stock, with both terms",
    "k": "safety factor: standard deviations that lie in the safety stock",
    "overdue_orders": "units whose order should have left before the first period",
    "r": "order when the position is at or below it",
    "s": "order when the position is at or below it",
    "..._with_second_term": "Serv2 exactly; without it, what was missing before the order is "
    "counted again, so that rather more is served than the target",
    "stability": "stable (smooth), shaky (erratic), capricious (intermittent, lumpy) or none",
    "tier": "number of the price tier, from 0",
}


def reference(models: Mapping[str, Model] = MODELS, meanings: Mapping[str, str] = ANSWERS) -> str:
    """Return the lists of models, fields and answers as Markdown."""
    lines = (*_model_lines(models), "", *_field_lines(models), "", *_answer_lines(meanings))
    return "\n".join(lines) + "\n"


def _model_lines(models: Mapping[str, Model]) -> list[str]:
    lines = ["| model | what | needs | may have | gives, in its example |", "|---|---|---|---|---|"]
    for model in models.values():
        case = {"model": model.name, **model.example}
        needs = _names(model.needed)
        may = _names(name for name in model.fields if name not in model.needed)
        gives = _names(name for name in answer(case, models) if name != "model")
        example = f"{gives}: `{json.dumps(case)}`"
        lines.append(f"| `{model.name}` | {model.meaning} | {needs} | {may} | {example} |")
    return lines


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _field_lines(models: Mapping[str, Model]) -> list[str]:
    fields = [pair for model in models.values() for pair in model.fields.items()]
    rows = sorted({(name, one.rule, one.meaning) for name, one in fields})
    lines = [f"| `{name}` | {rule} | {meaning} |" for name, rule, meaning in rows]
    return ["| field | must be | meaning |", "|---|---|---|", *lines]


def _answer_lines(meanings: Mapping[str, str]) -> list[str]:
    lines = [f"| `{name}` | {meaning} |" for name, meaning in meanings.items()]
    return ["| answer | meaning |", "|---|---|", *lines]
