"""Many jobs in one request: each is read, and answered, as if it had come alone."""

from typing import Annotated

from pydantic import AfterValidator, Field, SkipValidation

from punctual.api.fields import Body, wrong
from punctual.api.schemas import JobBody
from punctual.core.identity import JOB_ID

BULK_MAX = 100
"""Jobs of one request."""


def _job_id(value: str) -> str:
    if not JOB_ID.fullmatch(value):
        raise wrong("should be 1 to 64 of a-z, 0-9, _ and -, and begin with neither _ nor -")
    return value


class BulkJobBody(JobBody):
    """One job of several."""

    id: Annotated[str, AfterValidator(_job_id)] | None = None
    """Made here if it is left out."""


class BulkBody(Body):
    """Jobs to be created."""

    jobs: Annotated[list[SkipValidation[BulkJobBody]], Field(min_length=1, max_length=BULK_MAX)]
    """Each as `POST /v1/jobs` takes it, with an `id` of its own if it is to have one."""
