"""What requests of targets that report back may hold."""

from typing import Annotated, Any

from pydantic import Field

from punctual.api.fields import Body, Text
from punctual.core.callbacks import reported_error
from punctual.core.calls import CallError

LINES_AT_ONCE = 100
"""Lines of one request."""


class CompleteBody(Body):
    """What an attempt that succeeded came to."""

    result: Any = None
    """Any JSON; a string is kept as it is."""


class ReportedErrorBody(Body):
    """Why an attempt failed."""

    type: Annotated[Text, Field(min_length=1, max_length=64)]
    """A name for this kind of failure, such as `out_of_stock`."""
    message: Annotated[str, Field(max_length=10_000)] = ""
    """A short sentence; what is long is cut off."""

    def to_domain(self) -> CallError:
        """Return the error."""
        return reported_error(self.type, self.message)


class FailBody(Body):
    """How an attempt failed."""

    error: ReportedErrorBody
    retry: bool = True
    """Whether another attempt may fare better; if so, one follows by the job's own policy."""


class LinesBody(Body):
    """Lines of a log."""

    lines: Annotated[list[str], Field(max_length=LINES_AT_ONCE)]
    """Oldest first; what lies beyond 4 KB of a line is cut off."""
