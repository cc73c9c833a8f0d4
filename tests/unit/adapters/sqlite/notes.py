"""A table of notes, and works of many threads that are brought to meet in one transaction."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from punctual.adapters.sqlite.database import Database

PATIENCE = 30
"""Seconds after which a test gives up on what takes an instant."""


def make_notes(database: Database) -> None:
    """Make the table; a note may ask for another one, which is looked for at the commit."""
    database._writer.execute("PRAGMA foreign_keys = ON")

    def work() -> None:
        database.execute(
            "CREATE TABLE notes (text TEXT UNIQUE,"
            " asks_for TEXT REFERENCES notes (text) DEFERRABLE INITIALLY DEFERRED)"
        )

    database.transact(work)


def note(database: Database, text: str, asks_for: str | None = None) -> Callable[[], str]:
    """Return a work that writes a note and returns its text."""

    def work() -> str:
        database.execute("INSERT INTO notes VALUES (?, ?)", (text, asks_for))
        return text

    return work


def notes(database: Database) -> list[str]:
    """Return the texts of the notes, in the order written."""
    rows = database.select(
        "SELECT json_group_array(json_array(text)) FROM (SELECT text FROM notes ORDER BY rowid)"
    )
    return [text for (text,) in rows]


def statements(database: Database) -> list[str]:
    """Have the writer's statements noted down from now on in the list that is returned."""
    noted: list[str] = []
    database._writer.set_trace_callback(noted.append)
    return noted


def all_in_one(database: Database, works: Sequence[Callable[[], Any]]) -> list["Future[Any]"]:
    """Have works of as many threads meet in one transaction, in their order; return their ends.

    Each one begins when the next one waits for its turn.
    """
    ends: list[Future[Any]] = []
    with ThreadPoolExecutor(len(works)) as pool:

        def submit(number: int) -> None:
            ends.append(pool.submit(database.transact, lambda: run(number)))

        def run(number: int) -> Any:
            if number + 1 < len(works):
                submit(number + 1)
                until(lambda: database._coming == 1)
            return works[number]()

        submit(0)
        until(lambda: len(ends) == len(works))
    return ends


def until(holds: Callable[[], bool]) -> None:
    """Return once it holds; what is waited for tells nobody."""
    give_up_at = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < give_up_at, "it does not come about"
        time.sleep(0.001)
