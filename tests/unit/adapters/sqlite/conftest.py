"""Databases of the embedded engine, in a file and in memory."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from punctual.adapters.sqlite.database import Database, Synchronous
from punctual.adapters.sqlite.engine import SqliteEngine
from tests.support.clock import FakeClock
from tests.unit.adapters.sqlite.notes import make_notes


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder for the engine, not made yet."""
    return tmp_path / "home"


@pytest.fixture
def engine(home: Path) -> Iterator[SqliteEngine]:
    """An empty engine, whose present is nine o'clock."""
    with SqliteEngine.open(home, clock=FakeClock(), synchronous=Synchronous.NORMAL) as engine:
        yield engine


@pytest.fixture(params=["file", "memory"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with a table of notes, in a file or in memory."""
    path = None if request.param == "memory" else tmp_path / "notes.db"
    with closing(Database(path, synchronous=Synchronous.NORMAL)) as database:
        make_notes(database)
        yield database


@pytest.fixture
def file_database(tmp_path: Path) -> Iterator[Database]:
    """A database with a table of notes, in the file `notes.db`."""
    path = tmp_path / "notes.db"
    with closing(Database(path, synchronous=Synchronous.NORMAL)) as database:
        make_notes(database)
        yield database
