"""Jobs, runs and the rest read back as they were, and stay within what one unit pays for."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from punctual.adapters.dynamodb.items import (
    beat_from_item,
    beat_to_item,
    due_job_from_item,
    ending_to_values,
    failure_to_value,
    instant,
    is_expired,
    job_from_item,
    job_to_item,
    run_from_item,
    run_to_item,
    seconds,
    start_to_value,
    stretch_from_item,
    stretch_to_item,
    text,
    watch_row_from_item,
    watch_row_to_item,
    whole_seconds,
)
from punctual.core.callbacks import owner_of
from punctual.core.calls import BODY_KEPT_MAX
from punctual.core.jobs import Delivery, Epoch, Job, JobState, Lane, Policy
from punctual.core.records import UnreadableRecord
from punctual.core.runs import Run, Trigger, mark_of
from punctual.core.watching import Look, Reference, WatchRow, pack
from punctual.ports import Beat
from tests.support.builders import (
    DAY,
    HOUR,
    MINUTE,
    TICK,
    a_due_job,
    a_failure,
    a_job,
    a_job_key,
    a_result,
    a_run,
    a_run_key,
    a_stretch,
    a_tombstone,
    a_watch_row,
    an_ending,
)
from tests.support.clock import NINE
from tests.support.item_size import UNIT_BYTES, item_bytes

OWNER = owner_of("a token")

OPEN_ONLY = {"owner", "lease_until", "retry_at"}
"""What an outcome takes away."""

JOBS = [
    a_job(),
    a_job("_-9", tenant="a#b", incarnation=3, revision=7, schedule_revision=4, ordinal=12),
    a_job(
        state=JobState.PAUSED,
        paused_at=NINE + TICK,
        pause_note="Wartung läuft",
        resumed_at=NINE - HOUR,
        name="Nightly report",
        epochs=(Epoch(schedule_revision=1), Epoch(schedule_revision=2, since=NINE + TICK)),
        policy=Policy(timeout=timedelta(seconds=5)),
    ),
    a_job(state=JobState.ENDED, next_slot=None, last_slot=NINE),
    a_tombstone(a_job(), at=NINE + DAY),
]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: str(job.state))
def test_a_job_reads_back_as_it_was(job: Job) -> None:
    assert job_from_item(job_to_item(job)) == job


def test_the_index_of_due_jobs_carries_what_a_visit_needs() -> None:
    job = a_job(resumed_at=NINE, ordinal=3)

    assert due_job_from_item(job_to_item(job)) == a_due_job(job)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: str(job.state))
def test_only_active_jobs_are_due_and_only_deleted_ones_are_not_listed(job: Job) -> None:
    item = job_to_item(job)

    active = job.state is JobState.ACTIVE
    assert ("due_shard" in item, "due_at" in item) == (active, active)
    assert ("tenant" in item and "job_id" in item) == (job.state is not JobState.DELETED)


@pytest.mark.parametrize("name", ["state", "schedule", "policy", "epochs", "revision"])
def test_a_job_that_cannot_be_read_is_named_as_such(name: str) -> None:
    item = job_to_item(a_job())
    broken: list[dict[str, Any]] = [item | {name: {"S": "\\"}}, item | {name: {"NULL": True}}]

    for each in broken:
        with pytest.raises(UnreadableRecord):
            job_from_item(each)


@pytest.mark.parametrize(
    "run",
    [
        a_run(),
        a_run(NINE + TICK, max_attempts=1, delivery=Delivery.AT_MOST_ONCE, lane=Lane.SLOW),
        a_run(key=a_run_key(name="m.abc", tenant="a#b", incarnation=2), trigger=Trigger.MANUAL),
    ],
)
def test_a_new_run_reads_back_as_it_was(run: Run) -> None:
    assert run_from_item(run_to_item(run)) == run


def test_a_time_to_live_is_never_shorter_than_said() -> None:
    """It counts whole seconds, so the end is rounded up and the present down."""
    assert seconds(NINE) == whole_seconds(NINE)
    assert int(seconds(NINE + TICK)["N"]) == int(seconds(NINE)["N"]) + 1
    assert whole_seconds(NINE + TICK) == whole_seconds(NINE)
    assert not is_expired({"ttl": seconds(NINE + TICK)}, now=NINE + TICK)
    assert is_expired({"ttl": seconds(NINE)}, now=NINE)
    assert not is_expired({}, now=NINE)


def test_stretches_beats_and_watch_rows_read_back_as_they_were() -> None:
    stretch = a_stretch(NINE + TICK, incarnation=2)
    assert stretch_from_item(stretch_to_item(a_job_key(), stretch, expires_at=NINE)) == stretch
    beat = Beat(shards=(16, 17), at=NINE + TICK)
    assert beat_from_item(beat_to_item(beat)) == beat
    other = a_run_key(tenant="a#b", incarnation=2, name="m.abc")
    row = a_watch_row(a_run_key(), a_run_key(NINE + MINUTE), other, a_run_key(NINE + HOUR))
    revised = replace(row, references=(*row.references, Reference(a_run_key(), 2)))
    assert watch_row_from_item(watch_row_to_item(revised)) == revised


def test_a_full_watch_row_is_written_for_one_unit() -> None:
    """Jobs with the longest ids share rows with few others; short ones fill a row."""
    for tenant, job_id in (("123456789012", "j" * 62), ("acme", "report"), ("a" * 128, "j" * 62)):
        looks = [
            Look(reference=Reference(a_run_key(job_id=f"{job_id}{n}", tenant=tenant), 1), at=NINE)
            for n in range(10, 60)
        ]
        for minute, references in pack(looks):
            row = WatchRow(shard=63, minute=minute, row_id="r" * 22, references=references)
            assert item_bytes(watch_row_to_item(row)) <= UNIT_BYTES


def test_an_ordinary_job_and_run_are_written_for_one_unit() -> None:
    job = a_job("j" * 64, tenant="123456789012", name="n" * 64, next_slot=NINE + TICK)
    assert item_bytes(job_to_item(job)) <= UNIT_BYTES

    run = a_run(key=a_run_key(NINE + TICK, job_id="j" * 64, tenant="123456789012"))
    started = {"owner": text(OWNER), "starts": {"L": [start_to_value(NINE, mark_of(OWNER))]}}
    ended = ending_to_values(an_ending(), by=OWNER, scheduled_at=NINE)
    assert item_bytes(run_to_item(run) | started) <= UNIT_BYTES // 2
    assert item_bytes(run_to_item(run) | started | ended) <= UNIT_BYTES


def test_a_run_that_awaits_its_callback_is_written_for_one_unit_up_to_its_seventh_attempt() -> None:
    """What is remembered of each attempt takes 20 bytes at most, and its failure a hundred."""
    run = a_run(max_attempts=20)
    mark = mark_of(OWNER, heartbeat=HOUR)
    failures = [failure_to_value(a_failure(attempt=number)) for number in range(1, 7)]
    row = run_to_item(run) | {
        "owner": text(OWNER),
        "lease_until": instant(NINE),
        "starts": {"L": [start_to_value(NINE, mark)] * 7},
        "failures": {"L": failures},
    }

    assert item_bytes(row) <= UNIT_BYTES
    without = item_bytes(row | {"starts": {"L": [instant(NINE)] * 7}})
    assert (item_bytes(row) - without) / 7 <= 20


def test_an_outcome_with_a_long_result_is_written_for_one_unit() -> None:
    run = a_run(key=a_run_key(NINE + TICK, job_id="j" * 32, tenant="123456789012"))
    started = {"owner": text(OWNER), "starts": {"L": [start_to_value(NINE, mark_of(OWNER))]}}
    result = replace(
        a_result(body=b"x" * BODY_KEPT_MAX), body_bytes=1_000_001, stored="0" * 32, truncated=True
    )
    ending = replace(an_ending(), result=result)
    ended = ending_to_values(ending, by=OWNER, scheduled_at=NINE)
    left = {k: v for k, v in (run_to_item(run) | started).items() if k not in OPEN_ONLY}
    assert item_bytes(left | ended) <= UNIT_BYTES
