"""One event loop with virtual time, and code that runs in it as if it had a thread of its own.

Whatever waits (for an answer, or asleep) is a greenlet that has switched to the loop, so production
code runs unchanged, and nothing runs beside anything else: the order of events is the order of the
heap, and equal seeds give equal histories.
"""

import heapq
from collections.abc import Callable
from typing import Any, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

T = TypeVar("T")

Wake = Callable[[Callable[[], Any]], None]
"""Ends a wait: what the function it is given returns or raises is what the wait comes to."""


class Loop:
    """A heap of what happens when. Time is in whole milliseconds since 1970."""

    def __init__(self, *, now: int) -> None:
        self.now = now
        self.running: Strand | None = None
        """The strand that runs, None while the loop itself does."""
        self._heap: list[tuple[int, int, Callable[[], object]]] = []
        self._scheduled = 0
        self._hub = getcurrent()

    def at(self, when: int, what: Callable[[], object]) -> None:
        """Have something happen at an instant; of two at the same instant the first one asked."""
        self._scheduled += 1
        heapq.heappush(self._heap, (max(when, self.now), self._scheduled, what))

    def after(self, delay: int, what: Callable[[], object]) -> None:
        """Have something happen in a while."""
        self.at(self.now + delay, what)

    @property
    def next_at(self) -> int | None:
        """When the next thing happens."""
        return self._heap[0][0] if self._heap else None

    def step(self) -> None:
        """Let the next thing happen."""
        self.now, _, what = heapq.heappop(self._heap)
        what()

    def start(self, work: Callable[[], None]) -> "Strand":
        """Make a strand of work, and run it until it waits."""
        strand = Strand(self, work)
        strand.resume(lambda: None)
        return strand


class Strand:
    """One line of execution, at any time either running or waiting."""

    def __init__(self, loop: Loop, work: Callable[[], None]) -> None:
        def run(_: Callable[[], Any]) -> None:
            work()

        self._loop = loop
        self._greenlet = greenlet(run, parent=loop._hub)
        self._waits = 0
        self.killed = False
        self.owner: Any = None
        """Who runs here."""

    @property
    def over(self) -> bool:
        """Whether the work has ended or was killed."""
        return self.killed or bool(self._greenlet.dead)

    def wait(self, arrange: Callable[[Wake], None]) -> Any:
        """Wait until somebody calls what `arrange` is given, and do as it says.

        Only the first call of what `arrange` is given does anything.
        """
        if self.killed:
            raise GreenletExit
        self._waits += 1
        number = self._waits

        def wake(answer: Callable[[], Any]) -> None:
            if self._waits == number:
                self.resume(answer)

        arrange(wake)
        return self._loop._hub.switch()()

    def sleep(self, milliseconds: int) -> None:
        """Wait for a while."""
        when = self._loop.now + milliseconds
        self.wait(lambda wake: self._loop.at(when, lambda: wake(lambda: None)))

    def resume(self, answer: Callable[[], Any]) -> None:
        """Let the strand go on until it waits again; the loop calls this."""
        if not self.over:
            self._waits += 1
            self._switch_to(lambda: self._greenlet.switch(answer))

    def kill(self) -> None:
        """Stop the strand where it waits; nothing that it does from here on has any effect."""
        if not self.over:
            self.killed = True
            if self._greenlet:  # it has begun
                self._switch_to(lambda: self._greenlet.throw(GreenletExit))

    def _switch_to(self, switch: Callable[[], Any]) -> None:
        assert self._loop.running is None, "strands are switched to from the loop"
        self._loop.running = self
        try:
            switch()
        finally:
            self._loop.running = None
