"""Limits that jobs share, as requests describe them and as answers show them."""

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from typing_extensions import TypedDict  # before Python 3.12 pydantic reads no other

from punctual.api.aws_targets import Matching
from punctual.api.fields import Body, wrong
from punctual.core.limits import CONCURRENT_MAX, LIMITS_MAX, RATE_MAX, RATE_MIN, Limit

KEY = "^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$"


class LimitBody(Body):
    """At least one of the two numbers; other jobs of the same key may ask for others."""

    key: Annotated[str, Matching(KEY, "1 to 64 letters, digits and . _ : / -, such as crm-api")]
    """Shared by every job of the tenant that names it."""
    max_concurrent: Annotated[int, Field(ge=1, le=CONCURRENT_MAX)] | None = None
    """No run of this job is called while so many runs of the key go on."""
    rate_per_second: Annotated[float, Field(ge=RATE_MIN, le=RATE_MAX)] | None = None
    """Runs of this job start so often at most, counted with all others of the key."""

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.max_concurrent is None and self.rate_per_second is None:
            raise wrong("should say max_concurrent, rate_per_second, or both")
        return self

    def to_domain(self) -> Limit:
        """Return the limit."""
        return Limit(
            key=self.key,
            max_concurrent=self.max_concurrent,
            rate_per_second=self.rate_per_second,
        )


def _distinct(limits: list[LimitBody]) -> list[LimitBody]:
    if len({limit.key for limit in limits}) < len(limits):
        raise wrong("should name each key once")
    return limits


LimitBodies = Annotated[list[LimitBody], Field(max_length=LIMITS_MAX), AfterValidator(_distinct)]


class LimitView(TypedDict):
    """What a job asks of a key."""

    key: str
    max_concurrent: int | None
    rate_per_second: float | None


def show_limits(limits: Sequence[Limit]) -> list[LimitView]:
    """Describe limits."""
    return [
        {
            "key": limit.key,
            "max_concurrent": limit.max_concurrent,
            "rate_per_second": limit.rate_per_second,
        }
        for limit in limits
    ]
