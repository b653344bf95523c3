"""Facts about groups: what an item shard says of its part of the shop, campaigns and categories.

An item shard gathers facts by boundary of event time and sends them, with all that its next commit
stores, to the topic `group-facts`. Each record ends with a marker: up to `upto_ms` nothing more
comes from this partition. What a boundary holds follows from the logs alone; how boundaries are
put into records depends on the pace, and decides nothing.

Sums are whole numbers (orders, or millionths), so that they are the same in whatever order the
partitions are added up.
"""

from collections.abc import Iterable, Sequence

import msgspec

from streams.contracts.outgoing import OutboxRecord
from streams.contracts.topics import GROUP_FACTS
from streams.ingest.placement import home_of

KEY = b"shop"
"""Key of every record of `group-facts`: all groups of a shop are judged together."""

_BYTES_AT_MOST = 400_000  # of a record, of which brokers take 1 MB
_PARTITIONS_AT_MOST = 100_000


class TickOrders(msgspec.Struct, array_like=True):
    """The orders of a tick: how many, and the times of the first and the newest."""

    start_ms: int
    orders: int
    first_ms: int
    newest_ms: int
    is_import: bool


class Member(msgspec.Struct, array_like=True):
    """An item that is in an incident of its own, in these groups."""

    item: str
    groups: list[str]
    since_ms: int
    orders: int = 0  # since the beginning
    due_millionths: int = 0  # likewise


class HourFact(msgspec.Struct, array_like=True):
    """What a group's items sold in an hour, without those that surge on their own."""

    group: str
    orders: int
    missing_millionths: int  # baseline orders a day of the items that are left out
    planned_millionths: int  # orders that campaigns plan beyond the baseline
    sellers: list[tuple[str, int]]  # items with most orders today


class PlanFact(msgspec.Struct, array_like=True):
    """What campaigns planned for the open day so far, and what came."""

    group: str
    due_millionths: int
    sold_millionths: int


class DayFact(msgspec.Struct, array_like=True):
    """What a group's items taught in a day, without those that surged."""

    group: str
    orders: int
    rate_millionths: int  # baseline orders a day of all its items
    on_sale_millionths: int  # of it, by the share of the day in which they were on sale


class Day(msgspec.Struct):
    """A day that ended."""

    start_ms: int  # of the part of it that the shard knows
    groups: list[DayFact]
    campaigns: list[str]  # that are not over


class Boundary(msgspec.Struct, omit_defaults=True):
    """The facts of one boundary; None means that nothing has changed."""

    at_ms: int
    ticks: list[TickOrders] = []
    surging: list[Member] | None = None
    short: list[Member] | None = None
    joined: list[tuple[str, int]] = []  # a group, and millionths of orders a day that joined it
    hours: list[HourFact] = []
    plans: list[PlanFact] = []
    day: Day | None = None


class Facts(msgspec.Struct, tag_field="kind", tag="facts", omit_defaults=True):
    """A record of `group-facts`: boundaries, and the marker behind them."""

    partition: int
    partitions: int
    upto_ms: int
    boundaries: list[Boundary] = []


class CloseWindow(msgspec.Struct, tag_field="kind", tag="close-window"):
    """Somebody's word that a partition will say no more up to a time: go on without it."""

    partition: int
    upto_ms: int
    who: str
    why: str


class FactsError(ValueError):
    """A record of `group-facts` that cannot be read; the text says why."""


_decoder = msgspec.json.Decoder(Facts | CloseWindow)


def read_facts(value: bytes | None) -> Facts | CloseWindow:
    """Read a record.

    Raises:
        FactsError: it is none; the text names field, rule and value.
    """
    try:
        facts: Facts | CloseWindow = _decoder.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FactsError(str(error)) from error
    partitions = facts.partitions if isinstance(facts, Facts) else _PARTITIONS_AT_MOST
    if not 0 < partitions <= _PARTITIONS_AT_MOST:
        rule = f"from 1 to {_PARTITIONS_AT_MOST}"
        raise FactsError(f"partitions must be {rule}, got {partitions}")
    if not 0 <= facts.partition < partitions:
        raise FactsError(f"partition must be below {partitions}, got {facts.partition}")
    return facts


def group_partition(partitions: int) -> int:
    """The partition whose shard judges the groups.

    >>> group_partition(1), 0 <= group_partition(8) < 8
    (0, True)
    """
    return home_of(KEY, partitions) if partitions > 1 else 0


def grid_end_ms(moment_ms: int, grid_ms: int) -> int:
    """The first boundary of the grid at or after a time.

    >>> grid_end_ms(601_000, 600_000), grid_end_ms(600_000, 600_000)
    (1200000, 600000)
    """
    return -(-moment_ms // grid_ms) * grid_ms


class Gathered:
    """What an item shard has to say, until its commit carries it.

    Args:
        partition: the shard's number.
        partitions: how many there are.
        grid_ms: width of a cell of the grid; divides an hour.
    """

    def __init__(self, partition: int, partitions: int, grid_ms: int) -> None:
        self._partition = partition
        self._partitions = partitions
        self.grid_ms = grid_ms
        self._drafts: dict[int, Boundary] = {}
        self._sent_ms = 0

    def at(self, moment_ms: int) -> Boundary:
        """The facts of the boundary that ends the cell of a moment."""
        end_ms = grid_end_ms(moment_ms, self.grid_ms)
        if end_ms not in self._drafts:
            self._drafts[end_ms] = Boundary(end_ms)
        return self._drafts[end_ms]

    def take(self, applied_ms: int | None) -> list[OutboxRecord]:
        """Return the records for all boundaries up to the applied one, and forget these.

        Args:
            applied_ms: event time up to which everything has taken effect; None: nothing yet.
        """
        if applied_ms is None:
            return []
        upto_ms = applied_ms // self.grid_ms * self.grid_ms
        if upto_ms <= self._sent_ms:
            return []
        self._sent_ms = upto_ms
        ready = [self._drafts.pop(at) for at in sorted(self._drafts) if at <= upto_ms]
        parts = _parts(ready) or [[]]
        ends = [part[-1].at_ms for part in parts[:-1]] + [upto_ms]
        return [self._record(end, part) for end, part in zip(ends, parts, strict=True)]

    def _record(self, upto_ms: int, boundaries: list[Boundary]) -> OutboxRecord:
        facts = Facts(self._partition, self._partitions, upto_ms, boundaries)
        return OutboxRecord(GROUP_FACTS, KEY, msgspec.json.encode(facts), [])

    def state(self) -> list[Boundary]:
        """What has to be stored."""
        return [self._drafts[at] for at in sorted(self._drafts)]

    def restore(self, drafts: Iterable[Boundary]) -> None:
        """Take over what was stored."""
        self._drafts = {draft.at_ms: draft for draft in drafts}


def _parts(boundaries: Sequence[Boundary]) -> list[list[Boundary]]:
    """Cut boundaries into records that a broker takes; the largest one alone has no sellers."""
    parts: list[list[Boundary]] = []
    left = 0
    for boundary in boundaries:
        size = len(msgspec.json.encode(boundary))
        if size > _BYTES_AT_MOST:
            for hour in boundary.hours:
                hour.sellers = []
        if size > left or not parts:
            parts.append([])
            left = _BYTES_AT_MOST
        parts[-1].append(boundary)
        left -= size
    return parts
