"""What the code takes from `sqlite3`: the real thing, but every statement is seen to pass.

A process that is killed leaves what it wrote to its files, and nothing else: no statement of its
own ends a transaction, no connection is closed. So its end is modelled by copying the files in that
instant and opening the copies; from then on the connections refuse whatever the dying code still
asks of them. `test_death.py` holds such copies against those that SIGKILL leaves.
"""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

DATABASE = "punctual.db"
LOG = "punctual.db-wal"

Files = dict[str, bytes]


class Died(BaseException):
    """The process is no more; what is thrown through its code is seen by nobody but the world."""


class Statements:
    """Stands in for the module `sqlite3` in one process."""

    def __init__(self, *, before: Callable[[str], None], committed: Callable[[str], None]) -> None:
        """Watch.

        Args:
            before: Told of each statement before it is carried out; may raise `Died`.
            committed: Told of each one after which nothing is uncommitted, once it is carried
                out; may raise `Died`.
        """
        self._before = before
        self._committed = committed
        self._connections: list[_Connection] = []
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        """Return what is as it always is, such as the errors."""
        return getattr(sqlite3, name)

    def connect(self, database: object, **options: Any) -> sqlite3.Connection:
        """See `sqlite3.connect`."""
        connection = sqlite3.connect(str(database), factory=_Connection, **options)
        connection.statements = self
        self._connections.append(connection)
        return connection

    def passes(self, sql: str) -> None:
        """Let a statement be carried out."""
        if self.dead:
            raise Died
        self._before(sql)

    def passed(self, sql: str) -> None:
        """Take note that a statement was carried out, and left nothing uncommitted."""
        self._committed(sql)

    def bury(self) -> None:
        """Give back what the dead process had open; its files were copied before."""
        self.dead = True
        for connection in self._connections:
            sqlite3.Connection.close(connection)


class _Connection(sqlite3.Connection):
    statements: Statements

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        self.statements.passes(sql)
        was_open = self.in_transaction
        cursor = super().execute(sql, parameters)
        if was_open and not self.in_transaction:
            self.statements.passed(sql)
        return cursor

    def executescript(self, script: str) -> sqlite3.Cursor:
        """Carry out a script statement by statement, as `sqlite3` does."""
        cursor = self.cursor()
        for sql in _parted(script):
            cursor = self.execute(sql)
        return cursor

    def close(self) -> None:
        if self.statements.dead:
            raise Died
        super().close()


def _parted(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def copied(home: Path) -> Files:
    """Return the files of a database as they are in this instant, as a killed process leaves them.

    The index of the log (`-shm`) is not among them: whoever opens the database first makes it anew
    from the log.
    """
    return {name: (home / name).read_bytes() for name in (DATABASE, LOG) if (home / name).exists()}
