"""A box that one thread fills and another empties, waiting for the first thing in it."""

from collections.abc import Iterable
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Hands things from thread to thread; every method may be called from any."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._things: list[T] = []
        self._woken = False
        self._fault: BaseException | None = None

    def put(self, things: Iterable[T]) -> None:
        """Add `things`, in their order."""
        with self._changed:
            self._things += things
            self._changed.notify_all()

    def wake(self) -> None:
        """Make the `take` that waits return, or else the next one, with what is there."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def fail(self, fault: BaseException) -> None:
        """Say that nothing will be put in any more, since who fills the box has died of `fault`."""
        with self._changed:
            self._fault = fault
            self._changed.notify_all()

    def take(self, *, wait: float) -> list[T]:
        """Return everything that is there; wait up to so many seconds for the first thing.

        Raises:
            RuntimeError: Nothing is there, and nothing ever will be.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._things or self._woken or self._fault, wait)
            if self._fault is not None and not self._things:
                raise RuntimeError("the thread that calls targets has died") from self._fault
            taken, self._things = self._things, []
            self._woken = False
            return taken
