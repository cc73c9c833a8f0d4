"""Targets that are opened for the first call."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from punctual.core.calls import Answer, Call
from punctual.ports import Clock, Targets


class OnFirstCall:
    """Fills `Targets` with others; for one thread.

    What HTTP needs takes longer to import than all else that an executor is made of, and nothing
    needs it before the first run has been started.
    """

    def __init__(self, open_targets: Callable[[], Targets], *, clock: Clock) -> None:
        """Take note of how the others are opened."""
        self._open_targets = open_targets
        self._clock = clock
        self._targets: Targets | None = None

    def launch(self, calls: Sequence[Call]) -> None:
        """See `Targets.launch`."""
        if self._targets is None:
            self._targets = self._open_targets()
        self._targets.launch(calls)

    def collect(self, *, wait: timedelta) -> Sequence[tuple[Call, Answer]]:
        """See `Targets.collect`; where nothing was ever launched, nothing comes in that time."""
        if self._targets is None:
            self._clock.sleep(wait)
            return ()
        return self._targets.collect(wait=wait)

    def abort(self, call: Call, *, leave: bool = False) -> None:
        """See `Targets.abort`."""
        assert self._targets is not None, "a call that is closed was launched"
        self._targets.abort(call, leave=leave)
