"""Leave out one coming slot of a job."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from punctual.api.answers import answered, answers
from punctual.api.parameters import JobId
from punctual.api.presenters import run_view
from punctual.api.resolver import Resolver
from punctual.api.schemas import SkipBody
from punctual.api.views import RunView
from punctual.core.errors import JobNotFound
from punctual.core.identity import JOB_ID, JobKey
from punctual.services.runs import Seen, stage_of
from punctual.services.skipping import Skipping


def add_skipping_routes(app: Resolver, skipping: Skipping) -> None:
    """Add the way to leave a slot out."""

    @app.post(
        "/v1/jobs/<job_id>/skip",
        summary="Leave out one coming slot",
        description=(
            "Its run reads `skipped`, for the reason `skip`; `max_runs` counts it. Doing it twice "
            "is fine; 409 once the slot's run has begun."
        ),
        tags=["runs"],
        operation_id="skip_slot",
        responses=answers(RunView, "The run, skipped", problems=(400, 404, 409, 413, 415, 422)),
    )
    def skip_slot(job_id: JobId, body: Annotated[SkipBody, Body()]) -> Response[str]:
        tenant = app.tenant
        if not JOB_ID.fullmatch(job_id):
            raise JobNotFound(f"there is no job {job_id[:100]!r}")
        run = skipping(JobKey(tenant, job_id), body.scheduled_at)
        return answered(run_view(Seen(run=run, stage=stage_of(run))))
