"""The outbox on its way: one message after the other to each destination, until it is taken."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import aiohttp

from infra.deliver.destinations import (
    Destination,
    DestinationError,
    Folder,
    Mail,
    Odoo,
    Webhook,
    secrets_of,
)
from infra.deliver.edi_files import edi_file
from infra.deliver.edifact import EdiError
from infra.deliver.files import file_name, order_csv, put
from infra.deliver.mail import make_mail, send
from infra.deliver.messages import webhook_body
from infra.deliver.odoo import OdooError, load, load_body
from infra.deliver.outbox import Delivery, DestinationState, Outbox, State
from infra.deliver.outcome import End, Outcome
from infra.deliver.schedule import next_wait_s
from infra.deliver.webhook import post

_log = logging.getLogger("tidegate.deliver")
_LOOK_S = 0.2  # between two looks where nothing is due
_PATIENT_FAILURES = 3  # in a row; then the whole destination is left alone for a while
_PAUSES_S = (5.0, 15.0, 60.0, 300.0)


@dataclass(frozen=True)
class Clock:
    """What time it is, and chance: arguments, so that tests own them."""

    now_s: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random


class Courier:
    """Sends what the outbox has.

    Args:
        outbox: of this process alone.
        destinations: by name.
        clock: wall clock and chance.
        look_s: between two looks where nothing is due.
    """

    def __init__(
        self,
        outbox: Outbox,
        destinations: Mapping[str, Destination],
        clock: Clock | None = None,
        look_s: float = _LOOK_S,
    ) -> None:
        self._outbox = outbox
        self._destinations = destinations
        self._clock = clock or Clock()
        self._look_s = look_s
        self._is_stopping = False

    def stop(self) -> None:
        """End `run` once the tries that are under way have ended."""
        self._is_stopping = True

    async def run(self) -> None:
        """Send until it is stopped: one task for each destination, one message at a time."""
        found = self._outbox.recover(self._clock.now_s())
        if found:
            _log.warning("%d messages were being sent when the last process ended", found)
        async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as tasks:
            for one in self._destinations.values():
                tasks.create_task(self._serve(one, client), name=f"deliver to {one.name}")

    async def _serve(self, destination: Destination, client: aiohttp.ClientSession) -> None:
        while not self._is_stopping:
            if not await self.send_next(destination, client):
                await asyncio.sleep(self._look_s)

    async def send_next(
        self, destination: Destination, client: aiohttp.ClientSession
    ) -> Outcome | None:
        """Try the next message that is due; return how that ended, None where nothing is due."""
        now_s = self._clock.now_s()
        stands = self._outbox.destination(destination.name)
        if stands.stopped or stands.pause_s > now_s:
            return None
        self._outbox.gather(destination.name, destination.gather_seconds, now_s)
        one = self._outbox.next_due(destination.name, destination.asks_first, now_s)
        if one is None:
            return None
        if not self._outbox.begin(one, now_s):
            return None
        outcome = await self._try(destination, one, client)
        self._note(destination, one, stands, outcome)
        return outcome

    async def _try(
        self, destination: Destination, one: Delivery, client: aiohttp.ClientSession
    ) -> Outcome:
        try:
            is_repeat = self._outbox.was_unknown(one)
            return await _send(destination, one, client, self._clock.now_s(), is_repeat=is_repeat)
        except DestinationError as error:
            return Outcome(End.AGAIN, str(error))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # a fault of ours must not stop the other messages
            _log.exception("%s to %s", one.message.message_id, destination.name)
            return Outcome(End.UNKNOWN, f"fault in Tidegate: {error!r}")

    def _note(
        self, destination: Destination, one: Delivery, stands: DestinationState, outcome: Outcome
    ) -> None:
        now_s, name = self._clock.now_s(), destination.name
        failures = one.failures + 1
        wait_s = next_wait_s(failures, self._clock.chance())
        state, next_s = _STATES[outcome.end], now_s
        is_failure = outcome.end in (End.AGAIN, End.UNKNOWN)
        said = outcome.said
        if outcome.end == End.GONE:
            self._stop(stands, said)
        elif is_failure and wait_s is None:
            state, said = State.REFUSED, f"given up after {failures} tries: {said}"
            self._stop(stands, said)
        elif is_failure:
            next_s = now_s + max(wait_s or 0.0, outcome.wait_s or 0.0)
            if outcome.wait_s is not None:
                next_s = now_s + outcome.wait_s
            self._pause(stands, outcome, now_s)
        elif stands.failures or stands.pause_s:
            self._outbox.set_destination(DestinationState(name, "", 0.0, 0.0, 0))
        self._outbox.end(one, state, said, now_s, next_s)
        _log.log(
            logging.INFO if state == State.DELIVERED else logging.WARNING,
            *("%s to %s: %s: %s", one.message.message_id, name, state, said),
        )

    def _pause(self, stands: DestinationState, outcome: Outcome, now_s: float) -> None:
        """Leave a destination alone that asks for it, or that failed several times in a row."""
        failures = stands.failures + 1
        pause_s = 0.0
        if failures >= _PATIENT_FAILURES:
            pause_s = _PAUSES_S[min(failures - _PATIENT_FAILURES, len(_PAUSES_S) - 1)]
        if outcome.wait_s is not None:
            pause_s = outcome.wait_s
        self._outbox.set_destination(
            replace(stands, failures=failures, pause_s=now_s + pause_s if pause_s else 0.0)
        )

    def _stop(self, stands: DestinationState, said: str) -> None:
        """Send a destination nothing more, until a person says so."""
        _log.error("%s is dead: %s; `tidegate deliver retry` begins again", stands.name, said)
        self._outbox.set_destination(
            replace(stands, stopped=said, stopped_s=self._clock.now_s(), pause_s=0.0)
        )


_STATES = {
    End.DELIVERED: State.DELIVERED,
    End.REFUSED: State.REFUSED,
    End.AGAIN: State.WAITING,
    End.UNKNOWN: State.UNKNOWN,
    End.GONE: State.WAITING,
}


async def _send(
    destination: Destination,
    one: Delivery,
    client: aiohttp.ClientSession,
    now_s: float,
    *,
    is_repeat: bool,
) -> Outcome:
    message = one.message
    match destination:
        case Webhook():
            return await post(
                client,
                destination.url,
                message.message_id,
                webhook_body(message),
                secrets_of(destination),
                now_s=now_s,
                timeout_s=destination.timeout_seconds,
            )
        case Mail():
            box = destination.mailbox()
            mail = make_mail(message, box, is_repeat=is_repeat)
            return await asyncio.to_thread(send, mail, box)
        case Odoo():
            try:
                body = load_body(message, destination.partners, destination.products)
            except OdooError as error:
                return Outcome(End.REFUSED, str(error))
            return await load(
                client,
                destination.url,
                destination.key(),
                body,
                database=destination.database,
                now_s=now_s,
                timeout_s=destination.timeout_seconds,
            )
        case Folder():
            name = file_name(message, "csv")
            content = order_csv(message, destination.delimiter, destination.decimal)
        case _:
            try:
                name, content = edi_file(destination, message, one.sequence, one.came_s)
            except EdiError as error:
                return Outcome(End.REFUSED, str(error))
    return await asyncio.to_thread(put, destination.folder, name, content)
