"""A day's orders within a minute are called an import, not as a surge, and order nothing extra."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from streams.detection.imports import is_import, shop_day
from streams.settings import ShardSettings
from tests.oracle import DAY, HOUR, MINUTE
from tests.streams.fakes import as_json
from tests.streams.logs import Logs, catalog_line, event
from tests.streams.runs import Run, read_whole

MONDAY_MS = 1_699_833_600_000  # 2023-11-13, 00:00 UTC
RATES = {"a": 40.0, "b": 20.0, "c": 12.0, "d": 6.0, "e": 2.0, "f": 0.5}
OPEN = np.array([0.1] * 7 + [1.0] * 15 + [0.3] * 2)  # what a shop sells in each hour of the day
SETTINGS = ShardSettings()

When = Callable[[np.random.Generator, int], np.ndarray]  # times of so many orders in a day


def live(chance: np.random.Generator, count: int) -> np.ndarray:
    """Orders come as people buy."""
    hours = chance.choice(24, count, p=OPEN / OPEN.sum())
    return hours * HOUR + chance.integers(0, HOUR, count)


def at_midnight(chance: np.random.Generator, count: int) -> np.ndarray:
    """An export that knows dates alone."""
    del chance
    return np.zeros(count, np.int64)


def at_night(chance: np.random.Generator, count: int) -> np.ndarray:
    """An import at two o'clock that takes a minute, across the border of a tick."""
    return 2 * HOUR + 20_000 + chance.integers(0, MINUTE, count)


def at_noon(chance: np.random.Generator, count: int) -> np.ndarray:
    """An import that takes some seconds of the middle of the day."""
    return 12 * HOUR + 7_000 + chance.integers(0, 9_000, count)


def both(chance: np.random.Generator, count: int) -> np.ndarray:
    """A web shop whose marketplaces' orders come in the night."""
    some = count // 3
    return np.concatenate([live(chance, some), at_night(chance, count - some)])


@dataclass(frozen=True)
class Extra:
    """Orders of one item beside its ordinary ones, evenly over a stretch."""

    sku: str
    start_ms: int
    minutes: int
    orders: int


def shop(days: list[When], extra: Extra | None = None) -> Logs:
    """Logs of some days, each with its orders as they come."""
    chance = np.random.default_rng(13)
    logs = Logs()
    for sku in RATES:
        item, start = (sku, "main"), MONDAY_MS - HOUR
        logs.add("catalog", catalog_line(f"c{sku}", start, item), start)
        logs.add("stock", event("counted", f"s{sku}", start, item, level=100_000), start)
    logs.beat(MONDAY_MS - HOUR)
    for day, when in enumerate(days):
        placed = []
        for sku, rate in RATES.items():
            start_ms = MONDAY_MS + day * DAY
            placed += [(start_ms + int(at), sku) for at in when(chance, chance.poisson(rate))]
            if extra is not None and extra.sku == sku:
                times = extra.start_ms + np.linspace(0, extra.minutes * MINUTE, extra.orders)
                today = times[times // DAY == day]
                placed += [(MONDAY_MS + int(at), sku) for at in today]
        _write(logs, sorted(placed), day)
    logs.beat(MONDAY_MS + len(days) * DAY + HOUR)
    return logs


def _write(logs: Logs, placed: list[tuple[int, str]], day: int) -> None:
    for number, (at, sku) in enumerate(placed):
        order = {"order_id": f"o{day}-{number}", "quantity": 1}
        logs.add("orders", event("placed", f"e{day}-{number}", at, (sku, "main"), **order), at)


def raised(run: Run, *kinds: str) -> list[tuple[str, str, str]]:
    """Kind, subject and time of the incidents that were raised."""
    alerts = [as_json(out.value) for out in run.outputs if out.topic == "alerts"]
    return [
        (one["kind"], one["subject"], one["started_at"])
        for one in alerts
        if one["state"] == "raised" and one["kind"] in kinds
    ]


def surges(run: Run) -> list[tuple[str, str, str]]:
    """The surges that were raised, and extra reviews."""
    extra = [("extra review", name, "") for _, is_surge, name, _ in run.decisions if is_surge]
    return raised(run, "surge", "broad_surge") + extra


IMPORTS = {"midnight": at_midnight, "night": at_night, "noon": at_noon}


@pytest.mark.slow
@pytest.mark.parametrize("when", IMPORTS.values(), ids=IMPORTS)
@pytest.mark.parametrize(
    "kind", ["one day", "since the beginning", "from some day on", "first day only"]
)
def test_import_is_no_surge(when, kind):
    """On one day of many, always, from a day on, or at first: no surge is raised, nothing ordered.

    That nothing comes in the hours before the first import at noon is raised, as it should be.
    """
    days = {
        "one day": [live] * 12 + [when] + [live] * 3,
        "since the beginning": [when] * 16,
        "from some day on": [live] * 10 + [when] * 6,
        "first day only": [when] + [live] * 14,
    }[kind]
    run = read_whole(shop(days), SETTINGS)
    assert surges(run) == []
    assert raised(run, "phantom_stock") == []
    found = raised(run, "order_import")
    assert len(found) == (kind != "first day only")  # that one no rate says yet
    is_cut_off = when is at_noon and kind in ("one day", "from some day on")
    assert len(raised(run, "stale_input")) == is_cut_off


@pytest.mark.slow
def test_import_beside_a_web_shop_is_no_surge():
    """Two thirds of the orders come at night: what comes by day is judged as before."""
    extra = Extra("b", 14 * DAY + 15 * HOUR, 40, 40)
    days: list[When] = [both] * 16
    assert surges(read_whole(shop(days), SETTINGS)) == []
    found = raised(read_whole(shop(days, extra), SETTINGS), "surge")
    assert {subject for _, subject, _ in found} == {"b@main"}


@pytest.mark.slow
@pytest.mark.parametrize("when", [at_midnight, at_night, at_noon])
def test_day_of_an_import_is_judged_by_its_total(when):
    """An item that sells seven times its day is in a surge, however it came; others are not."""
    start = int(when(np.random.default_rng(0), 1)[0]) if when is not at_midnight else 0
    run = read_whole(shop([when] * 16, Extra("c", 14 * DAY + start, 0, 72)), SETTINGS)
    assert {subject for _, subject, _ in raised(run, "surge")} == {"c@main"}
    assert {name for _, name, _ in surges(run)} == {"c@main"}


@pytest.mark.slow
def test_true_surge_of_a_day_with_an_import_is_raised_in_time():
    """The import stands for what it held of the day; the evening is tested as ever."""
    extra = Extra("c", 12 * DAY + 19 * HOUR, 45, 45)
    days: list[When] = [live] * 12 + [at_night] + [live]
    days[12] = lambda chance, count: np.concatenate([at_night(chance, count), live(chance, count)])
    found = raised(read_whole(shop(days, extra), SETTINGS), "surge")
    assert {subject for _, subject, _ in found} == {"c@main"}
    assert found[0][2] < "2023-11-25T19:45"


def test_basket_and_fast_item_are_no_import():
    """A cart holds many items once; an item alone is no shop."""
    rates = np.full(40, 3.0)
    day, cart = shop_day(rates), np.ones(40, np.int64)
    assert not is_import(cart, rates, day, MINUTE)
    assert is_import(3 * cart, rates, day, MINUTE)
    assert not is_import(np.array([90]), rates[:1], day, MINUTE)
    assert not is_import(3 * cart, rates, day, HOUR)  # a busy hour
