"""What msgspec says against a record, as field, rule and value."""

import re
from typing import Any

import msgspec

SHOWN_CHARACTERS = 80
_MISSING = re.compile(r"missing required field `(?P<name>[^`]+)`")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


class Nothing:
    """Stands for a value that is not there."""

    def __str__(self) -> str:
        return "nothing"


def broken_rule(message: str, value: bytes) -> tuple[str, str, object]:
    """Return which field breaks which rule by what value; the field of the whole is empty.

    Args:
        message: of a `msgspec.ValidationError`.
        value: what was decoded.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: the value is no JSON: a rule can
            be broken before the place where it ends to be.

    >>> broken_rule("Expected `int` >= 0 - at `$.level`", b'{"level": -1}')
    ('level', 'int >= 0', -1)
    """
    rule, _, place = message.partition(" - at `$")
    path = place.strip("`.")
    if missing := _MISSING.search(rule):
        return f"{path}.{missing['name']}".lstrip("."), "present", Nothing()
    rule = rule.removeprefix("Expected ").split(", got ")[0].replace("`", "")
    if rule.startswith("Invalid"):
        rule = "a known value"
    if rule == "object":
        rule = "a JSON object"
    return path, rule, _at(msgspec.json.decode(value), path)


def _at(value: Any, path: str) -> Any:
    """Return what lies at a path, as far as it leads anywhere; `[...]` is any place of a list."""
    for name, index in _STEP.findall(path):
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and index and int(index) < len(value):
            value = value[int(index)]
        else:
            break
    return value


def rule_text(field: str, rule: str, value: object, whole: str = "value") -> str:
    """Return the three as a sentence.

    >>> rule_text("level", "int >= 0", -1), rule_text("sku", "present", Nothing())
    ('level must be int >= 0, got -1', 'sku must be present, got nothing')
    """
    shown = str(value) if isinstance(value, Nothing) else repr(value)
    if len(shown) > SHOWN_CHARACTERS:
        shown = shown[:SHOWN_CHARACTERS] + "..."
    return f"{field or whole} must be {rule}, got {shown}"
