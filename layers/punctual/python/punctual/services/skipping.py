"""Leave out one coming slot: its run reads `skipped` before it is due."""

from datetime import datetime

from punctual.core.dispatch import queued_run
from punctual.core.errors import Conflict, JobNotFound, RunNotFound, StoreUnavailable
from punctual.core.identity import JobKey, RunKey
from punctual.core.instants import format_instant
from punctual.core.jobs import Job, JobState
from punctual.core.runs import Ending, Run, RunState, Skip, after
from punctual.core.skipping import REASON, is_to_come
from punctual.core.watching import Look, Reference, look_after
from punctual.ports import Chance, Clock, JobStore, RunStore, Transact, WatchList
from punctual.services.looks import note_down

TRIES = 10
"""How often a skip follows a run that moves on meanwhile."""


class Skipping:
    """Leaves out slots. Each counts as handed over, and as one of `max_runs`."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        runs: RunStore,
        watch_list: WatchList,
        clock: Clock,
        chance: Chance,
        transact: Transact,
    ) -> None:
        self._jobs = jobs
        self._runs = runs
        self._watch_list = watch_list
        self._clock = clock
        self._chance = chance
        self._transact = transact

    def __call__(self, job_key: JobKey, slot: datetime) -> Run:
        """Leave out a slot that is to come; doing it twice is fine.

        Raises:
            JobNotFound: There is no such job.
            RunNotFound: The job has no such slot to come.
            Conflict: The slot's run has begun already, or has an outcome.
            StoreUnavailable: The slot may be left out or not; repeating it tells.
        """
        job = self._jobs.read([job_key]).get(job_key)
        if job is None or job.state is JobState.DELETED:
            raise JobNotFound(f"there is no job {job_key.job_id!r}")
        if not is_to_come(job, slot, now=self._clock.now()):
            raise RunNotFound(f"the job has no slot to come at {format_instant(slot)}")
        return self._transact(lambda: self._skip(job, slot))

    def _skip(self, job: Job, slot: datetime) -> Run:
        """Skip the slot's row, which is brought into being if no visit has done so yet.

        A visit that comes later finds the row there: it counts the slot, and its message is dropped
        by the outcome. What dies in between leaves a row as a visit leaves it, watched.
        """
        key = RunKey.of_slot(job.key, incarnation=job.incarnation, slot=slot)
        for _ in range(TRIES):
            run = self._runs.read([key]).get(key)
            if run is None:
                run = self._inserted(queued_run(job, slot, schedule_revision=job.schedule_revision))
            if run.state is RunState.SKIPPED and run.reason == REASON:
                return run
            if run.state is not RunState.QUEUED:
                raise Conflict(f"the slot's run is {run.state} already")
            ending = Ending(state=RunState.SKIPPED, at=self._clock.now(), reason=REASON)
            skip = Skip(key=key, ending=ending, scheduled_at=slot)
            moved = self._runs.move([skip])[0]
            if moved.failed:
                raise StoreUnavailable("the store gave no answer")
            skipped = after(skip, run)
            if moved.applied and skipped is not None:
                return skipped
        raise Conflict("the run moves on all the time: try again")

    def _inserted(self, run: Run) -> Run:
        look = Look(
            reference=Reference(run.key, run.schedule_revision), at=look_after(run.scheduled_at)
        )
        watched = note_down([look], watch_list=self._watch_list, chance=self._chance)
        if not watched or not self._runs.insert([run])[0]:
            raise StoreUnavailable("the store gave no answer")
        return run
