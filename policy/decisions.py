"""What a review answers: quantities, what they are expected to cost and serve, and why."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

from policy.codes import Reason as Reason
from policy.review_inputs import FloatArray, IntArray


class Method(IntEnum):
    """How a decision was found."""

    EXACT = 0  # the dynamic program on a lattice, certified
    GAP_RULE = 1  # lean is more than a review slower: a rule, simulated beside a certified bound
    NO_DEMAND = 2  # nothing sells; only a backlog is ordered
    DUAL_INDEX = 3  # as GAP_RULE, by stock and demand day by day: see policy.dual_index


@dataclass(frozen=True)
class Decisions:
    """Decisions of one review; every array has shape (item,). No value is NaN.

    The days that a review decides are those until the next one; where an order can still be on its
    way then, those of the same length from the flexible delivery on.
    """

    quantity_lean_units: IntArray
    quantity_flexible_units: IntArray
    method: IntArray
    """Method codes."""
    reason: IntArray
    """Reason codes."""
    expected_cost_nothing: FloatArray
    """Money of the days decided plus relative value after them, a price on stock-outs included
    where a service target binds; comparable with the other three, not with another item's."""
    expected_cost_lean_only: FloatArray
    """The best order from the lean supplier alone, rounded; inf where it is not allowed."""
    expected_cost_flexible_only: FloatArray
    expected_cost_both: FloatArray
    candidate_lean_only_units: IntArray
    """Units of the candidate, rounded; 0 where it is not allowed. So the next three."""
    candidate_flexible_only_units: IntArray
    candidate_both_lean_units: IntArray
    candidate_both_flexible_units: IntArray
    order_unit_cost_lean: FloatArray
    """Money that each unit of the lean order costs, price breaks included."""
    order_unit_cost_flexible: FloatArray
    demand_mean_used_units_per_day: FloatArray
    """The estimate on the rounding grid, which the policy was solved for."""
    demand_sd_used_units_per_day: FloatArray
    demand_family_used: IntArray
    """DemandFamily codes; AUTO only where nothing sells."""
    cell_units: FloatArray
    """Units per lattice cell; 0 where no lattice was used."""
    expected_purchase_cost: FloatArray
    """Money for the units ordered now."""
    expected_setup_cost: FloatArray
    """Money for the orders placed now."""
    expected_holding_cost: FloatArray
    """Money of the days decided, with the quantities ordered."""
    expected_backorder_cost: FloatArray
    """Money of the days decided, with the quantities ordered."""
    policy_cost_per_day: FloatArray
    """Long-run money a day under the policy, purchases included."""
    gap: FloatArray
    """(cost - certified lower bound) / cost; 1 where no bound but 0 is known."""
    cycle_service: FloatArray
    """Long-run share of cycles without a stock-out under the policy."""
    review_service: FloatArray
    """Chance that position and orders last until the end of the days decided."""
    fill_rate: FloatArray
    """Long-run share of units served from stock under the policy."""
    break_even_fast_unit: FloatArray
    """Premium per unit at which one more unit on day tau_2 instead of tau_1 pays, set-up apart."""

    def __len__(self) -> int:
        return int(self.quantity_lean_units.size)


_NAMES = [field.name for field in fields(Decisions)]
RESULTS = tuple(_NAMES[_NAMES.index("expected_purchase_cost") :])
"""What a decision is expected to cost and serve: the fields from `expected_purchase_cost` on."""
