"""Turns to begin: a few calls at a time, the network in between, and busy hosts a little later."""

import asyncio
import heapq
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

BEGUN_AT_ONCE = 16
"""Calls that begin before the loop looks at the network again."""

PASSED_BY = 8
"""How many calls a call lets begin before it for each one of its host that is under way: a host
that answers at once is hardly held up by one that does not, and neither for long."""


class Turns:
    """Lets the calls of one event loop begin, a few each time round.

    Were all calls of a burst to connect before the first is sent, the first would be as late as the
    last. This way they are sent, and the connections of those that were answered are free again,
    while others have yet to begin. Where many wait they begin in their order, but for hosts that
    have calls under way.
    """

    def __init__(self) -> None:
        self._left = BEGUN_AT_ONCE
        self._numbers = count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        """A heap, by when each is to begin."""
        self._under_way = Counter[str]()
        """Calls of each host that wait, or have begun and not ended."""
        self._renewal: asyncio.Handle | None = None

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Enter when it is this call's turn, at once where few begin; leave when it has ended."""
        before = self._under_way[host]
        self._under_way[host] = before + 1
        try:
            await self._take(before)
            yield
        finally:
            self._under_way[host] -= 1
            if not self._under_way[host]:
                del self._under_way[host]

    async def _take(self, before: int) -> None:
        """Take a turn, with so many calls of the same host under way."""
        loop = asyncio.get_running_loop()
        if self._renewal is None:
            self._renewal = loop.call_soon(self._renew)
        number = next(self._numbers)
        if self._left > 0:
            self._left -= 1
            return
        turn = loop.create_future()
        heapq.heappush(self._waiting, (number + PASSED_BY * before, number, turn))
        await turn

    def _renew(self) -> None:
        self._left = BEGUN_AT_ONCE
        while self._waiting and self._left > 0:
            *_, turn = heapq.heappop(self._waiting)
            if not turn.done():  # else its call was closed
                turn.set_result(None)
                self._left -= 1
        self._renewal = None
        if self._waiting:
            self._renewal = asyncio.get_running_loop().call_soon(self._renew)
