"""What the code takes from `threading`, over the strands of one loop.

So the database's own turn-taking, its shared commits included, runs in an order that a seed decides
and that can be had again. Wherever a thread might be held up, the strand that runs may be: before
it takes a lock, after it let one go, before it waits.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.simulation.loop import Loop, Strand, Wake


class Threads:
    """Stands in for the module `threading` in one process."""

    def __init__(self, loop: Loop, *, held_up: Callable[[int], int | None]) -> None:
        """Take turns.

        Args:
            loop: Whose strands are the threads; what runs outside of them is the main thread.
            held_up: For how many milliseconds the one is held up that asks now; 0 if others are
                only to go on first, None if it goes straight on.
        """
        self._loop = loop
        self._held_up = held_up
        self.is_over = False
        """Whether the process is dead: who buries it waits for nobody."""

    def get_ident(self) -> int:
        """See `threading.get_ident`."""
        return id(self._loop.running)

    def give_way(self) -> None:
        """Let others go on first, if it so happens; as often as it does."""
        strand = self._loop.running
        while strand is not None and (pause := self._held_up(self._loop.now)) is not None:
            strand.sleep(pause)

    def is_buried(self) -> bool:
        """Say whether all that goes on is that a dead process is cleared away."""
        return self.is_over and self._loop.running is None

    def Lock(self) -> "_Lock":  # noqa: N802 - as it is called there
        """See `threading.Lock`."""
        return _Lock(self, self._loop)

    def Event(self) -> "_Event":  # noqa: N802 - likewise
        """See `threading.Event`."""
        return _Event(self, self._loop)

    def Thread(self, **_: object) -> "_Thread":  # noqa: N802 - likewise
        """Return a thread that never comes to run: what it would do is done by the story."""
        return _Thread()

    def local(self) -> "_Local":
        """See `threading.local`."""
        return _Local(self._loop)


class _Waiting:
    """Strands that wait for something to change."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._wakes: list[Wake] = []

    def wait(self) -> None:
        strand = self._loop.running
        assert strand is not None, "nobody can go on: the main thread waits for itself"
        strand.wait(self._wakes.append)

    def wake_all(self) -> None:
        wakes, self._wakes = self._wakes, []
        for wake in wakes:
            self._loop.after(0, partial(wake, lambda: None))


class _Lock:
    def __init__(self, threads: Threads, loop: Loop) -> None:
        self._threads = threads
        self._waiting = _Waiting(loop)
        self._held = False

    def acquire(self) -> bool:
        self._threads.give_way()
        while self._held and not self._threads.is_buried():
            self._waiting.wait()
        self._held = True
        return True

    def release(self) -> None:
        assert self._held, "a lock is let go by who has it"
        self._held = False
        self._waiting.wake_all()
        self._threads.give_way()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class _Event:
    def __init__(self, threads: Threads, loop: Loop) -> None:
        self._threads = threads
        self._waiting = _Waiting(loop)
        self._is_set = False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        self._waiting.wake_all()

    def clear(self) -> None:
        self._is_set = False

    def wait(self) -> bool:
        self._threads.give_way()
        while not self._is_set:
            self._waiting.wait()
        return True


class _Thread:
    def start(self) -> None:
        """Never run."""

    def join(self) -> None:
        """End at once."""


class _Local:
    """Attributes that each strand has for itself."""

    def __init__(self, loop: Loop) -> None:
        self.__dict__["_loop"] = loop
        self.__dict__["_of_strands"] = {}

    def __getattr__(self, name: str) -> Any:
        try:
            return self._mine()[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: object) -> None:
        self._mine()[name] = value

    def _mine(self) -> dict[str, Any]:
        strand: Strand | None = self.__dict__["_loop"].running
        mine: dict[str, Any] = self.__dict__["_of_strands"].setdefault(strand, {})
        return mine
