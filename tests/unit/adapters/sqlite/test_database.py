"""Transactions: commits that are shared, works taken back alone, faults that everyone hears of."""

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from punctual.adapters.sqlite.database import Database
from punctual.core.errors import StoreUnavailable
from tests.unit.adapters.sqlite.notes import (
    PATIENCE,
    all_in_one,
    note,
    notes,
    statements,
    until,
)


def test_those_who_wait_for_the_disk_share_one_commit(database: Database) -> None:
    noted = statements(database)
    texts = [f"note {number}" for number in range(16)]

    ends = all_in_one(database, [note(database, text) for text in texts])

    assert [end.result() for end in ends] == notes(database) == texts
    assert noted.count("COMMIT") == noted.count("BEGIN IMMEDIATE") == 1


def test_a_thread_that_writes_all_the_time_lets_others_have_their_turn(database: Database) -> None:
    """Whoever had a turn waits for the commit that the next one makes."""
    stop = threading.Event()

    def write_on() -> int:
        count = 0
        while not stop.is_set():
            database.transact(note(database, f"busy {count}"))
            count += 1
        return count

    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(write_on)
        for number in range(50):
            database.transact(note(database, f"patient {number}"))
        stop.set()

        assert busy.result() < 5_000
    assert sum(text.startswith("patient") for text in notes(database)) == 50


def test_a_work_that_raises_takes_back_its_own_writes_only(database: Database) -> None:
    def fails() -> None:
        note(database, "taken back")()
        raise LookupError("of its own")

    ends = all_in_one(database, [note(database, "before"), fails, note(database, "after")])

    assert isinstance(ends[1].exception(), LookupError)
    assert [ends[0].result(), ends[2].result()] == notes(database) == ["before", "after"]


def test_a_work_that_fails_last_does_not_keep_the_others_waiting(database: Database) -> None:
    def fails() -> None:
        raise LookupError("of its own")

    ends = all_in_one(database, [note(database, "before"), fails])

    assert ends[0].result() == "before"
    assert notes(database) == ["before"]


def test_a_commit_that_fails_is_told_to_everyone_and_leaves_nothing(database: Database) -> None:
    ends = all_in_one(
        database,
        [note(database, "one"), note(database, "two", asks_for="nobody"), note(database, "three")],
    )

    for end in ends:
        error = end.exception()
        assert isinstance(error, StoreUnavailable)
        assert isinstance(error.__cause__, sqlite3.IntegrityError)
    assert notes(database) == []

    database.transact(note(database, "later"))
    assert notes(database) == ["later"]


@pytest.mark.parametrize("swallows", [False, True])
def test_a_fault_that_ends_the_transaction_is_told_to_those_before_and_not_after(
    database: Database, swallows: bool
) -> None:
    """As a full disk may: what others wrote is taken back with the work that met the fault."""

    def meets_fault() -> None:
        try:
            database.execute("INSERT OR ROLLBACK INTO notes VALUES ('one', NULL)")
        except sqlite3.Error:
            if not swallows:
                raise

    ends = all_in_one(database, [note(database, "one"), meets_fault, note(database, "three")])

    assert isinstance(ends[0].exception(), StoreUnavailable)
    assert isinstance(ends[1].exception(), sqlite3.Error | StoreUnavailable)
    assert [ends[2].result()] == notes(database) == ["three"]


def test_a_full_disk_is_told_and_what_was_committed_stays(file_database: Database) -> None:
    database = file_database
    database.transact(note(database, "small"))
    (pages,) = database._writer.execute("PRAGMA page_count").fetchone()
    database._writer.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(StoreUnavailable, match="cannot be written"):
        database.transact(note(database, "large" * 100_000))
    assert notes(database) == ["small"]

    database._writer.execute("PRAGMA max_page_count = 1000000")
    database.transact(note(database, "large" * 100_000))
    assert len(notes(database)) == 2


def test_a_database_that_a_stranger_locks_is_unavailable(
    file_database: Database, tmp_path: Path
) -> None:
    file_database._writer.execute("PRAGMA busy_timeout = 0")
    stranger = sqlite3.connect(tmp_path / "notes.db", isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreUnavailable, match="cannot be written"):
        file_database.transact(note(file_database, "late"))

    stranger.execute("ROLLBACK")
    stranger.close()
    assert file_database.transact(note(file_database, "later")) == "later"


def test_readers_see_what_is_committed_and_do_not_wait_for_a_writer(
    file_database: Database,
) -> None:
    database = file_database
    database.transact(note(database, "old"))
    written, seen = threading.Event(), threading.Event()

    def work() -> list[str]:
        note(database, "new")()
        written.set()
        assert seen.wait(PATIENCE), "the reader waits for the writer"
        return notes(database)

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(database.transact, work)
        assert written.wait(PATIENCE)
        assert notes(database) == ["old"]
        seen.set()

        assert writer.result() == ["old", "new"], "a work reads what it wrote"
    assert notes(database) == ["old", "new"]


def test_readers_come_and_go_with_few_connections(file_database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: notes(file_database), range(200))) == [[]] * 200

    assert 1 <= len(file_database._idle_readers) <= 4


def test_a_reader_that_cannot_read_says_so_and_is_used_again(database: Database) -> None:
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="cannot be read"):
            database.select("SELECT json_group_array(missing) FROM notes")

    assert notes(database) == []
    assert len(database._idle_readers) <= 1


def test_whoever_is_told_finds_what_he_wrote_whatever_others_do(database: Database) -> None:
    def write_and_read(number: int) -> bool:
        text = database.transact(note(database, f"note {number}"))
        return text in notes(database)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write_and_read, range(200)))


def test_work_within_work_is_part_of_it(database: Database) -> None:
    def outer() -> None:
        database.transact(note(database, "inner"))
        raise LookupError("the outer work fails")

    with pytest.raises(LookupError):
        database.transact(outer)

    assert notes(database) == []


def test_rows_are_changed_within_a_work_only(database: Database) -> None:
    with pytest.raises(AssertionError):
        note(database, "outside")()

    def elsewhere() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(note(database, "of another thread")).result()

    with pytest.raises(AssertionError):
        database.transact(elsewhere)


class TestAfterCommit:
    """What a work wants done once it is committed."""

    def test_callbacks_come_in_order_after_the_commit_and_before_anyone_is_told(
        self, database: Database
    ) -> None:
        noted = statements(database)
        called: list[str] = []

        def work(text: str) -> Callable[[], None]:
            def run() -> None:
                note(database, text)()
                database.after_commit(lambda: called.append(f"{text}, {noted[-1]}"))

            return run

        all_in_one(database, [work("one"), work("two")])

        assert called == ["one, COMMIT", "two, COMMIT"]

    def test_nothing_is_called_for_what_is_taken_back(self, database: Database) -> None:
        called: list[str] = []

        def fails() -> None:
            database.after_commit(lambda: called.append("taken back"))
            raise LookupError("of its own")

        def is_not_committed() -> None:
            database.after_commit(lambda: called.append("not committed"))
            note(database, "two", asks_for="nobody")()

        ends = all_in_one(database, [fails, note(database, "one"), is_not_committed])

        assert all(end.exception() for end in ends)
        assert called == []

    def test_a_callback_that_raises_strands_nobody(self, database: Database) -> None:
        def breaks() -> None:
            raise ZeroDivisionError

        def work() -> str:
            database.after_commit(breaks)
            return note(database, "one")()

        ends = all_in_one(database, [work, note(database, "two")])

        assert ends[0].result() == "one"
        assert isinstance(ends[1].exception(), ZeroDivisionError), "it was he who committed"
        assert notes(database) == ["one", "two"]
        assert database.transact(note(database, "three")) == "three"


def test_what_is_closed_is_unavailable(database: Database) -> None:
    database.close()

    with pytest.raises(StoreUnavailable, match="closed"):
        database.transact(note(database, "late"))
    with pytest.raises(StoreUnavailable, match="closed"):
        notes(database)


def test_closing_waits_for_the_work_that_runs_and_refuses_what_comes_later(
    database: Database,
) -> None:
    closed = threading.Event()

    def close() -> None:
        database.close()
        closed.set()

    with ThreadPoolExecutor(2) as pool:

        def work() -> str:
            pool.submit(close)
            until(lambda: database._coming == 1)
            assert not closed.is_set()
            return note(database, "in time")()

        assert pool.submit(database.transact, work).result() == "in time"
        assert closed.wait(PATIENCE)
    with pytest.raises(StoreUnavailable, match="closed"):
        database.transact(note(database, "late"))


def test_closing_leaves_one_whole_file(file_database: Database, tmp_path: Path) -> None:
    file_database.transact(note(file_database, "kept"))
    notes(file_database)

    file_database.close()

    assert [path.name for path in tmp_path.iterdir()] == ["notes.db"]
    until(lambda: all(thread.name != "checkpoint" for thread in threading.enumerate()))
