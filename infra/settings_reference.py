"""Writes the table of all settings into `infra/README.md`: `python -m infra.settings_reference`."""

from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from infra.settings import Settings

PATH = Path(__file__).with_name("README.md")
BEGIN = "<!-- settings: written by `python -m infra.settings_reference` -->"
END = "<!-- end of the settings -->"
_HEAD = "| setting | environment variable | default | values | meaning |\n|---|---|---|---|---|\n"
# A word of a setting's name -> the unit that it stands for.
_UNITS = {unit: unit for unit in ("seconds", "ms", "days", "bytes", "records", "units", "amount")}
_UNITS |= {"minute": "minutes", "hour": "hours", "day": "days", "keys": "keys", "lines": "lines"}
_TYPES = {"str": "text", "Path": "file", "SecretStr": "secret text", "bool": "`true`, `false`"}


def reference_table() -> str:
    """Return one row for each setting, Markdown."""
    return _HEAD + "".join(_row(name, field) for name, field in Settings.model_fields.items())


def with_reference(page: str) -> str:
    """Return a page with the table between its two markers renewed.

    Raises:
        ValueError: a marker is missing.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page must have the markers {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{reference_table()}\n{END}{after}"


def _row(name: str, field: FieldInfo) -> str:
    cells = (
        f"`{name}`",
        f"`TIDEGATE_{name.upper()}`",
        _default(field.default),
        _values(name, field.annotation),
        field.description or "",
    )
    return f"| {' | '.join(cells)} |\n"


def _default(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"`{value:g}`" if value < 1_000_000 else f"`{value:.0f}`"
    return f"`{value}`" if value else "empty"


def _values(name: str, annotation: Any) -> str:
    """Return what a setting can be: its choices, its unit or its type.

    >>> _values("tick_seconds", int), _values("log_level", Literal["info", "debug"])
    ('seconds', '`info`, `debug`')
    """
    # Optional settings are a union with None.
    options = [one for one in get_args(annotation) if one is not NoneType]
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{option}`" for option in options)
    if NoneType in get_args(annotation):
        return _values(name, options[0])
    if (kind := getattr(annotation, "__name__", "")) in _TYPES:
        return _TYPES[kind]
    return next((unit for word, unit in _UNITS.items() if word in name.split("_")), "number")


if __name__ == "__main__":
    PATH.write_text(with_reference(PATH.read_text()))
