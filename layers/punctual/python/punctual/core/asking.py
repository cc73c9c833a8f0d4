"""Runs that somebody asks for: once more, or now, whatever the schedule says."""

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Any, assert_never

from punctual.core.aws_targets import (
    Document,
    EventBridgeTarget,
    LambdaTarget,
    SnsTarget,
    SqsTarget,
    StepFunctionsTarget,
)
from punctual.core.errors import Conflict, FieldError, InvalidRequest
from punctual.core.identity import RunKey
from punctual.core.jobs import Content, HttpTarget, Job, JobState, Target
from punctual.core.records import content_to_text
from punctual.core.runs import HISTORY_KEPT, LIFE_MAX, Run, Trigger
from punctual.core.strands import asked_at

CONTENT_BYTES_MAX = 256 * 1024
"""What target and tags may take up as they are stored; a record of the table holds little more."""


def refuse_paused(job: Job) -> None:
    """Refuse to run what its user has paused.

    Raises:
        Conflict: It is paused; one that is paused a moment later skips its run.
    """
    if job.state is JobState.PAUSED:
        raise Conflict("the job is paused, and no run of it starts: resume it first")


def asked_run(
    job: Job,
    name: str,
    *,
    trigger: Trigger,
    content: Content | None = None,
    scheduled_at: datetime | None = None,
) -> Run:
    """Return the row of a run that is asked for, with the policies it is pinned to.

    Args:
        job: Whose.
        name: As `strands.asked_name` makes it.
        trigger: What brings it into being.
        content: Of its own, stored under a name of its own; None where it has that of its job.
        scheduled_at: What its call says that it is for; None: when it was asked for.
    """
    asked = asked_at(name)
    assert asked is not None, "the name says when it was asked for"
    key = RunKey(job.key, job.incarnation, name)
    return Run(
        key=key,
        trigger=trigger,
        scheduled_at=scheduled_at or asked,
        schedule_revision=job.schedule_revision,
        max_attempts=job.policy.attempts,
        delivery=job.policy.delivery,
        lane=job.policy.lane,
        content=None if content is None else own_ref(key, content),
    )


def own_ref(key: RunKey, content: Content) -> str:
    """Return the name of a run's own content: of this run, and of nobody else.

    So its end of life takes nothing away from the job, nor from another run.
    """
    text = f"{key.run_id}\x00{content_to_text(content)}"
    return f"run-{hashlib.sha256(text.encode()).hexdigest()}"


def own_until(job: Job, *, now: datetime) -> datetime:
    """Return until when a run's own content is kept: as long as the run can be read."""
    policy = job.policy
    return now + policy.start_deadline + policy.retry.max_age + LIFE_MAX + HISTORY_KEPT


def with_body(content: Content, body: Any) -> Content:  # noqa: ANN401 - JSON
    """Return a content whose call sends `body`, whatever its target calls that.

    Raises:
        InvalidRequest: The target cannot send this.
    """
    changed = replace(content, target=_with_body(content.target, body))
    if len(content_to_text(changed).encode()) > CONTENT_BYTES_MAX:
        detail = f"takes up more than {CONTENT_BYTES_MAX} bytes, headers and tags included"
        raise InvalidRequest([FieldError("/body", detail)])
    return changed


def _with_body(target: Target, body: Any) -> Target:  # noqa: ANN401 - JSON
    match target:
        case HttpTarget():
            document = Document.of(body)
            return replace(target, body=document.text, body_is_json=document.is_json)
        case LambdaTarget():
            return replace(target, payload=Document.of_json(body))
        case StepFunctionsTarget():
            return replace(target, input=Document.of_json(body))
        case EventBridgeTarget():
            if not isinstance(body, dict):
                raise InvalidRequest([FieldError("/body", "should be an object, as events have")])
            return replace(target, detail=Document.of_json(body))
        case SqsTarget():
            return replace(target, body=_sent(body))
        case SnsTarget():
            return replace(target, message=_sent(body))
        case _:
            assert_never(target)


def _sent(body: Any) -> Document:  # noqa: ANN401 - JSON
    if body == "":
        raise InvalidRequest([FieldError("/body", "should not be empty")])
    return Document.of(body)
