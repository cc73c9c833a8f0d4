"""Create many jobs in one request."""

import hashlib
from datetime import datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from punctual.api.answers import answered, answers
from punctual.api.bulk import BulkBody, BulkJobBody
from punctual.api.parameters import IdempotencyKey
from punctual.api.patching import read_as
from punctual.api.presenters import job_view
from punctual.api.problems import problem_of
from punctual.api.resolver import Resolver
from punctual.api.views import BulkItem, BulkList
from punctual.core.errors import Conflict, PunctualError
from punctual.core.identity import JobKey, fingerprint, job_id_of
from punctual.ports import Chance, Clock
from punctual.services.jobs import Jobs, Stored, Wanted

PATH = "/v1/jobs/bulk"


def add_bulk_routes(app: Resolver, jobs: Jobs, *, clock: Clock, chance: Chance) -> None:
    """Add what is done with many jobs at once."""

    @app.post(
        PATH,
        summary="Create up to a hundred jobs",
        description=(
            "Each is created or refused by itself: `items` tells of each in the order of the "
            "request, with the status and the answer that a request of its own would have had. "
            "With an `Idempotency-Key` a repetition of the whole makes no second job of any."
        ),
        tags=["jobs"],
        operation_id="create_jobs",
        responses=answers(BulkList, "What became of each", problems=(400, 413, 415, 422)),
    )
    def create_jobs(
        body: Annotated[BulkBody, Body()], idempotency_key: IdempotencyKey = None
    ) -> Response[str]:
        tenant = app.tenant
        whole = None if idempotency_key is None else fingerprint(app.json_body)
        wanted: dict[JobKey, int] = {}
        wants: list[Wanted] = []
        told: list[Stored | PunctualError | None] = [None] * len(body.jobs)
        for number, given in enumerate(body.jobs):
            try:
                want = read(given, number, tenant=tenant, key=idempotency_key, whole=whole)
                if want.key in wanted:
                    raise Conflict("another job of this request has the same id")
            except PunctualError as error:
                told[number] = error
            else:
                wanted[want.key] = number
                wants.append(want)
        for want, stored in zip(wants, jobs.create_all(wants), strict=True):
            told[wanted[want.key]] = stored
        now = clock.now()
        view: BulkList = {"items": [item(became, now=now) for became in told]}
        return answered(view)

    def item(became: Stored | PunctualError | None, *, now: datetime) -> BulkItem:
        assert became is not None, "each was stored or refused"
        if isinstance(became, Stored):
            view = job_view(became.job, became.content, now=now)
            return {"status": 201 if became.created else 200, "job": view}
        problem: Any = problem_of(became, instance=PATH)
        return {"status": problem["status"], "problem": problem}

    def read(
        given: Any,  # noqa: ANN401 - JSON
        number: int,
        *,
        tenant: str,
        key: str | None,
        whole: str | None,
    ) -> Wanted:
        """Read one job, and name it: as it says, or by the request's key and its number."""
        job = read_as(BulkJobBody, given, cloud=app.cloud, tenant=lambda: tenant)
        if job.id is not None:
            job_id, digest, repeatable = job.id, fingerprint(given), False
        elif key is not None and whole is not None:
            job_id = job_id_of(tenant, key, route=f"bulk {number}")
            digest, repeatable = whole, True
        else:
            job_id = f"j{hashlib.sha256(chance.token().encode()).hexdigest()[:24]}"
            digest, repeatable = fingerprint(given), False
        return Wanted(
            key=JobKey(tenant, job_id),
            spec=job.to_domain(),
            fingerprint=digest,
            repeatable=repeatable,
        )
