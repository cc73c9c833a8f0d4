"""What commands print: tables for people, JSON lines for programs, problems for either."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

WIDTH_OF_A_FILE = 10_000
"""Columns of an output that is no terminal: nothing is folded, so that `grep` finds whole lines."""

STYLES = {
    "succeeded": "green",
    "active": "green",
    "failed": "red",
    "timed_out": "red",
    "unknown": "red",
    "missed": "yellow",
    "retrying": "yellow",
    "paused": "yellow",
}
"""How a terminal shows the words that matter most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Writes for people or for programs, as the user asked."""

    as_json: bool

    def json(self, value: object) -> None:
        """Print a value as one line of JSON."""
        _write(sys.stdout, json.dumps(value, ensure_ascii=False))

    def say(self, line: str) -> None:
        """Print a line for people."""
        _write(sys.stdout, printable(line))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print rows under the names of their columns."""
        _print_table(columns, rows)

    def details(self, value: Mapping[str, Any]) -> None:
        """Print all that an object holds: `schedule.timezone  Europe/Berlin`, a line for each."""
        _print_table(None, flattened(value))

    def problem(self, problem: Mapping[str, Any]) -> None:
        """Print on standard error why the API refused."""
        if self.as_json:
            _write(sys.stderr, json.dumps(problem, ensure_ascii=False))
        else:
            for line in problem_lines(problem):
                complain(line)


def complain(line: str) -> None:
    """Print one line on standard error, under our name."""
    _write(sys.stderr, f"punctual: {printable(line)}")


def problem_lines(problem: Mapping[str, Any]) -> Iterable[str]:
    """Write a refusal: what is so, then a line for each field at fault.

    `Job cannot be used (422)` and, below, `schedule.cron: names no time that ever comes`.
    """
    detail = problem.get("detail")
    errors = problem.get("errors") or ()
    because = f": {detail}" if detail and not errors else ""
    yield f"{problem['title']} ({problem['status']}){because}"
    for error in errors:
        field = error["pointer"].strip("/").replace("/", ".")
        yield f"  {field}: {error['detail']}" if field else f"  {error['detail']}"


def flattened(value: object, name: str = "") -> Iterable[tuple[str, str]]:
    """Yield what a JSON value holds as dotted names and text, without what is null or empty."""
    match value:
        case None | []:
            return
        case dict():
            for key, part in value.items():
                yield from flattened(part, f"{name}.{key}" if name else key)
        case list() if any(isinstance(part, dict) for part in value):
            for number, part in enumerate(value, start=1):
                yield from flattened(part, f"{name}.{number}")
        case list():
            yield name, ", ".join(map(_text, value))
        case _:
            yield name, _text(value)


def printable(text: str) -> str:
    """Escape what could move a terminal's cursor: names and answers come from anywhere."""
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _write(out: TextIO, line: str) -> None:
    out.write(line + "\n")
    out.flush()


def _print_table(columns: Sequence[str] | None, rows: Iterable[Sequence[str]]) -> None:
    # Slow to import, and programs do without.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=columns is not None)
    for column in columns or ("", ""):
        table.add_column(column.upper(), overflow="fold", header_style="bold")
    for row in rows:
        # As text: what looks like rich's markup is somebody's name.
        table.add_row(*(Text(printable(cell), style=STYLES.get(cell, "")) for cell in row))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)
    console.print(table)
