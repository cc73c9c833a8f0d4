"""A change of a job loses no slot, invents none, and says from when on it holds."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from punctual.core.changes import (
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
from punctual.core.errors import Conflict, InvalidSchedule, RevisionConflict
from punctual.core.jobs import EPOCH_KEPT, EPOCHS_MAX, Epoch, Job, JobState, Policy
from punctual.core.schedules import At, Every, Schedule
from tests.support.builders import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    a_content,
    a_job,
    a_job_key,
    a_schedule,
    a_tombstone,
)
from tests.support.clock import NINE

KEY = a_job_key()


def a_spec(schedule: Schedule | None = None) -> JobSpec:
    return JobSpec(schedule=schedule or a_schedule(), policy=Policy(), content=a_content())


def every(duration: timedelta, **bounds: object) -> Schedule:
    """Return an interval as a request has it: its anchor means nothing yet."""
    return a_schedule(duration, anchor=NINE - 1000 * DAY, **bounds)


def create(schedule: Schedule, *, tombstone: Job | None = None, now: datetime = NINE) -> Job:
    return created(
        KEY, a_spec(schedule), content="ref", fingerprint="f", tombstone=tombstone, now=now
    )


class TestCreate:
    """A new job's pointer stands at its first slot."""

    def test_an_interval_first_runs_one_interval_after_the_creation(self) -> None:
        assert create(every(MINUTE)).next_slot == NINE + MINUTE

    def test_an_interval_with_a_start_first_runs_at_the_start(self) -> None:
        start = NINE + HOUR
        schedule = a_schedule(MINUTE, anchor=start, start_at=start)

        assert create(schedule).next_slot == start

    def test_an_instant_that_is_past_still_runs_once(self) -> None:
        schedule = Schedule(rule=At(at=NINE - DAY))

        assert create(schedule).next_slot == NINE - DAY

    def test_a_schedule_that_is_over_is_refused(self) -> None:
        schedule = a_schedule(MINUTE, anchor=NINE - DAY, start_at=NINE - DAY, end_at=NINE - HOUR)

        with pytest.raises(InvalidSchedule):
            create(schedule)

    def test_a_job_created_anew_lives_another_life_and_counts_its_revisions_on(self) -> None:
        tombstone = a_tombstone(a_job(revision=6, incarnation=2), at=NINE)

        job = create(every(MINUTE), tombstone=tombstone)

        assert (job.incarnation, job.revision, job.ordinal) == (3, 8, 0)

    def test_the_spread_shifts_every_slot_by_what_is_the_jobs_own(self) -> None:
        job = create(every(HOUR, spread=10 * MINUTE))

        assert timedelta(0) <= job.schedule.offset < 10 * MINUTE
        assert job.next_slot == NINE + HOUR + job.schedule.offset


class TestChange:
    """Only a change of the slots moves the pointer."""

    def test_the_same_interval_written_again_keeps_its_slots(self) -> None:
        job = create(every(HOUR))

        again = placed(every(HOUR), KEY, before=job.schedule, now=NINE + 10 * MINUTE)

        assert not moves_slots(job, again)

    def test_a_change_of_the_policy_alone_keeps_pointer_and_schedule_revision(self) -> None:
        job = create(every(HOUR))
        spec = replace(a_spec(every(HOUR)), policy=Policy(timeout=5 * SECOND))

        after = changed(job, spec, content="other", now=NINE + MINUTE)

        assert (after.next_slot, after.schedule_revision) == (job.next_slot, 1)
        assert (after.revision, after.content) == (2, "other")
        assert after.policy.timeout == 5 * SECOND

    def test_another_bound_on_the_runs_is_another_set_of_slots(self) -> None:
        job = create(every(HOUR))

        assert moves_slots(job, replace(job.schedule, max_runs=3))

    def test_a_stale_revision_is_refused(self) -> None:
        refuse_stale(a_job(revision=3), 3)
        refuse_stale(a_job(revision=3), None)
        with pytest.raises(RevisionConflict):
            refuse_stale(a_job(revision=3), 2)


def reschedule(job: Job, schedule: Schedule, *, now: datetime = NINE + 30 * SECOND) -> Job:
    return rescheduled(job, a_spec(schedule), content="ref", at=parting(job, now=now), now=now)


class TestReschedule:
    """Slots up to the change are the old schedule's, later ones the new one's."""

    def test_the_pointer_goes_to_the_first_new_slot_and_an_epoch_begins(self) -> None:
        job = a_job(next_slot=NINE + 11 * MINUTE, ordinal=10)

        after = reschedule(job, every(HOUR))

        assert after.next_slot == NINE + 30 * SECOND + HOUR
        assert after.epochs == (
            Epoch(schedule_revision=1),
            Epoch(schedule_revision=2, since=NINE + 30 * SECOND),
        )
        assert after.schedule_revision == 2
        assert after.in_force(NINE + 30 * SECOND) == 1
        assert after.in_force(NINE + 31 * SECOND) == 2

    def test_slots_handed_over_ahead_and_undone_no_longer_count(self) -> None:
        job = a_job(
            schedule=a_schedule(MINUTE, max_runs=12), next_slot=NINE + 11 * MINUTE, ordinal=10
        )

        after = reschedule(job, every(HOUR, max_runs=12))

        assert after.ordinal == 0

    def test_a_job_that_ended_by_its_bound_goes_on_when_the_bound_is_raised(self) -> None:
        job = a_job(
            state=JobState.ENDED,
            schedule=a_schedule(MINUTE, max_runs=5),
            next_slot=None,
            last_slot=NINE + 5 * MINUTE,
            ordinal=5,
        )

        after = reschedule(job, a_schedule(MINUTE, max_runs=7), now=NINE + HOUR)

        assert after.state is JobState.ACTIVE
        assert after.next_slot == NINE + HOUR + MINUTE
        assert after.ordinal == 5

    def test_a_bound_that_is_reached_already_ends_the_job(self) -> None:
        job = a_job(next_slot=NINE + MINUTE, ordinal=10)

        after = reschedule(job, a_schedule(MINUTE, max_runs=3))

        assert (after.state, after.next_slot) == (JobState.ENDED, None)

    def test_changes_between_two_slots_take_one_epoch_together(self) -> None:
        job = a_job(next_slot=NINE + MINUTE)

        once = reschedule(job, every(HOUR), now=NINE + SECOND)
        twice = reschedule(once, every(2 * HOUR), now=NINE + 2 * SECOND)

        assert twice.epochs == (
            Epoch(schedule_revision=1),
            Epoch(schedule_revision=3, since=NINE + SECOND, begins=NINE + 2 * SECOND),
        )

    def test_a_slot_that_a_change_took_away_does_not_come_back_with_the_next_change(self) -> None:
        """Found by the simulation: a watch row of the first schedule brought such a slot back."""
        job = a_job(schedule=a_schedule(MINUTE), next_slot=NINE + 11 * MINUTE, ordinal=10)

        once = reschedule(job, every(HOUR), now=NINE + 30 * SECOND)
        twice = reschedule(once, every(2 * HOUR), now=NINE + 5 * MINUTE)

        assert once.in_force(NINE + 2 * MINUTE) != 1
        assert twice.in_force(NINE + 2 * MINUTE) != 1
        assert twice.in_force(NINE + 30 * SECOND) == 1

    def test_a_slot_that_a_change_took_away_is_not_the_next_change_s_either(self) -> None:
        """Found by the simulation: an executor handed such a slot over, long after it was past."""
        job = a_job(schedule=a_schedule(MINUTE), next_slot=NINE + 11 * MINUTE, ordinal=10)

        once = reschedule(job, every(HOUR), now=NINE + 30 * SECOND)
        twice = reschedule(once, a_schedule(MINUTE, max_runs=99), now=NINE + 5 * MINUTE)
        thrice = reschedule(twice, every(HOUR), now=NINE + 5 * MINUTE + SECOND)

        for after in (twice, thrice):
            assert after.in_force(NINE + 30 * SECOND) == 1
            assert after.in_force(NINE + 2 * MINUTE) is None
            assert after.in_force(NINE + 5 * MINUTE) is None
        assert twice.in_force(NINE + 6 * MINUTE) == 3
        assert thrice.in_force(NINE + 6 * MINUTE) == 4
        assert len(thrice.epochs) == 2

    def test_epochs_that_nothing_can_ask_for_are_forgotten(self) -> None:
        job = a_job(
            epochs=(
                Epoch(schedule_revision=1),
                Epoch(schedule_revision=2, since=NINE),
                Epoch(schedule_revision=3, since=NINE + DAY),
            ),
            schedule_revision=3,
            next_slot=NINE + 2 * EPOCH_KEPT + MINUTE,
        )

        after = reschedule(job, every(HOUR), now=NINE + 2 * EPOCH_KEPT)

        assert [epoch.schedule_revision for epoch in after.epochs] == [3, 4]

    def test_too_many_changes_in_too_short_a_time_are_refused(self) -> None:
        job = a_job(next_slot=NINE + MINUTE)
        for hour in range(1, EPOCHS_MAX):
            now = NINE + hour * HOUR
            job = job.with_pointer(now + MINUTE, ordinal=0)
            job = reschedule(job, every((50 + hour % 2) * SECOND), now=now)
        assert len(job.epochs) == EPOCHS_MAX
        job = job.with_pointer(NINE + DAY, ordinal=0)

        with pytest.raises(Conflict):
            reschedule(job, every(HOUR), now=NINE + (EPOCHS_MAX + 1) * HOUR)

    def test_a_clock_that_is_behind_does_not_put_epochs_out_of_order(self) -> None:
        job = a_job(
            epochs=(Epoch(schedule_revision=1), Epoch(schedule_revision=2, since=NINE + HOUR)),
            schedule_revision=2,
            next_slot=NINE + 2 * HOUR,
        )

        assert parting(job, now=NINE) == NINE + HOUR

    def test_a_change_in_a_pause_counts_from_the_pause(self) -> None:
        job = a_job(state=JobState.PAUSED, paused_at=NINE, next_slot=NINE + MINUTE)

        after = reschedule(job, a_schedule(7 * MINUTE, anchor=NINE, start_at=NINE), now=NINE + DAY)

        assert after.state is JobState.PAUSED
        assert after.next_slot == NINE + 7 * MINUTE

    def test_a_single_instant_cannot_be_moved_into_the_past(self) -> None:
        with pytest.raises(InvalidSchedule):
            reschedule(a_job(), Schedule(rule=At(at=NINE)), now=NINE + SECOND)


class TestPause:
    """A pause withholds every later slot, and resuming gives them all back."""

    def test_a_pause_keeps_the_pointer_and_takes_the_job_off_the_index(self) -> None:
        job = paused(a_job(), note="moving house", now=NINE + SECOND)

        assert (job.state, job.paused_at) == (JobState.PAUSED, NINE + SECOND)
        assert job.next_slot == NINE + MINUTE
        assert job.due_at is None

    def test_pausing_twice_is_pausing_once(self) -> None:
        job = paused(a_job(), note="moving house", now=NINE)

        assert paused(job, note=None, now=NINE + HOUR) is job
        assert paused(job, note="moving house", now=NINE + HOUR) is job
        assert paused(job, note="still moving", now=NINE + HOUR).paused_at == NINE

    def test_a_job_that_has_ended_cannot_be_paused(self) -> None:
        ended = a_job(state=JobState.ENDED, next_slot=None, last_slot=NINE + MINUTE)

        with pytest.raises(Conflict):
            paused(ended, note=None, now=NINE + MINUTE)

    def test_a_job_whose_last_slots_are_only_handed_over_can_still_be_paused(self) -> None:
        ending = a_job(state=JobState.ENDED, next_slot=None, last_slot=NINE + MINUTE, ordinal=1)

        job = resumed(paused(ending, note=None, now=NINE), now=NINE + HOUR)

        assert job.state is JobState.ACTIVE
        assert (job.next_slot, job.ordinal) == (NINE + MINUTE, 0)

    def test_resuming_hands_over_again_what_the_pause_withheld(self) -> None:
        job = paused(
            a_job(next_slot=NINE + 11 * MINUTE, ordinal=10), note=None, now=NINE + 90 * SECOND
        )

        back = resumed(job, now=NINE + HOUR)

        assert (back.next_slot, back.ordinal) == (NINE + 2 * MINUTE, 1)
        assert back.resumed_at == NINE + HOUR
        assert (back.paused_at, back.pause_note) == (None, None)

    def test_resuming_keeps_what_was_owed_before_the_pause(self) -> None:
        job = paused(a_job(next_slot=NINE + MINUTE), note=None, now=NINE + HOUR)

        assert resumed(job, now=NINE + 2 * HOUR).next_slot == NINE + MINUTE

    def test_resuming_a_job_that_is_not_paused_changes_nothing(self) -> None:
        job = a_job()

        assert resumed(job, now=NINE) is job


def test_a_deleted_job_keeps_what_the_next_life_counts_on_from() -> None:
    job = deleted(a_job(revision=4, incarnation=2), now=NINE + HOUR)

    assert (job.state, job.revision, job.incarnation) == (JobState.DELETED, 5, 2)
    assert job.due_at is None


def test_the_anchor_of_an_interval_with_a_start_is_the_start() -> None:
    start = NINE + HOUR
    schedule = placed(a_schedule(MINUTE, anchor=start, start_at=start), KEY, before=None, now=NINE)

    assert schedule.rule == Every(every=MINUTE, anchor=start)
