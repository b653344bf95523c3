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
    from infra.settings import Settings

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
    return value if "campaign_id" in value or "id" in value else {"campaign_id": "-", **value}


def read_target(
    target: str,
    connection: Connection,
    more: Path | None = None,
    options: "ReadOptions | None" = None,
) -> dict[str, Any]:
    """Return the campaign that a file or an id names, with the fields of another file on top."""
    document = read_file(target, options) if is_file(target) else known_campaign(target, connection)
    if more is None:
        return document
    from infra.campaigns.document import merged

    return merged(document, {**read_file(str(more)), "campaign_id": document["campaign_id"]})


def known_campaign(campaign_id: str, connection: Connection) -> dict[str, Any]:
    """Return a campaign that is kept, or whose lines the running installation has read.

    Raises:
        CommandError: it is neither.
    """
    from infra.campaigns.known import known_document, with_known_items
    from infra.redis.reader import open_reader

    settings = connection.settings()
    with open_reader(settings) as reader:
        kept = _kept_document(settings, campaign_id)
        if kept is not None:
            return with_known_items(reader, kept)
        document = known_document(reader, campaign_id)
    if document is None:
        raise CommandError(
            f"there is no campaign {campaign_id!r}, and no file of that name: it was not saved, "
            "and no line of it was read yet"
        )
    return document


def _kept_document(settings: "Settings", campaign_id: str) -> dict[str, Any] | None:
    """Return the document of a campaign in the audit log; None means that there is none."""
    import asyncio

    from infra.campaigns.versions import document_of
    from infra.control.log import read_audit
    from infra.kafka.topic_reader import TopicReadError

    try:
        state, _ = asyncio.run(read_audit(settings))
    except TopicReadError:
        return None
    kept = state.campaigns.get(campaign_id)
    return document_of(kept) if kept else None


def moment_of(at: str | None) -> int:
    """Return the moment that somebody said, or now, as epoch milliseconds."""
    if at is None:
        return int(time.time() * 1000)
    from infra.campaigns.times import moment_ms

    return moment_ms(at, "--at", "UTC")
