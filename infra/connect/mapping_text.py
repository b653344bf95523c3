"""The text of a mapping file: where a mistake is in it, and how one is written."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any


class MappingError(ValueError):
    """A mapping file breaks a rule; the text names the line and the field."""


def only(
    table: Mapping[str, Any],
    allowed: Sequence[str],
    places: "Places",
    prefix: str,
    place: str | None = None,
) -> None:
    """Refuse names that a table may not have."""
    for name in table:
        if name not in allowed:
            near = get_close_matches(name, allowed, n=1)
            hint = f"known (did you mean {near[0]}?)" if near else f"one of {', '.join(allowed)}"
            raise places.error(place or name, hint, prefix + name)


@dataclass(frozen=True)
class Places:
    """Finds the line of a field in the text of a mapping."""

    text: str
    file: str
    emit: int | None = None  # which [[emit]]

    def within(self, emit: int) -> "Places":
        """Return the same for one [[emit]]."""
        return replace(self, emit=emit)

    def error(self, name: str, rule: str, value: object) -> MappingError:
        """Return the error of a field, with its line."""
        line = self._line(name)
        where = f"{self.file}, line {line}" if line else self.file
        part = "" if self.emit is None else f" of [[emit]] {self.emit + 1}"
        return MappingError(f"{where}: {name}{part} must be {rule}, got {value!r}")

    def _line(self, name: str) -> int | None:
        lines = self.text.splitlines()
        starts = [n for n, line in enumerate(lines) if line.strip().startswith("[[emit]]")]
        first, last = 0, len(lines)
        if self.emit is not None and self.emit < len(starts):
            first = starts[self.emit]
            last = starts[self.emit + 1] if self.emit + 1 < len(starts) else len(lines)
        shape = re.compile(rf'\s*(?:\[*emit\.)?"?{re.escape(name)}"?\s*[=\]]')
        for number in range(first, last):
            if shape.match(lines[number]):
                return number + 1
        return first + 1 if self.emit is not None and lines else None


def mapping_text(document: Mapping[str, Any], comment: str = "") -> str:
    """Return a mapping as TOML, which reads back as the same mapping."""
    lines = [f"# {line}" for line in comment.splitlines()]
    lines += [
        f"{name} = {_toml(document[name])}" for name in ("source", "format") if name in document
    ]
    if document.get("read"):
        lines += ["", "[read]", *(f"{k} = {_toml(v)}" for k, v in document["read"].items())]
    for emit in document["emit"]:
        own = {name: value for name, value in emit.items() if name != "fields"}
        lines += ["", "[[emit]]", *(f"{k} = {_toml(v)}" for k, v in own.items())]
        lines += ["", "[emit.fields]"]
        lines += [f"{k} = {_toml(v)}" for k, v in emit["fields"].items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f"{{ {', '.join(f'{_key(k)} = {_toml(v)}' for k, v in value.items())} }}"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(str(name))
