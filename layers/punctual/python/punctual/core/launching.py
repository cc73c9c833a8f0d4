"""The call of an attempt, by the kind of its target."""

from datetime import timedelta

from punctual.core.aws_calls import aws_call
from punctual.core.calls import Call, Callback, http_call
from punctual.core.jobs import HttpTarget, Target
from punctual.core.runs import Run


def call_of(
    run: Run, target: Target, *, timeout: timedelta, callback: Callback | None = None
) -> Call:
    """Make the call of the attempt that holds a run.

    Args:
        run: As its start left it.
        target: As the user wrote it.
        timeout: Total deadline of the call.
        callback: How the target reports back, where its answer is not the outcome.
    """
    job_id, run_id = run.key.job.job_id, run.key.run_id
    if isinstance(target, HttpTarget):
        return http_call(
            target,
            tenant=run.key.job.tenant,
            run_id=run_id,
            job_id=job_id,
            scheduled_at=run.scheduled_at,
            attempt=run.attempt,
            timeout=timeout,
            callback=callback,
        )
    return aws_call(
        target,
        tenant=run.key.job.tenant,
        run_id=run_id,
        job_id=job_id,
        scheduled_at=run.scheduled_at,
        attempt=run.attempt,
        failed_with=[failure.error.type for failure in run.failures],
        timeout=timeout,
    )
