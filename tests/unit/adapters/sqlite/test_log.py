"""The log: folded into the file beside the writers, and in their way only when it grew too long."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest

from punctual.adapters.sqlite import database as module
from punctual.adapters.sqlite.database import Database
from tests.unit.adapters.sqlite.notes import note, notes, until


def times_begun_anew(folder: Path) -> int:
    """Return how often the log was begun anew, as its header counts it."""
    header = (folder / "notes.db-wal").read_bytes()[:32]
    return int.from_bytes(header[12:16], "big")


def is_folded(folder: Path, text: str) -> bool:
    """Say whether a note is in the file itself, its log left aside."""
    return text.encode() in (folder / "notes.db").read_bytes()


def write_until_folded(database: Database, folder: Path, text: str) -> None:
    """Write note after note until one of them is in the file: the last ones stay in the log."""
    numbers = count()

    def is_there() -> bool:
        database.transact(note(database, f"another {next(numbers)}"))
        return is_folded(folder, text)

    until(is_there)


@pytest.mark.parametrize("threshold", ["COMMITS_PER_CHECKPOINT", "CHANGES_PER_CHECKPOINT"])
def test_the_log_is_folded_after_so_many_commits_or_changed_rows(
    monkeypatch: pytest.MonkeyPatch, file_database: Database, tmp_path: Path, threshold: str
) -> None:
    for each in ("COMMITS_PER_CHECKPOINT", "CHANGES_PER_CHECKPOINT"):
        monkeypatch.setattr(module, each, 10**9)
    page_of_its_own = "first " * 600
    for text in (page_of_its_own, *(f"note {number}" for number in range(100))):
        file_database.transact(note(file_database, text))
    assert not is_folded(tmp_path, page_of_its_own)

    monkeypatch.setattr(module, threshold, 20)

    write_until_folded(file_database, tmp_path, page_of_its_own)
    assert notes(file_database)[0] == page_of_its_own


class Outrun:
    """A connection whose first folding was whole when it began, and was outrun by the writers."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._is_first = True

    def execute(self, sql: str) -> sqlite3.Cursor:
        if self._is_first:
            self._is_first = False
            sql = "SELECT 0 AS busy, 50 AS pages, 50 AS folded"
        return self._connection.execute(sql)


@pytest.mark.parametrize("pages_max", [49, 50])
def test_a_log_that_grew_too_long_is_folded_while_the_writers_wait(
    monkeypatch: pytest.MonkeyPatch, file_database: Database, tmp_path: Path, pages_max: int
) -> None:
    """Folded whole with nobody writing, it is begun anew by the next one who writes."""
    monkeypatch.setattr(module, "LOG_PAGES_MAX", pages_max)
    file_database.transact(note(file_database, "before"))
    connection = file_database._connect(cache_kib=1024)

    file_database._checkpoint(cast("sqlite3.Connection", Outrun(connection)))
    file_database.transact(note(file_database, "after"))

    too_long = pages_max < 50
    assert is_folded(tmp_path, "before") == too_long
    assert times_begun_anew(tmp_path) == int(too_long)
    connection.close()


def test_writers_that_never_pause_do_not_make_the_log_grow_for_ever(
    monkeypatch: pytest.MonkeyPatch, file_database: Database, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "COMMITS_PER_CHECKPOINT", 20)
    monkeypatch.setattr(module, "LOG_PAGES_MAX", 100)
    stop = threading.Event()

    def write_on(writer: int) -> int:
        number = 0
        while not stop.is_set():
            file_database.transact(note(file_database, f"{writer} wrote {number}"))
            number += 1
        return number

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write_on, writer) for writer in range(4)]
        until(lambda: times_begun_anew(tmp_path) >= 3)
        stop.set()

    assert len(notes(file_database)) == sum(writer.result() for writer in writers)


def test_a_log_that_cannot_be_folded_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
    file_database: Database,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "COMMITS_PER_CHECKPOINT", 1)
    fold, broken = file_database._checkpoint, threading.Event()

    def fails_once(connection: Any) -> None:
        if not broken.is_set():
            broken.set()
            raise sqlite3.OperationalError("database or disk is full")
        fold(connection)

    monkeypatch.setattr(file_database, "_checkpoint", fails_once)
    page_of_its_own = "first " * 600
    file_database.transact(note(file_database, page_of_its_own))
    until(lambda: "cannot be folded" in caplog.text)

    write_until_folded(file_database, tmp_path, page_of_its_own)
