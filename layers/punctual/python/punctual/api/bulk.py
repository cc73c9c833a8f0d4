"""Many jobs in one request: each is read, and answered, as if it had come alone."""

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from punctual.api.fields import Body, wrong
from punctual.api.schemas import EXAMPLE, JobBody
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

    model_config = ConfigDict(json_schema_extra={"examples": [{"jobs": [EXAMPLE]}]})

    # Anything may stand here: what is no job is refused by itself, and the others are created.
    jobs: Annotated[list[Any], Field(min_length=1, max_length=BULK_MAX)]
    """Each as `POST /v1/jobs` takes it, with an `id` of its own if it is to have one."""
