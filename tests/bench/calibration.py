"""False alarms against the budget, and delay against its lower bound, on own simulations.

`python -m tests.bench.calibration` runs the production kernel (`streams.detection.surge.surge_tick`
and `streams.demand.baseline`) on items that never surge, under the kinds of shop named in `SHOPS`:
>= 10**7 item-ticks in all. It prints the false items per 100,000 and sale with a Clopper-Pearson
range of 95 %, and fails where the range lies above the budget. Then it plants surges of known
factors and compares the delay with ln(level) / KL, below which no test of that level can stay.
"""

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from scipy.stats import beta

from policy.compiled import compiled
from streams.demand.baseline import Pool, learn_baseline, pool_items
from streams.demand.hourly_dispersion import close_hours, note_orders
from streams.demand.week_profile import Profile, flat_profile
from streams.detection.shortfall import close_plan_day, is_short, weigh_plans
from streams.detection.surge import NULL_FACTOR, is_proved_still, surge_tick
from streams.settings import ITEM_SHARE, PLAN_SHARE, ProfileSettings, SurgeSettings
from streams.state.items import ROW, Columns
from streams.timestamps import DAY_MS, HOUR_MS, MINUTE_MS
from streams.types import Float64Array, Int64Array, Table
from tests.bench.progress import steps

_START_MS = 15_000 * DAY_MS
_TICK_MS = 15 * MINUTE_MS
_PLAN_DAYS = 3
_RATES = (5.0, 20.0, 100.0, 500.0)
PLANS = list(product((0.7, 0.2), (0.5, 2.0, 5.0, 10.0, 50.0), (12.0, 50.0, 300.0)))
"""Share sold, size of the days, orders due a day."""
_FACTORS = (1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0)


@dataclass(frozen=True)
class Shop:
    """A kind of shop without surges.

    Attributes:
        name: as printed.
        size: of the negative binomial; infinite: Poisson.
        wrong: the true rate as a multiple of what the detector has learned.
        has_profile: orders follow hours and weekdays, which the detector knows.
        trend: change of the true rate in a day of the sale.
        clump: orders that come at once.
        waves: size of the gamma factor that each hour of an item has; infinite: hours are even.
        hour_error: standard deviation of the log by which an item's hours differ from the shop's.
    """

    name: str
    size: float = math.inf
    wrong: float = 1.0
    has_profile: bool = False
    trend: float = 0.0
    clump: int = 1
    waves: float = math.inf
    hour_error: float = 0.0

    def hour_factors(self, items: int) -> Float64Array:
        """How many times the shop's share falls into each hour of an item's day, (item, 24)."""
        chance = np.random.default_rng(5)
        factors = np.exp(self.hour_error * chance.standard_normal((items, 24)))
        whole: Float64Array = factors / factors.mean(axis=1, keepdims=True)
        return whole

    def orders_of(self, means: Float64Array, chance: np.random.Generator) -> "np.ndarray":
        """Draw orders of so many in the mean."""
        return self.clump * chance.poisson(means / self.clump)


SHOPS = (
    Shop("Poisson"),
    Shop("negative binomial, size 10", size=10.0),
    Shop("negative binomial, size 2", size=2.0),
    Shop("negative binomial, size 0.5", size=0.5),
    Shop("baseline 30 % too low", size=10.0, wrong=1 / 0.7),
    Shop("baseline 30 % too low, Poisson", wrong=1 / 0.7),
    Shop("baseline 30 % too high", size=10.0, wrong=1 / 1.3),
    Shop("hours and weekdays", size=10.0, has_profile=True),
    Shop("trend of +3 % a day for ten days", size=10.0, trend=0.03),
    Shop("three orders at once", size=10.0, clump=3),
    Shop("hours in waves of a third", size=10.0, waves=10.0),
    Shop("hours in waves of two thirds", size=10.0, waves=2.0),
    Shop("hours of an item 40 % off the shop's", size=10.0, hour_error=0.4, has_profile=True),
)


def week(has_profile: bool) -> Profile:
    """An even week, or one that is open from 8 to 20 on six days, most in the evening."""
    if not has_profile:
        return flat_profile()
    hours = np.zeros(24)
    hours[8:20] = np.linspace(0.5, 2.0, 12)
    orders = np.tile(hours * 1e4, 7)
    orders[48:72] = 0.0
    days = np.full(7, 100.0)
    state = [*orders, *days, *np.zeros(7), 0.0]
    return Profile.restore(state, ProfileSettings())


def baseline_rates(items: int, chance: np.random.Generator) -> Float64Array:
    """Orders a day of the items of a shop: most sell seldom, a few a hundred times a day."""
    rates: Float64Array = np.clip(chance.lognormal(0.0, 1.5, items), 0.05, 300.0)
    return rates


def learned_rows(
    rates: Float64Array, shop: Shop, settings: SurgeSettings, chance: np.random.Generator
) -> tuple[np.ndarray, Pool]:
    """Rows that have learned 60 days of the shop with the production code."""
    rows = np.zeros(rates.size, ROW)
    pool = pool_items(rows, 0.0, settings.baseline)
    profile = week(shop.has_profile)
    for day in range(-60, 0):
        pace = rates * _paces(rates.size, shop.size, chance)
        rows["day_exposure_days"] = _operational(profile, day)
        rows["day_taught_orders"] = _teach_hours(rows, pace, day, shop, settings, chance)
        learn_baseline(
            rows,
            pool,
            settings.baseline,
            null_factor=NULL_FACTOR,
            least_rate=settings.least_rate,
        )
        pool = pool_items(rows, float(day + 61), settings.baseline)
    return rows, pool


def _teach_hours(
    rows: "np.ndarray",
    pace: Float64Array,
    day: int,
    shop: Shop,
    settings: SurgeSettings,
    chance: np.random.Generator,
) -> "np.ndarray":
    """Draw a day's orders by hours, let them teach their dispersion, and return their sums."""
    profile, factors = week(shop.has_profile), shop.hour_factors(pace.size)
    day_ms = _START_MS + day * DAY_MS
    orders = np.zeros(pace.size, np.int64)
    for hour in range(24):
        hour_ms = day_ms + hour * HOUR_MS
        means = pace * profile.hours[hour_ms // HOUR_MS % 168] / 24 * factors[:, hour]
        sold = shop.orders_of(means * _paces(pace.size, shop.waves, chance), chance)
        note_hour(rows, hour_ms, sold, profile.elapsed)
        orders += sold
    everyone = np.ones(rows.size, np.bool_)
    close_hours(rows, profile.elapsed, day_ms, everyone, settings.baseline.hours)
    return orders


@compiled
def note_hour(rows: Table, hour_ms: int, orders: Int64Array, elapsed: Float64Array) -> None:
    """Count the orders of an hour of each item."""
    for place in range(rows.size):
        if orders[place] > 0:
            note_orders(rows[place], hour_ms, orders[place], elapsed, 0.0)


def _operational(profile: Profile, day: int) -> float:
    weekday = (_START_MS // DAY_MS + day) % 7
    return float(profile.elapsed[24 * weekday + 24] - profile.elapsed[24 * weekday])


def _paces(items: int, size: float, chance: np.random.Generator) -> Float64Array:
    return np.ones(items) if math.isinf(size) else chance.gamma(size, 1 / size, items)


def run_sale(
    rows: np.ndarray,
    pool: Pool,
    true_rates: Callable[[int], Float64Array],
    shop: Shop,
    days: int,
    settings: SurgeSettings,
    chance: np.random.Generator,
    tick_ms: int = _TICK_MS,
) -> np.ndarray:
    """Let days pass; return the tick in which each item was called first, or -1, shape (item,).

    Args:
        rows: what the detector knows, changed in place.
        pool: likewise.
        true_rates: orders per operational day of each item, by the day's number.
        shop: how days differ.
        days: of the sale.
        settings: the test.
        chance: generator.
        tick_ms: width of a tick.
    """
    profile, factors = week(shop.has_profile), shop.hour_factors(rows.size)
    called = np.full(rows.size, -1)
    per_day = DAY_MS // tick_ms
    waves = np.ones(rows.size)
    for tick in range(days * per_day):
        if tick % per_day == 0:
            pace = true_rates(tick // per_day) * _paces(rows.size, shop.size, chance)
        start = _START_MS + tick * tick_ms
        hour = profile.hours[start // HOUR_MS % 168] * tick_ms / DAY_MS
        if start % HOUR_MS == 0:
            waves = _paces(rows.size, shop.waves, chance)
        orders = shop.orders_of(pace * hour * factors[:, start // HOUR_MS % 24] * waves, chance)
        rows["tick_orders"] = orders
        is_tested = (orders > 0) | ((tick + 1) % per_day == 0)
        items = np.flatnonzero(is_tested).astype(np.int32)
        means = surge_tick(rows, items, profile, start + tick_ms, tick_ms, pool, settings)
        found = items[is_proved_still(Columns(rows, items), means, settings.level, settings)]
        called[found[called[found] < 0]] = tick
    return called


@dataclass(frozen=True)
class FalseAlarms:
    """What a shop without surges brought."""

    shop: Shop
    item_ticks: int
    sales: int  # items x sales
    false: int

    @property
    def per_100000(self) -> float:
        """False items of 100,000 in a sale."""
        return 1e5 * self.false / self.sales

    def range_95(self) -> tuple[float, float]:
        """Clopper and Pearson's range of it."""
        low = beta.ppf(0.025, self.false, self.sales - self.false + 1) if self.false else 0.0
        high = beta.ppf(0.975, self.false + 1, self.sales - self.false)
        return 1e5 * float(low), 1e5 * float(high)


def false_alarms(
    shop: Shop, settings: SurgeSettings, items: int, sales: int, seed: int
) -> FalseAlarms:
    """Simulate sales of `settings.sale_days` in a shop without surges."""
    chance = np.random.default_rng(seed)
    rates = baseline_rates(items, chance)
    learned, pool = learned_rows(rates, shop, settings, chance)
    days = max(1, round(settings.sale_days))
    false = 0
    for sale in range(sales):
        day = 10.0 if shop.trend and sale == sales - 1 else float(sale % 10)
        true = rates * shop.wrong * (1.0 + shop.trend) ** day
        called = run_sale(
            learned.copy(), pool, lambda _, true=true: true, shop, days, settings, chance
        )
        false += int((called >= 0).sum())
    ticks = days * DAY_MS // _TICK_MS
    return FalseAlarms(shop, items * ticks * sales, items * sales, false)


@dataclass(frozen=True)
class FalsePlans:
    """What windows brought of which the plan was 30 % too high, or as far off as was asked for."""

    size: float
    due: float  # orders a day by the plan
    share: float  # of it that sells
    windows: int
    called: int

    @property
    def per_100000(self) -> float:
        """Called windows of 100,000."""
        return 1e5 * self.called / self.windows


def false_plans(
    size: float, due: float, share: float, settings: SurgeSettings, windows: int, seed: int
) -> FalsePlans:
    """Simulate campaign windows of `_PLAN_DAYS` days, looked at six times a day."""
    chance = np.random.default_rng(seed)
    rows = np.zeros(windows, ROW)
    rows["baseline_squares"], rows["baseline_excess"] = 1e15, 1e15 / size
    everyone = np.arange(windows)
    called = np.zeros(windows, np.bool_)
    for _ in range(_PLAN_DAYS):
        pace = share * due * _paces(windows, size, chance)
        for part in range(1, 7):
            rows["plan_day_orders"] += chance.poisson(pace / 6)
            told = np.full(windows, due * part / 6)
            evidence = weigh_plans(rows, everyone, told, Pool(0.0, 1 / size), settings)
            called |= is_short(rows, everyone, evidence, settings)
        close_plan_day(rows, everyone, Pool(0.0, 1 / size), settings)
    return FalsePlans(size, due, share, windows, int(called.sum()))


def tell_plans(results: list[FalsePlans], settings: SurgeSettings) -> str:
    """Return the plans as text."""
    budget = settings.false_items_per_100000 * PLAN_SHARE * _PLAN_DAYS / settings.sale_days
    lines = [
        f"campaign windows of {_PLAN_DAYS} days; level {settings.plan_level:.0f}; the plans' part "
        f"of the budget: {budget:g} of 100,000 windows where the plan is 30 % too high",
        f"{'size of days':>12}{'due a day':>11}{'share sold':>12}{'called of 100,000':>19}",
    ]
    for one in results:
        lines.append(f"{one.size:>12g}{one.due:>11g}{one.share:>12.0%}{one.per_100000:>19,.0f}")
    return "\n".join(lines)


def lower_bound_orders(factor: float, settings: SurgeSettings) -> float:
    """Return ln(level) / KL in orders: what any test of that level needs in the mean, at the least.

    Args:
        factor: of the surge, times the usual rate; above the null's.
        settings: the test.
    """
    above = factor / NULL_FACTOR
    nats_per_order = math.log(above) - 1.0 + 1.0 / above
    return math.log(settings.level) / nats_per_order


def delays(
    rate: float, factor: float, settings: SurgeSettings, items: int, seed: int, days: int = 3
) -> Float64Array:
    """Return operational days from a surge's beginning to the alarm; -1: not called, shape (item,).

    Days are Poisson, as in the bound. The surge begins at the third hour, in the middle of it.

    Args:
        rate: usual orders a day.
        factor: of the surge.
        settings: the test.
        items: that surge.
        seed: of the generator.
        days: before giving up.
    """
    chance = np.random.default_rng(seed)
    rows = np.zeros(items, ROW)
    rows["baseline_days"] = 1e6
    rows["baseline_orders"] = rate * 1e6
    rows["baseline_squares"] = 1e9  # and no excess: the largest size there is
    rows["surge_ticked_ms"] = _START_MS
    tick_ms = MINUTE_MS
    begins = 150
    called = np.full(items, -1)
    for tick in range(days * DAY_MS // tick_ms):
        pace = rate * (factor if tick >= begins else 1.0)
        rows["tick_orders"] = chance.poisson(pace * tick_ms / DAY_MS, items)
        is_tested = (rows["tick_orders"] > 0) | ((tick + 1) % 1440 == 0)
        chosen = np.flatnonzero(is_tested & (called < 0)).astype(np.int32)
        end = _START_MS + (tick + 1) * tick_ms
        means = surge_tick(rows, chosen, flat_profile(), end, tick_ms, Pool(1.0, 0.02), settings)
        found = chosen[is_proved_still(Columns(rows, chosen), means, settings.level, settings)]
        if tick >= begins:
            called[found[called[found] < 0]] = tick
        if (called >= 0).all():
            break
    return np.where(called >= 0, (called + 1 - begins) * tick_ms / DAY_MS, -1.0)


def tell_false_alarms(results: list[FalseAlarms], settings: SurgeSettings) -> str:
    """Return the false alarms as text."""
    budget = settings.false_items_per_100000 * ITEM_SHARE
    lines = [
        f"level {settings.level:.1f}; the items' part of the budget: {budget:g} false items of "
        f"100,000 in a sale of {settings.sale_days:g} days",
        f"{sum(one.item_ticks for one in results):,} item-ticks of {_TICK_MS // MINUTE_MS} minutes",
        f"{'a shop without surges':<36}{'items x sales':>14}{'false':>7}{'of 100,000':>12}  95 %",
    ]
    for one in results:
        low, high = one.range_95()
        verdict = "" if low <= budget else "  OVER THE BUDGET"
        lines.append(
            f"{one.shop.name:<36}{one.sales:>14,}{one.false:>7}{one.per_100000:>12.1f}"
            f"  {low:.1f} to {high:.1f}{verdict}"
        )
    return "\n".join(lines)


def delay_table(settings: SurgeSettings) -> list[tuple[float, ...]]:
    """Return rows of (rate, factor, share found, median orders, 90 % orders, lower bound)."""
    rows = []
    for rate, factor in steps("surges of known factors", list(product(_RATES, _FACTORS))):
        waited = delays(rate, factor, settings, items=300, seed=17)
        found = waited[waited >= 0] * rate * factor
        median, late = np.quantile(found, [0.5, 0.9]) if found.size else (np.nan, np.nan)
        bound = lower_bound_orders(factor, settings) if factor > NULL_FACTOR else math.inf
        rows.append((rate, factor, found.size / waited.size, median, late, bound))
    return rows


def tell_delays(rows: Sequence[tuple[float, ...]]) -> str:
    """Return the delays as text."""
    lines = [
        "orders from the beginning of a surge to the alarm, three days at the most",
        f"{'orders a day':>12}{'factor':>8}{'found':>8}{'median':>9}{'90 %':>9}{'bound':>9}",
    ]
    for rate, factor, found, median, late, bound in rows:
        lines.append(f"{rate:>12g}{factor:>8g}{found:>8.0%}{median:>9.1f}{late:>9.1f}{bound:>9.1f}")
    lines.append(
        "the bound is ln(level) / KL, in orders; below 1.5 times nothing is meant to be found, and "
        "no alarm comes before the eighth order"
    )
    return "\n".join(lines)


def plot_delays(rows: Sequence[tuple[float, ...]], path: Path) -> None:
    """Draw the delay over the factor, beside its lower bound."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for rate in sorted({row[0] for row in rows}):
        mine = [row for row in rows if row[0] == rate and row[1] > NULL_FACTOR]
        axes.plot(
            [row[1] for row in mine], [row[3] for row in mine], "o-", label=f"{rate:g} orders a day"
        )
    bounds = [(row[1], row[5]) for row in rows if math.isfinite(row[5])]
    axes.plot(*zip(*sorted(set(bounds)), strict=True), "k--", label="ln(level) / KL")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="factor of the surge",
        ylabel="orders until the alarm (median)",
        title="Delay of the surge test",
    )
    axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def tick_milliseconds(items: int, ticks: int = 20) -> tuple[float, float]:
    """Return the median and the longest time of a tick in which every item has orders."""
    chance = np.random.default_rng(2)
    rates = baseline_rates(items, chance)
    rows, pool = learned_rows(rates, Shop("plain", size=10.0), SurgeSettings(), chance)
    chosen = np.arange(items, dtype=np.int32)
    times = []
    for tick in range(ticks + 1):
        rows["tick_orders"] = 1 + chance.poisson(rates / 1440)
        end = _START_MS + 12 * HOUR_MS + (tick + 1) * MINUTE_MS
        started = time.thread_time()
        surge_tick(rows, chosen, flat_profile(), end, MINUTE_MS, pool, SurgeSettings())
        times.append(1000 * (time.thread_time() - started))
    return float(np.median(times[1:])), times[0]


def main() -> int:
    """Simulate, print, draw; 1 where the budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--sales", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, help="draw the delays to this file")
    arguments = parser.parse_args()
    settings = SurgeSettings()
    print(f"seed {arguments.seed}")
    results = [
        false_alarms(shop, settings, arguments.items, arguments.sales, arguments.seed)
        for shop in steps("shops without surges", SHOPS)
    ]
    print(tell_false_alarms(results, settings))
    plans = [
        false_plans(size, due, share, settings, 2 * arguments.items, arguments.seed)
        for share, size, due in steps("plans", PLANS)
    ]
    print(tell_plans(plans, settings))
    rows = delay_table(settings)
    print(tell_delays(rows))
    if arguments.plot:
        plot_delays(rows, arguments.plot)
    baseline, first = tick_milliseconds(100_000)
    print(
        f"a tick of 100,000 items, all with orders: {baseline:.0f} ms of one core; the first of a "
        f"day, at noon: {first:.0f} ms; {ROW.itemsize} bytes an item, all that is known of it"
    )
    budget = settings.false_items_per_100000 * ITEM_SHARE
    over = any(one.range_95()[0] > budget for one in results)
    return int(over)


if __name__ == "__main__":
    raise SystemExit(main())
