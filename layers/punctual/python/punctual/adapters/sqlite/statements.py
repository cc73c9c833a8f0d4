"""Statements about many rows at once.

Each step of a statement lets go of the interpreter's lock, and waits for it where other threads are
at work. So many rows go in as parameters of one statement, and many come out as one JSON text, not
in a step for each.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from typing import Any

Row = Sequence[Any]
"""A row as values: parameters on the way in, parsed JSON on the way out."""

ROWS_MAX = 512
"""Rows of one statement; more are dealt with in several."""


@dataclass(frozen=True, slots=True)
class ForRows:
    """A statement whose `{rows}` stands for a list of rows of `width` values.

    A row of nothing but NULL is no row: it only fills the list up to a length that is prepared
    already.
    """

    text: str
    width: int

    def portions(self, rows: Iterable[Row]) -> Iterator[tuple[str, list[Any], int]]:
        """Yield statements with their parameters, and how many rows each is about."""
        rest = iter(rows)
        while portion := list(islice(rest, ROWS_MAX)):
            length = _length(len(portion))
            parameters = list(chain.from_iterable(portion))
            parameters += [None] * ((length - len(portion)) * self.width)
            yield _filled(self, length), parameters, len(portion)


def _length(count: int) -> int:
    """Return the power of two that holds so many rows, so that few statements are prepared."""
    return 1 << (count - 1).bit_length()


@cache
def _filled(statement: ForRows, length: int) -> str:
    row = f"({', '.join('?' * statement.width)})"
    return statement.text.replace("{rows}", f"VALUES {', '.join([row] * length)}")
