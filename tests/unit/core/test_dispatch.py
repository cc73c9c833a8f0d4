"""A visit hands over every slot of its window once, and the claim moves past exactly these."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punctual.core.dispatch import (
    AHEAD_MAX,
    AHEAD_SLOTS,
    LATE_AFTER,
    LOOK_AHEAD,
    SLOTS_PER_VISIT_MAX,
    SLOTS_WALKED_MAX,
    Accounted,
    plan_visit,
)
from punctual.core.jobs import CatchUp, Delivery, JobState, Policy
from tests.support.builders import DAY, HOUR, MINUTE, SECOND, a_job, a_schedule, a_stretch
from tests.support.clock import NINE


def test_a_job_that_is_due_later_than_the_window_is_not_visited() -> None:
    job = a_job(next_slot=NINE + LOOK_AHEAD + MINUTE)

    assert plan_visit(job, now=NINE) is None


def test_a_slot_at_the_end_of_the_window_is_handed_over() -> None:
    slot = NINE + LOOK_AHEAD
    job = a_job(schedule=a_schedule(HOUR, anchor=slot), next_slot=slot)

    visit = plan_visit(job, now=NINE)

    assert visit is not None
    assert [run.scheduled_at for run in visit.runs] == [NINE + LOOK_AHEAD]


def test_a_one_minute_job_pays_one_claim_for_ten_runs() -> None:
    visit = plan_visit(a_job(), now=NINE)

    assert visit is not None
    assert len(visit.runs) == AHEAD_SLOTS
    assert visit.claim.next_slot == NINE + 11 * MINUTE


def test_no_slot_is_handed_over_further_ahead_than_the_queue_can_delay_it() -> None:
    job = a_job(schedule=a_schedule(2 * MINUTE), next_slot=NINE + 2 * MINUTE)

    visit = plan_visit(job, now=NINE)

    assert visit is not None
    assert visit.runs[-1].scheduled_at <= NINE + AHEAD_MAX


def test_a_job_of_every_second_is_handed_over_for_the_whole_window_at_once() -> None:
    job = a_job(schedule=a_schedule(SECOND), next_slot=NINE + SECOND)

    visit = plan_visit(job, now=NINE)

    assert visit is not None
    assert visit.runs[-1].scheduled_at == NINE + LOOK_AHEAD
    assert not visit.more


@given(
    late=st.integers(0, 10_000).map(lambda seconds: seconds * SECOND),
    every=st.integers(1, 7200).map(lambda seconds: seconds * SECOND),
    ordinal=st.integers(0, 50),
    max_runs=st.none() | st.integers(51, 400),
)
def test_visits_hand_over_every_slot_once_and_the_pointer_follows(
    late: timedelta, every: timedelta, ordinal: int, max_runs: int | None
) -> None:
    schedule = a_schedule(every, anchor=NINE + every, max_runs=max_runs)
    job = a_job(schedule=schedule, next_slot=NINE + every, ordinal=ordinal)

    visit = plan_visit(job, now=NINE + late)

    if visit is None:
        assert NINE + every > NINE + late + LOOK_AHEAD
        return
    count = len(visit.runs)
    assert 1 <= count <= SLOTS_PER_VISIT_MAX
    assert [run.scheduled_at for run in visit.runs] == [
        NINE + number * every for number in range(1, count + 1)
    ]
    assert visit.claim.ordinal == ordinal + count
    spent = max_runs is not None and ordinal + count >= max_runs
    assert visit.claim.next_slot == (None if spent else NINE + (count + 1) * every)
    assert visit.claim.state is (JobState.ENDED if spent else JobState.ACTIVE)


def test_the_claim_expects_the_job_as_it_was_read() -> None:
    job = a_job(revision=7, next_slot=NINE + MINUTE)

    visit = plan_visit(job, now=NINE)

    assert visit is not None
    assert (visit.claim.expected_slot, visit.claim.expected_revision) == (NINE + MINUTE, 7)
    assert visit.claim.expected_state is JobState.ACTIVE


def test_runs_are_pinned_to_the_policy_of_their_visit() -> None:
    job = a_job(policy=Policy(delivery=Delivery.AT_MOST_ONCE), schedule_revision=3)

    visit = plan_visit(job, now=NINE)

    assert visit is not None
    assert {run.max_attempts for run in visit.runs} == {1}
    assert {run.schedule_revision for run in visit.runs} == {3}


def test_a_paused_job_is_left_alone_but_for_what_it_owes() -> None:
    job = a_job(state=JobState.PAUSED, paused_at=NINE + 3 * MINUTE)

    assert plan_visit(job, now=NINE + HOUR) is None
    visit = plan_visit(job, now=NINE + HOUR, until=NINE + 3 * MINUTE, paused=True)

    assert visit is not None
    assert len(visit.runs) == 3
    assert visit.claim.expected_state is JobState.PAUSED
    assert visit.claim.state is JobState.PAUSED
    assert visit.claim.next_slot == NINE + 4 * MINUTE


class TestCatchUp:
    """What came due during an outage runs, or is left out and counted, as the job says."""

    now = NINE + HOUR

    def test_all_of_it_runs_by_default(self) -> None:
        visit = plan_visit(a_job(), now=self.now)

        assert visit is not None
        assert visit.left_out == ()
        assert visit.runs[0].scheduled_at == NINE + MINUTE

    def test_the_latest_runs_and_the_others_are_one_stretch(self) -> None:
        job = a_job(policy=Policy(catch_up=CatchUp.LATEST))

        visit = plan_visit(job, now=self.now)

        assert visit is not None
        (stretch,) = visit.left_out
        assert (stretch.since, stretch.until) == (NINE + MINUTE, NINE + 58 * MINUTE)
        assert stretch.count == 58
        assert visit.runs[0].scheduled_at == NINE + 59 * MINUTE

    def test_none_of_it_runs_and_every_slot_is_counted(self) -> None:
        job = a_job(policy=Policy(catch_up=CatchUp.NONE))

        visit = plan_visit(job, now=self.now)

        assert visit is not None
        (stretch,) = visit.left_out
        assert stretch.count == 59
        assert visit.runs[0].scheduled_at == NINE + HOUR

    def test_a_slot_that_is_a_little_late_runs(self) -> None:
        job = a_job(policy=Policy(catch_up=CatchUp.NONE))

        visit = plan_visit(job, now=NINE + MINUTE + 59 * SECOND)

        assert visit is not None
        assert visit.left_out == ()

    def test_what_came_due_in_a_pause_counts_as_late_at_once(self) -> None:
        job = a_job(
            policy=Policy(catch_up=CatchUp.NONE), resumed_at=NINE + MINUTE, next_slot=NINE + MINUTE
        )

        visit = plan_visit(job, now=NINE + MINUTE + SECOND)

        assert visit is not None
        (stretch,) = visit.left_out
        assert stretch.count == 1

    @pytest.mark.parametrize("catch_up", list(CatchUp))
    def test_a_slot_before_the_creation_runs_by_the_users_own_wish(self, catch_up: CatchUp) -> None:
        job = a_job(
            created_at=NINE,
            schedule=a_schedule(DAY, anchor=NINE - HOUR),
            next_slot=NINE - HOUR,
            policy=Policy(catch_up=catch_up),
        )

        visit = plan_visit(job, now=NINE)

        assert visit is not None
        assert visit.runs[0].scheduled_at == NINE - HOUR

    @pytest.mark.parametrize("late", [SLOTS_WALKED_MAX - 1, SLOTS_WALKED_MAX, 3 * SLOTS_WALKED_MAX])
    def test_of_a_long_outage_of_a_dense_job_only_the_latest_slot_runs(self, late: int) -> None:
        """It takes several visits, and none of them takes a late slot for the latest."""
        job = a_job(
            schedule=a_schedule(SECOND),
            next_slot=NINE + SECOND,
            policy=Policy(catch_up=CatchUp.LATEST),
        )
        now = NINE + late * SECOND + LATE_AFTER
        left_out, runs = 0, []

        while job.next_slot is not None and job.next_slot <= now:
            visit = plan_visit(job, now=now)
            assert visit is not None
            assert sum(stretch.count for stretch in visit.left_out) <= SLOTS_WALKED_MAX
            left_out += sum(stretch.count for stretch in visit.left_out)
            runs += [run.scheduled_at for run in visit.runs]
            job = replace(job, next_slot=visit.claim.next_slot)

        assert left_out == late - 1
        assert runs[0] == now - LATE_AFTER

    def test_a_slot_whose_run_has_begun_is_handed_over_and_parts_what_is_left_out(self) -> None:
        """A visit may have died before its claim, and executors were faster than the next one."""
        job = a_job(policy=Policy(catch_up=CatchUp.NONE))
        begun = Accounted(runs=frozenset({NINE + 20 * MINUTE}))

        visit = plan_visit(job, now=self.now, accounted=begun)

        assert visit is not None
        assert [stretch.count for stretch in visit.left_out] == [19, 39]
        assert not any(stretch.holds(NINE + 20 * MINUTE) for stretch in visit.left_out)
        assert visit.runs[0].scheduled_at == NINE + 20 * MINUTE
        assert visit.claim.ordinal == len(visit.runs)

    def test_a_second_look_minds_a_run_of_a_slot_and_none_between_two(self) -> None:
        """Else a run of the schedule before, which lies between, would have it look for ever."""
        visit = plan_visit(a_job(policy=Policy(catch_up=CatchUp.NONE)), now=self.now)
        assert visit is not None

        slot = visit.left_out[0].since + MINUTE
        assert not visit.agrees_with(Accounted(runs=frozenset({slot})))
        assert visit.agrees_with(Accounted(runs=frozenset({slot + SECOND})))

    def test_what_was_left_out_stays_left_out_and_is_counted_once(self) -> None:
        """A visit that died before its claim left out all but the latest, which is late by now."""
        job = a_job(policy=Policy(catch_up=CatchUp.LATEST))
        before = plan_visit(job, now=NINE + 30 * MINUTE)
        assert before is not None

        visit = plan_visit(job, now=self.now, accounted=Accounted(stretches=before.left_out))

        assert visit is not None
        (stretch,) = visit.left_out
        assert stretch.since == before.left_out[0].until + MINUTE
        assert stretch.count + before.left_out[0].count == 58

    def test_slots_before_the_first_of_a_stretch_do_not_belong_to_it(self) -> None:
        job = a_job(policy=Policy(catch_up=CatchUp.NONE))
        recorded = Accounted(stretches=(a_stretch(NINE + 10 * MINUTE, count=5),))

        visit = plan_visit(job, now=self.now, accounted=recorded)

        assert visit is not None
        assert [stretch.count for stretch in visit.left_out] == [9, 45]
