"""Carries out calls on one event loop: those that are going on, and how they end."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol

from punctual.adapters.targets.failures import failure
from punctual.core.calls import Answer, Call

LEAVE = "leave"
"""What a call is closed with whose run another attempt goes on with."""

CLOSE_MAX = 0.4
"""Seconds that calls and connections get to end in when all are closed; they need far less."""


class Carrier(Protocol):
    """Knows how one kind of call is carried out. Belongs to the loop it was made on."""

    def carry(self, call: Call, *, deadline: float) -> Coroutine[Any, Any, Answer]:
        """Carry out one call, and say what came of it, whatever that is.

        Cancelling it closes the call: the answer then has the error type `aborted`.

        Args:
            call: Ready to be sent.
            deadline: On the clock of the loop.
        """
        ...

    def leave(self) -> None:
        """Take note that what is cancelled from now on is, since this process ends."""
        ...

    async def close(self) -> None:
        """Let go of what is kept between calls; none is going on."""
        ...


class Caller:
    """The calls that are going on. Belongs to the loop it was made on, and to its thread."""

    def __init__(
        self,
        carrier: Carrier,
        *,
        hand_on: Callable[[Sequence[tuple[Call, Answer]]], None],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._carrier = carrier
        self._hand_on = hand_on
        self._going_on: dict[int, tuple[Call, asyncio.Task[Answer]]] = {}
        """By the identity of the call: equal ones may go on side by side."""
        self._ended: list[tuple[Call, Answer]] = []

    def begin(self, calls: Sequence[Call], *, launched_at: float) -> None:
        """Start every call.

        Args:
            calls: None of them is going on.
            launched_at: When their time began, on the clock of the loop, which is monotonic.
        """
        for call in calls:
            deadline = launched_at + call.timeout.total_seconds()
            task = self.loop.create_task(self._carrier.carry(call, deadline=deadline))
            self._going_on[id(call)] = (call, task)
            task.add_done_callback(partial(self._end, call))

    def abort(self, call: Call, *, leave: bool) -> None:
        """Close a call that is going on; one that is not is left as it is.

        Its carrier meets a `CancelledError` that says `LEAVE` if what it began is to go on.
        """
        if id(call) in self._going_on:
            self._going_on[id(call)][1].cancel(LEAVE if leave else None)

    def stop(self) -> None:
        """Close every call that is going on, and every connection."""
        self._stopped.set()

    async def work(self) -> None:
        """Carry out calls until stopped; all of them have ended then, and been handed on."""
        await self._stopped.wait()
        self._carrier.leave()
        tasks = [task for _, task in self._going_on.values()]
        for task in tasks:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_MAX):
                await asyncio.gather(*tasks, return_exceptions=True)
                await self._carrier.close()
        self._hand_on_ended()

    def _end(self, call: Call, task: asyncio.Task[Answer]) -> None:
        del self._going_on[id(call)]
        # A task that is closed before its first step ends without an answer of its own.
        fault = asyncio.CancelledError() if task.cancelled() else task.exception()
        if not self._ended:  # those that end in the same turn of the loop are handed on together
            self.loop.call_soon(self._hand_on_ended)
        self._ended.append((call, task.result() if fault is None else Answer(error=failure(fault))))

    def _hand_on_ended(self) -> None:
        ended, self._ended = self._ended, []
        self._hand_on(ended)
