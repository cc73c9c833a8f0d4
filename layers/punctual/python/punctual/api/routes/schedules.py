"""Schedules that are no job's: which slots would one have?"""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from punctual.api.answers import answered, answers
from punctual.api.presenters import slots_view
from punctual.api.resolver import Resolver
from punctual.api.schemas import PreviewBody
from punctual.api.views import Slots
from punctual.core.previews import preview
from punctual.ports import Clock


def add_schedule_routes(app: Resolver, *, clock: Clock) -> None:
    """Add the preview; nothing is stored, and nothing of a tenant's is read."""

    @app.post(
        "/v1/schedules/preview",
        summary="The first slots of a schedule",
        description=(
            "Of a job that would be created now; a `start_at` that is past is where they begin. "
            "A spread shifts them by what only the job's name decides, so it is not in them."
        ),
        tags=["schedules"],
        operation_id="preview_schedule",
        responses=answers(Slots, "The slots, the soonest first", problems=(400, 413, 415, 422)),
    )
    def preview_schedule(body: Annotated[PreviewBody, Body()]) -> Response[str]:
        schedule = body.schedule.to_domain()
        slots = preview(schedule, now=clock.now(), count=body.count)
        return answered(slots_view(schedule, slots))
