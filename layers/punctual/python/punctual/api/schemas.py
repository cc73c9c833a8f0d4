"""What requests may hold: the models at the door, and the one way from each to the inside.

Types are strict (`"5"` is no number, `true` is no 1), unknown fields are refused, and so is what a
later version will offer: a wish that is not granted is never ignored. Every wrong field of a
request is told at once, each with its JSON pointer.
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from punctual.core.addresses import URL_MAX, check_url
from punctual.core.calls import header_refusal
from punctual.core.changes import JobSpec
from punctual.core.errors import FieldError, InvalidSchedule
from punctual.core.instants import EPOCH, parse_instant
from punctual.core.jobs import CatchUp, Content, Delivery, HttpTarget, Policy
from punctual.core.records import content_to_text
from punctual.core.retry import Jitter, RetryPolicy
from punctual.core.schedules import At, Cron, Dst, Every, Gap, Repeat, Rule, Schedule
from punctual.core.slots import EVERY_MAX, EVERY_MIN, EXCLUSIONS_MAX, SPREAD_MAX, check

SECOND = timedelta(seconds=1)

OPEN_MAX = 14 * 86_400
"""How long a run may await its outcome, in seconds: no schedule's past is remembered longer."""

CONTENT_BYTES_MAX = 256 * 1024
"""What target and tags may take up as they are stored; a record of the table holds little more."""

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(3000, 1, 1, tzinfo=UTC)
"""Instants lie in between, so that no sum of one and a duration leaves the calendar."""

ERRORS_TOLD_MAX = 50
"""Wrong fields told at once."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TAG_KEY = re.compile(r"[A-Za-z0-9._/-]{1,64}")
_SUCCESS_CODE = re.compile(r"[1-5]([0-9]{2}|xx)")
_SUBJECT = re.compile(r"(Input|String|List|Dictionary) ")
_LATER_TARGETS = frozenset({"lambda", "sqs", "sns", "eventbridge", "step_functions"})
_LATER_OVERLAPS = frozenset({"skip", "buffer_one", "cancel_other"})

NOT_OFFERED = "is not offered yet"


def wrong(detail: str) -> PydanticCustomError:
    """Make the error of a validator; the field is known from where it is raised."""
    # As a value of the template, so that braces in the detail mean nothing.
    return PydanticCustomError("wrong", "{detail}", {"detail": detail[:500]})


def wrong_fields(errors: Iterable[tuple[tuple[str | int, ...], str]]) -> ValidationError:
    """Make one error of several within the value that is being validated, each by its place."""
    return ValidationError.from_exception_data(
        "content",
        [InitErrorDetails(type=wrong(detail), loc=place, input=None) for place, detail in errors],
    )


def field_errors(error: ValidationError) -> list[FieldError]:
    """Read what pydantic found: pointers and sentences, nothing of the input."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [
        FieldError(pointer=pointer(found_one["loc"]), detail=_detail(found_one))
        for found_one in found[:ERRORS_TOLD_MAX]
    ]


def pointer(place: Iterable[str | int]) -> str:
    """Write a place as a JSON pointer; `[key]` marks a key at fault and is no part of it."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in place if step != "[key]")
    return "".join(f"/{step}" for step in steps)


def _detail(found: Any) -> str:  # noqa: ANN401 - pydantic's TypedDict, private in its core
    match found["type"]:
        case "extra_forbidden":
            return "is no field of this object"
        case "missing":
            return "is missing"
        case "model_type" | "dict_type":
            return "should be an object"
        case _:
            message: str = _SUBJECT.sub("", found["msg"], count=1)
            return message[:500]


def _whole(value: object) -> object:
    """Read 30.0 as 30: in JSON they are the same number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def read_instant(value: object) -> datetime:
    """Validate an instant; see `parse_instant`."""
    if not isinstance(value, str):
        raise wrong("should be a string")
    try:
        instant = parse_instant(value)
    except ValueError as error:
        raise wrong(f"is {error}") from None
    if not EARLIEST <= instant < LATEST:
        raise wrong("lies outside the years 1970 to 2999")
    return instant


def _exclusion(value: object) -> date:
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise wrong("is no date of the calendar") from None
    return read_instant(value)


def _printable(value: str) -> str:
    if _CONTROL.search(value):
        raise wrong("holds a control character")
    return value


def _not_offered(value: object) -> object:
    if value is not None:
        raise wrong(NOT_OFFERED)
    return value


def _overlap(value: object) -> object:
    if isinstance(value, str) and value in _LATER_OVERLAPS:
        raise wrong(NOT_OFFERED)
    return value


def _no_limits(value: list[Any]) -> list[Any]:
    if value:
        raise wrong(NOT_OFFERED)
    return value


def _completion(value: object) -> object:
    if value == "callback":
        raise wrong(NOT_OFFERED)
    return value


def _url(value: str, info: ValidationInfo) -> str:
    assert info.context is not None, "the door says where it stands"
    reason = check_url(value, cloud=info.context["cloud"])
    if reason is not None:
        raise wrong(reason)
    return value


def _headers(value: dict[str, str]) -> dict[str, str]:
    errors: list[tuple[tuple[str], str]] = []
    names: set[str] = set()
    for name, text in value.items():
        reason = header_refusal(name, text)
        if reason is None and name.lower() in names:
            reason = "is set twice"
        if reason is not None:
            errors.append(((name,), reason))
        names.add(name.lower())
    if errors:
        raise wrong_fields(errors)
    return value


def _tags(value: dict[str, str]) -> dict[str, str]:
    errors = [
        ((key,), "its name should be 1 to 64 of A-Z, a-z, 0-9 and . _ / -")
        for key in value
        if not _TAG_KEY.fullmatch(key)
    ]
    if errors:
        raise wrong_fields(errors)
    return value


def _success_code(value: str) -> str:
    if not _SUCCESS_CODE.fullmatch(value):
        raise wrong("should be a status code such as 204, or a class such as 2xx")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
Text = Annotated[str, AfterValidator(_printable)]
Instant = Annotated[
    datetime,
    PlainValidator(read_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Exclusion = Annotated[
    date,
    PlainValidator(_exclusion),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date"},
                {"type": "string", "format": "date-time"},
            ]
        }
    ),
]
NotOffered = Annotated[None, BeforeValidator(_not_offered), WithJsonSchema({"type": "null"})]
ReadOnly = Annotated[Any, Field(description="Accepted and ignored, so that a job read can be put.")]


class Body(BaseModel):
    """What every request body has in common."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def __repr__(self) -> str:
        """Show nothing of what may hold secrets; the library writes every argument down."""
        return f"{type(self).__name__}(…)"


class DstBody(Body):
    """What a job wants instead of the rule when its zone changes its clocks."""

    gap: Literal["after", "skip"] | None = None
    overlap: Literal["first", "second", "both"] | None = None

    def to_domain(self) -> Dst:
        """Return the wish."""
        return Dst(
            gap=None if self.gap is None else Gap(self.gap),
            overlap=None if self.overlap is None else Repeat(self.overlap),
        )


class ScheduleBody(Body):
    """A rule (exactly one of `at`, `every_seconds` and `cron`), and what bounds and shifts it."""

    at: Instant | None = None
    every_seconds: (
        Annotated[float, Field(ge=EVERY_MIN // SECOND, le=EVERY_MAX // SECOND)] | None
    ) = None
    cron: Annotated[str, Field(max_length=256)] | None = None
    timezone: Annotated[str, Field(max_length=64)] | None = None
    start_at: Instant | None = None
    end_at: Instant | None = None
    max_runs: Annotated[Whole, Field(ge=1, le=1_000_000_000)] | None = None
    exclude: Annotated[list[Exclusion], Field(max_length=EXCLUSIONS_MAX)] = []
    spread_seconds: Annotated[float, Field(ge=0, le=SPREAD_MAX // SECOND)] = 0
    dst: DstBody | None = None

    @model_validator(mode="after")
    def _readable(self) -> Self:
        """Read the fields together; what core finds wrong is told of the field it names."""
        errors: list[tuple[tuple[str, ...], str]] = []
        rules = [r for r in (self.at, self.every_seconds, self.cron) if r is not None]
        if len(rules) != 1:
            errors.append(((), "takes exactly one of at, every_seconds and cron"))
        if self.cron is None and self.timezone not in {None, "UTC"}:
            errors.append((("timezone",), "goes with cron only"))
        if self.cron is None and self.dst is not None:
            errors.append((("dst",), "goes with cron only"))
        if errors:
            raise wrong_fields(errors)
        try:
            check(self.to_domain())
        except InvalidSchedule as error:
            raise wrong_fields([(schedule_place(error), str(error))]) from None
        return self

    def to_domain(self) -> Schedule:
        """Return the schedule, without what only its job knows."""
        return Schedule(
            rule=self._rule(),
            start_at=self.start_at,
            end_at=self.end_at,
            max_runs=self.max_runs,
            exclude=tuple(self.exclude),
            spread=_duration(self.spread_seconds),
        )

    def _rule(self) -> Rule:
        if self.at is not None:
            return At(at=self.at)
        if self.every_seconds is not None:
            # Without `start_at` the anchor follows from the creation: see `core.changes.placed`.
            return Every(every=_duration(self.every_seconds), anchor=self.start_at or EPOCH)
        assert self.cron is not None, "one of the three is set"
        return Cron(
            expression=self.cron,
            timezone="UTC" if self.timezone is None else self.timezone,
            dst=None if self.dst is None else self.dst.to_domain(),
        )


class TargetBody(Body):
    """An HTTP request; `{{run_id}}`, `{{job_id}}`, `{{scheduled_at}}`, `{{attempt}}` are filled."""

    type: Literal["http"]
    url: Annotated[str, Field(max_length=URL_MAX), AfterValidator(_url)]
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: Annotated[
        dict[str, Annotated[str, Field(max_length=4096)]],
        Field(max_length=50),
        AfterValidator(_headers),
    ] = {}
    body: Annotated[Any, Field(description="Any JSON, or a string that is sent as it is.")] = None
    secret_arn: NotOffered = None
    signing_secret_arn: NotOffered = None
    success_codes: Annotated[
        list[Annotated[str, AfterValidator(_success_code)]], Field(min_length=1, max_length=20)
    ] = ["2xx"]
    completion: Annotated[Literal["response"], BeforeValidator(_completion)] = "response"

    @model_validator(mode="before")
    @classmethod
    def _offered(cls, value: Any) -> Any:  # noqa: ANN401 - whatever was sent
        """Refuse the types of later versions by name, not by their fields."""
        kind = value.get("type") if isinstance(value, dict) else None
        if isinstance(kind, str) and kind in _LATER_TARGETS:
            raise wrong_fields([(("type",), NOT_OFFERED)])
        return value

    def to_domain(self) -> HttpTarget:
        """Return the target."""
        body, is_text = self.body, isinstance(self.body, str)
        if body is not None and not is_text:
            body = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return HttpTarget(
            url=self.url,
            method=self.method,
            headers=tuple(self.headers.items()),
            body=body,
            body_is_json=not is_text,
            success_codes=tuple(self.success_codes),
            completion=self.completion,
        )


class RetryBody(Body):
    """When another attempt follows one that failed."""

    max_attempts: Annotated[Whole, Field(ge=1, le=20)] = 3
    min_delay_seconds: Annotated[float, Field(ge=0, le=OPEN_MAX)] = 1
    max_delay_seconds: Annotated[float, Field(ge=0, le=OPEN_MAX)] = 300
    multiplier: Annotated[float, Field(ge=1, le=100)] = 2
    jitter: Literal["full", "none"] = "full"
    max_age_seconds: Annotated[float, Field(ge=1, le=OPEN_MAX)] = 86_400

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_delay_seconds < self.min_delay_seconds:
            raise wrong_fields([(("max_delay_seconds",), "is less than min_delay_seconds")])
        return self

    def to_domain(self) -> RetryPolicy:
        """Return the retry policy."""
        return RetryPolicy(
            max_attempts=self.max_attempts,
            min_delay=_duration(self.min_delay_seconds),
            max_delay=_duration(self.max_delay_seconds),
            multiplier=self.multiplier,
            jitter=Jitter(self.jitter),
            max_age=_duration(self.max_age_seconds),
        )


class JobBody(Body):
    """A job as a user wants it."""

    id: Annotated[str, Field(description="With PUT the id of the path; POST makes one.")] | None = (
        None
    )
    name: Annotated[Text, Field(min_length=1, max_length=128)] | None = None
    schedule: ScheduleBody
    target: TargetBody
    retry: RetryBody = RetryBody()
    timeout_seconds: Annotated[float, Field(ge=1, le=840)] = 30
    heartbeat_seconds: NotOffered = None
    start_deadline_seconds: Annotated[float, Field(ge=1, le=OPEN_MAX)] = 3600
    catch_up: Literal["all", "latest", "none"] = "all"
    overlap: Annotated[Literal["allow"], BeforeValidator(_overlap)] = "allow"
    delivery: Literal["at_least_once", "at_most_once"] = "at_least_once"
    limits: Annotated[list[Any], Field(max_length=0), BeforeValidator(_no_limits)] = []
    tags: Annotated[
        dict[str, Annotated[Text, Field(max_length=256)]],
        Field(max_length=20),
        AfterValidator(_tags),
    ] = {}
    state: ReadOnly = None
    pause: ReadOnly = None
    revision: ReadOnly = None
    next_run_at: ReadOnly = None
    created_at: ReadOnly = None
    updated_at: ReadOnly = None

    @model_validator(mode="after")
    def _storable(self) -> Self:
        content = self._content()
        if _is_long(content) and len(content_to_text(content).encode()) > CONTENT_BYTES_MAX:
            detail = f"takes up more than {CONTENT_BYTES_MAX} bytes, headers and tags included"
            raise wrong_fields([(("target", "body"), detail)])
        return self

    def to_domain(self) -> JobSpec:
        """Return what the services take."""
        return JobSpec(
            name=self.name,
            schedule=self.schedule.to_domain(),
            policy=Policy(
                retry=self.retry.to_domain(),
                timeout=_duration(self.timeout_seconds),
                start_deadline=_duration(self.start_deadline_seconds),
                catch_up=CatchUp(self.catch_up),
                delivery=Delivery(self.delivery),
            ),
            content=self._content(),
        )

    def _content(self) -> Content:
        return Content(target=self.target.to_domain(), tags=tuple(self.tags.items()))


class PauseBody(Body):
    """Why a job is paused."""

    note: Annotated[Text, Field(max_length=500)] | None = None
    until: NotOffered = None


def _is_long(content: Content) -> bool:
    """Say whether a content may be too long as it is stored: no character takes over 6 bytes."""
    target = content.target
    long = len(target.url) + len(target.body or "") + sum(len(n + v) for n, v in target.headers)
    return 6 * (long + sum(len(n + v) for n, v in content.tags)) > CONTENT_BYTES_MAX // 2


def schedule_place(error: InvalidSchedule) -> tuple[str, ...]:
    """Return where in a schedule a fault is; core names it `cron`, `schedule.at` or `schedule`."""
    steps = error.field.split(".")
    return tuple(steps[1:] if steps[0] == "schedule" else steps)


def _duration(seconds: float) -> timedelta:
    return timedelta(milliseconds=round(seconds * 1000))
