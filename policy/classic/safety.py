"""Safety stock by service: what must lie beside the expected demand of a lead time, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from policy.classic.fields import FloatArray, Given, Number
from policy.classic.lots import QUANTITY
from policy.classic.newsvendor import LEAD_TIME, REVIEW
from policy.classic.normal import factor_for_loss, factor_for_lot, falling_root, standard_loss
from policy.errors import PolicyInputError

TARGET = Number("target", "share to be served", is_above=True, high=1, is_below=True)
MEAN = Number("demand_mean_per_period", "mean demand of a period")
SD = Number("demand_sd_per_period", "standard deviation of a period's demand")
LEAD_TIME_SD = Number("lead_time_sd_periods", "standard deviation of the lead time")
SCRAP = Number("scrap_share", "share of received units that cannot be used", high=1, is_below=True)

ServiceType = Literal["cycle", "fill"]
SERVICE_TYPES = ("cycle", "fill")


@dataclass(frozen=True)
class Needs:
    """What safety stock has to cover; arrays broadcast over items.

    Attributes:
        mean: units a period, >= 0.
        sd: of a period's demand, >= 0.
        lead_time: periods, >= 0.
        lead_time_sd: periods, >= 0.
        scrap: share of received units that cannot be used, >= 0 and < 1.
    """

    mean: Given
    sd: Given
    lead_time: Given
    lead_time_sd: Given = 0.0
    scrap: Given = 0.0

    def checked(self) -> Needs:
        """Return the same as arrays of one shape.

        Raises:
            PolicyInputError: an attribute breaks its range.
        """
        fields = (MEAN, SD, LEAD_TIME, LEAD_TIME_SD, SCRAP)
        given = (self.mean, self.sd, self.lead_time, self.lead_time_sd, self.scrap)
        checked = (field.check(value) for field, value in zip(fields, given, strict=True))
        return Needs(*np.broadcast_arrays(*checked))

    def variances(self, review: Given = 0.0) -> tuple[FloatArray, FloatArray]:
        """Return the variance over lead time + review from demand, and from the lead time.

        sigma_L^2 = (L + R) sigma_d^2 + mu^2 sigma_LT^2
        """
        mean, sd, lead, lead_sd, after = (
            np.asarray(one, dtype=float)
            for one in (self.mean, self.sd, self.lead_time, self.lead_time_sd, review)
        )
        return (lead + after) * sd**2, mean**2 * lead_sd**2


@dataclass(frozen=True)
class SafetyStock:
    """Safety stock and reorder point of each item.

    `k` and what follows from it leave out the second term of Serv2 (as most systems do, which
    gives at least the target); `exact_k` has it. By cycle service both are equal.
    """

    sd_over_lead_time: FloatArray
    k: FloatArray
    safety_stock: FloatArray
    reorder_point: FloatArray
    exact_k: FloatArray
    exact_safety_stock: FloatArray
    exact_reorder_point: FloatArray
    share_of_demand: FloatArray
    """Share of the safety stock that the spread of demand causes; nan where there is none."""
    share_of_lead_time: FloatArray
    """Share that the spread of the lead time causes."""
    share_of_scrap: FloatArray
    """Share that scrap causes."""


def safety_stock(
    service_type: ServiceType, target: Given, needs: Needs, order_quantity: Given | None = None
) -> SafetyStock:
    """Return the safety stock of an (r, Q) policy with normal demand over the lead time.

    Args:
        service_type: what `target` counts: `cycle`, order cycles without a stock-out (Serv1), or
            `fill`, units served from stock (Serv2).
        target: share, inside (0, 1).
        needs: demand and lead time.
        order_quantity: units, > 0; `fill` needs it.

    Cycle: k = isf(1 - target). Fill: sigma_L G(k) = Q (1 - target), and with the second term
    sigma_L [G(k) - G(k + Q / sigma_L)] = Q (1 - target). A large lot can make k negative: the lot
    alone then serves more than the target. Without spread k is 0. Scrap raises what must be
    received: everything is divided by 1 - scrap.

    Raises:
        PolicyInputError: an argument breaks a range above.

    Source: Silver, Pyke & Thomas (2017), chapter 6:

    >>> stock = safety_stock("fill", 0.98, Needs(100, 25, 1), order_quantity=100)
    >>> float(stock.k.round(6)), float(stock.reorder_point.round(5))
    (1.021239, 125.53097)
    >>> both = safety_stock("cycle", 0.95, Needs(100, 20, 4, 1))
    >>> both.sd_over_lead_time.round(6).tolist(), both.safety_stock.round(6).tolist()
    (107.703296, 177.156157)
    """
    checked, share = needs.checked(), TARGET.check(target)
    sigma = np.sqrt(sum(checked.variances()))
    if service_type == "cycle":
        k = exact = np.where(sigma > 0, ndtri(share), 0.0)
    elif service_type == "fill":
        if order_quantity is None:
            raise PolicyInputError(QUANTITY.name, f"{QUANTITY.rule} for service_type fill", None)
        k, exact = _fill_factors(share, sigma, QUANTITY.check(order_quantity))
    else:
        raise PolicyInputError("service_type", f"one of {', '.join(SERVICE_TYPES)}", service_type)
    return from_factors(checked, k, exact)


def _fill_factors(
    share: FloatArray, sigma: FloatArray, quantity: FloatArray
) -> tuple[FloatArray, FloatArray]:
    share, sigma, quantity = np.broadcast_arrays(share, sigma, quantity)
    has_spread = sigma > 0
    lot = quantity / np.where(has_spread, sigma, quantity)
    k = np.where(has_spread, factor_for_loss(lot * (1 - share)), 0.0)
    return k, np.where(has_spread, factor_for_lot(1 - share, lot), 0.0)


def from_factors(needs: Needs, k: FloatArray, exact: FloatArray) -> SafetyStock:
    """Return the stock that safety factors give, for needs that are checked."""
    of_demand, of_lead_time = needs.variances()
    sigma = np.sqrt(of_demand + of_lead_time)
    usable = 1 - np.asarray(needs.scrap, dtype=float)
    expected = np.asarray(needs.mean) * np.asarray(needs.lead_time)
    with np.errstate(invalid="ignore", divide="ignore"):
        demand_part = usable * of_demand / sigma**2
        lead_part = usable * of_lead_time / sigma**2
    return SafetyStock(
        sd_over_lead_time=sigma,
        k=k,
        safety_stock=k * sigma / usable,
        reorder_point=(expected + k * sigma) / usable,
        exact_k=exact,
        exact_safety_stock=exact * sigma / usable,
        exact_reorder_point=(expected + exact * sigma) / usable,
        share_of_demand=demand_part,
        share_of_lead_time=lead_part,
        share_of_scrap=np.where(sigma > 0, 1 - usable, np.nan),
    )


def service_of(
    k: Given, sd_over_lead_time: Given, order_quantity: Given
) -> tuple[FloatArray, FloatArray]:
    """Return the cycle service and the fill rate (both terms) that a safety factor gives.

    >>> cycle, fill = service_of(1.021239, 25, 100)
    >>> float(cycle.round(4)), float(fill.round(5))
    (0.8464, 0.98)
    """
    k, sigma = np.asarray(k, dtype=float), np.asarray(sd_over_lead_time, dtype=float)
    lot = QUANTITY.check(order_quantity)
    width = lot / np.where(sigma > 0, sigma, lot)
    missed = (standard_loss(k) - standard_loss(k + width)) / width
    is_certain = sigma == 0
    return np.where(is_certain, 1.0, ndtr(k)), np.where(is_certain, 1.0, 1 - missed)


@dataclass(frozen=True)
class ReviewLevel:
    """The level to which every review raises the position; see `SafetyStock` for both values."""

    k: FloatArray
    level: FloatArray
    safety_stock: FloatArray
    exact_k: FloatArray
    exact_level: FloatArray


def review_level(
    service_type: ServiceType, target: Given, needs: Needs, review_periods: Given
) -> ReviewLevel:
    """Return the order-up-to level of an (R, S) policy with normal demand.

    Args:
        service_type, target, needs: as for `safety_stock`; the stock covers lead time + review.
        review_periods: between two reviews, > 0.

    Fill: sigma_{L+R} G(k) = mu R (1 - target), and with the second term, what is already missing
    when the order arrives, sigma_{L+R} G - sigma_L G = mu R (1 - target).

    Raises:
        PolicyInputError: an argument breaks a range above.

    Source: Silver, Pyke & Thomas (2017), chapter 6:

    >>> level = review_level("fill", 0.98, Needs(40, 20, 2), review_periods=1)
    >>> float(level.level.round(3)), float(level.exact_level.round(3))
    (175.519, 175.47)
    """
    checked, share = needs.checked(), TARGET.check(target)
    review = replace(REVIEW, is_above=True).check(review_periods)
    sigma = np.sqrt(sum(checked.variances(review)))
    if service_type == "cycle":
        k = exact = np.where(sigma > 0, ndtri(share), 0.0)
    elif service_type == "fill":
        k, exact = _review_factors(checked, share, review, sigma)
    else:
        raise PolicyInputError("service_type", f"one of {', '.join(SERVICE_TYPES)}", service_type)
    usable = 1 - np.asarray(checked.scrap)
    expected = np.asarray(checked.mean) * (np.asarray(checked.lead_time) + review)
    return ReviewLevel(
        k=k,
        level=(expected + k * sigma) / usable,
        safety_stock=k * sigma / usable,
        exact_k=exact,
        exact_level=(expected + exact * sigma) / usable,
    )


def _review_factors(
    needs: Needs, share: FloatArray, review: FloatArray, sigma: FloatArray
) -> tuple[FloatArray, FloatArray]:
    early_sigma = np.sqrt(sum(needs.variances()))
    mean, share, review, sigma, early_sigma = np.broadcast_arrays(
        np.asarray(needs.mean), share, review, sigma, early_sigma
    )
    has_spread = sigma > 0
    if not (mean[has_spread] > 0).all():
        raise PolicyInputError(MEAN.name, "> 0 where demand has a spread", 0.0)
    sd = np.where(has_spread, sigma, 1.0)
    demand = np.where(has_spread, mean * review, 1.0) / sd  # of a review, in sds
    early = early_sigma / sd  # sd over the lead time alone, in sds
    k = factor_for_loss(demand * (1 - share))
    exact = falling_root(*_early_equation(demand, share, early), k, k)
    return np.where(has_spread, k, 0.0), np.where(has_spread, exact, 0.0)


def _early_equation(
    demand: FloatArray, share: FloatArray, early: FloatArray
) -> tuple[Callable[[FloatArray], tuple[FloatArray, FloatArray]], FloatArray]:
    """Return what k leaves missing beyond the target, and a k that leaves too much missing.

    When an order arrives, a review's demand is still to come: what is missing by then belongs to
    the review before.
    """
    spread = np.where(early > 0, early, 1.0)

    def excess(k: FloatArray) -> tuple[FloatArray, FloatArray]:
        then = k + demand
        missing = np.where(early > 0, spread * standard_loss(then / spread), np.maximum(-then, 0))
        chance = np.where(early > 0, ndtr(-then / spread), then < 0)
        return standard_loss(k) - missing - demand * (1 - share), ndtr(-k) - chance

    # Demand of a review is missing but for the stock that is left before it: E(S - D_L)+.
    left = np.where(early > 0, -spread * factor_for_loss(demand * share / spread), demand * share)
    return excess, left - demand - 1e-9
