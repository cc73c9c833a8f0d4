"""Run what somebody asks for: watch, row, send; and nothing twice."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from punctual.core.asking import asked_run, own_until, refuse_paused, with_body
from punctual.core.errors import Conflict, JobGone, JobNotFound, RunNotFound, StoreUnavailable
from punctual.core.identity import JobKey, RunKey
from punctual.core.jobs import Content, Job, JobState
from punctual.core.requests import KEPT, Request, digest_of, refuse_other
from punctual.core.runs import Run, Trigger
from punctual.core.strands import MANUAL, REPLAYS, asked_name
from punctual.core.watching import Look, Reference, look_after
from punctual.ports import (
    Chance,
    Clock,
    JobStore,
    Outgoing,
    RequestStore,
    RunQueue,
    RunStore,
    Transact,
    WatchList,
)
from punctual.services.looks import note_down

UNSENT_LOOK_AFTER = timedelta(minutes=1)
"""When to look at a run that surely was not sent: its user is waiting for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What tells a repetition of a request from another one."""

    text: str
    """As the client gave it."""
    fingerprint: str
    """Digest of the request's body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A run that was asked for, as it stands after the request."""

    run: Run
    replayed: bool = False
    """Whether an earlier sending of the request asked for it."""


class Asking:
    """Brings runs into being that no schedule names. The schedule goes on as if there were none."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        runs: RunStore,
        requests: RequestStore,
        watch_list: WatchList,
        queue: RunQueue,
        clock: Clock,
        chance: Chance,
        transact: Transact,
    ) -> None:
        self._jobs = jobs
        self._runs = runs
        self._requests = requests
        self._watch_list = watch_list
        self._queue = queue
        self._clock = clock
        self._chance = chance
        self._transact = transact

    def run_now(self, job_key: JobKey, *, body: Any = None, key: Key | None = None) -> Asked:  # noqa: ANN401 - JSON
        """Run a job now.

        Args:
            job_key: Which.
            body: What its call sends this time; None: what it always sends.
            key: Of the request, if it may be repeated.

        Raises:
            JobNotFound: There is none.
            Conflict: It is paused.
            IdempotencyKeyReused: The key came with another body before.
            JobGone: The key was for a run of a job that has been deleted since.
            InvalidRequest: The job's target cannot send this body.
            StoreUnavailable: The run may have been asked for or not; repeating it tells.
        """
        job = self._read(job_key)
        content = None if body is None else with_body(self._content(job, job.content), body)
        wanted = _Wanted(trigger=Trigger.MANUAL, strand=MANUAL, content=content)
        return self._ask(job, wanted, route="runs", key=key)

    def replay(self, run_key: RunKey, *, key: Key | None = None) -> Asked:
        """Run once more what a run did: for the same time, with its own body if it had one.

        All else is as the job has it by now.

        Raises:
            RunNotFound: There is no such run, or its job is of another life.
            Conflict: It has no outcome yet, or its job is paused.
            IdempotencyKeyReused: The key was used for another request.
            JobGone: The key was for a run of a job that has been deleted since.
            StoreUnavailable: The run may have been asked for or not; repeating it tells.
        """
        original = self._runs.read([run_key]).get(run_key)
        job = self._jobs.read([run_key.job]).get(run_key.job)
        if original is None or job is None or job.incarnation != run_key.incarnation:
            raise RunNotFound(f"there is no run {run_key.run_id!r}")
        if job.state is JobState.DELETED:
            raise Conflict("the run's job is deleted")
        if not original.state.terminal:
            raise Conflict("the run has no outcome yet: it goes on by itself")

        content = None if original.content is None else self._content(job, original.content)
        wanted = _Wanted(
            trigger=Trigger.REPLAY,
            strand=REPLAYS,
            content=content,
            scheduled_at=original.scheduled_at,
        )
        return self._ask(job, wanted, route=f"replay {run_key.run_id}", key=key)

    def _read(self, key: JobKey) -> Job:
        job = self._jobs.read([key]).get(key)
        if job is None or job.state is JobState.DELETED:
            raise JobNotFound(f"there is no job {key.job_id!r}")
        return job

    def _content(self, job: Job, ref: str) -> Content:
        content = self._jobs.read_contents([(job.key, ref)]).get((job.key, ref))
        if content is None:
            raise StoreUnavailable(f"the content of job {job.key.job_id!r} cannot be read")
        return content

    def _ask(self, job: Job, wanted: "_Wanted", *, route: str, key: Key | None) -> Asked:
        now = self._clock.now()
        name = asked_name(wanted.strand, at=now, token=self._chance.token())
        if key is None:
            refuse_paused(job)
            return self._transact(lambda: self._hand_over(job, name, wanted, now=now))
        request = Request(
            job=job.key,
            incarnation=job.incarnation,
            digest=digest_of(route, key.text),
            fingerprint=key.fingerprint,
            run=name,
            expires_at=now + KEPT,
        )
        return self._transact(lambda: self._ask_once(job, request, wanted, now=now))

    def _ask_once(self, job: Job, request: Request, wanted: "_Wanted", *, now: datetime) -> Asked:
        """Do what the first sending of the request has not done yet.

        Whoever comes first names the run; from there on, whoever comes goes on with that name.
        """
        standing = self._requests.find(job.key, digest=request.digest)
        if standing is None:
            refuse_paused(job)
            standing = self._requests.remember(request)
        refuse_other(standing, fingerprint=request.fingerprint)
        if standing.run != request.run:
            key = RunKey(job.key, standing.incarnation, standing.run)
            run = self._runs.read([key]).get(key)
            if run is not None:
                return Asked(run=run, replayed=True)
        if standing.incarnation != job.incarnation:
            raise JobGone("the job that was asked for this run has been deleted since")
        refuse_paused(job)
        return self._hand_over(job, standing.run, wanted, now=now)

    def _hand_over(self, job: Job, name: str, wanted: "_Wanted", *, now: datetime) -> Asked:
        """Carry out the steps in their order; each refuses its own repetition.

        The watch comes first, so that no row is ever left unwatched. A look that finds no row finds
        that nothing is owed: whoever asked got no answer.
        """
        run = asked_run(
            job,
            name,
            trigger=wanted.trigger,
            content=wanted.content,
            scheduled_at=wanted.scheduled_at,
        )
        if wanted.content is not None and run.content is not None:
            until = own_until(job, now=now)
            self._jobs.put_content(job.key, run.content, wanted.content, until=until)
        if not self._note_down(run, at=look_after(now)) or not self._runs.insert([run])[0]:
            raise StoreUnavailable("the store gave no answer")
        if not self._queue.send([Outgoing(key=run.key, lane=run.lane, at=now)])[0]:
            self._note_down(run, at=now + UNSENT_LOOK_AFTER)
        return Asked(run=run)

    def _note_down(self, run: Run, *, at: datetime) -> bool:
        look = Look(reference=Reference(run.key, run.schedule_revision), at=at)
        return bool(note_down([look], watch_list=self._watch_list, chance=self._chance))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What somebody asks for."""

    trigger: Trigger
    strand: str
    content: Content | None
    """Of its own; None: that of its job."""
    scheduled_at: datetime | None = None
    """What its call says that it is for; None: when it was asked for."""
