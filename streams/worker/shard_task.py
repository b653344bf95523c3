"""A shard in the hands of a worker: what is stored of it, and how its hand-over stands."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from streams.handover.gate import Gate
from streams.handover.rules import HoldReason
from streams.settings import GateThresholds
from streams.shard.logs import ChangedLog
from streams.shard.shard import Shard
from streams.state.commit import Commit
from streams.timestamps import NO_CLOCK

_CELLS_AT_MOST = 150_000  # changed cells that one commit may carry
_OUTBOX_AT_MOST = 20_000  # records that may wait for Kafka before reading pauses
_HELD_AT_MOST = 200_000  # orders that may be held before it does: about 2 kB of memory each


@dataclass(slots=True)
class ShardTask:
    """A shard that this worker owns."""

    shard: Shard

    # Ownership writes these when it takes the shard over.
    lease: Any

    # The committer writes these.
    stored_offsets: dict[str, int]
    in_flight: Commit | None = None  # sent, and its fate is not known yet
    counted: Counter[str] = field(init=False)  # `Shard.counted` as of the newest commit
    publishable_to: int = 0  # in the outbox; also by ownership, for what an earlier owner stored

    # Whoever changes the shard sets this; the committer clears it.
    is_dirty: bool = False

    # The worker writes these as it reads.
    newest_written_ms: int = -1
    written_ms: dict[str, int] = field(default_factory=dict)  # topic -> time of the newest record

    # The release of orders writes these.
    gate: Gate = field(default_factory=lambda: Gate(GateThresholds()))
    was_live: bool = False
    held: dict[str, HoldReason] = field(default_factory=dict)  # waiting orders by po_id
    judgement: object = None  # what the last one rested on; the publisher clears it after a failure
    judged_to: int = 0  # in the outbox
    looked_at_s: float = 0.0
    at_end_s: dict[str, float] = field(default_factory=dict)  # topic -> last seen read to its end

    # The watch of the logs writes this: topic -> in what its log is not the one that was read.
    changed_logs: dict[str, ChangedLog] = field(default_factory=dict)
    log_starts: dict[str, int] = field(default_factory=dict)  # topic -> where its log begins

    # Heartbeats write these: the oldest one that was written and not yet read back.
    unread_heartbeat_ms: int = NO_CLOCK
    broker_ahead_s: float = 0.0  # of this machine's clock, by its record time of a heartbeat

    def __post_init__(self) -> None:
        """What the shard brings with it was counted by an earlier owner."""
        self.counted = self.shard.counted()

    @property
    def is_stored(self) -> bool:
        """Whether the store has all that the shard knows."""
        return not self.is_dirty and self.in_flight is None

    @property
    def has_room(self) -> bool:
        """Whether more may be read. A held order stops nothing, until there are very many."""
        outbox = self.shard.outbox
        held = len(self.held)
        return (
            self.shard.changed_cells() <= _CELLS_AT_MOST
            and len(outbox) - held <= _OUTBOX_AT_MOST
            and held <= _HELD_AT_MOST
        )
