"""What happened to a run, read back from its row: its attempts, and a log that people can read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from punctual.core.calls import CallError, ErrorType
from punctual.core.runs import LOST, Run, RunState, silence

UNSTARTED = frozenset({RunState.MISSED, RunState.SKIPPED})
"""Outcomes that an executor writes instead of a call: its start is no attempt that a user made."""

DIED = "died"
"""How an attempt ended whose executor wrote no answer: the target may have been called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at a run."""

    number: int
    started_at: datetime
    finished_at: datetime | None = None
    """None while it goes on, and for one that died: nobody saw when."""
    outcome: str | None = None
    """`succeeded`, `failed`, `timed_out`, `cancelled`, `unknown` or `died`; None: it goes on."""
    error: CallError | None = None
    retry_at: datetime | None = None
    """When the next attempt may start, where this one's failure said so."""


class Level(StrEnum):
    """How much a line matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One thing that happened to a run."""

    at: datetime
    attempt: int
    """Number of the attempt it happened in or after; 0 before the first."""
    level: Level
    message: str


def attempts_of(run: Run) -> Sequence[Attempt]:
    """Return the attempts at a run in order, those that died included."""
    if run.state in UNSTARTED:
        return ()
    failures = {failure.attempt: failure for failure in run.failures}
    attempts: list[Attempt] = []
    for number, started_at in enumerate(run.starts, start=1):
        failure = failures.get(number)
        if failure is not None:
            attempts.append(
                Attempt(
                    number=number,
                    started_at=started_at,
                    finished_at=failure.finished_at,
                    outcome=_outcome_of(failure.error),
                    error=failure.error,
                    retry_at=failure.retry_at,
                )
            )
        elif number < len(run.starts):
            attempts.append(_dead(run, number, started_at))
        else:
            attempts.append(_newest(run, number, started_at))
    return attempts


def _newest(run: Run, number: int, started_at: datetime) -> Attempt:
    if not run.state.terminal:
        return Attempt(number=number, started_at=started_at)
    if run.finished_by is None:  # ended by someone who found it dead
        return _dead(run, number, started_at)
    return Attempt(
        number=number,
        started_at=started_at,
        finished_at=run.finished_at,
        outcome=run.state.value,
        error=run.error,
    )


def _dead(run: Run, number: int, started_at: datetime) -> Attempt:
    """Return an attempt that nobody ended: its executor died, or its target fell silent."""
    heartbeat = run.marks[number - 1].heartbeat if number <= len(run.marks) else None
    if heartbeat is None:
        return Attempt(number=number, started_at=started_at, outcome=DIED, error=LOST)
    error = silence(heartbeat)
    return Attempt(number=number, started_at=started_at, outcome=_outcome_of(error), error=error)


def _outcome_of(error: CallError) -> str:
    timed_out = error.type == ErrorType.TIMEOUT
    return (RunState.TIMED_OUT if timed_out else RunState.FAILED).value


def timeline(run: Run) -> Sequence[LogLine]:
    """Tell the story of a run, oldest line first."""
    lines = [*_attempt_lines(run), *_end_lines(run)]
    return sorted(lines, key=lambda line: line.at)


def _attempt_lines(run: Run) -> Iterator[LogLine]:
    attempts = attempts_of(run)
    for attempt, following in zip(attempts, [*attempts[1:], None], strict=False):
        number = attempt.number
        yield LogLine(
            at=attempt.started_at, attempt=number, level=Level.INFO, message=_sent(run, attempt)
        )
        if attempt.retry_at is not None and attempt.finished_at is not None:
            wait = (attempt.retry_at - attempt.finished_at).total_seconds()
            yield LogLine(
                at=attempt.finished_at,
                attempt=number,
                level=Level.WARNING,
                message=f"{_told(attempt.error)}; tried again in {wait:g} s",
            )
        elif attempt.outcome is not None and attempt.finished_at is None:
            ended_at = following.started_at if following else run.finished_at
            yield LogLine(
                at=ended_at or attempt.started_at,
                attempt=number,
                level=Level.WARNING,
                message=(
                    f"attempt {number} died without an answer"
                    if attempt.outcome == DIED
                    else f"attempt {number}: {_told(attempt.error)}"
                ),
            )


def _sent(run: Run, attempt: Attempt) -> str:
    if attempt.number > 1:
        return f"attempt {attempt.number} started"
    late = (attempt.started_at - run.due_at).total_seconds()
    return f"attempt 1 started {late:g} s after its slot"


def _end_lines(run: Run) -> Iterator[LogLine]:
    number = 0 if run.state in UNSTARTED else run.attempt
    if run.cancel_requested_at is not None:
        yield LogLine(
            at=run.cancel_requested_at,
            attempt=number,
            level=Level.INFO,
            message="asked to stop",
        )
    if run.finished_at is not None:
        yield LogLine(
            at=run.finished_at, attempt=number, level=_level_of(run.state), message=_ended(run)
        )


def _ended(run: Run) -> str:
    words = run.state.value.replace("_", " ")
    if run.state is RunState.SUCCEEDED and run.result is not None:
        return f"{words}: status {run.result.status_code}, {run.result.body_bytes} bytes"
    if run.error is not None:
        return f"{words}: {_told(run.error)}"
    return f"{words}: {run.reason}" if run.reason and run.reason != words else words


def _told(error: CallError | None) -> str:
    return "failed" if error is None else f"{error.message} ({error.type})"


def _level_of(state: RunState) -> Level:
    match state:
        case RunState.SUCCEEDED | RunState.CANCELLED:
            return Level.INFO
        case RunState.MISSED | RunState.SKIPPED:
            return Level.WARNING
        case _:
            return Level.ERROR
