"""Create, change, pause, resume and delete jobs."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import compress

from punctual.core.changes import (
    HANDED_OVER_MAX,
    JobSpec,
    changed,
    created,
    deleted,
    moves_slots,
    parting,
    paused,
    placed,
    refuse_stale,
    rescheduled,
    resumed,
)
from punctual.core.dispatch import TICK
from punctual.core.errors import (
    Conflict,
    IdempotencyKeyReused,
    InvalidSchedule,
    JobGone,
    JobNotFound,
    PunctualError,
    RevisionConflict,
    StoreUnavailable,
)
from punctual.core.identity import JobKey, RunKey
from punctual.core.jobs import Content, Job, JobState
from punctual.core.records import content_ref
from punctual.core.runs import VoidQueued
from punctual.core.slots import slots_between
from punctual.ports import Clock, JobStore, RunStore, Transact
from punctual.services.dispatch import Dispatch

TRIES = 10
"""How often a change is made anew after another one came first."""

PAGES_AT_ONCE = 10
"""Pages read for one listing whose filter leaves little; the next listing goes on from there."""

__all__ = ["JobSpec", "Jobs", "Listing", "Stored", "Wanted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A job as it stands after a request."""

    job: Job
    content: Content
    created: bool = False
    """Whether this request brought it into being."""
    replayed: bool = False
    """Whether this request repeats one that brought it into being."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One job of several that are to be created; see `Jobs.create`."""

    key: JobKey
    """Of no other one among them."""
    spec: JobSpec
    fingerprint: str
    repeatable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Part of a tenant's jobs."""

    items: tuple[tuple[Job, Content], ...]
    after: str | None
    """The job id after which the next part begins; None when this is the last."""


class Jobs:
    """What users do with jobs. Every change is one conditional write of one job."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        runs: RunStore,
        dispatch: Dispatch,
        clock: Clock,
        transact: Transact,
    ) -> None:
        self._jobs = jobs
        self._runs = runs
        self._dispatch = dispatch
        self._clock = clock
        self._transact = transact

    def create(self, key: JobKey, spec: JobSpec, *, fingerprint: str, repeatable: bool) -> Stored:
        """Create a job, or find the one that an earlier sending of the same request created.

        Args:
            key: The job's name; for a repeatable request one that follows from the request's key.
            spec: What is wanted.
            fingerprint: Digest of the request's body.
            repeatable: Whether a repetition of the request comes under the same name.

        Raises:
            IdempotencyKeyReused: The name was taken by another body under the same key.
            JobGone: The job that this request once created is deleted.
            Conflict: The name is taken.
            InvalidSchedule: The schedule has no slot any more.
        """
        for _ in range(TRIES):
            standing = self._jobs.read([key]).get(key)
            if standing is None or (standing.state is JobState.DELETED and not repeatable):
                stored = self._try_to_create(key, spec, fingerprint, tombstone=standing)
                if stored is not None:
                    return stored
                continue
            if standing.state is JobState.DELETED:
                raise JobGone("the job that this request created has been deleted")
            if standing.fingerprint == fingerprint:
                return replace(self._with_content(standing), replayed=True)
            if repeatable:
                raise IdempotencyKeyReused(
                    f"the key was used with another body: its fingerprint is {standing.fingerprint}"
                    f", that of this body {fingerprint}"
                )
            raise Conflict(f"there is a job {key.job_id!r} already")
        raise _busy()

    def create_all(self, wanted: Sequence[Wanted]) -> list[Stored | PunctualError]:
        """Create jobs, as `create` does each, those that are new together.

        Args:
            wanted: At most so many as one request names.

        Returns:
            For each what stands after the request, or why it was not created.
        """
        now = self._clock.now()
        made: dict[JobKey, tuple[Job, Content]] = {}
        for want in wanted:
            with suppress(InvalidSchedule):  # told below
                content = content_ref(want.spec.content)
                made[want.key] = (
                    created(
                        want.key,
                        want.spec,
                        content=content,
                        fingerprint=want.fingerprint,
                        tombstone=None,
                        now=now,
                    ),
                    want.spec.content,
                )
        stored = self._transact(lambda: self._store_new(list(made.values())))
        return [
            Stored(job=made[want.key][0], content=made[want.key][1], created=True)
            if want.key in stored
            else self._create_or_tell(want)
            for want in wanted
        ]

    def _store_new(self, jobs: Sequence[tuple[Job, Content]]) -> set[JobKey]:
        """Store those that are new and hand over what is near; return their names."""
        stored = [job for job, _ in compress(jobs, self._jobs.create_new(jobs))]
        for job in stored:
            self._dispatch.visit(job)
        return {job.key for job in stored}

    def _create_or_tell(self, want: Wanted) -> Stored | PunctualError:
        try:
            return self.create(
                want.key, want.spec, fingerprint=want.fingerprint, repeatable=want.repeatable
            )
        except PunctualError as error:
            return error

    def put(self, key: JobKey, spec: JobSpec, *, fingerprint: str, if_match: int | None) -> Stored:
        """Bring a job to what `spec` says, creating it if there is none.

        Raises:
            RevisionConflict: The job is not at revision `if_match`, or is not there at all.
            Conflict: It is changed by others all the time, or its slots too often.
            InvalidSchedule: The schedule has no slot any more.
        """
        for _ in range(TRIES):
            standing = self._jobs.read([key]).get(key)
            if standing is None or standing.state is JobState.DELETED:
                if if_match is not None:
                    raise RevisionConflict(f"there is no job {key.job_id!r}")
                stored = self._try_to_create(key, spec, fingerprint, tombstone=standing)
            else:
                refuse_stale(standing, if_match)
                stored = self._try_to_change(standing, spec)
            if stored is not None:
                return stored
        raise _busy()

    def get(self, key: JobKey) -> Stored:
        """Return a job.

        Raises:
            JobNotFound: There is none.
        """
        return self._with_content(self._read(key))

    def list(
        self,
        tenant: str,
        *,
        prefix: str = "",
        state: JobState | None = None,
        tag: tuple[str, str] | None = None,
        after: str | None = None,
        limit: int,
    ) -> Listing:
        """List jobs in the order of their ids.

        Args:
            tenant: Whose.
            prefix: Only jobs whose id begins so.
            state: Only jobs that a user sees in this state.
            tag: Only jobs with this tag.
            after: Begin after this job id.
            limit: At most so many; there may be fewer though more follow.
        """
        now = self._clock.now()
        found: list[tuple[Job, Content]] = []
        for _ in range(PAGES_AT_ONCE):
            page = self._jobs.list(tenant, prefix=prefix, after=after, limit=limit)
            contents = self._jobs.read_contents([(job.key, job.content) for job in page.jobs])
            for job in page.jobs:
                content = contents.get((job.key, job.content))
                if content is None or (state is not None and job.state_at(now) is not state):
                    continue
                if tag is not None and tag not in content.tags:
                    continue
                if len(found) == limit:
                    return Listing(items=tuple(found), after=found[-1][0].key.job_id)
                found.append((job, content))
            after = page.last_job_id
            if after is None or len(found) == limit:
                break
        return Listing(items=tuple(found), after=after)

    def pause(self, key: JobKey, *, note: str | None) -> Stored:
        """Pause a job: once this returns, no further run of it starts.

        Raises:
            JobNotFound: There is none.
            Conflict: It has ended.
        """
        job = self._change(key, lambda job: paused(job, note=note, now=self._clock.now()))
        return self._with_content(job)

    def resume(self, key: JobKey) -> Stored:
        """Let a paused job go on; its catch-up rule says what becomes of the slots meanwhile.

        Raises:
            JobNotFound: There is none.
        """
        job = self._change(key, lambda job: resumed(job, now=self._clock.now()))
        self._dispatch.visit(job)
        return self._with_content(job)

    def delete(self, key: JobKey, *, if_match: int | None) -> None:
        """Delete a job: once this returns, no attempt of it starts; live ones are told to stop.

        Raises:
            JobNotFound: There is none.
            RevisionConflict: It is not at revision `if_match`.
        """

        def tombstone(job: Job) -> Job:
            refuse_stale(job, if_match)
            return deleted(job, now=self._clock.now())

        self._change(key, tombstone)

    def _read(self, key: JobKey) -> Job:
        job = self._jobs.read([key]).get(key)
        if job is None or job.state is JobState.DELETED:
            raise JobNotFound(f"there is no job {key.job_id!r}")
        return job

    def _with_content(self, job: Job) -> Stored:
        contents = self._jobs.read_contents([(job.key, job.content)])
        content = contents.get((job.key, job.content))
        if content is None:
            # Written before the job and dated after it: only a store that lost it lacks it.
            raise StoreUnavailable(f"the content of job {job.key.job_id!r} cannot be read")
        return Stored(job=job, content=content)

    def _change(self, key: JobKey, change: Callable[[Job], Job]) -> Job:
        """Read, change and write a job until nobody came in between."""
        for _ in range(TRIES):
            job = self._read(key)
            wanted = change(job)
            if wanted is job or self._jobs.change(wanted, seen=job):
                return wanted
        raise _busy()

    def _try_to_create(
        self, key: JobKey, spec: JobSpec, fingerprint: str, *, tombstone: Job | None
    ) -> Stored | None:
        """Store a new job and hand over what is near; None when another request came first."""
        content = content_ref(spec.content)
        job = created(
            key,
            spec,
            content=content,
            fingerprint=fingerprint,
            tombstone=tombstone,
            now=self._clock.now(),
        )

        def store() -> bool:
            self._jobs.put_content(key, content, spec.content)
            if self._jobs.create(job, over=tombstone) is not None:
                return False
            self._dispatch.visit(job)
            return True

        if not self._transact(store):
            return None
        return Stored(job=job, content=spec.content, created=True)

    def _try_to_change(self, job: Job, spec: JobSpec) -> Stored | None:
        """Write a new definition of a job; None when another writer came first."""
        now = self._clock.now()
        content = content_ref(spec.content)
        schedule = placed(spec.schedule, job.key, before=job.schedule, now=now)
        if moves_slots(job, schedule):
            return self._try_to_reschedule(job, spec, content=content, now=now)
        if (job.name, job.schedule, job.policy, job.content) == (
            spec.name,
            schedule,
            spec.policy,
            content,
        ):
            return Stored(job=job, content=spec.content)
        wanted = changed(job, spec, content=content, now=now)
        self._jobs.put_content(job.key, content, spec.content)
        if not self._jobs.change(wanted, seen=job):
            return None
        return Stored(job=wanted, content=spec.content)

    def _try_to_reschedule(
        self, job: Job, spec: JobSpec, *, content: str, now: datetime
    ) -> Stored | None:
        """Part the old slots from the new at one instant: hand over, change, hand over, undo."""
        at = parting(job, now=now)
        if job.next_slot is not None and job.next_slot <= at:
            self._dispatch.visit(job, until=at, paused=True)
            handed_over = self._read(job.key)
            if handed_over.revision != job.revision:
                return None
            if handed_over.next_slot is not None and handed_over.next_slot <= at:
                raise Conflict("the job owes runs from an outage: try again in a minute")
            job = handed_over
        wanted = rescheduled(job, spec, content=content, at=at, now=now)
        self._jobs.put_content(job.key, content, spec.content)
        if not self._jobs.change(wanted, seen=job):
            return None
        self._dispatch.visit(wanted)
        self._void_queued(job, after=at)
        return Stored(job=wanted, content=spec.content)

    def _void_queued(self, job: Job, *, after: datetime) -> None:
        """Take away the queued rows that the change left behind, so that nobody wonders.

        Executors void what this does not reach.
        """
        keys = [
            RunKey.of_slot(job.key, incarnation=job.incarnation, slot=slot)
            for slot in _handed_over_ahead(job, after=after)
        ]
        if keys:
            self._runs.move(
                [VoidQueued(key=key, schedule_revision=job.schedule_revision) for key in keys]
            )


def _handed_over_ahead(job: Job, *, after: datetime) -> Sequence[datetime]:
    until = job.last_slot if job.next_slot is None else job.next_slot - TICK
    if until is None or until <= after:
        return []
    slots = slots_between(job.schedule, after=after, until=until)
    return [slot for slot, _ in zip(slots, range(HANDED_OVER_MAX), strict=False)]


def _busy() -> Conflict:
    return Conflict("the job is being changed by others: try again")
