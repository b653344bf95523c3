"""How fast each item sells, as planned and as it is; how long its stock lasts."""

from typing import NamedTuple

import numpy as np

from infra.page.snapshot import ItemsTable, ShardView, Snapshot
from streams.demand.week_profile import HOURS, Profile, flat_profile
from streams.detection.factors import current_units_per_day
from streams.detection.stock_cover import available_units, minutes_to_zero
from streams.settings import ProfileSettings, SurgeSettings
from streams.timestamps import DAY_MS, HOUR_MS
from streams.types import BoolArray, Float64Array, Int64Array

_SURPRISE_SD = 3.0  # the last hour counts if it is so many Poisson deviations above the baseline
_SURPRISE_UNITS = 2.0  # and at the least so many units


def hour_shares(shard: ShardView) -> Float64Array:
    """Return the share of an average day in each hour of the learned week, shape (168,)."""
    return _profile(shard).hours / 24.0


def _profile(shard: ShardView) -> Profile:
    return Profile.restore(shard.profile, ProfileSettings()) if shard.profile else flat_profile()


def baseline_units_per_hour(snapshot: Snapshot, at_ms: int) -> Float64Array:
    """Return what each item is expected to sell in an hour at a time, without campaigns."""
    table = snapshot.items
    hour = at_ms // HOUR_MS % HOURS
    units: Float64Array = _levels(table) * _hour_shares(snapshot)[hour, table.partitions]
    return units


def _levels(table: ItemsTable) -> Float64Array:
    levels: Float64Array = np.maximum(table.rows["demand_level_units_per_day"], 0.0)
    return levels


def _hour_shares(snapshot: Snapshot) -> Float64Array:
    """Share of a day in each hour of the week, as each partition learned it, (hour, partition)."""
    highest = max((shard.partition for shard in snapshot.shards), default=0)
    highest = max(highest, int(snapshot.items.partitions.max(initial=0)))
    shares = np.zeros((HOURS, highest + 1))
    for shard in snapshot.shards:
        shares[:, shard.partition] = hour_shares(shard)
    return shares


def campaign_units_per_hour(table: ItemsTable, at_ms: int) -> Float64Array:
    """Return what campaigns that run at a time are planned to sell an hour beyond the baseline."""
    lines = table.campaigns
    running = (lines["starts_ms"] <= at_ms) & (at_ms < lines["ends_ms"])
    extra = _extra_units_per_hour(table)[running]
    planned = np.zeros(table.rows.size)
    np.add.at(planned, lines["item"][running], extra)
    return planned


def _extra_units_per_hour(table: ItemsTable) -> Float64Array:
    """Return what each campaign line plans beyond baseline demand, shape (line,)."""
    lines = table.campaigns
    length_ms = lines["ends_ms"] - lines["starts_ms"]
    level = table.rows["demand_level_units_per_day"][lines["item"]]
    extra_units = np.maximum(0.0, lines["expected_units"] - level * length_ms / DAY_MS)
    extra: Float64Array = extra_units * HOUR_MS / np.maximum(length_ms, 1)
    return extra


def plan_units_per_minute(snapshot: Snapshot, at_ms: Int64Array) -> Float64Array | None:
    """Return what the whole shop is planned to sell a minute at each time; None means nothing is
    known.

    Baseline demand by the hour, and the units of campaigns that run then. Sums are over one item
    after the other; they are shown, and decide nothing.
    """
    table = snapshot.items
    is_known = table.rows["observed_days"] > 0
    if not is_known.any() and not table.campaigns.size:
        return None
    shares = _hour_shares(snapshot)
    levels = np.bincount(table.partitions, weights=_levels(table), minlength=shares.shape[1])
    plan: Float64Array = (shares @ levels)[at_ms // HOUR_MS % HOURS] / 60
    lines, extra = table.campaigns, _extra_units_per_hour(table) / 60
    for place, moment in enumerate(at_ms.tolist()):
        plan[place] += extra[(lines["starts_ms"] <= moment) & (moment < lines["ends_ms"])].sum()
    return plan


def speeds(snapshot: Snapshot) -> tuple[Float64Array, BoolArray]:
    """Return units an hour of each item, and whether the last hour gave them.

    The last hour counts where it is clearly above the baseline; otherwise the baseline demand of
    this hour with the campaigns that run, which a single sale cannot shake. Items of which no day
    has closed yet have nothing but the last hour.
    """
    table = snapshot.items
    at_ms = snapshot.shop_ms or 0
    baseline = baseline_units_per_hour(snapshot, at_ms) + campaign_units_per_hour(table, at_ms)
    sold = table.last_hour_units
    is_fast = sold > baseline + _SURPRISE_SD * np.sqrt(baseline) + _SURPRISE_UNITS
    is_new = table.rows["observed_days"] == 0
    by_last_hour: BoolArray = (is_fast | is_new) & (sold > 0)
    return np.where(by_last_hour, sold, baseline), by_last_hour


class Lasting(NamedTuple):
    """How long each stock lasts, in minutes, shape (item,); infinite: not known, or for good.

    Attributes:
        to_zero: until it is sold at the item's current rate, as its alerts tell it.
        at_speed: what is available by the speed of this hour, where the last hour or a campaign
            makes that speed; else infinite.
        earliest: the earlier of both, of items that sell.
    """

    to_zero: Float64Array
    at_speed: Float64Array
    earliest: Float64Array


def lasting_of(snapshot: Snapshot) -> Lasting:
    """Return how long each stock lasts."""
    table = snapshot.items
    rates = current_units_per_day(table.rows, SurgeSettings())
    to_zero = _minutes_to_zero(snapshot, rates)
    at_speed, sells_now = _minutes_at_speed(snapshot)
    earliest = np.where(sells_now | (rates > 0), np.minimum(to_zero, at_speed), np.inf)
    return Lasting(to_zero, at_speed, earliest)


def _minutes_to_zero(snapshot: Snapshot, units_per_day: Float64Array) -> Float64Array:
    """Each partition has learned a week of its own."""
    table = snapshot.items
    minutes = np.full(table.rows.size, np.inf)
    for shard in snapshot.shards:
        here = table.partitions == shard.partition
        minutes[here] = minutes_to_zero(
            table.rows[here], units_per_day[here], _profile(shard), snapshot.shop_ms or 0
        )
    return minutes


def _minutes_at_speed(snapshot: Snapshot) -> tuple[Float64Array, BoolArray]:
    """Return minutes at the speed of this hour, and whether an item sells at all in it."""
    table = snapshot.items
    units_per_hour, by_last_hour = speeds(snapshot)
    in_campaign = campaign_units_per_hour(table, snapshot.shop_ms or 0) > 0
    minutes = np.full(table.rows.size, np.inf)
    sells_now: BoolArray = units_per_hour > 0
    is_live = (table.rows["counted_at_ms"] > 0) & sells_now & (by_last_hour | in_campaign)
    np.divide(60.0 * available_units(table.rows), units_per_hour, out=minutes, where=is_live)
    return minutes, sells_now
