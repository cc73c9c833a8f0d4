"""Opening a home: by one process at a time, with everything as the last one left it."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from punctual.adapters.sqlite import run_queue
from punctual.adapters.sqlite.engine import HomeInUse, SqliteEngine
from punctual.adapters.sqlite.schema import (
    FIRST,
    MIGRATIONS,
    NewerDatabase,
    UnusableDatabase,
)
from punctual.core.jobs import Lane
from punctual.core.runs import Finish, GiveUp, Hold, Retry, Run, RunState, Start
from punctual.ports import Outgoing
from tests.support.builders import (
    HOUR,
    MINUTE,
    SECOND,
    a_failure,
    a_job,
    a_result,
    a_run,
    a_run_key,
    a_watch_row,
    an_ending,
)
from tests.support.clock import NINE, FakeClock


def outgoing(name: str) -> Outgoing:
    return Outgoing(key=a_run_key(name=name), lane=Lane.FAST, at=NINE)


def start(run: Run, *, owner: str = "first") -> Start:
    return Start(key=run.key, owner=owner, now=NINE, lease_until=NINE + HOUR)


def test_a_home_is_open_once_at_a_time(home: Path) -> None:
    with SqliteEngine.open(home, clock=FakeClock()) as engine:
        engine.jobs.create(a_job())

        with (
            pytest.raises(HomeInUse, match=r"is in use by another process \(pid \d+\)$"),
            SqliteEngine.open(home, clock=FakeClock()),
        ):
            raise AssertionError("two engines have one home")

        assert engine.jobs.read([a_job().key]) == {a_job().key: a_job()}, "the first goes on"

    with SqliteEngine.open(home, clock=FakeClock()):
        pass


def test_a_home_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"

    with SqliteEngine.open(home, clock=FakeClock()):
        assert home.stat().st_mode & 0o777 == 0o700


def test_an_engine_in_memory_needs_no_home_and_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with SqliteEngine.in_memory(clock=FakeClock()) as engine:
        engine.jobs.create(a_job())
    with SqliteEngine.in_memory(clock=FakeClock()) as engine:
        assert engine.jobs.read([a_job().key]) == {}

    assert list(tmp_path.iterdir()) == []


def test_what_was_written_is_there_after_a_restart(home: Path) -> None:
    job, run, row = a_job(), a_run(), a_watch_row()
    with SqliteEngine.open(home, clock=FakeClock()) as engine:
        engine.jobs.create(job)
        engine.runs.insert([run])
        engine.watch_list.add([row])

    with SqliteEngine.open(home, clock=FakeClock()) as engine:
        assert engine.jobs.read([job.key]) == {job.key: job}
        assert engine.runs.read([run.key]) == {run.key: run}
        assert [list(page) for page in engine.watch_list.due([7], now=NINE)] == [[row]]


class TestLeases:
    """A lease is no better than the process that holds it."""

    @pytest.fixture
    def run(self, home: Path) -> Run:
        """A run that a process started just before it died; its lease would hold for an hour."""
        run = a_run(max_attempts=2)
        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            engine.runs.insert([run])
            (answer,) = engine.runs.move([start(run)])
            assert answer.run is not None
            assert answer.run.live(NINE)
            return answer.run

    def test_an_earlier_boots_lease_has_ended_when_the_home_is_opened(
        self, home: Path, run: Run
    ) -> None:
        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            assert engine.runs.read([run.key])[run.key].dead(NINE)

            (taken,) = engine.runs.move([start(run, owner="second")])

            assert taken.applied
            assert taken.run is not None
            assert taken.run.attempt == 2
            assert taken.run.live(NINE)
            (late,) = engine.runs.move([start(run, owner="third")])
            assert not late.applied, "a lease of this boot holds"

    def test_a_run_whose_attempts_are_spent_is_given_up_at_once(self, home: Path, run: Run) -> None:
        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            engine.runs.move([start(run, owner="second")])
        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            assert not engine.runs.move([start(run, owner="third")])[0].applied

            give_up = GiveUp(
                key=run.key,
                owner="second",
                now=NINE,
                ending=an_ending(RunState.FAILED),
                scheduled_at=NINE,
            )
            assert engine.runs.move([give_up])[0].applied

    def test_an_attempt_that_awaits_its_callback_outlives_the_boot_that_called(
        self, home: Path, run: Run
    ) -> None:
        hold = Hold(
            key=run.key,
            owner="first",
            attempt=1,
            started_at=NINE,
            lease_until=NINE + HOUR,
            heartbeat=HOUR,
            is_first=True,
        )
        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            assert engine.runs.move([hold])[0].applied
        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            stored = engine.runs.read([run.key])[run.key]
            assert stored.live(NINE + HOUR)
            assert stored.heartbeat == HOUR
            (late,) = engine.runs.move([start(run, owner="second")])
            assert not late.applied

    def test_who_takes_over_from_a_silent_one_gets_a_lease_of_its_own_boot(
        self, home: Path, run: Run
    ) -> None:
        hold = Hold(
            key=run.key,
            owner="first",
            attempt=1,
            started_at=NINE,
            lease_until=NINE - SECOND,
            heartbeat=HOUR,
            is_first=True,
        )
        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            assert engine.runs.move([hold])[0].applied
            assert engine.runs.move([start(run, owner="second")])[0].applied
        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            assert engine.runs.read([run.key])[run.key].dead(NINE)

    def test_a_wait_for_a_retry_goes_on(self, home: Path, run: Run) -> None:
        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            engine.runs.move([start(run, owner="second")])
            retry = Retry(key=run.key, owner="second", failure=a_failure(after=MINUTE))
            assert not engine.runs.move([retry])[0].applied, "two attempts were all"
        run = a_run(NINE + HOUR)
        retry = Retry(key=run.key, owner="first", failure=a_failure(after=MINUTE))
        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            engine.runs.insert([run])
            assert [m.applied for move in (start(run), retry) for m in engine.runs.move([move])]
        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            assert not engine.runs.move([start(run, owner="early")])[0].applied
            assert engine.runs.read([run.key])[run.key].retry_at == retry.failure.retry_at


class TestMessages:
    """The queue is its rows; what was in a process's hands comes back with the next one."""

    def received(self, engine: SqliteEngine, *, seconds: int = 0) -> Sequence[str]:
        messages = engine.queue.receive(now=NINE + seconds * SECOND, limit=100)
        return [message.key.name for message in messages]

    def test_what_was_received_and_not_dealt_with_comes_back(self, home: Path) -> None:
        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            names = ["kept", "gone", "hidden", "not received"]
            engine.queue.send([outgoing(name) for name in names])
            kept, gone, hidden = engine.queue.receive(now=NINE, limit=3)
            engine.queue.acknowledge([gone])
            engine.queue.hide([(hidden, NINE + MINUTE)])
            del kept

        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            assert engine.queue.next_at() == NINE
            assert self.received(engine) == ["kept", "not received"]
            assert engine.queue.next_at() == NINE + MINUTE
            assert self.received(engine, seconds=59) == []
            assert self.received(engine, seconds=60) == ["hidden"]
            assert engine.queue.next_at() is None

    def test_a_long_queue_is_taken_up_page_by_page(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(run_queue, "PAGE", 3)
        names = [f"m.{number}" for number in range(10)]
        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            engine.queue.send([outgoing(name) for name in names])

        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            assert self.received(engine) == names
            engine.queue.send([outgoing("next")])
            assert self.received(engine) == ["next"]

    def test_a_receipt_never_names_another_message(self, home: Path) -> None:
        """The newest message is gone; the next one does not take its number."""
        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            engine.queue.send([outgoing("one")])
            (one,) = engine.queue.receive(now=NINE, limit=9)
            engine.queue.acknowledge([one])
            engine.queue.send([outgoing("two")])
            (two,) = engine.queue.receive(now=NINE, limit=9)

            engine.queue.acknowledge([one])
            engine.queue.hide([(one, NINE)])

            assert one.receipt != two.receipt
            assert self.received(engine) == []
        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            engine.queue.send([outgoing("three")])
            assert self.received(engine) == ["two", "three"]


class TestFiles:
    """A file that this version cannot use is left as it is."""

    def test_a_newer_file_is_refused(self, home: Path) -> None:
        with SqliteEngine.open(home, clock=FakeClock()):
            pass
        file = home / "punctual.db"
        newer = len(MIGRATIONS) + 1
        connection = sqlite3.connect(file)
        connection.execute(f"PRAGMA user_version = {newer}")
        connection.close()
        before = file.read_bytes()

        with (
            pytest.raises(NewerDatabase, match=f"is at version {newer}, this is {newer - 1}"),
            SqliteEngine.open(home, clock=FakeClock()),
        ):
            raise AssertionError("it was opened")

        assert file.read_bytes() == before

    def test_a_file_of_the_first_version_is_brought_to_this_one(self, home: Path) -> None:
        home.mkdir()
        connection = sqlite3.connect(home / "punctual.db")
        connection.executescript(FIRST)
        connection.execute("PRAGMA user_version = 1")
        connection.close()
        key = a_run_key()
        ending = replace(an_ending(), result=replace(a_result(), stored="0" * 32))

        with SqliteEngine.open(home, clock=FakeClock()) as engine:
            assert engine.runs.insert([a_run()]) == [True]
            start = Start(key=key, owner="a", now=NINE, lease_until=NINE + MINUTE)
            finish = Finish(key=key, owner="a", ending=ending, scheduled_at=NINE)
            for move in (start, finish):
                assert engine.runs.move([move])[0].applied

            assert engine.runs.read([key])[key].result == ending.result

    def test_a_file_that_is_no_database_is_refused(self, home: Path) -> None:
        home.mkdir()
        (home / "punctual.db").write_text("This is a letter. " * 1000)

        with (
            pytest.raises(UnusableDatabase, match=r"punctual\.db cannot be used: .*not a database"),
            SqliteEngine.open(home, clock=FakeClock()),
        ):
            raise AssertionError("it was opened")

        with pytest.raises(UnusableDatabase), SqliteEngine.open(home, clock=FakeClock()):
            raise AssertionError("the lock was not given back")
