"""The end of a call's time, on a loop that may have been away."""

import asyncio
from types import TracebackType
from typing import Self

AWAY = 0.1
"""Seconds that a loop may be late at a deadline before it counts as away: other work had its
thread, and an answer that came in time may lie unread."""

CATCH_UP = 0.05
"""Seconds in which such an answer is read before the call counts as over."""


class Deadline:
    """Like `asyncio.timeout_at`, but for a loop that was away: what had come by then counts."""

    __slots__ = ("_at", "_cancelling", "_handle", "_loop", "_task", "expired")

    def __init__(self, at: float) -> None:
        """Take an instant on the clock of the loop."""
        self._at = at
        self.expired = False
        """Whether it was reached, so that the body of the `async with` was cancelled."""

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None, "only a task can be cancelled"
        self._task = task
        self._cancelling = task.cancelling()
        self._loop = task.get_loop()
        self._handle = self._loop.call_at(self._at, self._reached)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        self._handle.cancel()
        if not self.expired or self._task.uncancel() > self._cancelling:
            return  # not reached, or somebody else wants the task to end too
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from fault

    def _reached(self) -> None:
        if self._loop.time() > self._at + AWAY:
            self._handle = self._loop.call_later(CATCH_UP, self._expire)
        else:
            self._expire()

    def _expire(self) -> None:
        self.expired = True
        self._task.cancel()
