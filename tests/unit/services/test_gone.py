"""A target that says it is gone is called no more: its job is paused, and says why."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from punctual.core.calls import Answer, Call
from punctual.core.identity import RunKey
from punctual.core.jobs import Job, JobState
from punctual.core.runs import RunState
from punctual.services.gone import TRIES, pause_gone, says_gone
from tests.support.builders import MINUTE, SECOND, a_run, a_schedule
from tests.support.calls import a_call
from tests.support.clock import NINE
from tests.support.deployment import JOB, Deployment
from tests.support.mishaps import Flaky
from tests.support.virtual_targets import QUICK

GONE = Answer(status_code=410)
FIRST = RunKey(JOB, 1, "20261201T090100Z")
NOTE = f"the target of {FIRST.run_id} answered 410: it is gone, and asks for no more calls"


def job_of(deployed: Deployment) -> Job:
    return deployed.engine.jobs.read([JOB])[JOB]


class Restless:
    """A job store whose pointers move just before a change, so many times."""

    def __init__(self, jobs: Any, *, times: int) -> None:
        self._jobs = jobs
        self.times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    def change(self, job: Job, *, seen: Job) -> bool:
        if self.times > 0:
            self.times -= 1
            assert seen.next_slot is not None
            moved = seen.with_pointer(seen.next_slot + MINUTE, ordinal=seen.ordinal + 1)
            assert self._jobs.change(moved, seen=seen)
        changed: bool = self._jobs.change(job, seen=seen)
        return changed


def test_its_job_is_paused_with_a_note_once_the_outcome_stands(deployed: Deployment) -> None:
    deployed.create(a_schedule())
    deployed.targets.manner = lambda _: (GONE, QUICK)

    deployed.run_until(NINE + 10 * MINUTE)

    job = job_of(deployed)
    assert (job.state, job.pause_note) == (JobState.PAUSED, NOTE)
    assert deployed.targets.runs == [FIRST.run_id]
    run = deployed.run(FIRST)
    assert run is not None
    assert run.state is RunState.FAILED
    made = deployed.calls.made
    assert made.index("jobs.change") > made.index("targets.collect")


def test_a_job_that_was_changed_meanwhile_is_not_paused(deployed: Deployment) -> None:
    """It may have another target by now."""
    deployed.create(a_schedule())

    def edit_and_answer(_: Call) -> tuple[Answer, timedelta]:
        if len(deployed.targets.calls) == 0:
            deployed.edit(a_schedule(), timeout=9 * SECOND)
        return GONE, QUICK

    deployed.targets.manner = edit_and_answer
    deployed.run_until(NINE + MINUTE + 5 * SECOND)

    run = deployed.run(FIRST)
    assert run is not None
    assert run.state is RunState.FAILED
    assert job_of(deployed).state is JobState.ACTIVE


def test_a_pointer_that_moves_meanwhile_is_followed_a_few_times(deployed: Deployment) -> None:
    job = deployed.create(a_schedule()).job
    for times in (TRIES, TRIES - 1):
        restless = Restless(deployed.engine.jobs, times=times)

        is_paused = pause_gone(job, a_run(), jobs=restless, clock=deployed.engine.clock)

        assert is_paused is (times < TRIES)
    assert job_of(deployed).state is JobState.PAUSED


def test_a_job_that_is_paused_deleted_or_over_stays_so(deployed: Deployment) -> None:
    job = deployed.create(a_schedule()).job
    for state in (JobState.PAUSED, JobState.ENDED, JobState.DELETED):
        standing = job_of(deployed)
        assert deployed.engine.jobs.change(replace(standing, state=state), seen=standing)

        assert not pause_gone(job, a_run(), jobs=deployed.engine.jobs, clock=deployed.engine.clock)
        assert job_of(deployed).state is state


def test_a_store_that_is_out_of_reach_costs_the_pause_and_not_the_outcome(
    deployed: Deployment,
) -> None:
    """The job goes on, and its next run finds the target gone, too."""
    flaky = Flaky(deployed.engine.jobs, change=1)
    deployed.create(a_schedule())
    deployed.replaced["jobs"] = flaky
    deployed.targets.manner = lambda _: (GONE, QUICK)

    deployed.run_until(NINE + 10 * MINUTE)

    states = [deployed.run(RunKey(JOB, 1, f"20261201T090{n}00Z")) for n in (1, 2)]
    assert [run.state for run in states if run] == [RunState.FAILED] * 2
    assert job_of(deployed).state is JobState.PAUSED


def test_only_the_answer_that_is_no_success_says_so() -> None:
    assert says_gone(a_call(), GONE)
    assert not says_gone(a_call(success_codes=("410",)), GONE)
    assert not says_gone(a_call(), Answer(status_code=404))
