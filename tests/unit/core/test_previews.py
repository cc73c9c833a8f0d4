"""Which slots a schedule would have, and which a job will have next."""

from dataclasses import replace
from datetime import datetime

import pytest

from punctual.core.changes import paused
from punctual.core.dispatch import plan_visit
from punctual.core.jobs import Job, JobState
from punctual.core.previews import preview, upcoming
from punctual.core.schedules import At, Cron, Every, Schedule
from tests.support.builders import DAY, HOUR, MINUTE, a_job, a_schedule
from tests.support.clock import NINE


def visited(job: Job, *, now: datetime) -> Job:
    """Return the job after a visit: its pointer moved past what was handed over."""
    visit = plan_visit(job, now=now)
    assert visit is not None
    claim = visit.claim
    return replace(
        job,
        next_slot=claim.next_slot,
        ordinal=claim.ordinal,
        state=claim.state,
        last_slot=claim.last_slot,
    )


def test_a_preview_begins_after_now() -> None:
    schedule = Schedule(rule=Cron(expression="0 * * * *"))

    assert preview(schedule, now=NINE, count=2) == [NINE + HOUR, NINE + 2 * HOUR]


def test_the_preview_of_an_interval_begins_one_interval_from_now() -> None:
    placeless = a_schedule(HOUR, anchor=NINE - 1000 * DAY)

    assert preview(placeless, now=NINE, count=2) == [NINE + HOUR, NINE + 2 * HOUR]


@pytest.mark.parametrize("start_at", [NINE - DAY, NINE + DAY])
def test_a_preview_begins_at_start_at_past_or_to_come(start_at: datetime) -> None:
    hourly = Cron(expression="0 * * * *")
    every = Every(every=HOUR, anchor=start_at)

    for rule in (hourly, every):
        schedule = Schedule(rule=rule, start_at=start_at)
        assert preview(schedule, now=NINE, count=2) == [start_at, start_at + HOUR]


def test_a_single_instant_is_shown_past_or_to_come() -> None:
    for at in (NINE - DAY, NINE, NINE + DAY):
        assert preview(Schedule(rule=At(at=at)), now=NINE, count=5) == [at]


def test_a_preview_shows_no_more_than_the_schedule_allows() -> None:
    schedule = Schedule(rule=Cron(expression="0 * * * *"), max_runs=3, end_at=NINE + 2 * HOUR)

    assert len(preview(replace(schedule, end_at=None), now=NINE, count=10)) == 3
    assert len(preview(schedule, now=NINE, count=10)) == 2
    assert len(preview(schedule, now=NINE, count=1)) == 1


def test_slots_handed_over_ahead_are_still_to_come() -> None:
    job = visited(a_job(), now=NINE)
    assert job.next_slot == NINE + 11 * MINUTE

    assert upcoming(job, now=NINE + MINUTE, count=3) == [
        NINE + 2 * MINUTE,
        NINE + 3 * MINUTE,
        NINE + 4 * MINUTE,
    ]


@pytest.mark.parametrize("minutes", [0, 1, 5])
def test_the_most_runs_bound_what_is_to_come_whatever_was_handed_over(minutes: int) -> None:
    """Twelve runs, of which a visit hands ten over."""
    job = a_job(schedule=a_schedule(max_runs=12))
    job_visited = visited(job, now=NINE)
    assert job_visited.ordinal == 10

    now = NINE + minutes * MINUTE
    expected = [NINE + n * MINUTE for n in range(1 + minutes, 13)]

    assert upcoming(job_visited, now=now, count=100) == expected
    assert upcoming(job_visited, now=now, count=2) == expected[:2]
    assert upcoming(job, now=NINE, count=100) == [NINE + n * MINUTE for n in range(1, 13)]


def test_overdue_slots_use_up_runs_and_are_not_to_come() -> None:
    job = a_job(schedule=a_schedule(max_runs=5))

    assert upcoming(job, now=NINE + 2 * MINUTE, count=100) == [
        NINE + 3 * MINUTE,
        NINE + 4 * MINUTE,
        NINE + 5 * MINUTE,
    ]
    assert upcoming(job, now=NINE + DAY, count=100) == []


def test_the_last_slots_of_a_job_are_to_come_until_they_are_past() -> None:
    job = visited(a_job(schedule=a_schedule(max_runs=3)), now=NINE)
    assert job.state is JobState.ENDED

    assert upcoming(job, now=NINE + MINUTE, count=9) == [NINE + 2 * MINUTE, NINE + 3 * MINUTE]
    assert upcoming(job, now=NINE + 3 * MINUTE, count=9) == []


def test_nothing_is_to_come_of_a_paused_job() -> None:
    job = paused(a_job(), note=None, now=NINE)

    assert upcoming(job, now=NINE, count=9) == []
