"""Thresholds that people set, below and above: a metric that reaches one counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from policy.errors import PolicyInputError


@dataclass(frozen=True)
class Threshold:
    """A limit of a metric; None means that there is none on that side."""

    metric: str
    below: float | None = None
    above: float | None = None
    sku: str | None = None  # None means of all items

    def __post_init__(self) -> None:
        """Refuse a limit that could never, or would always, be reached."""
        if self.below is None and self.above is None:
            raise PolicyInputError(f"{self.metric}.above", "given, or below", None)
        if self.below is not None and self.above is not None and not self.below < self.above:
            raise PolicyInputError(f"{self.metric}.below", f"< above ({self.above:g})", self.below)


@dataclass(frozen=True)
class Reached:
    """A threshold that was reached."""

    metric: str
    sku: str | None
    side: str  # low or high
    limit: float
    value: float


def reached(
    thresholds: Sequence[Threshold], values: Mapping[tuple[str, str | None], float]
) -> list[Reached]:
    """Return the thresholds that values reach: at the limit counts.

    Args:
        thresholds: with no sku they hold for each value of the metric.
        values: by metric and sku (None means the whole campaign).

    >>> rule = Threshold("stock_units", below=100, above=9000)
    >>> values = {("stock_units", "A"): 100, ("stock_units", "B"): 101}
    >>> [one.side for one in reached([rule], values)]
    ['low']
    """
    found = []
    for rule in thresholds:
        for (metric, sku), value in values.items():
            if metric != rule.metric or rule.sku not in (None, sku):
                continue
            if rule.below is not None and value <= rule.below:
                found.append(Reached(metric, sku, "low", rule.below, value))
            if rule.above is not None and value >= rule.above:
                found.append(Reached(metric, sku, "high", rule.above, value))
    return found
