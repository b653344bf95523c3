"""Incidents: raised once, told as resolved once, under one id from beginning to end.

An item's open incidents lie in its row, those of inputs in the shard's state. A limit that ends an
incident lies beyond the one that raises it (hysteresis), so that it does not flap.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from streams.items import Items
from streams.outbox import Outgoing, alert_record
from streams.outputs import (
    ACTIONS,
    Alert,
    AlertKind,
    AlertState,
    SupplierRole,
    incident_id,
    rfc3339,
)
from streams.profile import HOURS, Profile, flat_profile
from streams.rings import DAY_MS, HOUR_MS
from streams.supply import OpenOrder
from streams.surge import surge_factor
from streams.types import BoolArray, Float64Array, Int32Array, Int64Array, Table

_NEVER = int(np.iinfo(np.int64).max)
_LONGEST_SILENCE_HOURS = 72


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """When an incident begins and ends."""

    low_cover_ends_at: float = 1.25  # cover divided by the wait for goods; raised below 1
    silent_orders: float = 30.0  # expected orders that did not come before the input is stale
    silent_ms: int = 900_000  # and at least so long
    dead_letters_end_ms: int = HOUR_MS  # without a further one


class Alerts:
    """The incidents of a shard.

    Args:
        partition: the shard's number, named in incidents of its inputs.
        settings: limits.
    """

    def __init__(self, partition: int, settings: AlertSettings) -> None:
        self._partition = partition
        self._settings = settings
        self._touched: list[Int32Array] = []
        self._changed: set[int] = set()
        self._late: list[tuple[OpenOrder, int]] = []
        self._settled: list[OpenOrder] = []
        self._marked: list[OpenOrder] = []
        self._last_order_ms = 0
        self._silent_since_ms = 0
        self._silence_ends_ms: int | None = None
        self._rate = 0.0
        self._profile = flat_profile()
        self._dead_letters = 0
        self._last_dead_letter_ms = 0
        self._dead_letters_since_ms = 0

    # -- notes of what happened since the last boundary ---------------------------------------

    def touch(self, items: Int32Array) -> None:
        """Note that the stock or demand of these items moved."""
        self._touched.append(items)

    def note_orders(self, newest_ms: int) -> None:
        """Note that orders came in."""
        self._last_order_ms = max(self._last_order_ms, newest_ms)
        self._silence_ends_ms = None

    def note_dead_letters(self, count: int, newest_ms: int) -> None:
        """Note that bad records were set aside."""
        self._dead_letters += count
        self._last_dead_letter_ms = max(self._last_dead_letter_ms, newest_ms)

    def expect(self, order: OpenOrder, due_ms: int) -> None:
        """Note that an order's due date has passed without its goods."""
        self._late.append((order, due_ms))

    def settle(self, order: OpenOrder) -> None:
        """Note that an order was closed or has a later due date."""
        self._late = [(late, due_ms) for late, due_ms in self._late if late is not order]
        if order.late_since_ms and order not in self._settled:
            self._settled.append(order)

    # -- when something can happen ------------------------------------------------------------

    def is_open(self, rows: Table) -> bool:
        """Whether an incident is open that time alone can end."""
        return bool((rows["surge_since_ms"] > 0).any()) or self._dead_letters_since_ms > 0

    def learn_rate(self, rows: Table, profile: Profile) -> None:
        """Take the rate of all orders, and how it is spread over the week, from a closed day on."""
        # Exact, so that it does not depend on the order in which the items were first seen.
        self._rate = math.fsum(rows["order_level_per_day"].tolist())
        self._profile = profile
        self._silence_ends_ms = None

    def silence_ends_ms(self) -> int:
        """Return when the orders missing since the last one are too many, or never."""
        if not self._last_order_ms or self._silent_since_ms:
            return _NEVER
        if self._silence_ends_ms is None:
            self._silence_ends_ms = self._find_silence()
        return self._silence_ends_ms

    def _find_silence(self) -> int:
        rate, hours = self._rate, self._profile.hours
        missing = self._settings.silent_orders
        moment = self._last_order_ms
        for _ in range(_LONGEST_SILENCE_HOURS):
            hour_ends = (moment // HOUR_MS + 1) * HOUR_MS
            per_ms = rate * hours[moment // HOUR_MS % HOURS] / DAY_MS
            expected = per_ms * (hour_ends - moment)
            if expected >= missing:
                silent = moment + int(missing / per_ms)
                return max(silent, self._last_order_ms + self._settings.silent_ms)
            missing -= expected
            moment = hour_ends
        return _NEVER

    # -- incidents ----------------------------------------------------------------------------

    def close_tick(self, boundary: int, items: Items) -> Iterable[Outgoing]:
        """Raise and resolve what the boundary brings, except surges."""
        yield from self._low_cover(boundary, items)
        yield from self._late_deliveries(boundary, items)
        yield from self._stale_input(boundary)
        yield from self._bad_records(boundary)

    def call_surges(self, called: Int32Array, items: Items, boundary: int) -> Iterable[Outgoing]:
        """Raise a surge for each of these items."""
        return self._raise(
            AlertKind.SURGE, "surge_since_ms", called, items, boundary, _surge_figures
        )

    def end_surges(self, ended: Int32Array, items: Items, boundary: int) -> Iterable[Outgoing]:
        """Resolve the surges of these items."""
        return self._resolve(
            AlertKind.SURGE, "surge_since_ms", ended, items, boundary, _surge_figures
        )

    def call_silences(self, called: Int32Array, items: Items, boundary: int) -> Iterable[Outgoing]:
        """Raise suspicious silence of these items: the stock may not be there."""
        kind = AlertKind.PHANTOM_STOCK
        return self._raise(kind, "silent_since_ms", called, items, boundary, _silence_figures)

    def end_silences(self, ended: Int32Array, items: Items, boundary: int) -> Iterable[Outgoing]:
        """Resolve the suspicious silence of these items."""
        kind = AlertKind.PHANTOM_STOCK
        return self._resolve(kind, "silent_since_ms", ended, items, boundary, _silence_figures)

    def check_stock(
        self, reviewed: Int64Array, is_stale: BoolArray, items: Items, boundary: int
    ) -> Iterable[Outgoing]:
        """Raise or resolve that an item's stock is not known well enough to order on."""
        is_open = items.rows["stale_stock_since_ms"][reviewed] > 0
        name = "stale_stock_since_ms"
        kind = AlertKind.STALE_STOCK
        raised = self._raise(
            kind, name, reviewed[is_stale & ~is_open], items, boundary, _stock_figures
        )
        resolved = self._resolve(
            kind, name, reviewed[~is_stale & is_open], items, boundary, _stock_figures
        )
        return [*raised, *resolved]

    def _low_cover(self, boundary: int, items: Items) -> Iterable[Outgoing]:
        if not self._touched:
            return []
        touched = np.unique(np.concatenate(self._touched))
        self._touched = []
        rows = items.rows[touched]
        ratio = _cover_ratio(rows, boundary)
        is_open = rows["low_cover_since_ms"] > 0
        low = touched[(ratio < 1.0) & ~is_open]
        well = touched[(ratio >= self._settings.low_cover_ends_at) & is_open]
        kind, name = AlertKind.LOW_COVER, "low_cover_since_ms"
        return [
            *self._raise(kind, name, low, items, boundary, _cover_figures),
            *self._resolve(kind, name, well, items, boundary, _cover_figures),
        ]

    def _late_deliveries(self, boundary: int, items: Items) -> Iterable[Outgoing]:
        outputs = []
        for order in self._settled:
            outputs.append(_late_alert(AlertState.RESOLVED, order, items, boundary))
            order.late_since_ms = 0
        for order, due_ms in self._late:
            if order.late_since_ms:
                continue  # moved to another date that has passed too: the incident goes on
            order.late_since_ms = due_ms
            outputs.append(_late_alert(AlertState.RAISED, order, items, boundary))
        self._marked.extend([*self._settled, *(order for order, _ in self._late)])
        self._settled, self._late = [], []
        return outputs

    def _stale_input(self, boundary: int) -> Iterable[Outgoing]:
        kind, subject = AlertKind.STALE_INPUT, f"orders/{self._partition}"
        if self._silent_since_ms and self._last_order_ms > self._silent_since_ms:
            started, self._silent_since_ms = self._silent_since_ms, 0
            figures = {"silent_seconds": (boundary - started) // 1000}
            yield _input_alert(kind, AlertState.RESOLVED, subject, started, boundary, figures)
        elif self.silence_ends_ms() <= boundary:
            started = self._silent_since_ms = self._last_order_ms
            figures = {"silent_seconds": (boundary - started) // 1000}
            yield _input_alert(kind, AlertState.RAISED, subject, started, boundary, figures)

    def _bad_records(self, boundary: int) -> Iterable[Outgoing]:
        subject = f"inputs/{self._partition}"
        kind = AlertKind.DEAD_LETTERS
        since = self._dead_letters_since_ms
        figures = {"dead_letters": self._dead_letters}
        if self._dead_letters and not since:
            self._dead_letters_since_ms = boundary
            yield _input_alert(kind, AlertState.RAISED, subject, boundary, boundary, figures)
        elif since and boundary - self._last_dead_letter_ms >= self._settings.dead_letters_end_ms:
            self._dead_letters_since_ms = self._dead_letters = 0
            yield _input_alert(kind, AlertState.RESOLVED, subject, since, boundary, figures)

    def _raise(
        self,
        kind: AlertKind,
        field: str,
        chosen: "np.ndarray",
        items: Items,
        boundary: int,
        figures: "Figures",
    ) -> list[Outgoing]:
        items.rows[field][chosen] = boundary
        self._changed.update(chosen.tolist())
        return [
            _item_alert(kind, AlertState.RAISED, item, boundary, items, boundary, figures)
            for item in chosen.tolist()
        ]

    def _resolve(
        self,
        kind: AlertKind,
        field: str,
        chosen: "np.ndarray",
        items: Items,
        boundary: int,
        figures: "Figures",
    ) -> list[Outgoing]:
        started = items.rows[field][chosen].tolist()
        items.rows[field][chosen] = 0
        self._changed.update(chosen.tolist())
        return [
            _item_alert(kind, AlertState.RESOLVED, item, since, items, boundary, figures)
            for item, since in zip(chosen.tolist(), started, strict=True)
        ]

    def open_inputs(self) -> dict[AlertKind, int]:
        """Return the open incidents of the shard's inputs, by kind."""
        return {
            AlertKind.STALE_INPUT: int(self._silent_since_ms > 0),
            AlertKind.DEAD_LETTERS: int(self._dead_letters_since_ms > 0),
        }

    # -- what to store ------------------------------------------------------------------------

    def take_changed(self) -> set[int]:
        """Return the items of which an incident began or ended since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def take_marked(self) -> list[OpenOrder]:
        """Return the orders of which an incident began or ended since the last call."""
        marked, self._marked = self._marked, []
        return marked

    def state(self) -> list[int]:
        """What of the shard's own incidents has to be stored."""
        return [
            self._last_order_ms,
            self._silent_since_ms,
            self._dead_letters,
            self._last_dead_letter_ms,
            self._dead_letters_since_ms,
        ]

    def restore(self, state: list[int]) -> None:
        """Take over what was stored."""
        (
            self._last_order_ms,
            self._silent_since_ms,
            self._dead_letters,
            self._last_dead_letter_ms,
            self._dead_letters_since_ms,
        ) = state


Figures = Callable[[Table, int], dict[str, float | int | str | None]]


def _cover_ratio(rows: Table, boundary: int) -> Float64Array:
    """Days that the stock lasts divided by days until goods can come; infinite where unknown.

    Goods come with the next open order, or else with an order placed now at the fast supplier.
    """
    level = rows["demand_level_units_per_day"]
    known = (rows["counted_at_ms"] > 0) & (rows["next_review_ms"] > 0) & (level > 0)
    available = np.maximum(rows["on_hand_units"] - rows["backlog_units"], 0)
    waits_days = np.where(
        rows["next_due_ms"] > boundary,
        (rows["next_due_ms"] - boundary) / DAY_MS,
        rows["lead_time_days_flexible"],
    )
    needed = np.where(known, level * waits_days, 0.0)
    ratio: Float64Array = np.full(rows.size, np.inf)
    np.divide(available, needed, out=ratio, where=needed > 0)
    return ratio


def _cover_figures(row: Table, boundary: int) -> dict[str, float | int | str | None]:
    level = float(row["demand_level_units_per_day"])
    available = max(0, int(row["on_hand_units"] - row["backlog_units"]))
    arrival = int(row["next_due_ms"])
    return {
        "available_units": available,
        "minutes_to_zero": round(available / level * 1440) if level > 0 else None,
        "next_arrival_at": rfc3339(arrival) if arrival > boundary else None,
    }


def _surge_figures(row: Table, boundary: int) -> dict[str, float | int | str | None]:
    del boundary
    return {
        "factor": round(surge_factor(row["surge_sums"]), 2),
        "usual_orders_per_day": round(float(row["order_level_per_day"]), 3),
        "orders_today": int(row["day_orders"]),
        "units_today": int(row["day_units"]),
    }


def _silence_figures(row: Table, boundary: int) -> dict[str, float | int | str | None]:
    del boundary
    return {
        "on_hand_units": int(row["on_hand_units"]),
        "quiet_since": rfc3339(int(row["quiet_since_ms"])),
        "usual_orders_per_day": round(float(row["quiet_rate"]), 3),
    }


def _stock_figures(row: Table, boundary: int) -> dict[str, float | int | str | None]:
    del boundary
    counted = int(row["counted_at_ms"])
    return {"counted_at": rfc3339(counted) if counted else None}


_SUMMARIES = {
    AlertKind.SURGE: "{subject} sells much faster than usual",
    AlertKind.LOW_COVER: "{subject} will run out before the next arrival",
    AlertKind.LATE_DELIVERY: "{subject} has not arrived",
    AlertKind.STALE_INPUT: "no orders on {subject} where orders were due",
    AlertKind.STALE_STOCK: "the stock of {subject} is not known: nothing is ordered",
    AlertKind.PHANTOM_STOCK: "{subject} is in stock by the record, but does not sell",
    AlertKind.DEAD_LETTERS: "bad records on {subject}",
}


def _item_alert(
    kind: AlertKind,
    state: AlertState,
    item: int,
    started: int,
    items: Items,
    boundary: int,
    figures: Figures,
) -> Outgoing:
    return _alert(
        kind,
        state,
        items.key(item),
        items.names[item],
        started,
        boundary,
        figures(items.rows[item], boundary),
    )


def _input_alert(
    kind: AlertKind,
    state: AlertState,
    subject: str,
    started: int,
    boundary: int,
    figures: dict[str, int],
) -> Outgoing:
    return _alert(kind, state, subject, (None, None), started, boundary, {**figures})


def _late_alert(state: AlertState, order: OpenOrder, items: Items, boundary: int) -> Outgoing:
    figures: dict[str, float | int | str | None] = {
        "supplier": order.supplier,
        "supplier_role": str(SupplierRole(order.role)),
        "outstanding_units": order.outstanding,
        "expected_at": rfc3339(order.due_ms),
    }
    started = order.late_since_ms
    names = items.names[order.item]
    return _alert(AlertKind.LATE_DELIVERY, state, order.po_id, names, started, boundary, figures)


def _alert(
    kind: AlertKind,
    state: AlertState,
    subject: str,
    names: tuple[str | None, str | None],
    started: int,
    boundary: int,
    figures: dict[str, float | int | str | None],
) -> Outgoing:
    alert = Alert(
        kind=state,
        incident_id=incident_id(kind, subject, started),
        version=1 if state == AlertState.RAISED else 2,
        alert=kind,
        subject=subject,
        sku=names[0],
        warehouse=names[1],
        started_at=rfc3339(started),
        occurred_at=rfc3339(boundary),
        summary=_SUMMARIES[kind].format(subject=subject),
        action=ACTIONS[kind],
        figures=figures,
    )
    return alert_record(alert)
