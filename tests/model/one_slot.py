"""One slot of one job, with everything that may go wrong about it.

Two visits at once (one of them may have read a job that has changed since), two executors, the
watch, a user who cancels and one who deletes; processes that die between any two writes, messages
that are lost, and writes that land after whoever made them has given up on the answer.

The slot is due, so time is only what a lease makes of it: it lasts while its executor lives (that
is what leases are for), and ends some time after.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import NamedTuple, TypeVar

from punctual.core.changes import deleted
from punctual.core.dispatch import plan_visit
from punctual.core.execution import Go, decide
from punctual.core.jobs import JobState, Policy
from punctual.core.retry import RetryPolicy
from punctual.core.runs import (
    Cancel,
    Ending,
    Finish,
    Move,
    RefusalKind,
    RequestCancel,
    Retry,
    Run,
    RunState,
    Start,
    give_up,
    permits,
    read_refusal,
    reap,
)
from punctual.core.schedules import At, Schedule
from punctual.core.watching import Reference, Verb, examine
from tests.model.rows import NO_ROW, Numbered, Rows
from tests.support.builders import a_failure, a_job
from tests.support.clock import NINE

T = TypeVar("T")

ALIVE = NINE + timedelta(minutes=1)
DEAD = NINE - timedelta(minutes=1)

EXECUTORS = 2
VISITS = 2
COPIES_MAX = 2
"""Messages, and watch rows, of the one run; more of them make no difference."""

JOB = a_job(
    created_at=NINE,
    schedule=Schedule(rule=At(at=NINE)),
    next_slot=NINE,
    policy=Policy(retry=RetryPolicy(max_attempts=2)),
)
_VISIT = plan_visit(JOB, now=NINE)
assert _VISIT is not None, "the slot is due"
QUEUED = _VISIT.runs[0]
REFERENCE = Reference(QUEUED.key, QUEUED.schedule_revision)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a visit and an executor go about it; anything but the default is broken on purpose."""

    visit: tuple[str, ...] = ("watch", "insert", "send", "claim")
    start_first: bool = True
    """Whether the job is read after the start, not before."""
    watches: bool = True
    permits: Callable[[Move, Run], bool] = permits


class Faults(NamedTuple):
    """How often each may happen. All of them at once are more states than can be explored."""

    visit_dies: int = 1
    executor_dies: int = 1
    message_lost: int = 1
    late_write: int = 1
    stale_visit: int = 1
    cancel: int = 1
    delete: int = 1


class Visit(NamedTuple):
    """A visit, and the number of its steps that are done."""

    done: int


class Look(NamedTuple):
    """The watch, about to do something about the run."""

    verb: Verb


class Executor(NamedTuple):
    """An executor that holds the run's message."""

    owner: int
    at: str
    """What it does next."""
    ends: int = 0
    """The owner it found dead, when it is about to give up."""
    told: bool = False
    """Whether the delete had returned when its attempt started."""


class Late(NamedTuple):
    """A write whose answer nobody waits for any more."""

    what: str
    owner: int


Process = Visit | Look | Executor


class State(NamedTuple):
    """What is stored, what is going on, and what may still go wrong."""

    job: int
    delete_returned: bool
    row: int
    messages: int
    watched: int
    processes: tuple[Process, ...]
    late: tuple[Late, ...]
    faults: Faults
    wrong: str | None = None


class OneSlot:
    """Fills `Model`."""

    def __init__(self, protocol: Protocol | None = None, faults: Faults | None = None) -> None:
        self._protocol = protocol or Protocol()
        self._rows = Rows(permits=self._protocol.permits)
        self._jobs = Numbered(JOB)
        self._queued = self._rows.number(QUEUED)
        self._decision = cache(self._decide)
        self._finding = cache(self._examine)
        self.start = State(0, False, NO_ROW, 0, 0, (), (), faults or Faults())

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """See `Model.steps`."""
        yield from self._begin_visits(state)
        yield from self._begin_looks(state)
        yield from self._deliver(state)
        yield from self._users(state)
        yield from self._land(state)
        for process in set(state.processes):
            match process:
                case Visit():
                    yield from self._visit(state, process)
                case Look():
                    yield from self._look(state, process)
                case Executor():
                    yield from self._execute(state, process)

    def wrong(self, state: State) -> str | None:
        """See `Model.wrong`."""
        if state.wrong is not None:
            return state.wrong
        executors = [p for p in state.processes if isinstance(p, Executor)]
        calling = sum(p.at in {"call", "settle"} for p in executors)
        if calling > 1:
            return "two attempts are live at a time"
        run = self._rows[state.row]
        if calling and run is not None and run.state.terminal:
            return "an outcome was written while an attempt was live"
        if run is None or run.state.terminal or state.watched or not self._protocol.watches:
            return None
        watching = any(
            isinstance(p, Visit) and "watch" in self._protocol.visit[p.done :]
            for p in state.processes
        )
        if not self._due(state) and not watching:
            return "a run without an outcome is neither watched nor due"
        return None

    def settled(self, state: State) -> bool:
        """See `Model.settled`."""
        if state.processes or state.messages or state.late:
            return False
        if state.watched and self._protocol.watches:
            return False
        run = self._rows[state.row]
        if run is None:
            return self._jobs[state.job].state is JobState.DELETED
        return run.state.terminal

    def _due(self, state: State) -> bool:
        return plan_visit(self._jobs[state.job], now=NINE) is not None

    def _begin_visits(self, state: State) -> Iterator[tuple[str, State]]:
        going_on = sum(isinstance(p, Visit) for p in state.processes)
        if not going_on and self._due(state):
            yield "a visit begins", _with(state, Visit(0))
        if going_on < VISITS and state.faults.stale_visit:
            spent = _spend(state, "stale_visit")
            yield "!a visit begins that read the job a while ago", _with(spent, Visit(0))

    def _begin_looks(self, state: State) -> Iterator[tuple[str, State]]:
        looking = any(isinstance(p, Look) for p in state.processes)
        if not self._protocol.watches or not state.watched or looking:
            return
        # The row is due 15 minutes later, and neither a visit nor a late write lives that long.
        order = self._protocol.visit
        between = range(order.index("watch") + 1, order.index("insert") + 1)
        if any(isinstance(p, Visit) and p.done in between for p in state.processes):
            return
        if any(write.what == "insert" for write in state.late):
            return
        verb = self._finding(state.row, state.job)
        repeats = verb is Verb.SEND and (
            state.messages or any(isinstance(p, Executor) for p in state.processes)
        )
        if verb is not Verb.LOOK_AGAIN and not repeats:
            yield f"the watch finds: {verb}", _with(state, Look(verb))

    def _deliver(self, state: State) -> Iterator[tuple[str, State]]:
        if state.messages:
            taken = state._replace(messages=state.messages - 1)
            if sum(isinstance(p, Executor) for p in state.processes) < EXECUTORS:
                first = "start" if self._protocol.start_first else "read before"
                yield "a message is delivered", _with(taken, Executor(self._owner(state), first))
            if state.faults.message_lost:
                yield "!a message is lost", _spend(taken, "message_lost")
        run = self._rows[state.row]
        if run is not None and run.live(NINE):
            alive = {str(p.owner) for p in state.processes if isinstance(p, Executor)}
            if run.owner not in alive:
                ended = self._rows.number(replace(run, lease_until=DEAD))
                yield "the dead executor's lease ends", state._replace(row=ended)

    def _users(self, state: State) -> Iterator[tuple[str, State]]:
        job = self._jobs[state.job]
        if state.faults.delete and job.state is not JobState.DELETED:
            number = self._jobs.number(deleted(job, now=NINE))
            yield "!DELETE is written", _spend(state, "delete")._replace(job=number)
        if job.state is JobState.DELETED and not state.delete_returned:
            yield "DELETE returns", state._replace(delete_returned=True)
        if state.faults.cancel:
            spent = _spend(state, "cancel")
            for move in (
                Cancel(key=QUEUED.key, ending=_ending(RunState.CANCELLED), scheduled_at=NINE),
                RequestCancel(key=QUEUED.key, at=NINE),
            ):
                row = self._rows.moved(state.row, move)
                if row is not None:
                    yield f"!{type(move).__name__}", self._put(spent, row)

    def _land(self, state: State) -> Iterator[tuple[str, State]]:
        for write in set(state.late):
            rest = state._replace(late=_without(state.late, write))
            yield f"a late {write.what} lands", self._written(rest, write)

    def _written(self, state: State, write: Late) -> State:
        if write.what == "insert":
            return state._replace(row=self._queued) if state.row == NO_ROW else state
        move = (
            _start(write.owner)
            if write.what == "start"
            else _finish(write.owner, RunState.SUCCEEDED)
        )
        row = self._rows.moved(state.row, move)
        return state if row is None else self._put(state, row)

    def _visit(self, state: State, visit: Visit) -> Iterator[tuple[str, State]]:
        if state.faults.visit_dies:
            yield "!the visit dies", _spend(_swap(state, visit), "visit_dies")
        step = self._protocol.visit[visit.done]
        last = visit.done + 1 == len(self._protocol.visit)
        done = _swap(state, visit) if last else _swap(state, visit, Visit(visit.done + 1))
        match step:
            case "watch":
                yield "WATCH", done._replace(watched=min(state.watched + 1, COPIES_MAX))
            case "insert":
                yield "INSERT", self._written(done, Late("insert", 0))
                if state.row == NO_ROW and state.faults.late_write:
                    late = _spend(_swap(state, visit), "late_write")
                    yield "!INSERT gets no answer", late._replace(late=(Late("insert", 0),))
            case "send":
                yield "SEND", done._replace(messages=min(state.messages + 1, COPIES_MAX))
            case _ if self._due(state):
                plan = plan_visit(self._jobs[state.job], now=NINE)
                assert plan is not None, "a due job has a plan"
                job = replace(
                    self._jobs[state.job],
                    next_slot=plan.claim.next_slot,
                    ordinal=plan.claim.ordinal,
                    state=plan.claim.state,
                    last_slot=plan.claim.last_slot,
                )
                yield "CLAIM", done._replace(job=self._jobs.number(job))
            case _:
                yield "CLAIM is refused", _swap(state, visit)

    def _look(self, state: State, look: Look) -> Iterator[tuple[str, State]]:
        if state.faults.visit_dies:
            yield "!the watch dies", _spend(_swap(state, look), "visit_dies")
        done = _swap(state, look)
        gone = done._replace(watched=state.watched - 1)
        match look.verb:
            case Verb.DROP:
                yield "the watch drops it", gone
            case Verb.INSERT:
                inserted = self._written(state, Late("insert", 0))
                yield "the watch inserts it", _swap(inserted, look, Look(Verb.SEND))
            case Verb.SEND:
                sent = done._replace(messages=min(state.messages + 1, COPIES_MAX))
                yield "the watch sends it", sent
            case _:
                run = self._rows[state.row]
                row = None
                if run is not None and look.verb is Verb.REAP:
                    row = self._rows.moved(state.row, reap(run, now=NINE))
                elif run is not None and run.owner is not None:
                    row = self._rows.moved(state.row, give_up(run, now=NINE))
                if row is None:
                    yield f"the watch's {look.verb} is refused", done
                else:
                    yield f"the watch's {look.verb}", self._put(gone, row)

    def _execute(self, state: State, executor: Executor) -> Iterator[tuple[str, State]]:
        if state.faults.executor_dies:
            yield "!the executor dies", self._back(_spend(state, "executor_dies"), executor)
        match executor.at:
            case "read before":
                gone = self._jobs[state.job].state is JobState.DELETED
                following = _swap(state, executor, executor._replace(at="start"))
                yield (
                    ("the job is deleted", _swap(state, executor))
                    if gone
                    else ("the job is read", following)
                )
            case "start":
                yield from self._start(state, executor)
            case "read":
                yield self._read(state, executor)
            case "call":
                called = _swap(state, executor, executor._replace(at="settle"))
                wrong = "a call was made by an attempt that began after DELETE returned"
                yield "CALL", called._replace(wrong=wrong) if executor.told else called
            case "settle":
                yield from self._settle(state, executor)
            case "cancelled":
                move = _finish(executor.owner, RunState.CANCELLED)
                yield self._finished(state, executor, move, "FINISH cancelled")
            case _:
                yield self._end(state, executor)

    def _start(self, state: State, executor: Executor) -> Iterator[tuple[str, State]]:
        following = "read" if self._protocol.start_first else "call"
        started = executor._replace(at=following, told=state.delete_returned)
        row = self._rows.moved(state.row, _start(executor.owner))
        if row is not None:
            held = self._put(state, row)
            yield "START", _swap(held, executor, started)
            if state.faults.late_write:
                spent = _spend(state, "late_write")
                yield "!START gets no answer", self._back(self._put(spent, row), executor)
                late = spent._replace(late=(*state.late, Late("start", executor.owner)))
                yield "!START gets no answer yet", self._back(late, executor)
            return
        run = self._rows[state.row]
        refusal = read_refusal(run, now=NINE)
        match refusal.kind:
            case RefusalKind.DONE:
                yield "START is refused: done", _swap(state, executor)
            case RefusalKind.WAIT:
                yield "START is refused: wait", self._back(state, executor)
            case RefusalKind.REAP:
                yield "START is refused: reap", _swap(state, executor, executor._replace(at="reap"))
            case RefusalKind.GIVE_UP:
                assert run is not None, "somebody's attempt is dead"
                assert run.owner is not None, "a running run has an owner"
                ends = executor._replace(at="give up", ends=int(run.owner))
                yield "START is refused: give up", _swap(state, executor, ends)

    def _read(self, state: State, executor: Executor) -> tuple[str, State]:
        decision = self._decision(state.row, state.job)
        following = "call" if decision is Go.CALL else "cancelled"
        return f"the job is read: {following}", _swap(
            state, executor, executor._replace(at=following)
        )

    def _settle(self, state: State, executor: Executor) -> Iterator[tuple[str, State]]:
        succeeded = _finish(executor.owner, RunState.SUCCEEDED)
        yield self._finished(state, executor, succeeded, "FINISH succeeded")
        if self._rows.moved(state.row, succeeded) is not None and state.faults.late_write:
            late = _spend(state, "late_write")._replace(
                late=(*state.late, Late("finish", executor.owner))
            )
            yield "!FINISH gets no answer, and the executor dies", self._back(late, executor)
        retry = Retry(
            key=QUEUED.key,
            owner=str(executor.owner),
            failure=a_failure(finished_at=NINE, after=timedelta(0)),
        )
        row = self._rows.moved(state.row, retry)
        if row is not None:
            yield "RETRY", self._back(self._put(state, row), executor)
        else:
            failed = _finish(executor.owner, RunState.FAILED)
            yield self._finished(state, executor, failed, "FINISH failed")
        run = self._rows[state.row]
        unwanted = self._jobs[state.job].state is JobState.DELETED or (
            run is not None and run.cancel_requested_at is not None
        )
        if unwanted:
            stopped = _swap(state, executor, executor._replace(at="cancelled"))
            yield "the executor sees that nobody wants it", stopped

    def _finished(
        self, state: State, executor: Executor, move: Finish, name: str
    ) -> tuple[str, State]:
        row = self._rows.moved(state.row, move)
        if row is None:
            return f"{name} is refused", self._back(state, executor)
        return name, _swap(self._put(state, row), executor)

    def _end(self, state: State, executor: Executor) -> tuple[str, State]:
        """End what nobody holds, as the executor found it; it may have changed since."""
        run = self._rows[state.row]
        row = None
        if run is not None and executor.at == "reap":
            row = self._rows.moved(state.row, reap(run, now=NINE))
        elif run is not None and run.owner == str(executor.ends):
            row = self._rows.moved(state.row, give_up(run, now=NINE))
        if row is None:
            return f"{executor.at} is refused", self._back(state, executor)
        return executor.at, _swap(self._put(state, row), executor)

    def _put(self, state: State, row: int) -> State:
        before, now = self._rows[state.row], self._rows[row]
        if before is not None and before.state.terminal and before != now:
            return state._replace(row=row, wrong="an outcome changed")
        return state._replace(row=row)

    def _back(self, state: State, executor: Executor) -> State:
        """Let go of an executor whose message comes again."""
        return _swap(state, executor)._replace(messages=min(state.messages + 1, COPIES_MAX))

    def _owner(self, state: State) -> int:
        """Return a token that nothing names; tokens that nothing names any more are used again."""
        used = {write.owner for write in state.late}
        for process in state.processes:
            if isinstance(process, Executor):
                used |= {process.owner, process.ends}
        run = self._rows[state.row]
        if run is not None:
            used |= {int(token) for token in (run.owner, run.finished_by) if token}
        return next(owner for owner in range(1, 99) if owner not in used)

    def _decide(self, row: int, job: int) -> Go | Ending:
        run = self._rows[row]
        # The row as its own start left it: whatever became of it since, the executor has not seen.
        return decide(run or QUEUED, self._jobs[job], now=NINE)

    def _examine(self, row: int, job: int) -> Verb:
        return examine(REFERENCE, self._rows[row], self._jobs[job], now=NINE).verb


def _ending(state: RunState) -> Ending:
    return Ending(state=state, at=NINE)


@cache
def _start(owner: int) -> Start:
    return Start(key=QUEUED.key, owner=str(owner), now=NINE, lease_until=ALIVE)


@cache
def _finish(owner: int, state: RunState) -> Finish:
    return Finish(key=QUEUED.key, owner=str(owner), ending=_ending(state), scheduled_at=NINE)


def _with(state: State, process: Process) -> State:
    return state._replace(processes=_sorted((*state.processes, process)))


def _swap(state: State, process: Process, *following: Process) -> State:
    """Let a process go on as another one, or end."""
    rest = _without(state.processes, process)
    return state._replace(processes=_sorted((*rest, *following)))


def _sorted(processes: tuple[Process, ...]) -> tuple[Process, ...]:
    return tuple(sorted(processes, key=lambda process: (type(process).__name__, process)))


def _without(things: tuple[T, ...], thing: T) -> tuple[T, ...]:
    at = things.index(thing)
    return things[:at] + things[at + 1 :]


def _spend(state: State, fault: str) -> State:
    left = getattr(state.faults, fault) - 1
    return state._replace(faults=state.faults._replace(**{fault: left}))
