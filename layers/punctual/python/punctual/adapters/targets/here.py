"""Calls go out side by side from the thread that starts their runs, while it waits for answers.

On one machine one interpreter does all the work, so a thread for the network is no second pair of
hands: the two only take the interpreter from each other, at every look at the network.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING

from punctual.adapters.targets.aws.carrier import AwsCarrier
from punctual.adapters.targets.aws.clients import Clients
from punctual.adapters.targets.caller import Caller, Carrier
from punctual.adapters.targets.calling import NewLoop
from punctual.adapters.targets.http_carrier import HttpCarrier
from punctual.adapters.targets.lookups import addresses_of
from punctual.core.aws_calls import AwsCall
from punctual.core.calls import Answer, Call, HttpCall
from punctual.ports import Clock, Results, Secrets

if TYPE_CHECKING:
    import asyncio

try:
    from uvloop import new_event_loop
except ImportError:  # an extra, which is not there for every platform
    from asyncio import new_event_loop  # type: ignore[assignment]

SLICE = 0.005
"""Seconds that the network gets where more runs are due than were started, if nothing ends before.
Four times as much was tried, and neither cost nor gained a burst anything measurable."""

TIMER_TICK = 0.001
"""What the timers of the faster loop count in, in seconds; shorter waits are slept through."""

GATHERING = 0.002
"""Seconds in which other calls that are going on may end with the first one, to be written down in
one commit with it."""


def targets_here(
    *, external_id: str, secrets: Secrets, results: Results, clock: Clock
) -> "TargetsHere":
    """Return what carries out calls of every kind, to private addresses too.

    Args:
        external_id: See `Clients`.
        secrets: See `HttpTargets`.
        results: Where bodies go that are too long for the record of their run.
        clock: See `HttpTargets`.
    """
    return TargetsHere(
        {
            HttpCall: partial(
                HttpCarrier,
                allow_private=True,
                secrets=secrets,
                results=results,
                clock=clock,
                tls=None,
                look_up=addresses_of,
            ),
            AwsCall: partial(AwsCarrier, clients=Clients(external_id=external_id), results=results),
        }
    )


class TargetsHere:
    """Fills `Targets` on one thread: what it launched is carried out while it collects.

    `wake` may be called from any thread, `close` once the others are called no more.
    """

    def __init__(
        self,
        carriers: Mapping[type[Call], Callable[[], Carrier]],
        *,
        new_loop: NewLoop = new_event_loop,
    ) -> None:
        """Take note of how to call.

        Args:
            carriers: Make what carries out each kind of call; called on the loop, when the first
                call of the kind is launched.
            new_loop: Makes the event loop, whose clock must be the monotonic one.
        """
        self._carriers = carriers
        self._loop = new_loop()
        self._callers: dict[type[Call], Caller] = {}
        self._going_on = 0
        self._ended: list[tuple[Call, Answer]] = []
        self._gathering: asyncio.Handle | None = None
        self._is_collecting = False
        self._woken = False

    def launch(self, calls: Sequence[Call]) -> None:
        """See `Targets.launch`. The time of the calls begins here."""
        launched_at = monotonic()
        self._going_on += len(calls)
        kinds: dict[type[Call], list[Call]] = {}
        for call in calls:
            kinds.setdefault(type(call), []).append(call)
        for kind, of_this_kind in kinds.items():
            self._caller(kind).begin(of_this_kind, launched_at=launched_at)

    def collect(self, *, wait: timedelta) -> Sequence[tuple[Call, Answer]]:
        """See `Targets.collect`. Returns early, and perhaps nothing, once `wake` is called."""
        seconds = wait.total_seconds() or SLICE
        if self._woken or self._ended:
            seconds = 0
        is_nap = 0 < seconds < TIMER_TICK
        end = self._loop.call_later(0 if is_nap else seconds, self._loop.stop)
        self._is_collecting = True
        try:
            self._loop.run_forever()
        finally:
            self._is_collecting = self._woken = False
            for handle in (end, self._gathering):
                if handle is not None:
                    handle.cancel()
        if is_nap and not self._ended:
            sleep(seconds)
        ended, self._ended = self._ended, []
        return ended

    def abort(self, call: Call, *, leave: bool = False) -> None:
        """See `Targets.abort`. A call that has ended is left as it is."""
        self._caller(type(call)).abort(call, leave=leave)

    def wake(self) -> None:
        """Make the `collect` that waits return at once, or else the next one."""
        with contextlib.suppress(RuntimeError):  # closed: there is none
            self._loop.call_soon_threadsafe(self._stop_waiting)

    def close(self) -> None:
        """Close every call and connection, of each kind within a second."""
        for caller in self._callers.values():
            caller.stop()
            self._loop.run_until_complete(caller.work())
        self._loop.close()

    def _stop_waiting(self) -> None:
        self._woken = True
        if self._is_collecting:  # else the loop runs for another reason, and the next one returns
            self._loop.stop()

    def _caller(self, kind: type[Call]) -> Caller:
        if kind not in self._callers:
            self._callers[kind] = self._loop.run_until_complete(self._open(self._carriers[kind]))
        return self._callers[kind]

    async def _open(self, open_carrier: Callable[[], Carrier]) -> Caller:
        return Caller(open_carrier(), hand_on=self._take)

    def _take(self, ended: Sequence[tuple[Call, Answer]]) -> None:
        """Take answers in, and stop the loop once others had a moment to come with the first."""
        self._going_on -= len(ended)
        if not self._ended and self._is_collecting:
            moment = GATHERING if self._going_on else 0
            self._gathering = self._loop.call_later(moment, self._loop.stop)
        self._ended += ended
