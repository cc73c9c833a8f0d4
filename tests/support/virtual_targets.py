"""Targets whose calls take time, but none of ours: waiting moves the clock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from punctual.core.calls import Answer, Call, CallError, ErrorType, HttpCall
from tests.support.clock import FakeClock

OK = Answer(status_code=200, content_type="text/plain", body=b"ok", body_bytes=2)
BUSY = Answer(status_code=503)
ABORTED = Answer(error=CallError(type=ErrorType.ABORTED, message="closed"))
HOST_DOWN = Answer(
    error=CallError(type=ErrorType.HOST_DOWN, message="example.com takes no connections"),
    again_in=timedelta(seconds=20),
)
TIMED_OUT = Answer(error=CallError(type=ErrorType.TIMEOUT, message="no answer in time"))

QUICK = timedelta(milliseconds=100)

Manner = Callable[[Call], tuple[Answer, timedelta]]
"""What a call is answered, and after how long."""


def quickly(_: Call) -> tuple[Answer, timedelta]:
    """Answer with 200, after a tenth of a second."""
    return OK, QUICK


@dataclass(slots=True, kw_only=True)
class _Open:
    call: Call
    answer: Answer
    ends: datetime


class VirtualTargets:
    """Fills `Targets`, each call as `manner` says.

    A call that would take longer than it may is cut off, as by every adapter.
    """

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._open: list[_Open] = []
        self.manner: Manner = quickly
        self.calls: list[tuple[datetime, Call]] = []
        """Every call that was launched, and when."""
        self.aborted: list[Call] = []
        self.left: list[Call] = []
        """Those aborted ones that were to leave what they had begun."""
        self._attempts: dict[str, int] = {}
        """Of each run the number of the newest attempt that was seen."""

    def launch(self, calls: Sequence[Call]) -> None:
        """See `Targets.launch`."""
        now = self._clock.now()
        for call in calls:
            assert call.attempt > self._attempts.get(call.run_id, 0), "attempt numbers only grow"
            answer, takes = self.manner(call)
            if answer.again_in is None:  # else nothing was sent
                self._attempts[call.run_id] = call.attempt
            if takes > call.timeout:
                answer, takes = TIMED_OUT, call.timeout
            self.calls.append((now, call))
            self._open.append(_Open(call=call, answer=answer, ends=now + takes))

    def collect(self, *, wait: timedelta) -> Sequence[tuple[Call, Answer]]:
        """See `Targets.collect`; moves the clock to the first end, or by `wait`."""
        until = self._clock.now() + max(wait, timedelta(0))
        first = min((going_on.ends for going_on in self._open), default=until)
        self._clock.set(max(min(first, until), self._clock.now()))
        over = [going_on for going_on in self._open if going_on.ends <= self._clock.now()]
        self._open = [going_on for going_on in self._open if going_on not in over]
        return [(going_on.call, going_on.answer) for going_on in over]

    def abort(self, call: Call, *, leave: bool = False) -> None:
        """See `Targets.abort`."""
        self.aborted.append(call)
        if leave:
            self.left.append(call)
        for going_on in self._open:
            if going_on.call is call and going_on.ends > self._clock.now():
                going_on.answer, going_on.ends = ABORTED, self._clock.now()

    def drop(self) -> None:
        """Forget what is going on: the process that waited for it is dead."""
        self._open.clear()

    @property
    def urls(self) -> list[str]:
        """Return the URL of every HTTP call, in order."""
        return [call.url for _, call in self.calls if isinstance(call, HttpCall)]

    @property
    def runs(self) -> list[str]:
        """Return the id of the run of every call, in order."""
        return [call.run_id for _, call in self.calls]
