"""What lies between a worker and its servers: delay, loss, silence."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeVar

from tests.simulation.loop import OUTSIDE, SimulatedLoop

_Some = TypeVar("_Some")
_PATIENCE_S = 3.0  # until a client gives up on a server that does not answer


class Fate(Enum):
    """What becomes of a request."""

    ANSWERED = auto()
    REQUEST_LOST = auto()  # it never arrives, and the connection breaks
    REPLY_LOST = auto()  # it takes effect, and the connection breaks
    UNANSWERED = auto()  # it takes effect, and nothing comes back, as over a half-open connection


@dataclass
class NetworkFaults:
    """How bad the network is at the moment; faults change it."""

    loss: float = 0.0  # share of requests that meet another fate than an answer
    slowness: float = 1.0  # times the usual delay
    is_cut: bool = False

    def clear(self) -> None:
        """Be as it usually is."""
        self.loss, self.slowness, self.is_cut = 0.0, 1.0, False


class Network:
    """Carries requests to servers and their answers back.

    Args:
        loop: virtual time.
        chance: draws delays and fates.
    """

    def __init__(self, loop: SimulatedLoop, chance: random.Random) -> None:
        self.loop = loop
        self.is_down_for_good = False
        self._chance = chance

    def fate(self, network_faults: NetworkFaults) -> Fate:
        """Draw what becomes of a request."""
        if self._chance.random() >= network_faults.loss:
            return Fate.ANSWERED
        return self._chance.choice([Fate.REQUEST_LOST, Fate.REPLY_LOST, Fate.UNANSWERED])

    def delay_s(self, network_faults: NetworkFaults) -> float:
        """Draw how long one way takes."""
        return self._chance.expovariate(1.0) * 0.002 * network_faults.slowness

    def later(self, seconds: float, action: Callable[..., object], *arguments: Any) -> None:
        """Let something happen outside of every process."""
        self.loop.call_later(seconds, action, *arguments, context=OUTSIDE)

    async def ask(self, network_faults: NetworkFaults, serve: Callable[[], _Some]) -> _Some:
        """Let a server do something; return its answer.

        Raises:
            ConnectionError: the request or its answer was lost.
        """
        answer: asyncio.Future[_Some] = self.loop.create_future()
        self.later(self.delay_s(network_faults), self._arrive, network_faults, serve, answer)
        return await answer

    def _arrive(
        self,
        network_faults: NetworkFaults,
        serve: Callable[[], _Some],
        answer: "asyncio.Future[_Some]",
    ) -> None:
        fate = self.fate(network_faults)
        if self.is_down_for_good:
            return
        if network_faults.is_cut or fate is Fate.REQUEST_LOST:
            self.later(self.delay_s(network_faults), _fail, answer)
            return
        result = serve()
        if fate is Fate.ANSWERED:
            self.later(self.delay_s(network_faults), _succeed, answer, result)
        else:
            self.later(_PATIENCE_S if fate is Fate.UNANSWERED else 0.0, _fail, answer)


def _succeed(answer: "asyncio.Future[_Some]", result: _Some) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: "asyncio.Future[Any]") -> None:
    if not answer.done():
        answer.set_exception(ConnectionResetError("the network lost it"))


class Link(asyncio.Transport):
    """One connection to a server that answers bytes with bytes."""

    def __init__(
        self,
        network: Network,
        network_faults: NetworkFaults,
        protocol: Any,
        answer: Callable[[bytes], bytes],
    ) -> None:
        super().__init__()
        if network_faults.is_cut:
            raise ConnectionRefusedError("nobody listens")
        self._network = network
        self._network_faults = network_faults
        self._protocol = protocol
        self._answer = answer
        self._is_open = True
        protocol.connection_made(self)

    def write(self, data: Any) -> None:
        """Send whole commands."""
        if self._is_open:
            delay = self._network.delay_s(self._network_faults)
            self._network.later(delay, self._arrive, bytes(data))

    def _arrive(self, data: bytes) -> None:
        fate = self._network.fate(self._network_faults)
        if self._network.is_down_for_good:
            return
        delay = self._network.delay_s(self._network_faults)
        if self._network_faults.is_cut or fate is Fate.REQUEST_LOST:
            self._network.later(delay, self._break)
            return
        reply = self._answer(data)
        if fate is Fate.ANSWERED:
            self._network.later(delay, self._deliver, reply)
        elif fate is Fate.REPLY_LOST:
            self._network.later(delay, self._break)

    def _deliver(self, reply: bytes) -> None:
        if self._is_open:
            self._protocol.data_received(reply)

    def _break(self) -> None:
        if self._is_open:
            self._is_open = False
            self._protocol.connection_lost(ConnectionResetError("the connection broke"))

    def close(self) -> None:
        """Close from the client's side."""
        if self._is_open:
            self._is_open = False
            self._network.loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        """The same."""
        self.close()

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return not self._is_open

    def pause_reading(self) -> None:
        """Replies are small."""

    def resume_reading(self) -> None:
        """Replies are small."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """There is no socket behind it."""
        return default
