"""What targets that report back do with the run that they work on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from punctual.core.callbacks import (
    Attempt,
    Standing,
    attempt_of,
    beat,
    body_of,
    completed,
    failed,
    heartbeat_of,
    is_told,
    owner_of,
    tenant_in,
)
from punctual.core.calls import CallError
from punctual.core.dispatch import AHEAD_MAX
from punctual.core.errors import Conflict, RunNotFound, StoreUnavailable, Unauthenticated
from punctual.core.execution import is_gone
from punctual.core.identity import parse_run_id
from punctual.core.jobs import Job
from punctual.core.log_lines import lines_until, log_lines
from punctual.core.runs import Ending, Failure, Finish, Move, Retry, Run, RunState, after
from punctual.core.watching import Look, Reference, retry_look
from punctual.ports import (
    Chance,
    Clock,
    JobStore,
    LogStore,
    Outgoing,
    Results,
    RunQueue,
    RunStore,
    WatchList,
)
from punctual.services.looks import note_down


@dataclass(frozen=True, slots=True)
class Reported:
    """An attempt whose end was reported, and the run as that left it."""

    run: Run
    number: int


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who reports: an attempt that is known by its token."""

    run: Run
    owner: str
    attempt: Attempt

    def has_said(self, ending: Ending) -> bool:
        """Say whether the attempt reported this end before, and it stands."""
        finished = self.attempt.standing is Standing.FINISHED
        return finished and is_told(ending, self.run, self.attempt.number)

    def has_failed(self, error: CallError) -> bool:
        """Say whether the attempt reported before that it failed so."""
        if self.attempt.standing is Standing.FINISHED:
            return self.run.error == error
        number = self.attempt.number
        return any(f.attempt == number and f.error == error for f in self.run.failures)

    def must_be_current(self) -> None:
        """Refuse an attempt that is over.

        Raises:
            Conflict: It is.
        """
        if self.attempt.standing is not Standing.CURRENT:
            raise _over()


class Callbacks:
    """What an attempt may do that is known by its token, and by nothing else."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        runs: RunStore,
        logs: LogStore,
        results: Results,
        watch_list: WatchList,
        queue: RunQueue,
        clock: Clock,
        chance: Chance,
        tell: Callable[[Run], None],
    ) -> None:
        """Take the ports.

        Args:
            jobs: Where jobs are read.
            runs: Where runs are moved.
            logs: Where lines are kept.
            results: Where long results lie.
            watch_list: Where runs are noted down that await another attempt.
            queue: Where they are sent to.
            clock: The present.
            chance: Jitter, and names of watch rows.
            tell: Told of each run that a report ended, or that awaits another attempt by it.
        """
        self._jobs = jobs
        self._runs = runs
        self._logs = logs
        self._results = results
        self._watch_list = watch_list
        self._queue = queue
        self._clock = clock
        self._chance = chance
        self._tell = tell

    def complete(self, run_id: str, token: str, *, result: object) -> Reported:
        """Record that the attempt succeeded.

        Reporting the same again changes nothing and succeeds again.

        Args:
            run_id: Of the run.
            token: Of the attempt.
            result: Any JSON; None for no result.

        Raises:
            Unauthenticated: No attempt of the run has this token.
            Conflict: The attempt is over, and did not end so.
            StoreUnavailable: It may be recorded or not.
        """
        caller, body = self._known(run_id, token), body_of(result)
        ending = completed(body, stored=None, now=self._clock.now())
        if caller.has_said(ending):
            return Reported(caller.run, caller.attempt.number)
        caller.must_be_current()
        if body is not None and body.is_long:
            ending = completed(body, stored=self._stored(body.content), now=ending.at)
        return self._report(caller, ending)

    def fail(self, run_id: str, token: str, *, error: CallError, again: bool) -> Reported:
        """Record that the attempt failed; another one follows by the job's policy.

        Reporting the same again changes nothing and succeeds again.

        Args:
            run_id: Of the run.
            token: Of the attempt.
            error: Why it failed.
            again: Whether another attempt may fare better.

        Raises:
            Unauthenticated: No attempt of the run has this token.
            Conflict: The attempt is over, and did not end so.
            StoreUnavailable: It may be recorded or not.
        """
        caller = self._known(run_id, token)
        run, now = caller.run, self._clock.now()
        job = self._job(run)
        unwanted = _why_unwanted(run, job)
        settlement: Ending | Failure
        if unwanted is not None or job is None:
            settlement = Ending(state=RunState.CANCELLED, at=now, reason=unwanted, error=error)
        else:
            policy, draw = job.policy.retry, self._chance.draw()
            settlement = failed(run, error, policy, again=again, now=now, draw=draw)
        if caller.has_failed(error):
            return Reported(run, caller.attempt.number)
        caller.must_be_current()
        return self._report(caller, settlement)

    def heartbeat(self, run_id: str, token: str) -> bool:
        """Take note that the attempt is alive: it may be silent for as long again.

        Returns:
            Whether it is to stop: its run was cancelled, or its job deleted.

        Raises:
            Unauthenticated: No attempt of the run has this token.
            Conflict: The attempt is over.
            StoreUnavailable: It may be noted or not.
        """
        caller = self._known(run_id, token)
        caller.must_be_current()
        run, now = caller.run, self._clock.now()
        job = self._job(run)
        heartbeat = run.heartbeat or self._heartbeat_of(run, job)
        if heartbeat is not None:
            self._move(caller, beat(run, heartbeat=heartbeat, now=now))
        return _why_unwanted(run, job) is not None

    def log(self, run_id: str, token: str, *, texts: Sequence[str]) -> None:
        """Keep lines that the attempt wrote about its work.

        Raises:
            Unauthenticated: No attempt of the run has this token.
            Conflict: Another attempt follows it.
            StoreUnavailable: They may be kept or not.
        """
        caller = self._known(run_id, token)
        if caller.attempt.standing is not Standing.FINISHED:
            caller.must_be_current()
        now = self._clock.now()
        lines = log_lines(texts, at=now, attempt=caller.attempt.number)
        self._logs.add(caller.run.key, lines, expires_at=lines_until(now))

    def _known(self, run_id: str, token: str) -> _Caller:
        """Return who reports.

        Nothing is told to one who is not known: neither which runs there are, nor which tenants.
        """
        tenant = tenant_in(token)
        if tenant is None:
            raise _unknown()
        try:
            key = parse_run_id(tenant, run_id)
        except RunNotFound:
            raise _unknown() from None
        run, owner = self._runs.read([key]).get(key), owner_of(token)
        attempt = None if run is None else attempt_of(run, owner)
        if run is None or attempt is None:
            raise _unknown()
        return _Caller(run, owner, attempt)

    def _job(self, run: Run) -> Job | None:
        return self._jobs.read([run.key.job]).get(run.key.job)

    def _heartbeat_of(self, run: Run, job: Job | None) -> timedelta | None:
        """Return the longest silence of an attempt whose call was not answered yet."""
        if job is None:
            return None
        ref = (job.key, run.content or job.content)
        content = self._jobs.read_contents([ref]).get(ref)
        return None if content is None else heartbeat_of(job.policy, content.target)

    def _stored(self, content: bytes) -> str | None:
        """Put a long result away; one that cannot be is cut off, and costs nobody the outcome."""
        try:
            return self._results.put(content)
        except StoreUnavailable:
            return None

    def _report(self, caller: _Caller, settlement: Ending | Failure) -> Reported:
        """Write how the attempt ended; where another follows: watch, write, send, in this order."""
        run = caller.run
        if isinstance(settlement, Failure):
            self._watch(run, at=retry_look(settlement.retry_at))
        moved = self._move(caller, _move(caller, settlement))
        if not is_told(settlement, moved, caller.attempt.number):
            raise _over()  # it reported something else at the same time
        self._tell(moved)
        if isinstance(settlement, Failure) and _is_near(settlement):
            # A hint: the look finds the run if it gets lost.
            self._queue.send([Outgoing(key=run.key, lane=run.lane, at=settlement.retry_at)])
        return Reported(moved, caller.attempt.number)

    def _watch(self, run: Run, *, at: datetime) -> None:
        look = Look(reference=Reference(run.key, run.schedule_revision), at=at)
        if not note_down([look], watch_list=self._watch_list, chance=self._chance):
            raise StoreUnavailable("the store gave no answer")

    def _move(self, caller: _Caller, move: Move) -> Run:
        """Carry out a move of the attempt's run, and return the run as it is then."""
        (moved,) = self._runs.move([move])
        if moved.failed:
            raise StoreUnavailable("the store gave no answer")
        run = moved.run or after(move, caller.run)
        if not moved.applied or run is None:
            raise _over()
        return run


def _move(caller: _Caller, settlement: Ending | Failure) -> Move:
    run = caller.run
    match settlement:
        case Ending():
            return Finish(
                key=run.key,
                owner=caller.owner,
                ending=settlement,
                scheduled_at=run.scheduled_at,
            )
        case Failure():
            return Retry(key=run.key, owner=caller.owner, failure=settlement)


def _is_near(failure: Failure) -> bool:
    """Say whether the queue can carry the run until its next attempt."""
    return failure.retry_at <= failure.finished_at + AHEAD_MAX


def _why_unwanted(run: Run, job: Job | None) -> str | None:
    """Return why a run is to stop; None while it is wanted."""
    if run.cancel_requested_at is not None:
        return "cancelled"
    return "deleted" if is_gone(job, run.key.incarnation) else None


def _unknown() -> Unauthenticated:
    return Unauthenticated("the token is that of no attempt of this run")


def _over() -> Conflict:
    return Conflict("the attempt is over: it has its outcome, or another one follows it")
