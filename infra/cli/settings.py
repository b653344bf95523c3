"""`tidegate settings`: what is in force."""

import json
from typing import Any

from infra.cli.terminal.options import NOT_GIVEN, Connection, Json
from infra.cli.terminal.output import make_console, make_table


def settings(*, as_json: Json = False, connection: Connection = NOT_GIVEN) -> None:
    """Show the settings in force, from flags, environment, file and defaults.

    Args:
        as_json: one JSON object instead of a table.
    """
    in_force = connection.settings()
    values = in_force.public()
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


def _shown(value: Any) -> str:
    return '""' if value == "" else str(value)
