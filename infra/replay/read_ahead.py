"""Records of a source, read in a thread of their own."""

import asyncio
import threading
from collections import deque
from collections.abc import Iterable

from infra.replay.faults import Record

_AHEAD_RECORDS = 32_768
_SLICE_RECORDS = 1_024  # between two looks at the stop signal and at the sockets
_IDLE_SECONDS = 0.01


class ReadAhead:
    """Reads records in a thread, so that a silent pipe stops neither the sockets nor Ctrl-C."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = records
        self._ready: deque[Record] = deque()
        self._error: BaseException | None = None
        self._is_over = threading.Event()
        self._closed = threading.Event()
        # A daemon: nobody can wake it while it waits for a pipe.
        self._thread = threading.Thread(target=self._read, name="replay-reader", daemon=True)

    def __enter__(self) -> "ReadAhead":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()

    async def take(self) -> list[Record] | None:
        """Return some records, none while the source is silent, and None after the last one.

        Raises:
            BaseException: whatever the source raised, after its last record.
        """
        if not self._ready:
            # Asked in this order: the reader says that it is over after its last record.
            if self._is_over.is_set() and not self._ready:
                if self._error is not None:
                    raise self._error
                return None
            await asyncio.sleep(_IDLE_SECONDS)
        return [self._ready.popleft() for _ in range(min(len(self._ready), _SLICE_RECORDS))]

    def has_more(self) -> bool:
        """Whether records are ready."""
        return bool(self._ready)

    def _read(self) -> None:
        ready = self._ready
        try:
            for record in self._records:
                ready.append(record)
                while len(ready) > _AHEAD_RECORDS:
                    if self._closed.wait(_IDLE_SECONDS):
                        return
        except BaseException as error:
            self._error = error
        finally:
            self._is_over.set()
