"""Every reachable state of a model, breadth first: is none wrong, and can each still settle?

A model is a start, the steps that are possible in a state, a verdict on each state, and whether a
state is settled: nothing is going on any more. Some steps are faults or users' doings; nothing
relies on their happening. From every state that can be reached, faults included, a settled one must
be reachable by the other steps alone: else work is lost, however patient everybody is.
"""

from array import array
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

S = TypeVar("S", bound=Hashable)

STATES_MAX = 4_000_000
"""A model that is larger was meant to be smaller."""


class Model(Protocol[S]):
    """What is explored."""

    @property
    def start(self) -> S:
        """Where it begins."""
        ...

    def steps(self, state: S) -> Iterable[tuple[str, S]]:
        """Yield what may happen next; names of faults and of users' doings begin with `!`."""
        ...

    def wrong(self, state: S) -> str | None:
        """Say which promise a state breaks, or None."""
        ...

    def settled(self, state: S) -> bool:
        """Say whether nothing is going on any more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an exploration found."""

    states: int
    """How many were seen: all, if nothing is wrong."""
    wrong: str | None = None
    """The promise that is broken, in the shortest history that breaks it."""
    story: tuple[str, ...] = ()
    """That history, step by step."""

    def __str__(self) -> str:
        if self.wrong is None:
            return f"holds in all of {self.states} states"
        return f"{self.wrong}, after {len(self.story)} steps:\n  " + "\n  ".join(self.story)


def explore(model: Model[S]) -> Verdict:
    """Visit every state that can be reached, and stop at the first one that is wrong."""
    found = _Found(model.start)
    for number, state in enumerate(found.states):  # grows while it is walked through
        wrong = model.wrong(state)
        if wrong is not None:
            return found.verdict(wrong, at=number)
        if model.settled(state):
            found.settled.append(number)
        for name, following in model.steps(state):
            found.add(name, following, after=number)
        assert len(found.states) <= STATES_MAX, "the model has more states than can be explored"
    stuck = found.stuck()
    if stuck is not None:
        return found.verdict("stuck: nothing that must happen leads to an outcome", at=stuck)
    return Verdict(states=len(found.states))


class _Found(Generic[S]):
    """The states seen, how each was reached first, and the steps that do not rely on a fault."""

    def __init__(self, start: S) -> None:
        self.states = [start]
        self.settled: list[int] = []
        self._numbers = {start: 0}
        self._reached_from = array("i", [-1])
        self._reached_by = [""]
        self._fair_from = array("i")
        self._fair_to = array("i")

    def add(self, name: str, state: S, *, after: int) -> None:
        number = self._numbers.get(state)
        if number is None:
            number = self._numbers[state] = len(self.states)
            self.states.append(state)
            self._reached_from.append(after)
            self._reached_by.append(name)
        if not name.startswith("!"):
            self._fair_from.append(after)
            self._fair_to.append(number)

    def verdict(self, wrong: str, *, at: int) -> Verdict:
        story: list[str] = []
        while self._reached_from[at] >= 0:
            story.append(self._reached_by[at])
            at = self._reached_from[at]
        return Verdict(states=len(self.states), wrong=wrong, story=tuple(reversed(story)))

    def stuck(self) -> int | None:
        """Return a state from which fair steps never lead to a settled one; walks them back."""
        first = array("i", [0]) * (len(self.states) + 1)
        for to in self._fair_to:
            first[to + 1] += 1
        for number in range(len(self.states)):
            first[number + 1] += first[number]
        place = array("i", first)
        before = array("i", [0]) * len(self._fair_from)
        for came, to in zip(self._fair_from, self._fair_to, strict=True):
            before[place[to]] = came
            place[to] += 1
        can_settle = bytearray(len(self.states))
        waiting = list(self.settled)
        for number in waiting:
            can_settle[number] = 1
        while waiting:
            number = waiting.pop()
            for earlier in before[first[number] : first[number + 1]]:
                if not can_settle[earlier]:
                    can_settle[earlier] = 1
                    waiting.append(earlier)
        stuck = can_settle.find(0)
        return None if stuck < 0 else stuck
