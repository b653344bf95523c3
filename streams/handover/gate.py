"""The gate of a partition: shut until it has seen calm, and after every breach again."""

from dataclasses import dataclass

from streams.handover.rules import HoldReason


@dataclass(frozen=True, slots=True)
class GateThresholds:
    """What the facts may be. Beyond one: closed at once. Below half of all for `calm_s`: open."""

    lag_records: int = 200_000  # a second of a flood; its age says more
    lag_s: float = 60.0
    clock_s: float = 60.0
    calm_s: float = 2.0


@dataclass(frozen=True, slots=True)
class GateInputs:
    """How a partition stands at this moment."""

    is_control_known: bool
    is_store_away: bool
    lag_records: int | None  # not yet read; None means Kafka has not said
    lag_s: float  # age of the oldest record that is not yet read, or of a live log's newest event
    ahead_s: float  # the newest event lies so far in the future
    back_s: float  # this machine's clock, or the times that Kafka gives, went back by so much
    is_log_changed: bool = False  # one is not the log that the state was made from


def breaches(
    facts: GateInputs, bounds: GateThresholds, share: float = 1.0
) -> tuple[HoldReason, ...]:
    """Return which bounds, times a share of them, the facts exceed.

    >>> late = GateInputs(True, False, lag_records=120_000, lag_s=0.0, ahead_s=0.0, back_s=0.0)
    >>> breaches(late, GateThresholds()), breaches(late, GateThresholds(), share=0.5)
    ((), (<HoldReason.LAG: 'lag'>,))
    """
    skew_s = max(facts.ahead_s, facts.back_s)
    is_behind = (
        facts.lag_records is None
        or facts.lag_records > share * bounds.lag_records
        or facts.lag_s > share * bounds.lag_s
    )
    found = (
        (HoldReason.CONTROL_AWAY, not facts.is_control_known),
        (HoldReason.STORE_AWAY, facts.is_store_away),
        (HoldReason.CLOCK, skew_s > share * bounds.clock_s),
        (HoldReason.LOG_CHANGED, facts.is_log_changed),
        (HoldReason.LAG, is_behind),
    )
    return tuple(reason for reason, holds in found if holds)


class Gate:
    """The gate of one partition: shut until it has seen calm, and after every breach again.

    Args:
        bounds: as above.
    """

    def __init__(self, bounds: GateThresholds) -> None:
        self._bounds = bounds
        self._calm_since_s: float | None = None
        self._looked_at_s = 0.0
        self.reasons: tuple[HoldReason, ...] = (HoldReason.STARTING,)

    @property
    def is_open(self) -> bool:
        """Whether orders may pass, as far as the partition is concerned."""
        return not self.reasons

    def look(self, facts: GateInputs, now_s: float) -> None:
        """Take the facts of this moment in.

        Args:
            facts: as they are now.
            now_s: wall-clock seconds. After a jump, either way, calm begins anew: a time at which
                nobody looked was not calm.
        """
        step_s = now_s - self._looked_at_s
        self._looked_at_s = now_s
        broken = breaches(facts, self._bounds)
        if broken:
            self.reasons = broken
        if broken or breaches(facts, self._bounds, share=0.5):
            self._calm_since_s = None
        elif self._calm_since_s is None or not 0 <= step_s <= self._bounds.calm_s:
            self._calm_since_s = now_s
        if self._calm_since_s is not None and now_s - self._calm_since_s >= self._bounds.calm_s:
            self.reasons = ()
