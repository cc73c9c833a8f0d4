"""Jobs for the tests of job stores, and what is asked of them again and again."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from punctual.core.dispatch import Claim
from punctual.core.jobs import (
    CatchUp,
    Delivery,
    DueJob,
    Epoch,
    Job,
    JobState,
    Overlap,
    Policy,
)
from punctual.core.retry import Jitter, RetryPolicy
from punctual.core.schedules import Cron, Schedule
from tests.support.builders import DAY, HOUR, MINUTE, SECOND, TICK, a_job
from tests.support.clock import NINE
from tests.support.engines import Engine

FULL_JOB = a_job(
    "nightly-report_2",
    tenant="Bänk & Söhne",
    name="Nächtlicher Bericht 📈",
    incarnation=3,
    revision=17,
    schedule_revision=4,
    state=JobState.PAUSED,
    schedule=Schedule(
        rule=Cron(expression="0 9 * * MON-FRI", timezone="Europe/Berlin"),
        start_at=NINE,
        end_at=NINE + 400 * DAY,
        max_runs=1000,
        exclude=(date(2026, 12, 25), NINE + DAY),
        spread=MINUTE,
        offset=timedelta(milliseconds=12_345),
    ),
    policy=Policy(
        retry=RetryPolicy(max_attempts=7, min_delay=2 * SECOND, jitter=Jitter.NONE),
        timeout=timedelta(milliseconds=2500),
        start_deadline=2 * HOUR,
        catch_up=CatchUp.LATEST,
        overlap=Overlap.SKIP,
        delivery=Delivery.AT_MOST_ONCE,
    ),
    next_slot=NINE + timedelta(milliseconds=12_345),
    ordinal=41,
    epochs=(
        Epoch(schedule_revision=3),
        Epoch(schedule_revision=4, since=NINE - 2 * TICK, begins=NINE - TICK),
    ),
    last_slot=NINE - HOUR,
    paused_at=NINE - MINUTE,
    pause_note='on "holiday", says O\'Hara;\n--',
    resumed_at=NINE - DAY,
    created_at=NINE - 30 * DAY,
    updated_at=NINE - MINUTE,
)
"""Every field is set, and none to its default."""


def stored(engine: Engine, job: Job) -> Job | None:
    """Return the job as it stands."""
    return engine.jobs.read([job.key]).get(job.key)


def due(engine: Engine, until: datetime, shards: Sequence[int] = range(64)) -> list[DueJob]:
    """Return the due jobs of every page."""
    return [job for page in engine.jobs.due(shards, until=until) for job in page]


def a_claim(job: Job, **fields: Any) -> Claim:
    """Return the claim that moves a job's pointer ten minutes on."""
    assert job.next_slot is not None
    values: dict[str, Any] = {
        "key": job.key,
        "expected_slot": job.next_slot,
        "expected_revision": job.revision,
        "expected_state": job.state,
        "next_slot": job.next_slot + 10 * MINUTE,
        "ordinal": job.ordinal + 10,
        "state": job.state,
        "last_slot": None,
    }
    return Claim(**values | fields)
