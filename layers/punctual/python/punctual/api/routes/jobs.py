"""Jobs: create, put, read, list, delete, pause, resume, and what is to come of them."""

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from punctual.api.answers import answered, answers
from punctual.api.pagination import Cursors
from punctual.api.parameters import (
    Count,
    Cursor,
    IdempotencyKey,
    IfMatch,
    JobId,
    Limit,
    Prefix,
    Tag,
)
from punctual.api.patching import merged, read_as
from punctual.api.presenters import job_view, slots_view
from punctual.api.resolver import Resolver
from punctual.api.schemas import JobBody, NewJobBody, PauseBody
from punctual.api.views import JobList, JobView, Slots
from punctual.core.changes import refuse_stale
from punctual.core.errors import (
    Conflict,
    FieldError,
    InvalidRequest,
    JobNotFound,
    RevisionConflict,
)
from punctual.core.identity import JOB_ID, JobKey, fingerprint, job_id_of
from punctual.core.jobs import JobState
from punctual.core.previews import upcoming
from punctual.ports import Chance, Clock
from punctual.services.jobs import TRIES, Jobs, Stored

SCOPE = "jobs"
"""Of cursors."""

_ENTITY_TAG = re.compile(r'(?P<weak>W/)?"(?P<text>[^"]*)"')


def add_job_routes(
    app: Resolver, jobs: Jobs, *, clock: Clock, chance: Chance, cursors: Cursors
) -> None:
    """Add what users do with jobs."""

    def shown(
        stored: Stored, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Response[str]:
        job = stored.job
        return answered(
            job_view(job, stored.content, now=clock.now()),
            status=status,
            headers={"ETag": f'"{job.revision}"', **(headers or {})},
        )

    def made(stored: Stored) -> Response[str]:
        return shown(stored, status=201, headers={"Location": f"/v1/jobs/{stored.job.key.job_id}"})

    @app.post(
        "/v1/jobs",
        summary="Create a job",
        tags=["jobs"],
        operation_id="create_job",
        responses=answers(
            JobView,
            "Created",
            status=201,
            headers=("ETag", "Location"),
            problems=(400, 409, 410, 413, 415, 422),
        )
        | answers(
            JobView,
            "Created by an earlier sending of this request; the job as it is now",
            headers=("ETag", "Idempotent-Replayed"),
        ),
    )
    def create_job(
        body: Annotated[NewJobBody, Body()], idempotency_key: IdempotencyKey = None
    ) -> Response[str]:
        tenant = app.tenant
        if idempotency_key is None:
            job_id = f"j{hashlib.sha256(chance.token().encode()).hexdigest()[:24]}"
        else:
            job_id = job_id_of(tenant, idempotency_key)
        stored = jobs.create(
            JobKey(tenant, job_id),
            body.to_domain(),
            fingerprint=fingerprint(app.json_body),
            repeatable=idempotency_key is not None,
        )
        if stored.replayed:
            return shown(stored, headers={"Idempotent-Replayed": "true"})
        return made(stored)

    @app.put(
        "/v1/jobs/<job_id>",
        summary="Create or replace a job",
        tags=["jobs"],
        operation_id="put_job",
        responses=answers(
            JobView,
            "Created",
            status=201,
            headers=("ETag", "Location"),
            problems=(400, 404, 409, 412, 413, 415, 422),
        )
        | answers(JobView, "Replaced, or as it was wanted already", headers=("ETag",)),
    )
    def put_job(
        job_id: JobId, body: Annotated[JobBody, Body()], if_match: IfMatch = None
    ) -> Response[str]:
        if not JOB_ID.fullmatch(job_id):
            detail = "should be 1 to 64 of a-z, 0-9, _ and -, and begin with neither _ nor -"
            raise InvalidRequest([FieldError("/id", detail)])
        if body.id not in {None, job_id}:
            raise InvalidRequest([FieldError("/id", "is not the id of the path")])
        key = JobKey(app.tenant, job_id)
        stored = jobs.put(
            key,
            body.to_domain(),
            fingerprint=fingerprint(app.json_body),
            if_match=revision_of(if_match, key),
        )
        return made(stored) if stored.created else shown(stored)

    @app.patch(
        "/v1/jobs/<job_id>",
        summary="Change some fields of a job",
        description=(
            "A JSON merge patch (RFC 7386) of what GET shows: null takes a field away, which then "
            "has its default. `application/merge-patch+json` and `application/json` are the same."
        ),
        tags=["jobs"],
        operation_id="patch_job",
        responses=answers(
            JobView,
            "Changed, or as it was wanted already",
            headers=("ETag",),
            problems=(400, 404, 409, 412, 413, 415, 422),
        ),
    )
    def patch_job(
        job_id: JobId, body: Annotated[dict[str, Any], Body()], if_match: IfMatch = None
    ) -> Response[str]:
        key = key_of(job_id)
        wanted = revision_of(if_match, key)
        for _ in range(TRIES):
            standing = jobs.get(key)
            refuse_stale(standing.job, wanted)
            value = merged(job_view(standing.job, standing.content, now=clock.now()), body)
            changed = read_as(JobBody, value, cloud=app.cloud, tenant=lambda: app.tenant)
            if changed.id not in {None, job_id}:
                raise InvalidRequest([FieldError("/id", "is not the id of the path")])
            with suppress(RevisionConflict):  # another change came first: the patch is one of that
                return shown(
                    jobs.put(
                        key,
                        changed.to_domain(),
                        fingerprint=fingerprint(value),
                        if_match=standing.job.revision,
                    )
                )
        raise Conflict("the job is being changed by others: try again")

    @app.get(
        "/v1/jobs",
        summary="List jobs",
        description="In the order of their ids.",
        tags=["jobs"],
        operation_id="list_jobs",
        responses=answers(JobList, "A part of the jobs", problems=(400, 422)),
    )
    def list_jobs(
        tag: Tag = None,
        state: Annotated[Literal["active", "paused", "ended"] | None, Query()] = None,
        prefix: Prefix = None,
        limit: Limit = 25,
        cursor: Cursor = None,
    ) -> Response[str]:
        tenant = app.tenant
        listing = jobs.list(
            tenant,
            prefix=prefix or "",
            state=JobState(state) if state else None,
            tag=tag,
            after=cursors.unseal(cursor, tenant=tenant, scope=SCOPE),
            limit=limit,
        )
        now = clock.now()
        view: JobList = {
            "items": [job_view(job, content, now=now) for job, content in listing.items],
            "next_cursor": cursors.seal(listing.after, tenant=tenant, scope=SCOPE),
        }
        return answered(view)

    @app.get(
        "/v1/jobs/<job_id>",
        summary="Get a job",
        tags=["jobs"],
        operation_id="get_job",
        responses=answers(JobView, "The job", headers=("ETag",), problems=(404,)),
    )
    def get_job(job_id: JobId) -> Response[str]:
        return shown(jobs.get(key_of(job_id)))

    @app.delete(
        "/v1/jobs/<job_id>",
        summary="Delete a job",
        description="No attempt starts afterwards, and live ones are told to stop.",
        tags=["jobs"],
        operation_id="delete_job",
        responses=answers(None, "Deleted", status=204, problems=(404, 409, 412)),
    )
    def delete_job(job_id: JobId, if_match: IfMatch = None) -> Response[str]:
        key = key_of(job_id)
        jobs.delete(key, if_match=revision_of(if_match, key))
        return Response(status_code=204)

    @app.post(
        "/v1/jobs/<job_id>/pause",
        summary="Pause a job",
        description="No run starts any more; runs already begun go on with their retries.",
        tags=["jobs"],
        operation_id="pause_job",
        responses=answers(
            JobView,
            "The job, paused",
            headers=("ETag",),
            problems=(400, 404, 409, 413, 415, 422),
        ),
    )
    def pause_job(job_id: JobId, body: Annotated[PauseBody | None, Body()] = None) -> Response[str]:
        return shown(jobs.pause(key_of(job_id), note=body.note if body else None))

    @app.post(
        "/v1/jobs/<job_id>/resume",
        summary="Resume a job",
        description="`catch_up` says what becomes of the slots that were due meanwhile.",
        tags=["jobs"],
        operation_id="resume_job",
        responses=answers(JobView, "The job, active", headers=("ETag",), problems=(404, 409)),
    )
    def resume_job(job_id: JobId) -> Response[str]:
        return shown(jobs.resume(key_of(job_id)))

    @app.get(
        "/v1/jobs/<job_id>/upcoming",
        summary="The next slots of a job",
        description="None while the job is paused.",
        tags=["jobs"],
        operation_id="list_upcoming",
        responses=answers(Slots, "Slots to come, the soonest first", problems=(400, 404, 422)),
    )
    def list_upcoming(job_id: JobId, count: Count = 10) -> Response[str]:
        job = jobs.get(key_of(job_id)).job
        return answered(slots_view(job.schedule, upcoming(job, now=clock.now(), count=count)))

    def key_of(job_id: str) -> JobKey:
        if not JOB_ID.fullmatch(job_id):
            raise JobNotFound(f"there is no job {job_id[:100]!r}")
        return JobKey(app.tenant, job_id)

    def revision_of(if_match: str | None, key: JobKey) -> int | None:
        """Read `If-Match`: the revision that the job must have, or None where any will do.

        Raises:
            RevisionConflict: The job has none of the revisions that it names.
        """
        if if_match is None:
            return None
        tags = [m["text"] for m in _ENTITY_TAG.finditer(if_match) if not m["weak"]]
        if len(tags) == 1 and re.fullmatch("[0-9]{1,18}", tags[0]):
            return int(tags[0])
        try:
            revision = jobs.get(key).job.revision
        except JobNotFound:
            raise RevisionConflict(f"there is no job {key.job_id!r}") from None
        if if_match.strip() != "*" and str(revision) not in tags:
            raise RevisionConflict(f"the job is at revision {revision}")
        return revision
