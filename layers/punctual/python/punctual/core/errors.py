"""Every failure a caller can act on. The docstring of each says what is so, and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass


class PunctualError(Exception):
    """Base of all errors that Punctual raises on purpose."""

    code = "internal"
    """Names the problem type to clients; stable, kebab-case."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a request's content."""

    pointer: str
    """JSON pointer to the field, such as `/schedule/cron`."""
    detail: str
    """What is wrong, in a sentence without the full stop; at most 500 characters."""


def _told(error: FieldError) -> str:
    """Say what is wrong with a field; the empty pointer is that of the whole."""
    return f"{error.pointer}: {error.detail}" if error.pointer else error.detail


class InvalidRequest(PunctualError):
    """The content of a request cannot be used; nothing was stored."""

    code = "invalid-content"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(_told(error) for error in errors))
        self.errors = tuple(errors)


class InvalidSchedule(PunctualError, ValueError):
    """A schedule names no slots, or is not one of the forms we read."""

    code = "invalid-schedule"

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field
        """Name of the schedule's field at fault, such as `cron` or `timezone`."""


class MalformedRequest(PunctualError):
    """The request could not be read: not JSON, or a cursor that we did not make."""

    code = "malformed-request"


class NotFound(PunctualError):
    """There is no such job or run, or it is another tenant's."""

    code = "not-found"


class JobNotFound(NotFound):
    """The tenant has no such job."""

    code = "job-not-found"


class RunNotFound(NotFound):
    """The tenant has no such run."""

    code = "run-not-found"


class Conflict(PunctualError):
    """The thing's present state does not allow this; look at it and decide again."""

    code = "conflict"


class JobGone(PunctualError):
    """A request was repeated whose job has been deleted since; it is not carried out again."""

    code = "job-gone"


class RevisionConflict(PunctualError):
    """The job was changed by someone else since it was read; read it again."""

    code = "revision-conflict"


class IdempotencyKeyReused(PunctualError):
    """The `Idempotency-Key` was used for another request; pick a new key."""

    code = "idempotency-key-reused"


class TooLarge(PunctualError):
    """The request's body is over the limit."""

    code = "too-large"


class UnsupportedMediaType(PunctualError):
    """The request's body is not JSON by its own content type."""

    code = "unsupported-media-type"


class Unauthenticated(PunctualError):
    """The request carries no verified identity."""

    code = "unauthenticated"


class StoreUnavailable(PunctualError):
    """The store or the queue is busy or out of reach; the same request may succeed later."""

    code = "unavailable"
