"""The promises, held against every commit, call and answer.

Sees what is committed through a connection of its own and in words of its own, what targets are
sent and what users are told; nothing of how the code keeps its promises.
"""

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

from tests.crashes.outside import Called, JobRow, Outside, RunKey, RunRow, View, Wish
from tests.crashes.statements import DATABASE

ABSENT = "no such table"


class Broken(BaseException):
    """A promise is broken; thrown through code that must not take it for a fault to deal with."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant


class Checker:
    """Watches one process."""

    def __init__(self, outside: Outside, home: Path, *, prompt: int) -> None:
        """Watch over the database in `home`.

        Args:
            outside: What was there before the process.
            home: The folder.
            prompt: For how long a run may wait for its start where only a crash is in its way.
        """
        self._outside = outside
        self._reader = sqlite3.connect(home / DATABASE, isolation_level=None)
        self._open: dict[int, Called] = {}
        """Calls that go on, by the identity of the call."""
        self._prompt = prompt
        self._boot_at = outside.now
        self._found = outside.committed

    def close(self) -> None:
        """Let go of the files."""
        self._reader.close()

    # What is committed

    def begins(self) -> None:
        """Hold what the process finds against what was committed when the last one died."""
        if self.view() != self._outside.committed:
            raise Broken("durable", "what was committed is not what the next process finds")

    def view(self) -> View:
        """Read what is committed."""
        ask = self._reader.execute
        try:
            runs = {
                RunKey(*row[:3]): RunRow(*row[3:])
                for row in ask(
                    "SELECT job_id, incarnation, name, scheduled_at, schedule_revision, state,"
                    " attempt, max_attempts, owner, cancel_requested_at, finished_at, finished_by,"
                    " reason, status_code, error_type, expires_at FROM runs"
                )
            }
            jobs = {
                row[0]: JobRow(*row[1:])
                for row in ask(
                    "SELECT job_id, incarnation, schedule_revision, state, next_slot, ordinal"
                    " FROM jobs"
                )
            }
            messages = {
                row[0]: RunKey(*row[1:])
                for row in ask("SELECT id, job_id, incarnation, name FROM messages")
            }
            rows = ask("SELECT minute, runs FROM watch_rows").fetchall()
        except sqlite3.OperationalError as error:
            if ABSENT in str(error):
                return View({}, {}, {}, frozenset(), ())
            raise
        watched = frozenset(
            RunKey(job, incarnation, name)
            for _, text in rows
            for _, job, incarnation, _, *names in json.loads(text)
            for name in names
        )
        return View(runs, jobs, messages, watched, tuple(sorted(row[0] for row in rows)))

    def committed(self) -> None:
        """Take note of a commit."""
        before, now = self._outside.committed, self.view()
        self._outside.committed = now
        self._outside.commits += 1
        for key, row in now.runs.items():
            self._run_written(key, before.runs.get(key), row, now)
        for key in before.runs.keys() - now.runs.keys():
            row = before.runs[key]
            if key in self._outside.ended and (row.expires_at or 0) > self._outside.now:
                raise Broken("I1", f"the outcome of {key.run_id} is gone")
        for name, job in now.jobs.items():
            self._job_written(name, before.jobs.get(name), job)
        for number in before.messages.keys() - now.messages.keys():
            self._message_deleted(before.messages[number], now)

    def _run_written(self, key: RunKey, before: RunRow | None, row: RunRow, now: View) -> None:
        outside = self._outside
        ended = outside.ended.get(key)
        if ended is not None and row != ended:
            raise Broken("I1", f"the outcome of {key.run_id} was {ended}, and is {row}")
        # A row that was taken back and handed over again begins anew.
        least = outside.attempts.get(key, 0) if before is not None else 0
        if row.attempt < least:
            raise Broken("I3", f"{key.run_id} was at attempt {least}, and is at {row.attempt}")
        if row.attempt > least:
            outside.attempts[key] = row.attempt
            outside.started_after[key.run_id, row.attempt] = outside.commits
        if row.is_open:
            if row.expires_at is not None:
                raise Broken("I9", f"{key.run_id} is {row.state}, and is to be forgotten")
            if key not in now.watched and not _is_due(now.jobs.get(key.job), key, row):
                raise Broken("I9", f"{key.run_id} is {row.state}, and nobody will look at it")
        elif ended is None:
            outside.ended[key] = row

    def _job_written(self, name: str, before: JobRow | None, job: JobRow) -> None:
        if before is None or before[:2] != job[:2] or before.state == "paused":
            return
        if before.ordinal > job.ordinal or _later(before.next_slot, job.next_slot):
            raise Broken("I8", f"{name} went from {before} to {job}")

    def _message_deleted(self, key: RunKey, now: View) -> None:
        run = now.runs.get(key)
        if run is not None and run.is_open and key not in now.watched:
            raise Broken("I7", f"the message of {key.run_id} is gone, and it is {run.state}")

    # What targets are sent

    def call_launched(self, _: object, call: Any) -> None:
        """See `Witness.call_launched`."""
        outside = self._outside
        headers = {name.lower(): value for name, value in call.headers}
        called = Called(
            number=len(outside.calls) + 1,
            job=headers["punctual-job-id"],
            run=call.run_id,
            attempt=call.attempt,
            key=headers["idempotency-key"],
            slot=headers["punctual-scheduled-at"],
            at=outside.now,
            boot=outside.boots,
        )
        run = next((k for k in outside.committed.runs if k.run_id == called.run), None)
        row = outside.committed.runs[run] if run is not None else None
        name = f"{called.run}, attempt {called.attempt},"
        if run is None or row is None or (row.state, row.attempt) != ("running", called.attempt):
            raise Broken("durable", f"{name} is called, and what is committed is {row}")
        if any(other.run == called.run for other in self._open.values()):
            raise Broken("I2", f"{name} is called while another attempt is")
        if self._is_alone(run.job) and any(o.job == called.job for o in self._open.values()):
            raise Broken("overlap", f"{name} is called while another run of its job is")
        if any(o.run == called.run and o.attempt >= called.attempt for o in outside.calls):
            raise Broken("I3", f"{name} is called after an attempt of that number or a later one")
        if called.key != called.run:
            raise Broken("I4", f"{name} is called by the key {called.key}")
        if outside.now < row.scheduled_at:
            raise Broken("I5", f"{name} is called {row.scheduled_at - outside.now} ms early")
        self._called_off(name, run, called)
        self._late(name, run, row, called)
        outside.calls.append(called)
        self._open[id(call)] = called

    def call_over(self, call: Any, how: str) -> None:
        """See `Witness.call_over`."""
        called = self._open.pop(id(call))
        self._outside.over[called.number] = str(how)

    def _called_off(self, name: str, run: RunKey, called: Called) -> None:
        """I6: an attempt that started after a delete was answered calls nobody."""
        started = self._outside.started_after[called.run, called.attempt]
        paused = False
        for wish in self._outside.wishes:
            if wish.job != run.job:
                continue
            told = wish.answered_after is not None and wish.answered_after < started
            if wish.verb == "delete" and wish.granted and told and self._lives_before(wish, run):
                raise Broken("I6", f"{name} is called though its job was deleted before it started")
            if wish.verb == "pause" and wish.granted and told:
                paused = True
            elif wish.verb in {"resume", "create", "delete"}:
                paused = False
        if paused and called.attempt == 1:
            raise Broken("I6", f"{name} is called though its job was paused before it started")

    def _is_alone(self, job: str) -> bool:
        """Say whether one run of a job is to be called at a time."""
        bodies = [wish.body for wish in self._outside.wishes if wish.job == job and wish.body]
        return bool(bodies) and all(body.get("overlap", "allow") != "allow" for body in bodies)

    def _lives_before(self, delete: Wish, run: RunKey) -> bool:
        """Say whether a run's life is one that a delete ended."""
        lives = 0
        for wish in self._outside.wishes:
            if wish is delete:
                break
            if wish.job == run.job and wish.verb == "delete" and wish.granted:
                lives += 1
        return run.incarnation <= lives + 1

    def _late(self, name: str, run: RunKey, row: RunRow, called: Called) -> None:
        """I12: a first attempt follows its slot at once, or the process's beginning."""
        wishes = [wish for wish in self._outside.wishes if wish.job == run.job]
        if called.attempt > 1 or any(wish.verb == "pause" for wish in wishes):
            return  # what a pause withheld is late by its user's own wish
        since = [row.scheduled_at, self._boot_at]
        since += [wish.answered_at or self._outside.now for wish in wishes]
        if (late := self._outside.now - max(since)) > self._prompt:
            raise Broken("I12", f"{name} is called {late} ms late")

    # What users are told

    def answered(self, wish: Wish) -> None:
        """Take note of an answer: what it says is done is committed."""
        assert wish.status is not None, "an answer has a status"
        if wish.status >= 500:
            raise Broken("I11", f"{wish.verb} of {wish.job} was answered with {wish.status}")
        if not wish.granted:
            return
        job = self._outside.committed.jobs.get(wish.job)
        verb, _, name = wish.verb.partition(" ")
        done = job is not None
        if job is not None:
            match verb:
                case "delete":
                    done = job.state == "deleted"
                case "pause":
                    done = job.state == "paused"
                case "cancel":
                    run = self._outside.committed.runs.get(RunKey(wish.job, 1, name))
                    done = run is not None and (
                        run.state == "cancelled" or run.cancel_requested_at is not None
                    )
                case _:
                    done = job.state in {"active", "ended", "paused"}
        if not done:
            raise Broken("durable", f"{verb} of {wish.job} was answered, and {job} is committed")

    # What must go on

    def has_gone_on(self) -> None:
        """I12: what an earlier process left in the middle is taken up at once by the next one."""
        now = self._outside.committed
        for key, row in self._found.runs.items():
            was_due = row.state == "queued" and row.scheduled_at <= self._boot_at
            if row.state != "running" and not was_due:
                continue
            left = now.runs.get(key)
            if left is not None and (left.state, left.attempt) == (row.state, row.attempt):
                raise Broken(
                    "I12", f"{key.run_id} is still {row.state} as its last process left it"
                )


def _is_due(job: JobRow | None, key: RunKey, row: RunRow) -> bool:
    """Say whether a visit is to hand a run over again."""
    return (
        job is not None
        and job.state == "active"
        and job.incarnation == key.incarnation
        and job.next_slot is not None
        and job.next_slot <= row.scheduled_at
    )


def _later(before: int | None, now: int | None) -> bool:
    """Say whether a pointer was later before than it is now; no slot comes after every slot."""
    return now is not None and (before is None or before > now)


def doubles(names: list[str]) -> list[str]:
    """Return what is there more than once."""
    return [name for name, times in Counter(names).items() if times > 1]
