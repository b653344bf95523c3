"""When a try that failed is made again."""

from email.utils import parsedate_to_datetime

STEPS_S = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Waits after the 1st, 2nd, ... failure: Standard Webhooks' schedule. Then it is given up."""

_LONGEST_WAIT_S = 86_400.0
_JITTER = 0.1


def next_wait_s(failures: int, chance: float) -> float | None:
    """Return how long to wait after so many failures; None means to give up.

    Args:
        failures: of this message, at least 1.
        chance: inside [0, 1), random: many messages do not come back at once.

    >>> next_wait_s(1, 0.0), next_wait_s(2, 0.5), next_wait_s(10, 0.0)
    (5.0, 315.0, None)
    """
    if failures > len(STEPS_S):
        return None
    return STEPS_S[failures - 1] * (1 + _JITTER * chance)


def retry_after_s(header: str | None, now_s: float) -> float | None:
    """Return how long a server asks to wait, at most a day; None where it does not say.

    >>> retry_after_s("30", 0.0), retry_after_s("Thu, 01 Jan 1970 00:01:00 GMT", 15.0)
    (30.0, 45.0)
    >>> retry_after_s("soon", 0.0), retry_after_s("999999999", 0.0), retry_after_s("-3", 0.0)
    (None, 86400.0, 0.0)
    """
    if header is None:
        return None
    try:
        wait_s = float(header)
    except ValueError:
        try:
            wait_s = parsedate_to_datetime(header).timestamp() - now_s
        except (ValueError, TypeError, OverflowError):
            return None
    if wait_s != wait_s:
        return None
    return min(max(wait_s, 0.0), _LONGEST_WAIT_S)
