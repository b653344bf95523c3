"""`tidegate campaign silence`: silence alerts that a planned campaign would raise."""

import getpass
import json
from collections.abc import Sequence

from infra.alertmanager import Alertmanager, AlertmanagerError, Matcher, Silence
from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.options import NOT_GIVEN, Connection, Json
from infra.redis.reader import open_reader
from infra.wording.format import plain_time
from streams.contracts.events import CampaignLine
from streams.timestamps import one_time, rfc3339

SURGE_ALERTS = "TidegateItemSurge|TidegateBroadSurge"


def silence(
    campaign_id: str,
    /,
    *,
    alertmanager: str = "http://127.0.0.1:9093",
    who: str | None = None,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Silence surge alerts while a campaign runs; all other alerts stay active.

    The window goes from the first start to the last end of the campaign's lines. Repeating the
    command finds the same silence and creates no second one.

    Args:
        campaign_id: as its lines on the topic `campaigns` name it.
        alertmanager: where it listens.
        who: author of the silence; by default the user of this computer.
        as_json: one JSON object.
    """
    with open_reader(connection.settings()) as reader:
        lines = reader.campaign(campaign_id)
    if not lines:
        raise CommandError(f"there is no campaign {campaign_id!r}: no line of it was read yet")
    wished = campaign_silence(campaign_id, lines, who or getpass.getuser())
    try:
        silence_id = Alertmanager(alertmanager).silence(wished)
    except AlertmanagerError as error:
        raise CommandError(str(error), ExitCode.UNREACHABLE) from None
    if as_json:
        print(json.dumps({"silence_id": silence_id, "items": len(lines), **wished.as_posted()}))
        return
    print(
        f"surge alerts are silent from {plain_time(wished.starts_at)} to "
        f"{plain_time(wished.ends_at)} for {campaign_id} ({len(lines)} items): {silence_id}"
    )


def campaign_silence(campaign_id: str, lines: Sequence[CampaignLine], who: str) -> Silence:
    """Return the silence of a campaign: surges only, from its first start to its last end."""
    return Silence(
        matchers=[Matcher("alertname", SURGE_ALERTS, isRegex=True)],
        starts_at=rfc3339(min(one_time(line.starts_at) for line in lines)),
        ends_at=rfc3339(max(one_time(line.ends_at) for line in lines)),
        created_by=who,
        comment=f"campaign {campaign_id}",
    )
