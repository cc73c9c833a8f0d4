"""Turns to begin: a few calls at a time, the network in between, and busy hosts a little later."""

import asyncio
import heapq
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
        self._under_way: dict[str, int] = {}
        """Calls of each host that wait, or have begun and not ended."""
        self._renewal: asyncio.Handle | None = None

    def turn(self, host: str) -> "Turn":
        """Enter when it is this call's turn, at once where few begin; leave when it has ended."""
        return Turn(self, host)

    async def begin(self, host: str) -> None:
        """Wait for a turn; `end` has to follow, unless this is cancelled."""
        before = self._under_way.get(host, 0)
        self._under_way[host] = before + 1
        try:
            await self._take(before)
        except BaseException:
            self.end(host)
            raise

    def end(self, host: str) -> None:
        """Take note that a call which had begun has ended."""
        if self._under_way[host] > 1:
            self._under_way[host] -= 1
        else:
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


class Turn:
    """One call's turn. Not a generator's context, which costs each call four times as much."""

    __slots__ = ("_host", "_turns")

    def __init__(self, turns: Turns, host: str) -> None:
        self._turns = turns
        self._host = host

    async def __aenter__(self) -> None:
        await self._turns.begin(self._host)

    async def __aexit__(self, *_: object) -> None:
        self._turns.end(self._host)
