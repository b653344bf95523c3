"""When a shop went live: from its first start on, whatever history is replayed, orders are real.

The moment stands in the audit log, which outlives Redis: a state that is built anew from the logs
comes to the same decisions.
"""

import time

from infra.control.entries import TIDEGATE, WentLive
from infra.control.log import append_once, read_audit
from infra.redis.reader import open_reader
from infra.settings import ALWAYS, FIRST_START, Settings
from streams.timestamps import rfc3339

_WHY = "its first worker started"
_WHY_OLDER = "its state is older than the setting live_from"


async def with_live_from(settings: Settings) -> Settings:
    """Return the settings with the moment from which reviews order, as the audit log has it.

    The first worker of a shop writes it there. Of two that start at once the first entry counts. A
    shop that has a state already has ordered before: nothing changes for it.

    Args:
        settings: of the worker; a time that they name stands.
    """
    if settings.live_from != FIRST_START:
        return settings
    audit, _ = await read_audit(settings)
    if audit.live_from is None:
        with open_reader(settings) as reader:
            is_known = bool(reader.partitions())
        live_from = ALWAYS if is_known else rfc3339(int(time.time() * 1000))
        why = _WHY_OLDER if is_known else _WHY
        entry = WentLive(who=TIDEGATE, why=why, live_from=live_from)
        await append_once(settings, lambda _: entry)
        audit, _ = await read_audit(settings)
    return settings.model_copy(update={"live_from": audit.live_from})
