"""What requests may hold: the models at the door, and the one way from each to the inside.

Types are strict (`"5"` is no number, `true` is no 1), unknown fields are refused, and so is what a
later version will offer: a wish that is not granted is never ignored. Every wrong field of a
request is told at once, each with its JSON pointer.
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from punctual.api.aws_targets import (
    EventBridgeBody,
    LambdaBody,
    SnsBody,
    SqsBody,
    StepFunctionsBody,
)
from punctual.api.fields import Body, Text, anew, wrong, wrong_fields
from punctual.api.limits import LimitBodies
from punctual.core.addresses import URL_MAX, check_url
from punctual.core.calls import header_refusal
from punctual.core.changes import JobSpec
from punctual.core.errors import FieldError, InvalidSchedule
from punctual.core.instants import EPOCH, parse_instant
from punctual.core.jobs import CatchUp, Content, Delivery, HttpTarget, Overlap, Policy, Target
from punctual.core.previews import PREVIEWED_MAX
from punctual.core.records import content_to_text
from punctual.core.retry import Jitter, RetryPolicy
from punctual.core.schedules import At, Cron, Dst, Every, Gap, Repeat, Rule, Schedule
from punctual.core.secrets import ARN, secret_refusal
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

CODE_PATTERN = "^[1-5]([0-9]{2}|xx)$"
"""Of a status code, or of a class of them."""

TAG_NAME = "[A-Za-z0-9._/-]{1,64}"
"""What a tag may be called: a colon parts it from its value."""

HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""What the name of a header is made of."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SUBJECT = re.compile(r"(Input|String|List|Dictionary) ")

NOT_OFFERED = "is not offered yet"


def field_errors(error: ValidationError) -> list[FieldError]:
    """Read what pydantic found: pointers and sentences, nothing of the input."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [
        FieldError(pointer=pointer(found_one["loc"]), detail=_detail(found_one))
        for found_one in found[:ERRORS_TOLD_MAX]
    ]


def pointer(place: Iterable[str | int]) -> str:
    """Write a place as a JSON pointer, without the marks that are no part of one."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in place if step not in MARKS)
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


def _not_offered(value: object) -> object:
    if value is not None:
        raise wrong(NOT_OFFERED)
    return value


def _not_chosen(value: object) -> object:
    if value is not None:
        raise wrong("is made here; PUT /v1/jobs/{job_id} takes one that you choose")
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
        if not re.fullmatch(TAG_NAME, key)
    ]
    if errors:
        raise wrong_fields(errors)
    return value


def _secret_arn(value: str, info: ValidationInfo) -> str:
    assert info.context is not None, "the door says who asks"
    tenant = info.context["tenant"]()
    if reason := secret_refusal(value, tenant=tenant, cloud=info.context["cloud"]):
        raise wrong(reason)
    return value


def _success_code(value: str) -> str:
    if not re.fullmatch(CODE_PATTERN, value):
        raise wrong("should be a status code such as 204, or a class such as 2xx")
    return value


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
NotChosen = Annotated[None, BeforeValidator(_not_chosen), WithJsonSchema({"type": "null"})]
NotOffered = Annotated[None, BeforeValidator(_not_offered), WithJsonSchema({"type": "null"})]
ReadOnly = Annotated[Any, Field(description="Accepted and ignored, so that a job read can be put.")]

# Bounds stand before what reads a number, or the document would not show them.
Attempts = Annotated[int, Field(ge=1, le=20), BeforeValidator(_whole)]
RunCount = Annotated[int, Field(ge=1, le=1_000_000_000), BeforeValidator(_whole)]
SlotCount = Annotated[int, Field(ge=1, le=PREVIEWED_MAX), BeforeValidator(_whole)]
Interval = Annotated[float, Field(ge=EVERY_MIN // SECOND, le=EVERY_MAX // SECOND)]
Delay = Annotated[float, Field(ge=0, le=OPEN_MAX)]
Name = Annotated[Text, Field(min_length=1, max_length=128)]
Note = Annotated[Text, Field(max_length=500)]
TagValue = Annotated[Text, Field(max_length=256)]
HeaderValue = Annotated[str, Field(max_length=4096)]
Tags = Annotated[
    dict[str, TagValue],
    Field(max_length=20, json_schema_extra={"propertyNames": {"pattern": f"^{TAG_NAME}$"}}),
    AfterValidator(_tags),
]
Headers = Annotated[
    dict[str, HeaderValue],
    Field(max_length=50, json_schema_extra={"propertyNames": {"pattern": f"^{HEADER_NAME}$"}}),
    AfterValidator(_headers),
]
SecretArn = Annotated[
    str, Field(json_schema_extra={"pattern": f"^{ARN}$"}), AfterValidator(_secret_arn)
]
SuccessCode = Annotated[
    str, AfterValidator(_success_code), WithJsonSchema({"type": "string", "pattern": CODE_PATTERN})
]


class DstBody(Body):
    """What a job wants instead of the rule when its zone changes its clocks."""

    gap: Literal["after", "skip"] | None = None
    """A time that the clocks skip: run after the gap, or not at all."""
    overlap: Literal["first", "second", "both"] | None = None
    """A time that the clocks show twice: which of the two runs."""

    def to_domain(self) -> Dst:
        """Return the wish."""
        return Dst(
            gap=None if self.gap is None else Gap(self.gap),
            overlap=None if self.overlap is None else Repeat(self.overlap),
        )


_RULES = ("at", "every_seconds", "cron")


def _one_rule(schema: dict[str, Any]) -> None:
    """Say in the document what a model cannot: exactly one of the three."""
    schema["oneOf"] = [
        {
            "required": [rule],
            "properties": {other: {"type": "null"} for other in _RULES if other != rule}
            | {rule: {"not": {"type": "null"}}},
        }
        for rule in _RULES
    ]


class ScheduleBody(Body):
    """A rule (exactly one of `at`, `every_seconds` and `cron`), and what bounds and shifts it."""

    model_config = ConfigDict(json_schema_extra=_one_rule)

    at: Instant | None = None
    """One instant; one that is past runs at once."""
    every_seconds: Interval | None = None
    """An interval: first at `start_at`, or else one interval after the creation."""
    cron: Annotated[str, Field(max_length=256)] | None = None
    """Five fields, or six with the seconds first; also `@hourly` and the like."""
    timezone: Annotated[str, Field(max_length=64)] | None = None
    """The IANA time zone of `cron`; UTC if nothing is said."""
    start_at: Instant | None = None
    """No slot before it; the instant itself may be one."""
    end_at: Instant | None = None
    """No slot after it; the instant itself may be one."""
    max_runs: RunCount | None = None
    """The most slots, missed and skipped ones included."""
    exclude: Annotated[list[Exclusion], Field(max_length=EXCLUSIONS_MAX)] = anew([])
    """Dates in the time zone, and instants, that are no slots."""
    spread_seconds: Annotated[float, Field(ge=0, le=SPREAD_MAX // SECOND)] = 0
    """Each slot is shifted by a fixed part of this, which differs from job to job."""
    dst: DstBody | None = None
    """With `cron`, instead of the rule for times that the clocks skip or show twice."""

    @model_validator(mode="after")
    def _readable(self) -> Self:
        """Read the fields together; what core finds wrong is told of the field it names."""
        errors: list[tuple[tuple[str, ...], str]] = []
        if sum(getattr(self, rule) is not None for rule in _RULES) != 1:
            errors.append(((), "takes exactly one of at, every_seconds and cron"))
        if self.cron is None and self.timezone not in {None, "UTC"}:
            errors.append((("timezone",), "goes with cron only"))
        if self.cron is None and self.dst is not None:
            errors.append((("dst",), "goes with cron only"))
        if errors:
            raise wrong_fields(errors)
        try:
            check(self.domain)
        except InvalidSchedule as error:
            raise wrong_fields([(schedule_place(error), str(error))]) from None
        return self

    def to_domain(self) -> Schedule:
        """Return the schedule, without what only its job knows."""
        return self.domain

    @cached_property
    def domain(self) -> Schedule:
        """The schedule, made once: to be checked, and to be stored."""
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


class PreviewBody(Body):
    """A schedule of which slots are asked for."""

    schedule: ScheduleBody
    count: SlotCount = 10
    """How many slots at most."""


class HttpBody(Body):
    """An HTTP request.

    In URL, headers and body `{{run_id}}`, `{{job_id}}`, `{{scheduled_at}}` and `{{attempt}}` are
    filled for each attempt.
    """

    type: Literal["http"]
    url: Annotated[
        str,
        Field(max_length=URL_MAX, json_schema_extra={"pattern": "^[Hh][Tt][Tt][Pp][Ss]?://."}),
        AfterValidator(_url),
    ]
    """In the cloud https, and no address that is not public."""
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: Headers = anew({})
    body: Any = None
    """Any JSON; a string is sent as it is."""
    secret_arn: SecretArn | None = None
    """A secret that is sent as `Authorization: Bearer`, or in the header that it names itself."""
    signing_secret_arn: SecretArn | None = None
    """A secret that each call is signed with, as Standard Webhooks has it: `whsec_…`."""
    success_codes: Annotated[list[SuccessCode], Field(min_length=1, max_length=20)] = anew(["2xx"])
    """Status codes (`204`) and classes (`2xx`) that count as success."""
    completion: Literal["response", "callback"] = "response"
    """`response`: the answer is the outcome; `callback`: it only accepts the work, and the outcome
    is reported later."""

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
            secret_arn=self.secret_arn,
            signing_secret_arn=self.signing_secret_arn,
            success_codes=tuple(self.success_codes),
            completion=self.completion,
        )


_TARGETS = {
    "http": HttpBody,
    "lambda": LambdaBody,
    "sqs": SqsBody,
    "sns": SnsBody,
    "eventbridge": EventBridgeBody,
    "step_functions": StepFunctionsBody,
}


def _mark_of(kind: str) -> str:
    return f"[target {kind}]"


MARKS = frozenset({"[key]", *map(_mark_of, _TARGETS)})
"""Steps of a place that are no part of a pointer: a key at fault, the type of a target."""


def _known_type(value: object) -> object:
    """Refuse what is of no type, before its fields are read as those of one."""
    if not isinstance(value, dict):
        raise wrong("should be an object")
    if "type" not in value:
        raise wrong_fields([(("type",), "is missing")])
    if value["type"] not in list(_TARGETS):
        raise wrong_fields([(("type",), f"should be one of {', '.join(_TARGETS)}")])
    return value


TargetBody = Annotated[
    Annotated[HttpBody, Tag(_mark_of("http"))]
    | Annotated[LambdaBody, Tag(_mark_of("lambda"))]
    | Annotated[SqsBody, Tag(_mark_of("sqs"))]
    | Annotated[SnsBody, Tag(_mark_of("sns"))]
    | Annotated[EventBridgeBody, Tag(_mark_of("eventbridge"))]
    | Annotated[StepFunctionsBody, Tag(_mark_of("step_functions"))],
    Discriminator(lambda value: _mark_of(value["type"])),
    BeforeValidator(_known_type),
]
"""Where a run's call goes, by its type."""


class RetryBody(Body):
    """When another attempt follows one that failed."""

    max_attempts: Attempts = 3
    """Attempts in all, the first included."""
    min_delay_seconds: Delay = 1
    """The longest wait after the first attempt."""
    max_delay_seconds: Delay = 300
    """The longest wait after any; the target's `Retry-After` may be longer."""
    multiplier: Annotated[float, Field(ge=1, le=100)] = 2
    """What the longest wait grows by with each attempt."""
    jitter: Literal["full", "none"] = "full"
    """`full`: a random part of the longest wait; `none`: the longest wait itself."""
    max_age_seconds: Annotated[float, Field(ge=1, le=OPEN_MAX)] = 86_400
    """No attempt starts later than this after the first one."""

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


EXAMPLE: dict[str, Any] = {
    "name": "Nightly report",
    "schedule": {"cron": "0 9 * * MON-FRI", "timezone": "Europe/Berlin"},
    "target": {
        "type": "http",
        "url": "https://example.com/reports?slot={{scheduled_at}}",
        "body": {"kind": "nightly"},
    },
    "retry": {"max_attempts": 5},
    "tags": {"team": "billing"},
}


class JobBody(Body):
    """A job as a user wants it."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: str | None = None
    """The id of the path, if it is given at all."""
    name: Name | None = None
    schedule: ScheduleBody
    target: TargetBody
    retry: RetryBody = RetryBody()
    timeout_seconds: Annotated[float, Field(ge=1, le=840)] = 30
    """The longest that one attempt may take."""
    heartbeat_seconds: Annotated[float, Field(ge=10, le=OPEN_MAX)] | None = None
    """With completion by callback, the longest silence of an attempt: an hour by default."""
    start_deadline_seconds: Annotated[float, Field(ge=1, le=OPEN_MAX)] = 3600
    """A run that would start later than this after its slot is `missed`."""
    catch_up: Literal["all", "latest", "none"] = "all"
    """Which of the slots that came due during an outage or a pause still run."""
    overlap: Literal["allow", "skip", "buffer_one", "cancel_other"] = "allow"
    """What becomes of a run while another one of the job goes on."""
    delivery: Literal["at_least_once", "at_most_once"] = "at_least_once"
    """Whether another attempt follows one whose executor died in the middle of the call."""
    limits: LimitBodies = anew([])
    """What the job's runs wait for, each for all of them, before they are called."""
    tags: Tags = anew({})
    """Names and values to find jobs by; a name holds no colon."""
    state: ReadOnly = None
    pause: ReadOnly = None
    revision: ReadOnly = None
    next_run_at: ReadOnly = None
    created_at: ReadOnly = None
    updated_at: ReadOnly = None

    @model_validator(mode="after")
    def _silent_in_wait_only(self) -> Self:
        if self.heartbeat_seconds is not None and not self._awaits_callback():
            detail = "goes with a target whose completion is callback"
            raise wrong_fields([(("heartbeat_seconds",), detail)])
        return self

    def _awaits_callback(self) -> bool:
        return isinstance(self.target, HttpBody) and self.target.completion == "callback"

    @model_validator(mode="after")
    def _storable(self) -> Self:
        content = self.content
        if _is_long(content) and len(content_to_text(content).encode()) > CONTENT_BYTES_MAX:
            detail = f"takes up more than {CONTENT_BYTES_MAX} bytes, headers and tags included"
            raise wrong_fields([(_place_of(content.target), detail)])
        return self

    def to_domain(self) -> JobSpec:
        """Return what the services take."""
        return JobSpec(
            name=self.name,
            schedule=self.schedule.to_domain(),
            policy=Policy(
                retry=self.retry.to_domain(),
                timeout=_duration(self.timeout_seconds),
                heartbeat=(
                    None if self.heartbeat_seconds is None else _duration(self.heartbeat_seconds)
                ),
                start_deadline=_duration(self.start_deadline_seconds),
                catch_up=CatchUp(self.catch_up),
                overlap=Overlap(self.overlap),
                delivery=Delivery(self.delivery),
                limits=tuple(limit.to_domain() for limit in self.limits),
            ),
            content=self.content,
        )

    @cached_property
    def content(self) -> Content:
        """What only the call needs, made once: to be measured, and to be stored."""
        return Content(target=self.target.to_domain(), tags=tuple(self.tags.items()))


class NewJobBody(JobBody):
    """A job that gets its id here."""

    id: NotChosen = None
    """Made here; `PUT /v1/jobs/{job_id}` takes one that you choose."""


class RunNowBody(Body):
    """What a single run has of its own."""

    body: Any = None
    """Any JSON, sent in the place of the job's `body`, `payload`, `message`, `detail` or `input`;
    a string is sent as it is where the target takes text."""


class SkipBody(Body):
    """Which slot is left out."""

    scheduled_at: Instant
    """Exactly: as the job's next slots show it."""


class PauseBody(Body):
    """Why a job is paused."""

    note: Note | None = None
    """Shown with the job while it is paused."""
    until: NotOffered = None


def _place_of(target: Target) -> tuple[str, ...]:
    """Return where a target holds what makes it long."""
    return ("target", "body") if isinstance(target, HttpTarget) else ("target",)


def _is_long(content: Content) -> bool:
    """Say whether a content may be too long as it is stored: no character takes over 6 bytes."""
    target = content.target
    if not isinstance(target, HttpTarget):
        return True
    long = len(target.url) + len(target.body or "") + sum(len(n + v) for n, v in target.headers)
    return 6 * (long + sum(len(n + v) for n, v in content.tags)) > CONTENT_BYTES_MAX // 2


def schedule_place(error: InvalidSchedule) -> tuple[str, ...]:
    """Return where in a schedule a fault is; core names it `cron`, `schedule.at` or `schedule`."""
    steps = error.field.split(".")
    return tuple(steps[1:] if steps[0] == "schedule" else steps)


@lru_cache(maxsize=1024)  # few are in use, and each job has seven
def _duration(seconds: float) -> timedelta:
    return timedelta(milliseconds=round(seconds * 1000))
