"""Runs that no schedule names: run a job now, run once more what a run did."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from punctual.api.answers import answered, answers
from punctual.api.parameters import IdempotencyKey, JobId, RunId
from punctual.api.presenters import run_view
from punctual.api.resolver import Resolver
from punctual.api.schemas import RunNowBody
from punctual.api.views import RunView
from punctual.core.errors import JobNotFound
from punctual.core.identity import JOB_ID, JobKey, fingerprint, parse_run_id
from punctual.services.asking import Asked, Asking, Key
from punctual.services.runs import Seen, stage_of

_ANSWERS: dict[int, Any] = answers(
    RunView,
    "The run, queued",
    status=202,
    headers=("Location",),
    problems=(400, 404, 409, 410, 413, 415, 422),
) | answers(
    RunView,
    "Asked for by an earlier sending of this request; the run as it is now",
    headers=("Idempotent-Replayed",),
)


def add_asking_routes(app: Resolver, asking: Asking) -> None:
    """Add what brings runs into being beside the schedule."""

    @app.post(
        "/v1/jobs/<job_id>/runs",
        summary="Run a job now",
        description=(
            "The schedule goes on as if there were no such run, and `max_runs` does not count it. "
            "With `body`, the call sends that instead of what the job has."
        ),
        tags=["runs"],
        operation_id="run_job",
        responses=_ANSWERS,
    )
    def run_job(
        job_id: JobId,
        body: Annotated[RunNowBody | None, Body()] = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Response[str]:
        tenant = app.tenant
        if not JOB_ID.fullmatch(job_id):
            raise JobNotFound(f"there is no job {job_id[:100]!r}")
        sent = None if body is None else body.body
        return shown(asking.run_now(JobKey(tenant, job_id), body=sent, key=key_of(idempotency_key)))

    @app.post(
        "/v1/runs/<run_id>/replay",
        summary="Run once more what a run did",
        description=(
            "A new run for the same `scheduled_at`, with the body of its own that the run had, if "
            "any; all else is as the job has it by now. The run must have its outcome."
        ),
        tags=["runs"],
        operation_id="replay_run",
        responses=_ANSWERS,
    )
    def replay_run(run_id: RunId, idempotency_key: IdempotencyKey = None) -> Response[str]:
        run_key = parse_run_id(app.tenant, run_id)
        return shown(asking.replay(run_key, key=key_of(idempotency_key)))

    def key_of(idempotency_key: str | None) -> Key | None:
        if idempotency_key is None:
            return None
        return Key(text=idempotency_key, fingerprint=fingerprint(app.context.get("json_body")))

    def shown(asked: Asked) -> Response[str]:
        run = asked.run
        view = run_view(Seen(run=run, stage=stage_of(run)))
        if asked.replayed:
            return answered(view, headers={"Idempotent-Replayed": "true"})
        return answered(view, status=202, headers={"Location": f"/v1/runs/{run.key.run_id}"})
