"""An executor starts a run once, calls its target, and records one outcome, whatever happens."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from punctual.core.calls import Answer, Call
from punctual.core.execution import HIDE_MAX, LEASE_MARGIN, POLL
from punctual.core.identity import JobKey, RunKey
from punctual.core.instants import MILLISECOND
from punctual.core.jobs import CatchUp, Delivery, Epoch, HttpTarget, Job, JobState, Policy
from punctual.core.records import content_ref
from punctual.core.retry import Jitter, RetryPolicy
from punctual.core.runs import Finish, GiveUp, Move, RequestCancel, Retry, Run, RunState, Start
from punctual.ports import Message, Moved, Outgoing
from punctual.services import execute as module
from punctual.services.execute import ASK_AGAIN, HOLD_MAX
from tests.support.builders import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    TICK,
    a_content,
    a_job,
    a_run,
    a_run_key,
    a_schedule,
    a_stretch,
    an_ending,
)
from tests.support.clock import NINE
from tests.support.deployment import EXECUTOR_LIVES, JOB, LONGEST_CALL, Deployment, a_deployment
from tests.support.mishaps import Calls, Flaky, UnansweredMoves, every_death
from tests.support.virtual_targets import BUSY, HOST_DOWN, OK, QUICK, TIMED_OUT

SLOT = NINE + MINUTE
KEY = a_run_key(SLOT)
PATIENT = Policy(retry=RetryPolicy(min_delay=SECOND, jitter=Jitter.NONE))


def a_rare_job(**fields: Any) -> Job:
    """Return a job that hands nothing over while a test lasts."""
    values: dict[str, Any] = {
        "schedule": a_schedule(DAY),
        "next_slot": NINE + DAY,
        "policy": PATIENT,
    }
    return a_job(**values | fields)


def handed_over(deployed: Deployment, *runs: Run, job: Job | None = None) -> list[Message]:
    """Store a job with these runs, and receive a message about each; the clock stands at nine."""
    job = job or a_rare_job()
    if JOB not in deployed.engine.jobs.read([JOB]):
        deployed.store(job)
    wanted = runs or (a_run(SLOT),)
    assert all(deployed.engine.runs.insert([replace(r, state=RunState.QUEUED) for r in wanted]))
    return sent(deployed, *(run.key for run in wanted))


def sent(deployed: Deployment, *keys: RunKey) -> list[Message]:
    """Receive a message about each of these runs now, whatever their slots are."""
    now = deployed.now
    deployed.engine.queue.send([Outgoing(key=key, lane=a_run().lane, at=now) for key in keys])
    received = deployed.engine.receive()
    assert len(received) >= len(keys)
    return list(received)


def started_by(deployed: Deployment, owner: str, *, lease: timedelta, now: datetime) -> None:
    """Let another executor take the run."""
    start = Start(key=KEY, owner=owner, now=now, lease_until=now + lease)
    assert deployed.engine.runs.move([start])[0].applied


def outcome(deployed: Deployment, key: RunKey = KEY) -> Run:
    run = deployed.run(key)
    assert run is not None
    return run


def slowly(answer: Answer = OK, *, after: timedelta) -> Callable[[Call], tuple[Answer, timedelta]]:
    return lambda _: (answer, after)


def answering(*answers: Answer) -> Callable[[Call], tuple[Answer, timedelta]]:
    """Answer the first attempt so, and each later one as it comes."""
    return lambda call: (answers[min(call.attempt, len(answers)) - 1], QUICK)


class TestAStart:
    """A run starts on its slot: not before, and not twice."""

    def test_comes_first_and_the_job_is_read_after_it(self, deployed: Deployment) -> None:
        """Read the other way round, the job may be deleted by the time of the call."""
        messages = handed_over(deployed)

        deployed.at(SLOT).execute(messages)

        assert deployed.calls.made[:4] == [
            "runs.move",
            "jobs.read",
            "jobs.read_contents",
            "targets.launch",
        ]

    @pytest.mark.parametrize("early", [TICK, 999 * TICK, SECOND, HOLD_MAX])
    def test_waits_for_the_slot_when_the_message_is_a_little_early(
        self, deployed: Deployment, early: timedelta
    ) -> None:
        messages = handed_over(deployed)

        deployed.at(SLOT - early).execute(messages)

        ((launched_at, call),) = deployed.targets.calls
        assert launched_at == SLOT
        assert (call.run_id, call.attempt) == (KEY.run_id, 1)

    def test_hides_a_message_that_is_too_early_until_just_before_the_slot(
        self, deployed: Deployment
    ) -> None:
        messages = handed_over(deployed)

        handled = deployed.at(SLOT - 30 * SECOND).execute(messages)

        assert handled.kept == messages
        assert deployed.targets.calls == []
        (back,) = deployed.messages_until(SLOT)
        assert SLOT - HOLD_MAX <= back[0] <= SLOT

    def test_of_a_batch_costs_one_request_and_the_calls_go_side_by_side(
        self, deployed: Deployment
    ) -> None:
        runs = [a_run(SLOT, key=a_run_key(name=f"m.{n}")) for n in range(10)]
        messages = handed_over(deployed, *runs)
        deployed.targets.manner = slowly(after=5 * SECOND)

        handled = deployed.at(SLOT).execute(messages)

        assert len(handled.ended) == 10
        assert deployed.now == SLOT + 5 * SECOND
        assert deployed.calls.made.count("runs.move") == 2
        assert deployed.calls.made.count("jobs.read") == 1 + 1, "once to decide, once on the poll"

    def test_of_runs_at_different_slots_happens_at_each(self, deployed: Deployment) -> None:
        slots = [SLOT, SLOT + SECOND, SLOT + 2 * SECOND]
        messages = handed_over(deployed, *(a_run(slot) for slot in slots))
        deployed.targets.manner = slowly(after=10 * SECOND)

        deployed.at(SLOT).execute(messages)

        assert [at for at, _ in deployed.targets.calls] == slots

    def test_happens_once_for_two_messages_of_one_batch(self, deployed: Deployment) -> None:
        messages = handed_over(deployed) + sent(deployed, KEY)

        handled = deployed.at(SLOT).execute(messages)

        assert deployed.targets.runs == [KEY.run_id]
        assert handled.kept == [messages[1]], "should the first die, the other brings it back"
        (again,) = deployed.messages_until(SLOT + HIDE_MAX + SECOND)
        deployed.execute(sent(deployed, again[1]))
        assert deployed.targets.runs == [KEY.run_id]

    def test_comes_not_after_the_deadline(self, deployed: Deployment) -> None:
        messages = handed_over(deployed)
        now = deployed.at(SLOT).now

        handled = deployed.make_execute()(
            messages, deadline=now - TICK, lives_until=now + EXECUTOR_LIVES
        )

        assert handled.kept == messages
        assert outcome(deployed).state is RunState.QUEUED
        assert deployed.messages_until(now + ASK_AGAIN + SECOND) == [(now + ASK_AGAIN, KEY)]

    def test_gives_the_lease_the_executors_life_and_a_margin_for_clocks(
        self, deployed: Deployment
    ) -> None:
        messages = handed_over(deployed)
        leases: list[datetime | None] = []

        def note(_: Call) -> tuple[Answer, timedelta]:
            leases.append(outcome(deployed).lease_until)
            return OK, QUICK

        deployed.targets.manner = note

        deployed.at(SLOT).execute(messages)

        assert leases == [SLOT + EXECUTOR_LIVES + 5 * SECOND]


class TestAfterTheStart:
    """The job, as it is by then, says whether the target is called."""

    EDITED = a_job(
        schedule_revision=2,
        epochs=(Epoch(schedule_revision=1), Epoch(schedule_revision=2, since=NINE)),
    )
    """Its schedule was replaced before the slot, by one that names it, too."""

    def decided(self, deployed: Deployment, job: Job, *, at: datetime = SLOT) -> Run | None:
        messages = handed_over(deployed, job=job)
        deployed.at(at).execute(messages)
        assert deployed.targets.calls == []
        assert deployed.messages_until(at + 2 * MINUTE) == [], "its message is gone"
        return deployed.run(KEY)

    def test_a_run_of_a_job_that_was_deleted_is_cancelled(self, deployed: Deployment) -> None:
        messages = handed_over(deployed)
        deployed.delete()

        deployed.at(SLOT).execute(messages)

        assert deployed.targets.calls == []
        assert (outcome(deployed).state, outcome(deployed).reason) == ("cancelled", "deleted")

    def test_a_run_of_an_earlier_life_is_cancelled(self, deployed: Deployment) -> None:
        run = self.decided(deployed, a_job(incarnation=2))

        assert run is not None
        assert (run.state, run.reason) == (RunState.CANCELLED, "deleted")

    def test_a_slot_of_another_schedule_leaves_no_trace(self, deployed: Deployment) -> None:
        edited = replace(self.EDITED, schedule=a_schedule(HOUR))

        assert self.decided(deployed, edited) is None

    def test_a_slot_that_an_edit_names_too_is_called_in_time_though_the_edit_met_it_begun(
        self, deployed: Deployment
    ) -> None:
        """Found by the simulation: once taken back there was no row, until the watch looked."""
        messages = handed_over(deployed, job=self.EDITED)

        deployed.at(SLOT).execute(messages)
        assert deployed.targets.calls == []
        deployed.run_until(SLOT + SECOND)

        run = outcome(deployed)
        assert (run.state, run.schedule_revision, run.attempt) == (RunState.SUCCEEDED, 2, 1)
        assert run.starts == (SLOT,)

    def test_a_slot_that_the_pause_withholds_leaves_no_trace(self, deployed: Deployment) -> None:
        paused = a_job(state=JobState.PAUSED, paused_at=SLOT - TICK)

        assert self.decided(deployed, paused) is None

    def test_a_slot_that_is_withheld_keeps_the_cancel_that_was_accepted_meanwhile(
        self, deployed: Deployment
    ) -> None:
        """Found by the simulation: its row went, and with it the cancel; resumed, the run ran."""

        class Interrupted:
            """The job store, with a cancel between a start and the read that follows it."""

            def read(self, keys: Sequence[JobKey]) -> Mapping[JobKey, Job]:
                deployed.engine.runs.move([RequestCancel(key=KEY, at=SLOT)])
                return deployed.engine.jobs.read(keys)

            def __getattr__(self, name: str) -> Any:
                return getattr(deployed.engine.jobs, name)

        deployed.replaced["jobs"] = Interrupted()
        paused = a_job(state=JobState.PAUSED, paused_at=SLOT - TICK)

        run = self.decided(deployed, paused)

        assert run is not None
        assert (run.state, run.reason) == (RunState.CANCELLED, "cancelled")

    def test_a_slot_before_the_pause_is_skipped(self, deployed: Deployment) -> None:
        run = self.decided(deployed, a_job(state=JobState.PAUSED, paused_at=SLOT))

        assert run is not None
        assert (run.state, run.reason) == (RunState.SKIPPED, "paused")

    def test_a_run_past_its_start_deadline_is_missed(self, deployed: Deployment) -> None:
        job = a_job(policy=Policy(start_deadline=MINUTE))

        run = self.decided(deployed, job, at=SLOT + MINUTE + TICK)

        assert run is not None
        assert (run.state, run.reason) == (RunState.MISSED, "deadline")

    def test_a_slot_that_was_left_out_leaves_no_trace(self, deployed: Deployment) -> None:
        """Its row was written by a visit that had been given up, after another left it out."""
        job = a_job(policy=Policy(catch_up=CatchUp.NONE))
        deployed.engine.runs.put_stretches([(JOB, a_stretch(NINE, count=10))])

        assert self.decided(deployed, job, at=SLOT + 2 * MINUTE) is None

    def test_a_run_withdraws_what_is_only_announced_of_its_slot(self, deployed: Deployment) -> None:
        """The visit that announced it has still to look: it finds the run, or was given up."""
        job = a_job(policy=Policy(catch_up=CatchUp.NONE))
        announced = a_stretch(NINE, count=10, announced_by="visit")
        others = a_stretch(NINE + HOUR, announced_by="visit")
        entries = [(JOB, announced), (JOB, others)]
        messages = handed_over(deployed, job=job)
        deployed.engine.runs.put_stretches(entries)

        deployed.at(SLOT + 2 * MINUTE).execute(messages)

        assert outcome(deployed).state is RunState.SUCCEEDED
        assert deployed.engine.runs.stretches(JOB, incarnation=1) == [others]
        assert deployed.engine.runs.settle_stretches(entries) == [False, True]

    def test_a_slot_that_is_settled_under_the_eyes_of_its_run_is_left_out(
        self, deployed: Deployment
    ) -> None:
        """Its row came after the visit had looked again: what cannot be withdrawn counts."""
        job = a_job(policy=Policy(catch_up=CatchUp.NONE))
        announced = [(JOB, a_stretch(NINE, count=10, announced_by="visit"))]
        store = deployed.engine.runs
        store.put_stretches(announced)

        class Meddled:
            """Has the visit settle its stretch the moment before it would be withdrawn."""

            def __getattr__(self, name: str) -> Any:
                if name == "withdraw_stretches":
                    store.settle_stretches(announced)
                return getattr(store, name)

        deployed.replaced["runs"] = Meddled()

        assert self.decided(deployed, job, at=SLOT + 2 * MINUTE) is None
        assert deployed.targets.calls == []

    def test_stretches_are_read_only_for_late_runs_of_jobs_that_leave_slots_out(
        self, deployed: Deployment
    ) -> None:
        job = a_job(policy=Policy(catch_up=CatchUp.NONE), resumed_at=NINE)
        messages = handed_over(deployed, job=job)

        deployed.at(SLOT).execute(messages)

        assert "runs.stretches" not in deployed.calls.made
        assert outcome(deployed).state is RunState.SUCCEEDED

    def test_a_run_that_failed_once_goes_on_though_its_slot_is_withheld(
        self, deployed: Deployment
    ) -> None:
        """Its target was called before the pause was written; that cannot be undone."""
        messages = handed_over(deployed)
        deployed.targets.manner = answering(BUSY, OK)
        deployed.at(SLOT).execute(messages)
        job = deployed.job()
        paused = replace(
            job, state=JobState.PAUSED, paused_at=SLOT - SECOND, revision=job.revision + 1
        )
        assert deployed.engine.jobs.change(paused, seen=job)

        deployed.run_until(SLOT + 3 * SECOND, ticks=False)

        assert outcome(deployed).state is RunState.SUCCEEDED
        assert [call.attempt for _, call in deployed.targets.calls] == [1, 2]

    def test_a_job_that_cannot_be_read_keeps_the_run_until_it_can(
        self, deployed: Deployment
    ) -> None:
        messages = handed_over(deployed)
        deployed.replaced["jobs"] = Flaky(deployed.engine.jobs, read=3)

        deployed.at(SLOT).execute(messages)

        assert outcome(deployed).state is RunState.SUCCEEDED
        assert outcome(deployed).attempt == 1

    def test_a_target_that_is_not_in_the_store_fails_its_run_and_no_other(
        self, deployed: Deployment
    ) -> None:
        deployed.engine.jobs.create(a_job("lacking", content="0" * 64))
        lacking = a_run(SLOT, key=a_run_key(SLOT, job_id="lacking"))
        messages = handed_over(deployed, a_run(SLOT), lacking)

        deployed.at(SLOT).execute(messages)

        assert outcome(deployed).state is RunState.SUCCEEDED
        failed = outcome(deployed, lacking.key)
        assert failed.state is RunState.FAILED
        assert failed.error is not None
        assert failed.error.type == "internal"

    def test_a_call_that_cannot_be_made_fails_its_run_and_says_nothing_of_the_target(
        self, deployed: Deployment
    ) -> None:
        broken = a_content(headers=(("X-Token", object()),))
        assert isinstance(broken.target, HttpTarget)
        execute = deployed.make_execute()
        job = a_job(content="1" * 64, policy=PATIENT)
        deployed.engine.jobs.create(job)
        execute._contents[job.content] = broken
        messages = handed_over(deployed, job=job)

        deployed.at(SLOT)
        execute(messages, deadline=SLOT, lives_until=SLOT + EXECUTOR_LIVES)

        error = outcome(deployed).error
        assert error is not None
        assert error.message == "the call cannot be made (TypeError)"


def test_contents_are_read_once_and_few_are_remembered(
    deployed: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONTENTS_REMEMBERED", 2)
    execute = deployed.make_execute()
    for number in range(3):
        content = a_content(f"https://example.com/{number}")
        job = a_job(f"job-{number}", content=content_ref(content))
        deployed.engine.jobs.put_content(job.key, job.content, content)
        deployed.engine.jobs.create(job)
    deployed.store(a_job())
    for number in (0, 0, 1, 2):
        name = a_run_key(job_id=f"job-{number}", name=f"m.{len(deployed.targets.calls)}")
        messages = handed_over(deployed, a_run(NINE, key=name))
        execute(messages, deadline=deployed.now, lives_until=deployed.now + EXECUTOR_LIVES)

    assert deployed.calls.made.count("jobs.read_contents") == 3
    assert len(execute._contents) == 2
    assert [url[-1] for url in deployed.targets.urls] == ["0", "0", "1", "2"]


class TestAnOutcome:
    """What came back is recorded once, and the message goes after it."""

    def test_is_recorded_and_the_message_goes(self, deployed: Deployment) -> None:
        messages = handed_over(deployed)

        handled = deployed.at(SLOT).execute(messages)

        run = outcome(deployed)
        assert (run.state, run.attempt) == (RunState.SUCCEEDED, 1)
        assert run.result is not None
        assert (run.starts, run.finished_at) == ((SLOT,), SLOT + QUICK)
        assert handled.ended == [run]
        assert handled.kept == []
        assert deployed.calls.made[-2:] == ["runs.move", "queue.acknowledge"]

    def test_after_a_short_wait_comes_from_the_same_message(self, deployed: Deployment) -> None:
        messages = handed_over(deployed)
        deployed.targets.manner = answering(BUSY, BUSY, OK)

        handled = deployed.at(SLOT).execute(messages)
        assert [run.state for run in handled.retrying] == ["retrying"]
        deployed.run_until(SLOT + 10 * SECOND, ticks=False)

        run = outcome(deployed)
        assert (run.state, run.attempt) == (RunState.SUCCEEDED, 3)
        assert len({call.run_id for _, call in deployed.targets.calls}) == 1
        assert [call.attempt for _, call in deployed.targets.calls] == [1, 2, 3]
        first, second, third = run.starts
        assert first + SECOND <= second
        assert second + 2 * SECOND <= third

    def test_after_a_long_wait_comes_from_the_watch(self, deployed: Deployment) -> None:
        """So that waiting runs never fill a lane."""
        waits = RetryPolicy(min_delay=HOUR, max_delay=HOUR, jitter=Jitter.NONE)
        messages = handed_over(deployed, job=a_rare_job(policy=Policy(retry=waits)))
        deployed.targets.manner = answering(BUSY, OK)

        handled = deployed.at(SLOT).execute(messages)

        assert handled.kept == [], "its message is gone, because a watch row carries the run"
        retry_at = SLOT + QUICK + HOUR
        assert deployed.watched() == {KEY: (SLOT + HOUR).replace(second=0)}
        made = deployed.calls.made
        assert made.index("watch_list.add") < len(made) - made[::-1].index("runs.move") - 1
        deployed.run_until(retry_at + 2 * SECOND)
        assert [at - SLOT for at, _ in deployed.targets.calls] == [timedelta(0), HOUR + SECOND]
        assert outcome(deployed).state is RunState.SUCCEEDED

    def test_after_a_long_wait_that_no_watch_carries_keeps_its_message(
        self, deployed: Deployment
    ) -> None:
        waits = RetryPolicy(min_delay=5 * MINUTE, max_delay=HOUR, jitter=Jitter.NONE)
        messages = handed_over(deployed, job=a_rare_job(policy=Policy(retry=waits)))
        deployed.targets.manner = answering(BUSY, OK)
        deployed.replaced["watch_list"] = Flaky(deployed.engine.watch_list, add={0})

        handled = deployed.at(SLOT).execute(messages)

        assert handled.kept == messages
        deployed.run_until(SLOT + 6 * MINUTE, ticks=False)
        assert outcome(deployed).state is RunState.SUCCEEDED

    @pytest.mark.parametrize(
        ("answer", "state"),
        [
            (BUSY, RunState.FAILED),
            (TIMED_OUT, RunState.TIMED_OUT),
            (Answer(status_code=404), RunState.FAILED),
        ],
    )
    def test_of_the_last_attempt_is_what_the_last_attempt_was(
        self, deployed: Deployment, answer: Answer, state: RunState
    ) -> None:
        messages = handed_over(deployed)
        deployed.targets.manner = answering(answer)

        deployed.at(SLOT).execute(messages)
        deployed.run_until(SLOT + MINUTE, ticks=False)

        run = outcome(deployed)
        assert run.state is state
        assert run.attempt == (1 if answer.status_code == 404 else 3)

    def test_of_a_job_that_is_to_run_at_most_once_follows_one_attempt(
        self, deployed: Deployment
    ) -> None:
        messages = handed_over(
            deployed, a_run(SLOT, max_attempts=1, delivery=Delivery.AT_MOST_ONCE)
        )
        deployed.targets.manner = answering(BUSY)

        deployed.at(SLOT).execute(messages)

        assert (outcome(deployed).state, outcome(deployed).attempt) == (RunState.FAILED, 1)


class TestARunThatIsPutOff:
    """Its target was not called, so nothing happened: it waits, and the attempt does not count."""

    def putting_off(self, times: int) -> Callable[[Call], tuple[Answer, timedelta]]:
        answers = iter([HOST_DOWN] * times)
        return lambda _: (next(answers, OK), QUICK)

    def test_waits_and_says_for_what(self, deployed: Deployment) -> None:
        deployed.targets.manner = self.putting_off(1)

        handled = deployed.at(SLOT).execute(handed_over(deployed))

        run = outcome(deployed)
        assert (run.state, run.attempt, run.starts) == (RunState.RETRYING, 0, ())
        assert run.reason == "host_down: example.com takes no connections"
        assert [run.key for run in handled.waiting] == [KEY]
        assert handled.retrying == []

    def test_comes_back_from_its_message_as_the_same_attempt(self, deployed: Deployment) -> None:
        deployed.targets.manner = self.putting_off(2)

        deployed.at(SLOT).execute(handed_over(deployed))
        deployed.run_until(SLOT + 2 * MINUTE)

        run = outcome(deployed)
        assert (run.state, run.attempt, run.reason) == (RunState.SUCCEEDED, 1, None)
        assert [call.attempt for _, call in deployed.targets.calls] == [1, 1, 1]

    def test_is_put_off_between_its_attempts_too(self, deployed: Deployment) -> None:
        answers = iter([BUSY, HOST_DOWN, OK])
        deployed.targets.manner = lambda _: (next(answers), QUICK)

        deployed.at(SLOT).execute(handed_over(deployed))
        deployed.run_until(SLOT + 2 * MINUTE)

        run = outcome(deployed)
        assert (run.state, run.attempt) == (RunState.SUCCEEDED, 2)
        assert len(run.failures) == 1

    def test_fails_when_its_next_start_would_be_past_the_start_deadline(
        self, deployed: Deployment
    ) -> None:
        job = a_rare_job(policy=Policy(start_deadline=10 * SECOND))
        deployed.targets.manner = self.putting_off(1)

        deployed.at(SLOT).execute(handed_over(deployed, job=job))

        run = outcome(deployed)
        assert run.state is RunState.FAILED
        assert run.error == HOST_DOWN.error

    def test_is_not_put_off_for_ever(self, deployed: Deployment) -> None:
        job = a_rare_job(policy=Policy(start_deadline=5 * MINUTE))
        deployed.targets.manner = lambda _: (HOST_DOWN, QUICK)

        deployed.at(SLOT).execute(handed_over(deployed, job=job))
        deployed.run_until(SLOT + 7 * MINUTE)

        run = outcome(deployed)
        assert (run.state, run.error, run.attempt) == (RunState.FAILED, HOST_DOWN.error, 1)
        assert run.finished_at is not None
        assert SLOT + 4 * MINUTE < run.finished_at <= SLOT + 5 * MINUTE
        assert len(deployed.targets.calls) <= 16, "20 s apart, or more"

    def test_is_cancelled_when_nobody_wants_it_any_more(self, deployed: Deployment) -> None:
        answers = iter([HOST_DOWN])
        deployed.targets.manner = lambda _: (next(answers), 20 * SECOND)
        messages = handed_over(deployed)
        deployed.at(SLOT)
        executor = deployed.make_execute()
        executor.take(messages, lives_until=SLOT + MINUTE)
        deployed.engine.runs.move([RequestCancel(key=KEY, at=SLOT)])

        while executor.busy:
            executor.step(wait=SECOND)

        assert outcome(deployed).state is RunState.CANCELLED


class TestAStartThatIsRefused:
    """The row that refuses it says what becomes of the message."""

    def test_for_its_outcome_lets_the_message_go(self, deployed: Deployment) -> None:
        messages = handed_over(deployed)
        deployed.at(SLOT).execute(messages)

        handled = deployed.execute(sent(deployed, KEY))

        assert (handled.kept, handled.ended) == ([], [])
        assert len(deployed.targets.calls) == 1

    def test_for_want_of_a_row_lets_the_message_go(self, deployed: Deployment) -> None:
        """A message that comes back after its record is forgotten brings nothing back."""
        deployed.store(a_job())

        handled = deployed.at(SLOT + 60 * DAY).execute(sent(deployed, KEY))

        assert handled.kept == []
        assert deployed.runs() == []

    def test_by_a_live_attempt_waits_until_its_lease_can_have_ended(
        self, deployed: Deployment
    ) -> None:
        messages = handed_over(deployed)
        started_by(deployed, "another", lease=30 * SECOND, now=SLOT)

        deployed.at(SLOT).execute(messages)
        deployed.run_until(SLOT + 40 * SECOND, ticks=False)

        ((at, call),) = deployed.targets.calls
        assert at > SLOT + 30 * SECOND
        assert call.attempt == 2

    def test_by_an_attempt_that_lives_long_gives_the_run_to_the_watch(
        self, deployed: Deployment
    ) -> None:
        messages = handed_over(deployed)
        started_by(deployed, "another", lease=15 * MINUTE, now=SLOT)

        handled = deployed.at(SLOT).execute(messages)

        assert handled.kept == []
        assert deployed.watched() == {KEY: SLOT + 16 * MINUTE}

    def test_by_an_attempt_that_lives_long_is_asked_again_where_no_watch_carries_it(
        self, deployed: Deployment
    ) -> None:
        messages = handed_over(deployed)
        started_by(deployed, "another", lease=15 * MINUTE, now=SLOT)
        deployed.replaced["watch_list"] = Flaky(deployed.engine.watch_list, add={0})

        handled = deployed.at(SLOT).execute(messages)

        assert handled.kept == messages
        assert deployed.messages_until(SLOT + HIDE_MAX) == [(SLOT + HIDE_MAX, KEY)]

    @pytest.mark.parametrize(
        ("delivery", "state"),
        [(Delivery.AT_LEAST_ONCE, RunState.FAILED), (Delivery.AT_MOST_ONCE, RunState.UNKNOWN)],
    )
    def test_by_the_last_attempt_that_died_ends_the_run(
        self, deployed: Deployment, delivery: Delivery, state: RunState
    ) -> None:
        messages = handed_over(deployed, a_run(SLOT, max_attempts=1, delivery=delivery))
        started_by(deployed, "dead", lease=SECOND, now=SLOT)

        handled = deployed.at(SLOT + 2 * SECOND).execute(messages)

        assert deployed.targets.calls == []
        assert outcome(deployed).state is state
        assert handled.ended == [outcome(deployed)]
        assert handled.kept == []

    def test_by_a_cancel_that_nobody_lives_to_see_ends_the_run(self, deployed: Deployment) -> None:
        messages = handed_over(deployed)
        started_by(deployed, "dead", lease=SECOND, now=SLOT)
        deployed.engine.runs.move([RequestCancel(key=KEY, at=SLOT)])

        deployed.at(SLOT + 2 * SECOND).execute(messages)

        assert deployed.targets.calls == []
        assert outcome(deployed).state is RunState.CANCELLED

    def test_by_a_death_that_somebody_else_settles_is_asked_about_again(
        self, deployed: Deployment
    ) -> None:
        messages = handed_over(deployed, a_run(SLOT, max_attempts=1))
        started_by(deployed, "dead", lease=SECOND, now=SLOT)
        runs = UnansweredMoves(deployed.engine.runs, clock=deployed.engine.clock)
        runs.unanswered, runs.only = [True], GiveUp
        deployed.replaced["runs"] = runs

        handled = deployed.at(SLOT + 2 * SECOND).execute(messages)

        assert handled.kept == messages
        deployed.run_until(SLOT + 10 * SECOND, ticks=False)
        assert outcome(deployed).state is RunState.FAILED
        assert deployed.gone == {message.receipt for message in messages}

    def test_before_its_retry_is_due_waits_for_it(self, deployed: Deployment) -> None:
        messages = handed_over(deployed)
        deployed.targets.manner = answering(BUSY, OK)
        deployed.at(SLOT).execute(messages)

        handled = deployed.execute(sent(deployed, KEY))

        assert len(handled.kept) == 1
        assert len(deployed.targets.calls) == 1
        deployed.run_until(SLOT + 5 * SECOND, ticks=False)
        assert [call.attempt for _, call in deployed.targets.calls] == [1, 2]

    def test_takes_no_other_message_of_the_batch_along(self, deployed: Deployment) -> None:
        other = a_run(SLOT, key=a_run_key(name="m.other"))
        messages = handed_over(deployed, a_run(SLOT), other)
        started_by(deployed, "another", lease=30 * SECOND, now=SLOT)

        handled = deployed.at(SLOT).execute(messages)

        assert handled.kept == [messages[0]]
        assert outcome(deployed, other.key).state is RunState.SUCCEEDED


class TestAnAnswerThatWasLost:
    """A write may have happened though nobody said so; the owner's token tells."""

    @pytest.fixture
    def runs(self, deployed: Deployment) -> UnansweredMoves:
        runs = UnansweredMoves(deployed.engine.runs, clock=deployed.engine.clock)
        deployed.replaced["runs"] = runs
        return runs

    @pytest.mark.parametrize("delivery", list(Delivery))
    @pytest.mark.parametrize("unanswered", [[True], [False], [True, True], [False, True, False]])
    def test_of_a_start_costs_neither_the_attempt_nor_the_wait_for_its_lease(
        self,
        deployed: Deployment,
        runs: UnansweredMoves,
        unanswered: list[bool],
        delivery: Delivery,
    ) -> None:
        attempts = 1 if delivery is Delivery.AT_MOST_ONCE else 3
        messages = handed_over(deployed, a_run(SLOT, max_attempts=attempts, delivery=delivery))
        runs.unanswered, runs.only = unanswered, Start

        handled = deployed.at(SLOT).execute(messages)

        assert (outcome(deployed).state, outcome(deployed).attempt) == (RunState.SUCCEEDED, 1)
        assert [call.attempt for _, call in deployed.targets.calls] == [1]
        assert handled.kept == []
        assert deployed.now < SLOT + 5 * SECOND

    def test_of_a_start_is_asked_for_without_what_its_message_says_of_the_row(
        self, deployed: Deployment, runs: UnansweredMoves, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Once it was applied, the row is not as it was handed over."""
        run = a_run(SLOT)
        messages = [replace(m, handed_over=run) for m in handed_over(deployed, run)]
        runs.unanswered, runs.only = [True], Start
        asked: list[Start] = []
        move = runs.move

        def note(moves: Sequence[Move]) -> Sequence[Moved]:
            asked.extend(move for move in moves if isinstance(move, Start))
            return move(moves)

        monkeypatch.setattr(runs, "move", note)
        deployed.at(SLOT).execute(messages)

        assert [start.handed_over for start in asked] == [run, None]
        assert len({start.owner for start in asked}) == 1
        assert (outcome(deployed).state, outcome(deployed).attempt) == (RunState.SUCCEEDED, 1)

    def test_of_a_start_is_not_asked_for_once_a_call_could_not_end_in_time(
        self, deployed: Deployment, runs: UnansweredMoves
    ) -> None:
        messages = handed_over(deployed)
        runs.unanswered, runs.only, runs.patience = [False, True], Start, 9 * SECOND

        handled = deployed.at(SLOT).execute(messages)

        assert deployed.targets.calls == []
        assert handled.kept == messages
        assert deployed.now < SLOT + EXECUTOR_LIVES
        assert outcome(deployed).state is RunState.RUNNING, "the next delivery waits for its lease"

    @pytest.mark.parametrize("unanswered", [[True], [False], [False, True, False]])
    def test_of_an_outcome_is_asked_for_until_it_is_recorded(
        self, deployed: Deployment, runs: UnansweredMoves, unanswered: list[bool]
    ) -> None:
        messages = handed_over(deployed)
        runs.unanswered, runs.only = unanswered, Finish

        handled = deployed.at(SLOT).execute(messages)

        assert outcome(deployed).state is RunState.SUCCEEDED
        assert (len(handled.ended), handled.superseded) == (1, 0)
        assert len(deployed.targets.calls) == 1

    def test_of_a_retry_is_asked_for_until_it_is_recorded(
        self, deployed: Deployment, runs: UnansweredMoves
    ) -> None:
        messages = handed_over(deployed)
        deployed.targets.manner = answering(BUSY, OK)
        runs.unanswered, runs.only = [True, False], Retry

        deployed.at(SLOT).execute(messages)
        deployed.run_until(SLOT + 10 * SECOND, ticks=False)

        assert (outcome(deployed).state, outcome(deployed).attempt) == (RunState.SUCCEEDED, 2)

    def test_of_an_outcome_to_the_very_end_leaves_the_run_to_its_lease(
        self, deployed: Deployment, runs: UnansweredMoves
    ) -> None:
        messages = handed_over(deployed)
        runs.unanswered, runs.only = [False] * 100, Finish

        handled = deployed.at(SLOT).execute(messages)

        assert handled.kept == messages
        assert deployed.now <= SLOT + EXECUTOR_LIVES
        assert outcome(deployed).state is RunState.RUNNING


class TestAnExecutorThatStoodStill:
    """Its leases are over when it goes on, and others may have its runs."""

    def test_starts_nothing_again_that_it_is_not_sure_to_have_started(
        self, deployed: Deployment
    ) -> None:
        """It would take the run over from itself, under a lease that is over already."""
        runs = UnansweredMoves(deployed.engine.runs, clock=deployed.engine.clock)
        deployed.replaced["runs"] = runs
        messages = handed_over(deployed)
        runs.unanswered, runs.only = [True], Start
        runs.patience = EXECUTOR_LIVES + MINUTE

        handled = deployed.at(SLOT).execute(messages)

        assert handled.kept == messages
        assert deployed.targets.calls == []
        run = deployed.run(KEY)
        assert run is not None
        assert run.attempt == 1

    def test_calls_no_target_for_a_run_that_it_started_before(
        self, deployed: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        messages = handed_over(deployed)
        read = deployed.engine.jobs.read

        def standing_still(keys: Sequence[JobKey]) -> Mapping[JobKey, Job]:
            jobs = read(keys)
            deployed.engine.clock.advance(EXECUTOR_LIVES + MINUTE)
            return jobs

        monkeypatch.setattr(deployed.engine.jobs, "read", standing_still)

        handled = deployed.at(SLOT).execute(messages)

        assert handled.kept == messages
        assert deployed.targets.calls == []


class TestAnAttemptThatIsNotWantedAnyMore:
    """While it works, an executor asks every few seconds whether it should."""

    def interrupted(
        self,
        deployed: Deployment,
        meanwhile: Callable[[], object],
        *,
        answer: Answer = OK,
        after: timedelta = 20 * SECOND,
    ) -> tuple[Run, timedelta]:
        """Let something happen a second after a call began; return the run, and when it ended."""
        messages = handed_over(deployed)
        happened: list[datetime] = []
        collect = deployed.targets.collect

        def collecting(*, wait: timedelta) -> Sequence[tuple[Call, Answer]]:
            if deployed.targets.calls and not happened and deployed.now >= SLOT + SECOND:
                happened.append(deployed.now)
                meanwhile()
            return collect(wait=min(wait, SECOND))

        deployed.targets.collect = collecting  # type: ignore[method-assign]
        deployed.targets.manner = slowly(answer, after=after)
        deployed.at(SLOT).execute(messages)
        assert happened
        return outcome(deployed), deployed.now - happened[0]

    def cancel(self, deployed: Deployment) -> Callable[[], object]:
        return lambda: deployed.engine.runs.move([RequestCancel(key=KEY, at=deployed.now)])

    def test_is_stopped_within_seconds_when_its_run_is_cancelled(
        self, deployed: Deployment
    ) -> None:
        run, took = self.interrupted(deployed, self.cancel(deployed))

        assert took <= POLL + SECOND
        assert (run.state, run.reason) == (RunState.CANCELLED, "cancelled")
        assert len(deployed.targets.aborted) == 1

    def test_is_asked_about_in_time_though_its_start_took_a_moment(
        self, deployed: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A poll that came a moment too early was put off for as long again."""
        messages = handed_over(deployed)
        launch, launched = deployed.targets.launch, []

        def cancelled_at_once(calls: Sequence[Call]) -> None:
            launched.append(deployed.now)
            self.cancel(deployed)()
            launch(calls)

        clock = deployed.engine.clock
        monkeypatch.setattr(clock, "now", lambda: clock.advance(MILLISECOND))
        monkeypatch.setattr(deployed.targets, "launch", cancelled_at_once)
        deployed.targets.manner = slowly(after=20 * SECOND)
        deployed.at(SLOT).execute(messages)

        assert deployed.targets.aborted
        assert deployed.now <= launched[0] + POLL + SECOND

    def test_is_stopped_within_seconds_when_its_job_is_deleted(self, deployed: Deployment) -> None:
        run, took = self.interrupted(deployed, deployed.delete)

        assert took <= POLL + SECOND
        assert (run.state, run.reason) == (RunState.CANCELLED, "deleted")

    def test_goes_on_when_its_job_is_paused(self, deployed: Deployment) -> None:
        run, _ = self.interrupted(deployed, deployed.pause)

        assert run.state is RunState.SUCCEEDED
        assert deployed.targets.aborted == []

    def test_that_had_succeeded_by_then_is_recorded_as_what_it_was(
        self, deployed: Deployment
    ) -> None:
        run, _ = self.interrupted(deployed, self.cancel(deployed), after=1500 * TICK)

        assert run.state is RunState.SUCCEEDED

    def test_leads_to_no_further_attempt_when_its_failure_came_first(
        self, deployed: Deployment
    ) -> None:
        def ignored(call: Call, *, leave: bool = False) -> None:
            pass

        def fails_as_it_is_stopped() -> None:
            self.cancel(deployed)()
            deployed.targets.abort = ignored  # type: ignore[method-assign]

        run, _ = self.interrupted(deployed, fails_as_it_is_stopped, answer=BUSY, after=6 * SECOND)

        assert (run.state, run.reason) == (RunState.CANCELLED, "cancelled")
        assert run.error is not None
        assert run.error.type == "http_status"

    def test_is_dropped_when_another_one_took_its_run_over(self, deployed: Deployment) -> None:
        """Its host's clock stood still for a while: what it has is not recorded."""

        def taken_over() -> None:
            later = deployed.now + HOUR
            started_by(deployed, "another", lease=HOUR, now=later)
            done = Finish(key=KEY, owner="another", ending=an_ending(at=later), scheduled_at=SLOT)
            assert deployed.engine.runs.move([done])[0].applied

        run, _ = self.interrupted(deployed, taken_over)

        assert run.finished_by == "another"
        assert len(deployed.targets.aborted) == 1
        assert deployed.targets.left == [], "nobody goes on with it"

    def test_leaves_what_it_began_to_the_one_that_took_its_run_over(
        self, deployed: Deployment
    ) -> None:
        """An execution of Step Functions is followed by the other one, and must not be stopped."""

        def taken_over() -> None:
            started_by(deployed, "another", lease=HOUR, now=deployed.now + HOUR)

        self.interrupted(deployed, taken_over)

        assert deployed.targets.left == deployed.targets.aborted != []

    def test_that_finds_itself_fenced_says_so(self, deployed: Deployment) -> None:
        messages = handed_over(deployed)

        def taken_over(_: Call) -> tuple[Answer, timedelta]:
            started_by(deployed, "another", lease=HOUR, now=deployed.now + HOUR)
            return OK, QUICK

        deployed.targets.manner = taken_over
        handled = deployed.at(SLOT).execute(messages)

        assert handled.superseded == 1
        assert handled.ended == []
        assert outcome(deployed).owner == "another"
        assert KEY in deployed.watched(), "the other one's lease is far: the watch has the run"

    def test_cannot_be_told_while_the_store_is_out_of_reach(self, deployed: Deployment) -> None:
        messages = handed_over(deployed)
        flaky = Flaky(deployed.engine.runs, read=2)
        deployed.replaced["runs"] = flaky
        deployed.targets.manner = slowly(after=20 * SECOND)

        deployed.at(SLOT).execute(messages)

        assert outcome(deployed).state is RunState.SUCCEEDED


class TestTheEndOfAnExecutor:
    """No attempt outlives its lease; what is not done by then is for others to do."""

    def test_cuts_off_calls_and_leaves_their_runs_to_a_takeover(self, deployed: Deployment) -> None:
        messages = handed_over(deployed)
        deployed.targets.manner = slowly(after=10 * MINUTE)
        job = deployed.job()
        slow = replace(job, policy=Policy(timeout=10 * MINUTE), revision=2)
        assert deployed.engine.jobs.change(slow, seen=job)

        deployed.at(SLOT).execute(messages)

        ((_, call),) = deployed.targets.calls
        assert call.timeout < EXECUTOR_LIVES, "the job may allow more by now than this lane has"
        run = outcome(deployed)
        assert (run.state, run.failures[0].error.type) == (RunState.RETRYING, "timeout")

    def test_never_shortens_what_its_lane_has_time_for(self, deployed: Deployment) -> None:
        messages = handed_over(deployed)
        latest = deployed.at(SLOT).now + EXECUTOR_LIVES - LONGEST_CALL

        deployed.at(latest)
        deployed.make_execute()(messages, deadline=latest, lives_until=latest + LONGEST_CALL)

        ((_, call),) = deployed.targets.calls
        assert call.timeout == 30 * SECOND

    def test_abandons_a_call_that_does_not_even_heed_its_deadline(
        self, deployed: Deployment
    ) -> None:
        messages = handed_over(deployed)
        launch = deployed.targets.launch

        def hang(calls: Sequence[Call]) -> None:
            launch([])
            deployed.targets.calls += [(deployed.now, call) for call in calls]

        deployed.targets.launch = hang  # type: ignore[method-assign]
        execute = deployed.make_execute()
        now = deployed.at(SLOT).now

        handled = execute(messages, deadline=now, lives_until=now + EXECUTOR_LIVES)

        assert handled.kept == messages
        assert execute.busy == 0
        assert deployed.now < now + EXECUTOR_LIVES
        assert len(deployed.targets.aborted) == 1
        assert outcome(deployed).dead(now + EXECUTOR_LIVES + LEASE_MARGIN + TICK)

    def test_lets_what_came_for_an_abandoned_call_go(self, deployed: Deployment) -> None:
        messages = handed_over(deployed)
        execute = deployed.make_execute()
        now = deployed.at(SLOT).now
        deployed.targets.manner = slowly(after=20 * SECOND)
        execute.take(messages, lives_until=now + EXECUTOR_LIVES)
        assert execute.busy == 1

        deployed.at(now + EXECUTOR_LIVES)
        execute([], deadline=deployed.now, lives_until=deployed.now)
        step = execute.step(wait=MINUTE)

        assert execute.busy == 0
        assert step.ended == []
        assert outcome(deployed).state is RunState.RUNNING


class TestTakingAndStepping:
    """The host on one machine takes runs as they come due, and settles them as they end."""

    def test_taking_returns_at_once_and_steps_bring_the_outcomes(
        self, deployed: Deployment
    ) -> None:
        messages = handed_over(deployed)
        execute = deployed.make_execute()
        deployed.at(SLOT)
        deployed.targets.manner = slowly(after=5 * SECOND)

        taken = execute.take(messages, lives_until=SLOT + 15 * MINUTE)
        assert (len(taken.started), execute.busy, deployed.now) == (1, 1, SLOT)
        nothing = execute.step(wait=SECOND)
        assert (nothing.ended, deployed.now) == ([], SLOT + SECOND)
        polled = execute.step(wait=MINUTE)
        assert (polled.ended, deployed.now) == ([], SLOT + POLL)
        done = execute.step(wait=MINUTE)

        assert [run.state for run in done.ended] == ["succeeded"]
        assert (execute.busy, deployed.now) == (0, SLOT + 5 * SECOND)

    def test_a_step_never_waits_long_while_something_is_left_to_be_written(
        self, deployed: Deployment
    ) -> None:
        messages = handed_over(deployed)
        runs = UnansweredMoves(deployed.engine.runs, clock=deployed.engine.clock)
        runs.unanswered, runs.only = [False], Start
        deployed.replaced["runs"] = runs
        execute = deployed.make_execute()
        deployed.at(SLOT)

        execute.take(messages, lives_until=SLOT + 15 * MINUTE)
        assert execute.busy == 1
        runs.unanswered = [False]
        execute.step(wait=HOUR)
        assert deployed.now == SLOT + SECOND
        while execute.busy:
            execute.step(wait=HOUR)

        assert outcome(deployed).state is RunState.SUCCEEDED
        assert deployed.now < SLOT + 3 * SECOND


@pytest.mark.parametrize("delivery", list(Delivery))
def test_an_executor_that_dies_anywhere_leaves_runs_that_end_all_the_same(
    tmp_path: Path, delivery: Delivery
) -> None:
    """Killed between any two calls to its ports, it is replaced once its messages come again.

    The target sees attempts that only grow. A run that is to be called at most once is, and the
    death of its attempt is recorded. No message goes before its run is safe.
    """
    runs = [
        a_run(SLOT, key=a_run_key(name=f"m.{name}"), delivery=delivery)
        for name in ("works", "fails-once", "is-doubled")
    ]
    if delivery is Delivery.AT_MOST_ONCE:
        runs = [replace(run, max_attempts=1) for run in runs]

    def answer(call: Call) -> tuple[Answer, timedelta]:
        fails = "fails-once" in call.run_id and call.attempt == 1
        return BUSY if fails else OK, 4 * SECOND

    def story(calls: Calls) -> None:
        with a_deployment(tmp_path, calls=calls) as deployed:
            messages = handed_over(deployed, *runs) + sent(deployed, runs[-1].key)
            deployed.targets.manner = answer

            deployed.at(SLOT).carry_out(messages)

            launched = Counter(deployed.targets.runs)
            for run in (outcome(deployed, run.key) for run in runs):
                if delivery is Delivery.AT_LEAST_ONCE:
                    assert run.state is RunState.SUCCEEDED
                else:
                    assert run.state in {"succeeded", "failed", "unknown"}
                    assert launched[run.key.run_id] <= 1
                    assert (run.state is RunState.SUCCEEDED) <= (launched[run.key.run_id] == 1)
                assert run.attempt <= run.max_attempts

    deaths = list(every_death(story))

    assert {where.partition(": ")[2] for where in deaths} >= {
        "jobs.read",
        "jobs.read_contents",
        "queue.acknowledge",
        "queue.hide",
        "runs.move",
        "targets.collect",
        "targets.launch",
    }
