"""Questions that many calls ask at once, and whose answers they share."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from punctual.adapters.targets.aside import aside

T = TypeVar("T")


class Shared(Generic[T]):
    """Asks a blocking question for the calls of one event loop, once for all that wait for it.

    No answer outlives the calls that asked for it: the next one asks anew.
    """

    def __init__(self, ask: Callable[[str], T], *, name: str, at_once: int) -> None:
        """Take the question, the name of the threads it is asked in, and how many there may be."""
        self._ask = ask
        self._name = name
        self._room = asyncio.Semaphore(at_once)
        self._awaited: dict[str, asyncio.Task[T]] = {}

    async def answer(self, about: str) -> T:
        """Return the answer to the question about something; raise what asking raises."""
        asking = self._awaited.get(about)
        if asking is None:
            asking = asyncio.create_task(self._in_a_thread(about))
            self._awaited[about] = asking
            asking.add_done_callback(lambda ended: self._forget(about, ended))
        # One of the calls that wait for it may be closed without harm to the others.
        return await asyncio.shield(asking)

    def _forget(self, about: str, ended: "asyncio.Task[T]") -> None:
        del self._awaited[about]
        if not ended.cancelled():
            ended.exception()  # seen, even where the calls that waited for it are closed

    async def _in_a_thread(self, about: str) -> T:
        async with self._room:
            return await aside(partial(self._ask, about), name=self._name)
