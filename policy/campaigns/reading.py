"""Objects of a case, read field by field: what is missing, unknown or out of range is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from policy.classic.fields import LARGEST, Number
from policy.errors import PolicyInputError

MOST_OBJECTS = 100_000


@dataclass
class Notes:
    """What was assumed where a case says nothing, each once, in the order of reading."""

    texts: dict[str, None] = field(default_factory=dict)

    def add(self, text: str) -> None:
        """Note an assumption."""
        self.texts[text] = None


class Given:
    """One object of a case. Null counts as absent; what nobody asked for is refused by `done`."""

    def __init__(self, value: Any, place: str, notes: Notes) -> None:
        if not isinstance(value, Mapping):
            raise PolicyInputError(place or "the campaign", "an object", value)
        self._value = value
        self._known: list[str] = []
        self.place = place
        self.notes = notes

    def name_of(self, name: str) -> str:
        """Return a field with its place, as complaints name it."""
        return f"{self.place}.{name}" if self.place else name

    def take(self, name: str) -> Any:
        """Return a value as it stands; None means absent."""
        self._known.append(name)
        return self._value.get(name)

    def number(
        self,
        name: str,
        *,
        low: float = 0.0,
        is_above: bool = False,
        high: float = LARGEST,
        is_whole: bool = False,
    ) -> float | None:
        """Return a number; None means absent.

        Raises:
            PolicyInputError: it is none, or out of range.
        """
        value = self.take(name)
        if value is None:
            return None
        if type(value) in (int, float) and abs(value) <= high:  # of most values that is all to ask
            is_good = value > low if is_above else value >= low
            if is_good and not (is_whole and value != math.floor(value)):
                return float(value)
        rule = Number(self.name_of(name), "", low, is_above, high, False, is_whole)
        return rule.read(value)

    def needed(self, name: str, **rule: Any) -> float:
        """Return a number that has to be there."""
        value = self.number(name, **rule)
        if value is None:
            shown = Number("", "", **rule).rule
            raise PolicyInputError(self.name_of(name), f"given: a number {shown}", None)
        return value

    def number_or(self, name: str, default: float, **rule: Any) -> float:
        """Return a number, or its default."""
        value = self.number(name, **rule)
        return default if value is None else value

    def assumed(self, name: str, default: float, **rule: Any) -> float:
        """Return a number, or its default, which is noted."""
        value = self.number(name, **rule)
        if value is None:
            self.notes.add(f"{self._kind()}{name} is {default:g} where it is not given")
            return default
        return value

    def _kind(self) -> str:
        """Return the place without numbers: `lines[3].` becomes `lines[].`."""
        place = "".join(char for char in self.place if not char.isdigit())
        return f"{place}." if place else ""

    def text(self, name: str) -> str | None:
        """Return a text; None means absent."""
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            raise PolicyInputError(self.name_of(name), "a text that is not empty", value)
        return value

    def needed_text(self, name: str) -> str:
        """Return a text that has to be there."""
        value = self.text(name)
        if value is None:
            raise PolicyInputError(self.name_of(name), "given: a text", None)
        return value

    def choice(self, name: str, options: tuple[str, ...], default: str) -> str:
        """Return one of a few words."""
        value = self.take(name)
        if value is None:
            return default
        if value not in options:
            rule = f"one of {', '.join(options)}"
            raise PolicyInputError(self.name_of(name), rule, value)
        return cast(str, value)

    def flag(self, name: str) -> bool:
        """Return true or false; absent is false."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise PolicyInputError(self.name_of(name), "true or false", value)
        return bool(value)

    def numbers(self, name: str) -> list[float] | None:
        """Return a list of numbers >= 0; None means absent."""
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, list | tuple | np.ndarray) or not len(value):
            raise PolicyInputError(self.name_of(name), "a list of numbers, each >= 0", value)
        return [
            Number(f"{self.name_of(name)}[{place}]", "").read(one)
            for place, one in enumerate(value)
        ]

    def objects(self, name: str) -> Iterator[Given]:
        """Yield the objects of a list; absent is an empty list."""
        value = self.take(name)
        if value is None:
            return
        if not isinstance(value, list | tuple) or len(value) > MOST_OBJECTS:
            rule = f"a list of at most {MOST_OBJECTS} objects"
            raise PolicyInputError(self.name_of(name), rule, value)
        for place, one in enumerate(value):
            yield Given(one, f"{self.name_of(name)}[{place}]", self.notes)

    def refuse(self, name: str, rule: str) -> None:
        """Refuse the value of a field for a rule of several fields."""
        raise PolicyInputError(self.name_of(name), rule, self._value.get(name))

    def done(self, *unread: str) -> None:
        """Refuse the fields that nobody has asked for.

        Args:
            unread: fields that may be there and are not for the check.
        """
        known = dict.fromkeys((*self._known, *unread))
        for name in self._value:
            if name not in known:
                raise PolicyInputError(self.name_of(str(name)), f"one of {', '.join(known)}", name)
