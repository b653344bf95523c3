"""Pictures of simulations, as PNG or SVG. The drawing library is loaded only here, when drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.cli.terminal.failures import CommandError, ExitCode

if TYPE_CHECKING:
    from policy.studies.paper import Figure, PaperTable

_PAPER, _OURS = "#9aa5b1", "#1f6f8b"
_PARTS = {
    "purchases": ("purchases", "#9aa5b1"),
    "setups": ("set-ups", "#c9b458"),
    "holding": ("holding", "#1f6f8b"),
    "backorders": ("backorders", "#b5473c"),
}
_LARGE = 10_000  # figures above are yearly costs; ratios and levels have other scales


def check_plot(path: Path | None) -> None:
    """Refuse a file that cannot be drawn, before an hour of work and not after it.

    Raises:
        CommandError: its name ends otherwise, or its folder is not there.
    """
    if path is None:
        return
    if path.suffix.lower() not in (".png", ".svg"):
        raise CommandError(f"plot must end in .png or .svg, got {str(path)!r}", ExitCode.USAGE)
    if not path.parent.is_dir():
        raise CommandError(f"plot must be in a folder that is there, got {path}", ExitCode.USAGE)


def plot_paper(tables: Sequence[PaperTable], path: Path) -> None:
    """Draw the yearly costs of each table, the paper's beside ours."""
    shown = [(table, figures) for table in tables if len(figures := _costs(table)) > 1]
    heights = [len(figures) + 1.5 for _, figures in shown]
    figure, axes = _new_figure(len(shown), 11.0, 0.32 * sum(heights), heights)
    for axis, (table, figures) in zip(axes, shown, strict=True):
        _draw_pairs(axis, figures)
        axis.set_title(f"{table.number}: {table.title}", loc="left", fontsize=10)
    _legend_above(axes[0], 2)
    axes[-1].set_xlabel("money in 360 days; bars: four standard errors")
    figure.savefig(path, dpi=130)


def _costs(table: PaperTable) -> list[Figure]:
    return [figure for figure in table.figures if figure.ours > _LARGE]


def _draw_pairs(axis: Any, figures: Sequence[Figure]) -> None:
    places = range(len(figures))
    published = [figure.published or 0.0 for figure in figures]
    errors = [4 * figure.standard_error for figure in figures]
    axis.barh([p - 0.2 for p in places], published, 0.38, color=_PAPER, label="paper")
    ours = [figure.ours for figure in figures]
    axis.barh([p + 0.2 for p in places], ours, 0.38, xerr=errors, color=_OURS, label="ours")
    labels = [f"{figure.label.strip()} [{figure.verdict}]" for figure in figures]
    axis.set_yticks(list(places), labels, fontsize=7)
    axis.invert_yaxis()
    axis.set_xlim(0, 1.05 * max(ours + published))


def plot_compare(summaries: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Draw cost by part, service and stock of each policy."""
    figure, axes = _new_figure(3, 9.0, 8.0, [3.0, 2.0, 2.0])
    names = list(summaries)
    left = [0.0] * len(names)
    for part, (label, colour) in _PARTS.items():
        values = [summaries[name][part] for name in names]
        axes[0].barh(names, values, left=left, color=colour, label=label)
        left = [a + b for a, b in zip(left, values, strict=True)]
    axes[0].set_title("cost over the days counted, money", loc="left", fontsize=10)
    _legend_above(axes[0], 4)
    _draw_service(axes[1], names, summaries)
    axes[2].barh(names, [summaries[name]["mean_stock_value"] for name in names], color=_OURS)
    axes[2].set_title("mean stock, money", loc="left", fontsize=10)
    for axis in axes:
        axis.invert_yaxis()
    figure.savefig(path, dpi=130)


def _draw_service(
    axis: Any, names: list[str], summaries: Mapping[str, Mapping[str, float]]
) -> None:
    places = range(len(names))
    cycles = [summaries[name]["cycle_service"] for name in names]
    fills = [summaries[name]["fill_rate"] for name in names]
    axis.barh([p - 0.2 for p in places], cycles, 0.38, color=_OURS, label="cycles")
    axis.barh([p + 0.2 for p in places], fills, 0.38, color=_PAPER, label="units")
    axis.set_yticks(list(places), names)
    axis.set_xlim(0, 1)
    axis.set_title("share of cycles without a stock-out, of units met", loc="left", fontsize=10)
    axis.xaxis.set_major_formatter("{x:.0%}")
    _legend_above(axis, 2)


def _legend_above(axis: Any, columns: int) -> None:
    """Put the legend beside the title, where no bar is."""
    axis.legend(frameon=False, fontsize=8, ncols=columns, loc="lower right", bbox_to_anchor=(1, 1))


def _new_figure(
    rows: int, width_inches: float, height_inches: float, heights: Sequence[float]
) -> tuple[Any, list[Any]]:
    """Return a figure and its axes one below the other; no window, no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(width_inches, height_inches), layout="constrained")
    FigureCanvasAgg(drawing)
    axes = drawing.subplots(rows, 1, squeeze=False, height_ratios=list(heights))
    for axis in axes[:, 0]:
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.spines[["top", "right"]].set_visible(False)
    return drawing, list(axes[:, 0])
