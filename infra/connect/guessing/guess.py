"""Finds out what a file is and what its columns are, and asks where more than one reading fits."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from infra.connect import encodings
from infra.connect.cells import guess_numbers, read_currency
from infra.connect.faults import FileError, clip
from infra.connect.files import Source, csv_delimiter, foreign_lines
from infra.connect.guessing.answers import Answers, Choice, Question
from infra.connect.guessing.headers import name_score, plain
from infra.connect.guessing.sample import SAMPLE_ROWS, Sample
from infra.connect.guessing.styles import NUMBERS, TIMES, settle_styles, times_of
from infra.connect.packed import packed_columns, unpacked
from infra.connect.presets import (
    PRESETS,
    SHOP_PRESETS,
    SHOPIFY_ORDERS,
    Defaults,
    Document,
    Preset,
    emits_of,
)
from infra.connect.times import guess_times

_LEAST_SCORE = 0.3
_MOST, _SOME = 0.6, 0.2
_HARDLY_ANY = 0.05
_WOO_STATUSES = {
    *("pending", "processing", "on-hold", "completed", "cancelled", "refunded", "failed", "trash"),
    *("checkout-draft", "pending payment", "on hold", "draft"),
}


def settle_reading(source: Source, answers: Answers) -> None:
    """Decide encoding and separator of a text file.

    Raises:
        UnansweredError: nobody answers.
    """
    if source.form not in ("csv", "json", "jsonl"):
        return
    if source.options.encoding is None:
        source.options = replace(source.options, encoding=_asked_encoding(source, answers))
    if source.form == "csv" and source.options.delimiter is None:
        mark = csv_delimiter(source)
        source.options = replace(source.options, delimiter=mark)
        if mark != ",":
            name = {"\t": "tab"}.get(mark, mark)
            answers.assume(f"{source.name}: cells are separated by {name!r}")


def _asked_encoding(source: Source, answers: Answers) -> str:
    found = encodings.candidates(foreign_lines(source))
    if not found:
        raise FileError(f"{source.name} must be text; --encoding says which")
    choices = tuple(Choice(one.encoding, clip(one.line)) for one in found[:5])
    text = f"{source.name} is not UTF-8. Which encoding is it?"
    return answers.answer(Question("--encoding", text, choices))


# --- what it is -------------------------------------------------------------------------------


def recognise(source: Source, sample: Sample) -> str:
    """Return which preset a table is.

    Raises:
        FileError: it is none.
    """
    if is_shopify_export(sample):
        return "shopify-orders"
    scored = sorted(
        ((_fit(preset, sample), name) for name, preset in PRESETS.items()), reverse=True
    )
    (best, name) = scored[0]
    if best <= 0:
        seen = ", ".join(sample.columns[:12]) or "none"
        rule = "a table of orders, items, counts, suppliers or campaigns"
        raise FileError(f"{source.name} must be {rule}, got columns {seen}; --preset says which")
    return name


def is_shopify_export(sample: Sample) -> bool:
    """Whether columns are those of Shopify's export of orders."""
    names = {plain(name) for name in sample.columns}
    return "lineitem quantity" in names and bool({"lineitem sku", "lineitem name"} & names)


def _fit(preset: Preset, sample: Sample) -> float:
    """Score how well a table is of a kind; 0 where something is missing that it needs."""
    roles = assign(preset.roles, sample)
    if not all(any(role in roles for role in group) for group in preset.needs):
        return 0.0
    if preset.name == "orders" and "sku" not in roles and "order_id" not in roles:
        return 0.0
    weight = {"campaigns": 4.0, "orders": 3.0, "suppliers": 2.5, "catalog": 2.0, "counts": 1.0}
    scores = [name_score(role, column) for role, column in roles.items()]
    if preset.name == "counts" and name_score("level", roles["level"]) < 0.5:
        return 0.0
    if preset.name == "suppliers" and not _has_repeats(sample, roles["sku"]):
        return 0.0
    return weight[preset.name] + sum(scores) / 100


def _has_repeats(sample: Sample, column: str) -> bool:
    values = sample.values(column)
    return len(set(map(str, values))) < len(values)


# --- columns ----------------------------------------------------------------------------------


def assign(roles: Iterable[str], sample: Sample, *, by_name: bool = False) -> dict[str, str]:
    """Return the likeliest column of each role; a column has one role.

    Args:
        roles: that are looked for.
        sample: the columns, and what they hold.
        by_name: let the names alone decide: a database keeps one kind of values in a column.
    """
    score_of = _score if not by_name else lambda role, column, _: name_score(role, column)
    pairs = sorted(
        (
            (score, -place, role, column)
            for role in roles
            for place, column in enumerate(sample.columns)
            if (score := score_of(role, column, sample)) >= _LEAST_SCORE / 2
        ),
        reverse=True,
    )
    found: dict[str, str] = {}
    for _, _, role, column in pairs:
        if role not in found and column not in found.values():
            found[role] = column
    return found


def _score(role: str, column: str, sample: Sample) -> float:
    """Score a column by its name, unless its values are of another kind."""
    score = name_score(role, column)
    if score < _LEAST_SCORE:
        return 0.0
    values = sample.values(column)
    if not values:
        return score / 4 if role in ("cancelled_at", "status", "currency") else 0.0
    share = _share_that_fits(role, values[:300])
    if share >= _MOST:
        return score
    return score / 2 if share >= _SOME else 0.0  # many bad rows, under a name that fits


def _share_that_fits(role: str, values: Sequence[Any]) -> float:
    """Return the share of values that may be those of a role."""
    if role.endswith(TIMES) or role == "promised_by":
        return sum(map(_may_be_time, values)) / len(values)
    if any(word in role.split("_") for word in NUMBERS):
        return sum(map(_may_be_number, values)) / len(values)
    if role == "sku":
        times = sum(isinstance(value, str) and _is_written_time(value) for value in values)
        return 1 - times / len(values)
    if role == "currency":
        return sum(read_currency(value) is not None for value in values) / len(values)
    return 1.0


def _may_be_time(value: Any) -> bool:
    if isinstance(value, int | float):
        return 20_000 <= value < 80_000 or value > 1e9
    return isinstance(value, datetime) or _is_time(str(value))


def _may_be_number(value: Any) -> bool:
    if not isinstance(value, str):
        return isinstance(value, int | float)
    return guess_numbers([re.sub(r"[^\d.,-]", "", value)]).are_numbers and not _is_written_time(
        value
    )


def _is_written_time(text: str) -> bool:
    """Whether a text is a time, and no bare number."""
    return not re.fullmatch(r"[\d.,]+", text) and _is_time(text)


def _is_time(text: str) -> bool:
    return guess_times([text]).are_times


@dataclass
class Guess:
    """A mapping that was found out."""

    preset: str
    document: Document
    shape: str  # in words


def guess_mapping(
    source: Source,
    answers: Answers,
    *,
    preset: str | None = None,
    defaults: Defaults | None = None,
    columns: dict[str, str] | None = None,
    name: str | None = None,
) -> Guess:
    """Propose the mapping of a table.

    Args:
        source: the file; its encoding and separator are settled here.
        answers: answers what is not certain.
        preset: what it is; None means that it is found out.
        defaults: what is assumed where the file says nothing.
        columns: of roles, as somebody says.
        name: the source of its events.

    Raises:
        FileError: it is no such table, or a column that is needed is not found.
        UnansweredError: nobody answers.
    """
    settle_reading(source, answers)
    sample = Sample(source.sample(SAMPLE_ROWS))
    if not sample.rows:
        raise FileError(f"{source.name} must hold rows under a header, got none")
    if packed := packed_columns(sample.rows):
        sample = Sample(list(unpacked(sample.rows, packed)))
        answers.assume(f"{source.name}: order lines are packed into {', '.join(packed[:3])}")
    preset = preset or recognise(source, sample)
    base = SHOP_PRESETS.get(preset, preset)
    if preset == "shopify-orders":
        made, read = _shopify_columns(source, sample, answers), dict(SHOPIFY_ORDERS["read"])
        shape = "orders exported from Shopify"
    else:
        roles = checked_roles(source, PRESETS[base], sample, columns or {})
        made, read = {role: {"column": column} for role, column in roles.items()}, {}
        _join_clock(made, sample)
        shape = PRESETS[base].words
        if preset == "woocommerce-orders" or _is_woo(made, sample):
            shape = "orders exported from WooCommerce"
            if "status" in made:
                made["status"]["as"] = "woo_status"
        say_columns(source, made, answers)
    settle_styles(source, made, sample, answers)
    if base == "orders" and preset != "shopify-orders":
        emits = emits_of("orders", made, defaults or Defaults())
    elif preset == "shopify-orders":
        emits = [{"to": "lines", "fields": made}]
    else:
        emits = emits_of(base, made, defaults or Defaults())
        if base == "suppliers":
            read["pair_by"] = roles["sku"]
        if base == "catalog" and (count := _count_of(sample, roles)) is not None:
            emits.append(count)
    read |= _read_of(source)
    if packed:
        read["items_in"] = packed
    shop = "shopify:shop/export" if preset == "shopify-orders" else "files"
    document = {"source": name or shop, "read": read, "emit": emits}
    return Guess(preset, document, shape)


def _read_of(source: Source) -> dict[str, Any]:
    options = source.options
    names = ("encoding", "delimiter", "sheet", "header_row")
    return {one: getattr(options, one) for one in names if getattr(options, one) is not None}


def checked_roles(
    source: Source, preset: Preset, sample: Sample, given: dict[str, str]
) -> dict[str, str]:
    """Return the column of each role, as somebody said or as it was found.

    Raises:
        FileError: a column is not there, or a role has none.
    """
    for role, column in given.items():
        if role not in preset.roles:
            rule = f"one of {', '.join(preset.roles)}"
            raise FileError(f"--column must name {rule}, got {role!r}")
        if column not in sample.columns:
            rule = f"one of {', '.join(sample.columns)}"
            raise FileError(f"--column {role} must be {rule}, got {column!r}")
    others = Sample(sample.rows)
    others.columns = [one for one in sample.columns if one not in given.values()]
    roles = {**assign([r for r in preset.roles if r not in given], others), **given}
    for group in preset.needs:
        if not any(role in roles for role in group):
            seen = ", ".join(sample.columns[:20])
            raise FileError(
                f"{source.name}: no column is surely the {group[0]}; say it with "
                f"--column {group[0]}=NAME (columns: {seen})"
            )
    return roles


def _shopify_columns(source: Source, sample: Sample, answers: Answers) -> dict[str, Any]:
    """Return the places of Shopify's columns, by the names that this file writes them with."""
    names = {plain(name): name for name in sample.columns}
    made: dict[str, Any] = {}
    for role, place in SHOPIFY_ORDERS["fields"].items():
        wanted = place.get("first") or [place.get("column") or place.get("count_within")]
        found = [names[plain(one)] for one in wanted if plain(one) in names]
        if not found:
            continue
        key = next(one for one in ("first", "column", "count_within") if one in place)
        made[role] = {**place, key: found if key == "first" else found[0]}
    for role in ("sku", "quantity", "placed_at"):
        if role not in made:
            wanted = SHOPIFY_ORDERS["fields"][role]["column"]
            raise FileError(f"{source.name} must have the column {wanted!r}, got none")
    _name_items(source, made, sample, answers)
    return made


def _name_items(source: Source, made: dict[str, Any], sample: Sample, answers: Answers) -> None:
    """Let products' names stand for skus where the shop has none at all."""
    column = made["sku"]["column"]
    if "name" in made and len(sample.values(column)) < _HARDLY_ANY * len(sample.rows):
        made["sku"] = {**made["name"], "as": "text"}
        answers.assume(f"{source.name}: {column} is empty, so {made['name']['column']} names items")


def _join_clock(made: dict[str, Any], sample: Sample) -> None:
    """Join a date with a time of day that stands in a column of its own."""
    column = made.get("placed_at", {}).get("column")
    if column is None or times_of(column, sample).has_clock:
        return
    for name in sample.columns:
        texts = sample.texts(name)
        shape = r"\d{1,2}:\d{2}(:\d{2})?(\s?[ap]\.?m\.?)?"
        if name != column and texts and all(re.fullmatch(shape, t.casefold()) for t in texts[:50]):
            made["placed_at"] = {"join": [{"column": column}, " ", {"column": name}]}
            return


def _is_woo(made: dict[str, Any], sample: Sample) -> bool:
    column = made.get("status", {}).get("column")
    if column is None:
        return False
    words = {text.casefold().removeprefix("wc-") for text in sample.texts(column)}
    return words <= _WOO_STATUSES and bool(words & {"processing", "on-hold", "wc-completed"})


def say_columns(source: Source, made: dict[str, Any], answers: Answers) -> None:
    """Keep for the report which columns were found."""
    pairs = [f"{role} = {place['column']}" for role, place in made.items() if "column" in place]
    answers.assume(f"{source.name}: columns {', '.join(sorted(pairs))}")
    if "name" in made and "sku" not in made:
        answers.assume(f"{source.name}: there is no sku, so {made['name']['column']} names items")


def _count_of(sample: Sample, roles: dict[str, str]) -> Document | None:
    """Return the count that a catalog holds beside its costs."""
    others = Sample(sample.rows)
    others.columns = [one for one in sample.columns if one not in roles.values()]
    level = assign(["level"], others).get("level")
    if level is None or name_score("level", level) < 0.9 or plain(level) in ("qty", "quantity"):
        return None
    fields = {"sku": {"column": roles["sku"]}, "level": {"column": level}}
    return {"to": "stock", "kind": "counted", "fields": fields}
