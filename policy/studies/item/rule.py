"""The live rule as the simulated world asks it: levels, forecast path, due dates, learned leads."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from policy.dual_index.arrivals import counted_share
from policy.dual_index.fit import Fitted, Share
from policy.dual_index.forecast import surge_path
from policy.dual_index.lead_times import LeadTimes
from policy.dual_index.projection import (
    OpenOrders,
    Suppliers,
    order_items,
    project,
    strain_of,
)
from policy.dual_index.rule import L_WINDOW
from policy.dual_index.simulation import World
from policy.dual_index.table import LevelTable, Target, lot_row
from policy.live_decision import decide
from policy.policy_cache import PolicyCache
from policy.review_inputs import DemandFamily, ReviewInputs, ServiceType
from policy.studies.item.case import FLEXIBLE, LEAN, Case, Supplier

FloatArray = npt.NDArray[np.float64]

EXACT_SPREAD = 0.1
"""Standard deviation of the lean lead time, over review period and lead time, up to which it counts
as fixed and the exact policy decides."""
FAMILIES = {
    "negative_binomial": DemandFamily.NEGATIVE_BINOMIAL,
    "poisson": DemandFamily.POISSON,
    "normal": DemandFamily.NORMAL,
    "gamma": DemandFamily.GAMMA,
    "constant": DemandFamily.NORMAL,
}


@dataclass
class Known:
    """What the shop knows at a review; orders as lists, one entry an open order."""

    net_units: float
    units: list[float]
    due_in_days: list[float]
    is_lean: list[bool]
    level: float
    """Expected units of an ordinary day."""
    planned: FloatArray
    """Factor of each day ahead by announced campaigns, the last for all beyond."""
    surge_factor: float = 1.0
    surge_age_days: float = 0.0
    is_demand_raised: bool = False
    """Whether demand is, or was within a lean lead time, out of the ordinary."""
    leads: dict[str, LeadTimes] = field(default_factory=dict)


class ItemRule:
    """The live rule of one case."""

    def __init__(self, case: Case, table: LevelTable, cache: PolicyCache) -> None:
        self.case, self._table, self._cache = case, table, cache
        self._family = int(FAMILIES[case.demand.family])
        lean, flexible = case.lean, case.flexible or case.lean
        self._lots = lot_row(
            lean.minimum_order_units,
            lean.pack_size_units,
            np.inf,
            flexible.minimum_order_units,
            flexible.pack_size_units,
        )

    @property
    def is_exact(self) -> bool:
        """Whether the exact policy decides: lean is at most a review slower, and punctual."""
        case = self.case
        faster = case.lean if case.flexible is None else case.flexible
        slower = case.lean.lead_time_days - faster.lead_time_days
        cover = case.review_period_days + case.lean.lead_time_days
        is_punctual = case.lean.lead_time_sd_days <= EXACT_SPREAD * cover
        has_type = case.service_type in ("cost", "cycle", "fill") and not case.is_lost
        is_alone = case.flexible is None and case.lean.lead_time_days > case.review_period_days
        return slower <= case.review_period_days and is_punctual and has_type and not is_alone

    @property
    def target(self) -> Target:
        """What the levels have to keep."""
        return Target(Share[self.case.service_type.upper()], self.case.service_target)

    def world(self, lean: tuple[float, float], flexible: tuple[float, float]) -> World:
        """Return the world that the levels are fitted in, with lead times (mean, sd)."""
        case = self.case
        fast = case.flexible
        return World(
            mean=case.demand.mean,
            sd=case.demand.sd,
            review_days=case.review_period_days,
            lean_days=lean[0],
            lean_sd_days=lean[1],
            flexible_days=flexible[0],
            flexible_sd_days=flexible[1],
            premium=max(fast.unit_cost - case.lean.unit_cost, 0.0) if fast else 0.0,
            lean_setup=case.lean.setup_cost,
            flexible_setup=fast.setup_cost if fast else 0.0,
            holding=case.holding_per_unit_day,
            backorder=(
                case.lost_sale_cost_per_unit if case.is_lost else case.backorder_cost_per_unit_day
            ),
            is_lost=case.is_lost,
            line_units=case.demand.units_per_line,
            has_flexible=fast is not None,
        )

    def claim(self) -> Fitted:
        """Return the fit in the world as it is stated."""
        lean, flexible = _stated(self.case.lean), _stated(self.case.flexible or self.case.lean)
        return self._table.fitted(self.world(lean, flexible), self._family, self.target, self._lots)

    def leads(self, known: Known) -> dict[str, tuple[float, float]]:
        """Return mean and spread of the lead times: as stated, or as learned."""
        fast = self.case.flexible or self.case.lean
        stated = {LEAN: _stated(self.case.lean), FLEXIBLE: _stated(fast)}
        if self.case.is_lead_time_known:
            return stated
        return {role: known.leads[role].moments(stated[role][0]) for role in stated}

    def levels(self, leads: dict[str, tuple[float, float]]) -> FloatArray:
        """Return the levels: those of the claim, or those for the lead times that were learned."""
        if self.case.is_lead_time_known:
            return self.claim().levels
        return self._table.levels(
            self._stated_world(), leads[LEAN], self._family, self.target, self._lots
        )

    def _stated_world(self) -> World:
        """Return the world of the stated lead times, of whose spread nothing is known."""
        fast = self.case.flexible or self.case.lean
        lean = self.case.lean.lead_time_days
        return self.world((lean, LeadTimes().moments(lean)[1]), _stated(fast))

    def order(self, known: Known, *, allow_lean: bool = True) -> tuple[int, int]:
        """Return (lean, flexible) units to order now."""
        if self.is_exact:
            return self._order_exactly(known, allow_lean)
        return self._order_by_levels(known, allow_lean)

    def path(self, known: Known, days: int) -> FloatArray:
        """Return the expected units of each day ahead."""
        planned = np.full(days, known.planned[-1])
        planned[: min(days, known.planned.size)] = known.planned[:days]
        return known.level * planned * surge_path(known.surge_factor, known.surge_age_days, days)

    def _index(self) -> float:
        demand = self.case.demand
        return demand.sd**2 / demand.mean

    def _order_by_levels(self, known: Known, allow_lean: bool) -> tuple[int, int]:
        case, leads = self.case, self.leads(known)
        levels = self.levels(leads)
        suppliers = Suppliers(
            _one(case.review_period_days),
            _one(leads[LEAN][0]),
            _one(leads[LEAN][1]),
            _one(leads[FLEXIBLE][0]),
            _one(leads[FLEXIBLE][1]),
        )
        path = self.path(known, int(leads[LEAN][0] + case.review_period_days) + 3)[None]
        orders = OpenOrders(
            np.zeros(len(known.units), np.int64),
            np.array(known.units, np.float64),
            np.array(known.due_in_days, np.float64),
            np.array(known.is_lean, np.bool_),
        )
        window = _one(levels[L_WINDOW])
        outlook = project(
            _one(known.net_units), orders, path, path * self._index(), suppliers, window
        )
        strain = strain_of(orders, suppliers, np.array([known.is_demand_raised]))
        found, _ = order_items(
            outlook, suppliers, levels[None], self._lots[None], np.array([allow_lean]), strain
        )
        return int(found[0, 0]), int(found[0, 1])

    def _order_exactly(self, known: Known, allow_lean: bool) -> tuple[int, int]:
        """Ask the exact policy: position of what is still expected, mean of the days decided."""
        case, leads = self.case, self.leads(known)
        position = known.net_units
        if known.units:
            lean = np.array(known.is_lean)
            mean = np.where(lean, leads[LEAN][0], leads[FLEXIBLE][0])
            sd = np.where(lean, leads[LEAN][1], leads[FLEXIBLE][1])
            due = np.array(known.due_in_days)
            share = counted_share(due, mean, sd)
            # An order that comes after the next lean order would brings nothing in time.
            late = due > case.lean.lead_time_days + case.review_period_days
            position += float((np.where(late, 0.0, share) * np.array(known.units)).sum())
        cover = case.review_period_days + case.lean.lead_time_days
        path = self.path(known, max(int(np.ceil(cover)), 1))
        mean_units = float(path.mean())
        decided = decide(self._inputs(position, mean_units, allow_lean), self._cache)
        return int(decided.quantity_lean_units[0]), int(decided.quantity_flexible_units[0])

    def _inputs(self, position: float, mean: float, allow_lean: bool) -> ReviewInputs:
        case = self.case
        lean, fast = case.lean, case.flexible or case.lean
        service = ServiceType[case.service_type.upper()]
        return ReviewInputs(
            inventory_position_units=_one(position),
            demand_mean_units_per_day=_one(mean),
            demand_sd_units_per_day=_one((self._index() * mean) ** 0.5),
            review_period_days=_one(case.review_period_days),
            lead_time_days_lean=_one(lean.lead_time_days),
            lead_time_days_flexible=_one(fast.lead_time_days),
            setup_cost_lean=_one(lean.setup_cost),
            setup_cost_flexible=_one(fast.setup_cost if case.flexible else np.inf),
            unit_cost_lean=_one(lean.unit_cost),
            unit_cost_flexible=_one(fast.unit_cost),
            holding_cost_per_unit_day=_one(case.holding_per_unit_day),
            backorder_cost_per_unit_day=_one(max(case.backorder_cost_per_unit_day, 1e-9)),
            service_target=_one(case.service_target),
            service_type=np.array([int(service)]),
            lean_capacity_units=_one(np.inf),
            minimum_order_units_lean=_one(lean.minimum_order_units),
            minimum_order_units_flexible=_one(fast.minimum_order_units),
            pack_size_units_lean=_one(lean.pack_size_units),
            pack_size_units_flexible=_one(fast.pack_size_units),
            allow_lean=np.array([allow_lean or case.flexible is None]),
            demand_family=np.array([self._family]),
        )


def _one(value: float) -> FloatArray:
    return np.array([float(value)])


def _stated(supplier: Supplier) -> tuple[float, float]:
    return supplier.lead_time_days, supplier.lead_time_sd_days
