"""The compiled solver of one item: what it certifies, recomputed without its evaluation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.solver import columns
from policy.solver.item import solve_rows
from policy.solver.lattice import named_family
from policy.solver.order_rules import deep_slope, make_rules
from policy.solver.policy_evaluation import (
    MEASURE_CYCLE,
    MEASURE_FILL,
    evaluate,
    new_values,
    rates_of,
)
from policy.solver.service_multiplier import allowed_measure
from policy.solver.terms import build_terms

ITEM = {
    columns.P_MEAN: 12.0,
    columns.P_SD: 6.0,
    columns.P_REVIEW: 7.0,
    columns.P_LEAN_DAYS: 4.0,
    columns.P_FLEXIBLE_DAYS: 2.0,
    columns.P_LEAN_SETUP: 5_000.0,
    columns.P_FLEXIBLE_SETUP: 800.0,
    columns.P_LEAN_UNIT: 1_400.0,
    columns.P_FLEXIBLE_UNIT: 1_600.0,
    columns.P_HOLDING: 1.0,
    columns.P_BACKORDER: 20.0,
    columns.P_TARGET: 0.95,
    columns.P_SERVICE_TYPE: columns.SERVICE_CYCLE,
    columns.P_CAPACITY: np.inf,
    columns.P_LEAN_LEAST: 1.0,
    columns.P_FLEXIBLE_LEAST: 1.0,
    columns.P_LEAN_PACK: 1.0,
    columns.P_FLEXIBLE_PACK: 1.0,
    columns.P_FAMILY: columns.FAMILY_AUTO,
}


def item(**changes):
    """A parameter row: the item above with changed columns, named without their `P_`."""
    row = np.array([ITEM[place] for place in range(columns.PARAMETERS)])
    for name, value in changes.items():
        row[getattr(columns, f"P_{name}")] = value
    return row


def solved(row):
    """Return the answer, tables and levels of one row."""
    tables = np.empty((1, columns.TABLES, columns.LEVELS_CAP))
    levels = np.empty((1, columns.LEVEL_ROWS, columns.LEVELS_CAP), np.int64)
    answers, done = np.zeros((1, columns.ANSWERS)), np.zeros(1, np.bool_)
    solve_rows(row[None], 2e-4, tables, levels, answers, done)
    assert done[0]
    size = int(answers[0, columns.A_LEVELS])
    return answers[0], tables[0, :, :size], levels[0, :, :size]


def lattice(row, answer):
    """The terms and rules on the lattice that the answer names."""
    family = named_family(row)
    variance = row[columns.P_MEAN] if family == columns.FAMILY_POISSON else row[columns.P_SD] ** 2
    cell = answer[columns.A_CELL]
    size = int(answer[columns.A_LEVELS])
    units = answer[columns.A_LOWEST] + cell * np.arange(size)
    return build_terms(row, family, variance, deep_slope(row), cell, units), make_rules(
        row, cell, size
    )


def review(terms, rules, i, a, b):
    """(Money, stock-outs, units short) of one review from level i by way of a to b."""
    units = terms.level_units
    money = terms.cost_before_flexible[i] + terms.cost_before_lean[a] + terms.cost_after_lean[b]
    money += terms.level_penalty[b]
    money += (rules.setup_flexible + rules.unit_flexible * (units[a] - units[i])) * (a > i)
    money += (rules.setup_lean + rules.unit_lean * (units[b] - units[a])) * (b > a)
    risk = terms.stockout_before_lean[a]
    row = a - terms.joint_first_level
    if row >= 0:
        risk += terms.stockout_joint[min(row, len(terms.stockout_joint) - 1), b]
    return np.array([money, risk, terms.short_before_lean[a] + terms.short_after_lean[b]])


def long_run(terms, rules, choices):
    """Rates per review of levels' choices [(chance, middle, final), ...]; a dense linear system."""
    size = terms.level_units.size
    chances, gains = np.zeros((size, size)), np.zeros((size, 3))
    for i, options in enumerate(choices):
        for chance, a, b in options:
            gains[i] += chance * review(terms, rules, i, a, b)
            mass = terms.demand_mass[: b + 1]
            chances[i, b - np.arange(mass.size)] += chance * mass
            missing = 1.0 - mass.sum() if b + 1 < terms.demand_mass.size else 0.0
            chances[i, 0] += chance * missing
            if b + 1 < terms.demand_mass.size:
                # Below the lattice the value goes on with its fixed slope.
                gains[i, 0] += chance * terms.deep_slope * terms.demand_beyond_units[b]
    chances /= chances.sum(axis=1, keepdims=True)
    system = np.vstack([(chances.T - np.eye(size))[:-1], np.ones(size)])
    share = np.linalg.solve(system, np.concatenate([np.zeros(size - 1), [1.0]]))
    return share @ gains


def choices_of(answer, levels):
    """What the answer's plan does per level, the cut cell as chances."""
    plan = levels[columns.L_PLAN_FLEXIBLE], levels[columns.L_PLAN_FINAL]
    choices = [[(1.0, a, b)] for a, b in zip(*plan, strict=True)]
    cut = int(answer[columns.A_SPLIT_LEVEL])
    if cut >= 0:
        part = answer[columns.A_SPLIT] - (cut - 0.5)
        upper = (
            int(answer[columns.A_SPLIT_FLEXIBLE]),
            int(answer[columns.A_SPLIT_FINAL]),
        )
        choices[cut] = [(part, *choices[cut][0][1:]), (1.0 - part, *upper)]
    return choices


ROWS = st.builds(
    lambda mean, spread, review, setup, premium, owed, kind, target, pack, least, cap: item(
        MEAN=mean,
        SD=np.sqrt(mean) * spread,
        REVIEW=review,
        LEAN_SETUP=setup,
        FLEXIBLE_SETUP=0.3 * setup,
        FLEXIBLE_UNIT=1_400.0 * premium,
        BACKORDER=owed,
        SERVICE_TYPE=kind,
        TARGET=target,
        LEAN_PACK=pack,
        LEAN_LEAST=least,
        CAPACITY=np.inf if cap is None else np.ceil(cap * mean * review) + 24,
    ),
    st.floats(0.05, 80),
    st.floats(0.6, 4),
    st.sampled_from([5.0, 7.0, 14.0]),
    st.floats(10, 20_000),
    st.floats(1.02, 1.5),
    st.floats(2, 120),
    st.sampled_from([columns.SERVICE_COST, columns.SERVICE_CYCLE, columns.SERVICE_FILL]),
    st.floats(0.7, 0.99),
    st.sampled_from([1.0, 1.0, 6.0, 12.0]),
    st.sampled_from([1.0, 1.0, 10.0]),
    st.sampled_from([None, None, 1.2, 2.0]),
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_certificate_is_that_of_the_plan_that_is_used(row):
    """Cost, service and target of the plan in the tables, recomputed densely, are the answer's."""
    answer, _, levels = solved(row)
    terms, rules = lattice(row, answer)
    cost, stockouts, short = long_run(terms, rules, choices_of(answer, levels))
    assert cost == pytest.approx(answer[columns.A_COST], rel=2e-6)
    assert 1 - stockouts == pytest.approx(answer[columns.A_CYCLE], abs=2e-6)
    demand = row[columns.P_MEAN] * row[columns.P_REVIEW]
    assert 1 - short / demand == pytest.approx(answer[columns.A_FILL], abs=2e-6)
    allowed = allowed_measure(row)
    if allowed >= 0 and answer[columns.A_MET]:
        reached = stockouts if row[columns.P_SERVICE_TYPE] == columns.SERVICE_CYCLE else short
        assert reached <= allowed * (1 + 1e-6) + 1e-9


@settings(max_examples=25, deadline=None)
@given(ROWS, st.integers(0, 2**32 - 1))
def test_no_plan_on_the_lattice_costs_less_than_the_bound(row, seed):
    """Random order-up-to plans that meet the target cost at least the certified bound."""
    answer, _, _ = solved(row)
    terms, rules = lattice(row, answer)
    size = terms.level_units.size
    bound = answer[columns.A_COST] * (1 - answer[columns.A_GAP])
    draw = np.random.default_rng(seed)
    allowed = allowed_measure(row)
    lots = (rules.pack_lean, rules.least_lean, rules.most_lean) != (1, 1, size)
    here = np.arange(size)
    for _ in range(20):
        point, top = np.sort(draw.integers(1, size, 2))
        final = np.where(here < point, max(top, point), here)
        plan = np.stack([final if lots else here, final])  # without lots by lean, else by flexible
        rates = np.empty(3)
        rates_of(terms, rules, plan, np.array([MEASURE_CYCLE, MEASURE_FILL]), rates)
        measure = 2 if row[columns.P_SERVICE_TYPE] == columns.SERVICE_FILL else 1
        if allowed < 0 or rates[measure] <= allowed:
            assert rates[0] >= bound * (1 - 1e-7)


def test_values_satisfy_their_own_equation():
    """V + rate = the review + E V after it, however many levels orders lead to."""
    row = item(CAPACITY=60.0, LEAN_SETUP=10.0, FLEXIBLE_SETUP=3_000.0)
    answer, _, levels = solved(row)
    terms, rules = lattice(row, answer)
    size = terms.level_units.size
    middle, final = levels[columns.L_PLAN_FLEXIBLE], levels[columns.L_PLAN_FINAL]
    assert np.unique(final[final > np.arange(size)]).size > 10
    values = new_values(size)
    assert evaluate(terms, rules, middle, final, MEASURE_CYCLE, values)
    for i in range(size):
        money, risk, _ = review(terms, rules, i, middle[i], final[i])
        assert values.cost[i] + values.rates[0] == pytest.approx(
            money + values.later_cost[final[i]], abs=1e-6 * values.rates[0]
        )
        assert values.measure[i] + values.rates[1] == pytest.approx(
            risk + values.later_measure[final[i]], abs=1e-9
        )


def test_target_on_wide_cells_is_met_exactly():
    """Cells of several units cut one of them in two, so that no service is given away."""
    answer, _, _ = solved(item(MEAN=200.0, SD=90.0))
    assert answer[columns.A_CELL] > 1
    assert answer[columns.A_SPLIT_LEVEL] >= 0
    assert answer[columns.A_CYCLE] == pytest.approx(0.95, abs=1e-9)
    assert answer[columns.A_GAP] <= 6e-4


@settings(max_examples=20, deadline=None)
@given(ROWS, st.floats(0.6, 0.9))
def test_more_service_never_costs_less(row, target):
    """The certified bound rises with the target."""
    row[columns.P_SERVICE_TYPE] = columns.SERVICE_CYCLE
    bounds = []
    for wanted in (target, target + 0.08):
        row[columns.P_TARGET] = wanted
        answer, _, _ = solved(row)
        bounds.append(answer[columns.A_COST] * (1 - answer[columns.A_GAP]))
    assert bounds[1] >= bounds[0] * (1 - 2.1e-4)


@settings(max_examples=20, deadline=None)
@given(ROWS)
def test_a_flexible_supplier_never_hurts(row):
    """Two suppliers cost at most what the lean one alone does, but for the gap."""
    row[columns.P_SERVICE_TYPE] = columns.SERVICE_COST
    row[columns.P_CAPACITY] = np.inf
    both = solved(row)[0]
    alone = row.copy()
    alone[columns.P_FLEXIBLE_SETUP] = np.inf
    alone[columns.P_FLEXIBLE_DAYS] = alone[columns.P_LEAN_DAYS]
    lean = solved(alone)[0]
    rate = both[columns.A_COST] * (1 - both[columns.A_GAP])
    assert rate <= lean[columns.A_COST] * (1 + 2e-3)  # the lattices differ by a little
