"""What stock means for the money of a shop: turns, days of stock, and the return on capital."""

from __future__ import annotations

from dataclasses import dataclass

from policy.classic.fields import FloatArray, Given, Number
from policy.errors import PolicyInputError

TURNS = Number("turns", "usage of a year / stock", is_above=True)
DAYS_PER_YEAR = Number(
    "days_per_year", "basis of days: 240 working days or 365", is_above=True, high=366
)
USAGE_VALUE = Number("usage_value_per_year", "value of a year's usage, at cost", is_above=True)
STOCK_VALUE = Number("stock_value", "value of the stock, at cost", is_above=True)
SALES = Number("sales", "sales of a year", is_above=True)
SURPLUS = Number("surplus", "profit of a year", low=-1e15)
CAPITAL = Number("capital", "total capital, stock among it", is_above=True)
STOCK_CHANGE = Number("stock_change", "change of the stock's value; a cut is below 0", low=-1e15)
HOLDING_RATE_YEAR = Number(
    "holding_rate_per_year", "holding cost of a year as a share of the stock's value"
)
EXTRA = Number(
    "contribution_change", "change of the profit for another reason, such as fewer lost sales",
    low=-1e15,
)  # fmt: skip


def turns_of(usage_value: Given, stock_value: Given) -> FloatArray:
    """Return the turns of a year: usage / stock.

    >>> round(float(turns_of(61.2, 15.9)), 2)
    3.85
    """
    return USAGE_VALUE.check(usage_value) / STOCK_VALUE.check(stock_value)


def days_of_stock(turns: Given, days_per_year: Given) -> FloatArray:
    """Return the days that the stock lasts, on a stated number of days a year.

    >>> days_of_stock([3.85, 8.9], 240).round(3).tolist()
    [62.338, 26.966]
    >>> days_of_stock([3.85, 8.9], 365).round(3).tolist()
    [94.805, 41.011]
    """
    return DAYS_PER_YEAR.check(days_per_year) / TURNS.check(turns)


@dataclass(frozen=True)
class Return:
    """Margin x capital turnover = return on total capital."""

    margin: float
    capital_turnover: float

    @property
    def on_capital(self) -> float:
        """Surplus / capital."""
        return self.margin * self.capital_turnover


def return_on_capital(
    sales: float,
    surplus: float,
    capital: float,
    *,
    stock_change: float = 0.0,
    holding_rate: float = 0.0,
    contribution_change: float = 0.0,
) -> Return:
    """Return the DuPont tree, after a change of the stock if one is given.

    Args:
        sales, capital: money, > 0.
        surplus: money.
        stock_change: money; a cut is negative, and leaves some capital. A cut of x adds
            `holding_rate` x to the surplus and takes x off the capital.
        holding_rate: share of the stock's value that holding costs in a year, >= 0.
        contribution_change: money that the surplus gains otherwise, such as by fewer lost sales.

    Raises:
        PolicyInputError: an argument breaks a range above.

    >>> after = return_on_capital(200, 10, 100, stock_change=-10, holding_rate=0.15)
    >>> round(return_on_capital(200, 10, 100).on_capital, 6), round(after.on_capital, 6)
    (0.1, 0.127778)
    """
    turnover, profit = float(SALES.check(sales)), float(SURPLUS.check(surplus))
    bound, change = float(CAPITAL.check(capital)), float(STOCK_CHANGE.check(stock_change))
    profit += float(EXTRA.check(contribution_change))
    profit -= float(HOLDING_RATE_YEAR.check(holding_rate)) * change
    if not bound + change > 0:
        raise PolicyInputError(STOCK_CHANGE.name, f"> {-bound:g}, the whole capital", stock_change)
    return Return(profit / turnover, turnover / (bound + change))
