"""Any creates, changes, claims and deletes in any order leave what the port's sentences say.

Every write is made by someone who read the job now or some time ago, so that most of them meet
what they did not see.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from punctual.core.identity import JobKey
from punctual.core.jobs import TOMBSTONE_KEPT, Job, JobState
from tests.contract.engines import MINISTACK
from tests.contract.jobs import a_claim, due
from tests.support.builders import HOUR, MINUTE, a_due_job, a_job, a_tombstone
from tests.support.clock import NINE
from tests.support.engines import Engine

NAMES = ("one", "two")

names = st.sampled_from(NAMES)
ages = st.integers(0, 3)
"""How many versions ago somebody read the job."""


class AnyChanges(RuleBasedStateMachine):
    """Drives one engine and plain lists of versions side by side; every story has its tenant."""

    engine: ClassVar[Engine]
    tenants: ClassVar["count[int]"]

    @initialize()
    def begin(self) -> None:
        self.tenant = f"tenant-{next(self.tenants)}"
        self.versions: dict[str, list[Job]] = {name: [] for name in NAMES}
        self.engine.clock.set(NINE)
        self.serial = count(1)

    def standing(self, name: str) -> Job | None:
        """Return the job or tombstone as it must be now; None when there is none any more."""
        if not self.versions[name]:
            return None
        job = self.versions[name][-1]
        expired = job.updated_at + TOMBSTONE_KEPT <= self.engine.clock.now()
        return None if job.state is JobState.DELETED and expired else job

    def seen(self, name: str, age: int) -> Job:
        """Return the job as somebody read it."""
        versions = self.versions[name]
        return versions[max(len(versions) - 1 - age, 0)]

    @rule(name=names, age=ages, over=st.booleans())
    def create(self, name: str, age: int, over: bool) -> None:
        seen = self.seen(name, age) if over and self.versions[name] else None
        standing = self.standing(name)
        job = a_job(
            name,
            tenant=self.tenant,
            incarnation=seen.incarnation + 1 if seen else 1,
            revision=seen.revision + 1 if seen else 1,
            name=f"created {next(self.serial)}",
        )

        answer = self.engine.jobs.create(job, over=seen)

        may = standing is None or (
            standing.state is JobState.DELETED
            and seen is not None
            and standing.revision == seen.revision
        )
        assert answer == (None if may else standing)
        if may:
            self.versions[name].append(job)
            assert self.engine.jobs.create(job, over=seen) is None, "the answer was lost"

    @precondition(lambda self: any(self.versions.values()))
    @rule(
        name=names,
        age=ages,
        state=st.sampled_from(JobState),
        pointer=st.none() | st.integers(0, 9),
    )
    def change(self, name: str, age: int, state: JobState, pointer: int | None) -> None:
        if not self.versions[name] or self.seen(name, age).state is JobState.DELETED:
            return
        seen, standing = self.seen(name, age), self.standing(name)
        now = self.engine.clock.now()
        if state is JobState.DELETED:
            wanted = replace(a_tombstone(seen, at=now), name=f"deleted {next(self.serial)}")
        else:
            wanted = replace(
                seen,
                state=state,
                revision=seen.revision + 1,
                name=f"changed {next(self.serial)}",
                next_slot=None if pointer is None else NINE + pointer * MINUTE,
                updated_at=now,
            )

        applied = self.engine.jobs.change(wanted, seen=seen)

        assert applied == (standing is not None and version(standing) == version(seen))
        if applied:
            self.versions[name].append(wanted)
            assert self.engine.jobs.change(wanted, seen=seen), "the answer was lost"

    @rule(picks=st.dictionaries(names, st.tuples(ages, st.booleans()), min_size=1))
    def claim(self, picks: dict[str, tuple[int, bool]]) -> None:
        claims, expected = [], []
        for name, (age, last) in picks.items():
            if not self.versions[name] or self.seen(name, age).next_slot is None:
                continue
            seen, standing = self.seen(name, age), self.standing(name)
            claim = a_claim(seen)
            if last:
                ended = JobState.ENDED if seen.state is JobState.ACTIVE else seen.state
                claim = replace(claim, next_slot=None, state=ended, last_slot=seen.next_slot)
            claims.append(claim)
            holds = standing is not None and version(standing) == version(seen)
            expected.append(holds)
            if holds and standing is not None:
                self.versions[name].append(
                    replace(
                        standing,
                        next_slot=claim.next_slot,
                        ordinal=claim.ordinal,
                        state=claim.state,
                        last_slot=claim.last_slot or standing.last_slot,
                    )
                )

        assert self.engine.jobs.claim(claims) == expected

    @rule(name=names)
    def park(self, name: str) -> None:
        key, now = JobKey(self.tenant, name), self.engine.clock.now()

        self.engine.jobs.park(key, reason="parked", now=now)

        job = self.standing(name)
        if job is not None and job.state is JobState.ACTIVE:
            parked = replace(job, state=JobState.PAUSED, revision=job.revision + 1)
            parked = replace(parked, paused_at=now, updated_at=now, pause_note="parked")
            self.versions[name].append(parked)

    @rule(step=st.sampled_from([MINUTE, TOMBSTONE_KEPT - HOUR, TOMBSTONE_KEPT]))
    def time_passes(self, step: timedelta) -> None:
        self.engine.clock.advance(step)

    @invariant()
    def the_jobs_are_the_same(self) -> None:
        if not hasattr(self, "tenant"):  # not before the story begins
            return
        keys = {name: JobKey(self.tenant, name) for name in NAMES}
        expected = {keys[name]: job for name in NAMES if (job := self.standing(name)) is not None}
        assert self.engine.jobs.read(list(keys.values())) == expected
        alive = [job for job in expected.values() if job.state is not JobState.DELETED]
        listed = self.engine.jobs.list(self.tenant, prefix="", after=None, limit=5).jobs
        assert list(listed) == alive
        until = NINE + 5 * MINUTE
        shards = sorted({a_job(name, tenant=self.tenant).shard for name in NAMES})
        found = [job for job in due(self.engine, until, shards) if job.key.tenant == self.tenant]
        assert {job.key: job for job in found} == {
            job.key: a_due_job(job)
            for job in alive
            if job.state is JobState.ACTIVE and job.next_slot is not None and job.next_slot <= until
        }


def version(job: Job) -> tuple[int, datetime | None, JobState]:
    """Return what a change and a claim must not have missed."""
    return job.revision, job.next_slot, job.state


@pytest.mark.parametrize(
    ("engine", "stories"),
    [("memory", 100), pytest.param(*MINISTACK.values, 12, marks=MINISTACK.marks)],
    indirect=["engine"],
)
def test_any_changes_leave_what_the_port_says(engine: Engine, stories: int) -> None:
    driven = type("Driven", (AnyChanges,), {"engine": engine, "tenants": count()})

    run_state_machine_as_test(
        driven,
        settings=settings(
            max_examples=stories,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
