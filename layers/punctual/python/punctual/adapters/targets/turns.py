"""Turns to begin: a few calls at a time, the network in between, and busy hosts a little later."""

import asyncio
import heapq
from collections import deque
from dataclasses import dataclass, field
from itertools import count

BEGUN_AT_ONCE = 16
"""Calls that begin before the loop looks at the network again."""

PASSED_BY = 8
"""How many calls a call lets begin before it for each one of its host that is under way: a host
that answers at once is hardly held up by one that does not, and neither for long."""

UNHEARD_AT_ONCE = 16
"""Calls under way to a host that has yet to answer one of them. Further ones stand aside: should it
never answer, each would have cost a connection and told nothing new."""


@dataclass(slots=True)
class _Host:
    """A host that has calls under way."""

    under_way: int = 0
    """Calls that wait, or have begun and not ended."""
    begun: int = 0
    """Of these, those that have begun."""
    is_heard: bool = False
    """Whether a call had its answer since some are under way."""
    aside: "deque[_Waiting]" = field(default_factory=deque)
    """Calls that stand aside, in their order."""

    @property
    def is_full(self) -> bool:
        """Whether further calls stand aside."""
        return not self.is_heard and self.begun >= UNHEARD_AT_ONCE


@dataclass(slots=True, order=True)
class _Waiting:
    """A call that waits; the least is the next."""

    place: int
    number: int
    host: _Host = field(compare=False)
    turn: asyncio.Future[None] = field(compare=False)


class Turns:
    """Lets the calls of one event loop begin, a few each time round.

    Were all calls of a burst to connect before the first is sent, the first would be as late as the
    last. This way they are sent, and the connections of those that were answered are free again,
    while others have yet to begin. Where many wait they begin in their order, but for hosts that
    have calls under way. Calls that stand aside have one turn in each round, and all that the
    others leave.
    """

    def __init__(self) -> None:
        self._left = BEGUN_AT_ONCE
        self._numbers = count()
        self._waiting: list[_Waiting] = []
        """A heap."""
        self._hosts: dict[str, _Host] = {}
        self._unheard: deque[_Host] = deque()
        """Those that calls stand aside of, the one first whose turn was the longest ago."""
        self._renewal: asyncio.Handle | None = None

    def turn(self, host: str) -> "Turn":
        """Enter when it is this call's turn, at once where few begin; leave when it has ended.

        Left without an exception, the host has answered.
        """
        return Turn(self, host)

    async def begin(self, name: str) -> None:
        """Wait for a turn; `end` has to follow, unless this is cancelled."""
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = _Host()
        before = host.under_way
        host.under_way += 1
        if self._renewal is None:
            self._renewal = asyncio.get_running_loop().call_soon(self._renew)
        number = next(self._numbers)
        if self._left > 0 and not host.is_full:
            self._left -= 1
            host.begun += 1
            return
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, _Waiting(number + PASSED_BY * before, number, host, turn))
        try:
            await turn
        except BaseException:
            if turn.cancelled():  # else it was given, and counts as begun
                host.begun += 1
            self.end(name, heard=False)
            raise

    def end(self, name: str, *, heard: bool) -> None:
        """Take note that a call which had begun has ended, and whether its host answered it."""
        host = self._hosts[name]
        host.under_way -= 1
        host.begun -= 1
        if heard and not host.is_heard:
            host.is_heard = True
            while host.aside:
                heapq.heappush(self._waiting, host.aside.popleft())
        if not host.under_way:
            del self._hosts[name]

    def _renew(self) -> None:
        self._left = BEGUN_AT_ONCE
        self._call_one_aside()
        while self._waiting and self._left > 0:
            waiting = heapq.heappop(self._waiting)
            if waiting.host.is_full:
                if not waiting.host.aside:
                    self._unheard.append(waiting.host)
                waiting.host.aside.append(waiting)
            else:
                self._give(waiting)
        while self._unheard and self._left > 0:
            self._call_one_aside()
        self._renewal = None
        if self._waiting or self._unheard:
            self._renewal = asyncio.get_running_loop().call_soon(self._renew)

    def _call_one_aside(self) -> None:
        """Give a turn to a call of the host that has waited longest, if any stands aside."""
        if not self._unheard:
            return
        host = self._unheard.popleft()
        if host.aside:  # else it was heard meanwhile
            self._give(host.aside.popleft())
        if host.aside:
            self._unheard.append(host)

    def _give(self, waiting: _Waiting) -> None:
        if not waiting.turn.done():  # else its call was closed
            waiting.turn.set_result(None)
            waiting.host.begun += 1
            self._left -= 1


class Turn:
    """One call's turn. Not a generator's context, which costs each call four times as much."""

    __slots__ = ("_host", "_turns")

    def __init__(self, turns: Turns, host: str) -> None:
        self._turns = turns
        self._host = host

    async def __aenter__(self) -> None:
        await self._turns.begin(self._host)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._turns.end(self._host, heard=kind is None)
