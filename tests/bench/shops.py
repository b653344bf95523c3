"""Shops unlike the one of the real data, made up with the truth known: what is told, what is false?

    python -m tests.bench.shops --seed 1

Each shop is drawn by a printed seed and read through a whole shard as a stream, without looking
ahead, in the settings of production. Nothing here was used to set a parameter but what the README
says of it. A surge counts as found when it is called on the UTC day on which it begins, or within
six hours; its first day brings at least 16 more orders than usual. An incident is false where no
truth of its kind touches it.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from infra.replay.faults import Record
from infra.settings import Settings
from streams.timestamps import DAY_MS, HOUR_MS, MINUTE_MS, one_time
from streams.types import Float64Array
from tests.bench.surges import Replayed, replay

START_MS = 20_000 * DAY_MS  # a Thursday
FIRST_DAYS = 30  # before anything out of the ordinary happens
FOUND_WITHIN_MS = 6 * HOUR_MS


class Truth(NamedTuple):
    """Something that happens to an item or a group; an empty subject: to the whole shop."""

    kind: str  # surge, group_surge, out, phantom, outage, shortfall, group_shortfall
    subject: str
    start_ms: int
    end_ms: int
    factor: float = 1.0


@dataclass(frozen=True)
class Shop:
    """How a shop sells.

    Attributes:
        name: as printed.
        items: how many.
        orders_per_day: of items, in the mean of the first days.
        days: that are simulated.
        spread: of the items' rates, as standard deviation of their logs.
        hours: weight of each hour of the day.
        weekdays: weight of each day, from Thursday on.
        cart: orders of items that a customer places at once, in the mean.
        day_size: of the gamma factor that each item's day has.
        shop_size: of the factor that the whole shop's day has.
        growth: of the shop, a day.
        launches: items that begin to sell, a day.
        midnight: hour of the UTC day at which the shop's own day begins.
        shut: days on which it is closed, out of the ordinary.
        categories: of the items.
        happen: draws what is out of the ordinary.
    """

    name: str
    items: int
    orders_per_day: float
    days: int = 70
    spread: float = 1.2
    hours: tuple[float, ...] = (*[0.0] * 8, *[1.0] * 12, *[0.0] * 4)
    weekdays: tuple[float, ...] = (1.0,) * 7
    cart: float = 2.0
    day_size: float = 10.0
    shop_size: float = 50.0
    growth: float = 0.0
    launches: float = 0.0
    midnight: int = 0
    shut: range = range(0)
    categories: int = 5
    happen: Callable[["Shop", Float64Array, np.random.Generator], list[Truth]] = field(
        default=lambda shop, rates, chance: surges(shop, rates, chance, 12)
    )


def sku_of(item: int) -> str:
    """The name of an item."""
    return f"sku{item:04d}"


def surges(shop: Shop, rates: Float64Array, chance: np.random.Generator, count: int) -> list[Truth]:
    """Draw surges of a day that bring at least 16 orders more than usual by its end."""
    truths = []
    taken: set[int] = set()
    for item in chance.permutation(shop.items).tolist():
        factor = float(chance.choice([3.0, 5.0, 8.0, 15.0]))
        day = int(chance.integers(FIRST_DAYS, shop.days - 4))
        weight = shop.weekdays[day % 7]
        late = rates[item] * (factor - 1.0) * weight * 0.6
        if late < 16 or item in taken or not weight or day in shop.shut:
            continue
        opens = START_MS + day * DAY_MS + next(h for h, w in enumerate(shop.hours) if w) * HOUR_MS
        start_ms = opens + int(chance.integers(0, 3)) * HOUR_MS
        truths.append(Truth("surge", sku_of(item), start_ms, start_ms + DAY_MS, factor))
        taken.add(item)
        if len(truths) == count:
            break
    return truths


def stock_outs(shop: Shop, rates: Float64Array, chance: np.random.Generator) -> list[Truth]:
    """Draw stock-outs of 2 to 12 days of items that sell, half of them not in the record."""
    busy = np.flatnonzero(rates > 3.0)
    chosen = chance.permutation(busy)[:40].tolist()
    truths = []
    for number, item in enumerate(chosen):
        start_ms = START_MS + int(chance.integers(FIRST_DAYS, shop.days - 16)) * DAY_MS
        start_ms += int(chance.integers(0, 24)) * HOUR_MS
        end_ms = start_ms + int(chance.integers(2, 13)) * DAY_MS
        kind = "phantom" if number % 2 else "out"
        truths.append(Truth(kind, sku_of(item), start_ms, end_ms, 0.0))
    return truths


def outages(shop: Shop, rates: Float64Array, chance: np.random.Generator) -> list[Truth]:
    """Draw outages of the feed of one to eight hours, in which orders are kept and sent later."""
    truths = []
    for day in range(FIRST_DAYS, shop.days - 5, 6):
        start_ms = START_MS + day * DAY_MS + int(chance.integers(9, 13)) * HOUR_MS
        end_ms = start_ms + int(chance.integers(60, 480)) * MINUTE_MS
        truths.append(Truth("outage", "", start_ms, end_ms))
    return truths + surges(shop, rates, chance, 4)


def sale(shop: Shop, rates: Float64Array, chance: np.random.Generator) -> list[Truth]:
    """Three days of sale: a third of its lines sells as planned, one hardly, one far more."""
    start_ms = START_MS + (FIRST_DAYS + 10) * DAY_MS
    truths = []
    busy = np.argsort(-rates, kind="stable")[: shop.items // 4].tolist()
    for number, item in enumerate(busy):
        kind, factor = [("planned", 1.0), ("shortfall", 0.2), ("surge", 8.0)][number % 3]
        truths.append(Truth(kind, sku_of(item), start_ms, start_ms + 3 * DAY_MS, factor))
    return truths


def thin_groups(shop: Shop, rates: Float64Array, chance: np.random.Generator) -> list[Truth]:
    """Let two categories surge as a whole, and a campaign of thin items be short of its plan."""
    start_ms = START_MS + (FIRST_DAYS + 5) * DAY_MS + 8 * HOUR_MS
    truths = [
        Truth("group_surge", f"category:{one}", at_ms, at_ms + DAY_MS, 4.0)
        for one, at_ms in [(1, start_ms), (3, start_ms + 12 * DAY_MS)]
    ]
    sale_ms = start_ms + 20 * DAY_MS - 8 * HOUR_MS
    return [*truths, Truth("group_shortfall", "campaign:thin", sale_ms, sale_ms + 3 * DAY_MS, 0.3)]


NIGHT_AND_DAY = tuple(1.0 + 0.8 * math.sin((hour - 9) / 24 * 2 * math.pi) for hour in range(24))
SHOPS = (
    Shop("small: an order an hour", 40, 24.0, days=90, cart=1.3),
    Shop("open day and night", 300, 900.0, hours=NIGHT_AND_DAY),
    Shop("grows by 2 % a day", 200, 300.0, growth=0.02),
    Shop("grocery: strong week, shut on Sunday", 200, 900.0, cart=12.0, day_size=20.0,
         weekdays=(1.0, 2.2, 2.6, 0.0, 0.7, 0.6, 0.8)),
    Shop("two launches a day", 150, 300.0, launches=2.0),
    Shop("outages, then what they owe at once", 200, 800.0, happen=outages),
    Shop("stock-outs, half of them unknown", 200, 1200.0, spread=0.8, happen=stock_outs),
    Shop("sale with a plan", 120, 600.0, spread=0.8, happen=sale),
    Shop("thin items in categories", 500, 120.0, spread=0.4, cart=1.2, happen=thin_groups),
    Shop("wild days", 200, 600.0, day_size=1.5, shop_size=10.0),
    Shop("far from Greenwich: open from 16 to 4", 200, 600.0, midnight=10,
         hours=(*[1.0] * 4, *[0.0] * 12, *[1.0] * 8)),
    Shop("shut for a week, and on some days", 200, 600.0, shut=range(44, 53),
         weekdays=(1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0)),
    Shop("many items, most of them rare", 2500, 700.0, spread=1.8),
)  # fmt: skip


# -- what it sells ---------------------------------------------------------------------------------


class Sale(NamedTuple):
    """One line: when, what, of which order."""

    at_ms: int
    item: int
    order: int


def draw(shop: Shop, seed: int) -> tuple[list[Truth], list[Record]]:
    """Draw a shop's truth, and its records in the order in which they are written."""
    chance = np.random.default_rng(seed)
    begins = np.zeros(shop.items, np.int64)
    rates = chance.lognormal(0.0, shop.spread, shop.items)
    rates *= shop.orders_per_day / rates.sum()
    later = min(shop.items // 2, round(shop.launches * (shop.days - 10)))
    if later:
        begins[-later:] = 10 + np.arange(later) / shop.launches
    truths = shop.happen(shop, rates * (begins == 0), chance)
    plans = [(truth, planned(truth, shop, rates)) for truth in truths if is_plan(truth)]
    records = [*catalog(shop), *stock(shop, truths), *plan_lines(shop, plans)]
    number, paces = 0, np.zeros(shop.items)
    if shop.midnight:  # until then the day before goes on
        paces = pace_of(shop, rates, begins, 0, chance)
    for day in range(shop.days):
        for hour in range(24):
            if hour == shop.midnight:
                paces = pace_of(shop, rates, begins, day, chance)
            start_ms = START_MS + day * DAY_MS + hour * HOUR_MS
            sold = chance.poisson(paces * share(shop, hour) * happening(shop, truths, start_ms))
            for sale in carts(shop, sold, start_ms, number, chance):
                records.append(order_record(sale, len(records), truths))
            number += int(sold.sum()) + 1
    return truths, sorted(records, key=lambda record: record.occurred_ms)


def pace_of(
    shop: Shop, rates: Float64Array, begins: np.ndarray, day: int, chance: np.random.Generator
) -> Float64Array:
    """Orders of each item on a day, were it ordinary."""
    own = chance.gamma(shop.day_size, 1 / shop.day_size, shop.items)
    whole = chance.gamma(shop.shop_size, 1 / shop.shop_size)
    weekday = shop.weekdays[day % 7] * 7 / sum(shop.weekdays)
    paces: Float64Array = rates * own * whole * weekday * (1.0 + shop.growth) ** day
    return np.where((begins <= day) & (day not in shop.shut), paces, 0.0)


def share(shop: Shop, hour: int) -> float:
    """Share of the day's orders in an hour."""
    return shop.hours[hour] / sum(shop.hours)


def happening(shop: Shop, truths: list[Truth], start_ms: int) -> Float64Array:
    """How many times the ordinary each item sells in an hour."""
    factors = np.ones(shop.items)
    for truth in truths:
        if truth.kind != "outage" and truth.start_ms <= start_ms < truth.end_ms:
            factors[members(truth, shop)] = 5.0 * truth.factor if is_plan(truth) else truth.factor
    return factors


def members(truth: Truth, shop: Shop) -> np.ndarray:
    """The items that a truth is about."""
    if truth.subject.startswith("sku"):
        return np.array([int(truth.subject[3:])])
    if truth.subject.startswith("category:"):
        return np.arange(int(truth.subject.partition(":")[2]), shop.items, shop.categories)
    return np.arange(0, shop.items, 4)


def is_plan(truth: Truth) -> bool:
    """Whether it happens in a campaign: everything there is planned at five times the ordinary."""
    in_sale = truth.kind == "surge" and truth.end_ms - truth.start_ms == 3 * DAY_MS
    return in_sale or truth.kind in ("planned", "shortfall", "group_shortfall")


def planned(truth: Truth, shop: Shop, rates: Float64Array) -> dict[int, int]:
    """Units planned for each item: five times the ordinary, as `happening` would sell at 1."""
    days = (truth.end_ms - truth.start_ms) / DAY_MS
    return {item: max(1, round(5.0 * rates[item] * days)) for item in members(truth, shop).tolist()}


def carts(
    shop: Shop, sold: np.ndarray, start_ms: int, first: int, chance: np.random.Generator
) -> Iterator[Sale]:
    """Yield an hour's lines, as many customers put them into their carts."""
    items = chance.permutation(np.repeat(np.arange(sold.size), sold))
    if not items.size:
        return
    cart = np.cumsum(chance.random(items.size) < 1 / shop.cart)
    times = np.sort(chance.integers(0, HOUR_MS, int(cart[-1]) + 1))
    for item, number in zip(items.tolist(), cart.tolist(), strict=True):
        yield Sale(start_ms + int(times[number]), item, first + number)


# -- as records ------------------------------------------------------------------------------------


def record(topic: str, kind: str, at_ms: int, name: str, item: int, **fields: Any) -> Record:
    """A record of an item, written when it occurs."""
    sku = sku_of(item)
    value = {"kind": kind, "event_id": f"{kind}-{name}-{sku}", "occurred_at": at_ms, "sku": sku}
    return Record(topic, sku.encode(), json.dumps({**value, **fields}).encode(), at_ms)


def order_record(sale: Sale, line: int, truths: list[Truth]) -> Record:
    """A sale; one in an outage is written within ten minutes after it, half of them dated so."""
    made = record("orders", "placed", sale.at_ms, str(line), sale.item,
                  order_id=f"o{sale.order}", quantity=1)  # fmt: skip
    for truth in truths:
        if truth.kind == "outage" and truth.start_ms <= sale.at_ms < truth.end_ms:
            late_ms = truth.end_ms + sale.at_ms % (10 * MINUTE_MS)
            value = json.loads(made.value)
            if sale.order % 2:
                value["occurred_at"] = late_ms
            return made._replace(value=json.dumps(value).encode(), occurred_ms=late_ms)
    return made


def catalog(shop: Shop) -> Iterator[Record]:
    """Master data, for the category; reviewed once a year, which decides nothing here."""
    for item in range(shop.items):
        yield record(
            "catalog", "item", START_MS, "c", item,
            unit_cost_lean=4.0, unit_cost_flexible=5.0, lead_time_days_lean=7.0,
            lead_time_days_flexible=2.0, review_period_days=365.0,
            holding_cost_per_unit_day=0.01, backorder_cost_per_unit_day=0.5,
            assume_dispatched=True, category=str(item % shop.categories),
        )  # fmt: skip


def stock(shop: Shop, truths: list[Truth]) -> Iterator[Record]:
    """Plenty of everything, and an honest record of the stock-outs that are known."""
    for item in range(shop.items):
        yield record("stock", "counted", START_MS, "s", item, level=1_000_000)
    for truth in truths:
        if truth.kind == "out":
            item = int(truth.subject[3:])
            yield record("stock", "counted", truth.start_ms, "none", item, level=0)
            yield record("stock", "counted", truth.end_ms, "refill", item, level=1_000_000)


def plan_lines(shop: Shop, plans: list[tuple[Truth, dict[int, int]]]) -> Iterator[Record]:
    """Campaign lines, told five days ahead."""
    for truth, units in plans:
        name = truth.subject.partition(":")[2] or "sale"
        for item, expected in units.items():
            yield record(
                "campaigns", "planned", truth.start_ms - 5 * DAY_MS, name, item,
                campaign_id=name, starts_at=truth.start_ms, ends_at=truth.end_ms,
                expected_units=expected,
            )  # fmt: skip


# -- what was told ---------------------------------------------------------------------------------

_KINDS = {
    "surge": "surge",
    "group_surge": "broad_surge",
    "phantom": "phantom_stock",
    "outage": "stale_input",
    "shortfall": "plan_shortfall",
    "group_shortfall": "plan_shortfall",
}


@dataclass(frozen=True)
class Score:
    """How what was told stands to the truth."""

    found: dict[str, tuple[int, int]]  # kind of truth: found, of how many
    false: dict[str, int]  # kind of alert: incidents that no truth touches
    refill_surges: int
    young: int  # of the false ones, in the first two weeks
    item_days: int

    @property
    def false_surges_per_100000(self) -> float:
        """False surge incidents of 100,000 items and days."""
        return 1e5 * self.false.get("surge", 0) / self.item_days


def score(shop: Shop, truths: list[Truth], replayed: Replayed) -> Score:
    """Compare."""
    raised = list(raised_in(shop, replayed))
    found: dict[str, tuple[int, int]] = {}
    for truth in truths:
        if kind := _KINDS.get(truth.kind):
            hits, count = found.get(truth.kind, (0, 0))
            is_hit = any(one[0] == kind and _finds(truth, *one[1:]) for one in raised)
            found[truth.kind] = hits + is_hit, count + 1
    false = [one for one in raised if not _is_true(one, truths, shop)]
    refills = [truth for truth in truths if truth.kind in ("out", "phantom")]
    return Score(
        found=found,
        false={
            kind: sum(one[0] == kind for one in false) for kind in dict.fromkeys(_KINDS.values())
        },
        refill_surges=sum(
            kind == "surge" and truth.subject == subject and 0 <= at - truth.end_ms < 3 * DAY_MS
            for kind, subject, at in false
            for truth in refills
        ),
        young=sum(at < START_MS + 14 * DAY_MS for _, _, at in false),
        item_days=shop.items * shop.days,
    )


def raised_in(shop: Shop, replayed: Replayed) -> Iterator[tuple[str, str, int]]:
    """Kind, subject and time of the incidents that began while the shop was open."""
    for alert in replayed.alerts:
        at_ms = one_time(alert["occurred_at"])
        is_open = at_ms <= START_MS + shop.days * DAY_MS
        if alert["state"] == "raised" and alert["kind"] in _KINDS.values() and is_open:
            yield str(alert["kind"]), str(alert["subject"]).removesuffix("@main"), at_ms


def _finds(truth: Truth, subject: str, at_ms: int) -> bool:
    """Whether an alert tells a truth in time."""
    if truth.kind == "outage":
        return truth.start_ms <= at_ms <= truth.end_ms
    if truth.kind in ("phantom", "shortfall", "group_shortfall"):
        return subject == truth.subject and truth.start_ms <= at_ms <= truth.end_ms
    end_of_day = (truth.start_ms // DAY_MS + 1) * DAY_MS
    in_time = truth.start_ms <= at_ms <= max(end_of_day, truth.start_ms + FOUND_WITHIN_MS)
    return subject == truth.subject and in_time


def _is_true(told: tuple[str, str, int], truths: list[Truth], shop: Shop) -> bool:
    """Whether some truth explains an alert: of the subject, its group, or one of its items."""
    kind, subject, at_ms = told
    for truth in truths:
        if _KINDS.get(truth.kind) == kind and truth.start_ms <= at_ms <= truth.end_ms + DAY_MS:
            is_group = ":" in subject or subject == "shop" or kind == "stale_input"
            mine = subject.startswith("sku") and int(subject[3:]) in members(truth, shop)
            if subject == truth.subject or is_group or mine:
                return True
        is_broad = kind == "broad_surge" and truth.kind == "surge"
        if is_broad and truth.start_ms <= at_ms <= truth.end_ms + DAY_MS:
            return True
    return False


def line_of(shop: Shop, made: Score, seconds: float, events: int) -> str:
    """One shop's line."""
    found = ", ".join(f"{kind} {hits} of {count}" for kind, (hits, count) in made.found.items())
    false = ", ".join(f"{kind} {count}" for kind, count in made.false.items() if count) or "none"
    return (
        f"{shop.name}: {shop.items} items, {shop.days} days, {events:,} records, {seconds:.0f} s\n"
        f"    found: {found or 'nothing to find'}\n"
        f"    false: {false}; {made.young} of them in the first two weeks; "
        f"{made.false_surges_per_100000:.0f} surges per 100,000 items and days; "
        f"surges after a refill: {made.refill_surges}"
    )


def plot(results: list[tuple[Shop, Score]], path: Path) -> None:
    """Draw the share found and the false surges of each shop."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), sharey=True, layout="constrained")
    names = [shop.name for shop, _ in results]
    for number, (_, made) in enumerate(results):
        for kind, (hits, count) in made.found.items():
            left.plot(hits / count, number, "o", label=kind, color=f"C{list(_KINDS).index(kind)}")
    handles = dict(zip(*reversed(left.get_legend_handles_labels()), strict=True))
    left.legend(handles.values(), handles.keys())
    left.set(xlabel="share found in time", xlim=(-0.05, 1.05), yticks=range(len(names)))
    left.set_yticklabels(names)
    right.barh(range(len(names)), [made.false_surges_per_100000 for _, made in results])
    right.set(xlabel="false surge incidents per 100,000 items and days")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(arguments: list[str]) -> int:
    """Draw, replay, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="shops with this in their name")
    parser.add_argument("--show", action="store_true", help="print each false incident")
    parser.add_argument("--plot", type=Path, help="draw the results to this file")
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}")
    results = []
    for number, shop in enumerate(SHOPS):
        if options.only not in shop.name:
            continue
        truths, records = draw(shop, 1_000 * options.seed + number)
        replayed = replay(records, Settings().worker().shard)
        made = score(shop, truths, replayed)
        results.append((shop, made))
        print(line_of(shop, made, replayed.seconds, replayed.events), flush=True)
        if options.show:
            show(shop, truths, replayed)
    if options.plot:
        plot(results, options.plot)
    return 0


def show(shop: Shop, truths: list[Truth], replayed: Replayed) -> None:
    """Print the false incidents."""
    for one in raised_in(shop, replayed):
        if not _is_true(one, truths, shop):
            print(f"    day {(one[2] - START_MS) / DAY_MS:5.2f} {one[0]} {one[1]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
