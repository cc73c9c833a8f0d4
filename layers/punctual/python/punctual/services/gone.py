"""Pause a job whose target says that it is gone for good."""

from punctual.core.calls import Answer, Call, HttpCall, Verdict, judge
from punctual.core.changes import paused
from punctual.core.errors import Conflict, StoreUnavailable
from punctual.core.jobs import Job, JobState
from punctual.core.runs import Run
from punctual.ports import Clock, JobStore

GONE = 410
"""The status by which an HTTP target asks not to be called again."""

TRIES = 3
"""How often the pause follows a job whose pointer moves meanwhile."""


def says_gone(call: Call, answer: Answer) -> bool:
    """Say whether an answer means that its target is gone, unless its job calls that a success."""
    return (
        isinstance(call, HttpCall)
        and answer.status_code == GONE
        and judge(call, answer) is Verdict.FINAL
    )


def pause_gone(seen: Job, run: Run, *, jobs: JobStore, clock: Clock) -> bool:
    """Pause the job of a run whose target is gone, unless it was changed since the run read it.

    Called once the outcome stands, and never in its way: whoever dies in between leaves an active
    job, whose next run meets the same answer and pauses it then.

    Args:
        seen: The job as it was when the run was called.
        run: With its outcome.
        jobs: Where the job is.
        clock: The present.

    Returns:
        Whether the job is paused by this.
    """
    note = f"the target of {run.key.run_id} answered {GONE}: it is gone, and asks for no more calls"
    try:
        for _ in range(TRIES):
            job = jobs.read([seen.key]).get(seen.key)
            if job is None or job.revision != seen.revision or job.state is not JobState.ACTIVE:
                return False
            if jobs.change(paused(job, note=note, now=clock.now()), seen=job):
                return True
    except (Conflict, StoreUnavailable):  # it has ended, or cannot be reached now
        return False
    return False
