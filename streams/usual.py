"""What is usual: an item's everyday rate of distinct orders, and how much its days differ.

The surge test needs an everyday rate that a surge does not teach and that a new item cannot make
up for itself, so it keeps one of its own, apart from the demand estimate, which follows faster:

- The rate is a mean over `memory_days` operational days in which no day counts for more than
  `cap_sds` standard deviations above the tested rate: a surge raises it slowly, and a lasting
  change of level becomes usual within weeks.
- An item that first sells in a shop of some age comes with `launch_days` of next to nothing: so
  much was sold of it before, and a launch that takes off without a plan is news.
- Days differ by more than chance. The size of the negative binomial is told by the differences of
  successive days, which a slow change of level does not blow up, pooled over the shop where
  an item alone says too little (empirical Bayes): `E (n - r m)**2 - n - r**2 m = 2 mean**2 / size`
  for counts n, m of two days of one rate, r the ratio of their lengths.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from policy.compiled import compiled
from streams.types import Table

LEAST_SIZE = 0.25
LARGEST_SIZE = 50.0


@dataclass(frozen=True, slots=True)
class UsualSettings:
    """How the everyday rate is learned. Days are operational ones."""

    memory_days: float = 28.0  # four whole weeks: shorter learns the surge, longer lags the season
    launch_days: float = 28.0  # before its first sale, for one newly sold: a whole memory
    launch_rate: float = 0.2  # orders a day in them: the least rate that is tested
    mature_days: float = 14.0  # a younger shop has no new items: all of them are
    cap_sds: float = 3.0  # of a day at the tested rate
    prior_size: float = 5.0  # of the negative binomial, before the shop has shown its own
    prior_squares: float = 250.0  # weight of the prior, in squared orders: about 10 days of 5

    def weight_of(self, days: float) -> float:
        """The weight that the newest days have, in days.

        >>> round(UsualSettings().weight_of(28.0), 1)
        18.0
        """
        kept = math.exp(-1.0 / self.memory_days)
        return float((1.0 - kept**days) / (1.0 - kept))


class Pool(NamedTuple):
    """What the items of a shard have in common.

    Attributes:
        rate: orders a day that an item had before its first; 0 while the shop is young.
        dispersion: 1 / size of the negative binomial.
    """

    rate: float
    dispersion: float


def pool_items(rows: Table, shop_days: float, settings: UsualSettings) -> Pool:
    """Return what the items have in common, the same in whatever order they stand.

    Args:
        rows: `streams.items.ROW` records, shape (item,).
        shop_days: days that the shop's profile rests on.
        settings: as above.
    """
    known = rows[rows["usual_days"] > 0]
    orders, days, excess, squares = (
        math.fsum(known[name].tolist())
        for name in ("usual_orders", "usual_days", "usual_excess", "usual_squares")
    )
    is_mature = days > 0 and shop_days >= settings.mature_days
    prior = settings.prior_squares
    dispersion = (excess + prior / settings.prior_size) / (squares + prior)
    limited = min(max(dispersion, 1 / LARGEST_SIZE), 1 / LEAST_SIZE)
    return Pool(min(orders / days, settings.launch_rate) if is_mature else 0.0, limited)


@compiled
def usual_rate(
    orders: float, days: float, pool_rate: float, launch_days: float, least: float
) -> float:
    """Orders per operational day of an item with these sums, a new one among them."""
    if days > 0.0:
        return max(orders / days, least)
    return max(pool_rate, least)


@compiled
def usual_size(
    orders: float, excess: float, squares: float, dispersion: float, prior: float
) -> float:
    """Size of the negative binomial of a day's orders, the doubt about the rate included."""
    own = (excess + dispersion * prior) / (squares + prior)
    doubt = 1.0 / (orders + 1.0)  # a gamma posterior of so many orders
    return 1.0 / min(max(own + doubt, 1.0 / LARGEST_SIZE), 1.0 / LEAST_SIZE)


@compiled
def _learn(
    rows: Table,
    kept_a_day: float,
    pool: Pool,
    launch_days: float,
    cap_sds: float,
    prior: float,
    null_factor: float,
    least: float,
) -> None:
    for place in range(rows.size):
        row = rows[place]
        days = row.day_exposure_days
        if days <= 0.0 or (row.usual_days == 0.0 and row.day_taught_orders == 0):
            continue
        if row.usual_days == 0.0 and pool.rate > 0.0:
            row.usual_days = launch_days
            row.usual_orders = launch_days * pool.rate
        orders = float(row.day_taught_orders)
        if row.usual_days > 0.0:
            rate = usual_rate(row.usual_orders, row.usual_days, pool.rate, launch_days, least)
            size = usual_size(
                row.usual_orders, row.usual_excess, row.usual_squares, pool.dispersion, prior
            )
            mean = null_factor * rate * days
            orders = min(orders, max(2.0, mean + cap_sds * math.sqrt(mean + mean * mean / size)))
        kept = kept_a_day**days
        row.usual_orders = row.usual_orders * kept + orders
        row.usual_days = row.usual_days * kept + days
        row.usual_excess *= kept
        row.usual_squares *= kept
        if days < 0.3:
            continue  # a day on which the shop is all but shut tells nothing of its days
        if row.day_before_days > 0.0:
            ratio = days / row.day_before_days
            before = row.day_before_orders
            difference = orders - ratio * before
            row.usual_excess += 0.5 * (difference * difference - orders - ratio * ratio * before)
            row.usual_squares += ratio * orders * before
        row.day_before_orders = orders
        row.day_before_days = days


def learn_usual(
    rows: Table, pool: Pool, settings: UsualSettings, *, null_factor: float, least_rate: float
) -> None:
    """Take the closed day into what is usual, in place.

    Args:
        rows: `streams.items.ROW` records, shape (item,), with the day's orders outside campaigns
            and the operational days in which they could come: none while the shop was shut or the
            item out of stock.
        pool: what the items have in common, before the day.
        settings: how fast.
        null_factor: the tested rate is at most so many times the usual one.
        least_rate: the usual rate is taken to be at least this.
    """
    _learn(
        rows,
        math.exp(-1.0 / settings.memory_days),
        pool,
        settings.launch_days,
        settings.cap_sds,
        settings.prior_squares,
        null_factor,
        least_rate,
    )
