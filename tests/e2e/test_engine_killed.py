"""The embedded engine's process is killed in the middle of its commits, again and again."""

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from punctual.adapters.sqlite.engine import HomeInUse, SqliteEngine
from tests.support.builders import a_job_key
from tests.support.clock import NINE, FakeClock

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]

DEATHS = 4


@contextmanager
def writer(home: Path, *, prefix: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a process that writes until it is killed here."""
    command = [sys.executable, "-m", "tests.support.engine_writer", str(home), prefix]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_nothing_that_was_acknowledged_is_lost_and_nothing_is_there_by_half(
    tmp_path: Path,
) -> None:
    home, told = tmp_path / "home", set[str]()
    dice = random.Random(20261201)

    for death in range(DEATHS):
        with writer(home, prefix=f"m.{death}") as process:
            assert process.stdout is not None
            lines = (line for line in process.stdout if line.endswith("\n"))
            for _ in range(dice.randrange(20, 400)):
                told.add(next(lines).strip())
            with (
                pytest.raises(HomeInUse, match=rf"\(pid {process.pid}\)"),
                SqliteEngine.open(home, clock=FakeClock()),
            ):
                raise AssertionError("two processes have one home")
            process.kill()
            told.update(line.strip() for line in lines)

        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            runs = engine.runs.list(a_job_key(), incarnation=1, before=None, limit=1_000_000)
            messages = engine.queue.receive(now=NINE, limit=1_000_000)
            names = {run.key.name for run in runs}
            assert told <= names
            assert names == {message.key.name for message in messages}
            assert len(messages) == len(names)
            assert all(run.attempt == 1 and run.dead(NINE) for run in runs), "leases died too"
