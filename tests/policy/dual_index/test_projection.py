"""Stock and demand of the days ahead, and what the rule orders for them."""

import numpy as np

from policy.dual_index.projection import (
    OpenOrders,
    Outlook,
    Suppliers,
    order_items,
    project,
    strain_of,
)
from policy.dual_index.rule import (
    HORIZON,
    LATE_SUPPLY,
    NO_FLEXIBLE,
    ORDINARY,
    R_PROMISED,
    R_TRIGGER,
    RAISED_DEMAND,
)
from policy.dual_index.table import lot_row

WINDOW = np.array([7.0])
# z of the trigger, its lot, the flexible factors, its lot, the window and the days covered.
LEVELS = np.array([[1.0, 100.0, 0.5, 1.0, 0.0, 7.0, 7.0]])


def one(value: float) -> "np.ndarray":
    return np.array([float(value)])


def suppliers(lean_sd_days: float = 0.0) -> Suppliers:
    return Suppliers(one(7), one(30), one(lean_sd_days), one(3), one(0))


def outlook(
    net: float, *orders: tuple[float, float, bool], lean_sd_days: float = 0.0, path: object = None
) -> Outlook:
    units, due, lean = zip(*orders, strict=True) if orders else ((), (), ())
    mean = np.full((1, 40), 10.0) if path is None else np.asarray(path)[None]
    listed = OpenOrders(
        np.zeros(len(orders), np.int64), np.array(units), np.array(due), np.array(lean, np.bool_)
    )
    return project(one(net), listed, mean, 3.6 * mean, suppliers(lean_sd_days), WINDOW)


def orders_of(seen: Outlook, *, allow_lean: bool = True, strain: int = ORDINARY, **lots: float):
    row = lot_row(
        lots.get("lean_least", 0), lots.get("lean_pack", 1), np.inf, 0, lots.get("pack", 1)
    )
    found, readings = order_items(
        seen, suppliers(), LEVELS, row[None], np.array([allow_lean]), np.array([strain])
    )
    return found[0].tolist(), readings[0]


def test_demand_is_summed_along_the_path():
    """A planned day counts from its own day on, not as a mean over the cover."""
    path = np.full(40, 10.0)
    path[6:8] = 50.0
    seen = outlook(100.0, path=path)
    assert seen.mean[0, :4].tolist() == [40.0, 50.0, 60.0, 110.0]
    assert seen.mean[0, HORIZON] == 37 * 10 + 2 * 40


def test_an_order_counts_from_the_day_on_which_it_is_due():
    """A later date moves the supply, the total position stays."""
    early, late = outlook(50.0, (200.0, 5.0, True)), outlook(50.0, (200.0, 25.0, True))
    assert (early.supply + early.chance * early.uncertain_units[:, None])[0, 4] > 200.0
    assert (late.supply + late.chance * late.uncertain_units[:, None])[0, 4] == 50.0
    assert early.position[0] == late.position[0] > 240.0


def test_a_hopeless_order_counts_nowhere():
    """An order that is overdue beyond the lead times is no supply and no position."""
    seen = outlook(50.0, (200.0, -40.0, True), lean_sd_days=5.0)
    assert seen.position[0] == 50.0
    assert (seen.chance == 0.0).all()


def test_the_flexible_supplier_is_asked_where_supply_comes_too_late():
    """The same order a week later makes a stock-out likely, and only then money is spent."""
    (_, calm), _ = orders_of(outlook(60.0, (300.0, 4.0, True)))
    (_, asked), _ = orders_of(outlook(60.0, (300.0, 20.0, True)))
    assert calm == 0
    assert 20 <= asked <= 70


def test_lean_does_not_order_again_what_flexible_will_bring_before():
    """A campaign that lean can no longer make is left to the other supplier."""
    path = np.full(40, 10.0)
    path[12:22] = 60.0
    levels = LEVELS.copy()
    levels[0, 2] = NO_FLEXIBLE
    seen = outlook(250.0, path=path)
    (lean, _), reading = orders_of(seen)
    alone, _ = order_items(
        seen,
        suppliers(),
        levels,
        lot_row(0, 1, np.inf, 0, 1)[None],
        np.array([True]),
        np.array([ORDINARY]),
    )
    assert reading[R_PROMISED] > 400.0
    assert abs(alone[0, 0] - lean - reading[R_PROMISED]) <= 1.0


def test_lean_orders_up_to_its_target_in_whole_packs_and_not_on_an_extra_review():
    """At or below the trigger; above it, and where lean may not be asked, nothing."""
    (lean, _), reading = orders_of(outlook(390.0), lean_pack=12)
    assert lean % 12 == 0
    assert 0 <= lean - (reading[R_TRIGGER] + 100.0 - 390.0) < 13
    assert orders_of(outlook(100.0), allow_lean=False)[0][0] == 0
    assert orders_of(outlook(600.0))[0] == [0, 0]


def test_strain_names_what_is_out_of_the_ordinary():
    """An overdue order, or one that comes later than one of now; demand comes first."""
    known = suppliers(2.0)

    def strain(due: float, raised: bool = False) -> int:
        listed = OpenOrders(np.zeros(1, np.int64), one(10), one(due), np.array([True]))
        return int(strain_of(listed, known, np.array([raised]))[0])

    assert strain(-1.0) == ORDINARY
    assert strain(-9.0) == strain(45.0) == LATE_SUPPLY
    assert strain(45.0, raised=True) == RAISED_DEMAND
