"""What became of a drill, from what the target saw and what the API tells, and nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from punctual.core.identity import JobKey, RunKey
from tests.kills.calls import Call
from tests.support.host import OPEN

NO_TIME = timedelta(0)

NOTICE = timedelta(seconds=1)
"""A stop may begin this much after the start that it outlives."""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A process that stood still."""

    since: datetime
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that the judge is shown."""

    slots: Mapping[str, set[datetime]]
    """What each job owed, by its id."""
    at_most_once: set[str]
    """The jobs whose runs are never called twice."""
    calls: Sequence[Call]
    runs: Sequence[Mapping[str, Any]]
    """Every run as the API tells it in the end."""
    seen: Sequence[Mapping[str, Any]] = ()
    """Runs that had their outcome when they were looked at before."""
    stops: Sequence[Stop] = ()
    lease_least: timedelta | None = None
    """The shortest lease that a start gives; None where no one takes over while a process lives."""


@dataclass(kw_only=True)
class Figures:
    """The verdict in numbers; `complaints` says what is wrong, a sentence each."""

    slots: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    """Slots without an outcome."""
    doubled: int = 0
    """Slots with two outcomes, and outcomes without a slot."""
    calls: int = 0
    repeated_calls: int = 0
    keys_differing: int = 0
    """Runs whose calls did not all carry the one name of the run."""
    stale_calls: int = 0
    """Calls that a process made which had stood still for longer than its lease."""
    cut_calls: int = 0
    """Calls whose caller died, or stood still for too long."""
    longest_recovery_seconds: float = 0
    """From a cut call to the next call of its run, at most."""
    latest_start_seconds: float = 0
    """From a slot to its run's first call, at most."""
    complaints: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return them for JSON."""
        return asdict(self)


def judge(evidence: Evidence) -> Figures:
    """Weigh the evidence."""
    owed = {
        _run_id(job_id, slot): (job_id, slot)
        for job_id, slots in evidence.slots.items()
        for slot in slots
    }
    figures = Figures(slots=len(owed), calls=len(evidence.calls))
    runs = {run["id"]: run for run in evidence.runs}
    _count_outcomes(evidence, figures, owed=set(owed), runs=runs)

    by_slot: dict[tuple[str, datetime], list[Call]] = {}
    for call in sorted(evidence.calls, key=lambda call: call.arrived):
        by_slot.setdefault((call.job_id, call.slot), []).append(call)
    by_number = {call.number: call for call in evidence.calls}
    called = {(job_id, slot): run_id for run_id, (job_id, slot) in owed.items()}
    for place, calls in by_slot.items():
        run_id = called.get(place)
        if run_id is None:
            figures.complaints.append(f"{place} was called and is no slot")
            continue
        if any(call.keys != {run_id} for call in calls):
            figures.keys_differing += 1
            figures.complaints.append(f"{run_id} was called by another name")
        figures.complaints += _of_one_run(run_id, runs.get(run_id), calls, evidence, figures)
    for run_id, run in runs.items():
        figures.complaints += _of_result(run_id, run, by_number)
    return figures


def _run_id(job_id: str, slot: datetime) -> str:
    return RunKey.of_slot(JobKey("", job_id), incarnation=1, slot=slot).run_id


def _count_outcomes(
    evidence: Evidence,
    figures: Figures,
    *,
    owed: set[str],
    runs: Mapping[str, Mapping[str, Any]],
) -> None:
    ended = {run_id for run_id, run in runs.items() if run["state"] not in OPEN}
    for run_id in sorted(owed - ended):
        state = runs[run_id]["state"] if run_id in runs else "no run"
        figures.complaints.append(f"{run_id} has no outcome: {state}")
    changed = {run["id"] for run in evidence.seen if runs.get(run["id"]) != run}
    for run_id in sorted(changed):
        figures.complaints.append(f"the outcome of {run_id} changed")
    extra = ended - owed
    for run_id in sorted(extra):
        figures.complaints.append(f"{run_id} has an outcome and is no slot")
    twice = len(evidence.runs) - len(runs)
    if twice:
        figures.complaints.append(f"{twice} runs are listed twice")
    figures.lost = len(owed - ended)
    figures.doubled = len(changed) + len(extra) + twice
    for run_id in ended:
        state = runs[run_id]["state"]
        figures.outcomes[state] = figures.outcomes.get(state, 0) + 1


def _of_one_run(
    run_id: str,
    run: Mapping[str, Any] | None,
    calls: Sequence[Call],
    evidence: Evidence,
    figures: Figures,
) -> Iterator[str]:
    """Yield what is wrong with the calls of one run, and add to the figures."""
    first = calls[0]
    figures.repeated_calls += len(calls) - 1
    figures.cut_calls += sum(call.cut for call in calls)
    late = (first.arrived - first.slot).total_seconds()
    figures.latest_start_seconds = max(figures.latest_start_seconds, late)
    if late < 0:
        yield f"{run_id} was called {-late} s before its slot"
    if len(calls) > 1 and first.job_id in evidence.at_most_once:
        yield f"{run_id} was called {len(calls)} times, and once at most was promised"

    starts = {each["number"]: each["started_at"] for each in run["attempts"]} if run else {}
    stale = {
        call.number
        for call in calls
        if call.attempt in starts
        and _outlived(datetime.fromisoformat(starts[call.attempt]), call.arrived, evidence)
    }
    figures.stale_calls += len(stale)
    for earlier, later in pairwise(call for call in calls if call.number not in stale):
        if later.attempt <= earlier.attempt:
            yield f"{run_id}: attempt {later.attempt} came after attempt {earlier.attempt}"
        if earlier.ended is None or later.arrived < earlier.ended:
            yield f"{run_id}: attempts {earlier.attempt} and {later.attempt} went on together"
        elif earlier.cut:
            recovery = (later.arrived - earlier.ended).total_seconds()
            figures.longest_recovery_seconds = max(figures.longest_recovery_seconds, recovery)
    numbers = [call.attempt for call in calls]
    if len(set(numbers)) < len(numbers):
        yield f"{run_id}: two calls were of one attempt: {numbers}"


def _outlived(started: datetime, arrived: datetime, evidence: Evidence) -> bool:
    """Say whether a stop between an attempt's start and its call was longer than its lease."""
    least = evidence.lease_least
    return least is not None and any(
        min(stop.until, arrived) - max(stop.since, started) >= max(least - NOTICE, NO_TIME)
        for stop in evidence.stops
    )


def _of_result(run_id: str, run: Mapping[str, Any], by_number: Mapping[int, Call]) -> Iterator[str]:
    """Yield what is wrong with the result of a run: it is that of its own last attempt."""
    if run["state"] == "succeeded" and run["result"] is None:
        yield f"{run_id} succeeded without a result"
    if run["result"] is None or run["state"] in OPEN:
        return
    call = by_number.get(int(run["result"]["body"]))
    if call is None or call.keys != {run_id}:
        yield f"{run_id} has a result that no call of its own had"
    elif call.attempt != run["attempt"]:
        yield f"{run_id} has the result of attempt {call.attempt} of {run['attempt']}"
