"""What an executor decides once it holds a run, and what it makes of an answer."""

from datetime import datetime
from typing import Any

import pytest

from punctual.core.calls import Answer, CallError, ErrorType, Verdict
from punctual.core.execution import (
    Go,
    Postponed,
    decide,
    handed_over_anew,
    judge_attempt,
    may_be_left_out,
    postpone,
)
from punctual.core.jobs import CatchUp, Epoch, Job, JobState, Policy
from punctual.core.retry import RetryPolicy
from punctual.core.runs import Ending, Failure, Mark, Run, RunState, Trigger
from punctual.core.strands import REPLAYS, asked_name
from tests.support.builders import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    a_job,
    a_run,
    a_run_key,
    a_schedule,
    a_stretch,
)
from tests.support.clock import NINE

SLOT = NINE + MINUTE


def started(attempt: int = 1, *, slot: datetime = SLOT, **fields: Any) -> Run:
    return a_run(slot, state="running", attempt=attempt, **fields)


class TestDecide:
    """The job, read after the start, says whether the target is called."""

    def test_a_run_that_is_wanted_is_called(self) -> None:
        assert decide(started(), a_job(), now=SLOT) is Go.CALL

    def test_a_run_of_a_job_that_is_gone_is_cancelled(self) -> None:
        gone = [None, a_job(state=JobState.DELETED), a_job(incarnation=2)]

        for job in gone:
            ending = decide(started(), job, now=SLOT)

            assert isinstance(ending, Ending)
            assert (ending.state, ending.reason) == (RunState.CANCELLED, "deleted")

    def test_a_slot_of_a_schedule_that_was_replaced_before_it_is_undone(self) -> None:
        epochs = (Epoch(schedule_revision=1), Epoch(schedule_revision=2, since=NINE))

        assert decide(started(), a_job(epochs=epochs), now=SLOT) is Go.VOID

    def test_a_slot_of_a_schedule_that_was_replaced_after_it_is_carried_out(self) -> None:
        epochs = (Epoch(schedule_revision=1), Epoch(schedule_revision=2, since=SLOT))

        assert decide(started(), a_job(epochs=epochs), now=SLOT + SECOND) is Go.CALL

    def test_a_slot_that_was_left_out_is_undone(self) -> None:
        left_out = [a_stretch(NINE)]

        assert decide(started(), a_job(), now=SLOT, left_out=left_out) is Go.VOID

    def test_a_slot_that_was_left_out_is_undone_though_its_job_was_deleted_since(self) -> None:
        deleted = a_job(state=JobState.DELETED)

        assert decide(started(), deleted, now=SLOT, left_out=[a_stretch(NINE)]) is Go.VOID

    def test_a_slot_is_carried_out_though_one_of_an_earlier_schedule_was_left_out_there(
        self,
    ) -> None:
        """A visit that stood still through an edit left it out, and knew no better."""
        epochs = (Epoch(schedule_revision=1), Epoch(schedule_revision=2, since=NINE))
        job, run = a_job(epochs=epochs), started(schedule_revision=2)

        assert decide(run, job, now=SLOT, left_out=[a_stretch(NINE)]) is Go.CALL
        later = [a_stretch(NINE, schedule_revision=2)]
        assert decide(run, job, now=SLOT, left_out=later) is Go.VOID

    def test_a_slot_after_the_pause_began_is_undone_whatever_its_attempt(self) -> None:
        job = a_job(state=JobState.PAUSED, paused_at=SLOT - SECOND)

        assert decide(started(), job, now=SLOT) is Go.VOID
        assert decide(started(attempt=2), job, now=SLOT) is Go.VOID

    def test_a_slot_whose_target_accepted_the_work_is_not_undone(self) -> None:
        """It fell silent, so another attempt follows, whatever became of the schedule meanwhile."""
        run = started(attempt=2, marks=(Mark("first", MINUTE), Mark("second")))
        epochs = (Epoch(schedule_revision=1), Epoch(schedule_revision=2, since=NINE))
        paused = a_job(state=JobState.PAUSED, paused_at=SLOT - SECOND)

        assert decide(run, a_job(epochs=epochs), now=SLOT + MINUTE) is Go.CALL
        assert decide(run, paused, now=SLOT + MINUTE) is Go.CALL

    def test_a_slot_before_the_pause_is_skipped_unless_it_had_begun(self) -> None:
        job = a_job(state=JobState.PAUSED, paused_at=SLOT + SECOND)

        skipped = decide(started(), job, now=SLOT + MINUTE)

        assert isinstance(skipped, Ending)
        assert (skipped.state, skipped.reason) == (RunState.SKIPPED, "paused")
        assert decide(started(attempt=2), job, now=SLOT + MINUTE) is Go.CALL

    def test_a_first_attempt_past_the_start_deadline_is_missed(self) -> None:
        job = a_job(policy=Policy(start_deadline=HOUR))

        missed = decide(started(), job, now=SLOT + HOUR + SECOND)

        assert isinstance(missed, Ending)
        assert (missed.state, missed.reason) == (RunState.MISSED, "deadline")
        assert decide(started(), job, now=SLOT + HOUR) is Go.CALL
        assert decide(started(attempt=2), job, now=SLOT + DAY) is Go.CALL

    def test_the_start_deadline_of_a_slot_before_the_creation_counts_from_the_creation(
        self,
    ) -> None:
        job = a_job(created_at=NINE + DAY, policy=Policy(start_deadline=HOUR))

        assert decide(started(), job, now=NINE + DAY + HOUR) is Go.CALL

    def test_a_manual_run_asks_neither_epochs_nor_a_pause_that_began_later(self) -> None:
        run = a_run(SLOT, key=a_run_key(name="m.4f2a"), state="running")
        epochs = (Epoch(schedule_revision=2, since=NINE),)

        assert decide(run, a_job(epochs=epochs), now=SLOT) is Go.CALL


class TestARunThatIsTakenBack:
    """An edit or a resume at its very slot met it begun: once it is gone there is no row."""

    EDITED = (Epoch(schedule_revision=1), Epoch(schedule_revision=2, since=NINE))

    def edited(self, **fields: Any) -> Job:
        return a_job(schedule_revision=2, epochs=self.EDITED, **fields)

    def test_is_handed_over_anew_where_the_new_schedule_names_its_slot(self) -> None:
        row = handed_over_anew(started(), self.edited())

        assert row is not None
        assert (row.key, row.state) == (started().key, RunState.QUEUED)
        assert (row.schedule_revision, row.attempt) == (2, 0)

    def test_is_handed_over_anew_where_the_pause_is_over(self) -> None:
        row = handed_over_anew(started(), a_job(resumed_at=SLOT))

        assert row is not None
        assert (row.key, row.schedule_revision) == (started().key, 1)

    def test_is_gone_for_good_where_nothing_names_its_slot_any_more(self) -> None:
        assert handed_over_anew(started(slot=SLOT + SECOND), self.edited()) is None

    def test_is_gone_for_good_where_its_slot_was_left_out(self) -> None:
        left_out = [a_stretch(NINE)]

        assert handed_over_anew(started(), a_job(), left_out=left_out) is None

    def test_is_left_to_a_visit_where_the_job_alone_does_not_tell(self) -> None:
        limited = self.edited(schedule=a_schedule(MINUTE, max_runs=5))

        assert handed_over_anew(started(), limited) is None

    def test_is_not_owed_by_a_job_that_is_paused_or_gone(self) -> None:
        gone = [None, self.edited(state=JobState.DELETED), self.edited(incarnation=2)]
        for job in (*gone, self.edited(state=JobState.PAUSED, paused_at=NINE)):
            assert handed_over_anew(started(), job) is None


class TestARunThatWasAskedFor:
    """No schedule named it, so that no change of a schedule takes it back."""

    NAME = asked_name(REPLAYS, at=SLOT, token="a")

    def asked(self, attempt: int = 1, **fields: Any) -> Run:
        """Return a replay, asked for at the slot's time, of what was due a day before."""
        key = a_run_key(name=self.NAME)
        return started(attempt, slot=SLOT - DAY, key=key, trigger=Trigger.REPLAY, **fields)

    def test_is_called_whatever_schedule_is_in_force(self) -> None:
        epochs = (Epoch(schedule_revision=7, since=NINE - DAY),)

        assert decide(self.asked(), a_job(epochs=epochs), now=SLOT) is Go.CALL
        assert decide(self.asked(), a_job(state=JobState.ENDED), now=SLOT) is Go.CALL

    def test_is_skipped_when_its_job_is_paused_and_goes_on_once_it_was_called(self) -> None:
        job = a_job(state=JobState.PAUSED, paused_at=SLOT - SECOND)

        ending = decide(self.asked(), job, now=SLOT)

        assert isinstance(ending, Ending)
        assert (ending.state, ending.reason) == (RunState.SKIPPED, "paused")
        assert decide(self.asked(attempt=2), job, now=SLOT) is Go.CALL

    def test_has_its_start_deadline_from_when_it_was_asked_for(self) -> None:
        job = a_job(policy=Policy(start_deadline=MINUTE))

        assert decide(self.asked(), job, now=SLOT + MINUTE) is Go.CALL
        ending = decide(self.asked(), job, now=SLOT + MINUTE + SECOND)

        assert isinstance(ending, Ending)
        assert ending.state is RunState.MISSED

    def test_waits_for_a_host_from_when_it_was_asked_for(self) -> None:
        job = a_job(policy=Policy(retry=RetryPolicy(max_age=10 * MINUTE)))
        error = CallError(type=ErrorType.HOST_DOWN, message="not there")
        answer = Answer(error=error, again_in=MINUTE)

        waits = postpone(self.asked(), answer, job, now=SLOT, draw=0)

        assert isinstance(waits, Postponed)
        assert waits.retry_at == SLOT + MINUTE

    def test_is_left_out_by_no_rule(self) -> None:
        job = a_job(policy=Policy(catch_up=CatchUp.NONE), resumed_at=SLOT + HOUR)

        assert not may_be_left_out(self.asked(), job, now=SLOT + HOUR)


class TestMayBeLeftOut:
    """Only a run that a catch-up rule could concern pays for another read."""

    def test_a_run_that_starts_on_time_was_not_left_out(self) -> None:
        job = a_job(policy=Policy(catch_up=CatchUp.NONE))

        assert not may_be_left_out(started(), job, now=SLOT + SECOND)
        assert may_be_left_out(started(), job, now=SLOT + MINUTE)

    def test_a_job_that_was_never_changed_leaves_nothing_out_when_it_runs_all(self) -> None:
        assert not may_be_left_out(started(), a_job(), now=SLOT + HOUR)

    def test_a_slot_that_an_earlier_rule_left_out_does_not_run_under_a_later_one(self) -> None:
        """Found by the simulation: left out, then run, since an edit had changed the rule."""
        job = a_job(policy=Policy(catch_up=CatchUp.ALL), updated_at=SLOT + 2 * MINUTE)

        assert may_be_left_out(started(), job, now=SLOT + HOUR)


class TestJudgeAttempt:
    """An answer becomes the outcome, or a failure that another attempt follows."""

    def judge(
        self,
        verdict: Verdict,
        answer: Answer,
        *,
        attempt: int = 1,
        policy: RetryPolicy | None = None,
    ) -> Ending | Failure:
        return judge_attempt(
            started(attempt=attempt),
            answer,
            verdict,
            policy or RetryPolicy(),
            now=SLOT + SECOND,
            draw=0.5,
        )

    def test_a_success_keeps_what_came_back(self) -> None:
        answer = Answer(status_code=200, body=b"ok", body_bytes=2, content_type="text/plain")

        ending = self.judge(Verdict.SUCCEEDED, answer)

        assert isinstance(ending, Ending)
        assert ending.state is RunState.SUCCEEDED
        assert ending.result is not None
        assert (ending.result.status_code, ending.result.body) == (200, b"ok")

    def test_a_retryable_failure_waits_for_another_attempt(self) -> None:
        failure = self.judge(Verdict.RETRYABLE, Answer(status_code=503))

        assert isinstance(failure, Failure)
        assert failure.attempt == 1
        assert failure.error.type == ErrorType.HTTP_STATUS
        assert failure.retry_at == SLOT + 1.5 * SECOND

    def test_the_targets_wish_for_a_wait_is_heard(self) -> None:
        failure = self.judge(Verdict.RETRYABLE, Answer(status_code=503, retry_after="90"))

        assert isinstance(failure, Failure)
        assert failure.retry_at == SLOT + 91 * SECOND

    @pytest.mark.parametrize(
        ("verdict", "state"),
        [
            (Verdict.RETRYABLE, RunState.FAILED),
            (Verdict.FINAL, RunState.FAILED),
            (Verdict.TIMED_OUT, RunState.TIMED_OUT),
        ],
    )
    def test_the_last_attempt_ends_the_run(self, verdict: Verdict, state: RunState) -> None:
        answer = Answer(error=CallError(type=ErrorType.TIMEOUT, message="no answer"))

        ending = self.judge(verdict, answer, attempt=3)

        assert isinstance(ending, Ending)
        assert ending.state is state
        assert ending.error is not None

    def test_a_final_failure_ends_the_run_at_its_first_attempt(self) -> None:
        ending = self.judge(Verdict.FINAL, Answer(status_code=404))

        assert isinstance(ending, Ending)
        assert ending.state is RunState.FAILED


class TestPostpone:
    """A run whose target was not called comes back later, for as long as it may."""

    DOWN = Answer(error=CallError(type=ErrorType.HOST_DOWN, message="a is down"), again_in=MINUTE)

    def postpone(self, run: Run, *, policy: Policy | None = None, draw: float = 0.0) -> object:
        job = a_job(policy=policy or Policy())
        return postpone(run, self.DOWN, job, now=SLOT + SECOND, draw=draw)

    def test_it_waits_as_long_as_is_asked_for_and_up_to_half_as_long_again(self) -> None:
        run = started(starts=(SLOT,))

        soonest, latest = self.postpone(run), self.postpone(run, draw=0.999)

        assert isinstance(soonest, Postponed)
        assert isinstance(latest, Postponed)
        assert soonest.retry_at == SLOT + SECOND + MINUTE
        assert latest.retry_at == SLOT + SECOND + 1.4995 * MINUTE
        assert soonest.reason == "host_down: a is down"

    def test_a_run_that_was_never_called_has_until_its_start_deadline(self) -> None:
        policy = Policy(start_deadline=MINUTE)

        ending = self.postpone(started(starts=(SLOT,)), policy=policy)

        assert isinstance(ending, Ending)
        assert (ending.state, ending.error) == (RunState.FAILED, self.DOWN.error)

    def test_a_run_that_was_called_has_as_long_as_its_retries(self) -> None:
        policy = Policy(start_deadline=SECOND, retry=RetryPolicy(max_age=2 * MINUTE))
        lately = started(attempt=2, starts=(SLOT, SLOT + SECOND))
        long_ago = started(attempt=2, starts=(SLOT - 2 * MINUTE, SLOT + SECOND))

        assert isinstance(self.postpone(lately, policy=policy), Postponed)
        assert isinstance(self.postpone(long_ago, policy=policy), Ending)

    def test_no_run_waits_longer_than_its_retries_may_take(self) -> None:
        policy = Policy(start_deadline=DAY, retry=RetryPolicy(max_age=MINUTE))

        assert isinstance(self.postpone(started(starts=(SLOT,)), policy=policy), Ending)
