"""Drafts that expire: an order that nobody answers is rejected, and counts as supply no more.

The worker that owns the order's partition writes the word into the audit log, as a person's word is
written, under the name of Tidegate and with the rule as its reason. What is paused, or held by the
system itself, does not expire: nobody was asked about it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from infra.control.entries import TIDEGATE, AuditState, OrderAnswered
from infra.control.orders import FoundOrder, Word, find_orders, make_answer
from infra.redis.reader import open_reader
from infra.redis.rows import StateError
from infra.settings import Settings
from streams.handover.rules import Controls, HoldReason, Verdict
from streams.timestamps import HOUR_MS, one_time

_EVERY_S = 30.0
_FOR_PEOPLE = (
    HoldReason.APPROVAL,
    HoldReason.CAP_UNITS,
    HoldReason.CAP_AMOUNT,
    HoldReason.HELD,
)
_log = logging.getLogger("tidegate.control")


class Log(Protocol):
    """The audit log, as `infra.control.log.ControlLog`."""

    state: AuditState

    def controls(self) -> Controls:
        """What people have ordered."""

    async def answer(self, entry: OrderAnswered) -> OrderAnswered:
        """Write a word about an order."""


class DraftExpiry:
    """Rejects orders that wait for a person's word for too long.

    Args:
        settings: where Redis is, the limits, and after how many hours.
        audit_log: is followed elsewhere.
        owned: returns the partitions that this worker owns.
        clock: wall-clock seconds.
    """

    def __init__(
        self,
        settings: Settings,
        audit_log: Log,
        owned: Callable[[], Iterable[int]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._audit_log = audit_log
        self._owned = owned
        self._clock = clock

    async def run(self) -> None:
        """Look twice a minute, for ever; without the setting nothing expires."""
        while self._settings.draft_expiry_hours is not None:
            try:
                await self.look()
            except (KafkaError, RedisError, StateError, OSError) as error:
                _log.warning("drafts: %r; looking again", error)
            except Exception:  # an order that does not expire must not stop the worker
                _log.exception("drafts: looking again")
            await asyncio.sleep(_EVERY_S)

    async def look(self) -> None:
        """Reject what has waited for too long."""
        hours = self._settings.draft_expiry_hours
        controls = self._audit_log.controls()
        if hours is None or not controls.is_known:
            return
        waiting = await asyncio.to_thread(self._waiting, controls)
        for po_id, found in sorted(waiting.items()):
            if not self._is_over(po_id, hours):
                continue
            word = Word(po_id, Verdict.REJECTED, TIDEGATE, f"expired: no answer for {hours:g} h")
            state = self._audit_log.state
            live_s = self._settings.live_within_seconds
            entry = make_answer(found, word, state.answers.get(po_id), live_s, self._clock())
            _log.warning("%s is rejected: nobody answered for %g hours", po_id, hours)
            await self._audit_log.answer(entry)

    def _waiting(self, controls: Controls) -> dict[str, FoundOrder]:
        """Return the orders of owned partitions that wait for a person's word."""
        owned = set(self._owned())
        closed = dict(self._audit_log.state.closed)
        with open_reader(self._settings) as reader:
            orders = find_orders(reader, self._settings, controls, closed)
        return {
            po_id: one
            for po_id, one in orders.items()
            if one.opened is not None
            and one.opened.partition in owned
            and one.waiting is not None
            and one.waiting.reason in _FOR_PEOPLE
        }

    def _is_over(self, po_id: str, hours: float) -> bool:
        """Whether nobody has spoken of an order since it began to wait, for so long.

        One of which nobody knows since when it waits does not expire, nor one that is answered:
        approved or rejected.
        """
        state = self._audit_log.state
        since = state.waiting_since.get(po_id)
        answer = state.answers.get(po_id)
        if since is None or (answer is not None and answer.verdict != Verdict.CHANGED):
            return False
        spoken = [one.at for one in state.histories.get(po_id, ()) if one.who != TIDEGATE]
        newest_ms = max(one_time(at) for at in (since, *spoken))
        return self._clock() * 1000 - newest_ms >= hours * HOUR_MS
