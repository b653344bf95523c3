"""One case of a classic model, answered: the function behind `tidegate classic`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from policy.classic.cases.models import MODELS, Model
from policy.classic.fields import is_finite
from policy.errors import PolicyInputError


def answer(case: Mapping[str, Any], models: Mapping[str, Model] = MODELS) -> dict[str, Any]:
    """Return the answer to one case.

    Args:
        case: `model`, and the fields of that model as `policy/README.md` lists them; a field that
            is null counts as absent. `name` is given back.
        models: that a case may name.

    Raises:
        PolicyInputError: the model or a field is missing, unknown or out of range.

    >>> found = answer({"model": "eoq", "order_cost": 8, "holding_cost_per_unit_period": 0.225,
    ...                 "demand_per_period": 1300})
    >>> round(found["order_quantity"], 5), round(found["cost_per_period"], 6)
    (304.04678, 68.410526)
    """
    model = _model_of(case, models)
    fields = _read(model, case)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        found = model.solve(**fields)
    if not is_finite(found):
        rule = "a case whose answer is a finite number; some field is extremely large or small"
        raise PolicyInputError("case", rule, {key: case[key] for key in case if key in fields})
    named = {"name": case["name"]} if "name" in case else {}
    return {**named, "model": model.name, **found}


def _model_of(case: object, models: Mapping[str, Model]) -> Model:
    if not isinstance(case, Mapping):
        raise PolicyInputError("case", "an object", case)
    name = case.get("model")
    if not isinstance(name, str) or name not in models:
        raise PolicyInputError("model", f"one of {', '.join(models)}", name)
    return models[name]


def _read(model: Model, case: Mapping[str, Any]) -> dict[str, Any]:
    for name in case:
        if name not in model.fields and name not in ("model", "name"):
            rule = f"one of {', '.join(model.fields)}"
            raise PolicyInputError(f"{model.name}.{name}", rule, name)
    return {
        name: field.read(case.get(name))
        for name, field in model.fields.items()
        if name in model.needed or case.get(name) is not None
    }
