"""What a job says of itself: which revision names a slot, where it stands, when a run is late."""

from datetime import datetime, timedelta

import pytest

from punctual.core.jobs import (
    FAST_TIMEOUT_MAX,
    SLOW_TIMEOUT_MAX,
    Delivery,
    Epoch,
    JobState,
    Lane,
    Policy,
)
from punctual.core.retry import RetryPolicy
from punctual.core.sharding import SHARDS, shard_of
from tests.support.builders import HOUR, MINUTE, SECOND, TICK, a_due_job, a_job
from tests.support.clock import NINE

CHANGED = NINE + 10 * MINUTE
CHANGED_AGAIN = NINE + 20 * MINUTE

EPOCHS = (
    Epoch(schedule_revision=1),
    Epoch(schedule_revision=2, since=CHANGED),
    Epoch(schedule_revision=5, since=CHANGED_AGAIN),
)


@pytest.mark.parametrize(
    ("slot", "revision"),
    [
        (NINE - HOUR, 1),
        (CHANGED, 1),
        (CHANGED + TICK, 2),
        (CHANGED_AGAIN, 2),
        (CHANGED_AGAIN + TICK, 5),
        (CHANGED_AGAIN + HOUR, 5),
    ],
)
def test_a_slot_belongs_to_the_schedule_that_was_in_force_at_it(
    slot: datetime, revision: int
) -> None:
    """A change holds for what comes after it: a slot at its very instant is the old schedule's."""
    assert a_job(epochs=EPOCHS).in_force(slot) == revision


def test_a_slot_of_a_forgotten_epoch_belongs_to_no_schedule() -> None:
    assert a_job(epochs=EPOCHS[1:]).in_force(CHANGED) is None


@pytest.mark.parametrize("state", [JobState.PAUSED, JobState.ENDED, JobState.DELETED])
def test_only_an_active_job_is_due(state: JobState) -> None:
    assert a_job().due_at == NINE + MINUTE
    assert a_job(state=state).due_at is None


def test_a_job_ends_for_its_users_when_its_last_slot_is_past() -> None:
    """Its slots are handed over ahead of their time, which is nothing that a user sees."""
    job = a_job(state=JobState.ENDED, next_slot=None, last_slot=NINE + MINUTE)

    assert job.state_at(NINE) is JobState.ACTIVE
    assert job.state_at(NINE + MINUTE) is JobState.ENDED
    assert a_job(state=JobState.ENDED, next_slot=None).state_at(NINE) is JobState.ENDED
    assert a_job(state=JobState.PAUSED, last_slot=NINE + MINUTE).state_at(NINE) is JobState.PAUSED


def test_the_start_deadline_counts_from_the_slot_or_from_a_later_creation() -> None:
    job = a_job(created_at=NINE, policy=Policy(start_deadline=5 * MINUTE))

    assert job.starts_by(NINE + HOUR) == NINE + HOUR + 5 * MINUTE
    assert job.starts_by(NINE - HOUR) == NINE + 5 * MINUTE


@pytest.mark.parametrize(
    ("before", "has_slot", "then"),
    [
        (JobState.ACTIVE, True, JobState.ACTIVE),
        (JobState.ACTIVE, False, JobState.ENDED),
        (JobState.ENDED, True, JobState.ACTIVE),
        (JobState.ENDED, False, JobState.ENDED),
        (JobState.PAUSED, True, JobState.PAUSED),
        (JobState.PAUSED, False, JobState.PAUSED),
    ],
)
def test_a_job_ends_and_comes_back_with_its_pointer(
    before: JobState, has_slot: bool, then: JobState
) -> None:
    job = a_job(state=before).with_pointer(NINE + HOUR if has_slot else None, ordinal=7)

    assert (job.state, job.ordinal) == (then, 7)
    assert job.next_slot == (NINE + HOUR if has_slot else None)


@pytest.mark.parametrize(
    ("timeout", "lane"),
    [
        (SECOND, Lane.FAST),
        (FAST_TIMEOUT_MAX, Lane.FAST),
        (FAST_TIMEOUT_MAX + TICK, Lane.SLOW),
        (SLOW_TIMEOUT_MAX, Lane.SLOW),
    ],
)
def test_a_run_goes_to_executors_that_live_long_enough(timeout: timedelta, lane: Lane) -> None:
    assert Policy(timeout=timeout).lane is lane


def test_at_most_once_means_one_attempt_whatever_the_retry_policy_says() -> None:
    retry = RetryPolicy(max_attempts=5)

    assert Policy(retry=retry).attempts == 5
    assert Policy(retry=retry, delivery=Delivery.AT_MOST_ONCE).attempts == 1


def test_a_job_has_one_shard_for_ever() -> None:
    job = a_job()

    assert a_due_job(job).shard == job.shard == shard_of("acme", "report")
    assert 0 <= job.shard < SHARDS
