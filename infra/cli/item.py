"""`tidegate item`: what is known of one item, on one screen."""

import math
import time
from typing import Any

import msgspec
import numpy as np
from rich.console import Console

from infra.cli.terminal.failures import CommandError
from infra.cli.terminal.options import NOT_GIVEN, Connection, Json
from infra.cli.terminal.output import heading, make_console, make_facts, make_table
from infra.control.known_names import near_matches
from infra.redis.reader import ItemState, Reader, open_reader
from infra.redis.rows import DECISION_COLUMNS, ITEM_COLUMNS, decision_rows, time_or_none
from infra.wording.codes import chosen_split, reason_text, split_rows
from infra.wording.decisions import position_text
from infra.wording.format import duration, moment, number, plain_time
from streams.contracts.alerts import AlertKind
from streams.demand.estimate import estimate_words
from streams.detection.stock_cover import available_units
from streams.incidents.figures import item_minutes_to_zero
from streams.incidents.kinds import INCIDENT_KINDS, ITEM_FIELDS
from streams.replenishment.decision_record import CANDIDATES
from streams.settings import SurgeSettings
from streams.state.items import CATALOG, OLDEST_OPEN_ORDER
from streams.timestamps import one_time, rfc3339
from streams.types import Table

_DAYS_SHOWN = 10


def item(
    sku: str,
    /,
    *,
    warehouse: str | None = None,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Show one item: stock, backlog, supply, demand, incidents, last days, latest decision.

    Args:
        sku: as the shop writes it.
        warehouse: only this one; by default all.
        as_json: one JSON array, with one object for each warehouse.
    """
    with open_reader(connection.settings()) as reader:
        places = reader.find(sku, warehouse)
        if not places:
            raise CommandError(_not_found(reader, sku, warehouse))
        shown = []
        for partition, place in places:
            state = reader.item(partition, place, days=_DAYS_SHOWN)
            decision = reader.latest_decision(partition, place)
            shown.append((state, _named(state, decision)))
    if as_json:
        records = [item_record(state, named) for state, named in shown]
        print(msgspec.json.format(msgspec.json.encode(records), indent=1).decode())
        return
    console = make_console()
    for state, named in shown:
        _show(console, state, named)


def _not_found(reader: Reader, sku: str, warehouse: str | None) -> str:
    others = [name[1] for p, place in reader.find(sku) for name in [reader.names(p)[place]]]
    if others:
        return f"{sku!r} is not in warehouse {warehouse!r}; it is in {', '.join(others)}"
    near = near_matches(sku, reader.skus())
    if not near:
        return f"no item has the sku {sku!r}"
    return f"no item has the sku {sku!r}; near it: {', '.join(near)}"


def _named(state: ItemState, decision: Table | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    names = {state.place: (state.sku, state.warehouse)}
    (row,) = decision_rows(decision.reshape(1), names)  # type: ignore[arg-type]
    return dict(zip(DECISION_COLUMNS, row, strict=True))


# --- as a record ------------------------------------------------------------------------------


def item_record(state: ItemState, decision: dict[str, Any] | None) -> dict[str, Any]:
    """Return everything as plain JSON values."""
    row = state.row
    return {
        **dict(zip(ITEM_COLUMNS, state.shown, strict=True)),
        "partition": state.partition,
        "as_of": None if state.applied_ms is None else time_or_none(state.applied_ms),
        "minutes_to_zero": _minutes_to_zero(state),
        "on_order": [
            {
                "po_id": order.po_id,
                "supplier": order.supplier,
                "supplier_role": str(order.role),
                "quantity": order.quantity,
                "outstanding": order.outstanding,
                "due_at": time_or_none(order.due_ms),
                "state": order.state,
                "late_since": time_or_none(order.late_since_ms),
            }
            for order in state.open_orders
        ],
        "incidents": {
            field.removesuffix("_ms"): time_or_none(int(row[field]))
            for field in ITEM_FIELDS.values()
            if row[field] > 0
        },
        "catalog": {name: _plain(name, row[name].item()) for name in CATALOG.names or ()}
        if state.catalog
        else None,
        "campaigns": [msgspec.to_builtins(line) for line in state.campaigns],
        "days": [
            {"day": day, **{name: int(cell[name]) for name in cell.dtype.names or ()}}
            for day, cell in state.days
        ],
        "latest_decision": decision,
    }


def _plain(name: str, value: Any) -> Any:
    if name.endswith("_ms"):
        return time_or_none(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


# --- on a screen ------------------------------------------------------------------------------


def _show(console: Console, state: ItemState, decision: dict[str, Any] | None) -> None:
    console.print(heading(f"{state.sku} in warehouse {state.warehouse}"))
    console.print(make_facts(_facts(state)))
    if state.days:
        console.print()
        console.print(_days_table(state))
    console.print()
    if decision is None:
        console.print("never reviewed" if state.catalog else _no_catalog())
    else:
        _show_decision(console, state, decision)
    console.print()


def _no_catalog() -> str:
    return "never reviewed: it has no catalog line with its costs and suppliers"


def _facts(state: ItemState) -> list[tuple[str, object]]:
    row = state.row
    return [
        ("as of", _freshness(state)),
        ("stock", _stock_text(row)),
        ("backlog", _backlog_text(state)),
        *_supply_facts(state),
        ("demand", _demand_text(row)),
        *_estimate_facts(state),
        ("cover", _cover_text(state)),
        *_incident_facts(state),
        *[("campaign", _campaign_text(line)) for line in state.campaigns],
        *_plan_facts(row),
        ("next review", _time_or(int(row["next_review_ms"]), _why_no_review(state))),
    ]


def _why_no_review(state: ItemState) -> str:
    line = state.catalog
    if line is None or line.discontinued_from is None:
        return "not in the catalog"
    since = plain_time(rfc3339(one_time(line.discontinued_from)))
    return f"discontinued from {since} ({line.discontinued_mode})"


def _freshness(state: ItemState) -> str:
    if state.applied_ms is None:
        return "nothing has taken effect yet"
    age = time.time() - state.applied_ms / 1000
    place = f"partition {state.partition}"
    return f"{moment(state.applied_ms)}, event time, {duration(abs(age))} ago ({place})"


def _stock_text(row: Table) -> str:
    if not row["counted_at_ms"]:
        return "not known: it was never counted"
    counted, units = moment(int(row["counted_at_ms"])), row["on_hand_units"]
    if units < 0:
        return (
            f"0 units on hand — COUNT THIS: by the record {number(units)}, because more left than "
            f"was counted, last {counted}"
        )
    return f"{number(units)} units on hand, last counted {counted}"


def _backlog_text(state: ItemState) -> str:
    oldest = dict(zip(ITEM_COLUMNS, state.shown, strict=True))[
        OLDEST_OPEN_ORDER.removesuffix("_ms")
    ]
    units = f"{number(state.row['backlog_units'])} units that customers wait for"
    return f"{units}, the oldest order since {plain_time(oldest)}" if oldest else units


def _supply_facts(state: ItemState) -> list[tuple[str, object]]:
    if not state.open_orders:
        return [("on order", "nothing")]
    return [
        (
            "on order",
            f"{number(order.outstanding)} of {number(order.quantity)} from {order.supplier} "
            f"({order.role}), due {moment(order.due_ms)}, "
            f"{order.state.replace('_', ' ')}, {order.po_id}"
            + (" — LATE" if order.late_since_ms else ""),
        )
        for order in state.open_orders
    ]


def _demand_text(row: Table) -> str:
    if not row["estimated_ms"]:
        return "not known yet: no day has closed since the first sale"
    level, trend = float(row["demand_level_units_per_day"]), row["demand_trend_units_per_day"]
    spread = math.sqrt(max(0.0, float(row["demand_variance_units"])))
    return (
        f"{number(level, 1)} units a day ± {number(spread, 1)}, trend {trend:+.2f} a day: "
        f"{number(row['order_level_per_day'], 2)} orders "
        f"of {number(row['units_per_order'], 1)} units"
        + (f", of which {row['kept_share']:.0%} stay sold" if row["kept_share"] < 0.995 else "")
    )


def _estimate_facts(state: ItemState) -> list[tuple[str, object]]:
    """What the demand rests on."""
    row = state.row
    if not row["estimated_ms"]:
        return []
    applied_ms = state.applied_ms or int(row["estimated_ms"])
    words = estimate_words(np.array([row]), applied_ms)
    quality, method, kind = (
        words[f"estimate_{name}"][0].decode() for name in ("quality", "method", "class")
    )
    rests = (
        f"{quality}: {number(row['known_orders'], 1)} orders in "
        f"{number(row['known_days'] + row['quiet_days'], 1)} days on sale, newer ones with more "
        f"weight; {row['pooled_share']:.0%} from its category and shop"
    )
    age = f"{duration((applied_ms - int(row['estimated_ms'])) / 1000)} before, from a closed day"
    return [
        ("rests on", rests),
        ("method", f"{method}: its demand is {kind}"),
        ("learned", age),
        *_silence_facts(row),
    ]


def _silence_facts(row: Table) -> list[tuple[str, object]]:
    if row["out_since_ms"] > 0:
        since = moment(int(row["out_since_ms"]))
        return [("not taught", f"nothing to sell since {since}: no sales say nothing of demand")]
    if row["silent_since_ms"] > 0:
        since = moment(int(row["quiet_since_ms"]))
        return [("not taught", f"no sale since {since} though the record says stock")]
    return []


def _cover_text(state: ItemState) -> str:
    if not state.row["counted_at_ms"]:
        return "not known"
    if not available_units(state.row):
        return "nothing is left to sell"
    minutes = _minutes_to_zero(state)
    if minutes is None:
        return "at its current rate the stock never runs out"
    rate = "the rate of its surge" if state.row["surge_since_ms"] > 0 else "this rate"
    return f"the stock lasts {duration(minutes * 60)} at {rate}"


def _minutes_to_zero(state: ItemState) -> int | None:
    """As the item's alerts and the page tell it."""
    now_ms = state.applied_ms or 0
    return item_minutes_to_zero(state.row, state.profile, now_ms, SurgeSettings())


def _incident_facts(state: ItemState) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = [
        ("incident", f"{_summary(kind)}, since {moment(int(state.row[field]))}")
        for kind, field in ITEM_FIELDS.items()
        if state.row[field] > 0
    ]
    return found or [("incidents", "none")]


def _summary(kind: AlertKind) -> str:
    """The incident's summary, of the item that the heading names."""
    return INCIDENT_KINDS[kind].summary.format(subject="it")


def _campaign_text(line: Any) -> str:
    discount = "" if line.discount is None else f", {line.discount:.0%} off"
    return (
        f"{line.campaign_id}: {_shown_time(line.starts_at)} to {_shown_time(line.ends_at)}, "
        f"{number(line.expected_units)} units expected{discount}"
    )


def _plan_facts(row: Table) -> list[tuple[str, object]]:
    """How an open campaign window stands to its plan."""
    due = float(row["plan_due_orders"] + row["plan_day_due_orders"])
    if not due > 0:
        return []
    sold = float(row["plan_sold_orders"] + row["plan_day_orders"])
    so_far = f"{number(sold, 1)} of {number(due, 1)} orders that were due so far while on sale"
    return [("against plan", f"{so_far}: {sold / due:.0%}")]


def _shown_time(value: str | int) -> str:
    return moment(value) if isinstance(value, int) else plain_time(value)


def _time_or(milliseconds: int, otherwise: str) -> str:
    return moment(milliseconds) if milliseconds else otherwise


def _days_table(state: ItemState) -> Any:
    names = ("orders", "lines", "units", "cancelled_units", "returned_units")
    columns = [
        ("day", False),
        *((name.removesuffix("_units"), True) for name in names),
    ]
    rows = [(day, *(number(cell[name]) for name in names)) for day, cell in state.days]
    return make_table(columns, rows)


def _show_decision(console: Console, state: ItemState, decision: dict[str, Any]) -> None:
    lean, flexible = decision["quantity_lean_units"], decision["quantity_flexible_units"]
    ordered = f"{number(lean)} lean and {number(flexible)} flexible" if lean + flexible else "none"
    console.print(heading(f"{_decision_title(decision)}"))
    console.print(
        make_facts(
            [
                ("ordered", ordered),
                ("why", f"{reason_text(decision['reason'])} ({decision['reason']})"),
                ("position", position_text(decision)),
                ("expected", f"{number(decision['demand_mean_units_per_day'], 1)} units a day"),
            ]
        )
    )
    costs = {split: decision[f"expected_cost_{split}"] for split in CANDIDATES}
    if any(cost is not None for cost in costs.values()):
        currency = state.catalog.currency if state.catalog else None
        rows = split_rows(costs, chosen_split(decision), currency)
        columns = [("split", False), ("expected cost", True), ("more", True), ("", False)]
        console.print(make_table(columns, rows))


def _decision_title(decision: dict[str, Any]) -> str:
    when = plain_time(decision["reviewed_at"])
    return f"latest decision, {when}, {decision['occasion']} review"
