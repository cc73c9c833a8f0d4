"""Schedules, policies, contents and the like as text, the way every store keeps them.

The text is compact, readable and canonical: equal values have equal texts. A field that has its
default is left out, so the defaults written here are part of the format: they stay as they are
even when those of new jobs change.
"""

import hashlib
import json
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, assert_never

from punctual.core import aws_targets
from punctual.core.identity import JobKey, RunKey
from punctual.core.instants import (
    MILLISECOND,
    epoch_ms,
    format_instant,
    from_epoch_ms,
    parse_instant,
)
from punctual.core.jobs import (
    CatchUp,
    Content,
    Delivery,
    Epoch,
    HttpTarget,
    Overlap,
    Policy,
    Target,
)
from punctual.core.limits import Limit, Token
from punctual.core.retry import Jitter, RetryPolicy
from punctual.core.schedules import At, Cron, Dst, Every, Gap, Repeat, Rule, Schedule
from punctual.core.watching import Reference

TEXTS_REMEMBERED = 4096
"""How many texts are not read twice; planning meets the same ones again and again."""


class UnreadableRecord(ValueError):
    """A stored text is not one that this version writes."""


def schedule_to_text(schedule: Schedule) -> str:
    """Write a schedule: `{"cron":"0 9 * * *","timezone":"Europe/Berlin","max_runs":10}`."""
    record = _rule_to_record(schedule.rule)
    if schedule.start_at is not None:
        record["start_at"] = format_instant(schedule.start_at)
    if schedule.end_at is not None:
        record["end_at"] = format_instant(schedule.end_at)
    if schedule.max_runs is not None:
        record["max_runs"] = schedule.max_runs
    if schedule.exclude:
        record["exclude"] = [_exclusion_to_text(exclusion) for exclusion in schedule.exclude]
    if schedule.spread:
        record["spread_ms"] = _milliseconds(schedule.spread)
    if schedule.offset:
        record["offset_ms"] = _milliseconds(schedule.offset)
    return _text(record)


@lru_cache(maxsize=TEXTS_REMEMBERED)
def schedule_from_text(text: str) -> Schedule:
    """Read what `schedule_to_text` wrote.

    Raises:
        UnreadableRecord: It did not write this.
    """
    try:
        record = json.loads(text)
        return Schedule(
            rule=_rule_from_record(record),
            start_at=_instant(record.get("start_at")),
            end_at=_instant(record.get("end_at")),
            max_runs=record.get("max_runs"),
            exclude=tuple(_exclusion_from_text(entry) for entry in record.get("exclude", ())),
            spread=_duration(record.get("spread_ms", 0)),
            offset=_duration(record.get("offset_ms", 0)),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableRecord(f"not a schedule: {text[:200]!r}") from error


def policy_to_text(policy: Policy) -> str:
    """Write a policy: `{}` for the defaults, `{"timeout_ms":5000,"retry":{…}}` for others."""
    record: dict[str, Any] = {}
    if policy.timeout != _POLICY.timeout:
        record["timeout_ms"] = _milliseconds(policy.timeout)
    if policy.heartbeat is not None:
        record["heartbeat_ms"] = _milliseconds(policy.heartbeat)
    if policy.start_deadline != _POLICY.start_deadline:
        record["start_deadline_ms"] = _milliseconds(policy.start_deadline)
    if policy.catch_up is not _POLICY.catch_up:
        record["catch_up"] = policy.catch_up.value
    if policy.overlap is not _POLICY.overlap:
        record["overlap"] = policy.overlap.value
    if policy.delivery is not _POLICY.delivery:
        record["delivery"] = policy.delivery.value
    if policy.limits:
        record["limits"] = [_limit_to_record(limit) for limit in policy.limits]
    if retry := _retry_to_record(policy.retry):
        record["retry"] = retry
    return _text(record)


@lru_cache(maxsize=TEXTS_REMEMBERED)
def policy_from_text(text: str) -> Policy:
    """Read what `policy_to_text` wrote.

    Raises:
        UnreadableRecord: It did not write this.
    """
    try:
        record = json.loads(text)
        return Policy(
            retry=_retry_from_record(record.get("retry", {})),
            timeout=_duration(record.get("timeout_ms", _milliseconds(_POLICY.timeout))),
            heartbeat=_duration(record["heartbeat_ms"]) if "heartbeat_ms" in record else None,
            start_deadline=_duration(
                record.get("start_deadline_ms", _milliseconds(_POLICY.start_deadline))
            ),
            catch_up=CatchUp(record.get("catch_up", _POLICY.catch_up)),
            overlap=Overlap(record.get("overlap", _POLICY.overlap)),
            delivery=Delivery(record.get("delivery", _POLICY.delivery)),
            limits=tuple(Limit(**limit) for limit in record.get("limits", ())),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableRecord(f"not a policy: {text[:200]!r}") from error


@lru_cache(maxsize=TEXTS_REMEMBERED // 8)
def content_to_text(content: Content) -> str:
    """Write a content: `{"target":{"type":"http","url":"https://…"},"tags":[["team","a"]]}`."""
    record: dict[str, Any] = {"target": _target_to_record(content.target)}
    if content.tags:
        record["tags"] = [list(tag) for tag in content.tags]
    return _text(record)


@lru_cache(maxsize=TEXTS_REMEMBERED // 8)
def content_from_text(text: str) -> Content:
    """Read what `content_to_text` wrote.

    Raises:
        UnreadableRecord: It did not write this. The message shows nothing of the text, which may
            hold secrets.
    """
    try:
        record = json.loads(text)
        return Content(
            target=_target_from_record(record["target"]), tags=_pairs(record.get("tags", ()))
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UnreadableRecord("not a content") from None


@lru_cache(maxsize=TEXTS_REMEMBERED)
def epochs_to_text(epochs: tuple[Epoch, ...]) -> str:
    """Write epochs: `[[1,null],[2,1764579600000],[4,1764579700000,1764579800000]]`."""
    return _text(
        [
            [epoch.schedule_revision, None if epoch.since is None else epoch_ms(epoch.since)]
            + ([] if epoch.begins is None else [epoch_ms(epoch.begins)])
            for epoch in epochs
        ]
    )


@lru_cache(maxsize=TEXTS_REMEMBERED)
def epochs_from_text(text: str) -> tuple[Epoch, ...]:
    """Read what `epochs_to_text` wrote.

    Raises:
        UnreadableRecord: It did not write this.
    """
    try:
        return tuple(
            Epoch(
                schedule_revision=revision,
                since=None if since is None else from_epoch_ms(since),
                begins=from_epoch_ms(begins[0]) if begins else None,
            )
            for revision, since, *begins in json.loads(text)
        )
    except (TypeError, ValueError) as error:
        raise UnreadableRecord(f"not epochs: {text[:200]!r}") from error


def references_to_text(references: tuple[Reference, ...]) -> str:
    """Write references, neighbours of one job together: `[["acme","report",1,3,"2026…Z",…],…]`.

    The numbers are the job's incarnation and the schedule revision.
    """
    groups: list[list[str | int]] = []
    named: tuple[JobKey, int, int] | None = None
    for reference in references:
        key = reference.key
        if named != (key.job, key.incarnation, reference.schedule_revision):
            named = (key.job, key.incarnation, reference.schedule_revision)
            groups.append([key.job.tenant, key.job.job_id, *named[1:]])
        groups[-1].append(key.name)
    return _text(groups)


def references_from_text(text: str) -> tuple[Reference, ...]:
    """Read what `references_to_text` wrote."""
    return tuple(
        Reference(RunKey(JobKey(tenant, job_id), incarnation, name), revision)
        for tenant, job_id, incarnation, revision, *names in json.loads(text)
        for name in names
    )


def place_to_text(run: RunKey | None) -> str:
    """Write which run of a job a gate names: `1#20261201T090000Z`, nothing for none."""
    return "" if run is None else f"{run.incarnation}#{run.name}"


def place_from_text(text: str, *, job: JobKey) -> RunKey | None:
    """Read what `place_to_text` wrote."""
    if not text:
        return None
    incarnation, _, name = text.partition("#")
    return RunKey(job, int(incarnation), name)


def token_to_text(token: Token) -> str:
    """Write who is in under a limit's key: `report#1#20261201T090000Z#` and the owner."""
    return f"{token.run.job.job_id}#{place_to_text(token.run)}#{token.owner}"


def token_from_text(text: str, *, tenant: str) -> Token:
    """Read what `token_to_text` wrote."""
    job_id, incarnation, name, owner = text.split("#", 3)
    return Token(RunKey(JobKey(tenant, job_id), int(incarnation), name), owner)


def content_ref(content: Content) -> str:
    """Return the digest that a content is stored under: 64 hexadecimal digits."""
    return hashlib.sha256(content_to_text(content).encode()).hexdigest()


def _rule_to_record(rule: Rule) -> dict[str, Any]:
    match rule:
        case At(at=at):
            return {"at": format_instant(at)}
        case Every(every=every, anchor=anchor):
            return {"every_ms": _milliseconds(every), "anchor": format_instant(anchor)}
        case Cron(expression=expression, timezone=timezone, dst=dst):
            record: dict[str, Any] = {"cron": expression}
            if timezone != "UTC":
                record["timezone"] = timezone
            if dst is not None:
                record["dst"] = _dst_to_record(dst)
            return record
        case _:
            assert_never(rule)


def _rule_from_record(record: dict[str, Any]) -> Rule:
    if "at" in record:
        return At(at=parse_instant(record["at"]))
    if "every_ms" in record:
        return Every(every=_duration(record["every_ms"]), anchor=parse_instant(record["anchor"]))
    return Cron(
        expression=record["cron"],
        timezone=record.get("timezone", "UTC"),
        dst=_dst_from_record(record.get("dst")),
    )


def _dst_to_record(dst: Dst) -> dict[str, str]:
    record = {}
    if dst.gap is not None:
        record["gap"] = dst.gap.value
    if dst.overlap is not None:
        record["overlap"] = dst.overlap.value
    return record


def _dst_from_record(record: dict[str, str] | None) -> Dst | None:
    if record is None:
        return None
    gap, overlap = record.get("gap"), record.get("overlap")
    return Dst(
        gap=None if gap is None else Gap(gap), overlap=None if overlap is None else Repeat(overlap)
    )


def _exclusion_to_text(exclusion: date) -> str:
    if isinstance(exclusion, datetime):
        return format_instant(exclusion)
    return exclusion.isoformat()


def _exclusion_from_text(text: str) -> date:
    return parse_instant(text) if "T" in text else date.fromisoformat(text)


# What a field left out means, for ever: not the defaults of new jobs, which may change.
_RETRY = RetryPolicy(
    max_attempts=3,
    min_delay=timedelta(seconds=1),
    max_delay=timedelta(seconds=300),
    multiplier=2.0,
    jitter=Jitter.FULL,
    max_age=timedelta(days=1),
)
_POLICY = Policy(
    retry=_RETRY,
    timeout=timedelta(seconds=30),
    start_deadline=timedelta(hours=1),
    catch_up=CatchUp.ALL,
    overlap=Overlap.ALLOW,
    delivery=Delivery.AT_LEAST_ONCE,
)


def _limit_to_record(limit: Limit) -> dict[str, Any]:
    record: dict[str, Any] = {"key": limit.key}
    if limit.max_concurrent is not None:
        record["max_concurrent"] = limit.max_concurrent
    if limit.rate_per_second is not None:
        record["rate_per_second"] = limit.rate_per_second
    return record


def _retry_to_record(retry: RetryPolicy) -> dict[str, Any]:
    record: dict[str, Any] = {}
    if retry.max_attempts != _RETRY.max_attempts:
        record["max_attempts"] = retry.max_attempts
    if retry.min_delay != _RETRY.min_delay:
        record["min_delay_ms"] = _milliseconds(retry.min_delay)
    if retry.max_delay != _RETRY.max_delay:
        record["max_delay_ms"] = _milliseconds(retry.max_delay)
    if retry.multiplier != _RETRY.multiplier:
        record["multiplier"] = float(retry.multiplier)
    if retry.jitter is not _RETRY.jitter:
        record["jitter"] = retry.jitter.value
    if retry.max_age != _RETRY.max_age:
        record["max_age_ms"] = _milliseconds(retry.max_age)
    return record


def _retry_from_record(record: dict[str, Any]) -> RetryPolicy:
    return RetryPolicy(
        max_attempts=record.get("max_attempts", _RETRY.max_attempts),
        min_delay=_duration(record.get("min_delay_ms", _milliseconds(_RETRY.min_delay))),
        max_delay=_duration(record.get("max_delay_ms", _milliseconds(_RETRY.max_delay))),
        multiplier=record.get("multiplier", _RETRY.multiplier),
        jitter=Jitter(record.get("jitter", _RETRY.jitter)),
        max_age=_duration(record.get("max_age_ms", _milliseconds(_RETRY.max_age))),
    )


_TARGET = HttpTarget(
    url="", method="POST", headers=(), body=None, body_is_json=True, success_codes=("2xx",)
)


def _target_to_record(target: Target) -> dict[str, Any]:
    if not isinstance(target, HttpTarget):
        return aws_targets.to_record(target)
    record: dict[str, Any] = {"type": "http", "url": target.url}
    if target.method != _TARGET.method:
        record["method"] = target.method
    if target.headers:
        record["headers"] = [list(header) for header in target.headers]
    if target.body is not None:
        record["body"] = target.body
    if target.body_is_json is not _TARGET.body_is_json:
        record["body_is_json"] = target.body_is_json
    if target.secret_arn is not None:
        record["secret_arn"] = target.secret_arn
    if target.signing_secret_arn is not None:
        record["signing_secret_arn"] = target.signing_secret_arn
    if target.success_codes != _TARGET.success_codes:
        record["success_codes"] = list(target.success_codes)
    if target.completion != "response":
        record["completion"] = target.completion
    return record


def _target_from_record(record: dict[str, Any]) -> Target:
    if record["type"] != "http":
        return aws_targets.from_record(record)
    return HttpTarget(
        url=record["url"],
        method=record.get("method", _TARGET.method),
        headers=_pairs(record.get("headers", ())),
        body=record.get("body"),
        body_is_json=record.get("body_is_json", _TARGET.body_is_json),
        secret_arn=record.get("secret_arn"),
        signing_secret_arn=record.get("signing_secret_arn"),
        success_codes=tuple(record.get("success_codes", _TARGET.success_codes)),
        completion=record.get("completion", "response"),
    )


def _pairs(entries: Any) -> tuple[tuple[str, str], ...]:  # noqa: ANN401 - JSON
    return tuple((name, value) for name, value in entries)


def _milliseconds(duration: timedelta) -> int:
    return duration // MILLISECOND


def _duration(milliseconds: int) -> timedelta:
    return milliseconds * MILLISECOND


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)


_text = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
