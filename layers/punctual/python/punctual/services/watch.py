"""Look again at runs that should have ended: the second look, for what the queue lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from punctual.core.dispatch import queued_run
from punctual.core.identity import JobKey, RunKey
from punctual.core.runs import Move, Run, Stretch, give_up, reap
from punctual.core.watching import Finding, Look, Reference, Verb, WatchRow, examine
from punctual.ports import (
    Chance,
    Clock,
    JobStore,
    Outgoing,
    RunQueue,
    RunStore,
    Transact,
    WatchList,
)
from punctual.services.looks import note_down

ROWS_AT_ONCE = 4
"""Watch rows dealt with together: their references fit one read of a hundred runs."""


@dataclass(kw_only=True)
class Looked:
    """What one look did; counts are of this call."""

    rows: int = 0
    inserted: int = 0
    """Runs whose row was owed and missing."""
    sent: int = 0
    """Runs sent again, the inserted ones included."""
    ended: int = 0
    """Runs that ended here: cancelled ones that nobody held, and those whose attempts are spent."""
    finished: bool = True
    """Whether every due row was dealt with before the time was up."""


class Watch:
    """Deals with the watch rows of some shards whose minute has come."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        runs: RunStore,
        watch_list: WatchList,
        queue: RunQueue,
        clock: Clock,
        chance: Chance,
        transact: Transact,
    ) -> None:
        self._jobs = jobs
        self._runs = runs
        self._watch_list = watch_list
        self._queue = queue
        self._clock = clock
        self._chance = chance
        self._transact = transact

    def __call__(self, shards: Sequence[int], *, deadline: datetime) -> Looked:
        """Deal with the due rows of `shards`; rows left at `deadline` are due at the next tick."""
        done = Looked()
        for page in self._watch_list.due(shards, now=self._clock.now()):
            for first in range(0, len(page), ROWS_AT_ONCE):
                if self._clock.now() >= deadline:
                    done.finished = False
                    return done
                rows = page[first : first + ROWS_AT_ONCE]
                self._transact(partial(self._deal_with, rows, done))
        return done

    def _deal_with(self, rows: Sequence[WatchRow], done: Looked) -> None:
        """Do what each reference needs, then remove the rows; a row that failed stays due.

        The next look is stored before anything else, so that no open run is ever unwatched.
        """
        now = self._clock.now()
        findings = self._examine(rows, now=now)
        trouble = self._watch_again(findings)
        trouble |= self._insert(findings, done)
        trouble |= self._send(findings, trouble, done)
        trouble |= self._end(findings, now=now, done=done)
        settled = [
            row for row in rows if trouble.isdisjoint(reference.key for reference in row.references)
        ]
        self._watch_list.remove(settled)
        done.rows += len(rows)

    def _examine(self, rows: Sequence[WatchRow], *, now: datetime) -> Mapping[Reference, "_Found"]:
        references = list(dict.fromkeys(ref for row in rows for ref in row.references))
        runs = self._runs.read(list(dict.fromkeys(ref.key for ref in references)))
        missing = [ref.key.job for ref in references if ref.key not in runs]
        jobs = self._jobs.read(list(dict.fromkeys(missing))) if missing else {}
        found: dict[Reference, _Found] = {}
        stretches: dict[JobKey, Sequence[Stretch]] = {}
        for ref in references:
            run, job = runs.get(ref.key), jobs.get(ref.key.job)
            finding = examine(ref, run, job, now=now)
            if finding.verb is Verb.INSERT:
                if ref.key.job not in stretches:
                    stretches[ref.key.job] = self._runs.stretches(
                        ref.key.job, incarnation=ref.key.incarnation
                    )
                finding = examine(ref, run, job, now=now, left_out=stretches[ref.key.job])
            slot = ref.key.slot
            if finding.verb is Verb.INSERT and job is not None and slot is not None:
                run = queued_run(job, slot, schedule_revision=ref.schedule_revision)
            found[ref] = _Found(finding, run)
        return found

    def _watch_again(self, findings: Mapping[Reference, "_Found"]) -> set[RunKey]:
        looks = [
            Look(reference=reference, at=found.finding.look_at)
            for reference, found in findings.items()
            if found.finding.look_at is not None
        ]
        watched = note_down(looks, watch_list=self._watch_list, chance=self._chance)
        return {look.reference.key for look in looks} - watched

    def _insert(self, findings: Mapping[Reference, "_Found"], done: Looked) -> set[RunKey]:
        owed = [
            found.run
            for found in findings.values()
            if found.finding.verb is Verb.INSERT and found.run is not None
        ]
        answers = self._runs.insert(owed) if owed else []
        failed = {run.key for run, is_there in zip(owed, answers, strict=True) if not is_there}
        done.inserted += len(owed) - len(failed)
        return failed

    def _send(
        self, findings: Mapping[Reference, "_Found"], trouble: set[RunKey], done: Looked
    ) -> set[RunKey]:
        messages = [
            Outgoing(key=found.run.key, lane=found.run.lane, at=found.finding.send_at)
            for found in findings.values()
            if found.run is not None
            and found.finding.send_at is not None
            and found.run.key not in trouble
        ]
        answers = self._queue.send(messages) if messages else []
        failed = {
            message.key for message, is_sent in zip(messages, answers, strict=True) if not is_sent
        }
        done.sent += len(messages) - len(failed)
        return failed

    def _end(
        self, findings: Mapping[Reference, "_Found"], *, now: datetime, done: Looked
    ) -> set[RunKey]:
        """End what nobody holds; a refused end was overtaken, and its row is read again."""
        moves: dict[RunKey, Move] = {}
        for found in findings.values():
            if found.run is None:
                continue
            if found.finding.verb is Verb.REAP:
                moves[found.run.key] = reap(found.run, now=now)
            elif found.finding.verb is Verb.GIVE_UP:
                moves[found.run.key] = give_up(found.run, now=now)
        moved = self._runs.move(list(moves.values())) if moves else []
        refused = {key for key, end in zip(moves, moved, strict=True) if not end.applied}
        done.ended += len(moves) - len(refused)
        return refused


@dataclass(frozen=True, slots=True)
class _Found:
    """What a look found, and the run it is about; for a row that is owed, the row to insert."""

    finding: Finding
    run: Run | None
