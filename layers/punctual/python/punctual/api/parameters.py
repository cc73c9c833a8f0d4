"""Parameters that several operations take."""

import re
from datetime import datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from punctual.api.fields import wrong
from punctual.api.schemas import TAG_NAME, read_instant
from punctual.core.identity import JOB_ID
from punctual.core.previews import PREVIEWED_MAX

_DIGITS = re.compile(r"[0-9]{1,9}")
_TAG = re.compile(f"({TAG_NAME}):(.*)", flags=re.DOTALL)

IDEMPOTENCY_KEY_MAX = 255


def _number(value: str) -> int:
    if not _DIGITS.fullmatch(value):
        raise wrong("should be a number")
    return int(value)


def _tag(value: str) -> tuple[str, str]:
    match = _TAG.fullmatch(value)
    if match is None:
        raise wrong("should be a name and a value, such as team:billing")
    return match[1], match[2]


def _instant(value: str) -> datetime:
    # In a query a `+` that is not escaped reads as a space.
    return read_instant(value.replace(" ", "+"))


JobId = Annotated[str, Path(description="The job's id", pattern=f"^{JOB_ID.pattern}$")]
RunId = Annotated[str, Path(description="The run's id")]
Limit = Annotated[
    int,
    Field(ge=1, le=100),
    BeforeValidator(_number),
    Query(description="How many at most; there may be fewer though more follow"),
]
Count = Annotated[
    int,
    Field(ge=1, le=PREVIEWED_MAX),
    BeforeValidator(_number),
    Query(description="How many at most"),
]
Cursor = Annotated[str | None, Query(max_length=2000, description="`next_cursor` of the last page")]
Prefix = Annotated[str | None, Query(max_length=64, description="What the ids begin with")]
Tag = Annotated[
    tuple[str, str] | None,
    PlainValidator(_tag),
    WithJsonSchema({"type": "string", "pattern": f"^{TAG_NAME}:"}),
    Query(description="A tag that the jobs have, such as `team:billing`"),
]
Since = Annotated[
    Any,
    PlainValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
    Query(alias="from", description="Slots at this instant or later"),
]
Until = Annotated[
    Any,
    PlainValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
    Query(alias="to", description="Slots before this instant"),
]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description="The `ETag` that the job must have still"),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=IDEMPOTENCY_KEY_MAX,
        description="A name for this request, so that a repetition of it makes nothing twice",
    ),
]
