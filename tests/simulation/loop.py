"""An event loop with virtual time, in which processes can be frozen and die between any two awaits.

Time stands still while anything can run, and jumps to the next timer when nothing can. Nothing here
reads a real clock, a socket or a random generator, so that a run is a function of its seed.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from enum import Enum, auto
from typing import Any

PROCESS: ContextVar["Process | None"] = ContextVar("process", default=None)

OUTSIDE = Context()
"""The context of what belongs to no process: servers and the network."""


_TASKS_BEFORE_A_LOOK = 100


class Deadlock(AssertionError):
    """Nothing can run, and no timer is set."""


class State(Enum):
    """Whether a process runs."""

    RUNNING = auto()
    FROZEN = auto()  # as by SIGSTOP: it neither works nor knows it
    DEAD = auto()  # as by SIGKILL: it has no chance to say goodbye


class Process:
    """Tasks that are frozen and die together.

    A step is what one task or callback does up to its next await. What a process that does not run
    should have done next is kept, in order, until it is thawed or buried.
    """

    def __init__(self, loop: "SimulatedLoop", name: str) -> None:
        self._loop = loop
        self._kept: list[asyncio.Handle] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._dies_at_step: int | None = None
        self.name = name
        self.state = State.RUNNING
        self.steps = 0
        self.on_death: Callable[[], None] = lambda: None

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Let a coroutine run as a part of this process."""
        context = copy_context()
        context.run(PROCESS.set, self)
        return self._loop.create_task(work, context=context)

    def die_after(self, steps: int) -> None:
        """Die when so many more steps are done."""
        self._dies_at_step = self.steps + steps

    def die(self) -> None:
        """Run no further step."""
        self.state = State.DEAD
        self.on_death()

    def freeze(self) -> None:
        """Run no further step until `thaw`."""
        self.state = State.FROZEN

    def thaw(self) -> None:
        """Go on, with everything that came due meanwhile."""
        if self.state is State.FROZEN:
            self._go_on()

    def _go_on(self) -> None:
        self.state = State.RUNNING
        kept, self._kept = self._kept, []
        self._loop.run_soon(kept)

    def admits(self, handle: asyncio.Handle) -> bool:
        """Whether a step may be done now; if not, it is kept."""
        if self.state is State.RUNNING:
            if self.steps != self._dies_at_step:
                self.steps += 1
                return True
            self.die()
        self._kept.append(handle)
        return False

    def belongs(self, task: "asyncio.Task[Any]") -> None:
        """Note a task."""
        if len(self._tasks) > _TASKS_BEFORE_A_LOOK:
            self._tasks = [one for one in self._tasks if not one.done()]
        self._tasks.append(task)

    async def bury(self) -> None:
        """End every task, so that nothing of the process is left; for the end of a world."""
        self._dies_at_step = None
        self._go_on()
        while waiting := [task for task in self._tasks if not task.done()]:
            for task in waiting:
                task.cancel()
            await asyncio.sleep(0)
        self._tasks = []


class _Handle(asyncio.Handle):
    def _run(self) -> None:
        if _admitted(self):
            super()._run()


class _TimerHandle(asyncio.TimerHandle):
    def _run(self) -> None:
        if _admitted(self):
            super()._run()


def _admitted(handle: Any) -> bool:
    process = handle._context.get(PROCESS)
    return process is None or process.admits(handle)


Connect = Callable[[asyncio.Protocol], asyncio.Transport]


class SimulatedLoop(asyncio.BaseEventLoop):
    """The loop; `connect` opens what `asyncio.open_connection` asks for."""

    _scheduled: list[Any]  # (time, number, timer)
    _ready: Any

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self._numbers = itertools.count()
        self.connect: Connect | None = None
        self.set_task_factory(_make_task)
        self.failures: list[BaseException] = []
        self.set_exception_handler(self._note_failure)

    def _note_failure(self, _: Any, context: dict[str, Any]) -> None:
        """Keep what a callback of the world raised; tasks of processes are waited for."""
        if "handle" in context and "exception" in context:
            self.failures.append(context["exception"])

    def time(self) -> float:
        """Virtual seconds."""
        return self.now_s

    def run_soon(self, handles: list[asyncio.Handle]) -> None:
        """Run handles that were kept."""
        self._ready.extend(handles)

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.Protocol], *_: Any, **__: Any
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Connect to the one server there is."""
        assert self.connect is not None
        protocol = protocol_factory()
        return self.connect(protocol), protocol

    def _run_once(self) -> None:
        """Run what can run; if nothing can, jump to the next timer.

        The base class does the same with what a loop of sockets needs besides, in twice the time.
        """
        ready, scheduled = self._ready, self._scheduled
        while scheduled and scheduled[0][2]._cancelled:
            heapq.heappop(scheduled)
        if not ready and not self._stopping:  # type: ignore[attr-defined]
            if not scheduled:
                raise Deadlock("nothing can run, and no timer is set")
            self.now_s = max(self.now_s, scheduled[0][0])
        while scheduled and scheduled[0][0] <= self.now_s:
            ready.append(heapq.heappop(scheduled)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def call_soon(
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Run a callback next."""
        return self._call_soon(callback, args, context)

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback after some virtual time."""
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def _call_soon(self, callback: Any, args: Any, context: Context | None) -> asyncio.Handle:
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback at a virtual time."""
        timer = _TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._scheduled, (when, next(self._numbers), timer))
        return timer

    def _write_to_self(self) -> None:
        """Nobody waits in another thread."""


def _make_task(loop: Any, work: Any, context: Context | None = None) -> "asyncio.Task[Any]":
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context)
    process = (context or copy_context()).get(PROCESS)
    if process is not None:
        process.belongs(task)
    return task
