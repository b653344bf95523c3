"""Cases of several items as JSON gives them, and their page in the README."""

from pathlib import Path
from typing import Any

import pytest

from policy.errors import PolicyInputError
from policy.joint import answer_joint, joint_reference
from policy.joint.cases import JOINT_ANSWERS, JOINT_MODELS

README = Path(__file__).parents[3] / "policy" / "README.md"
BEGIN = "<!-- joint models: written by `tidegate joint --models` -->"
END = "<!-- end of the joint models -->"


def example(name: str, **changed: Any) -> dict[str, Any]:
    return {"model": name, **JOINT_MODELS[name].example, **changed}


def test_readme_has_the_lists_as_the_command_prints_them() -> None:
    """When this fails, put what `tidegate joint --models` prints between the two markers."""
    _, begin, rest = README.read_text().partition(BEGIN)
    listed, end, _ = rest.partition(END)
    assert begin
    assert end
    assert listed.strip() == joint_reference().strip()


def test_every_answer_whose_meaning_is_listed_is_given() -> None:
    """Names of answers, of their rows and of rules; one that was renamed does not stay."""
    given: set[str] = set()
    for name in JOINT_MODELS:
        found = answer_joint(example(name))
        given |= set(found)
        for rows in found.values():
            if isinstance(rows, list) and isinstance(rows[0], dict):
                given |= set(rows[0]) | {row["name"] for row in rows}
    for name in JOINT_ANSWERS:
        assert set(name.split(", ")) <= given


def test_names_of_items_are_given_back() -> None:
    """One without a name is called by its place."""
    items = [dict(item) for item in JOINT_MODELS["container_fill"].example["items"]]
    items[1]["name"] = "mug"
    found = answer_joint(example("container_fill", items=items))
    assert [row["name"] for row in found["items"]] == ["item 1", "mug", "item 3"]


def test_large_demand_is_compared_in_steps() -> None:
    """Items of thousands a period are answered too, in steps of several units."""
    items = [{"demand": {"mean": mean, "sd": mean / 3}, "line_cost": 5,
              "holding_cost_per_unit_period": 0.02, "backorder_cost_per_unit_period": 0.5}
             for mean in (900, 300)]  # fmt: skip
    found = answer_joint(example("joint_levels", header_cost=200, items=items,
                                 lead_time_periods=1, simulated_periods=200))  # fmt: skip
    costs = {row["name"]: row["cost_per_period"] for row in found["rules"]}
    assert costs["periodic_s_S"] < costs["each_alone"]
    assert costs["can_order"] < costs["each_alone"]


@pytest.mark.parametrize(
    ("case", "complaint"),
    [
        (example("container_fill", container_volume=None), "container_volume must be given"),
        (example("container_fill", items=[]), "items must be a list of 1 to 5,000 objects"),
        (example("container_fill", container_weight=4), r"items\[0\].unit_weight must be given"),
        (
            example("joint_capacity", prices=[0, 1, 2]),
            r"items\[item 01\].answers must be 3 numbers, none above",
        ),
        (example("joint_capacity", prices=[1, 2]), "prices must be rising from 0"),
        (
            example("joint_cycles", items=[{"name": "a", "demand_per_period": 1, "unit_cost": 1,
                                            "line_cost": 1}] * 2),
            "items.name must be different for each item, got 'a'",
        ),
        (example("joint_levels", items=[{}] * 61), "items must be a list of 1 to 60 objects"),
        (example("joint_levels", color="red"), "joint_levels.color must be one of items"),
        ({"model": "eoq"}, "model must be one of container_fill"),
    ],
)  # fmt: skip
def test_refusals_name_field_rule_and_value(case: dict[str, Any], complaint: str) -> None:
    """A case that is wrong is refused by field, rule and value."""
    with pytest.raises(PolicyInputError, match=complaint):
        answer_joint(case)
