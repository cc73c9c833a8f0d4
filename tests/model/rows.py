"""Rows and jobs of a model: the real ones, moved by the real functions, each known by a number.

A state of a model is a tuple of small numbers, so that millions of them can be told apart quickly.
Behind each number stands what the production code works with, and what a move makes of a row is
asked of `core.runs` itself, once for each row and move. What only history needs is left out of
rows, so that the same situation is the same row.
"""

from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import cache
from typing import Generic, TypeVar

from punctual.core.runs import Move, Run, after, permits

T = TypeVar("T", bound=Hashable)

NO_ROW = 0


class Numbered(Generic[T]):
    """Things by number, from 0; equal things have one number."""

    def __init__(self, *things: T) -> None:
        self._things = list(things)
        self._numbers = {thing: number for number, thing in enumerate(things)}

    def number(self, thing: T) -> int:
        """Return the thing's number, a new one for a new thing."""
        number = self._numbers.get(thing)
        if number is None:
            number = self._numbers[thing] = len(self._things)
            self._things.append(thing)
        return number

    def __getitem__(self, number: int) -> T:
        return self._things[number]


class Rows:
    """Every row that was met; number 0 is the row that is not there."""

    def __init__(self, *, permits: Callable[[Move, Run], bool] = permits) -> None:
        """Use other conditions than the real ones, to see what breaks."""
        self._rows: Numbered[Run | None] = Numbered(None)
        self._permits = permits
        self.moved = cache(self._moved)

    def __getitem__(self, number: int) -> Run | None:
        return self._rows[number]

    def number(self, run: Run | None) -> int:
        """Return the number of a row as the model keeps it."""
        if run is not None:
            run = replace(run, starts=(), marks=(), failures=(), result=None, error=None)
        return self._rows.number(run)

    def _moved(self, row: int, move: Move) -> int | None:
        """Return the row that a move leaves, or None when its condition refuses it."""
        run = self._rows[row]
        if run is None or not self._permits(move, run):
            return None
        return self.number(after(move, run))
