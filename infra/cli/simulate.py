"""`tidegate simulate`: the published tables beside ours, and policies on one's own history."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Group, Parameter

from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.options import Json
from infra.cli.terminal.output import heading, make_console, make_facts, make_table, note
from infra.cli.terminal.progress import Tell, progress
from infra.wording.format import number

if TYPE_CHECKING:
    from infra.replay.demand_history import History
    from policy.studies.backtest import Ledger
    from policy.studies.paper import Figure, PaperTable

Plot = Annotated[Path | None, Parameter(show_default=False)]
_PAPER_TABLES = 7
_SHORT_REASON_CHARACTERS = 40
_SHARE = ", share"
LEAST_LEARNT_DAYS = 7

simulate = App(
    name="simulate",
    help="Simulate policies: the published tables, your own demand history, or one stated item.",
)
simulate.command("infra.cli.studies.item:item", name="item")


@simulate.command
def paper(
    *,
    plot: Plot = None,
    runs: int = 4000,
    seed: int = 1,
    cell_units: float = 1.0,
    as_json: Json = False,
) -> None:
    """Print every table of the paper beside ours, with a verdict for each figure.

    Ours is simulated over 360 days from the paper's start stock, for the cheapest rule that meets
    the service target in truth. A figure is reproduced when it is within 0.5 %; else it is said why
    it cannot be. About a minute. The paper: Xiang, Naseem & Ahmad (2025), doi
    10.37256/cm.6520257779.

    Args:
        plot: also draw it: a file that ends in .png or .svg.
        runs: simulated years for each figure, from 2.
        seed: seed of the simulated demand; the same seed gives the same figures.
        cell_units: grid of the exact rules, in units: 1 gives the printed digits, 10 is quick.
        as_json: one JSON object instead of tables.
    """
    from infra.cli.terminal.plotting import check_plot, plot_paper

    check_plot(plot)
    tables = _paper_tables(runs, seed, cell_units)
    if as_json:
        print(
            json.dumps(
                {
                    "seed": seed,
                    "runs": runs,
                    "cell_units": cell_units,
                    "tables": [asdict(t) for t in tables],
                }
            )
        )
    else:
        _show_paper(tables, runs, seed)
    if plot:
        plot_paper(tables, plot)
        note(f"drawn: {plot}")


def _paper_tables(runs: int, seed: int, cell_units: float) -> "list[PaperTable]":
    from policy import paper_tables

    with progress("the paper") as tell:
        begun: list[str] = []

        def next_table(name: str) -> None:
            tell(len(begun) / _PAPER_TABLES, name)
            begun.append(name)

        return paper_tables(runs=runs, seed=seed, cell_units=cell_units, tell=next_table)


def _show_paper(tables: "Sequence[PaperTable]", runs: int, seed: int) -> None:
    from policy.studies.paper import verdict_counts

    console = make_console()
    columns = [
        *(("", False), ("paper", True), ("ours", True), ("± s.e.", True), ("difference", True)),
        *(("cycles served", True), ("verdict", False), ("why", False)),
    ]
    notes: dict[str, str] = {}
    for table in tables:
        rows = [_figure_row(figure, notes) for figure in table.figures]
        console.print(make_table(columns, rows, f"{table.number}: {table.title}"))
        console.print()
    console.print(make_facts((f"[{mark}]", text) for text, mark in notes.items()))
    console.print()
    counts = ", ".join(f"{count} {verdict}" for verdict, count in verdict_counts(tables).items())
    console.print(f"{counts}; seed {seed}, {number(runs)} simulated years a figure")


def _figure_row(figure: "Figure", notes: dict[str, str]) -> tuple[str, ...]:
    """Return a row of a table; a reason longer than a few words becomes a note."""
    digits = 0 if figure.ours > 10_000 else 1 if figure.ours > 100 else 3
    served = "" if figure.cycle_service is None else f"{figure.cycle_service:.1%}"
    away, reason = split_reason(figure.reason)
    if len(reason) > _SHORT_REASON_CHARACTERS:
        reason = f"[{notes.setdefault(reason, str(len(notes) + 1))}]"
    label = figure.label.removesuffix(_SHARE)

    def shown(value: float) -> str:
        return number(value, digits) if label == figure.label else f"{value:.1%}"

    return (
        label,
        "" if figure.published is None else shown(figure.published),
        shown(figure.ours),
        shown(figure.standard_error) if figure.runs else "exact",
        away,
        served,
        figure.verdict,
        reason,
    )


def split_reason(reason: str) -> tuple[str, str]:
    """Return how far a figure is from the paper's, and why.

    >>> split_reason("-4.41%: no equation"), split_reason("+0.10%"), split_reason("rounded up")
    (('-4.41%', 'no equation'), ('+0.10%', ''), ('', 'rounded up'))
    """
    away, _, rest = reason.partition(": ")
    if away.endswith("%") and away[:1] in "+-":
        return away, rest
    return "", reason


# --- on one's own history ---------------------------------------------------------------------

_TERMS = Group("Suppliers and costs, instead of those in the file", sort_key=5)


@Parameter(name="*", group=_TERMS)
@dataclass(frozen=True, kw_only=True)
class Terms:
    """Terms for every item instead of its catalog line; None means the catalog line."""

    review_period_days: float | None = None
    """Days between two reviews, 1 to 365."""
    lead_time_days_lean: float | None = None
    """Days from order to arrival."""
    lead_time_days_flexible: float | None = None
    """Days from order to arrival, at most the lean one."""
    setup_cost_lean: float | None = None
    """Money an order."""
    setup_cost_flexible: float | None = None
    """Money an order."""
    service_target: float | None = None
    """Share of cycles without a stock-out, 0 to 0.999; 0 means the lowest cost."""
    flexible_cost_ratio: float | None = None
    """Flexible unit cost, as a multiple of the lean one."""
    holding_share_per_day: float | None = None
    """Holding cost of a unit and day, as a share of its lean unit cost."""
    backorder_share_per_day: float | None = None
    """Backorder cost of a unit and day, as a share of its lean unit cost."""


_AS_IN_FILE = Terms()
_RELATIVE = {
    "flexible_cost_ratio": "unit_cost_flexible",
    "holding_share_per_day": "holding_cost_per_unit_day",
    "backorder_share_per_day": "backorder_cost_per_unit_day",
}


@simulate.command
def compare(
    file: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    schema: Literal["tidegate", "uci"] = "tidegate",
    items: int | None = None,
    learn_days: int | None = None,
    plot: Plot = None,
    as_json: Json = False,
    terms: Terms = _AS_IN_FILE,
) -> None:
    """Compare ordering policies on your own demand history: cost, service and stock.

    Dual, lean only and flexible only are the live decision at every review; reorder point is a
    daily (s, Q) and monthly an order up to mean demand, both from the lean supplier. Every day is
    decided on the days before it alone: mean and spread of the last 56 days. Stock opens alike; the
    first 28 days after the learnt ones count for nobody. A day's cancellations are taken off its
    orders. Items without a sale in the learnt days, or without a catalog line, are left out (with
    `--schema uci` a line is made up; `tidegate replay --explain-schema` says how).

    Args:
        file: JSON Lines, plain or gzip, as `tidegate replay` takes it; `-` is standard input.
        schema: what the lines look like.
        items: only so many items, those with the most units; by default all.
        learn_days: days to learn from before the first order; by default a third of the history.
        plot: also draw it: a file that ends in .png or .svg.
        as_json: one JSON object instead of tables.
    """
    from infra.cli.terminal.plotting import check_plot, plot_compare

    check_plot(plot)
    if items is not None and items < 1:
        raise CommandError(f"items must be >= 1, got {items}", ExitCode.USAGE)
    with progress("reading") as tell:
        history = _read(file, schema, tell)
        learnt = _learnt_days(history.demand.shape[1], learn_days)
        history = _chosen(history, learnt, items)
        changed = _with_terms(history.terms, terms)
        ledgers = _run_all(history, changed, learnt, tell)
    summaries = {name: summary_of(ledger, changed) for name, ledger in ledgers.items()}
    about = _about(history, learnt)
    if as_json:
        print(json.dumps({**about, "policies": summaries}))
    else:
        _show_compare(about, summaries)
    if plot:
        plot_compare(summaries, plot)
        note(f"drawn: {plot}")


def _read(file: Path, schema: str, tell: Tell) -> "History":
    from infra.replay.demand_history import read_history
    from infra.replay.line_source import open_lines
    from infra.replay.schemas import adapt

    lines = open_lines(file)
    return read_history(
        adapt(lines, schema=schema), lambda: tell(_share(lines) / 3, f"reading {file}")
    )


def _share(lines: Any) -> float:
    try:
        return float(lines.share() or 0.0)
    except OSError:  # it is read to its end and closed
        return 1.0


def _learnt_days(days: int, wished: int | None) -> int:
    """Return the days to learn from.

    Raises:
        CommandError: the history is too short, or so many days cannot be learnt from.
    """
    from policy.studies.backtest import WARM_UP_DAYS

    shortest = WARM_UP_DAYS + LEAST_LEARNT_DAYS + 1
    needed = shortest if wished is not None else 3 * (WARM_UP_DAYS + 1) // 2
    if days < needed:
        how = f"{LEAST_LEARNT_DAYS} to learn from, {WARM_UP_DAYS} to settle and 1 to count"
        if wished is None:
            how = f"a third to learn from, {WARM_UP_DAYS} to settle and the rest to count"
        less = f"; with --learn-days {LEAST_LEARNT_DAYS}, {shortest} are enough"
        raise CommandError(
            f"the history must have >= {needed} days ({how}), got {days}"
            + (less if wished is None else ""),
            ExitCode.USAGE,
        )
    learnt = days // 3 if wished is None else wished
    if not LEAST_LEARNT_DAYS <= learnt < days - WARM_UP_DAYS:
        most = days - WARM_UP_DAYS - 1
        raise CommandError(
            f"learn_days must be from {LEAST_LEARNT_DAYS} to {most}, so that days of the {days} "
            f"are left to count, got {learnt}",
            ExitCode.USAGE,
        )
    return learnt


def _chosen(history: "History", learnt: int, items: int | None) -> "History":
    """Leave out what has no sale in the learnt days: nobody could have ordered it."""
    known = history.with_demand_before(learnt)
    return known if items is None else known.busiest(items)


def _with_terms(columns: Mapping[str, Any], terms: Terms) -> dict[str, Any]:
    import numpy as np

    changed = dict(columns)
    for name, value in asdict(terms).items():
        if value is None:
            continue
        if name in _RELATIVE:
            changed[_RELATIVE[name]] = value * changed["unit_cost_lean"]
        else:
            changed[name] = np.full_like(changed["unit_cost_lean"], value)
    if terms.service_target is not None:
        from policy import ServiceType

        kind = ServiceType.CYCLE if terms.service_target > 0 else ServiceType.COST
        changed["service_type"] = np.full_like(changed["unit_cost_lean"], kind)
    return changed


def _run_all(
    history: "History", terms: dict[str, Any], learnt: int, tell: Tell
) -> "dict[str, Ledger]":
    from policy import PolicyCache
    from policy.studies.backtest import backtest, dual, monthly, reorder_quantity

    count = len(history.skus)
    cache = PolicyCache()
    policies = [
        *(dual(terms, cache, suppliers=name) for name in ("both", "lean", "flexible")),
        reorder_quantity(count),
        monthly(count),
    ]
    ledgers = {}
    for place, policy in enumerate(policies):

        def show(share: float, place: int = place, name: str = policy.name) -> None:
            tell(1 / 3 + (place + share) / len(policies) * 2 / 3, f"{name}, {share:.0%}")

        ledgers[policy.name] = backtest(history.demand, terms, policy, first_day=learnt, tell=show)
    return ledgers


def summary_of(ledger: "Ledger", terms: Mapping[str, Any]) -> dict[str, float]:
    """Return a policy's figures over all items; money over the days that count."""
    bought = float(ledger.lean_units.sum() + ledger.flexible_units.sum())
    value = ledger.mean_stock_units * terms["unit_cost_lean"]
    return {
        "cost": float(ledger.cost.sum()),
        "purchases": float(ledger.purchases.sum()),
        "setups": float(ledger.setups.sum()),
        "holding": float(ledger.holding.sum()),
        "backorders": float(ledger.backorders.sum()),
        "stock_change": float(ledger.stock_change.sum()),
        "cycle_service": float(ledger.clean_cycles.sum() / max(1.0, ledger.cycles.sum())),
        "fill_rate": float(ledger.met_units.sum() / max(1.0, ledger.demand_units.sum())),
        "mean_stock_units": float(ledger.mean_stock_units.sum()),
        "mean_stock_value": float(value.sum()),
        "orders": float(ledger.orders.sum()),
        "share_flexible": float(ledger.flexible_units.sum()) / bought if bought else 0.0,
    }


def _about(history: "History", learnt: int) -> dict[str, Any]:
    from policy.studies.backtest import WARM_UP_DAYS

    days = history.demand.shape[1]
    return {
        "items": len(history.skus),
        "left_out": history.left_out,
        "bad_records": history.bad_records,
        "days_learnt": learnt,
        "days_not_counted": WARM_UP_DAYS,
        "days_counted": days - learnt - WARM_UP_DAYS,
        "demand_units": float(history.demand[:, learnt + WARM_UP_DAYS :].sum()),
    }


_MONEY, _SHARES, _COUNT = "{:,.2f}", "{:.1%}", "{:,.0f}"
_ROWS = (
    ("cost", "cost", _MONEY),
    ("  purchases", "purchases", _MONEY),
    ("  set-ups", "setups", _MONEY),
    ("  holding", "holding", _MONEY),
    ("  backorders", "backorders", _MONEY),
    ("  less growth of stock", "stock_change", _MONEY),
    ("cycles without a stock-out", "cycle_service", _SHARES),
    ("units met from stock", "fill_rate", _SHARES),
    ("mean stock, units", "mean_stock_units", _COUNT),
    ("mean stock, money", "mean_stock_value", _MONEY),
    ("orders", "orders", _COUNT),
    ("units from flexible", "share_flexible", _SHARES),
)


def _show_compare(about: dict[str, Any], summaries: Mapping[str, Mapping[str, float]]) -> None:
    console = make_console()
    console.print(heading("Policies on recorded demand"))
    console.print(make_facts(_about_facts(about)))
    console.print()
    columns = [("", False), *((name, True) for name in summaries)]
    console.print(make_table(columns, _compare_rows(summaries)))


def _about_facts(about: dict[str, Any]) -> Iterable[tuple[str, object]]:
    yield "items", f"{number(about['items'])}, {number(about['left_out'])} left out"
    yield (
        "days",
        f"{about['days_learnt']} learnt from, {about['days_not_counted']} to settle, "
        f"{about['days_counted']} counted",
    )
    yield "demand", f"{number(about['demand_units'])} units in the days counted"
    if about["bad_records"]:
        yield "bad records", f"{number(about['bad_records'])}, left out"


def _compare_rows(summaries: Mapping[str, Mapping[str, float]]) -> Iterable[list[str]]:
    lean = summaries["lean only"]["cost"]
    for label, name, form in _ROWS:
        yield [label, *(form.format(summary[name]) for summary in summaries.values())]
        if name == "cost" and lean:
            changes = [summary["cost"] / lean - 1 for summary in summaries.values()]
            yield [
                "  against lean only",
                *(f"{change:+.1%}" if change else "" for change in changes),
            ]
