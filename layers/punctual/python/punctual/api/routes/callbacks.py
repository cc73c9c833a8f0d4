"""What targets that report back call: their token, and nothing else, says who they are."""

from collections.abc import Mapping
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from punctual.api.answers import answered, answers
from punctual.api.document import CALLBACK
from punctual.api.parameters import RunId
from punctual.api.presenters import attempt_view
from punctual.api.reports import CompleteBody, FailBody, LinesBody
from punctual.api.resolver import Resolver
from punctual.api.views import AttemptView, HeartbeatView
from punctual.core.errors import Unauthenticated
from punctual.core.timeline import attempts_of
from punctual.services.callbacks import Callbacks, Reported

_BEARER = "bearer "

_PROBLEMS = (400, 404, 409, 413, 415, 422)

_SHARED: Mapping[str, Any] = {"tags": ["callbacks"], "security": [{CALLBACK: []}]}


def add_callback_routes(app: Resolver, callbacks: Callbacks) -> None:
    """Add what the target of a run reports about its attempt."""

    @app.post(
        "/v1/runs/<run_id>/complete",
        summary="Report that the attempt succeeded",
        description="Reporting the same again changes nothing and is answered the same.",
        operation_id="complete_attempt",
        responses=answers(AttemptView, "The attempt", problems=_PROBLEMS),
        **_SHARED,
    )
    def complete(run_id: RunId, body: Annotated[CompleteBody, Body()]) -> Response[str]:
        return shown(callbacks.complete(run_id, token(), result=body.result))

    @app.post(
        "/v1/runs/<run_id>/fail",
        summary="Report that the attempt failed",
        description=(
            "Another attempt follows by the job's policy, unless `retry` is false. Reporting the "
            "same again changes nothing and is answered the same."
        ),
        operation_id="fail_attempt",
        responses=answers(AttemptView, "The attempt", problems=_PROBLEMS),
        **_SHARED,
    )
    def fail(run_id: RunId, body: Annotated[FailBody, Body()]) -> Response[str]:
        error = body.error.to_domain()
        return shown(callbacks.fail(run_id, token(), error=error, again=body.retry))

    @app.post(
        "/v1/runs/<run_id>/heartbeat",
        summary="Report that the attempt goes on",
        description=(
            "It may be silent for `heartbeat_seconds` from then on. With `cancel_requested` it is "
            "to stop, and to report that it failed."
        ),
        operation_id="heartbeat_of_attempt",
        responses=answers(HeartbeatView, "Whether it is to go on", problems=(404, 409)),
        **_SHARED,
    )
    def heartbeat(run_id: RunId) -> Response[str]:
        view: HeartbeatView = {"cancel_requested": callbacks.heartbeat(run_id, token())}
        return answered(view)

    @app.post(
        "/v1/runs/<run_id>/logs",
        summary="Add lines to the log of the run",
        operation_id="add_lines",
        responses=answers(None, "Kept", status=204, problems=_PROBLEMS),
        **_SHARED,
    )
    def add_lines(run_id: RunId, body: Annotated[LinesBody, Body()]) -> Response[str]:
        callbacks.log(run_id, token(), texts=body.lines)
        return Response(status_code=204)

    def token() -> str:
        value = app.current_event.headers.get("authorization") or ""
        if not value.lower().startswith(_BEARER):
            raise Unauthenticated("the request carries no token of an attempt")
        return value[len(_BEARER) :].strip()

    def shown(reported: Reported) -> Response[str]:
        return answered(attempt_view(attempts_of(reported.run)[reported.number - 1]))
