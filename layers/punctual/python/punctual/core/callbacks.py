"""Completion by callback: the token of an attempt, how long it may be silent, how it ends.

A token names its tenant, and nobody believes it that before its digest was found at the run it is
used for: the owner of an attempt *is* the digest of its token, so what is stored lets nobody in.
"""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hmac import compare_digest

from punctual.core.calls import BODY_KEPT_MAX, Callback, CallError
from punctual.core.execution import LEASE_MARGIN
from punctual.core.identity import RunKey
from punctual.core.jobs import HttpTarget, Policy, Target
from punctual.core.log_lines import printable
from punctual.core.retry import RetryPolicy, retry_at
from punctual.core.runs import (
    LIFE_MAX,
    MARK_LENGTH,
    Ending,
    Failure,
    Hold,
    Result,
    Run,
    RunState,
)

HEARTBEAT = timedelta(hours=1)
"""The longest silence of an attempt whose job does not say."""

MESSAGE_MAX = 200
"""Characters kept of what a target says about its failure."""

TOKEN_MAX = 512
"""Characters of a token; ours are far shorter."""

_DIGEST_BYTES = 24
"""Of a token's digest: as text they make an owner of 32 characters."""


def token_of(tenant: str, secret: str) -> str:
    """Make the token of one attempt from a secret that was drawn for it."""
    return f"{urlsafe_b64encode(tenant.encode()).decode().rstrip('=')}.{secret}"


def owner_of(token: str) -> str:
    """Return the owner that an attempt with this token has: 32 characters of its digest."""
    return urlsafe_b64encode(hashlib.sha256(token.encode()).digest()[:_DIGEST_BYTES]).decode()


def tenant_in(token: str) -> str | None:
    """Return the tenant that a token names, to find a run by and for nothing else."""
    if len(token) > TOKEN_MAX or not token.isascii():
        return None
    name, dot, _ = token.partition(".")
    try:
        return urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode() if name and dot else None
    except ValueError:
        return None


def callback(base_url: str, key: RunKey, *, token: str) -> Callback:
    """Return where and with what an attempt of a run reports back.

    Args:
        base_url: Where its target reaches the API.
        key: The run's.
        token: The attempt's.
    """
    return Callback(url=f"{base_url.rstrip('/')}/v1/runs/{key.run_id}", token=token)


class Standing(StrEnum):
    """How an attempt stands to its run."""

    CURRENT = "current"
    """It holds the run."""
    FINISHED = "finished"
    """It wrote the run's outcome."""
    PAST = "past"
    """It failed, was given up, or was followed by another attempt."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The attempt that a token belongs to."""

    number: int
    standing: Standing


def attempt_of(run: Run, owner: str) -> Attempt | None:
    """Return the attempt of a run that has this owner; None when none ever had.

    Whether it is the present one is told from the whole of it, in the same time whatever it is; an
    earlier one is known by its mark, and may do nothing.
    """
    if run.owner is not None and compare_digest(run.owner, owner):
        return Attempt(run.attempt, Standing.CURRENT)
    if run.finished_by is not None and compare_digest(run.finished_by, owner):
        return Attempt(run.attempt, Standing.FINISHED)
    for number, mark in enumerate(run.marks, start=1):
        if mark.owner and compare_digest(mark.owner, owner[:MARK_LENGTH]):
            return Attempt(number, Standing.PAST)
    return None


def heartbeat_of(policy: Policy, target: Target) -> timedelta | None:
    """Return the longest silence of an attempt; None for a target whose answer is the outcome."""
    if not isinstance(target, HttpTarget) or target.completion != "callback":
        return None
    return policy.heartbeat or HEARTBEAT


def hold(run: Run, *, heartbeat: timedelta, now: datetime) -> Hold:
    """Return the move by which the attempt that holds a run may be silent from now on.

    No heartbeat keeps a run open beyond its longest life.
    """
    assert run.owner is not None, "a held run has an owner"
    started_at = run.starts[-1]
    return Hold(
        key=run.key,
        owner=run.owner,
        attempt=run.attempt,
        started_at=started_at,
        lease_until=min(now + heartbeat + LEASE_MARGIN, run.starts[0] + LIFE_MAX),
        heartbeat=heartbeat,
        is_first=run.heartbeat is None,
    )


def beat(run: Run, *, heartbeat: timedelta, now: datetime) -> Hold:
    """Return the move by which the target of the attempt that holds a run gives a sign of life.

    Before the call is answered, the lease of who called may reach further: it stays as it is, and
    the run is held by this, so that no acceptance which was seen earlier ends the lease sooner.
    """
    move = hold(run, heartbeat=heartbeat, now=now)
    if run.lease_until is None or run.lease_until <= move.lease_until:
        return move
    return replace(move, lease_until=run.lease_until)


def called_back(run: Run | None, attempt: int, owner: str) -> bool:
    """Say whether an attempt has reported its end, while the answer to its call was on its way."""
    return run is not None and (
        run.finished_by == owner or any(failure.attempt == attempt for failure in run.failures)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A result that was reported, as bytes."""

    content_type: str
    content: bytes

    @property
    def is_long(self) -> bool:
        """Whether it is too long for the record of its run."""
        return len(self.content) > BODY_KEPT_MAX


def body_of(value: object) -> Body | None:
    """Write a result that was reported as JSON; a string stays as it is, and None is no result."""
    if value is None:
        return None
    if isinstance(value, str):
        return Body(content_type="text/plain; charset=utf-8", content=value.encode())
    return Body(content_type="application/json", content=_json(value).encode())


def completed(body: Body | None, *, stored: str | None, now: datetime) -> Ending:
    """Return the outcome of an attempt that reported success.

    Args:
        body: Its result.
        stored: Under which name `Results` has a long one; None where it is cut off.
        now: When it was reported.
    """
    if body is None:
        return Ending(state=RunState.SUCCEEDED, at=now)
    result = Result(
        status_code=200,  # as if it had been the answer to the call
        content_type=body.content_type,
        body=body.content[:BODY_KEPT_MAX],
        body_bytes=len(body.content),
        stored=stored,
        truncated=body.is_long and stored is None,
    )
    return Ending(state=RunState.SUCCEEDED, at=now, result=result)


_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def failed(
    run: Run,
    error: CallError,
    policy: RetryPolicy,
    *,
    again: bool,
    now: datetime,
    draw: float,
) -> Ending | Failure:
    """Return what becomes of a run whose attempt reported that it failed.

    Args:
        run: As the attempt holds it.
        error: Why it failed.
        policy: The job's retry policy.
        again: Whether another attempt may fare better.
        now: When it was reported.
        draw: A number in [0, 1) for the jitter.
    """
    at = None
    if again:
        at = retry_at(
            policy,
            attempt=run.attempt,
            max_attempts=run.max_attempts,
            first_started_at=run.starts[0],
            now=now,
            asked_for=None,
            draw=draw,
        )
    if at is None:
        return Ending(state=RunState.FAILED, at=now, error=error)
    return Failure(attempt=run.attempt, finished_at=now, error=error, retry_at=at)


def reported_error(kind: str, message: str) -> CallError:
    """Return a failure as a target tells it: one line, and no more of it than a record bears."""
    line = printable(message)
    if len(line) > MESSAGE_MAX:
        line = line[: MESSAGE_MAX - 1] + "…"
    return CallError(type=kind, message=line or kind)


def is_told(settlement: Ending | Failure, run: Run, attempt: int) -> bool:
    """Say whether a run says of an attempt what was reported, whenever that was."""
    match settlement:
        case Ending(state=state, result=result, error=error):
            return (run.state, run.error, _said(run.result)) == (state, error, _said(result))
        case Failure(error=error):
            told = [failure.error for failure in run.failures if failure.attempt == attempt]
            return told == [error]


def _said(result: Result | None) -> object:
    return result and (result.content_type, result.body, result.body_bytes)
