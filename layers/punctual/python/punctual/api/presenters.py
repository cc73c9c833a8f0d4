"""How jobs and runs look from outside."""

import json
from dataclasses import fields
from datetime import date, datetime, timedelta
from typing import Any, assert_never

from punctual.api.limits import show_limits
from punctual.api.views import (
    AttemptView,
    DstView,
    ErrorView,
    GapView,
    HttpTargetView,
    JobView,
    LogLineView,
    ResultView,
    RetryView,
    RunView,
    ScheduleView,
    Slots,
)
from punctual.core.aws_targets import AwsTarget, Document, type_of
from punctual.core.calls import CallError
from punctual.core.instants import MILLISECOND, format_instant
from punctual.core.jobs import Content, HttpTarget, Job, JobState, Target
from punctual.core.retry import RetryPolicy
from punctual.core.runs import Result, Stretch
from punctual.core.schedules import At, Cron, Dst, Every, Schedule
from punctual.core.slots import next_slot
from punctual.core.timeline import UNSTARTED, Attempt, LogLine, attempts_of
from punctual.services.runs import Seen


def job_view(job: Job, content: Content, *, now: datetime) -> JobView:
    """Return a job as it stands; what comes of it can be put as it is."""
    policy = job.policy
    state = job.state_at(now)
    is_paused = state is JobState.PAUSED
    return {
        "id": job.key.job_id,
        "name": job.name,
        "schedule": _schedule(job.schedule),
        "target": _target(content.target),
        "retry": _retry(policy.retry),
        "timeout_seconds": _seconds(policy.timeout),
        "heartbeat_seconds": None if policy.heartbeat is None else _seconds(policy.heartbeat),
        "start_deadline_seconds": _seconds(policy.start_deadline),
        "catch_up": policy.catch_up.value,
        "overlap": policy.overlap.value,
        "delivery": policy.delivery.value,
        "limits": show_limits(policy.limits),
        "tags": dict(content.tags),
        "state": _job_stage(state),
        "pause": {"note": job.pause_note, "until": None} if is_paused else None,
        "revision": job.revision,
        "next_run_at": _instant(next_run_at(job, now=now)),
        "created_at": format_instant(job.created_at),
        "updated_at": format_instant(job.updated_at),
    }


def next_run_at(job: Job, *, now: datetime) -> datetime | None:
    """Return the next slot to come, handed over already or not; one that is overdue counts."""
    if job.state_at(now) is not JobState.ACTIVE:
        return None
    following = next_slot(job.schedule, after=now)
    last = job.last_slot if job.next_slot is None else job.next_slot
    if following is None or (last is not None and following > last):
        return job.next_slot
    return following


def slots_view(schedule: Schedule, slots: list[datetime]) -> Slots:
    """Return some of a schedule's slots, and the schedule in words."""
    # Slow to import, and few requests ask for words.
    from punctual.core.descriptions import describe  # noqa: PLC0415

    return {
        "items": [format_instant(slot) for slot in slots],
        "description": describe(schedule),
    }


def run_view(seen: Seen) -> RunView:
    """Return a run as it stands."""
    run = seen.run
    attempts = attempts_of(run)
    started_at = attempts[0].started_at if attempts else None
    return {
        "id": run.key.run_id,
        "job_id": run.key.job.job_id,
        "trigger": run.trigger.value,
        "state": seen.stage.value,
        "reason": run.reason,
        "scheduled_at": format_instant(run.scheduled_at),
        "started_at": _instant(started_at),
        "finished_at": _instant(run.finished_at),
        "lateness_seconds": _between(run.due_at, started_at),
        "duration_seconds": _between(started_at, run.finished_at),
        "attempt": 0 if run.state in UNSTARTED else run.attempt,
        "attempts": [attempt_view(attempt) for attempt in attempts],
        "result": None if run.result is None else _result(run.result),
        "error": _error(run.error),
    }


def gap_view(stretch: Stretch) -> GapView:
    """Return a stretch of slots that were left out."""
    return {
        "from": format_instant(stretch.since),
        "to": format_instant(stretch.until),
        "count": stretch.count,
        "reason": stretch.reason,
    }


def log_line_view(line: LogLine) -> LogLineView:
    """Return a line of a run's log."""
    return {
        "at": format_instant(line.at),
        "attempt": line.attempt,
        "level": line.level.value,
        "message": line.message,
    }


def _job_stage(state: JobState) -> Any:  # noqa: ANN401 - a literal of three
    assert state is not JobState.DELETED, "nobody sees a tombstone"
    return state.value


def _schedule(schedule: Schedule) -> ScheduleView:
    view: ScheduleView = {
        "start_at": _instant(schedule.start_at),
        "end_at": _instant(schedule.end_at),
        "max_runs": schedule.max_runs,
        "exclude": [_exclusion(exclusion) for exclusion in schedule.exclude],
        "spread_seconds": _seconds(schedule.spread),
    }
    match schedule.rule:
        case At(at=at):
            view["at"] = format_instant(at)
        case Every(every=every):
            view["every_seconds"] = _seconds(every)
        case Cron(expression=expression, timezone=timezone, dst=dst):
            view["cron"] = expression
            view["timezone"] = timezone
            view["dst"] = None if dst is None else _dst(dst)
        case other:
            assert_never(other)
    return view


def _dst(dst: Dst) -> DstView:
    return {
        "gap": None if dst.gap is None else dst.gap.value,
        "overlap": None if dst.overlap is None else dst.overlap.value,
    }


def _exclusion(exclusion: date) -> str:
    if isinstance(exclusion, datetime):
        return format_instant(exclusion)
    return exclusion.isoformat()


def _target(target: Target) -> Any:  # noqa: ANN401 - one view for each type
    return _http_target(target) if isinstance(target, HttpTarget) else _aws_target(target)


def _aws_target(target: AwsTarget) -> dict[str, Any]:
    view: dict[str, Any] = {"type": type_of(target)}
    for each in fields(target):
        value = getattr(target, each.name)
        view[each.name] = value.value if isinstance(value, Document) else value
    return view


def _http_target(target: HttpTarget) -> HttpTargetView:
    body: Any = target.body
    if body is not None and target.body_is_json:
        body = json.loads(body)
    return {
        "type": "http",
        "url": target.url,
        "method": target.method,
        "headers": dict(target.headers),
        "body": body,
        "secret_arn": target.secret_arn,
        "signing_secret_arn": target.signing_secret_arn,
        "success_codes": list(target.success_codes),
        "completion": "callback" if target.completion == "callback" else "response",
    }


def _retry(retry: RetryPolicy) -> RetryView:
    multiplier = retry.multiplier
    return {
        "max_attempts": retry.max_attempts,
        "min_delay_seconds": _seconds(retry.min_delay),
        "max_delay_seconds": _seconds(retry.max_delay),
        "multiplier": int(multiplier) if multiplier == int(multiplier) else multiplier,
        "jitter": retry.jitter.value,
        "max_age_seconds": _seconds(retry.max_age),
    }


def attempt_view(attempt: Attempt) -> AttemptView:
    """Return one try at a run."""
    return {
        "number": attempt.number,
        "started_at": format_instant(attempt.started_at),
        "finished_at": _instant(attempt.finished_at),
        "outcome": attempt.outcome,
        "error": _error(attempt.error),
        "retry_at": _instant(attempt.retry_at),
    }


def _result(result: Result) -> ResultView:
    return {
        "status_code": result.status_code,
        "body": result.body.decode(errors="replace"),
        "truncated": result.truncated,
    }


def _error(error: CallError | None) -> ErrorView | None:
    return None if error is None else {"type": error.type, "message": error.message}


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)


def _between(earlier: datetime | None, later: datetime | None) -> float | None:
    return None if earlier is None or later is None else _seconds(later - earlier)


def _seconds(duration: timedelta) -> float:
    """Write a duration of whole milliseconds: 30 for thirty seconds, 0.25 for a quarter of one."""
    seconds, milliseconds = divmod(duration // MILLISECOND, 1000)
    return seconds + milliseconds / 1000 if milliseconds else seconds
