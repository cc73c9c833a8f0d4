"""Bodies that are too long for the record of their run go where long ones are kept."""

import asyncio
from dataclasses import replace
from functools import partial

from punctual.adapters.targets.aside import aside
from punctual.core.calls import BODY_KEPT_MAX, Answer
from punctual.ports import Results

PUTS_MAX = 8
"""Bodies put away at once, each in a thread; others wait in their own time."""

TIME_MIN, TIME_MAX = 1.0, 5.0
"""Seconds that putting one away may take: what is left of its call, within these. An executor
outlives its longest call by two seconds."""


class Keeper:
    """Puts the bodies of one event loop's answers away."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._room = asyncio.Semaphore(PUTS_MAX)

    async def kept(self, answer: Answer, *, deadline: float) -> Answer:
        """Return the answer with as much of its body as goes with its run.

        What cannot be put away is cut off, and the answer says so: nothing that goes wrong here
        changes what the call came to, nor does being told to stop.

        Args:
            answer: Its body is as long as it came, up to `BODY_READ_MAX`.
            deadline: When the call's time is over, on the clock of the loop.
        """
        if len(answer.body) <= BODY_KEPT_MAX:
            return answer
        stored = None if answer.error is not None else await self._put(answer.body, deadline)
        return replace(
            answer,
            body=answer.body[:BODY_KEPT_MAX],
            stored=stored,
            truncated=answer.truncated or stored is None,
        )

    async def _put(self, body: bytes, deadline: float) -> str | None:
        left = deadline - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(min(max(left, TIME_MIN), TIME_MAX)), self._room:
                return await aside(partial(self._results.put, body), name="result")
        except (Exception, asyncio.CancelledError):  # noqa: BLE001 - the answer counts all the same
            return None
