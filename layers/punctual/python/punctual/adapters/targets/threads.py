"""Threads for blocking work, so many at once."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from punctual.adapters.targets.aside import aside

T = TypeVar("T")


class Threads:
    """Does the blocking work of one event loop; what there is no thread for waits."""

    def __init__(self, most: int, *, name: str) -> None:
        self._room = asyncio.Semaphore(most)
        self._name = name
        self._doing: set[asyncio.Task[Any]] = set()

    async def run(self, work: Callable[[], T], *, beginning: Callable[[], None]) -> T:
        """Return what `work` returns, or raise what it raises.

        Cancelling it ends the wait. Work that has begun goes on, and keeps its thread to its end;
        work that waits for a thread never begins.

        Args:
            work: Blocks.
            beginning: Called on the loop when the work is sure to begin.
        """
        await self._room.acquire()
        beginning()
        doing = asyncio.create_task(aside(work, name=self._name))
        self._doing.add(doing)
        doing.add_done_callback(self._end)
        return await asyncio.shield(doing)

    def _end(self, doing: "asyncio.Task[Any]") -> None:
        self._doing.discard(doing)
        self._room.release()
        if not doing.cancelled():
            doing.exception()  # seen, even where nobody waits for it any more
