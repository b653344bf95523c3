"""The days of one item under the live rule: receipts, reviews, demand, troubles.

It shares no code with the simulation that the rule is fitted by: orders are objects with a due date
and a day on which they come, and everything is counted from what each day was.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincc

from policy.dual_index.arrivals import are_overdue
from policy.dual_index.lead_times import LeadTimes
from policy.studies.item.case import FLEXIBLE, LEAN, Case, Event
from policy.studies.item.rule import ItemRule, Known

FloatArray = npt.NDArray[np.float64]

NEVER = 1 << 40
SURGE_DAYS, SURGE_CHANCE, SURGE_FACTOR, SURGE_END = 2, 2e-5, 1.8, 1.4
"""An unforeseen rise is seen where two days sold what ordinary days do with so small a chance, and
so many times more than expected; it is over when two days sold less than so many times."""
LEVEL_GAIN = 0.03
"""By which a day moves the level, where demand has to be estimated."""
MOST_PATH_DAYS = 500


@dataclass
class Order:
    """An order on its way: what is known of it, and the day on which it truly comes."""

    supplier: str
    units: float
    placed: int
    due: float
    arrives: int


@dataclass
class Days:
    """What each day of a run was, each of shape (day,)."""

    demand: FloatArray
    start: FloatArray
    end: FloatArray
    missed: FloatArray
    lean_units: FloatArray
    flexible_units: FloatArray
    setups: FloatArray
    has_arrival: npt.NDArray[np.bool_]
    event_starts: dict[int, int] = field(default_factory=dict)
    """By place of the event: the day from which it hurts."""


def blank_days(days: int) -> Days:
    """Return days on which nothing has happened yet."""
    names = ("demand", "start", "end", "missed", "lean_units", "flexible_units", "setups")
    zeros: dict[str, FloatArray] = {name: np.zeros(days) for name in names}
    return Days(**zeros, has_arrival=np.zeros(days, np.bool_), event_starts={})


def play(case: Case, rule: ItemRule, seed: int) -> Days:
    """Return the days of one run."""
    return _Run(case, rule, seed).play()


class _Run:
    """State of one run."""

    def __init__(self, case: Case, rule: ItemRule, seed: int) -> None:
        self.case, self.rule = case, rule
        streams = np.random.SeedSequence([case.seed, seed]).spawn(3)
        self._lead_random = {
            LEAN: np.random.default_rng(streams[1]),
            FLEXIBLE: np.random.default_rng(streams[2]),
        }
        self.days = blank_days(case.days)
        self.days.demand[:] = _draw_demand(case, np.random.default_rng(streams[0]))
        cover = case.lean.lead_time_days + case.review_period_days
        self.level = float(np.ceil(1.3 * cover * case.demand.mean))
        self.open: list[Order] = []
        self.leads = {LEAN: LeadTimes(), FLEXIBLE: LeadTimes()}
        self.expected = case.demand.mean
        self.surge_since: int | None = None
        self.surge_ended = -NEVER
        self.reviewed_extra = -1
        self.loses_next: dict[str, list[int]] = {LEAN: [], FLEXIBLE: []}
        self.down_until = {LEAN: (0, True), FLEXIBLE: (0, True)}
        self.planned = _campaign_factors(case)

    def play(self) -> Days:
        for day in range(self.case.days):
            self._receive(day)
            self._happen(day)
            self._review(day)
            self._receive(day)  # a lead time of 0 days delivers before today's demand
            self._serve(day)
            self._look_at_sales(day)
        return self.days

    def _receive(self, day: int) -> None:
        for order in [one for one in self.open if one.arrives <= day]:
            self.open.remove(order)
            self.level += order.units
            self.days.has_arrival[day] = True
            taken = float(order.arrives - order.placed)
            self.leads[order.supplier] = self.leads[order.supplier].with_receipt(taken)

    # --- troubles ---------------------------------------------------------------------------

    def _happen(self, day: int) -> None:
        for place, event in enumerate(self.case.events):
            if event.day == day:
                self.days.event_starts.setdefault(place, day)
                self._begin(place, event, day)

    def _begin(self, place: int, event: Event, day: int) -> None:
        mine = [order for order in self.open if order.supplier == event.supplier]
        if event.kind == "order_lost":
            if mine:
                self._lose(mine[-1], place)
            else:
                self.loses_next[event.supplier].append(place)
        elif event.kind == "order_delayed":
            for order in mine:
                self._delay(order, event.days, event.is_announced)
        elif event.kind == "supplier_down":
            self.down_until[event.supplier] = (day + event.days, event.is_announced)
            for order in mine:
                self._delay(order, event.days, event.is_announced)
        elif event.kind == "stock_lost":
            self.level -= min(event.units, max(self.level, 0.0))

    def _lose(self, order: Order, place: int) -> None:
        order.arrives = NEVER
        self.days.event_starts[place] = min(int(np.ceil(order.due)), self.case.days - 1)

    @staticmethod
    def _delay(order: Order, days: int, is_announced: bool) -> None:
        if order.arrives < NEVER:
            order.arrives += days
        if is_announced:
            order.due += days

    # --- reviews ----------------------------------------------------------------------------

    def _review(self, day: int) -> None:
        if day % self.case.review_period_days == 0:
            self._order(day, allow_lean=True)
        elif self.reviewed_extra < day - day % self.case.review_period_days and self._is_urgent(
            day
        ):
            self.reviewed_extra = day
            self._order(day, allow_lean=False)

    def _is_urgent(self, day: int) -> bool:
        """Whether an extra review is due: a rise began, or the item is out and nothing is near."""
        if self.case.flexible is None:
            return False
        if self.surge_since is not None and day - self.surge_since == SURGE_DAYS:
            return True
        if self._is_newly_overdue(day):
            return True
        soon = day + self.case.flexible.lead_time_days
        is_coming = any(day <= order.due <= soon for order in self.open)
        return self.level <= 0.0 and not is_coming

    def _is_newly_overdue(self, day: int) -> bool:
        """Whether a lean order became later today than lead times explain."""
        due = [order.due - day for order in self.open if order.supplier == LEAN and order.due < day]
        if not due:
            return False
        mean, sd = map(np.array, self.rule.leads(self._lead_only())[LEAN])
        now = are_overdue(np.array(due), mean, sd)
        before = are_overdue(np.array(due) + 1.0, mean, sd)
        return bool((now & ~before).any())

    def _order(self, day: int, *, allow_lean: bool) -> None:
        lean, flexible = self.rule.order(self._known(day), allow_lean=allow_lean)
        self._place(day, LEAN, lean)
        self._place(day, FLEXIBLE, flexible)

    def _known(self, day: int) -> Known:
        factor, age = 1.0, 0.0
        if self.surge_since is not None:
            age = float(day - self.surge_since)
            factor = self._seen_factor(self.surge_since, day)
        return Known(
            net_units=self.level,
            units=[order.units for order in self.open],
            due_in_days=[order.due - day for order in self.open],
            is_lean=[order.supplier == LEAN for order in self.open],
            level=self.expected,
            planned=self._planned_ahead(day),
            surge_factor=factor,
            surge_age_days=age,
            is_demand_raised=self._is_demand_raised(day),
            leads=self.leads,
        )

    def _is_demand_raised(self, day: int) -> bool:
        """Whether a campaign or rise is on, near, or was on within a lean lead time."""
        case = self.case
        back = int(case.lean.lead_time_days)
        near = 7 if case.flexible is None else int(case.flexible.lead_time_days) + 7
        near = max(near, case.review_period_days)
        if self.surge_since is not None or day - self.surge_ended <= back:
            return True
        return any(
            event.kind == "campaign"
            and event.factor > 1.0
            and day >= event.day - min(event.announced_days_before, near)
            and day <= event.day + event.days + back
            for event in case.events
        )

    def _planned_ahead(self, day: int) -> FloatArray:
        """Return the factors of announced campaigns, 1 where none is known of."""
        ahead = np.ones(MOST_PATH_DAYS)
        for event in self.case.events:
            if event.kind == "campaign" and day >= event.day - event.announced_days_before:
                first, last = max(event.day - day, 0), max(event.day + event.days - day, 0)
                ahead[first:last] *= event.factor
        return ahead

    def _place(self, day: int, name: str, units: int) -> None:
        if units <= 0:
            return
        supplier = self.case.lean if name == LEAN else self.case.flexible
        assert supplier is not None
        mean, sd = supplier.lead_time_days, supplier.lead_time_sd_days
        lead = (
            self._lead_random[name].gamma((mean / sd) ** 2, sd * sd / mean) if sd > 0.05 else mean
        )
        if mean <= 0.0:
            lead = 0.0
        known = self.rule.leads(self._lead_only())[name][0]
        order = Order(name, float(units), day, day + known, day + round(lead))
        until, is_announced = self.down_until[name]
        if until > day:
            self._delay(order, until - day, is_announced)
        self.open.append(order)
        (self.days.lean_units if name == LEAN else self.days.flexible_units)[day] += units
        self.days.setups[day] += supplier.setup_cost
        if self.loses_next[name]:
            self._lose(order, self.loses_next[name].pop(0))

    def _lead_only(self) -> Known:
        return Known(0.0, [], [], [], 0.0, np.ones(1), leads=self.leads)

    # --- demand -----------------------------------------------------------------------------

    def _serve(self, day: int) -> None:
        asked, start = self.days.demand[day], self.level
        served = min(max(start, 0.0), asked)
        self.level = start - asked
        if self.case.is_lost:
            self.level = max(self.level, min(start, 0.0))
        self.days.start[day], self.days.end[day] = start, self.level
        self.days.missed[day] = asked - served

    def _seen_factor(self, first: int, day: int) -> float:
        """Return how many times its expected units the item sold since a day."""
        expected = float(self._foreseen(first, day).sum())
        return float(self.days.demand[first:day].sum()) / max(expected, 1e-9)

    def _foreseen(self, first: int, day: int) -> FloatArray:
        return self.expected * self.planned[first:day]

    def _chance_of(self, sold: float, foreseen: float) -> float:
        """Return the chance that ordinary days sell so much: a gamma has as heavy a tail."""
        index = max(self.case.demand.sd**2 / self.case.demand.mean, 0.1)
        return float(gammaincc(max(foreseen, 1e-9) / index, sold / index))

    def _look_at_sales(self, day: int) -> None:
        """See a rise begin or end; move the level where it is not known."""
        first = max(day + 1 - SURGE_DAYS, 0)
        sold = float(self.days.demand[first : day + 1].sum())
        foreseen = float(self._foreseen(first, day + 1).sum())
        if self.surge_since is None:
            if sold > SURGE_FACTOR * foreseen and self._chance_of(sold, foreseen) < SURGE_CHANCE:
                self.surge_since = first
        elif sold < SURGE_END * foreseen:
            self.surge_since, self.surge_ended = None, day
        if not self.case.is_demand_known and self.planned[day] == 1.0:
            miss = self.days.demand[day] - self.expected
            most = 3.0 * self.case.demand.sd + self.expected
            self.expected = max(self.expected + LEVEL_GAIN * min(miss, most), 1e-3)


def _campaign_factors(case: Case) -> FloatArray:
    """Return the factor of each day by campaigns: on its day each of them is known."""
    factors = np.ones(case.days + 1)
    for event in case.events:
        if event.kind == "campaign":
            factors[event.day : event.day + event.days] *= event.factor
    return factors


def _true_factors(case: Case) -> FloatArray:
    factors = _campaign_factors(case)[: case.days]
    for event in case.events:
        if event.kind == "surge":
            factors[event.day : event.day + event.days] *= event.factor
        if event.kind == "level_change":
            factors[event.day :] *= event.factor
    return factors


def _draw_demand(case: Case, random: np.random.Generator) -> FloatArray:
    """Return the demand of every day; a raised mean keeps the ratio of variance to mean."""
    demand = case.demand
    mean = demand.mean * _true_factors(case)
    index = demand.sd**2 / demand.mean
    if demand.family == "constant" or index <= 0.0:
        return mean
    if demand.family == "poisson":
        return random.poisson(mean).astype(np.float64)
    if demand.family == "normal":
        return np.maximum(random.normal(mean, np.sqrt(index * mean)), 0.0)
    if demand.family == "gamma":
        return random.gamma(mean / index, index)
    size = np.maximum(mean, 1e-9) / (index - 1.0)
    return random.negative_binomial(size, 1.0 / index).astype(np.float64)
