"""A picture of one run of `tidegate simulate item`: stock by day, and orders of both suppliers."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policy.studies.item.world import Days


def plot_item(days: "Days", path: Path) -> None:
    """Draw net stock at the end of each day above the units ordered."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    stock, orders = figure.subplots(2, 1, sharex=True, height_ratios=[2.0, 1.0])
    stock.plot(days.end, color="#1f6f8b", linewidth=0.8)
    stock.axhline(0.0, color="#b5473c", linewidth=0.8)
    stock.set_ylabel("net stock, units")
    for units, label, colour in (
        (days.lean_units, "lean", "#9aa5b1"),
        (days.flexible_units, "flexible", "#c9b458"),
    ):
        placed = units.nonzero()[0]
        orders.vlines(placed, 0.0, units[placed], color=colour, label=label)
    orders.set_ylabel("ordered, units")
    orders.set_xlabel("day of the first run")
    orders.legend(frameon=False, ncols=2)
    figure.savefig(path, dpi=130)
