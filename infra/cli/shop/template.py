"""`tidegate template`: files to fill in."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.output import note

Kind = Literal["orders", "catalog", "suppliers", "counts", "campaigns"]


def template(
    kind: Kind,
    /,
    *,
    format: Literal["csv", "xlsx"] = "csv",
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
) -> None:
    """Write a template with the columns of a file and an example, to be filled in and imported.

    Then: tidegate import FILE --preset KIND

    Args:
        kind: what the file is about.
        format: csv, or an Excel workbook.
        output: where to; by default standard output for CSV, KIND.xlsx here for a workbook.
    """
    from infra.connect.templates import template_text, write_template

    if format == "xlsx":
        path = output or Path(f"{kind}.xlsx")
        if output is None and path.exists():
            raise CommandError(f"{path} is there; say another one with --output", ExitCode.USAGE)
        write_template(kind, path)
        note(f"wrote {path}")
    elif output is None:
        sys.stdout.write(template_text(kind))
    else:
        output.write_text(template_text(kind), encoding="utf-8-sig")  # so that Excel reads it right
        note(f"wrote {output}")
