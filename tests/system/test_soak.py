"""What a soak calls flat, and what it calls grown."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.system.soak import Sample, growth_an_hour, what_grew

RATE = 1_000.0
SAMPLES = 120
STEP_SECONDS = 15.0
MEMORY_BYTES = 300_000_000
BOUNDS = (0.05, 0.1, 1.0, 5.0)

Change = Callable[[Sample, float], Sample]
"""Changes a sample, given how far the soak has come (0 to 1)."""


def _sample(number: int) -> Sample:
    wobble = 100_000 * (number % 3)
    return Sample(
        seconds=number * STEP_SECONDS,
        memory_bytes=MEMORY_BYTES + wobble,
        open_files=40 + number % 2,
        lag_records=float(50 * (number % 4)),
        latency=_observed(number, below_s=0.05),
        redis_memory_bytes=50_000_000,
    )


def _observed(number: int, below_s: float) -> dict[float, float]:
    """A hundred observations for each sample so far, all of them below that."""
    return {bound: 100.0 * number * (bound >= below_s) for bound in BOUNDS}


def _soaked(change: Change | None = None) -> list[Sample]:
    samples = [_sample(number) for number in range(SAMPLES)]
    if change is None:
        return samples
    return [change(sample, number / SAMPLES) for number, sample in enumerate(samples)]


def test_steady_worker_is_called_flat() -> None:
    """Noise around a level is no growth."""
    assert what_grew(_soaked(), RATE) == []


def test_warming_up_is_not_growth() -> None:
    """What grows in the first half and then stays is a cache that fills."""

    def filling(sample: Sample, share: float) -> Sample:
        return replace(sample, memory_bytes=round(sample.memory_bytes * min(1.0, 0.5 + 2 * share)))

    assert what_grew(_soaked(filling), RATE) == []


def _leaking(sample: Sample, share: float) -> Sample:
    return replace(sample, memory_bytes=round(sample.memory_bytes * (1 + 0.09 * share)))


def _forgetting_to_close(sample: Sample, share: float) -> Sample:
    return replace(sample, open_files=sample.open_files + int(10 * share))


def _falling_behind(sample: Sample, share: float) -> Sample:
    return replace(sample, lag_records=10 * RATE * share)


def _slowing_down(sample: Sample, share: float) -> Sample:
    number = round(share * SAMPLES)
    return replace(sample, latency=_observed(number, below_s=1.0)) if share > 0.75 else sample


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_leaking, "memory"),
        (_forgetting_to_close, "open files"),
        (_falling_behind, "lag"),
        (_slowing_down, "latency, 99 %"),
    ],
)
def test_what_grows_is_named(change: Change, named: str) -> None:
    """A leak of memory or files, a growing lag and a growing latency are each found, alone."""
    assert [found.partition(":")[0] for found in what_grew(_soaked(change), RATE)] == [named]


def test_slope_of_memory_is_a_share_of_it_an_hour() -> None:
    """Nine per cent in half an hour are about eighteen an hour."""
    slope, error = growth_an_hour(_soaked(_leaking))
    assert slope == pytest.approx(0.18, rel=0.1)
    assert error < 0.02
