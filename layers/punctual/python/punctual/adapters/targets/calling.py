"""Calls go out side by side, from an event loop in a thread of its own."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import timedelta
from threading import Lock, Thread
from time import monotonic

from punctual.adapters.targets.caller import Caller, Carrier
from punctual.adapters.targets.mailbox import Mailbox
from punctual.core.calls import Answer, Call

try:
    from uvloop import new_event_loop
except ImportError:  # no dependency of the functions, which have ten calls at a time
    from asyncio import new_event_loop  # type: ignore[assignment]

END_MAX = 0.9
"""Seconds that the thread gets to end in."""

NewLoop = Callable[[], asyncio.AbstractEventLoop]

Answers = Mailbox[tuple[Call, Answer]]


class CallingThread:
    """Fills `Targets` for one kind of call; every method may be called from any thread.

    One serves a process for its life. Its thread, and what its carrier keeps, come with the first
    call.
    """

    def __init__(
        self,
        open_carrier: Callable[[], Carrier],
        *,
        answers: Answers | None = None,
        new_loop: NewLoop | None = None,
    ) -> None:
        """Take note of how to call.

        Args:
            open_carrier: Makes what carries the calls out; called on the loop.
            answers: Where answers go; None for a mailbox of its own.
            new_loop: Makes the event loop, whose clock must be the monotonic one; None for the
                fastest there is.
        """
        self._open_carrier = open_carrier
        self._answers: Answers = Mailbox() if answers is None else answers
        self._new_loop = new_event_loop if new_loop is None else new_loop
        self._thread = Thread(target=self._run, name="targets", daemon=True)
        self._lock = Lock()
        self._closed = False
        self._caller: Future[Caller] = Future()

    def launch(self, calls: Sequence[Call]) -> None:
        """See `Targets.launch`. The time of the calls begins here."""
        launched_at = monotonic()
        self._on_the_loop(lambda caller: caller.begin(calls, launched_at=launched_at))

    def collect(self, *, wait: timedelta) -> Sequence[tuple[Call, Answer]]:
        """See `Targets.collect`. Returns early, and perhaps nothing, once `wake` is called.

        Raises:
            RuntimeError: The thread has died; no answer will ever come.
        """
        return self._answers.take(wait=wait.total_seconds())

    def abort(self, call: Call, *, leave: bool = False) -> None:
        """See `Targets.abort`. A call that has ended is left as it is."""
        self._on_the_loop(lambda caller: caller.abort(call, leave=leave))

    def wake(self) -> None:
        """Make the `collect` that waits return at once, or else the next one."""
        self._answers.wake()

    def close(self) -> None:
        """Close every call and connection, and end the thread, within a second."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._thread.ident is not None and self._caller.exception() is None:
            with contextlib.suppress(RuntimeError):  # it has died
                self._post(lambda caller: caller.stop())
            self._thread.join(END_MAX)

    def _on_the_loop(self, work: Callable[[Caller], None]) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError("nothing can be called any more: the targets are closed")
            if self._thread.ident is None:
                self._thread.start()
        self._post(work)

    def _post(self, work: Callable[[Caller], None]) -> None:
        caller = self._caller.result()
        caller.loop.call_soon_threadsafe(work, caller)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=self._new_loop) as runner:
                runner.run(self._work())
        except BaseException as fault:  # noqa: BLE001 - raised where the answers are waited for
            if not self._caller.done():
                self._caller.set_exception(fault)
            self._answers.fail(fault)

    async def _work(self) -> None:
        caller = Caller(self._open_carrier(), hand_on=self._answers.put)
        self._caller.set_result(caller)
        await caller.work()
