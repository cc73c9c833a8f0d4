"""What answers hold, as types: the presenters fill them, and the document is made of them."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import WithJsonSchema
from typing_extensions import TypedDict  # before Python 3.12 pydantic reads no other

from punctual.api.limits import LimitView

RunStage = Literal[
    "scheduled",
    "queued",
    "running",
    "retrying",
    "cancelling",
    "succeeded",
    "failed",
    "timed_out",
    "cancelled",
    "missed",
    "skipped",
    "unknown",
]
InstantText = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
JobStage = Literal["active", "paused", "ended"]


class Wrong(TypedDict):
    """One field at fault."""

    pointer: str
    detail: str


class Problem(TypedDict):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: NotRequired[str]
    instance: str
    errors: NotRequired[list[Wrong]]


class DstView(TypedDict):
    """What a job wants instead of the rule when its zone changes its clocks."""

    gap: Literal["after", "skip"] | None
    overlap: Literal["first", "second", "both"] | None


class ScheduleView(TypedDict):
    """A rule, and what bounds and shifts it; `timezone` and `dst` with cron only."""

    at: NotRequired[InstantText]
    every_seconds: NotRequired[float]
    cron: NotRequired[str]
    timezone: NotRequired[str]
    dst: NotRequired[DstView | None]
    start_at: InstantText | None
    end_at: InstantText | None
    max_runs: int | None
    exclude: list[str]
    spread_seconds: float


class HttpTargetView(TypedDict):
    """An HTTP request."""

    type: Literal["http"]
    url: str
    method: str
    headers: dict[str, str]
    body: Any
    secret_arn: str | None
    signing_secret_arn: str | None
    success_codes: list[str]
    completion: Literal["response", "callback"]


class LambdaTargetView(TypedDict):
    """A function that is invoked."""

    type: Literal["lambda"]
    function_arn: str
    payload: Any
    role_arn: str | None


class SqsTargetView(TypedDict):
    """A queue that a message is sent to."""

    type: Literal["sqs"]
    queue_url: str
    body: Any
    message_group_id: str | None
    role_arn: str | None


class SnsTargetView(TypedDict):
    """A topic that a message is published to."""

    type: Literal["sns"]
    topic_arn: str
    message: Any
    role_arn: str | None


class EventBridgeTargetView(TypedDict):
    """An event bus that an event is put on."""

    type: Literal["eventbridge"]
    event_bus: str
    source: str
    detail_type: str
    detail: dict[str, Any]
    role_arn: str | None


class StepFunctionsTargetView(TypedDict):
    """A state machine that is executed."""

    type: Literal["step_functions"]
    state_machine_arn: str
    input: Any
    role_arn: str | None


TargetView = (
    HttpTargetView
    | LambdaTargetView
    | SqsTargetView
    | SnsTargetView
    | EventBridgeTargetView
    | StepFunctionsTargetView
)


class RetryView(TypedDict):
    """When another attempt follows one that failed."""

    max_attempts: int
    min_delay_seconds: float
    max_delay_seconds: float
    multiplier: float
    jitter: Literal["full", "none"]
    max_age_seconds: float


class PauseView(TypedDict):
    """Why a job is paused."""

    note: str | None
    until: None


class JobView(TypedDict):
    """A job as it stands."""

    id: str
    name: str | None
    schedule: ScheduleView
    target: TargetView
    retry: RetryView
    timeout_seconds: float
    heartbeat_seconds: float | None
    start_deadline_seconds: float
    catch_up: Literal["all", "latest", "none"]
    overlap: Literal["allow", "skip", "buffer_one", "cancel_other"]
    delivery: Literal["at_least_once", "at_most_once"]
    limits: list[LimitView]
    tags: dict[str, str]
    state: JobStage
    pause: PauseView | None
    revision: int
    next_run_at: InstantText | None
    created_at: InstantText
    updated_at: InstantText


class JobList(TypedDict):
    """Part of a tenant's jobs, in the order of their ids."""

    items: list[JobView]
    next_cursor: str | None


class BulkItem(TypedDict):
    """What became of one job of several."""

    status: int
    """That a request of its own would have had."""
    job: NotRequired[JobView]
    problem: NotRequired[Problem]


class BulkList(TypedDict):
    """What became of each, in the order of the request."""

    items: list[BulkItem]


class Slots(TypedDict):
    """Slots in their order, and in words what names them."""

    items: list[InstantText]
    description: str


class ErrorView(TypedDict):
    """Why an attempt did not succeed."""

    type: str
    message: str


class AttemptView(TypedDict):
    """One try at a run."""

    number: int
    started_at: InstantText
    finished_at: InstantText | None
    outcome: str | None
    """None while it goes on; `died` when its executor was lost."""
    error: ErrorView | None
    retry_at: InstantText | None


class HeartbeatView(TypedDict):
    """What an attempt that goes on is told."""

    cancel_requested: bool


class ResultView(TypedDict):
    """What the target answered, as far as it is kept."""

    status_code: int
    body: str
    truncated: bool


class RunView(TypedDict):
    """A run as it stands."""

    id: str
    job_id: str
    trigger: Literal["schedule", "manual", "backfill", "replay"]
    state: RunStage
    reason: str | None
    scheduled_at: InstantText
    started_at: InstantText | None
    finished_at: InstantText | None
    lateness_seconds: float | None
    duration_seconds: float | None
    attempt: int
    attempts: list[AttemptView]
    result: ResultView | None
    error: ErrorView | None


GapView = TypedDict(
    "GapView",
    {"from": InstantText, "to": InstantText, "count": int, "reason": str},
)
"""A stretch of slots that a catch-up rule left out; both ends are slots."""


class RunList(TypedDict):
    """Part of a job's runs, newest first."""

    items: list[RunView]
    gaps: list[GapView]
    next_cursor: str | None


class LogLineView(TypedDict):
    """One thing that happened to a run."""

    at: InstantText
    attempt: int
    level: Literal["info", "warning", "error"]
    message: str


class Log(TypedDict):
    """What happened to a run, oldest first."""

    items: list[LogLineView]


class ShardView(TypedDict):
    """When a shard was last dispatched."""

    shard: int
    last_tick: InstantText | None
    age_seconds: float | None


class Health(TypedDict):
    """How the scheduler is."""

    status: Literal["ok", "degraded", "unavailable"]
    store: Literal["ok", "unavailable"]
    queue: Literal["ok", "unavailable"]
    shards: list[ShardView]
