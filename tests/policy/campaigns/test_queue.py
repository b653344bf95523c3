"""While a campaign runs: the queue and its promises, release, thresholds, staff, budget, slips."""

import math
import random
from collections import Counter

import pytest

from policy.campaigns.budget import Advertised, budget_moves
from policy.campaigns.queue import Goods, Slots, promise_of, schedule, ship_queue
from policy.campaigns.release import released
from policy.campaigns.slip import Order, slip
from policy.campaigns.staff import staff_needed
from policy.campaigns.thresholds import Threshold, reached
from policy.errors import PolicyInputError

# --- queue ------------------------------------------------------------------------------------


def day_by_day(stock, arrivals, per_day):
    """The days of units by walking through the days, one after the other."""
    days, have, day = [], stock, 0
    whole = stock + sum(units for _, units in arrivals)
    while len(days) < whole:
        day += 1
        have += sum(units for at, units in arrivals if max(1, at) == day)
        out = min(have, per_day)
        days += [day] * out
        have -= out
    return days


def test_days_agree_with_a_walk_through_the_days():
    """Random stock, arrivals and capacity."""
    draws = random.Random(5)
    for _ in range(200):
        stock, per_day = draws.randrange(0, 60), draws.randrange(1, 20)
        arrivals = [
            (draws.randrange(0, 12), draws.randrange(0, 40)) for _ in range(draws.randrange(4))
        ]
        queue = ship_queue(stock, arrivals, per_day)
        expected = day_by_day(stock, arrivals, per_day)
        assert [queue.day_of(unit + 1) for unit in range(len(expected))] == expected
        assert queue.day_of(len(expected) + 1) is None


def test_without_a_wait_for_goods_the_day_is_the_place_in_the_queue():
    """The n-th unit: max(arrival, ceil(n / 500)), as long as goods are there before their turn."""
    queue = ship_queue(5000, [(8, 3000)], 500)
    for unit in (1, 500, 501, 5000, 5001, 8000):
        assert queue.day_of(unit) == math.ceil(unit / 500)


def test_nothing_ships_without_capacity_and_a_queue_without_end_is_refused():
    """None, and a complaint."""
    assert ship_queue(100, [], 0).day_of(1) is None
    with pytest.raises(PolicyInputError, match="units_per_day"):
        ship_queue(1e12, [], 1)


def test_no_unit_is_promised_twice_while_a_campaign_sells_out():
    """Customers come one after the other, goods arrive late: each promise has its own unit."""
    stock, arrivals, per_day, limit = 40, [(6, 25), (9, 10)], 7, 30
    queue = ship_queue(stock, arrivals, per_day)
    promised: Counter[int] = Counter()
    presold = 0
    for waiting in range(200):
        promise = promise_of(queue, stock_units=stock, waiting_units=waiting,
                             presale_limit_units=limit)  # fmt: skip
        if promise.day is None:
            break
        promised[promise.day] += 1
        presold += promise.is_presale
    assert (sum(promised.values()), presold) == (70, 30)
    assert promised == Counter(day_by_day(stock, arrivals, per_day)[:70])


def test_presale_stops_at_its_limit_and_at_the_goods_that_come():
    """A limit of 2,000 of 3,000 that come; a limit of 5,000 ends with the goods."""
    queue = ship_queue(5000, [(20, 3000)], 500)
    for limit, left in ((2000, 2000), (5000, 3000), (0, 0)):
        found = promise_of(queue, stock_units=5000, waiting_units=5000, presale_limit_units=limit)
        assert (found.sellable_units, found.presale_units) == (0, left)
    found = promise_of(queue, stock_units=5000, waiting_units=7000, presale_limit_units=2000)
    assert found.day is None


def test_what_is_not_released_is_not_sellable():
    """2,000 released, 1,500 sold: 500, although 3,500 are on the shelf."""
    queue = ship_queue(5000, [], 500)
    found = promise_of(queue, stock_units=5000, waiting_units=1500, released_units=2000,
                       sold_units=1500)  # fmt: skip
    assert (found.sellable_units, found.day) == (500, 4)


def test_orders_of_several_items_share_the_room_of_a_day():
    """No day holds more than its room, nobody ships before the goods, no room is left unused."""
    draws = random.Random(8)
    for _ in range(100):
        goods = {sku: Goods(draws.randrange(0, 12), ((draws.randrange(2, 9), draws.randrange(20)),))
                 for sku in "ABC"}  # fmt: skip
        orders = [(draws.choice("ABC"), draws.randrange(1, 3)) for _ in range(25)]
        per_day = draws.randrange(1, 6)
        days = schedule(orders, goods, per_day)
        load = Counter(day for day in days if day is not None)
        assert all(count <= per_day for count in load.values())
        taken = Counter()
        for (sku, units), day in zip(orders, days, strict=True):
            taken[sku] += units
            ready = goods[sku].ready_day(taken[sku])
            assert (day is None) == (ready is None)
            if day is not None:
                assert day >= ready
                assert all(load[before] == per_day for before in range(ready, day))


def test_room_that_is_free_is_found_behind_what_is_reserved():
    """Days 1 to 3 are full, day 5 too."""
    slots = Slots(2)
    slots.reserve(1, 6)
    slots.reserve(5, 2)
    assert [slots.first_free(day) for day in (1, 4, 5)] == [4, 4, 6]


# --- release ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "units", "coming", "wait"),
    [
        (-1, 0, 2000, 1),
        (0, 2000, 2000, 6),
        (5.9, 2000, 2000, pytest.approx(0.1)),
        (6, 4000, 1000, 6),
        (12, 5000, 0, None),
    ],
)
def test_sellable_units_step_up_by_batch(hours, units, coming, wait):
    """2,000 at the start, 2,000 after six hours, 1,000 after twelve."""
    found = released(hours, batches=[(0, 2000), (6, 2000), (12, 1000)])
    assert (found.units, found.next_units, found.next_in_hours) == (units, coming, wait)


def test_units_are_released_at_a_rate_up_to_a_limit():
    """100 an hour, at most 250."""
    assert [released(h, units_per_hour=100, most_units=250).units for h in (0, 1.5, 9)] == [
        0,
        150,
        250,
    ]


# --- thresholds -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "sides"), [(99, ["low"]), (100, ["low"]), (101, []), (899, []), (900, ["high"])]
)
def test_a_metric_that_reaches_its_limit_counts(value, sides):
    """Both ends, `<=` and `>=`."""
    rule = Threshold("stock_units", below=100, above=900)
    assert [one.side for one in reached([rule], {("stock_units", "A"): value})] == sides


def test_a_threshold_of_one_sku_is_not_one_of_others():
    """Nor of another metric."""
    rule = Threshold("stock_units", below=100, sku="A")
    values = {("stock_units", "B"): 5, ("orders_per_hour", "A"): 5}
    assert reached([rule], values) == []


@pytest.mark.parametrize("sides", [{}, {"below": 5, "above": 5}])
def test_a_threshold_that_says_nothing_is_refused(sides):
    """Neither side, or both at once."""
    with pytest.raises(PolicyInputError, match=r"stock_units\."):
        Threshold("stock_units", **sides)


# --- staff ------------------------------------------------------------------------------------


def ships_in_time(orders, rate, people, waiting, within):
    """Whether so many people keep every order's time, hour by hour, oldest first."""
    due = [(within - 1, waiting)] if waiting else []
    for hour, came in enumerate(orders):
        due.append((hour + within - 1, came))
        room = people * rate
        for place, (until, left) in enumerate(due):
            done = min(room, left)
            room -= done
            due[place] = (until, left - done)
        if any(left > 1e-9 and min(until, len(orders) - 1) <= hour for until, left in due):
            return False
    return True


def test_the_level_of_staff_is_the_least_that_keeps_the_time():
    """One person fewer is too few, by walking through the hours."""
    draws = random.Random(3)
    for _ in range(150):
        orders = [draws.randrange(0, 300) for _ in range(draws.randrange(1, 9))]
        rate, waiting, within = (
            draws.choice((7, 25)),
            draws.randrange(0, 200),
            draws.randrange(1, 6),
        )
        level = staff_needed(orders, rate, waiting_orders=waiting, within_hours=within).level
        assert ships_in_time(orders, rate, level, waiting, within)
        assert level == 0 or not ships_in_time(orders, rate, level - 1, waiting, within)


def test_staff_without_a_rate_is_refused():
    """It would be without end."""
    with pytest.raises(PolicyInputError, match="orders_per_staff_hour must be > 0"):
        staff_needed([1], 0)


# --- budget -----------------------------------------------------------------------------------


def test_budget_moves_from_what_runs_out_to_what_has_cover():
    """A is out after 2 of 6 hours and gives 400 of 600; B takes 250, C the rest."""
    items = [
        Advertised("A", 100, 50, 600),
        Advertised(
            "B", 210, 10, 100, margin=9
        ),  # 60 will sell, 150 are spare: 2.5 times its budget
        Advertised("C", 900, 10, 100, margin=2),
        Advertised("D", 60, 10, 100),  # exactly enough: neither
    ]
    moves = budget_moves(items, 6)
    assert [(one.from_sku, one.to_sku, one.amount) for one in moves] == [
        ("A", "B", 250),
        ("A", "C", 150),
    ]


def test_without_an_item_that_has_cover_nothing_moves():
    """Nor when the campaign is over."""
    assert budget_moves([Advertised("A", 1, 50, 600), Advertised("B", 0, 0, 0)], 6) == []
    assert budget_moves([Advertised("A", 1, 50, 600), Advertised("B", 9, 0, 0)], 0) == []


# --- slips ------------------------------------------------------------------------------------


def test_a_slip_tells_each_customer_once():
    """Goods move from day 2 to day 5, then to day 5 again, then to day 8."""
    orders = [Order("1", 3, 1), Order("2", 3, 2), Order("3", 3, 3)]
    noticed = {}
    told = []
    for day in (2, 5, 5, 8):
        queue = ship_queue(3, [(day, 6)], 3)
        days = [queue.day_of(place) for place in (3, 6, 9)]
        found = slip(orders, days, noticed, offer_cost=4, call_rate=0.5)
        told.append([(one.order_id, one.new_day) for one in found.notices])
        noticed |= {one.order_id: one.new_day for one in found.notices}
    assert told == [[], [("2", 5), ("3", 6)], [], [("2", 8), ("3", 9)]]
    assert (found.compensation_cost, found.expected_calls) == (8, 1)


def test_an_order_without_goods_gets_one_notice():
    """No day to give, then the same, then a day."""
    orders = [Order("1", 3, 1)]
    assert [one.new_day for one in slip(orders, [None], {}).notices] == [None]
    assert slip(orders, [None], {"1": None}).notices == ()
    assert [one.new_day for one in slip(orders, [4], {"1": None}).notices] == [4]
