"""The gate of a partition: it opens once its inputs have been well within their thresholds."""

from dataclasses import dataclass

from streams.handover.rules import HoldReason
from streams.settings import GateThresholds


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
    inputs: GateInputs, thresholds: GateThresholds, share: float = 1.0
) -> tuple[HoldReason, ...]:
    """Return which thresholds, times a share of them, the inputs exceed.

    >>> late = GateInputs(True, False, lag_records=120_000, lag_s=0.0, ahead_s=0.0, back_s=0.0)
    >>> breaches(late, GateThresholds()), breaches(late, GateThresholds(), share=0.5)
    ((), (<HoldReason.LAG: 'lag'>,))
    """
    skew_s = max(inputs.ahead_s, inputs.back_s)
    is_behind = (
        inputs.lag_records is None
        or inputs.lag_records > share * thresholds.lag_records
        or inputs.lag_s > share * thresholds.lag_s
    )
    found = (
        (HoldReason.CONTROL_AWAY, not inputs.is_control_known),
        (HoldReason.STORE_AWAY, inputs.is_store_away),
        (HoldReason.CLOCK, skew_s > share * thresholds.clock_s),
        (HoldReason.LOG_CHANGED, inputs.is_log_changed),
        (HoldReason.LAG, is_behind),
    )
    return tuple(reason for reason, holds in found if holds)


class Gate:
    """The gate of one partition. It begins closed.

    It closes as soon as an input is beyond its threshold, and opens when all of them have been
    below half of their thresholds for `calm_s`.
    """

    def __init__(self, thresholds: GateThresholds) -> None:
        self._thresholds = thresholds
        self._calm_since_s: float | None = None
        self._looked_at_s = 0.0
        self.reasons: tuple[HoldReason, ...] = (HoldReason.STARTING,)

    @property
    def is_open(self) -> bool:
        """Whether orders may pass, as far as the partition is concerned."""
        return not self.reasons

    def look(self, inputs: GateInputs, now_s: float) -> None:
        """Judge the inputs of this moment.

        Args:
            inputs: as they are now.
            now_s: wall-clock seconds. If the clock jumped, or more than `calm_s` passed since the
                last look, the time below half of the thresholds begins anew.
        """
        step_s = now_s - self._looked_at_s
        self._looked_at_s = now_s
        broken = breaches(inputs, self._thresholds)
        if broken:
            self.reasons = broken
        if broken or breaches(inputs, self._thresholds, share=0.5):
            self._calm_since_s = None
        elif self._calm_since_s is None or not 0 <= step_s <= self._thresholds.calm_s:
            self._calm_since_s = now_s
        if self._calm_since_s is not None and now_s - self._calm_since_s >= self._thresholds.calm_s:
            self.reasons = ()
