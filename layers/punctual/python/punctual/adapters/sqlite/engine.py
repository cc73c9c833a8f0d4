"""The embedded engine: every port of one host over one SQLite database."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from punctual.adapters.sqlite.beats import SqliteBeats
from punctual.adapters.sqlite.database import Database, Synchronous
from punctual.adapters.sqlite.gate_store import SqliteGateStore
from punctual.adapters.sqlite.home import HomeInUse, occupied, sync_folder
from punctual.adapters.sqlite.job_store import SqliteJobStore
from punctual.adapters.sqlite.log_store import SqliteLogStore
from punctual.adapters.sqlite.request_store import SqliteRequestStore
from punctual.adapters.sqlite.run_queue import SqliteRunQueue
from punctual.adapters.sqlite.run_store import SqliteRunStore
from punctual.adapters.sqlite.schema import UnusableDatabase
from punctual.adapters.sqlite.sweep import sweep
from punctual.adapters.sqlite.watch_list import SqliteWatchList
from punctual.ports import Clock

__all__ = ["HomeInUse", "SqliteEngine", "Synchronous"]


class SqliteEngine:
    """The ports, filled over one database that this process alone has open."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        """Take a database up where an earlier process left it; its leases end here."""
        self._database = database
        self.transact = database.transact
        self.jobs = SqliteJobStore(database, clock=clock)
        self.runs = SqliteRunStore(database, clock=clock, boot=_next_boot(database))
        self.requests = SqliteRequestStore(database, clock=clock)
        self.gates = SqliteGateStore(database, clock=clock)
        self.logs = SqliteLogStore(database)
        self.watch_list = SqliteWatchList(database)
        self.queue = SqliteRunQueue(database)
        self.beats = SqliteBeats(database)

    @classmethod
    @contextmanager
    def open(
        cls, home: Path, *, clock: Clock, synchronous: Synchronous = Synchronous.FULL
    ) -> Iterator["SqliteEngine"]:
        """Open the data in `home`, a folder that is made if need be, until the `with` ends.

        Args:
            home: The folder.
            clock: What has expired by its now is as good as gone.
            synchronous: What commits wait for.

        Raises:
            HomeInUse: Another process has it open.
            NewerDatabase: A later version of Punctual wrote it.
            UnusableDatabase: It is no database, or cannot be written.
        """
        with occupied(home) as path, _opened(path, synchronous) as database:
            sync_folder(home)
            yield cls(database, clock=clock)

    @classmethod
    @contextmanager
    def in_memory(cls, *, clock: Clock) -> Iterator["SqliteEngine"]:
        """Open an empty engine whose data ends with the `with`."""
        with _opened(None, Synchronous.FULL) as database:
            yield cls(database, clock=clock)

    def sweep(self, now: datetime) -> int:
        """Delete what has expired by `now`, a bounded part of it at a time.

        Returns:
            How many rows were deleted; what is left over is for the next call.
        """
        return sweep(self._database, now=now)


@contextmanager
def _opened(path: Path | None, synchronous: Synchronous) -> Iterator[Database]:
    try:
        database = Database(path, synchronous=synchronous)
    except sqlite3.Error as error:
        raise UnusableDatabase(f"{path} cannot be used: {error}") from error
    try:
        yield database
    finally:
        database.close()


def _next_boot(database: Database) -> int:
    """Count this opening of the database, and return its number."""

    def work() -> int:
        database.execute("UPDATE host SET boot = boot + 1")
        ((boot,),) = database.select("SELECT json_array(json_array(boot)) FROM host")
        return int(boot)

    return database.transact(work)
