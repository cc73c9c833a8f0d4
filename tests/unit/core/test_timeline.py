"""What happened to a run is read back from its row."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from punctual.core.calls import CallError
from punctual.core.runs import LOST, RunState
from punctual.core.timeline import Attempt, Level, attempts_of, timeline
from tests.support.builders import MINUTE, SECOND, a_failure, a_result, a_run
from tests.support.clock import NINE

TIMEOUT = CallError(type="timeout", message="no answer within 30 s")


def test_a_run_that_has_not_begun_has_no_attempt() -> None:
    assert list(attempts_of(a_run())) == []
    assert list(timeline(a_run())) == []


def test_an_attempt_that_goes_on_has_no_outcome() -> None:
    assert list(attempts_of(a_run(state="running"))) == [Attempt(number=1, started_at=NINE)]


@pytest.mark.parametrize("state", ["succeeded", "failed", "timed_out", "unknown", "cancelled"])
def test_the_attempt_that_wrote_the_outcome_has_it(state: str) -> None:
    run = a_run(state=state)

    assert list(attempts_of(run)) == [
        Attempt(
            number=1, started_at=NINE, finished_at=NINE + SECOND, outcome=state, error=run.error
        )
    ]


@pytest.mark.parametrize("state", ["missed", "skipped"])
def test_a_run_that_was_never_called_has_no_attempt(state: str) -> None:
    """An executor started it formally, to write that it would not be called."""
    run = a_run(state=state)

    assert run.starts
    assert list(attempts_of(run)) == []
    assert [(line.attempt, line.level) for line in timeline(run)] == [(0, Level.WARNING)]
    assert timeline(run)[0].message == f"{state}: because it was {state}"


def test_an_attempt_that_was_taken_over_died() -> None:
    run = a_run(state="running", attempt=2, starts=(NINE, NINE + MINUTE))

    first, second = attempts_of(run)

    assert first == Attempt(number=1, started_at=NINE, outcome="died", error=LOST)
    assert second == Attempt(number=2, started_at=NINE + MINUTE)


def test_the_last_attempt_died_if_it_did_not_write_the_outcome() -> None:
    run = a_run(state="failed", finished_by=None, error=LOST, finished_at=NINE + MINUTE)

    assert list(attempts_of(run)) == [
        Attempt(number=1, started_at=NINE, outcome="died", error=LOST)
    ]


def test_a_failed_attempt_says_when_it_is_tried_again() -> None:
    run = a_run(state="retrying")

    (attempt,) = attempts_of(run)

    assert (attempt.outcome, attempt.retry_at) == ("failed", NINE + 2 * SECOND)
    assert attempt.error == run.failures[0].error


def test_an_attempt_without_an_answer_in_time_timed_out() -> None:
    run = a_run(state="retrying", failures=(replace(a_failure(), error=TIMEOUT),))

    assert attempts_of(run)[0].outcome == "timed_out"


def test_a_retrying_run_that_was_cancelled_failed_before() -> None:
    run = a_run(state="cancelled", failures=(a_failure(),), finished_by=None)

    (attempt,) = attempts_of(run)

    assert attempt.outcome == "failed"


def test_the_story_of_a_run_is_told_in_order() -> None:
    """It fails, is tried again, dies, is taken over, is asked to stop, and stops."""
    failure = a_failure(finished_at=NINE + SECOND, after=timedelta(seconds=1.5))
    run = a_run(
        state="cancelled",
        attempt=3,
        starts=(NINE + timedelta(milliseconds=20), NINE + 3 * SECOND, NINE + 2 * MINUTE),
        failures=(failure,),
        cancel_requested_at=NINE + 2 * MINUTE + SECOND,
        finished_at=NINE + 2 * MINUTE + 3 * SECOND,
        reason="cancelled",
    )

    told = [
        (str(line.at)[14:19], line.attempt, line.level.value, line.message)
        for line in timeline(run)
    ]

    assert told == [
        ("00:00", 1, "info", "attempt 1 started 0.02 s after its slot"),
        ("00:01", 1, "warning", "the target answered 503 (http_status); tried again in 1.5 s"),
        ("00:03", 2, "info", "attempt 2 started"),
        ("02:00", 2, "warning", "attempt 2 died without an answer"),
        ("02:00", 3, "info", "attempt 3 started"),
        ("02:01", 3, "info", "asked to stop"),
        ("02:03", 3, "info", "cancelled"),
    ]


@pytest.mark.parametrize(
    ("state", "fields", "level", "message"),
    [
        ("succeeded", {"result": a_result()}, Level.INFO, "succeeded: status 200, 11 bytes"),
        ("succeeded", {"result": None}, Level.INFO, "succeeded"),
        ("failed", {}, Level.ERROR, "failed: the target answered 500 (http_status)"),
        ("timed_out", {}, Level.ERROR, "timed out: no answer within 30 s (timeout)"),
        ("unknown", {}, Level.ERROR, "unknown: the executor died (lost)"),
        ("cancelled", {"reason": "deleted"}, Level.INFO, "cancelled: deleted"),
    ],
)
def test_the_last_line_says_how_the_run_ended(
    state: str, fields: dict[str, Any], level: Level, message: str
) -> None:
    last = timeline(a_run(state=state, **fields))[-1]

    assert (last.level, last.message) == (level, message)


def test_every_state_has_a_story() -> None:
    for state in RunState:
        assert all(line.message for line in timeline(a_run(state=state)))
