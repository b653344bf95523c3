"""Bills of material of one level: the demand of kits, bundles and products falls on their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from policy.classic.fields import Custom, FloatArray, Given, Number, Numbers
from policy.errors import PolicyInputError

IntArray = npt.NDArray[np.int64]

UNITS_PER_ITEM = Number("units_per_item", "units of a part in one unit of an item", is_above=True)
_SOLD = Number("demand", "units sold")
_SD = Number("demand_sd", "standard deviation of the units sold")
_STOCK = Number("stock", "units in stock")
_RULE = "[[item, part, units of the part in one item], ...]"


@dataclass(frozen=True)
class Bill:
    """What items are made of; arrays of shape (line,) with the numbers of items and parts.

    An item of the bill is made, packed or sold as a set: it holds no stock of its own here. An item
    that is no item of the bill is its own part.
    """

    item: IntArray
    part: IntArray
    units: FloatArray

    @staticmethod
    def of(item: npt.ArrayLike, part: npt.ArrayLike, units: Given) -> Bill:
        """Return a checked bill.

        Raises:
            PolicyInputError: units that are not above 0, a line that stands twice, or an item that
                is a part of another: the bill would have a second level.
        """
        made, used = np.asarray(item, dtype=np.int64), np.asarray(part, dtype=np.int64)
        factors = np.broadcast_to(UNITS_PER_ITEM.check(units), made.shape)
        both = np.intersect1d(made, used)
        if both.size:
            raise PolicyInputError("bill", "of one level: no item is a part of another", both[0])
        if len(set(zip(made.tolist(), used.tolist(), strict=True))) < made.size:
            raise PolicyInputError("bill", "a list that names each part of an item once", "twice")
        return Bill(made, used, factors)


def parts_demand(bill: Bill, demand: Given) -> FloatArray:
    """Return the demand of parts, by the demand of everything that is sold.

    Args:
        bill: what items are made of.
        demand: units sold, shape (item, ...), >= 0; parts may be sold alone, too.

    Returns:
        Units of the same shape; 0 for the items of the bill, whose demand is that of their parts.

    A cup needs one unit of raw material (factor 1), a gift set two mugs and a box:

    >>> bill = Bill.of([0, 0], [1, 2], [2, 1])
    >>> parts_demand(bill, [10, 5, 0]).tolist()
    [0.0, 25.0, 10.0]
    """
    sold = _SOLD.check(demand)
    needed = sold.copy()
    needed[bill.item] = 0.0
    lines = bill.units.reshape((-1,) + (1,) * (sold.ndim - 1)) * sold[bill.item]
    np.add.at(needed, bill.part, lines)
    return needed


def parts_sd(bill: Bill, demand_sd: Given) -> FloatArray:
    """Return the spread of the parts' demand, where items are demanded independently.

    Variances add: a part that serves several items is demanded more steadily than they are. Where
    the items move together, take the spread of `parts_demand` over periods instead.

    >>> parts_sd(Bill.of([0, 1], [2, 2], [1, 1]), [3, 4, 0]).tolist()
    [0.0, 0.0, 5.0]
    """
    spread = _SD.check(demand_sd)
    squared = Bill(bill.item, bill.part, bill.units**2)
    return np.sqrt(parts_demand(squared, spread**2))


def sets_from_stock(bill: Bill, stock: Given) -> FloatArray:
    """Return how many of each item the parts in stock would make, were only it made.

    Args:
        bill: what items are made of.
        stock: units of each part, shape (item,), >= 0.

    Returns:
        Whole units, shape (item,); nan for what is no item of the bill.

    >>> sets_from_stock(Bill.of([0, 0], [1, 2], [2, 1]), [0, 7, 9]).tolist()
    [3.0, nan, nan]
    """
    units = _STOCK.check(stock)
    made = np.full(units.shape, np.inf)
    np.minimum.at(made, bill.item, np.floor(units[bill.part] / bill.units + 1e-9))
    return np.where(np.isfinite(made), made, np.nan)


# --- as a case gives it -----------------------------------------------------------------------


def read_bill(value: Any, name: str = "bill") -> list[tuple[str, str, float]]:
    """Return the lines of a bill: item, part and the units of the part in one item.

    Raises:
        PolicyInputError: no such lines.
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise PolicyInputError(name, _RULE, value)
    lines = []
    for place, line in enumerate(value):
        is_line = isinstance(line, Sequence) and not isinstance(line, str) and len(line) == 3
        if not is_line or not all(isinstance(one, str) for one in line[:2]):
            raise PolicyInputError(f"{name}[{place}]", "[item, part, units]", line)
        units = Number(f"{name}[{place}][2]", "", is_above=True).read(line[2])
        lines.append((line[0], line[1], units))
    return lines


def read_by_item(value: Any, name: str) -> dict[str, FloatArray]:
    """Return numbers, or lists of one length, by the names of items.

    Raises:
        PolicyInputError: no object, or values that are not alike.
    """
    if not isinstance(value, Mapping) or not value:
        raise PolicyInputError(name, _BY_ITEM, value)
    field = Numbers(name, "", Number("", ""), is_single_too=True)
    read = {}
    for item, one in value.items():
        try:
            read[str(item)] = field.read(one)
        except PolicyInputError as error:
            raise PolicyInputError(f"{name}.{item}", error.rule, error.value) from error
    if len({one.shape for one in read.values()}) > 1:
        raise PolicyInputError(name, _BY_ITEM, value)
    return read


_BY_ITEM = "an object of numbers >= 0, or of lists of one length, by item"
BILL = Custom("bill", "what items are made of", _RULE, read_bill)
SOLD = Custom("demand", "units sold by item, a number or a list of periods", _BY_ITEM, read_by_item)
SOLD_SD = Custom("demand_sd", "spread of the units sold, by item", _BY_ITEM, read_by_item)
PARTS_IN_STOCK = Custom("stock", "units in stock, by part", _BY_ITEM, read_by_item)


@dataclass(frozen=True)
class NamedBill:
    """A bill whose items have names, and the places of these names in arrays."""

    bill: Bill
    names: tuple[str, ...]

    @staticmethod
    def of(lines: Sequence[tuple[str, str, float]], others: Sequence[str] = ()) -> NamedBill:
        """Return the bill of named lines; `others` are sold without being in it."""
        in_bill = [name for item, part, _ in lines for name in (item, part)]
        names = tuple(dict.fromkeys([*in_bill, *others]))
        place = {name: number for number, name in enumerate(names)}
        items, parts = [place[line[0]] for line in lines], [place[line[1]] for line in lines]
        twice = sorted({line[0] for line in lines} & {line[1] for line in lines})
        if twice:
            raise PolicyInputError("bill", "of one level: no item is a part of another", twice[0])
        return NamedBill(Bill.of(items, parts, [line[2] for line in lines]), names)

    def column(self, values: Mapping[str, FloatArray]) -> FloatArray:
        """Return an array of all names; what is not given is 0."""
        empty = np.zeros(next(iter(values.values())).shape)
        return np.array([values.get(name, empty) for name in self.names])

    @property
    def parts(self) -> list[int]:
        """Places of what is no item of the bill."""
        made = set(self.bill.item.tolist())
        return [number for number in range(len(self.names)) if number not in made]
