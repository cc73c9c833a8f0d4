"""Runs: list those of a job, read one, its log and its result, cancel it."""

import re
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from punctual.api.answers import answered, answers
from punctual.api.pagination import Cursors
from punctual.api.parameters import Cursor, JobId, Limit, RunId, Since, Until
from punctual.api.presenters import gap_view, log_line_view, run_view
from punctual.api.resolver import Resolver
from punctual.api.views import Log, RunList, RunStage, RunView
from punctual.core.errors import JobNotFound
from punctual.core.identity import JOB_ID, JobKey, RunKey, parse_run_id
from punctual.services.runs import Runs, Stage

TRUNCATED = "Punctual-Truncated"
"""Header of a result of which there was more than can be had."""

UNKNOWN_TYPE = "application/octet-stream"

_MEDIA_TYPE = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,254}")

_UNTRUSTED = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}
"""What a target answered is shown, never run: a browser must not take it for a page of ours."""


def add_run_routes(app: Resolver, runs: Runs, *, cursors: Cursors) -> None:
    """Add what users do with runs."""

    @app.get(
        "/v1/jobs/<job_id>/runs",
        summary="List the runs of a job",
        description=(
            "Newest first, the next coming ones included; `gaps` are the stretches of slots that "
            "a catch-up rule left out."
        ),
        tags=["runs"],
        operation_id="list_runs",
        responses=answers(RunList, "A part of the runs", problems=(400, 404, 422)),
    )
    def list_runs(
        job_id: JobId,
        state: Annotated[RunStage | None, Query()] = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = 25,
        cursor: Cursor = None,
    ) -> Response[str]:
        tenant = app.tenant
        if not JOB_ID.fullmatch(job_id):
            raise JobNotFound(f"there is no job {job_id[:100]!r}")
        scope = f"runs of {job_id}"
        listing = runs.list(
            JobKey(tenant, job_id),
            stage=Stage(state) if state else None,
            since=since,
            until=until,
            before=cursors.unseal(cursor, tenant=tenant, scope=scope),
            limit=limit,
        )
        view: RunList = {
            "items": [run_view(seen) for seen in listing.items],
            "gaps": [gap_view(stretch) for stretch in listing.gaps],
            "next_cursor": cursors.seal(listing.before, tenant=tenant, scope=scope),
        }
        return answered(view)

    @app.get(
        "/v1/runs/<run_id>",
        summary="Get a run",
        tags=["runs"],
        operation_id="get_run",
        responses=answers(RunView, "The run", problems=(404,)),
    )
    def get_run(run_id: RunId) -> Response[str]:
        return answered(run_view(runs.get(key_of(run_id))))

    @app.get(
        "/v1/runs/<run_id>/logs",
        summary="Get the log of a run",
        tags=["runs"],
        operation_id="get_run_logs",
        responses=answers(Log, "What happened, oldest first", problems=(404,)),
    )
    def get_run_logs(run_id: RunId) -> Response[str]:
        view: Log = {"items": [log_line_view(line) for line in runs.logs(key_of(run_id))]}
        return answered(view)

    @app.get(
        "/v1/runs/<run_id>/result",
        summary="Get what the target answered",
        description=(
            "As it came, with the target's own content type: whole up to 1 MB. "
            "`Punctual-Truncated: true` says that there was more."
        ),
        tags=["runs"],
        operation_id="get_run_result",
        responses=answers(None, "The answer's body", problems=(404,))
        | {
            200: {
                "description": "The answer's body",
                "content": {"*/*": {"schema": {}}},
                "headers": {TRUNCATED: {"schema": {"type": "string", "enum": ["true"]}}},
            }
        },
    )
    def get_run_result(run_id: RunId) -> Response[bytes]:
        result = runs.result(key_of(run_id))
        kind = result.content_type or UNKNOWN_TYPE
        return Response(
            status_code=200,
            content_type=kind if _MEDIA_TYPE.fullmatch(kind) else UNKNOWN_TYPE,
            headers=_UNTRUSTED | ({TRUNCATED: "true"} if result.truncated else {}),
            body=result.body,
        )

    @app.post(
        "/v1/runs/<run_id>/cancel",
        summary="Cancel a run",
        description="At once, or once its executor has stopped: within seconds.",
        tags=["runs"],
        operation_id="cancel_run",
        responses=answers(RunView, "The run", status=202, problems=(404, 409)),
    )
    def cancel_run(run_id: RunId) -> Response[str]:
        return answered(run_view(runs.cancel(key_of(run_id))), status=202)

    def key_of(run_id: str) -> RunKey:
        return parse_run_id(app.tenant, run_id)
