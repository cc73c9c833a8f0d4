"""One SQLite database: a writer whose transactions share their commits, readers of their own.

A commit waits for the disk, so those who want to write meanwhile queue up; their works then run one
after the other in one transaction and wait for one commit together. Nobody is told that a work is
done before it is committed.
"""

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from punctual.adapters.sqlite.schema import migrate
from punctual.adapters.sqlite.statements import ForRows, Row
from punctual.core.errors import StoreUnavailable

T = TypeVar("T")

logger = logging.getLogger(__name__)

CHANGES_PER_CHECKPOINT = 4_000
COMMITS_PER_CHECKPOINT = 1_000
"""The log is folded into the file after so many changed rows or commits, whichever comes first: a
few megabytes of log either way."""

LOG_PAGES_MAX = 16_000
"""Pages of log (64 MB) at which writers wait until it is folded, so that it cannot grow on."""

READERS_AWAITED_MS = 1_000
"""How long it waits at most for those who read from a log that is too long, and writers with it."""

PAGE_BYTES = 4096

WRITER_CACHE_KIB = 64 * 1024
READER_CACHE_KIB = 4 * 1024

STATEMENTS_PREPARED = 256
"""Statements that a connection keeps: every one there is, at each length of its list of rows."""


class Synchronous(StrEnum):
    """What a commit waits for."""

    FULL = "FULL"
    """The disk: a commit survives the death of the process, of the machine and of its power."""
    NORMAL = "NORMAL"
    """The operating system: a commit survives the death of the process, but the loss of power may
    take the last ones back. The file stays sound either way."""


class Database:
    """Fills `Transact` with `transact`; the stores select and write through it."""

    def __init__(self, path: Path | None, *, synchronous: Synchronous = Synchronous.FULL) -> None:
        """Open a file, creating it if there is none, and bring it to the present version.

        Args:
            path: The file; None for a database in memory, which ends with this object.
            synchronous: What commits wait for.

        Raises:
            NewerDatabase: The file is of a later version.
        """
        self._path = path
        self._synchronous = synchronous
        self._writer = self._connect(cache_kib=WRITER_CACHE_KIB)
        try:
            migrate(self._writer)
        except BaseException:
            self._writer.close()
            raise
        self._idle_readers: list[sqlite3.Connection] = []
        self._turn = threading.Lock()
        """Held by the one whose work runs, or who commits."""
        self._turn_of: int | None = None
        """The thread whose work runs."""
        self._counting = threading.Lock()
        self._coming = 0
        """How many wait for their turn."""
        self._batch: _Batch | None = None
        """The open transaction."""
        self._after_commit: list[Callable[[], None]] = []
        """What the running work wants done once it is committed."""
        self._closed = False
        self._checkpoint_due = threading.Event()
        self._changes_folded = self._writer.total_changes
        self._commits = 0
        """Since the log was last folded."""
        self._checkpointer: threading.Thread | None = None
        if path is not None:
            self._checkpointer = threading.Thread(
                target=self._checkpoint_when_due, name="checkpoint", daemon=True
            )
            self._checkpointer.start()

    def transact(self, work: Callable[[], T]) -> T:
        """See `Transact`. Within another work, `work` is part of that.

        Raises:
            StoreUnavailable: It could not be made durable; to everyone who asks, it is not done.
        """
        if self._turn_of == threading.get_ident():
            return work()
        with self._own_turn():
            batch = self._open_batch()
            done = self._run(work, batch)
        batch.wait()
        return done

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Change rows; only within a work. Return how many changed."""
        assert self._turn_of == threading.get_ident(), "rows are changed within a work"
        return self._writer.execute(sql, parameters).rowcount

    def write(self, statement: ForRows, rows: Iterable[Row], *others: Any) -> None:  # noqa: ANN401 - SQL
        """Change what a statement says of each of `rows`; only within a work.

        `others` are the statement's parameters after the rows.
        """
        assert self._turn_of == threading.get_ident(), "rows are changed within a work"
        for sql, parameters, _ in statement.portions(rows):
            self._writer.execute(sql, (*parameters, *others))

    def select(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return the rows that `sql` gathers in one JSON array.

        Within a work they are as that left them, else as last committed.
        """
        with self._reading() as connection:
            return _rows(connection, sql, parameters)

    def select_each(self, statement: ForRows, rows: Iterable[Row]) -> list[Row]:
        """Return what `statement` selects for each of `rows`, in their order; see `select`."""
        found: list[Row] = []
        with self._reading() as connection:
            for sql, parameters, count in statement.portions(rows):
                found += _rows(connection, sql, parameters)[:count]
        return found

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Have `callback` called once the running work is committed.

        Callbacks come in the order of commits, before anyone is told of the commit.
        """
        assert self._turn_of == threading.get_ident(), "only a work is committed"
        self._after_commit.append(callback)

    def close(self) -> None:
        """Commit what is written, fold the log into the file and let go of it.

        Whoever comes later finds the database closed. Readers must have ended.
        """
        with self._own_turn():
            self._commit()
            self._closed = True
        self._checkpoint_due.set()
        if self._checkpointer is not None:
            self._checkpointer.join()
        for connection in (*self._idle_readers, self._writer):
            connection.close()

    def _connect(self, *, cache_kib: int) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path or ":memory:",
            isolation_level=None,  # transactions begin and end where this module says so
            check_same_thread=False,  # a connection has one user at a time, not one thread
            cached_statements=STATEMENTS_PREPARED,
        )
        pragmas = ["secure_delete = OFF", "temp_store = MEMORY"]
        if self._path is not None:
            pragmas += [
                "journal_mode = WAL",
                f"synchronous = {self._synchronous}",
                "fullfsync = ON",  # where the disk's own cache is not emptied otherwise (macOS)
                "wal_autocheckpoint = 0",  # a thread does it, so that no commit waits for it
                f"journal_size_limit = {LOG_PAGES_MAX * PAGE_BYTES}",
                f"cache_size = -{cache_kib}",
            ]
        try:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to read through: the writer's own within a work, else one of many."""
        if self._turn_of == threading.get_ident():
            yield self._writer
            return
        self._refuse_if_closed()
        try:
            if self._path is None:
                with self._own_turn():
                    yield self._writer
            else:
                with self._reader() as reader:
                    yield reader
        except sqlite3.OperationalError as error:
            raise StoreUnavailable("the database cannot be read") from error

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        try:
            reader = self._idle_readers.pop()
        except IndexError:
            reader = self._connect(cache_kib=READER_CACHE_KIB)
        try:
            yield reader
        finally:
            self._idle_readers.append(reader)

    @contextmanager
    def _own_turn(self) -> Iterator[None]:
        """Wait for a turn, and commit at its end unless another one waits, who will.

        Whoever had a turn waits for that commit, so nobody can have turn after turn while another
        one waits.
        """
        with self._counting:
            self._coming += 1
        try:
            self._turn.acquire()
        finally:
            with self._counting:
                self._coming -= 1
        try:
            yield
        finally:
            try:
                if not self._coming:
                    self._commit()
            finally:
                self._turn.release()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise StoreUnavailable("the database is closed")

    def _open_batch(self) -> "_Batch":
        if self._batch is None:
            self._refuse_if_closed()
            try:
                self._writer.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                raise StoreUnavailable("the database cannot be written") from error
            self._batch = _Batch()
        return self._batch

    def _run(self, work: Callable[[], T], batch: "_Batch") -> T:
        """Run one work; if it fails, what it wrote is taken back, and no more than that."""
        self._turn_of = threading.get_ident()
        self._after_commit = []
        try:
            self._writer.execute("SAVEPOINT work")
            done = work()
            self._writer.execute("RELEASE work")
        except BaseException as error:
            self._take_back()
            if isinstance(error, sqlite3.OperationalError):
                raise StoreUnavailable("the database cannot be written") from error
            raise
        finally:
            self._turn_of = None
        batch.after_commit += self._after_commit
        return done

    def _take_back(self) -> None:
        try:
            self._writer.execute("ROLLBACK TO work")
            self._writer.execute("RELEASE work")
        except sqlite3.Error as error:
            # Some faults, such as a full disk, take back the whole transaction at once, and with it
            # the works of others: it must not be committed as if they were still in it.
            self._give_up(error)

    def _give_up(self, error: sqlite3.Error) -> None:
        """Tell everyone whose work is in the open transaction that it is not done."""
        batch, self._batch = self._batch, None
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        finally:
            if batch is not None:
                batch.fail(error)

    def _commit(self) -> None:
        batch = self._batch
        if batch is None:
            return
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            self._give_up(error)
            return
        self._batch = None
        try:
            for callback in batch.after_commit:
                callback()
        finally:
            batch.succeed()
        self._commits += 1
        if (
            self._commits >= COMMITS_PER_CHECKPOINT
            or self._writer.total_changes - self._changes_folded >= CHANGES_PER_CHECKPOINT
        ):
            self._commits = 0
            self._changes_folded = self._writer.total_changes
            self._checkpoint_due.set()

    def _checkpoint_when_due(self) -> None:
        connection = self._connect(cache_kib=READER_CACHE_KIB)
        connection.execute(f"PRAGMA busy_timeout = {READERS_AWAITED_MS}")
        while True:
            self._checkpoint_due.wait()
            if self._closed:
                break
            self._checkpoint_due.clear()
            try:
                self._checkpoint(connection)
            except sqlite3.OperationalError:
                # Nothing is lost: the log goes on growing, and folding it is tried again.
                logger.exception("the log cannot be folded into the database")
        connection.close()

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        """Fold the log into the file beside the writers; one that grew too long, in their way.

        A log that was folded whole is used again from its beginning. Beside writers, who go on
        adding to it, it never is: however often it is folded, it grows on.
        """
        _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages > LOG_PAGES_MAX:
            with self._own_turn():
                self._commit()
                # Waits for readers who began before, and gives up if one of them takes too long.
                connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()


def _rows(connection: sqlite3.Connection, sql: str, parameters: Sequence[Any]) -> list[Row]:
    (text,) = connection.execute(sql, parameters).fetchone()
    rows: list[Row] = json.loads(text)
    return rows


class _Batch:
    """Works that are committed together."""

    def __init__(self) -> None:
        self.after_commit: list[Callable[[], None]] = []
        self._over = threading.Event()
        self._error: sqlite3.Error | None = None

    def succeed(self) -> None:
        self._over.set()

    def fail(self, error: sqlite3.Error) -> None:
        self._error = error
        self._over.set()

    def wait(self) -> None:
        self._over.wait()
        if self._error is not None:
            raise StoreUnavailable("the database could not commit") from self._error
