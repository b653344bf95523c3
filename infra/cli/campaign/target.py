"""What a command names: a file with a campaign, or the id of one that is known."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.options import Connection

if TYPE_CHECKING:
    from infra.connect.files import ReadOptions

_SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".txt", ".xlsx", ".parquet", ".gz", ".zip")
STANDARD_INPUT = "-"


def is_file(target: str) -> bool:
    """Whether a target is meant as a file: it is there, or its name ends like one."""
    return target == STANDARD_INPUT or target.endswith(_SUFFIXES) or Path(target).is_file()


def read_file(target: str, options: "ReadOptions | None" = None) -> dict[str, Any]:
    """Return the campaign of a file; `-` is JSON on standard input.

    Raises:
        CommandError: it is no campaign.
    """
    from infra.campaigns.files import read_campaign

    if target != STANDARD_INPUT:
        return read_campaign(Path(target), options)
    try:
        value = json.load(sys.stdin)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CommandError(f"standard input must be JSON: {error}", ExitCode.USAGE) from error
    if not isinstance(value, dict):
        raise CommandError("standard input must be one JSON object", ExitCode.USAGE)
    return value


def known_campaign(campaign_id: str, connection: Connection) -> dict[str, Any]:
    """Return a campaign that the running installation knows.

    Raises:
        CommandError: it does not.
    """
    from infra.campaigns.known import known_document
    from infra.redis.reader import open_reader

    with open_reader(connection.settings()) as reader:
        document = known_document(reader, campaign_id)
    if document is None:
        raise CommandError(
            f"there is no campaign {campaign_id!r}, and no file of that name: "
            "no line of it was read yet"
        )
    return document


def moment_of(at: str | None) -> int:
    """Return the moment that somebody said, or now, as epoch milliseconds."""
    if at is None:
        return int(time.time() * 1000)
    from infra.campaigns.times import moment_ms

    return moment_ms(at, "--at", "UTC")
