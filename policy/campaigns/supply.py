"""What a line can sell: usable stock, arrivals with their chance, and what will be short."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from policy.campaigns.case import NORMAL_90, Arrival, Case, Line, Stock

MOST_SCENARIOS = 4096  # times the moments of each
_SLACK = 1e-9
_BEYOND = 1e18  # units: more than any case may have
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Supply:
    """What one line has.

    Args:
        usable: units on the shelf that can be sold, by warehouse.
        reliable: units that are there with the chance the case asks for, by warehouse and
            checkpoint (one for each day that brings orders).
        arriving_units: that come in time, each times its chance.
        short_units: expected, at the expected demand.
        short_units_high: that one in ten is above, over demand and arrivals.
        short_chance: that anything is short, over both.
    """

    usable: Mapping[str, float]
    reliable: Mapping[str, tuple[float, ...]]
    arriving_units: float
    short_units: float
    short_units_high: float
    short_chance: float


def usable_units(stock: Stock, needed_until_days: float) -> float:
    """Return the units of a stock that can be sold: no blocked ones, none that expire too soon.

    Args:
        stock: of one warehouse.
        needed_until_days: a lot that expires before this is left out.

    >>> from policy.campaigns.case import Lot
    >>> lots = (Lot(300, 2, False), Lot(200, None, True))
    >>> usable_units(Stock("main", 1000, 50, 0, lots), 10)  # 300 expire, 250 are blocked
    450.0
    """
    lost = sum(
        lot.units
        for lot in stock.lots
        if lot.is_blocked
        or (lot.expires_in_days is not None and lot.expires_in_days < needed_until_days)
    )
    return max(0.0, float(stock.units - lost - stock.blocked_units - stock.owed_units))


def checkpoints(case: Case, line: Line) -> list[tuple[float, float]]:
    """Return, for each day that brings orders, the share that came so far and when it has to leave.

    Without a promise all of it has to leave by the end of the campaign.
    """
    promise = case.promise_of(line)
    if promise is None:
        return [(1.0, case.ends_in_days)]
    points, so_far = [], 0.0
    for day, share in enumerate(case.profile):
        so_far += share
        if share > 0:
            points.append((min(so_far, 1.0), case.starts_in_days + day + promise))
    points[-1] = (1.0, points[-1][1])
    return points


def last_moment_days(case: Case, line: Line) -> float:
    """Return when the last unit of a line leaves: until then it has to be good."""
    return max(case.ends_in_days, checkpoints(case, line)[-1][1])


def supply_of(case: Case, line: Line) -> Supply:
    """Return what a line has, and what it will lack."""
    points = checkpoints(case, line)
    until = last_moment_days(case, line)
    usable = {stock.warehouse: usable_units(stock, until) for stock in line.stocks}
    moments = [moment for _, moment in points]
    reliable = {}
    for name in line.warehouses:
        own = scenarios([one for one in line.arrivals if one.warehouse == name], moments)
        sure = (_reliable(own, at, case.confidence) for at in range(len(moments)))
        reliable[name] = tuple(usable.get(name, 0.0) + units for units in sure)
    shelf = sum(usable.values())
    together = scenarios(line.arrivals, moments)
    shares = [share for share, _ in points]
    return Supply(
        usable=usable,
        reliable=reliable,
        arriving_units=sum(one.units * chance_by(one, moments[-1]) for one in line.arrivals),
        short_units=sum(
            chance * _short(line.expected_units, shelf, arriving, shares)
            for arriving, chance in together.items()
        ),
        short_units_high=_short_high(line, shelf, together, shares, case.confidence),
        short_chance=1.0 - _chance_of_at_most(line, 0.0, shelf, together, shares),
    )


def chance_by(arrival: Arrival, moment: float) -> float:
    """Return the chance that an arrival is there by a moment.

    >>> chance_by(Arrival("main", 100, 5, 0.7, 0), 5), chance_by(Arrival("main", 100, 5, 0.7, 0), 4)
    (0.7, 0.0)
    >>> round(chance_by(Arrival("main", 100, 5, 1.0, 2), 7), 4)
    0.8413
    """
    if arrival.sd_days > 0:
        return arrival.chance * _NORMAL.cdf((moment - arrival.in_days) / arrival.sd_days)
    return arrival.chance if arrival.in_days <= moment + _SLACK else 0.0


def scenarios(
    arrivals: Sequence[Arrival], moments: Sequence[float]
) -> dict[tuple[float, ...], float]:
    """Return what may have arrived by each moment, with the chance of each way.

    Arrivals are independent of each other. Beyond `MOST_SCENARIOS` ways the smaller arrivals count
    with their chance as a share.
    """
    found: dict[tuple[float, ...], float] = {(0.0,) * len(moments): 1.0}
    for arrival in sorted(arrivals, key=lambda one: -one.units):
        by = [chance_by(arrival, moment) for moment in moments]
        ways = _ways(arrival.units, by)
        if len(found) * len(ways) * len(moments) > MOST_SCENARIOS:
            ways = {tuple(arrival.units * chance for chance in by): 1.0}
        joined: dict[tuple[float, ...], float] = {}
        for so_far, chance in found.items():
            for more, of_it in ways.items():
                key = tuple(round(a + b, 9) for a, b in zip(so_far, more, strict=True))
                joined[key] = joined.get(key, 0.0) + chance * of_it
        found = joined
    return found


def _ways(units: float, by: Sequence[float]) -> dict[tuple[float, ...], float]:
    """Return when one arrival may come: from each moment on, or never, with the chances."""
    if units == 0:
        return {(0.0,) * len(by): 1.0}
    ways = {}
    before = 0.0
    for place, chance in enumerate(by):
        if chance > before:
            ways[(0.0,) * place + (units,) * (len(by) - place)] = chance - before
            before = chance
    if before < 1.0:
        ways[(0.0,) * len(by)] = 1.0 - before
    return ways


def _reliable(ways: Mapping[tuple[float, ...], float], at: int, confidence: float) -> float:
    """Return the most units that are there with at least a chance."""
    chance = 0.0
    for units in sorted({way[at] for way in ways}, reverse=True):
        chance = sum(of_it for way, of_it in ways.items() if way[at] >= units)
        if chance >= confidence - _SLACK:
            return units
    return 0.0


def _short(
    demand: float, shelf: float, arriving: Sequence[float], shares: Sequence[float]
) -> float:
    """Return the units that are missing at the worst checkpoint."""
    return max(
        0.0,
        *(share * demand - shelf - units for share, units in zip(shares, arriving, strict=True)),
    )


def demand_chance(line: Line, units: float) -> float:
    """Return the chance that demand is at most some units.

    The expected units are the middle; each side is normal, and one in ten is beyond the range.
    """
    away = units - line.expected_units
    edge = line.high_units if away > 0 else line.low_units
    sd = abs(edge - line.expected_units) / NORMAL_90
    if sd == 0:
        return 1.0 if away >= -_SLACK * max(1.0, units) else 0.0
    return _NORMAL.cdf(away / sd)


def _chance_of_at_most(
    line: Line,
    short: float,
    shelf: float,
    ways: Mapping[tuple[float, ...], float],
    shares: Sequence[float],
) -> float:
    """Return the chance that at most so many units are short."""
    return sum(
        chance
        * demand_chance(
            line,
            min((shelf + units + short) / share for share, units in zip(shares, way, strict=True)),
        )
        for way, chance in ways.items()
    )


def _short_high(
    line: Line,
    shelf: float,
    ways: Mapping[tuple[float, ...], float],
    shares: Sequence[float],
    confidence: float,
) -> float:
    """Return the units short that are not exceeded with a chance, by halving the range."""

    def is_enough(units: float) -> bool:
        chance = _chance_of_at_most(line, units, shelf, ways, shares)
        return chance >= confidence - _SLACK

    if is_enough(0.0):
        return 0.0
    if line.low_units == line.high_units:  # then only arrivals are open
        return next(
            one
            for one in sorted({_short(line.expected_units, shelf, way, shares) for way in ways})
            if is_enough(one)
        )
    exact = sorted({_short(line.high_units, shelf, way, shares) for way in ways})
    exact += sorted({_short(line.expected_units, shelf, way, shares) for way in ways})
    low, high = 0.0, max(1.0, line.expected_units, line.high_units)
    while high < _BEYOND and not is_enough(high):
        high *= 2
    while high - low > max(_SLACK, 1e-10 * high):
        middle = (low + high) / 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return next((one for one in exact if math.isclose(one, high, rel_tol=1e-7)), high)
