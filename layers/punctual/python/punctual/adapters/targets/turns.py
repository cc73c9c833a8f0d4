"""Turns to begin: a few calls at a time, and the network in between."""

import asyncio
from collections import deque

BEGUN_AT_ONCE = 16
"""Calls that begin before the loop looks at the network again."""


class Turns:
    """Lets the calls of one event loop begin in their order, a few each time round.

    Were all calls of a burst to connect before the first is sent, the first would be as late as the
    last. This way they are sent, and the connections of those that were answered are free again,
    while others have yet to begin.
    """

    def __init__(self) -> None:
        self._left = BEGUN_AT_ONCE
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._renewal: asyncio.Handle | None = None

    async def take(self) -> None:
        """Return when it is this call's turn: at once where few begin."""
        loop = asyncio.get_running_loop()
        if self._renewal is None:
            self._renewal = loop.call_soon(self._renew)
        if self._left > 0:
            self._left -= 1
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _renew(self) -> None:
        self._left = BEGUN_AT_ONCE
        while self._waiting and self._left > 0:
            turn = self._waiting.popleft()
            if not turn.done():  # else its call was closed
                turn.set_result(None)
                self._left -= 1
        self._renewal = None
        if self._waiting:
            self._renewal = asyncio.get_running_loop().call_soon(self._renew)
