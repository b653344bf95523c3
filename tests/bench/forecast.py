"""Forecasts of the sum over 4, 9 and 13 days on real orders, beside methods that everybody knows.

    python -m tests.bench.forecast                      # all of it, some minutes
    python -m tests.bench.forecast --ets-items 0 --plot p.png

Rolling origin: every ten days from the 90th on, nothing of the future is looked at. Tidegate's
forecasts come from the rows of a shard that read the sales up to then (`tests.bench.replayed`):
mean and variance as `streams.demand.estimate.demand_over` gives them to the decision, as a negative
binomial. The peers see the daily series since the item's first sale, and their forecast is the
same kind of distribution around their own mean and variance, except AutoETS, that simulates.
Pinball losses are sums over items and origins, doubled and divided by the units sold: weighted
quantile loss. All methods of a table are judged on the same items and origins.

Units are whole, so a quantile covers more than its share even when the forecast is right: no
quantile of an item that sells once a month covers less than its chance of nothing. Beside the
share at or below a quantile therefore stands one in which a sum that equals it counts by what the
forecast itself says of such sums; that one has to be 50, 90 and 95 %.

Parameters were chosen on the development half of the items (seed 2011); the other half was looked
at when they stood. A few items make much of a loss: of Tidegate's loss over AutoETS's the range is
told that comes from drawing the items anew.
"""

import argparse
import multiprocessing
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

from policy.compiled import compiled
from streams.demand.estimate import demand_over
from streams.demand.week_profile import operational_days
from streams.settings import ShardSettings, TimelineSettings
from streams.timestamps import DAY_MS, HOUR_MS
from tests.bench.progress import steps
from tests.bench.replayed import Replay, by_day, daily_units, read_sales

DATA = Path(__file__).parents[3] / "shared" / "data"
HORIZONS = (4, 9, 13)
QUANTILES = (0.5, 0.9, 0.95)
LEVELS = np.array(QUANTILES)[:, None]
FIRST_ORIGIN, LAST_ORIGIN, STEP = 90, 360, 10
LEAST_HISTORY_DAYS = 14  # since an item's first sale
HALVES_SEED = 2011
DRAWS = 1_000  # of the items, for a range
PATHS = 300  # simulated by AutoETS


class Forecast(NamedTuple):
    """What one method says at one origin of one horizon: arrays of shape (item,)."""

    mean: np.ndarray
    quantiles: np.ndarray  # shape (quantile, item)
    tied: np.ndarray  # of sums that equal a quantile, the share to count as below it; likewise


Method = Callable[[np.ndarray, int, tuple[int, ...]], list[Forecast]]
"""From histories, shape (item, day), first sales and horizons to a forecast for each horizon."""


def negative_binomial(mean: np.ndarray, variance: np.ndarray) -> Forecast:
    """A forecast by moments; where the variance is too small for it, Poisson."""
    mean = np.maximum(mean, 1e-6)
    size = mean * mean / np.maximum(variance - mean, 1e-6 * mean)
    chance = size / (size + mean)
    quantiles = stats.nbinom.ppf(LEVELS, size, chance)
    below, up_to = (stats.nbinom.cdf(quantiles - less, size, chance) for less in (1, 0))
    return Forecast(mean, quantiles, tied(below, up_to))


def tied(below: np.ndarray, up_to: np.ndarray) -> np.ndarray:
    """Of sums that equal a quantile, the share that makes up what is missing below it.

    Args:
        below, up_to: chances of a sum below, and of one up to each quantile, (quantile, item).
    """
    wide = up_to > below
    share = np.divide(LEVELS - below, up_to - below, out=np.ones_like(below), where=wide)
    return np.clip(share, 0.0, 1.0)


# -- peers -----------------------------------------------------------------------------------------


def moving_average(history: np.ndarray, days: int = 28) -> tuple[float, float]:
    """Mean and variance of the newest four weeks."""
    newest = history[-days:]
    return float(newest.mean()), float(newest.var(ddof=1))


@compiled
def exponential_smoothing(history: np.ndarray, weight: float = 0.1) -> tuple[float, float]:
    """Level and variance of its one-step errors; young items by their mean."""
    level, variance = float(history[0]), 0.0
    for place, sold in enumerate(history[1:], 2):
        error = sold - level
        share = max(weight, 1 / place)
        level += share * error
        variance += share * (error * error - variance)
    return level, variance


@compiled
def tsb(history: np.ndarray, weight: float = 0.1) -> tuple[float, float]:
    """Teunter, Syntetos, Babai (2011): chance of a sale each day, size at sales."""
    sold = history > 0
    chance, size, squares = float(sold.mean()), float(history[sold][0]), 0.0
    for place in range(history.size):
        units, is_sale = history[place], sold[place]
        chance += weight * (is_sale - chance)
        if is_sale:
            squares += weight * ((units - size) ** 2 - squares)
            size += weight * (units - size)
    return chance * size, chance * (squares + size * size) - (chance * size) ** 2


def croston(history: np.ndarray, weight: float = 0.1) -> tuple[float, float]:
    """Croston (1972) with the correction of Syntetos and Boylan (2005)."""
    places = np.flatnonzero(history)
    gaps = np.diff(places)
    if not gaps.size:
        return float(history.mean()), float(history.var())
    # Begun by the means: a first gap alone would stay in a slow item's estimate for a year.
    size, gap, squares = float(history[places].mean()), float(gaps.mean()), 0.0
    for units, passed in zip(history[places[1:]], gaps, strict=True):
        squares += weight * ((units - size) ** 2 - squares)
        size += weight * (units - size)
        gap += weight * (passed - gap)
    mean = (1 - weight / 2) * size / gap
    return mean, (squares + size * size) / gap - mean * mean


def by_day_moments(moments: Callable[[np.ndarray], tuple[float, float]]) -> Method:
    """Make a method of one that gives mean and variance of independent days."""

    def forecast(units: np.ndarray, first: np.ndarray, horizons: tuple[int, ...]) -> list[Forecast]:
        told = np.array(
            [moments(series[start:]) for series, start in zip(units, first, strict=True)]
        ).reshape(-1, 2)
        return [negative_binomial(told[:, 0] * days, told[:, 1] * days) for days in horizons]

    return forecast


def auto_ets(units: np.ndarray, first: np.ndarray, horizons: tuple[int, ...]) -> list[Forecast]:
    """AutoETS of statsforecast with a season of a week: sums over paths with resampled errors."""
    means = np.zeros((len(horizons), units.shape[0]))
    quantiles, below, up_to = np.zeros((3, len(horizons), len(QUANTILES), units.shape[0]))
    work = [
        (place, series[start:].astype(float), horizons)
        for place, (series, start) in enumerate(zip(units, first, strict=True))
    ]
    # Spawned: the kernels of the parent may hold threads, which a fork would not bring along.
    with multiprocessing.get_context("spawn").Pool() as pool:
        every = pool.starmap(_sums_of_paths, work, chunksize=4)
    for place, sums_by_horizon in enumerate(every):
        for number, sums in enumerate(sums_by_horizon):
            means[number, place] = sums.mean()
            found = quantiles[number, :, place] = np.quantile(sums, QUANTILES)
            below[number, :, place] = (sums < found[:, None]).mean(axis=1)
            up_to[number, :, place] = (sums <= found[:, None]).mean(axis=1)
    return [Forecast(*told) for told in zip(means, quantiles, map(tied, below, up_to), strict=True)]


def _sums_of_paths(place: int, series: np.ndarray, horizons: tuple[int, ...]) -> np.ndarray:
    """Sums over each horizon of simulated paths, shape (horizon, path)."""
    from statsforecast.models import AutoETS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoETS(season_length=7).fit(series)
        paths = model.simulate(max(horizons), PATHS, seed=place, error_distribution="bootstrap")
    return np.array([np.maximum(paths[:, :days].sum(axis=1), 0.0) for days in horizons])


PEERS: dict[str, Method] = {
    "moving average, 28 days": by_day_moments(moving_average),
    "exponential smoothing": by_day_moments(exponential_smoothing),
    "TSB": by_day_moments(tsb),
    "Croston-SBA": by_day_moments(croston),
}
TIDEGATE = "Tidegate"

# -- Tidegate --------------------------------------------------------------------------------------


class Snapshot(NamedTuple):
    """What a shard knew at an origin."""

    rows: np.ndarray  # of the skus in the order asked for
    elapsed: np.ndarray


def snapshots(path: Path, skus: list[str], first_day: int, origins: list[int]) -> list[Snapshot]:
    """Read the sales through a shard and return what it knew at each origin."""
    # Hourly ticks: the surge test is not looked at here, and minutes would only take longer.
    replay = Replay(ShardSettings(timeline=TimelineSettings(tick_ms=HOUR_MS)))
    taken: list[Snapshot] = []
    for day, values in by_day(read_sales(path)):
        while len(taken) < len(origins) and first_day + origins[len(taken)] <= day:
            taken.append(_snapshot(replay, skus, first_day + origins[len(taken)]))
        replay.read("orders", values)
        replay.pass_time((day + 1) * DAY_MS)
    return taken


def _snapshot(replay: Replay, skus: list[str], day: int) -> Snapshot:
    replay.pass_time(day * DAY_MS)
    items = replay.shard.timeline.items
    rows = np.zeros(len(skus), items.rows.dtype)
    for place, sku in enumerate(skus):
        found = items.find(sku, "main")
        if found is not None:
            rows[place] = items.rows[found]
    return Snapshot(rows, replay.shard.timeline.state.profile.elapsed.copy())


def tidegate(snapshot: Snapshot, day: int, chosen: np.ndarray) -> list[Forecast]:
    """Forecast from what a shard knew before a day since the epoch."""
    told = []
    for days in HORIZONS:
        ahead = operational_days(snapshot.elapsed, day * DAY_MS, (day + days) * DAY_MS)
        rows = snapshot.rows[chosen]
        told.append(negative_binomial(*demand_over(rows, np.full(rows.size, float(ahead)))))
    return told


# -- judging ---------------------------------------------------------------------------------------


class Score:
    """Sums of one method at one horizon, by item.

    Args:
        items: how many.
    """

    def __init__(self, items: int) -> None:
        self.loss, self.below, self.evened = np.zeros((3, len(QUANTILES), items))
        self.sold, self.foreseen, self.count = np.zeros((3, items))

    def add(self, items: np.ndarray, forecast: Forecast, sold: np.ndarray) -> None:
        """Judge one forecast of some items."""
        miss = sold - forecast.quantiles
        self.loss[:, items] += np.maximum(LEVELS * miss, (LEVELS - 1) * miss)
        self.below[:, items] += miss <= 0
        self.evened[:, items] += np.where(miss == 0, forecast.tied, miss < 0)
        self.sold[items] += sold
        self.foreseen[items] += forecast.mean
        self.count[items] += 1

    def part(self, items: np.ndarray) -> "Score":
        """The score of some of the items, or of items drawn with repetition."""
        part = Score(0)
        for name, sums in vars(self).items():
            setattr(part, name, sums[..., items])
        return part

    @property
    def weighted_losses(self) -> np.ndarray:
        """Pinball losses, doubled, by unit sold."""
        return 2 * self.loss.sum(axis=1) / self.sold.sum()

    @property
    def bias(self) -> float:
        """Units foreseen too much, by unit sold."""
        return float(self.foreseen.sum() / self.sold.sum() - 1)

    @property
    def coverage(self) -> np.ndarray:
        """Share of sums at or below each quantile."""
        return self.below.sum(axis=1) / self.count.sum()

    @property
    def evened_coverage(self) -> np.ndarray:
        """Share of sums below each quantile, with the forecast's share of those that equal it."""
        return self.evened.sum(axis=1) / self.count.sum()


Scores = dict[str, list[Score]]


def judge(
    units: np.ndarray,
    first_day: int,
    known: list[Snapshot],
    origins: list[int],
    items: np.ndarray,
    peers: dict[str, Method],
) -> Scores:
    """Let all methods forecast the items at the origins."""
    first_sale = np.where(units.any(axis=1), (units > 0).argmax(axis=1), units.shape[1])
    count = units.shape[0]
    scores: Scores = {name: [Score(count) for _ in HORIZONS] for name in (TIDEGATE, *peers)}
    known_at = list(zip(origins, known, strict=True))
    for origin, snapshot in steps("judging forecasts at origins", known_at):
        chosen = items[first_sale[items] < origin - LEAST_HISTORY_DAYS]
        told = {TIDEGATE: tidegate(snapshot, first_day + origin, chosen)}
        for name, method in peers.items():
            told[name] = method(units[chosen, :origin], first_sale[chosen], HORIZONS)
        for name, forecasts in told.items():
            for score, forecast, days in zip(scores[name], forecasts, HORIZONS, strict=True):
                score.add(chosen, forecast, units[chosen, origin : origin + days].sum(axis=1))
    return scores


def runaways(told: list[Score], units: np.ndarray) -> np.ndarray:
    """Return on which items a method foresees, in the mean, more than was ever sold in as long."""
    found = np.zeros(units.shape[0], bool)
    for score, days in zip(told, HORIZONS, strict=True):
        sums = np.lib.stride_tricks.sliding_window_view(units, days, axis=1).sum(axis=2)
        found |= score.foreseen > score.count * sums.max(axis=1)
    return found


def part(scores: Scores, items: np.ndarray) -> Scores:
    """Return the scores of some of the items."""
    return {name: [score.part(items) for score in told] for name, told in scores.items()}


def loss_ratios(one: Score, other: Score, seed: int) -> np.ndarray:
    """Return one's losses over the other's: as they are, and the 5 and 95 % of redrawn items.

    Returns:
        Shape (3, quantile).
    """
    judged = np.flatnonzero(one.count)
    random = np.random.default_rng(seed)
    redrawn = [random.choice(judged, judged.size) for _ in range(DRAWS)]
    ratios = [
        one.loss[:, items].sum(axis=1) / other.loss[:, items].sum(axis=1) for items in redrawn
    ]
    whole = one.loss.sum(axis=1) / other.loss.sum(axis=1)
    return np.vstack([whole, np.quantile(ratios, (0.05, 0.95), axis=0)])


def report(scores: Scores, title: str) -> Iterator[str]:
    """Yield a table: losses, whether best, bias, coverage."""
    yield f"\n{title}"
    for number, days in enumerate(HORIZONS):
        best = np.min([score[number].weighted_losses for score in scores.values()], axis=0)
        yield (
            f"\n{days:2d} days                 loss at 50 %   90 %   95 %   "
            "worse than the best by      bias   covers at 50 % 90 % 95 %   with ties split"
        )
        for name, by_horizon in scores.items():
            score = by_horizon[number]
            losses = "  ".join(f"{loss:.3f}" for loss in score.weighted_losses)
            behind = "  ".join(f"{more:5.1%}" for more in score.weighted_losses / best - 1)
            covered, evened = (
                "  ".join(f"{share:.1%}" for share in shares)
                for shares in (score.coverage, score.evened_coverage)
            )
            yield (
                f"{name:24s} {losses:>24s}   {behind:>22s}   {score.bias:+7.1%}   {covered:>20s}   "
                f"{evened:>20s}"
            )


def plot(scores: Scores, path: Path) -> None:
    """Draw the losses of all methods, beside their coverage."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(HORIZONS), figsize=(13, 7), sharey="row")
    for number, days in enumerate(HORIZONS):
        for name, by_horizon in scores.items():
            style = {"linewidth": 2.5, "color": "black"} if name == TIDEGATE else {"alpha": 0.7}
            score = by_horizon[number]
            axes[0, number].plot(QUANTILES, score.weighted_losses, "o-", label=name, **style)
            axes[1, number].plot(QUANTILES, score.coverage, "o-", **style)
        axes[1, number].plot(QUANTILES, QUANTILES, "k:", label="as it should be")
        axes[0, number].set_title(f"sum over {days} days")
        axes[1, number].set_xlabel("quantile")
    axes[0, 0].set_ylabel("pinball loss, doubled, by unit sold (low is good)")
    axes[1, 0].set_ylabel("share of sums at or below")
    axes[0, 0].legend(fontsize=8)
    axes[1, 0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the shared data")
    parser.add_argument("--ets-items", type=int, default=600, help="items for AutoETS; 0: without")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--plot", type=Path, help="write a picture here")
    options = parser.parse_args(arguments)
    name = "uci_online_retail_year2"
    skus, first_day, units = daily_units(options.data / f"{name}.daily.csv.gz")
    origins = list(range(FIRST_ORIGIN, LAST_ORIGIN + 1, STEP))
    known = snapshots(options.data / f"{name}.jsonl.gz", skus, first_day, origins)
    every = np.arange(len(skus))
    scores = judge(units, first_day, known, origins, every, PEERS)
    print(f"{len(skus)} items, {len(origins)} origins", end="")
    print("\n".join(report(scores, "all items")))
    held_out = np.random.default_rng(HALVES_SEED).permutation(len(skus)) >= len(skus) // 2
    print("\n".join(report(part(scores, held_out), "held-out half of the items")))
    if options.plot:
        plot(scores, options.plot)
    if options.ets_items:
        print("\n".join(_beside_auto_ets(skus, units, first_day, known, origins, options)))
    return 0


def _beside_auto_ets(
    skus: list[str],
    units: np.ndarray,
    first_day: int,
    known: list[Snapshot],
    origins: list[int],
    options: argparse.Namespace,
) -> Iterator[str]:
    """Judge all methods on a part, because AutoETS takes a third of a second for each forecast.

    Told twice: an item on which it runs away decides every mean alone, so that the second table
    leaves those out, for all methods, and names them.
    """
    try:
        import statsforecast
    except ImportError:
        yield "\nAutoETS left out: statsforecast is not installed (pip install .[bench])"
        return
    drawn = np.random.default_rng(options.seed).permutation(units.shape[0])[: options.ets_items]
    few = slice(None, None, 3)
    name = f"AutoETS {statsforecast.__version__}"
    peers = {**PEERS, name: auto_ets}
    scores = judge(units, first_day, known[few], origins[few], np.sort(drawn), peers)
    yield from report(
        scores, f"{drawn.size} items drawn by seed {options.seed}, every third origin"
    )
    ran_away = np.flatnonzero(runaways(scores[name], units))
    scores = part(scores, np.setdiff1d(drawn, ran_away))
    yield from report(
        scores,
        f"without {ran_away.size} on which AutoETS runs away: "
        + ", ".join(skus[item] for item in ran_away.tolist()),
    )
    yield f"\nTidegate's loss over that of {name}, and its 90 % range over items drawn anew"
    for days, ours, theirs in zip(HORIZONS, scores[TIDEGATE], scores[name], strict=True):
        ratios = loss_ratios(ours, theirs, options.seed).T
        told = "   ".join(f"{ratio:.3f} ({low:.2f}-{high:.2f})" for ratio, low, high in ratios)
        yield f"{days:2d} days   {told}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
