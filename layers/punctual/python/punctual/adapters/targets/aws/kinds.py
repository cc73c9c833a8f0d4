"""What a type of AWS target is made of; `registry` names them all."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from punctual.core.aws_calls import AwsCall
from punctual.core.calls import BODY_READ_MAX, Answer

T = TypeVar("T")

Response = Mapping[str, Any]
"""What a client of botocore returns."""

_ARN_REGION = re.compile(r"arn:[^:]*:[^:]*:([^:]+):")
_QUEUE_REGION = re.compile(r"https://(?:sqs\.)?([a-z0-9-]+)\.(?:queue\.)?amazonaws\.com")


class Ask(Protocol):
    """Asks the service of one call, in a thread, within the time of the call."""

    left_behind: str | None
    """What is said of a call that is ended before its answer came, once it has been asked."""

    log: list[str]
    """Lines for the log of the run, whatever the call comes to."""

    @property
    def leaving(self) -> bool:
        """Whether this process ends, and another may take the run over."""
        ...

    async def __call__(
        self, operation: str, *, read: Callable[[Response], T], **parameters: object
    ) -> T:
        """Send one request, and return what `read` makes of the answer, in the same thread.

        Raises:
            Exception: What botocore raises; see `errors`.
        """
        ...

    async def pause(self, seconds: float) -> None:
        """Return after so long, on the time of the call."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One type of target."""

    service: str
    """As botocore calls it."""
    place: Callable[[Any], str]
    """Returns the ARN or the URL of a target, which names its region."""
    left_behind: str
    """What may go on after a call that is ended before its answer: `the function may go on`."""
    carry: Callable[[AwsCall, Ask], Awaitable[Answer]]
    """Carries out a call, and raises what the service refuses it with.

    It is cancelled when the call is to end; what is going on elsewhere is its own to stop.
    """
    waits: bool = False
    """Whether one answer may take the whole time of the call, since work is done for it."""


def region_of(place: str) -> str | None:
    """Return the region that an ARN or the URL of a queue names; None when it names none."""
    match = _ARN_REGION.match(place) or _QUEUE_REGION.match(place)
    return None if match is None else match[1]


def answered(body: bytes, *, log: tuple[str, ...] = ()) -> Answer:
    """Return the answer of a service that did what it was asked for; `body` is JSON."""
    return Answer(
        status_code=200,
        content_type="application/json",
        body=body[:BODY_READ_MAX],
        body_bytes=len(body),
        truncated=len(body) > BODY_READ_MAX,
        log=log,
    )
