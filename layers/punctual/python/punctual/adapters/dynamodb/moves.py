"""Every move of a run as one conditional write: the table's words for `core.runs.permits`.

Each condition says what `permits` says, and each change what `after` does; a test holds them to
each other over every state.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Any, assert_never

from punctual.adapters.dynamodb import keys
from punctual.adapters.dynamodb.items import (
    PINNED_MAY_BE_LEFT_OUT,
    address,
    ending_to_values,
    failure_to_value,
    instant,
    number,
    pinned_to_values,
    start_to_value,
    text,
)
from punctual.adapters.dynamodb.writes import Change, Delete, Update
from punctual.core.identity import RunKey
from punctual.core.runs import (
    Cancel,
    Finish,
    GiveUp,
    Hold,
    Move,
    Reap,
    RequestCancel,
    Retry,
    Run,
    RunState,
    Skip,
    Start,
    Void,
    VoidQueued,
    Wait,
    mark_of,
)

# Conditions. A row that awaits its outcome always has `lease_until` and `retry_at`, 0 when there is
# no lease and no wait; an outcome removes both, and what is missing meets no comparison. A row that
# is queued or retrying always has attempts left. `accepted` is there from the first HOLD of an
# attempt until another one starts, or there is an outcome. So no condition needs an OR, and each
# compares an attribute with a value: what DynamoDB's two languages surely understand alike. Where
# `permits` has an OR between rows that a move may find, its caller guesses which one it is.

HELD = "#state = :running AND #owner = :owner"

STARTABLE = (
    "attribute_not_exists(#cancel_requested_at) AND #attempts_left > :zero"
    " AND #lease_until < :now AND #retry_at <= :now"
)
"""Queued, or its wait is over, or abandoned with an attempt left."""

RETRYABLE = f"{HELD} AND #attempts_left > :zero"

UNACCEPTED = f"{HELD} AND attribute_not_exists(#accepted)"
"""Held by an attempt that does not await its callback yet."""

OUTLASTED = f"{HELD} AND #lease_until < :lease_until"

VOIDABLE = f"{HELD} AND attribute_not_exists(#cancel_requested_at)"

QUEUED_AS_SEEN = "#state = :queued AND #schedule_revision = :revision"

QUEUED = "#state = :queued"

NOT_RUNNING = "#lease_until = :zero"
"""Awaits its outcome, and no attempt holds it."""

RUNNING = "#state = :running"

REAPABLE = "attribute_exists(#cancel_requested_at) AND #lease_until < :now"
"""Awaits its outcome, and no attempt is live."""

SPENT = f"{HELD} AND #lease_until < :now AND #attempts_left = :zero"

_CONSTANTS = {
    ":queued": text(RunState.QUEUED),
    ":running": text(RunState.RUNNING),
    ":retrying": text(RunState.RETRYING),
    ":zero": number(0),
    ":one": number(1),
}

END = 99
"""Setting an element that lies past the end of a list appends it, in both languages."""

# Changes. `_outcome` makes those that write an outcome.

START = Change(
    when=STARTABLE,
    sets=(
        "#state = :running",
        "#owner = :owner",
        "#lease_until = :lease_until",
        "#retry_at = :zero",
        "#attempt = #attempt + :one",
        "#attempts_left = #attempts_left - :one",
        f"#starts[{END}] = :start",
    ),
    removes=("#reason", "#accepted"),
)

RETRY = Change(
    when=RETRYABLE,
    sets=(
        "#state = :retrying",
        "#lease_until = :zero",
        "#retry_at = :retry_at",
        f"#failures[{END}] = :failure",
    ),
    removes=("#owner",),
)

REQUEST_CANCEL = Change(when=RUNNING, sets=("#cancel_requested_at = :at",))

CANCEL_FOR_A_REASON = Change(when=RUNNING, sets=("#cancel_requested_at = :at", "#reason = :reason"))

OLDER = "#state = :queued AND #schedule_revision < :schedule_revision"

OPEN_ONLY = ("owner", "lease_until", "retry_at", "accepted")
"""What no outcome leaves."""

MAY_BE_LEFT_OUT = ("finished_by", "reason", "result", "error")
"""What an outcome does not always have."""


@lru_cache
def _start(pinned: tuple[str, ...]) -> Change:
    """START of a row that stands as it was handed over, with the attributes `pinned`.

    What a queued row has besides is in its name, and the same in all.
    """
    asked = [f"#{name} = :{name}" for name in pinned]
    asked += [f"attribute_not_exists(#{name})" for name in _left_out(pinned)]
    return replace(START, when=" AND ".join([QUEUED, *asked]))


@lru_cache
def _revise(pinned: tuple[str, ...]) -> Change:
    """Set a queued row of an older schedule revision to the newer one's attributes `pinned`."""
    return Change(
        when=OLDER,
        sets=tuple(f"#{name} = :{name}" for name in pinned),
        removes=tuple(f"#{name}" for name in _left_out(pinned)),
    )


def _left_out(pinned: tuple[str, ...]) -> list[str]:
    return [name for name in PINNED_MAY_BE_LEFT_OUT if name not in pinned]


@lru_cache
def _wait(attempt: int) -> Change:
    """WAIT of attempt number `attempt`, which leaves no trace."""
    return Change(
        when=HELD,
        sets=(
            "#state = :retrying",
            "#lease_until = :zero",
            "#retry_at = :retry_at",
            "#reason = :reason",
            "#attempt = #attempt - :one",
            "#attempts_left = #attempts_left + :one",
        ),
        removes=("#owner", f"#starts[{attempt - 1}]"),
    )


@lru_cache
def _hold(attempt: int, *, is_first: bool) -> Change:
    """HOLD of attempt number `attempt`, which awaits its callback from then on."""
    return Change(
        when=UNACCEPTED if is_first else OUTLASTED,
        sets=(
            "#lease_until = :lease_until",
            "#accepted = :one",
            f"#starts[{attempt - 1}] = :start",
        ),
    )


def write_of(move: Move) -> Update | Delete:
    """Return the conditional write that carries out a move."""
    match move:
        case Start(owner=owner, now=now, lease_until=lease_until):
            pinned = pinned_to_values(move.handed_over) if move.handed_over is not None else {}
            return _update(
                move.key,
                _start(tuple(pinned)) if pinned else START,
                owner=text(owner),
                now=instant(now),
                lease_until=instant(lease_until),
                start=start_to_value(now, mark_of(owner)),
                **pinned,
            )
        case Finish(owner=owner, ending=ending, scheduled_at=scheduled_at):
            outcome = ending_to_values(ending, by=owner, scheduled_at=scheduled_at)
            return _end(move.key, HELD, outcome, owner=text(owner))
        case Retry(owner=owner, failure=failure):
            return _update(
                move.key,
                RETRY,
                owner=text(owner),
                retry_at=instant(failure.retry_at),
                failure=failure_to_value(failure),
            )
        case Wait(owner=owner, attempt=attempt, retry_at=retry_at, reason=reason):
            return _update(
                move.key,
                _wait(attempt),
                owner=text(owner),
                retry_at=instant(retry_at),
                reason=text(reason),
            )
        case Hold(owner=owner, attempt=attempt, lease_until=lease_until):
            return _update(
                move.key,
                _hold(attempt, is_first=move.is_first),
                owner=text(owner),
                lease_until=instant(lease_until),
                start=start_to_value(move.started_at, mark_of(owner, heartbeat=move.heartbeat)),
            )
        case Void(owner=owner):
            return _delete(move.key, VOIDABLE, owner=text(owner))
        case VoidQueued(schedule_revision=revision):
            return _delete(move.key, QUEUED_AS_SEEN, revision=number(revision))
        case Cancel(ending=ending, scheduled_at=scheduled_at):
            outcome = ending_to_values(ending, by=None, scheduled_at=scheduled_at)
            return _end(move.key, NOT_RUNNING, outcome)
        case Skip(ending=ending, scheduled_at=scheduled_at):
            outcome = ending_to_values(ending, by=None, scheduled_at=scheduled_at)
            return _end(move.key, QUEUED, outcome)
        case RequestCancel(at=at, reason=reason):
            if reason is None:
                return _update(move.key, REQUEST_CANCEL, at=instant(at))
            return _update(move.key, CANCEL_FOR_A_REASON, at=instant(at), reason=text(reason))
        case Reap(now=now, ending=ending, scheduled_at=scheduled_at):
            outcome = ending_to_values(ending, by=None, scheduled_at=scheduled_at)
            return _end(move.key, REAPABLE, outcome, now=instant(now))
        case GiveUp(owner=owner, now=now, ending=ending, scheduled_at=scheduled_at):
            outcome = ending_to_values(ending, by=None, scheduled_at=scheduled_at)
            return _end(move.key, SPENT, outcome, owner=text(owner), now=instant(now))
        case _:
            assert_never(move)


def revise(run: Run) -> Update:
    """Return the write that sets a queued row of an older schedule revision to `run`."""
    pinned = pinned_to_values(run)
    return _update(run.key, _revise(tuple(pinned)), **pinned)


def _address(key: RunKey) -> dict[str, Any]:
    return address(keys.job_partition(key.job), keys.run_sort(key))


def _update(key: RunKey, change: Change, **values: dict[str, Any]) -> Update:
    return Update(key=_address(key), change=change, values=_named(values))


def _delete(key: RunKey, when: str, **values: dict[str, Any]) -> Delete:
    return Delete(key=_address(key), when=when, values=_named(values))


def _end(key: RunKey, when: str, outcome: dict[str, Any], **values: dict[str, Any]) -> Update:
    change = _outcome(when, tuple(outcome))
    named = {f":new_{name}": value for name, value in outcome.items()}
    return Update(key=_address(key), change=change, values=_named(values) | named)


@lru_cache
def _outcome(when: str, names: tuple[str, ...]) -> Change:
    """Write the outcome's attributes `names`, and remove what only an open run has."""
    left_out = [name for name in MAY_BE_LEFT_OUT if name not in names]
    return Change(
        when=when,
        sets=tuple(f"#{name} = :new_{name}" for name in names),
        removes=tuple(f"#{name}" for name in (*OPEN_ONLY, *left_out)),
    )


def _named(values: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return _CONSTANTS | {f":{name}": value for name, value in values.items()}
