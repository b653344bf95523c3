"""The shop's week: how its orders spread over the 168 hours, learned, and time measured by it.

Operational time runs fast where the shop sells and nearly stands still where it is closed: nights,
closed weekdays. A week always has 7 operational days, so that a rate in orders per operational day
is the mean over the calendar days of an ordinary week, and the orders expected in any stretch are
that rate times its operational days. A closure, a day on which the whole shop was silent although
orders were due, teaches neither the profile nor the items.

All that is learned rests on whole counts of the shop (of the shard's items: a shard sees only its
partition), so it does not depend on the order in which items were first seen. Hours are counted
from Thursday 00:00 UTC, the weekday on which the epoch began.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from policy.compiled import compiled
from streams.settings import ProfileSettings
from streams.timestamps import DAY_MS, HOUR_MS
from streams.types import Float64Array, Int64Array

WEEKDAYS = 7
HOURS = 168
WEEK_MS = WEEKDAYS * DAY_MS


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of the week.

    Attributes:
        orders: orders by hour of the week, older ones with less weight, shape (168,).
        days: days that they rest on, with the same weights, shape (7,).
        silent_weeks: closures of each weekday in a row, shape (7,).
        missing_orders: orders that were due since the last day with any.
        elapsed: operational days from the week's start to each hour's, shape (169,); ends at 7.
    """

    orders: Float64Array
    days: Float64Array
    silent_weeks: Int64Array
    missing_orders: float
    elapsed: Float64Array

    @property
    def is_known(self) -> bool:
        """Whether any order has taught it."""
        return bool(self.orders.any())

    @property
    def hours(self) -> Float64Array:
        """Weight of each hour of the week, shape (168,), mean 1."""
        weights: Float64Array = np.diff(self.elapsed) * 24.0
        return weights

    def state(self) -> list[float]:
        """What has to be stored."""
        parts = (self.orders, self.days, self.silent_weeks, [self.missing_orders])
        return [float(value) for part in parts for value in part]

    @classmethod
    def restore(cls, state: list[float], settings: ProfileSettings) -> "Profile":
        """Make the profile again from what was stored."""
        orders, days, silent_weeks, missing = np.split(np.array(state), (168, 175, 182))
        elapsed = _elapsed(orders, days, settings)
        return cls(orders, days, silent_weeks.astype(np.int64), float(missing[0]), elapsed)


def flat_profile() -> Profile:
    """Return the profile of a shop of which nothing is known yet: operational is calendar time."""
    even = np.arange(HOURS + 1) / 24.0
    return Profile(np.zeros(HOURS), np.zeros(WEEKDAYS), np.zeros(WEEKDAYS, np.int64), 0.0, even)


def hours_of_day(profile: Profile, at_ms: int) -> Float64Array:
    """Return the share of a day's orders that falls into each UTC hour, shape (24,), sum 1.

    Args:
        profile: the week.
        at_ms: any time of the day.
    """
    weekday = at_ms // DAY_MS % WEEKDAYS
    hours = profile.hours[24 * weekday : 24 * weekday + 24]
    shares: Float64Array = hours / hours.sum()
    return shares


@compiled
def _place(elapsed: Float64Array, at_ms: Any) -> Any:
    """Operational days from the epoch to a time."""
    hour = at_ms % WEEK_MS // HOUR_MS
    part = at_ms % HOUR_MS / HOUR_MS
    start = elapsed[hour]
    return WEEKDAYS * (at_ms // WEEK_MS) + start + part * (elapsed[hour + 1] - start)


@compiled
def operational_days(elapsed: Float64Array, start_ms: Any, end_ms: Any) -> Any:
    """Return how many operational days lie between two times.

    For kernels and for arrays alike: times are whole numbers, or arrays of one shape.

    Args:
        elapsed: of a `Profile`, shape (169,).
        start_ms: time since the epoch.
        end_ms: likewise; before the start, the result is negative.

    Returns:
        Operational days, of the times' shape.

    >>> float(operational_days(flat_profile().elapsed, 0, 36 * HOUR_MS))
    1.5
    """
    return _place(elapsed, end_ms) - _place(elapsed, start_ms)


def operational_end_ms(elapsed: Float64Array, start_ms: int, days: float) -> int:
    """Return when so many operational days will have passed since a time.

    >>> operational_end_ms(flat_profile().elapsed, 5, 1.5) == 5 + 36 * HOUR_MS
    True
    """
    return int(operational_ends_ms(elapsed, start_ms, np.array([days]))[0])


def operational_ends_ms(elapsed: Float64Array, start_ms: int, days: Float64Array) -> Int64Array:
    """Return the same for each of some numbers of operational days, of their shape."""
    in_week = float(_place(elapsed, start_ms % WEEK_MS)) + days
    weeks, rest = np.divmod(in_week, WEEKDAYS)
    hours = np.interp(rest, elapsed, np.arange(HOURS + 1.0))
    passed: Int64Array = weeks.astype(np.int64) * WEEK_MS + np.rint(hours * HOUR_MS).astype(
        np.int64
    )
    return start_ms // WEEK_MS * WEEK_MS + passed


def due_by_hour(profile: Profile, day: int) -> Float64Array:
    """Return the orders that the week expects of each hour of a day, shape (24,).

    Args:
        profile: the week.
        day: days since the epoch.
    """
    weekday = day % WEEKDAYS
    hours = np.diff(profile.elapsed)[24 * weekday : 24 * weekday + 24]
    due: Float64Array = hours * _orders_per_day(profile.orders, profile.days)
    return due


def learn_day(
    profile: Profile, orders_by_hour: Float64Array, day: int, settings: ProfileSettings
) -> tuple[Profile, float]:
    """Take a closed day into the profile.

    Args:
        profile: before the day.
        orders_by_hour: the shop's orders in its hours, shape (24,).
        day: days since the epoch.
        settings: how fast, and what a closure is.

    Returns:
        The profile after it, and the operational days for which the day counts when it teaches
        items: 0 for a closure. A day out of turn, open though that weekday is closed, counts for
        as much as the shop sold on it.
    """
    weekday = day % WEEKDAYS
    sold = float(orders_by_hour.sum())
    if not sold and not profile.is_known:
        return profile, 0.0
    if not sold:
        profile = _miss(profile, weekday)
        if _is_closure(profile, weekday, settings):
            return profile, 0.0
    else:
        profile = replace(profile, missing_orders=0.0)
    baseline = float(profile.elapsed[24 * weekday + 24] - profile.elapsed[24 * weekday])
    rate = _orders_per_day(profile.orders, profile.days)
    counts_days = max(baseline, min(1.0, sold / rate)) if rate and baseline < 0.25 else baseline
    return _teach(profile, orders_by_hour, weekday, settings), counts_days


def _miss(profile: Profile, weekday: int) -> Profile:
    """Note a silent day: how many orders were due, and how often that weekday was silent."""
    due = profile.orders[24 * weekday : 24 * weekday + 24].sum() / max(profile.days[weekday], 1e-9)
    silent_weeks = profile.silent_weeks.copy()
    silent_weeks[weekday] += 1
    missing = profile.missing_orders + float(due)
    return replace(profile, silent_weeks=silent_weeks, missing_orders=missing)


def _is_closure(profile: Profile, weekday: int, settings: ProfileSettings) -> bool:
    """Whether a silent day is out of the ordinary; a weekday never seen open is not."""
    was_open = bool(profile.orders[24 * weekday : 24 * weekday + 24].any())
    is_new = profile.silent_weeks[weekday] < settings.closed_weeks
    return was_open and bool(is_new) and profile.missing_orders >= settings.closure_orders


def _teach(
    profile: Profile, orders_by_hour: Float64Array, weekday: int, settings: ProfileSettings
) -> Profile:
    kept = 0.5 ** (1.0 / settings.half_life_days)
    orders, days = profile.orders * kept, profile.days * kept
    orders[24 * weekday : 24 * weekday + 24] += orders_by_hour
    days[weekday] += 1.0
    silent_weeks = profile.silent_weeks.copy()
    if orders_by_hour.any():
        silent_weeks[weekday] = 0
    elapsed = _elapsed(orders, days, settings)
    return Profile(orders, days, silent_weeks, profile.missing_orders, elapsed)


def _orders_per_day(orders: Float64Array, days: Float64Array) -> float:
    """Mean over the weekdays that were seen, each by its own mean; 0 if none was."""
    seen = days > 0
    by_weekday = orders.reshape(WEEKDAYS, 24).sum(axis=1)[seen] / days[seen]
    return float(by_weekday.mean()) if by_weekday.size else 0.0


def _elapsed(orders: Float64Array, days: Float64Array, settings: ProfileSettings) -> Float64Array:
    """Return the operational days to each hour's start, from counts: hours within weekdays.

    A thin weekday is drawn to the mean of all, a thin hour of a weekday to that hour of all days,
    and a thin hour of all days to an even day: Dirichlet priors, each with the next as its mean.
    """
    mean = _orders_per_day(orders, days)
    if not mean > 0:
        return flat_profile().elapsed
    by_hour = orders.reshape(WEEKDAYS, 24)
    by_weekday = by_hour.sum(axis=1)
    few = settings.pseudo_orders_weekday
    weekday = (by_weekday + few) / (days * mean + few)
    few = settings.pseudo_orders_hour
    hour_of_all = (by_hour.sum(axis=0) + few / 24.0) / (by_weekday.sum() + few)
    hour = (by_hour + few * hour_of_all) / (by_weekday[:, None] + few)
    weights = np.maximum((weekday[:, None] * hour).reshape(-1) * 24.0, settings.floor)
    elapsed = np.concatenate(([0.0], np.cumsum(weights)))
    scaled: Float64Array = elapsed / elapsed[-1] * WEEKDAYS
    return scaled
