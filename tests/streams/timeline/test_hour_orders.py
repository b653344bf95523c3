"""What teaches the shop no hours: imports, surges, and the catch-up after an outage."""

import numpy as np
import pytest

from streams.demand.week_profile import hours_of_day
from tests.oracle import DAY, HOUR
from tests.streams.detection.test_imports import (
    IMPORTS,
    MONDAY_MS,
    SETTINGS,
    Extra,
    When,
    at_night,
    live,
    shop,
    surges,
)
from tests.streams.fakes import MemoryStore
from tests.streams.runs import Run, read_in_pieces, read_whole, require_same


def hours(run: Run) -> np.ndarray:
    """The share of each hour of the week."""
    return np.diff(run.shard.timeline.state.profile.elapsed)


@pytest.mark.slow
@pytest.mark.parametrize("when", IMPORTS.values(), ids=IMPORTS)
def test_import_teaches_no_hours(when):
    """Whatever the week knew of its hours, it knows after it; a shop that knows dates has none."""
    before = hours(read_whole(shop([live] * 12), SETTINGS))
    after = hours(read_whole(shop([live] * 12 + [when]), SETTINGS))
    assert np.abs(after - before).max() < 0.02
    always = read_whole(shop([when] * 12), SETTINGS).shard.timeline.state.profile
    assert np.ptp(hours_of_day(always, MONDAY_MS)) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("days", [1, 3])
def test_surge_teaches_the_shop_no_hours(days):
    """An item sells fifteen times its baseline for an evening, or for days."""
    plain = hours(read_whole(shop([live] * (12 + days)), SETTINGS))
    extra = Extra("a", 12 * DAY + 18 * HOUR, 240, 900)
    if days > 1:
        extra = Extra("a", 12 * DAY + 18 * HOUR, 48 * 60, 1_500)
    run = read_whole(shop([live] * (12 + days), extra), SETTINGS)
    assert surges(run)
    assert np.abs(hours(run) - plain).max() < 0.04


@pytest.mark.slow
def test_catch_up_after_an_outage_teaches_the_shop_no_hours():
    """What came due from nine to three comes within half an hour."""

    def cut_off(chance: np.random.Generator, count: int) -> np.ndarray:
        times = live(chance, count)
        is_late = (times >= 9 * HOUR) & (times < 15 * HOUR)
        return np.where(is_late, 15 * HOUR + (times - 9 * HOUR) // 12, times)

    plain = hours(read_whole(shop([live] * 13), SETTINGS))
    after = hours(read_whole(shop([live] * 12 + [cut_off]), SETTINGS))
    assert np.abs(after - plain).max() < 0.03


@pytest.mark.slow
def test_imports_and_surges_survive_pieces_and_restarts():
    """However the logs are cut, and though the worker ends in the midst of a day."""
    days: list[When] = [live] * 3 + [at_night, at_night, live]
    logs = shop(days, Extra("a", 5 * DAY + 12 * HOUR, 60, 120))
    store = MemoryStore()

    def restart(run: Run) -> None:
        if run.shard.offsets.get("orders", 0) % 4 == 0:
            lease = store.acquire_now(0)
            assert store.commit_now(lease, run.commit()) == "stored"
            run.restart(store.load_now(store.acquire_now(0)))

    schedule = [(0, 90, 50), (1, 7, 1), (2, 150, 0), (3, 40, 90)]
    require_same(read_in_pieces(logs, schedule, restart, SETTINGS), read_whole(logs, SETTINGS))
