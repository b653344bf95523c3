"""All that is stored of one item, and its newest decision computed again. Synchronous."""

from collections.abc import Mapping
from typing import Any

from redis import Redis

from infra.page.contracts import ItemPage, ItemQuery
from infra.page.cursor import Cursor
from infra.page.snapshot import ReadDecision, Snapshot
from infra.page.views.item import item_page
from infra.page.views.items import place_of
from infra.redis.keys import Keys
from infra.redis.reader import Reader
from infra.redis.rows import DECISION_COLUMNS, decision_rows
from policy import PolicyInputError, recompute
from streams.replenishment.decision_record import POLICY_INPUTS
from streams.types import Table

_DAYS_SHOWN = 35
_HELD, _BY_DAYS_AHEAD = b"held", b"dual_index"
_NOWHERE = Cursor.after_all_of(0)  # it is in no list


class ItemReader:
    """Reads single items.

    Args:
        redis: a client that gives bytes.
        keys: names in Redis.
    """

    def __init__(self, redis: "Redis", keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def read(self, snapshot: Snapshot, query: ItemQuery) -> ItemPage | None:
        """Return what is shown of an item; None means there is none of that name."""
        place = place_of(snapshot.items, query.sku, query.warehouse)
        if place is None:
            return None
        sku, warehouse = snapshot.items.names[place]
        reader = Reader(self._redis, self._keys)  # a new one: it remembers the items' names
        found = reader.find(sku, warehouse)
        if not found:
            return None
        state = reader.item(*found[0], days=_DAYS_SHOWN)
        record = reader.latest_decision(*found[0])
        currency = state.catalog.currency if state.catalog else None
        newest = (
            None if record is None else ReadDecision(sku, warehouse, record, currency, _NOWHERE)
        )
        return item_page(snapshot, place, state, newest, _again(record))


def _again(record: Table | None) -> Mapping[str, Any] | None:
    """Return the decision that the policy makes of recorded inputs; none where it was held.

    What was decided by the days ahead is recomputed from an order's own record alone.
    """
    if record is None or record["method"].item() in (_HELD, _BY_DAYS_AHEAD):
        return None
    (row,) = decision_rows(record.reshape(1), {int(record["item"]): ("", "")})  # type: ignore[arg-type]
    named = dict(zip(DECISION_COLUMNS, row, strict=True))
    try:
        return recompute({name: named[name] for name in POLICY_INPUTS})
    except PolicyInputError:
        return None
