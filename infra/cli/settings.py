"""`tidegate settings`: what is in force."""

import json
from typing import Any
from urllib.parse import urlsplit

from infra.cli.options import NOT_GIVEN, Connection, Json
from infra.cli.terminal import make_console, make_table


def settings(*, as_json: Json = False, connection: Connection = NOT_GIVEN) -> None:
    """Show the settings in force, from flags, environment, file and defaults.

    Args:
        as_json: one JSON object instead of a table.
    """
    in_force = connection.settings()
    values: dict[str, Any] = in_force.model_dump()
    values["redis_url"] = without_password(in_force.redis_url)
    if as_json:
        print(json.dumps(values, indent=1))
        return
    fields = type(in_force).model_fields
    rows = [
        (
            name,
            _shown(value),
            "" if value == fields[name].default else _shown(fields[name].default),
            fields[name].description or "",
        )
        for name, value in values.items()
    ]
    columns = [("setting", False), ("value", False), ("instead of", False), ("what it is", False)]
    make_console().print(make_table(columns, rows))


def without_password(url: str) -> str:
    """Return an address with its password hidden.

    >>> without_password("redis://ops:secret@cache:6379/0?password=secret")
    'redis://ops:***@cache:6379/0?***'
    """
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    hidden = f"{name}{colon}{'***' if colon else ''}{at}{host}"
    shown = url.replace(parts.netloc, hidden, 1) if at else url
    return shown.replace(parts.query, "***") if "password" in parts.query else shown


def _shown(value: Any) -> str:
    return '""' if value == "" else str(value)
