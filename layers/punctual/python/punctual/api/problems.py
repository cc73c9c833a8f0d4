"""What goes wrong, as problem details (RFC 9457)."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from punctual.api.schemas import pointer, schedule_place
from punctual.core.errors import (
    Conflict,
    FieldError,
    IdempotencyKeyReused,
    InvalidRequest,
    InvalidSchedule,
    JobGone,
    JobNotFound,
    MalformedRequest,
    NotFound,
    PunctualError,
    RevisionConflict,
    RunNotFound,
    StoreUnavailable,
    TooLarge,
    Unauthenticated,
    UnsupportedMediaType,
)

TYPE_BASE = "urn:punctual:problem:"
MEDIA_TYPE = "application/problem+json"

RETRY_AFTER_SECONDS = 1
"""When a request may be sent again that met a store out of reach."""


class MethodNotAllowed(PunctualError):
    """The path is there, but not for this method; `allowed` names those it is there for."""

    code = "method-not-allowed"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"the path takes {allowed}")
        self.allowed = allowed


class NoSuchPath(PunctualError):
    """Nothing is at this path; the document at `/openapi.json` lists what there is."""

    code = "no-such-path"


@dataclass(frozen=True, slots=True)
class _Shape:
    status: HTTPStatus
    title: str


_SHAPES: Mapping[type[PunctualError], _Shape] = {
    MalformedRequest: _Shape(HTTPStatus.BAD_REQUEST, "The request cannot be read"),
    Unauthenticated: _Shape(HTTPStatus.UNAUTHORIZED, "Nobody is known to ask"),
    NoSuchPath: _Shape(HTTPStatus.NOT_FOUND, "There is nothing at this path"),
    NotFound: _Shape(HTTPStatus.NOT_FOUND, "There is no such thing"),
    JobNotFound: _Shape(HTTPStatus.NOT_FOUND, "There is no such job"),
    RunNotFound: _Shape(HTTPStatus.NOT_FOUND, "There is no such run"),
    MethodNotAllowed: _Shape(HTTPStatus.METHOD_NOT_ALLOWED, "Not with this method"),
    Conflict: _Shape(HTTPStatus.CONFLICT, "Its state does not allow this"),
    JobGone: _Shape(HTTPStatus.GONE, "The job has been deleted"),
    RevisionConflict: _Shape(HTTPStatus.PRECONDITION_FAILED, "The job was changed meanwhile"),
    TooLarge: _Shape(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is too large"),
    UnsupportedMediaType: _Shape(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The request is not JSON"),
    InvalidRequest: _Shape(HTTPStatus.UNPROCESSABLE_ENTITY, "The content cannot be used"),
    InvalidSchedule: _Shape(HTTPStatus.UNPROCESSABLE_ENTITY, "The schedule cannot be used"),
    IdempotencyKeyReused: _Shape(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The key was used for another request"
    ),
    StoreUnavailable: _Shape(HTTPStatus.SERVICE_UNAVAILABLE, "Try again later"),
}
_UNFORESEEN = _Shape(HTTPStatus.INTERNAL_SERVER_ERROR, "A fault of our own")


def problem_of(error: Exception, *, instance: str) -> dict[str, Any]:
    """Describe an error as a problem.

    Args:
        error: A domain error of the table; any other is a 500 that shows nothing of itself.
        instance: Path of the request.
    """
    shape = _SHAPES.get(type(error), _UNFORESEEN) if isinstance(error, PunctualError) else None
    shape = shape or _UNFORESEEN
    code = error.code if isinstance(error, PunctualError) else PunctualError.code
    problem: dict[str, Any] = {
        "type": TYPE_BASE + code,
        "title": shape.title,
        "status": int(shape.status),
    }
    if shape is not _UNFORESEEN:
        problem["detail"] = str(error)[:1000]
    problem["instance"] = instance
    if errors := _fields_of(error):
        problem["errors"] = [{"pointer": e.pointer, "detail": e.detail} for e in errors]
    return problem


def _fields_of(error: Exception) -> tuple[FieldError, ...]:
    match error:
        case InvalidRequest(errors=errors):
            return errors
        case InvalidSchedule():
            place = ("schedule", *schedule_place(error))
            return (FieldError(pointer=pointer(place), detail=str(error)),)
        case _:
            return ()


def headers_of(error: Exception) -> dict[str, str]:
    """Return the headers that an error's answer needs."""
    match error:
        case MethodNotAllowed(allowed=allowed):
            return {"Allow": allowed}
        case Unauthenticated():
            return {"WWW-Authenticate": "AWS4-HMAC-SHA256, Bearer"}
        case StoreUnavailable():
            return {"Retry-After": str(RETRY_AFTER_SECONDS)}
        case _:
            return {}
