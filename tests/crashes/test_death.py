"""The model of a death is the death of a process: the same files, statement for statement."""

import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.crashes.fates import shared_memory
from tests.crashes.statements import DATABASE, Files, copied
from tests.crashes.stories import SHORT
from tests.crashes.victim import live
from tests.simulation.program import Program

ROOT = Path(__file__).parents[2]


def read(home: Path) -> list[str]:
    """Return all that a database holds, as whoever opens it next finds it."""
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        return list(connection.iterdump())


@pytest.mark.parametrize(
    "step", [pytest.param(9, id="some"), pytest.param(1, id="all", marks=pytest.mark.nightly)]
)
def test_a_copy_of_the_files_is_what_sigkill_leaves_at_any_statement(step: int) -> None:
    """No statement is given to the dying process, and none that was carried out is taken away."""
    with tempfile.TemporaryDirectory(prefix="crashes-", dir=shared_memory()) as name:
        folder = Path(name)
        killed, home, copy = folder / "killed", folder / "home", folder / "copy"
        for made in (killed, home, copy):
            made.mkdir()
        command = [sys.executable, "-m", "tests.crashes.victim", str(killed), "once", str(step)]
        subprocess.run(command, cwd=ROOT, check=True, timeout=300)
        left: dict[int, Files] = {}
        places = live(
            SHORT["once"], Program(), home, lambda life, place: left.update({place: life.files()})
        )

        distinct = set()
        for place in range(1, places + 1, step):
            for leftover in copy.iterdir():
                leftover.unlink()
            for file, content in left[place].items():
                (copy / file).write_bytes(content)
            found = read(killed / str(place))
            assert found == read(copy), f"at place {place}"
            distinct.add(tuple(found))
        assert len(distinct) > 3, "there were commits on the way"


def test_the_last_copy_is_what_the_process_itself_had_committed(tmp_path: Path) -> None:
    """And nothing of a transaction that is still open."""
    home, copy = tmp_path / "home", tmp_path / "copy"
    home.mkdir()
    copy.mkdir()
    with closing(sqlite3.connect(home / DATABASE, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL").fetchone()
        writer.execute("CREATE TABLE things (name TEXT)")
        writer.execute("INSERT INTO things VALUES ('committed')")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO things VALUES ('not committed')")
        for name, content in copied(home).items():
            (copy / name).write_bytes(content)

        with closing(sqlite3.connect(copy / DATABASE)) as reader:
            assert reader.execute("SELECT name FROM things").fetchall() == [("committed",)]
