"""Let runs that were started into the limits that their jobs share, and out again."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from punctual.core.execution import Postponed
from punctual.core.gates import wait_until
from punctual.core.identity import RunKey
from punctual.core.jobs import Job
from punctual.core.limits import (
    CONCURRENT_MAX,
    Entered,
    Full,
    LimitKey,
    Token,
    Usage,
    enter,
    leave,
    without_dead,
)
from punctual.core.runs import Run
from punctual.ports import Chance, Clock, GateStore, RunStore
from punctual.services.records import put_surely

TRIES = 8
"""How often a record is read and written that others write all the time."""

CROWDED = timedelta(seconds=1)
"""How long a run waits whose record was written by others at every try."""


class Limits:
    """Counts who is in, and when the next start may be."""

    def __init__(self, *, gates: GateStore, runs: RunStore, clock: Clock, chance: Chance) -> None:
        self._gates = gates
        self._runs = runs
        self._clock = clock
        self._chance = chance

    def enter(self, attempts: Sequence[tuple[Run, Job]]) -> Mapping[RunKey, datetime | Postponed]:
        """Let runs, all of jobs with limits, in: each into all of its limits, or into none.

        Returns:
            When each may be called, or how long it waits.

        Raises:
            StoreUnavailable: There was no answer; some of them may be in.
        """
        told: dict[RunKey, datetime | Postponed] = {}
        waiting = sorted(attempts, key=lambda attempt: (attempt[0].scheduled_at, attempt[0].key))
        for _ in range(TRIES):
            if not waiting:
                break
            lost = self._enter(waiting, told)
            waiting = [(run, job) for run, job in waiting if run.key in lost]
        retry_at = self._clock.now() + CROWDED
        for run, job in waiting:
            reason = f"limit: {job.policy.limits[0].key}"
            told[run.key] = Postponed(retry_at=retry_at, reason=reason)
        return told

    def leave(self, attempts: Iterable[tuple[Run, Job]]) -> None:
        """Strike off attempts, all of jobs with limits.

        Whoever is not struck off here is once somebody needs the room, if the attempt is over.

        Raises:
            StoreUnavailable: There was no answer.
        """
        tokens: dict[LimitKey, list[Token]] = {}
        for run, job in attempts:
            for key in _keys(job):
                tokens.setdefault(key, []).append(_token(run))
        for _ in range(TRIES):
            usages = self._gates.usages(list(tokens)) if tokens else {}
            left = {key: leave(usage, tokens[key]) for key, usage in usages.items()}
            changed = [usage for key, usage in left.items() if usage != usages[key]]
            stood = put_surely(changed, gates=self._gates, chance=self._chance)
            tokens = {usage.key: tokens[usage.key] for usage in changed if usage not in stood}

    def _enter(
        self,
        attempts: Sequence[tuple[Run, Job]],
        told: dict[RunKey, datetime | Postponed],
    ) -> set[RunKey]:
        """Try once; return the runs of which nothing holds, since others wrote at the same time."""
        seen = self._usages(attempts)
        usages = dict(seen)
        now = self._clock.now()
        answers = {run.key: _try(run, job, usages, now=now) for run, job in attempts}
        changed = [usage for key, usage in usages.items() if usage != seen[key]]
        stood = put_surely(changed, gates=self._gates, chance=self._chance)
        lost = {usage.key for usage in changed if usage not in stood}
        again = {run.key for run, job in attempts if not lost.isdisjoint(_keys(job))}
        for run, _ in attempts:
            if run.key not in again:
                told[run.key] = self._verdict(run, answers[run.key], now=now)
        if stood:
            # Into one of its two limits only: it would keep others out and not run itself.
            self.leave([(run, job) for run, job in attempts if run.key in again])
        return again

    def _usages(self, attempts: Sequence[tuple[Run, Job]]) -> Mapping[LimitKey, Usage]:
        """Read who is in; where there might be no room, without those whose attempt is over."""
        wanted: dict[LimitKey, int] = {}
        for _, job in attempts:
            for key in _keys(job):
                wanted[key] = wanted.get(key, 0) + 1
        usages = self._gates.usages(list(wanted))
        full = [
            usage
            for key, usage in usages.items()
            if len(usage.holders) + wanted[key] > _least_room(key, attempts)
        ]
        holders = {token.run for usage in full for token in usage.holders}
        if not holders:
            return usages
        rows = self._runs.read(sorted(holders))
        return {**usages, **{usage.key: without_dead(usage, rows) for usage in full}}

    def _verdict(self, run: Run, answer: Entered | Full, *, now: datetime) -> datetime | Postponed:
        if isinstance(answer, Entered):
            return answer.start_at
        retry_at = wait_until(run, now=now, draw=self._chance.draw())
        if answer.until is not None:
            retry_at = max(retry_at, answer.until)
        return Postponed(retry_at=retry_at, reason=f"limit: {answer.key}")


def _try(run: Run, job: Job, usages: dict[LimitKey, Usage], *, now: datetime) -> Entered | Full:
    """Let one attempt in, and its token into `usages`, if there is room in all of its limits."""
    by_key = {key.key: usages[key] for key in _keys(job)}
    answer = enter(job.policy.limits, by_key, _token(run), now=now)
    if isinstance(answer, Entered):
        usages |= {usage.key: usage for usage in answer.usages}
    return answer


def _keys(job: Job) -> list[LimitKey]:
    return [LimitKey(job.key.tenant, limit.key) for limit in job.policy.limits]


def _token(run: Run) -> Token:
    assert run.owner is not None, "a started run has an owner"
    return Token(run.key, run.owner)


def _least_room(key: LimitKey, attempts: Sequence[tuple[Run, Job]]) -> int:
    """Return how many the strictest of the jobs lets in under a key."""
    asked = (
        limit.max_concurrent
        for _, job in attempts
        for limit in job.policy.limits
        if (job.key.tenant, limit.key) == (key.tenant, key.key)
    )
    return min((most for most in asked if most is not None), default=CONCURRENT_MAX)
