"""The target of a drill: it notes when each call came and how it ended, and answers by dice."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from random import Random

from tests.support.sinks import Behaviour, Peer, Request, answer

FAILS = 0.05
"""Share of the calls that are answered with 503, so that runs also have attempts of their own."""


@dataclass(kw_only=True)
class Call:
    """One call, as its target saw it."""

    number: int
    """From 1 in the order of arrival; it is the body of the answer, and so tells whose result a
    run has."""
    keys: frozenset[str]
    """What the headers say that the run is called; one name, if all is well."""
    job_id: str
    slot: datetime
    attempt: int
    arrived: datetime
    ended: datetime | None = None
    """When it was answered, or the caller went away."""
    cut: bool = False
    """Whether the caller went away before the answer."""

    @classmethod
    def of(cls, request: Request, *, number: int) -> "Call":
        """Read a request."""
        names = ("Idempotency-Key", "Punctual-Run-Id", "webhook-id")
        return cls(
            number=number,
            keys=frozenset(request.header(name) for name in names),
            job_id=request.header("Punctual-Job-Id"),
            slot=datetime.fromisoformat(request.header("Punctual-Scheduled-At")),
            attempt=int(request.header("Punctual-Attempt")),
            arrived=request.at,
        )


class Target:
    """Answers a little later, mostly well; `act` is what a sink does with each request."""

    def __init__(self, dice: Random, *, slowest: float) -> None:
        """Answer within so many seconds."""
        self.calls: list[Call] = []
        self._dice = dice
        self._slowest = slowest
        self._numbers = count(1)

    async def act(self, request: Request, peer: Peer) -> None:
        """See `Behaviour`."""
        call = Call.of(request, number=next(self._numbers))
        self.calls.append(call)
        delay, then = self._dice.uniform(0, self._slowest), self._answer(call)
        try:
            await asyncio.wait_for(peer.gone(), delay)
        except TimeoutError:
            call.ended = datetime.now(UTC)
            await then(request, peer)
        except OSError:
            self._cut(call)
            raise
        else:
            self._cut(call)
            peer.close()

    def _answer(self, call: Call) -> Behaviour:
        status = 503 if self._dice.random() < FAILS else 200
        return answer(status, str(call.number).encode())

    def _cut(self, call: Call) -> None:
        call.cut, call.ended = True, datetime.now(UTC)
