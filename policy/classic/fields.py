"""The kinds of fields a case has. A field checks arrays of a function and single values of a case.

A rule thus stands once: functions, the command and the table in `policy/README.md` share it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from policy.errors import PolicyInputError

FloatArray = npt.NDArray[np.float64]
Given = npt.ArrayLike
"""A number, or numbers of many items."""

LARGEST = 1e15
SMALLEST = 1e-100  # what is nearer to 0 counts as 0: ratios of the rest stay finite


class Field(Protocol):
    """A named entry of a case: its rule, its meaning and how it is read."""

    @property
    def name(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def meaning(self) -> str: ...
    def read(self, value: Any) -> Any: ...


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`; `is_above` and `is_below` leave the ends out."""

    name: str
    meaning: str
    low: float = 0.0
    is_above: bool = False
    high: float = LARGEST
    is_below: bool = False
    is_whole: bool = False

    @property
    def rule(self) -> str:
        """What a value must be.

        >>> Number("a", "").rule, Number("a", "", is_above=True, high=1, is_below=True).rule
        ('>= 0', 'inside (0, 1)')
        """
        kind = "a whole number " if self.is_whole else ""
        if self.high < LARGEST and self.is_above and self.is_below:
            return f"{kind}inside ({self.low:g}, {self.high:g})"
        low = f"{'>' if self.is_above else '>='} {self.low:g}"
        high = f"{'<' if self.is_below else '<='} {self.high:g}"
        if self.low > -LARGEST:
            return kind + (low if self.high >= LARGEST else f"{low} and {high}")
        return "a number"

    def check(self, value: Given) -> FloatArray:
        """Return the values as floats.

        Raises:
            PolicyInputError: names the field, its rule and the first value that breaks it.

        >>> Number("order_cost", "").check([8, -1])
        Traceback (most recent call last):
        policy.errors.PolicyInputError: order_cost must be >= 0, got -1.0
        """
        array = _floats(self.name, self.rule, value)
        good = (array > self.low if self.is_above else array >= self.low) & (
            array < self.high if self.is_below else array <= self.high
        )
        if self.is_whole:
            good &= array == np.rint(array)
        if not good.all():
            self._refuse(float(array[~good].flat[0]))
        return array

    def read(self, value: Any) -> float:
        """Return the one number of a case; text, true, false and lists are refused."""
        if not isinstance(value, int | float | np.number):
            raise PolicyInputError(self.name, self.rule, value)
        try:
            return float(self.check(value))
        except PolicyInputError as error:
            raise PolicyInputError(self.name, error.rule, value) from error

    def _refuse(self, bad: float) -> None:
        too_large = abs(bad) > LARGEST and not (self.high < LARGEST)
        raise PolicyInputError(
            self.name, f"{self.rule} and at most {LARGEST:g}" if too_large else self.rule, bad
        )


def _floats(name: str, rule: str, value: Given) -> FloatArray:
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "iuf":
            raise TypeError
        floats = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise PolicyInputError(name, rule, value) from error
    return np.where(np.abs(floats) < SMALLEST, 0.0, floats)


@dataclass(frozen=True)
class Numbers:
    """A list of numbers, each of which keeps the rule of `element`."""

    name: str
    meaning: str
    element: Number
    fewest: int = 1
    is_single_too: bool = False  # one number may stand for a list of one value

    @property
    def rule(self) -> str:
        """What a value must be."""
        many = f"a list of at least {self.fewest} numbers" if self.fewest > 1 else "a list"
        one = "a number or " if self.is_single_too else ""
        return f"{one}{many}, each {self.element.rule}"

    def read(self, value: Any) -> FloatArray:
        """Return the numbers; a complaint names the place in the list.

        >>> Numbers("demand", "", Number("", "")).read([3, -1])
        Traceback (most recent call last):
        policy.errors.PolicyInputError: demand[1] must be >= 0, got -1
        """
        if self.is_single_too and not isinstance(value, Sequence | np.ndarray):
            return np.array(replace(self.element, name=self.name).read(value))
        if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
            raise PolicyInputError(self.name, self.rule, value)
        if len(value) < self.fewest:
            raise PolicyInputError(self.name, self.rule, value)
        named = (replace(self.element, name=f"{self.name}[{place}]") for place in range(len(value)))
        return np.array([field.read(one) for field, one in zip(named, value, strict=True)])


@dataclass(frozen=True)
class Rows:
    """A list of rows of equal length, or one row."""

    name: str
    meaning: str
    element: Number

    @property
    def rule(self) -> str:
        """What a value must be."""
        return f"a list, or lists of one length, each number {self.element.rule}"

    def read(self, value: Any) -> FloatArray:
        """Return the numbers, shape (row, column) or (column,)."""
        if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str) or not len(value):
            raise PolicyInputError(self.name, self.rule, value)
        if not isinstance(value[0], Sequence | np.ndarray):
            return Numbers(self.name, "", self.element).read(value)
        rows = [
            Numbers(f"{self.name}[{place}]", "", self.element).read(row)
            for place, row in enumerate(value)
        ]
        if len({len(row) for row in rows}) > 1:
            lengths = sorted({len(row) for row in rows})
            raise PolicyInputError(self.name, "lists of one length", f"lengths {lengths}")
        return np.array(rows)


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    name: str
    meaning: str
    options: tuple[str, ...]

    @property
    def rule(self) -> str:
        """What a value must be."""
        return f"one of {', '.join(self.options)}"

    def read(self, value: Any) -> str:
        """Return the word."""
        if not isinstance(value, str) or value not in self.options:
            raise PolicyInputError(self.name, self.rule, value)
        return value


@dataclass(frozen=True)
class Custom:
    """A field with a reader of its own."""

    name: str
    meaning: str
    rule: str
    reader: Callable[[Any, str], Any]

    def read(self, value: Any) -> Any:
        """Return what the reader makes of the value and the field's name."""
        return self.reader(value, self.name)


def read_object(
    value: Any, name: str, needs: Sequence[Field], may: Mapping[str, Field]
) -> dict[str, Any]:
    """Return the fields of an object inside a case; missing and unknown ones are refused.

    A field of `may` that is absent, or null, is left out of what is returned.
    """
    if not isinstance(value, Mapping):
        raise PolicyInputError(name, "an object", value)
    known = {field.name: field for field in needs} | dict(may)
    for key in value:
        if key not in known:
            raise PolicyInputError(f"{name}.{key}", f"one of {', '.join(known)}", key)
    read = {}
    for key, field in known.items():
        if key in may and value.get(key) is None:
            continue
        try:
            read[key] = field.read(value.get(key))
        except PolicyInputError as error:
            raise PolicyInputError(f"{name}.{error.name}", error.rule, error.value) from error
    return read


def is_finite(value: Any) -> bool:
    """Return whether all numbers inside a value are finite."""
    if isinstance(value, Mapping):
        return all(is_finite(one) for one in value.values())
    if isinstance(value, list | tuple):
        return all(is_finite(one) for one in value)
    return not isinstance(value, float) or math.isfinite(value)
