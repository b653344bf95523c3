"""How the numbers, times and skus of columns are written: found out, or asked."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from infra.connect.cells import NumberStyle, guess_numbers
from infra.connect.files import Source
from infra.connect.guessing.answers import Answers, Choice, Question
from infra.connect.guessing.sample import Sample
from infra.connect.times import (
    BadTimeError,
    TimeGuess,
    TimeStyle,
    guess_times,
    needs_order,
    read_time,
)

NUMBERS = ("quantity", "units", "level", "price", "cost", "total", "days", "margin", "rate")
"""Words in the names of roles that are numbers."""

TIMES = ("_at",)
"""Endings of the names of roles that are times."""


def settle_styles(source: Source, made: dict[str, Any], sample: Sample, answers: Answers) -> None:
    """Decide how numbers, times and skus of the columns are written; it stands in their places."""
    for role, place in made.items():
        column = place.get("column")
        if role.endswith(TIMES) or role == "promised_by":
            _settle_times(source, place, sample, answers)
        elif column is not None and any(word in role.split("_") for word in NUMBERS):
            _settle_numbers(source, role, place, sample, answers)
        elif role == "sku" and column is not None:
            _settle_skus(source, place, sample, answers)


def _settle_numbers(
    source: Source, role: str, place: dict[str, Any], sample: Sample, answers: Answers
) -> None:
    column = place["column"]
    texts = sample.texts(column)
    if not texts:
        return
    guess = guess_numbers(texts)
    style = guess.style
    if style is None:
        style = _asked_style(source, role, column, texts, answers)
    if style != NumberStyle():
        place["decimal"] = style.decimal
        if style.thousands is not None:
            place["thousands"] = style.thousands
    if style.decimal == ",":
        answers.assume(f"{source.name}: {column} is written with a decimal comma")


def _asked_style(
    source: Source, role: str, column: str, texts: Sequence[str], answers: Answers
) -> NumberStyle:
    """Ask what 1,234 is: the comma or the point of a column may be of thousands or of decimals."""
    doubtful = [text for text in texts if re.search(r"[.,]\d{3}(?!\d)", text)] or list(texts)
    example = doubtful[0]
    is_units = role in ("quantity", "level") or "units" in role
    whole = sum(text.endswith("000") for text in doubtful) == len(doubtful)
    first = "," if "," in example and (not is_units or whole) else "."
    if "." in example and "," not in example:
        first = "." if not is_units or whole else ","
    if source.options.delimiter == ";" and not whole and "," in example:
        first = ","
    other = "." if first == "," else ","
    text = f"{source.name}: is the decimal sign of {column} '.' or ',' (as in {example!r})?"
    choices = (Choice(first), Choice(other))
    decimal: Any = answers.answer(Question("--decimal", text, choices))
    return NumberStyle(decimal, "," if decimal == "." else ".")


def _has_zone(value: Any) -> bool:
    """Whether a value that is no text names a moment: seconds since 1970, or a time with a zone."""
    if isinstance(value, datetime):
        return value.tzinfo is not None
    return isinstance(value, int) and value > 1e9


def times_of(column: str, sample: Sample) -> TimeGuess:
    values = sample.values(column)
    texts = [value for value in values if isinstance(value, str)]
    guess = guess_times(texts)
    if len(texts) < len(values):  # a spreadsheet's dates have a clock, and no zone
        others = [value for value in values if not isinstance(value, str)]
        clocks = any(
            isinstance(v, float) or (isinstance(v, datetime) and v.hour != 12) for v in others
        )
        zoned = (guess.has_zone or not texts) and all(map(_has_zone, others))
        return replace(guess, has_zone=zoned, has_clock=guess.has_clock or clocks)
    return guess


def _settle_times(source: Source, place: dict[str, Any], sample: Sample, answers: Answers) -> None:
    names = _columns_of_place(place)
    if not names or not sample.values(names[0]):
        return
    column = names[0]
    guess = times_of(column, sample)
    if not guess.has_zone:
        text = f"{source.name}: in which time zone are the times of {column}?"
        zone = answers.answer(
            Question("--timezone", text, (Choice("UTC"),), "they name none", True)
        )
        if zone != "UTC":
            place["timezone"] = zone
    texts = sample.texts(column)
    if any(map(needs_order, texts)):
        order = guess.order or _asked_order(source, column, texts, answers)
        if order != "dmy":
            place["date_order"] = order
        answers.assume(f"{source.name}: {column} has {'day' if order == 'dmy' else 'month'} first")
    if not guess.has_clock and len(names) == 1:
        answers.assume(f"{source.name}: {column} has days only; each stands for noon")


def _columns_of_place(place: dict[str, Any]) -> list[str]:
    if "column" in place:
        return [place["column"]]
    return [one["column"] for one in place.get("join", []) if isinstance(one, dict)]


def _asked_order(source: Source, column: str, texts: Sequence[str], answers: Answers) -> str:
    text = f"{source.name}: is {texts[0]!r} in {column} day first or month first?"
    offers = {"dmy": Choice("dmy", "day first"), "mdy": Choice("mdy", "month first")}
    # Read in the wrong order, the days of one month lie all over the year.
    first, second = sorted(("dmy", "mdy"), key=lambda order: _span(texts, order))
    choices = (offers[first], offers[second])
    return answers.answer(Question("--date-order", text, choices))


def _span(texts: Sequence[str], order: Any) -> float:
    """Return how much time lies between the first and the last of some dates, in seconds."""
    style = TimeStyle(order=order)
    moments = []
    for text in filter(needs_order, texts):
        try:
            moments.append(datetime.fromisoformat(read_time(text, style)))
        except BadTimeError:
            continue
    return (max(moments) - min(moments)).total_seconds() if moments else float("inf")


def _settle_skus(source: Source, place: dict[str, Any], sample: Sample, answers: Answers) -> None:
    column = place["column"]
    values = sample.values(column)
    numbers = [v for v in values if isinstance(v, int | float) and math.isfinite(v)]
    digits = [text for text in sample.texts(column) if text.isdigit()]
    if numbers:
        width = max([len(str(int(value))) for value in numbers] + [len(text) for text in digits])
        text = (
            f"{source.name}: {column} holds numbers ({numbers[0]}), so zeros at the start of a sku "
            "may be lost. How many digits has a sku at least (1: as they are)?"
        )
        choices = (Choice("1", str(numbers[0])), Choice(str(width), str(numbers[0]).zfill(width)))
        place["width"] = int(answers.answer(Question("--sku-width", text, choices)))
        return
    widths = {len(text) for text in digits}
    lost = len(digits) == len(values) and len(widths) > 1 and not any(t[0] == "0" for t in digits)
    if lost and max(widths) - min(widths) <= 3:
        answers.assume(
            f"{source.name}: skus have {min(widths)} to {max(widths)} digits and are taken as they "
            f"are; if zeros at the start were lost, --sku-width {max(widths)} puts them back"
        )
    if (said := answers.given.get("--sku-width")) is not None:
        place["width"] = int(said)
