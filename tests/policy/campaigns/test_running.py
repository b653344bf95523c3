"""A campaign that runs, from a case with the figures of now."""

import copy
import random

import pytest

from policy.campaigns.check import check_campaign
from policy.campaigns.running import advise, promises, slips
from policy.errors import PolicyInputError

CASE = {
    "campaign_id": "A",
    "promise_days": 3,
    "starts_in_days": -0.5,
    "ends_in_days": 0.5,
    "capacity": [{"warehouse": "main", "orders_per_day": 500}],
    "lines": [{"sku": "A", "expected_units": 8000, "stock_units": 5000}],
}


def case(line=None, **top):
    """The case with other values; `line` is those of its one line."""
    made = copy.deepcopy(CASE)
    made["lines"][0].update(line or {})
    return {**made, **top}


def the_line(given):
    """The promise of the one line."""
    return promises(given)["lines"][0]


def test_presale_has_a_limit_and_a_day():
    """5,000 wait for 5,000; 3,000 come on day 20: of these 2,000 may be sold."""
    arrivals = [{"units": 3000, "arrives_in_days": 20}]
    line = {"waiting_units": 5000, "presale_limit_units": 2000, "arrivals": arrivals}
    found = the_line(case(line))
    assert (found["sellable_units"], found["presale_units"]) == (0, 2000)
    assert (found["is_presale"], found["promise_day"]) == (True, 20)
    found = the_line(case({**line, "waiting_units": 5500}))
    assert (found["presale_units"], found["promise_day"]) == (1500, 21)
    assert the_line(case({**line, "waiting_units": 7000}))["promise_day"] is None


def test_an_arrival_that_is_not_sure_is_not_promised():
    """Chance 0.7 of 0.9 asked for."""
    arrivals = [{"units": 3000, "arrives_in_days": 20, "chance": 0.7}]
    line = {"waiting_units": 5000, "presale_limit_units": 2000, "arrivals": arrivals}
    assert the_line(case(line))["presale_units"] == 0


def test_the_date_moves_with_the_purchase_order_and_the_queue():
    """From day 8 to day 14; and with 600 a day in place of 500."""
    line = {"waiting_units": 5000, "presale_limit_units": 2000}
    days = [
        the_line(case({**line, "arrivals": [{"units": 3000, "arrives_in_days": day}]}, **top))[
            "promise_day"
        ]
        for day, top in ((8, {}), (14, {}), (8, {"capacity": 600}))
    ]
    assert days == [11, 14, 9]


def test_items_of_a_warehouse_share_its_room():
    """1,400 orders of B wait too: A's next order is the 2,401st."""
    common = {"expected_units": 1, "stock_units": 5000}
    lines = [{"sku": "A", "waiting_units": 1000, **common},
             {"sku": "B", "waiting_units": 1400, **common}]  # fmt: skip
    found = promises({**CASE, "lines": lines})
    assert [one["promise_day"] for one in found["lines"]] == [5, 5]
    assert found["warehouses"][0]["clear_days"] == 5


def test_release_steps_up_and_says_what_comes_next():
    """Started 12 hours ago: two of three batches, 3,500 sold of 4,000."""
    release = {"batches": [{"after_hours": 0, "share": 0.4}, {"after_hours": 6, "share": 0.4},
                           {"after_hours": 13, "share": 0.2}]}  # fmt: skip
    found = the_line(case({"sold_units": 3500, "waiting_units": 1000}, release=release))
    assert (found["released_units"], found["sellable_units"]) == (4000, 500)
    assert (found["next_release_units"], found["next_release_in_hours"]) == (1000, 1)


def test_nothing_is_presold_while_units_on_the_shelf_wait_for_their_release():
    """They would be promised twice."""
    line = {"waiting_units": 4000, "sold_units": 4000, "presale_limit_units": 500,
            "arrivals": [{"units": 900, "arrives_in_days": 2}],
            "release": {"batches": [{"after_hours": 0, "units": 4000}]}}  # fmt: skip
    found = the_line(case(line))
    assert (found["sellable_units"], found["presale_units"]) == (0, 0)


def test_advice_names_what_runs_out_first_by_money():
    """A is out in 2 of 12 hours, B is slow, the warehouse needs 10 days for 5,000 orders."""
    lines = [{"sku": "A", "expected_units": 100, "stock_units": 4300, "waiting_units": 4200,
              "units_per_hour": 50, "price": 20, "unit_cost": 12, "ad_budget": 600},
             {"sku": "B", "expected_units": 2400, "stock_units": 2000, "waiting_units": 800,
              "units_per_hour": 10, "price": 20, "unit_cost": 18, "ad_budget": 100}]  # fmt: skip
    found = advise({**CASE, "lines": lines})
    assert [(one["kind"], one["where"]) for one in found["advice"]] == [
        ("runs_out", "A"), ("slow", "B"), ("overloaded", "main"),
    ]  # fmt: skip
    assert [one["lost_per_hour"] for one in found["advice"]] == [400, 180, None]
    assert [(one["from_sku"], one["to_sku"], one["amount"]) for one in found["budget_moves"]] == [
        ("A", "B", 500)
    ]


def test_thresholds_count_when_they_are_reached():
    """Stock at its lower limit; a metric of the shop's own at its upper one."""
    given = case(
        {"waiting_units": 4900},
        thresholds=[{"metric": "stock_units", "below": 100}, {"metric": "calls", "above": 30},
                    {"metric": "waiting_orders", "above": 4901}],
        metrics={"calls": 30},
    )  # fmt: skip
    found = advise(given)["thresholds"]
    assert [(one["metric"], one["side"], one["value"]) for one in found] == [
        ("stock_units", "low", 100),
        ("calls", "high", 30),
    ]


def test_staff_needs_the_orders_of_the_next_hours():
    """None without them."""
    assert advise(CASE)["staff"] is None
    found = advise({**CASE, "orders_by_hour": [100, 250, 50], "orders_per_staff_hour": 25})
    assert found["staff"] == {"by_hour": [4, 10, 2], "level": 6, "work_orders": 400}


def test_late_orders_are_listed_once_with_their_cost():
    """Two a day; the goods of the third order come on day 6."""
    orders = [{"order_id": str(n), "sku": "A", "units": 1, "promised_in_days": 1} for n in range(4)]
    given = {**CASE, "capacity": 2, "orders": orders, "offer_cost": 5, "call_rate": 0.5,
             "lines": [{"sku": "A", "expected_units": 4, "stock_units": 2,
                        "arrivals": [{"units": 1, "arrives_in_days": 6}]}]}  # fmt: skip
    found = slips(given)
    assert [(one["order_id"], one["new_day"]) for one in found["late"]] == [("2", 6), ("3", None)]
    assert (found["notices"], found["compensation_cost"]) == (["2", "3"], 10)
    assert found["expected_calls"] == 1
    noticed = [{"order_id": "2", "in_days": 6}, {"order_id": "3"}]
    assert slips({**given, "noticed": noticed})["notices"] == []


@pytest.mark.parametrize(
    ("function", "given", "text"),
    [
        (promises, case({"waiting_units": -1}), "lines[0].waiting_units must be >= 0"),
        (promises, case({"release": {"batches": [{"after_hours": 1}]}}), "units must be given"),
        (promises, case({"release": 5}), "lines[0].release must be an object"),
        (promises, case({"stock_units": None, "stock": [{"warehouse": w, "stock_units": 1}
                                                         for w in "ab"]}),
         "lines[0].stock must be in one warehouse"),
        (advise, case(thresholds=[{"metric": "x"}]), "x.above must be given, or below"),
        (slips, case(orders=[{"order_id": "1", "sku": "Z"}]), "orders[0].sku must be the sku of"),
        (slips, case(orders=[{"order_id": "1", "sku": "A", "units": 1, "promised_in_days": 1}] * 2),
         "orders[1].order_id must be another one"),
    ],
)  # fmt: skip
def test_impossible_figures_are_refused(function, given, text):
    """Field, rule and value."""
    with pytest.raises(PolicyInputError) as refused:
        function(given)
    assert text in str(refused.value)


def test_without_a_capacity_only_goods_decide_the_day():
    """There is no queue to wait in."""
    orders = [{"order_id": str(n), "sku": "A", "units": 1, "promised_in_days": 1} for n in range(9)]
    found = slips({**case({"stock_units": 8}, orders=orders), "capacity": None})
    assert [one["order_id"] for one in found["late"]] == ["8"]


def test_the_check_takes_a_campaign_that_runs():
    """Fields of the running campaign do not disturb it."""
    assert check_campaign(case({"waiting_units": 5, "sold_units": 5}))["verdict"] == "not_feasible"


class Sale:
    """A sale of six days: customers get promises, a warehouse ships, goods slip."""

    def __init__(self, seed):
        self.draws = random.Random(seed)
        self.shelf, self.per_day = 60, 10
        self.arrivals = [(6, 25), (8, 15)]  # day of the sale, units
        self.waiting = []  # orders: id, day promised
        self.noticed, self.notices, self.shipped = {}, [], {}
        self.sold = 0

    def case(self, day, **more):
        """The sale at the beginning of a day."""
        batches = [(0, 35), (48, 25), (72, 40)]
        line = {
            "sku": "A", "expected_units": 100, "stock_units": self.shelf,
            "waiting_units": len(self.waiting), "sold_units": self.sold,
            "presale_limit_units": 30,
            "arrivals": [{"units": u, "arrives_in_days": at - day} for at, u in self.arrivals],
            "release": {"batches": [{"after_hours": at, "units": units} for at, units in batches]},
        }  # fmt: skip
        return {"starts_in_days": -day, "ends_in_days": 30 - day, "promise_days": 20,
                "capacity": self.per_day, "lines": [line], **more}  # fmt: skip

    def come(self, day):
        """Customers come one after the other and take what is promised."""
        for _ in range(self.draws.randrange(5, 45)):
            promise = promises(self.case(day))["lines"][0]
            if promise["promise_day"] is None:
                return
            self.waiting.append((f"{day}-{self.sold}", day + promise["promise_day"]))
            self.sold += 1

    def slip(self, day, by):
        """Goods come later; each customer that is late gets a notice."""
        self.arrivals = [(at + by, units) for at, units in self.arrivals]
        orders = [
            {"order_id": name, "sku": "A", "units": 1, "promised_in_days": until - day}
            for name, until in self.waiting
        ]
        told = [{"order_id": name, "in_days": at - day} for name, at in self.noticed.items()]
        found = slips(self.case(day, orders=orders, noticed=told))
        new = {one["order_id"]: day + one["new_day"] for one in found["late"]}
        for name in found["notices"]:
            self.notices.append((name, new[name]))
            self.noticed[name] = new[name]

    def ship(self, day):
        """The warehouse ships the oldest orders, as far as goods and hands reach."""
        self.shelf += sum(units for at, units in self.arrivals if at == day + 1)
        self.arrivals = [one for one in self.arrivals if one[0] > day + 1]
        count = min(self.per_day, self.shelf, len(self.waiting))
        for name, until in self.waiting[:count]:
            self.shipped[name] = (day + 1, until)
        del self.waiting[:count]
        self.shelf -= count


@pytest.mark.parametrize("seed", range(6))
def test_every_date_of_a_sale_is_kept_or_noticed_once(seed):
    """Staged release and presale over days; goods slip twice; a queue of its own ships."""
    sale = Sale(seed)
    for day in range(40):
        if day < 6:
            sale.come(day)
        if day in (3, 5):
            sale.slip(day, 3)
            sale.slip(day, 0)  # asked again: nobody is told again
        sale.ship(day)
    assert sale.sold <= 100
    assert not sale.waiting
    assert len(set(sale.notices)) == len(sale.notices)
    for name, (shipped, promised) in sale.shipped.items():
        assert shipped <= max(promised, sale.noticed.get(name, 0))
    late = {name for name, (shipped, promised) in sale.shipped.items() if shipped > promised}
    assert late == set(sale.noticed)  # nobody is told in vain
    assert late
