"""A request about a job is one conditional write; no slot is lost around it, and none invented."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from punctual.core.dispatch import LOOK_AHEAD, Claim
from punctual.core.errors import (
    Conflict,
    IdempotencyKeyReused,
    InvalidSchedule,
    JobGone,
    JobNotFound,
    RevisionConflict,
    StoreUnavailable,
)
from punctual.core.jobs import CatchUp, Job, JobState, Policy
from punctual.core.runs import Move, RunState, VoidQueued
from punctual.core.schedules import At, Schedule
from punctual.ports import Moved
from punctual.services.jobs import PAGES_AT_ONCE, TRIES, JobSpec
from tests.support.builders import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    TICK,
    a_content,
    a_job,
    a_job_key,
    a_schedule,
)
from tests.support.clock import NINE
from tests.support.deployment import JOB, Deployment, a_deployment, a_spec
from tests.support.mishaps import Calls, Died, Flaky, every_death

LATER = NINE + 10 * MINUTE + 30 * SECOND
"""A while after nine, between two slots of a one-minute job."""


def once(at: datetime) -> Schedule:
    return Schedule(rule=At(at=at))


def every(duration: timedelta, **bounds: Any) -> Schedule:
    """Return an interval as a request has it: its anchor means nothing yet."""
    return a_schedule(duration, anchor=NINE - 1000 * DAY, **bounds)


class MovingJobs:
    """A job store in which somebody else writes first, before each of so many changes."""

    def __init__(self, deployed: Deployment, *, times: int) -> None:
        self._deployed = deployed
        self._times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._deployed.engine.jobs, name)

    def change(self, job: Job, *, seen: Job) -> bool:
        """See `JobStore.change`."""
        jobs = self._deployed.engine.jobs
        if self._times:
            self._times -= 1
            standing = jobs.read([job.key])[job.key]
            renamed = replace(standing, name="theirs", revision=standing.revision + 1)
            assert jobs.change(renamed, seen=standing)
        return jobs.change(job, seen=seen)


class Refusing:
    """A job store where somebody else is always first."""

    def __init__(self, jobs: Any) -> None:
        self._jobs = jobs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    def create(self, job: Job, **_: Job | None) -> Job | None:
        """See `JobStore.create`."""
        return job

    def change(self, *_: Job, **__: Job) -> bool:
        """See `JobStore.change`."""
        return False


class Unvoidable:
    """A run store that takes no queued row away."""

    def __init__(self, runs: Any) -> None:
        self._runs = runs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runs, name)

    def move(self, moves: Sequence[Move]) -> Sequence[Moved]:
        """See `RunStore.move`."""
        assert all(isinstance(move, VoidQueued) for move in moves), "all that a change asks for"
        return [Moved(applied=False, run=None, failed=True) for _ in moves]


class TestCreating:
    """A job is made once, however often it is asked for."""

    def test_stores_the_content_before_the_job_and_hands_over_what_is_near(
        self, deployed: Deployment
    ) -> None:
        stored = deployed.create(every(MINUTE))

        assert (stored.created, stored.replayed) == (True, False)
        assert stored.job == replace(deployed.job(), next_slot=NINE + MINUTE, ordinal=0), (
            "what is answered is the job as it was created"
        )
        made = deployed.calls.made
        assert made.index("jobs.put_content") < made.index("jobs.create") < made.index("jobs.claim")
        assert len(deployed.runs()) == 10

    @pytest.mark.parametrize(("first", "handed_over"), [(LOOK_AHEAD, 1), (LOOK_AHEAD + SECOND, 0)])
    def test_leaves_what_is_not_near_to_the_tick(
        self, deployed: Deployment, first: timedelta, handed_over: int
    ) -> None:
        deployed.create(once(NINE + first))

        assert len(deployed.runs()) == handed_over

    def test_starts_the_first_run_on_time_without_any_tick(self, deployed: Deployment) -> None:
        deployed.create(every(SECOND))

        deployed.run_until(NINE + 10 * SECOND, ticks=False)

        assert [at for at, _ in deployed.targets.calls] == [
            NINE + second * SECOND for second in range(1, 10)
        ]

    def test_of_a_single_run_in_the_past_runs_it_now(self, deployed: Deployment) -> None:
        deployed.create(once(NINE - DAY), start_deadline=HOUR, catch_up=CatchUp.NONE)

        deployed.run_until(NINE + SECOND, ticks=False)

        assert deployed.states() == {NINE - DAY: RunState.SUCCEEDED}
        assert deployed.job().state is JobState.ENDED

    def test_again_finds_the_job_that_was_made_as_it_is_now(self, deployed: Deployment) -> None:
        deployed.create(every(MINUTE))
        deployed.pause()

        again = deployed.create(every(MINUTE))

        assert (again.created, again.replayed) == (False, True)
        assert again.job.state is JobState.PAUSED
        assert deployed.job().incarnation == 1

    def test_under_the_same_key_with_another_body_is_refused_with_both_fingerprints(
        self, deployed: Deployment
    ) -> None:
        deployed.create(every(MINUTE))
        jobs = deployed.make_jobs()

        with pytest.raises(IdempotencyKeyReused, match=r"f{64}.*another"):
            jobs.create(JOB, a_spec(), fingerprint="another", repeatable=True)

    def test_a_name_that_is_taken_is_refused(self, deployed: Deployment) -> None:
        deployed.create(every(MINUTE))

        with pytest.raises(Conflict):
            deployed.make_jobs().create(JOB, a_spec(), fingerprint="another", repeatable=False)

    def test_late_after_the_job_was_deleted_brings_nothing_back(self, deployed: Deployment) -> None:
        deployed.create(every(MINUTE))
        deployed.delete()

        with pytest.raises(JobGone):
            deployed.make_jobs().create(JOB, a_spec(), fingerprint="f" * 64, repeatable=True)
        assert deployed.job().state is JobState.DELETED

    def test_a_job_without_a_slot_is_refused_and_nothing_is_stored(
        self, deployed: Deployment
    ) -> None:
        with pytest.raises(InvalidSchedule):
            deployed.create(every(MINUTE, end_at=NINE))

        assert deployed.engine.jobs.read([JOB]) == {}

    def test_that_meets_another_create_finds_its_job(self, deployed: Deployment) -> None:
        """Two sendings of one request arrive at once: one of them makes the job."""
        engine = deployed.engine

        class Racing:
            def __getattr__(self, name: str) -> Any:
                return getattr(engine.jobs, name)

            def create(self, job: Job, *, over: Job | None = None) -> Job | None:
                deployed.replaced.pop("jobs")
                deployed.create(every(MINUTE))
                return engine.jobs.create(replace(job, updated_at=NINE + TICK), over=over)

        deployed.replaced["jobs"] = Racing()

        assert deployed.create(every(MINUTE)).replayed
        assert deployed.job().ordinal == 10

    def test_gives_up_where_others_create_and_delete_all_the_time(
        self, deployed: Deployment
    ) -> None:
        deployed.create(every(MINUTE))
        deployed.delete()
        deployed.replaced["jobs"] = Refusing(deployed.engine.jobs)

        with pytest.raises(Conflict, match="changed by others"):
            deployed.create(every(MINUTE))
        with pytest.raises(Conflict, match="changed by others"):
            deployed.edit(every(MINUTE))


class TestALifeAfterDeletion:
    """A name may be used again; nothing of the old life reaches into the new one."""

    def test_counts_on_from_the_old_one(self, deployed: Deployment) -> None:
        deployed.create(every(MINUTE))
        deployed.delete()

        stored = deployed.create(every(MINUTE))

        assert stored.created
        assert (stored.job.incarnation, stored.job.revision) == (2, 3)
        assert deployed.job().state is JobState.ACTIVE

    def test_has_runs_of_its_own_though_the_slots_are_the_same(self, deployed: Deployment) -> None:
        deployed.create(every(MINUTE))
        deployed.delete()
        deployed.edit(every(MINUTE))

        deployed.run_until(NINE + 30 * MINUTE)

        assert set(deployed.states(incarnation=1).values()) == {RunState.CANCELLED}
        assert set(deployed.states(incarnation=2)) >= {
            NINE + minute * MINUTE for minute in range(1, 30)
        }
        assert all(call.run_id.startswith("report~2.") for _, call in deployed.targets.calls)

    def test_with_the_content_of_the_old_one_keeps_it(self, deployed: Deployment) -> None:
        deployed.create(every(MINUTE))
        deployed.delete()
        deployed.create(every(DAY))

        deployed.at(NINE + 200 * DAY)

        assert deployed.make_jobs().get(JOB).content == a_content()


class TestDeleting:
    """Once it has returned, no attempt that starts calls the target."""

    def test_cancels_what_was_handed_over(self, deployed: Deployment) -> None:
        deployed.create(every(MINUTE))
        deployed.run_until(NINE + 90 * SECOND)
        deployed.delete()
        called = len(deployed.targets.calls)

        deployed.run_until(NINE + 30 * MINUTE)

        assert len(deployed.targets.calls) == called == 1
        states = sorted(deployed.states().items())
        assert [state for _, state in states] == ["succeeded"] + ["cancelled"] * 9

    def test_hides_the_job(self, deployed: Deployment) -> None:
        deployed.create()
        deployed.delete()
        jobs = deployed.make_jobs()

        requests: list[Callable[[], object]] = [
            lambda: jobs.get(JOB),
            lambda: jobs.pause(JOB, note=None),
            lambda: jobs.resume(JOB),
            lambda: jobs.delete(JOB, if_match=None),
        ]
        for request in requests:
            with pytest.raises(JobNotFound):
                request()
        assert jobs.list("acme", limit=10).items == ()

    def test_of_another_revision_is_refused(self, deployed: Deployment) -> None:
        deployed.create()

        with pytest.raises(RevisionConflict):
            deployed.make_jobs().delete(JOB, if_match=2)
        deployed.make_jobs().delete(JOB, if_match=1)

        assert deployed.job().state is JobState.DELETED


class TestPausing:
    """Once it has returned, no run starts; what had begun goes on with its retries."""

    def test_and_resuming_again_withholds_exactly_the_slots_between(
        self, deployed: Deployment
    ) -> None:
        deployed.create(every(MINUTE), catch_up=CatchUp.NONE)
        deployed.run_until(NINE + 150 * SECOND)
        deployed.pause()
        deployed.run_until(NINE + 270 * SECOND)
        deployed.resume()
        deployed.run_until(NINE + 10 * MINUTE + SECOND)

        minutes = [(at - NINE) // MINUTE for at, _ in deployed.targets.calls]
        assert minutes == [1, 2, 5, 6, 7, 8, 9, 10]

    def test_says_why_and_may_say_something_else_later(self, deployed: Deployment) -> None:
        deployed.create()
        jobs = deployed.make_jobs()

        first = jobs.pause(JOB, note="too loud").job
        same = jobs.pause(JOB, note="too loud").job
        other = jobs.pause(JOB, note="far too loud").job

        assert (first.pause_note, other.pause_note) == ("too loud", "far too loud")
        assert (first.revision, same.revision, other.revision) == (2, 2, 3)
        assert other.paused_at == first.paused_at == NINE

    def test_of_a_job_that_has_ended_is_refused(self, deployed: Deployment) -> None:
        deployed.create(once(NINE))
        deployed.at(NINE + SECOND)

        with pytest.raises(Conflict):
            deployed.pause()

    def test_of_a_job_whose_last_slot_is_handed_over_withholds_that_slot(
        self, deployed: Deployment
    ) -> None:
        deployed.create(once(NINE + MINUTE))
        deployed.pause()
        deployed.run_until(NINE + HOUR)
        assert deployed.states() == {}

        deployed.resume()
        deployed.run_until(NINE + HOUR + MINUTE)

        assert deployed.states() == {NINE + MINUTE: RunState.SUCCEEDED}
        assert deployed.job().state is JobState.ENDED

    def test_that_others_get_ahead_of_is_tried_again(self, deployed: Deployment) -> None:
        deployed.create()
        deployed.replaced["jobs"] = MovingJobs(deployed, times=TRIES - 1)

        deployed.pause()

        assert (deployed.job().state, deployed.job().name) == (JobState.PAUSED, "theirs")

    def test_that_others_always_get_ahead_of_is_refused(self, deployed: Deployment) -> None:
        deployed.create()
        deployed.replaced["jobs"] = MovingJobs(deployed, times=TRIES)

        with pytest.raises(Conflict, match="changed by others"):
            deployed.pause()

    def test_leaves_what_an_outage_had_withheld_to_the_resume(self, deployed: Deployment) -> None:
        """Slots up to the pause are owed, whether they were handed over or not."""
        deployed.create(every(MINUTE), start_deadline=DAY)
        deployed.run_until(NINE + 20 * MINUTE + SECOND, ticks=False)
        deployed.pause()
        deployed.run_until(NINE + 40 * MINUTE)
        deployed.resume()
        deployed.run_until(NINE + 50 * MINUTE + SECOND)

        ended = [slot for slot, state in sorted(deployed.states().items()) if state.terminal]
        assert ended == [NINE + minute * MINUTE for minute in range(1, 51)]
        assert len(deployed.targets.calls) == 50


class TestResuming:
    """It goes on at the first slot that the pause withheld."""

    def test_hands_over_what_is_near_at_once(self, deployed: Deployment) -> None:
        deployed.create(every(MINUTE))
        deployed.pause()
        deployed.at(NINE + 5 * MINUTE - SECOND).resume()

        deployed.run_until(NINE + 5 * MINUTE + SECOND, ticks=False)

        assert deployed.targets.calls[-1][0] == NINE + 5 * MINUTE

    def test_of_a_job_that_is_not_paused_changes_nothing(self, deployed: Deployment) -> None:
        deployed.create(every(DAY))
        before = deployed.job()

        deployed.resume()

        assert deployed.job() == before

    def test_that_cannot_hand_over_now_leaves_it_to_the_tick(self, deployed: Deployment) -> None:
        deployed.create(every(MINUTE))
        deployed.pause()
        deployed.at(NINE + 5 * MINUTE + SECOND)
        deployed.replaced["runs"] = Flaky(deployed.engine.runs, insert=range(100))

        deployed.resume()
        assert deployed.job().next_slot == NINE + MINUTE
        deployed.replaced.pop("runs")
        deployed.run_until(NINE + 10 * MINUTE + SECOND)

        assert len(deployed.targets.calls) == 10


class TestWritingAnotherDefinition:
    """Only a change of the slots moves the pointer; everything else takes effect as it is."""

    def test_creates_a_job_where_there_is_none(self, deployed: Deployment) -> None:
        assert deployed.edit(every(MINUTE)).created
        assert len(deployed.runs()) == 10

    def test_that_is_the_same_changes_nothing(self, deployed: Deployment) -> None:
        deployed.create(every(MINUTE))
        before = deployed.job()
        deployed.at(LATER)

        again = deployed.edit(every(MINUTE))

        assert (again.created, again.job) == (False, before)
        assert deployed.job() == before

    def test_with_the_same_slots_leaves_pointer_and_runs_alone(self, deployed: Deployment) -> None:
        deployed.create(every(MINUTE))
        before, runs = deployed.job(), deployed.runs()

        deployed.edit(every(MINUTE), start_deadline=5 * MINUTE)

        job = deployed.job()
        assert (job.revision, job.schedule_revision, job.next_slot) == (2, 1, before.next_slot)
        assert job.policy.start_deadline == 5 * MINUTE
        assert deployed.runs() == runs

    @pytest.mark.parametrize("if_match", [0, 2, 7])
    def test_of_another_revision_is_refused(self, deployed: Deployment, if_match: int) -> None:
        deployed.create()
        jobs = deployed.make_jobs()

        with pytest.raises(RevisionConflict):
            jobs.put(JOB, a_spec(every(HOUR)), fingerprint="g", if_match=if_match)
        with pytest.raises(RevisionConflict):
            jobs.put(a_job_key("none"), a_spec(), fingerprint="g", if_match=1)
        assert jobs.put(JOB, a_spec(every(HOUR)), fingerprint="g", if_match=1).job.revision == 2

    def test_that_another_writer_gets_ahead_of_is_made_upon_what_that_one_left(
        self, deployed: Deployment
    ) -> None:
        deployed.create(every(MINUTE))
        deployed.replaced["jobs"] = MovingJobs(deployed, times=2)

        stored = deployed.edit(every(MINUTE), start_deadline=5 * MINUTE)

        assert stored.job.revision == 4
        assert deployed.job().policy.start_deadline == 5 * MINUTE

    def test_with_another_target_reaches_runs_that_were_handed_over_before(
        self, deployed: Deployment
    ) -> None:
        deployed.create(every(MINUTE))
        spec = JobSpec(
            schedule=every(MINUTE), policy=Policy(), content=a_content("https://example.com/new")
        )

        deployed.make_jobs().put(JOB, spec, fingerprint="g", if_match=None)
        deployed.run_until(NINE + MINUTE + SECOND)

        assert deployed.targets.urls == ["https://example.com/new"]


class TestChangingTheSlots:
    """Slots up to the change are the old schedule's, later ones the new one's, and each is one."""

    def test_parts_the_old_slots_from_the_new_at_the_change(self, deployed: Deployment) -> None:
        deployed.create(every(MINUTE))
        deployed.run_until(LATER)

        deployed.edit(every(40 * SECOND))
        deployed.run_until(LATER + 4 * MINUTE)

        assert [at for at, _ in deployed.targets.calls] == [
            *(NINE + minute * MINUTE for minute in range(1, 11)),
            *(LATER + n * 40 * SECOND for n in range(1, 6)),
        ]
        assert {s for s in deployed.states().values() if s.terminal} == {RunState.SUCCEEDED}

    def test_hands_over_at_once_what_is_near_by_the_new_schedule(
        self, deployed: Deployment
    ) -> None:
        deployed.create(every(HOUR))

        deployed.at(LATER).edit(every(5 * SECOND))
        deployed.run_until(LATER + 6 * SECOND, ticks=False)

        assert [at for at, _ in deployed.targets.calls] == [LATER + 5 * SECOND]

    def test_takes_away_the_queued_rows_that_it_left_behind(self, deployed: Deployment) -> None:
        deployed.create(every(MINUTE))
        deployed.at(LATER - 10 * MINUTE)

        deployed.edit(every(HOUR))

        assert list(deployed.states()) == []

    def test_leaves_those_rows_that_it_could_not_take_away_to_the_executor(
        self, deployed: Deployment
    ) -> None:
        deployed.create(every(MINUTE))
        deployed.at(LATER - 10 * MINUTE)
        deployed.replaced["runs"] = Unvoidable(deployed.engine.runs)
        deployed.edit(every(HOUR))
        deployed.replaced.pop("runs")

        deployed.run_until(NINE + 30 * MINUTE)

        assert deployed.states() == {}
        assert deployed.targets.calls == []

    def test_to_slots_that_are_the_same_in_part_hands_each_over_once(
        self, deployed: Deployment
    ) -> None:
        start = NINE - DAY
        deployed.create(every(MINUTE, start_at=start))
        deployed.at(LATER - 10 * MINUTE).edit(every(2 * MINUTE, start_at=start))
        deployed.run_until(NINE + 20 * MINUTE + SECOND)

        assert [(at - NINE) // MINUTE for at, _ in deployed.targets.calls] == list(range(2, 21, 2))
        assert {run.schedule_revision for run in deployed.runs()} == {2}

    def test_first_hands_over_what_the_old_schedule_owes(self, deployed: Deployment) -> None:
        deployed.create(every(MINUTE))
        deployed.run_until(NINE + 15 * MINUTE + 30 * SECOND, ticks=False)
        assert deployed.job().next_slot == NINE + 11 * MINUTE

        deployed.edit(every(HOUR))
        deployed.run_until(NINE + 16 * MINUTE)

        assert sorted(deployed.states()) == [NINE + minute * MINUTE for minute in range(1, 16)]
        assert deployed.job().next_slot == NINE + 75 * MINUTE + 30 * SECOND

    def test_is_refused_while_the_old_schedule_owes_more_than_a_visit(
        self, deployed: Deployment
    ) -> None:
        deployed.create(every(SECOND))
        deployed.at(NINE + HOUR)

        with pytest.raises(Conflict, match="owes runs"):
            deployed.edit(every(HOUR))
        assert deployed.job().schedule_revision == 1

        deployed.dispatch()
        assert deployed.edit(every(HOUR)).job.schedule_revision == 2

    def test_that_somebody_changed_while_it_was_visited_is_made_anew(
        self, deployed: Deployment
    ) -> None:
        deployed.create(every(MINUTE))
        deployed.at(LATER + 5 * MINUTE)
        engine = deployed.engine
        meddled: list[Job] = []

        class Meddled:
            def __getattr__(self, name: str) -> Any:
                return getattr(engine.jobs, name)

            def claim(self, claims: Sequence[Claim]) -> Sequence[bool]:
                if not meddled:
                    job = deployed.job()
                    meddled.append(replace(job, name="theirs", revision=job.revision + 1))
                    assert engine.jobs.change(meddled[0], seen=job)
                return engine.jobs.claim(claims)

        deployed.replaced["jobs"] = Meddled()
        stored = deployed.edit(every(HOUR))

        assert stored.job.revision == 3
        assert sorted(deployed.states()) == [NINE + minute * MINUTE for minute in range(1, 16)]

    def test_to_a_single_slot_in_the_past_is_refused(self, deployed: Deployment) -> None:
        deployed.create(every(MINUTE))
        deployed.at(LATER)

        with pytest.raises(InvalidSchedule):
            deployed.edit(once(LATER))

    def test_brings_a_job_back_that_had_ended(self, deployed: Deployment) -> None:
        deployed.create(once(NINE + SECOND))
        deployed.run_until(NINE + MINUTE)
        assert deployed.job().state is JobState.ENDED

        deployed.edit(once(NINE + 2 * MINUTE))
        deployed.run_until(NINE + 3 * MINUTE)

        assert deployed.states() == {
            NINE + SECOND: RunState.SUCCEEDED,
            NINE + 2 * MINUTE: RunState.SUCCEEDED,
        }

    def test_counts_towards_the_new_bound_what_was_carried_out(self, deployed: Deployment) -> None:
        """Slots that were handed over ahead and taken back count for nothing."""
        deployed.create(every(MINUTE, start_at=NINE))
        deployed.run_until(NINE + 3 * MINUTE + 30 * SECOND)

        deployed.edit(every(MINUTE, start_at=NINE, max_runs=5))
        deployed.run_until(NINE + HOUR)

        assert [(at - NINE) // MINUTE for at, _ in deployed.targets.calls] == [1, 2, 3, 4, 5]
        assert deployed.job().state is JobState.ENDED

    @pytest.mark.parametrize("catch_up", list(CatchUp))
    def test_during_a_pause_counts_from_where_the_pause_began(
        self, deployed: Deployment, catch_up: CatchUp
    ) -> None:
        start = NINE - DAY
        deployed.create(every(MINUTE, start_at=start), catch_up=catch_up)
        deployed.run_until(NINE + 150 * SECOND)
        deployed.pause()
        deployed.run_until(NINE + 6 * MINUTE)
        deployed.edit(every(2 * MINUTE, start_at=start), catch_up=catch_up)
        deployed.run_until(NINE + 9 * MINUTE)
        assert len(deployed.targets.calls) == 2

        deployed.resume()
        deployed.run_until(NINE + 13 * MINUTE)

        slots = sorted(slot for slot, state in deployed.states().items() if state == "succeeded")
        late = {CatchUp.ALL: [4, 6, 8], CatchUp.LATEST: [8], CatchUp.NONE: []}[catch_up]
        assert [(slot - NINE) // MINUTE for slot in slots] == [1, 2, *late, 10, 12]
        stretches = deployed.engine.runs.stretches(JOB, incarnation=1)
        assert sum(stretch.count for stretch in stretches) == 3 - len(late)

    def test_during_a_pause_first_settles_what_was_owed_before_it(
        self, deployed: Deployment
    ) -> None:
        deployed.create(every(MINUTE))
        deployed.at(NINE + 14 * MINUTE + 30 * SECOND).pause()
        assert deployed.job().next_slot == NINE + 11 * MINUTE
        deployed.at(NINE + 20 * MINUTE)

        deployed.edit(every(HOUR))
        deployed.run_until(NINE + 30 * MINUTE)

        assert deployed.states() == {
            NINE + minute * MINUTE: RunState.SKIPPED for minute in range(1, 15)
        }


class TestListing:
    """Jobs are listed in the order of their ids."""

    def ids(self, deployed: Deployment, **how: Any) -> list[str]:
        listing = deployed.make_jobs().list("acme", **{"limit": 100} | how)
        return [job.key.job_id for job, _ in listing.items]

    @pytest.fixture
    def deployed(self, deployed: Deployment) -> Deployment:
        """Eight jobs, of which some are paused, tagged or deleted."""
        for number in range(8):
            tags = (("team", "red" if number % 2 else "blue"),)
            spec = replace(a_spec(every(DAY)), content=a_content(tags=tags))
            key = a_job_key(f"job-{number}")
            deployed.make_jobs().create(key, spec, fingerprint="f", repeatable=False)
        deployed.pause(a_job_key("job-3"))
        deployed.delete(a_job_key("job-4"))
        return deployed

    def test_leaves_out_what_is_deleted(self, deployed: Deployment) -> None:
        assert self.ids(deployed) == [f"job-{n}" for n in (0, 1, 2, 3, 5, 6, 7)]

    def test_by_prefix_state_or_tag(self, deployed: Deployment) -> None:
        assert self.ids(deployed, prefix="job-7") == ["job-7"]
        assert self.ids(deployed, state=JobState.PAUSED) == ["job-3"]
        assert self.ids(deployed, tag=("team", "red")) == ["job-1", "job-3", "job-5", "job-7"]
        assert self.ids(deployed, tag=("team", "green")) == []

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
    @pytest.mark.parametrize("tag", [None, ("team", "red")])
    def test_in_parts_gives_each_job_once(
        self, deployed: Deployment, limit: int, tag: tuple[str, str] | None
    ) -> None:
        jobs, found, after = deployed.make_jobs(), [], None
        for _ in range(20):
            listing = jobs.list("acme", tag=tag, after=after, limit=limit)
            assert len(listing.items) <= limit
            found += [job.key.job_id for job, _ in listing.items]
            after = listing.after
            if after is None:
                break

        assert after is None
        assert found == self.ids(deployed, tag=tag)

    def test_with_a_filter_that_leaves_little_reads_no_further_than_some_pages(
        self, deployed: Deployment
    ) -> None:
        for number in range(PAGES_AT_ONCE + 5):
            deployed.create(every(DAY), key=a_job_key(f"many-{number:03d}"))

        listing = deployed.make_jobs().list("acme", prefix="many", state=JobState.PAUSED, limit=1)

        assert listing.items == ()
        assert listing.after is not None
        assert deployed.calls.made[-2 * PAGES_AT_ONCE :].count("jobs.list") == PAGES_AT_ONCE

    def test_passes_over_a_job_whose_content_cannot_be_read(self, deployed: Deployment) -> None:
        deployed.engine.jobs.create(a_job("broken", content="0" * 64))

        assert "broken" not in self.ids(deployed)
        with pytest.raises(StoreUnavailable):
            deployed.make_jobs().get(a_job_key("broken"))


Request = Callable[[Deployment], object]


def create_and_pause(deployed: Deployment) -> None:
    deployed.create(every(MINUTE, start_at=NINE), catch_up=CatchUp.LATEST)
    deployed.pause()


REQUESTS: dict[str, tuple[Request, Request]] = {
    "create": (lambda _: None, lambda d: d.create(every(MINUTE, start_at=NINE))),
    "edit": (
        lambda d: d.create(every(MINUTE, start_at=NINE)),
        lambda d: d.edit(every(90 * SECOND, start_at=NINE)),
    ),
    "edit of a paused job": (
        create_and_pause,
        lambda d: d.edit(every(90 * SECOND, start_at=NINE)),
    ),
    "resume": (create_and_pause, Deployment.resume),
    "pause": (lambda d: d.create(every(MINUTE, start_at=NINE)), Deployment.pause),
    "delete": (lambda d: d.create(every(MINUTE, start_at=NINE)), Deployment.delete),
}
"""What was done before nobody died, and the request that somebody dies in."""


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_that_dies_anywhere_is_sent_again_to_the_same_end(
    tmp_path: Path, name: str
) -> None:
    """The client repeats it, ticks go on, and every slot ends as if nothing had happened."""
    before, request = REQUESTS[name]
    ends: set[str] = set()

    def story(calls: Calls) -> None:
        with a_deployment(tmp_path, calls=calls) as deployed:
            with calls.uncounted():
                before(deployed)
                deployed.run_until(LATER)
            try:
                request(deployed)
            except Died:
                with calls.uncounted():
                    repeat(deployed)
            with calls.uncounted():
                deployed.run_until(LATER + 10 * MINUTE)
            job = deployed.job()
            stretches = deployed.engine.runs.stretches(JOB, incarnation=1)
            ends.add(
                str(
                    (
                        job.state,
                        job.incarnation,
                        job.schedule_revision,
                        sorted((s, t.value) for s, t in deployed.states().items() if t.terminal),
                        [(s.since, s.until, s.count) for s in stretches],
                        sorted(set(deployed.targets.runs)),
                    )
                )
            )
            assert len(deployed.targets.runs) == len(set(deployed.targets.runs))

    def repeat(deployed: Deployment) -> None:
        try:
            request(deployed)
        except JobNotFound:
            assert name == "delete", "only of a delete is there nothing left"

    deaths = list(every_death(story))

    assert len(deaths) >= 4
    assert len(ends) == 1
