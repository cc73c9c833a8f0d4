"""How operations answer, and how the document says so."""

import json
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.event_handler import Response
from pydantic_core import to_json

from punctual.api.problems import MEDIA_TYPE as PROBLEM_TYPE
from punctual.api.problems import headers_of, problem_of
from punctual.api.views import Problem

JSON_TYPE = "application/json"

_PROBLEMS = {
    400: "Not JSON, or a cursor of another list",
    401: "No verified identity",
    404: "No such thing, or another tenant's",
    409: "The thing's state does not allow this",
    410: "The job that this request once created has been deleted",
    412: "The job is not at the revision of `If-Match`",
    413: "The body is over 256 KB",
    415: "The body is not JSON",
    422: "The content cannot be used; `errors` names every field at fault",
    503: "The store is out of reach; see `Retry-After`",
}

_HEADERS = {
    "ETag": {"description": "The job's revision", "schema": {"type": "string"}},
    "Location": {"description": "Where the new thing is", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "`true`: an earlier sending of this request did what it asks for",
        "schema": {"type": "string"},
    },
}


def answered(
    value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[str]:
    """Answer with JSON."""
    return Response(
        status_code=status,
        content_type=JSON_TYPE,
        headers=headers,
        body=to_json(value).decode(),
    )


def refused(error: Exception, *, instance: str) -> Response[str]:
    """Answer with a problem.

    Args:
        error: What went wrong.
        instance: Path of the request.
    """
    problem = problem_of(error, instance=instance)
    return Response(
        status_code=problem["status"],
        content_type=PROBLEM_TYPE,
        headers=headers_of(error),
        # What is told of a request may be no text at all: such characters become question marks.
        body=json.dumps(problem, ensure_ascii=False).encode(errors="replace").decode(),
    )


def answers(
    model: object,
    description: str,
    *,
    status: int = 200,
    headers: tuple[str, ...] = (),
    problems: tuple[int, ...] = (),
) -> dict[int, Any]:
    """Describe the answers of an operation: the good one, and what may go wrong.

    Args:
        model: Type of the good answer's JSON; None for an answer without a body.
        description: Of the good answer.
        status: Of the good answer.
        headers: Names of its headers.
        problems: Statuses of its problems, beside those that every operation has.
    """
    good: dict[str, Any] = {"description": description, "content": {}}
    if model is not None:
        good["content"] = {JSON_TYPE: {"model": model}}
    if headers:
        good["headers"] = {name: _HEADERS[name] for name in headers}
    return {status: good} | {
        number: {
            "description": _PROBLEMS[number],
            "content": {PROBLEM_TYPE: {"model": Problem}},
        }
        for number in sorted({*problems, 401, 503})
    }
