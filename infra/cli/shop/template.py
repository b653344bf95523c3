"""`tidegate template`: files to fill in."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.output import note

Kind = Literal["orders", "catalog", "suppliers", "counts", "campaigns", "campaign"]


def template(
    kind: Kind,
    /,
    *,
    format: Literal["csv", "xlsx", "json"] = "csv",
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
) -> None:
    """Write a template with the columns of a file and an example, to be filled in and imported.

    Then: tidegate import FILE --preset KIND. A campaign as a whole (campaign) is for `tidegate
    campaign check FILE`; campaigns are lines to import.

    Args:
        kind: what the file is about.
        format: csv, or an Excel workbook; a campaign as JSON, too.
        output: where to; by default standard output for CSV, KIND.xlsx here for a workbook.
    """
    from infra.campaigns import columns
    from infra.connect.templates import template_text, write_template

    if format == "json" and kind != "campaign":
        raise CommandError(f"--format must be csv or xlsx for {kind}, got 'json'", ExitCode.USAGE)
    if format == "xlsx":
        path = output or Path(f"{kind}.xlsx")
        if output is None and path.exists():
            raise CommandError(f"{path} is there; say another one with --output", ExitCode.USAGE)
        if kind == "campaign":
            columns.write_workbook(path)
        else:
            write_template(kind, path)
        note(f"wrote {path}")
        return
    text = columns.template_text(format) if kind == "campaign" else template_text(kind)
    if output is None:
        sys.stdout.write(text)
    else:
        # So that Excel reads it right.
        output.write_text(text, encoding="utf-8-sig" if format == "csv" else "utf-8")
        note(f"wrote {output}")
