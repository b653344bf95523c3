"""Cases of every model: strict fields, plain answers, and no number that JSON does not have."""

import json
import math
from typing import Any

import pytest

from policy.classic.cases.answer import answer
from policy.classic.cases.models import MODELS, Model
from policy.classic.fields import Number
from policy.errors import PolicyInputError

EXAMPLES = [{"model": model.name, **model.example} for model in MODELS.values()]
CURVE = {
    "model": "eoq",
    "order_cost": 50,
    "unit_cost": 650,
    "holding_rate_per_period": 0.15,
    "demand_per_period": 1750,
    "order_periods": 20 / 365,
    "curve_quantities": [20, 42.4, 96],
}


@pytest.mark.parametrize("case", EXAMPLES, ids=lambda case: case["model"])
def test_answer_is_plain_json(case: dict[str, Any]) -> None:
    """It survives JSON unchanged, NaN and infinity being refused, and gives the name back."""
    found = answer(case | {"name": "lamp"})
    assert found["name"] == "lamp"
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize("case", EXAMPLES, ids=lambda case: case["model"])
def test_each_needed_field_is_asked_for_by_name(case: dict[str, Any]) -> None:
    """A case without it says which one is missing, and what it must be."""
    for name in MODELS[case["model"]].needed:
        left = {key: value for key, value in case.items() if key != name}
        with pytest.raises(PolicyInputError, match=rf"^{name}\S* must be .*got (None|'None')") as e:
            answer(left)
        assert e.value.name.startswith(name)


@pytest.mark.parametrize("case", EXAMPLES, ids=lambda case: case["model"])
@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -7e300, "5", True, {}, [[]], "x" * 9]
)
def test_no_field_takes_what_it_cannot_use(case: dict[str, Any], value: Any) -> None:
    """Whatever stands in a field, the answer is a complaint of its name, or still plain JSON."""
    for name in MODELS[case["model"]].fields:
        try:
            found = answer(case | {name: value})
        except PolicyInputError as error:
            complaint = str(error)
            found = {}
        else:
            complaint = name
        assert any(word in complaint for word in (name, "order_quantity", "target"))
        json.dumps(found, allow_nan=False)


@pytest.mark.slow
@pytest.mark.parametrize("case", EXAMPLES, ids=lambda case: case["model"])
def test_extreme_numbers_give_an_answer_or_a_complaint(case: dict[str, Any]) -> None:
    """Numbers near 0 and near the limit end in a finite answer or one line, never in a crash."""
    model = MODELS[case["model"]]
    for name, field in model.fields.items():
        for value in (0, 1e-12, 0.5, 1e9) if isinstance(field, Number) else ():
            try:
                found = answer(case | {name: value})
            except PolicyInputError:
                continue
            json.dumps(found, allow_nan=False)


def test_null_counts_as_absent() -> None:
    """A program may write every field of its record."""
    case = EXAMPLES[0] | {"backorder_cost_per_unit_period": None}
    assert answer(case) == answer(EXAMPLES[0])


def test_unknown_fields_and_models_are_refused() -> None:
    """A typing error is not read as a default."""
    with pytest.raises(PolicyInputError, match=r"eoq.demand must be one of .*got 'demand'"):
        answer(EXAMPLES[0] | {"demand": 3})
    with pytest.raises(PolicyInputError, match=r"model must be one of eoq, .*got None"):
        answer({})
    with pytest.raises(PolicyInputError, match="case must be an object, got 3"):
        answer(3)  # type: ignore[arg-type]


def test_lot_of_days_stands_beside_the_economic_lot() -> None:
    """20 days of 1,750 a year are 96 units; the economic lot is 42.4."""
    found = answer(CURVE)
    assert round(found["order_quantity"], 1) == 42.4
    by_days = found["by_order_periods"]
    assert round(by_days["order_quantity"], 1) == 95.9
    assert by_days["cost_per_period"] > found["cost_per_period"]
    assert [round(point["cost_per_period"]) for point in found["curve"]] == [5350, 4131, 5591]


def test_holding_cost_is_given_in_one_way() -> None:
    """As money, or as unit cost and rate; not as both, and not in part."""
    for change in (
        {"holding_cost_per_unit_period": 1},
        {"unit_cost": None},
        {"holding_rate_per_period": None},
    ):
        with pytest.raises(PolicyInputError, match="holding_cost_per_unit_period must be > 0, or"):
            answer(CURVE | change)


def test_wagner_whitin_takes_costs_by_period() -> None:
    """A number holds for all periods, a list for each."""
    case = {"model": "wagner_whitin", "demand": [10, 10], "holding_cost_per_unit_period": 1}
    assert answer(case | {"order_cost": 15})["orders"] == [20, 0]
    assert answer(case | {"order_cost": [15, 2]})["orders"] == [10, 10]
    with pytest.raises(PolicyInputError, match=r"order_cost\[1\] must be >= 0, got -2"):
        answer(case | {"order_cost": [15, -2]})


def test_almost_nothing_counts_as_nothing() -> None:
    """So that no ratio overflows."""
    with pytest.raises(PolicyInputError, match="holding_cost_per_unit_period must be > 0, got 5e"):
        answer(EXAMPLES[0] | {"holding_cost_per_unit_period": math.ulp(0)})


def test_answer_that_is_not_finite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than given as infinity, which JSON does not have."""
    turns = Model("turns", lambda turns: {"days": [math.inf]}, {})
    monkeypatch.setitem(MODELS, "turns", turns)
    with pytest.raises(PolicyInputError, match="case must be a case whose answer is a finite"):
        answer({"model": "turns", "turns": 1.0})
