"""Ports that fail where a test says so: the process dies at a call, or a part of it fails."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar

from punctual.core.errors import StoreUnavailable
from punctual.core.runs import Move
from punctual.ports import Moved
from tests.support.clock import FakeClock

P = TypeVar("P")


class Died(BaseException):
    """The process was killed; nothing in it may catch this."""


@dataclass(kw_only=True)
class Calls:
    """Counts the calls of every port that shares it, and kills the process at one of them."""

    dies_at: int = 0
    """Number of the call, from 1; 0 for none."""
    dies_after: bool = False
    """Whether the call is carried out first."""
    made: list[str] = field(default_factory=list)
    """Names of the calls so far, such as `runs.insert`."""
    is_counting: bool = True

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Let calls be made that no death is asked of: what happens before the story begins."""
        self.is_counting = False
        yield
        self.is_counting = True


def counted(port: P, name: str, calls: Calls) -> P:
    """Return `port` with each of its calls counted."""
    return _Counted(port, name, calls)  # type: ignore[return-value]


class _Counted:
    def __init__(self, port: object, name: str, calls: Calls) -> None:
        self._port = port
        self._name = name
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._port, name)
        if not callable(attribute):
            return attribute

        def call(*arguments: Any, **keywords: Any) -> Any:
            if not self._calls.is_counting:
                return attribute(*arguments, **keywords)
            self._calls.made.append(f"{self._name}.{name}")
            is_fatal = len(self._calls.made) == self._calls.dies_at
            if is_fatal and not self._calls.dies_after:
                raise Died(f"before {self._calls.made[-1]}")
            result = attribute(*arguments, **keywords)
            if is_fatal:
                raise Died(f"after {self._calls.made[-1]}")
            return result

        return call


def every_death(story: Callable[[Calls], None]) -> Iterator[str]:
    """Tell a story once for each call in it, with the process killed before it and after it.

    `story` is told by someone who survives: it lets the process die and starts another. Yields
    where the process died, once the story is over; ends with the first that nobody dies in.
    """
    for dies_after in (False, True):
        for number in count(1):
            calls = Calls(dies_at=number, dies_after=dies_after)
            story(calls)
            if len(calls.made) < number:
                break
            yield f"{'after' if dies_after else 'before'} {number}: {calls.made[number - 1]}"


class Flaky:
    """A port of which some calls fail: each entry of `fails` names a method and says how.

    A method that answers for each of a batch fails the entries whose number the set holds; one that
    raises does so as often as the number says.
    """

    def __init__(self, port: Any, **fails: Any) -> None:
        self._port = port
        self._fails = fails

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._port, name)
        how = self._fails.get(name)
        if how is None or how == 0:
            return attribute
        if isinstance(how, int):

            def raises(*arguments: Any, **keywords: Any) -> Any:
                self._fails[name] -= 1
                raise StoreUnavailable("there was no answer")

            return raises

        def fails_partly(entries: Sequence[Any], **keywords: Any) -> Sequence[bool]:
            good = [entry for number, entry in enumerate(entries) if number not in how]
            answers = iter(attribute(good, **keywords))
            return [number not in how and next(answers) for number in range(len(entries))]

        return fails_partly


class UnansweredMoves:
    """A run store that gives no answer to some moves, whether it carries them out or not."""

    def __init__(self, runs: Any, *, clock: FakeClock) -> None:
        self._runs = runs
        self._clock = clock
        self.unanswered: list[bool] = []
        """For each of the coming calls that gets no answer, whether it is carried out."""
        self.only: type[object] = object
        """The kind of move this is about."""
        self.patience = timedelta(0)
        """How long a call without an answer takes."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runs, name)

    def move(self, moves: Sequence[Move]) -> Sequence[Moved]:
        """See `RunStore.move`."""
        if not self.unanswered or not any(isinstance(move, self.only) for move in moves):
            answered: Sequence[Moved] = self._runs.move(moves)
            return answered
        if self.unanswered.pop(0):
            self._runs.move(moves)
        self._clock.advance(self.patience)
        return [Moved(applied=False, run=None, failed=True) for _ in moves]
