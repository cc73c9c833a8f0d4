"""The gate of a job with an overlap rule: one of its runs at a time goes through.

The gate is one small record, changed by one conditional write, and says which run holds it and
which one waits. A run that passed keeps the gate until it has its outcome, over all its retries;
nobody opens it afterwards: whoever comes next reads the holder's row, finds it over, and takes its
place. So no clock is asked, and no executor that died leaves the gate shut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from punctual.core.identity import JobKey, RunKey
from punctual.core.jobs import Overlap
from punctual.core.runs import Ending, Run, RunState

KEPT = timedelta(days=90)
"""A record that was not written for so long may be forgotten: whoever it names is over."""

OVERLAP = "overlap"
"""Why a run was skipped or cancelled for the sake of another one."""

WAIT_MIN = timedelta(seconds=1)
WAIT_MAX = timedelta(seconds=10)
"""Bounds of how long a waiting run sleeps before it tries again: a quarter of what it waited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Which run of a job is through, and which one waits to be."""

    job: JobKey
    version: str | None = None
    """New with every write, so that none is made over another one's; None: nobody wrote yet."""
    holder: RunKey | None = None
    """The run that passed last. Whether it is over, its own row tells."""
    waiting: RunKey | None = None


class Word(StrEnum):
    """What a run is told at the gate."""

    GO = "go"
    WAIT = "wait"
    YIELD = "yield"
    """It does not run: another one does, or did, in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What a run that came to the gate is told, once the gate stands as it leaves it."""

    word: Word
    behind: Run | None = None
    """The run in its way, unless it passes."""
    cancels: bool = False
    """Whether that run is to be cancelled for it."""


def arrive(
    gate: Gate, run: Run, overlap: Overlap, *, rows: Mapping[RunKey, Run]
) -> tuple[Gate, Arrival]:
    """Bring a run that was just started to its job's gate.

    Args:
        gate: As read.
        run: The run, held by the caller.
        overlap: The job's rule, read after the start.
        rows: The runs that the gate names, as read after it; one that is gone is not there.

    Returns:
        The gate as it is to be written, unless it is equal to `gate`, and what holds from then
        on. A run that passes is always to be written, also if it holds the gate already: whoever
        read the gate before and takes the holder for gone is then refused.
    """
    holder, waiting = _open(gate.holder, rows), _open(gate.waiting, rows)
    if holder is None and waiting is not None and _goes_first(waiting, run, overlap):
        gate = replace(gate, holder=waiting.key, waiting=None)
        holder, waiting = waiting, None
    if holder is None:
        return replace(gate, holder=run.key, waiting=None), Arrival(word=Word.GO)
    if holder.key == run.key:
        waits = gate.waiting if gate.waiting != run.key else None
        return replace(gate, waiting=waits), Arrival(word=Word.GO)
    match overlap:
        case Overlap.BUFFER_ONE if waiting is None or waiting.key == run.key:
            return replace(gate, waiting=run.key), Arrival(word=Word.WAIT, behind=holder)
        case Overlap.CANCEL_OTHER if not any(
            other is not None and _order(other) > _order(run) for other in (holder, waiting)
        ):
            arrival = Arrival(word=Word.WAIT, behind=holder, cancels=True)
            return replace(gate, waiting=run.key), arrival
        case _:
            return gate, Arrival(word=Word.YIELD, behind=holder)


def arrive_together(
    gate: Gate, runs: Sequence[Run], overlap: Overlap, *, rows: Mapping[RunKey, Run]
) -> tuple[Gate, Mapping[RunKey, Arrival]]:
    """Bring several runs of one job to its gate, as if one came after the other.

    The earliest comes first; under `cancel_other` the latest does, or it would have the others
    called only to be cancelled.
    """
    rows = {**rows, **{run.key: run for run in runs}}
    arrivals: dict[RunKey, Arrival] = {}
    for run in sorted(runs, key=_order, reverse=overlap is Overlap.CANCEL_OTHER):
        gate, arrivals[run.key] = arrive(gate, run, overlap, rows=rows)
    return gate, arrivals


def ending_of_yielded(run: Run, *, now: datetime) -> Ending:
    """Return the outcome of a run that yields: skipped, or cancelled if it may have been called.

    A run that was called holds the gate until its end. But one that began before its job had the
    rule does not, and of an attempt that died nobody knows whether it came to the gate.
    """
    state = RunState.CANCELLED if run.attempt > 1 else RunState.SKIPPED
    return Ending(state=state, at=now, reason=OVERLAP)


def wait_until(run: Run, *, now: datetime, draw: float) -> datetime:
    """Return when a run that waits tries again: after about a quarter of what it has waited.

    Args:
        run: The run that waits.
        now: When it was told to.
        draw: A number in [0, 1), so that those who wait together do not come together.
    """
    pause = min(max((now - run.scheduled_at) / 4, WAIT_MIN), WAIT_MAX)
    return now + timedelta(milliseconds=round(pause.total_seconds() * (750 + 500 * draw)))


def _open(key: RunKey | None, rows: Mapping[RunKey, Run]) -> Run | None:
    """Return the run that the gate names, while it awaits its outcome."""
    run = rows.get(key) if key is not None else None
    return None if run is None or run.state.terminal else run


def _goes_first(waiting: Run, run: Run, overlap: Overlap) -> bool:
    """Say whether the gate, once free, is for the run that waits and not for `run`."""
    if waiting.key == run.key:
        return False
    match overlap:
        case Overlap.BUFFER_ONE:
            return True
        case Overlap.CANCEL_OTHER:
            return _order(waiting) > _order(run)
        case _:
            return False


def _order(run: Run) -> tuple[int, datetime, str]:
    """Return what sorts the runs of a job: the later one wins under `cancel_other`.

    By their slots and not by their arrival, so that a run which comes back, or comes late, never
    takes a later one's place.
    """
    return run.key.incarnation, run.scheduled_at, run.key.name
