"""Several slots of one job, handed over together, while its user changes, pauses or deletes it.

Time moves in minutes, and a slot is one minute after the other. Visits may have read a job that was
changed since; each may die half-way, and so may an executor, the watch and a change by the API.
Messages may be lost. At the end an oracle that knows only what users did says which slots had to
run, which must not have, and where either is right.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple, TypeVar

from punctual.core.changes import (
    JobSpec,
    created,
    deleted,
    parting,
    paused,
    rescheduled,
    resumed,
)
from punctual.core.dispatch import Visit as Plan
from punctual.core.dispatch import plan_visit, queued_run
from punctual.core.execution import Go, decide, handed_over_anew, is_gone
from punctual.core.identity import RunKey
from punctual.core.jobs import Job, JobState, Policy
from punctual.core.runs import Ending, Finish, Run, RunState, Start, Void, VoidQueued
from punctual.core.schedules import Every, Schedule
from punctual.core.watching import Finding, Reference, Verb, examine
from tests.model.rows import NO_ROW, Numbered, Rows
from tests.support.builders import a_content, a_job, a_job_key
from tests.support.clock import NINE

T = TypeVar("T")

MINUTE = timedelta(minutes=1)
NEVER = 99

COPIES_MAX = 2
"""Watch rows that name one run; more of them make no difference."""

ALIVE = NINE + timedelta(days=1)
DEAD = NINE - MINUTE


def at(minute: int) -> datetime:
    """Return the instant of a minute of the model."""
    return NINE + minute * MINUTE


def every_minute(last: int, *, without: tuple[int, ...] = ()) -> Schedule:
    """Return the schedule of the minutes from 1 to `last`, but for some."""
    return Schedule(
        rule=Every(every=MINUTE, anchor=at(1)),
        start_at=at(1),
        end_at=at(last),
        exclude=tuple(at(minute) for minute in without),
    )


@dataclass(frozen=True, kw_only=True)
class Story:
    """What users do, in this order of schedules, and how often each fault may happen."""

    slots: int = 2
    without: tuple[tuple[int, ...], ...] = ((),)
    """For the first schedule and each edit: the minutes that are no slots."""
    pauses: int = 0
    re_creates: bool = False
    deaths: int = 0
    losses: int = 0
    stale_visits: bool = True
    """Whether a visit may read the job as it was before its last change."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The decisions that the production code makes; others are broken on purpose."""

    decide: Callable[..., Go | Ending] = decide
    examine: Callable[..., Finding] = examine
    rescheduled: Callable[..., Job] = rescheduled
    resumed: Callable[..., Job] = resumed
    created: Callable[..., Job] = created
    handed_over_anew: Callable[..., Run | None] = handed_over_anew
    void_clears_watch: bool = False


class Visit(NamedTuple):
    """A visit that read the job as number `job` at minute `now`, and how many steps are done."""

    done: int
    job: int
    now: int


class Look(NamedTuple):
    """The watch, about to do something about a reference."""

    verb: Verb
    noted: tuple[int, int]


class Executor(NamedTuple):
    """An executor that holds the message of run number `run`."""

    run: int
    owner: int
    next: str
    told: bool = False
    """Whether the run's life of the job was over, and known to be, when its attempt started."""
    row: int = NO_ROW
    """Of a run that was taken back: its row as it was held, and then the one that is owed."""


class Edit(NamedTuple):
    """A change of the slots by the API: `job` as it read it, at minute `now`."""

    step: str
    job: int
    now: int
    called: int


Process = Visit | Look | Executor | Edit


class State(NamedTuple):
    """What is stored, what is going on, and what users were told."""

    now: int
    job: int
    before: int
    """The job before its last change, as a lagging index still shows it; -1 for none."""
    rows: tuple[int, ...]
    messages: tuple[int, ...]
    watched: tuple[tuple[int, int], ...]
    """Run and schedule revision; so many watch rows name it."""
    processes: tuple[Process, ...]
    edits: int
    pauses: int
    deaths: int
    losses: int
    deletes: int
    history: tuple[tuple[str, int, int], ...] = ()
    """What users did: its name, when it was called or took over, and when it was answered."""
    wrong: str | None = None


@dataclass
class ManySlots:
    """Fills `Model`."""

    story: Story
    protocol: Protocol = field(default_factory=Protocol)

    def __post_init__(self) -> None:
        self._schedules = [
            every_minute(self.story.slots, without=without) for without in self.story.without
        ]
        self._spec = JobSpec(schedule=self._schedules[0], policy=Policy(), content=a_content())
        job = a_job(
            created_at=NINE,
            schedule=self._schedules[0],
            next_slot=min(at(m) for m in self._minutes(0)),
        )
        self._jobs = Numbered(job)
        self._rows = Rows()
        self._keys = [
            RunKey.of_slot(a_job_key(), incarnation=life, slot=at(minute))
            for life in range(1, 3 if self.story.re_creates else 2)
            for minute in range(1, self.story.slots + 1)
        ]
        self._plan = cache(self._plan_of)
        self._decision = cache(self._decide)
        self.start = State(
            now=0,
            job=0,
            before=-1,
            rows=(NO_ROW,) * len(self._keys),
            messages=(),
            watched=(),
            processes=(),
            edits=len(self._schedules) - 1,
            pauses=self.story.pauses,
            deaths=self.story.deaths,
            losses=self.story.losses,
            deletes=int(self.story.re_creates),
        )

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """See `Model.steps`."""
        if state.now < self.story.slots:
            yield f"it is minute {state.now + 1}", state._replace(now=state.now + 1)
        yield from self._begin_visits(state)
        yield from self._begin_looks(state)
        yield from self._deliver(state)
        yield from self._users(state)
        for process in set(state.processes):
            if state.deaths:
                yield f"!a {type(process).__name__.lower()} dies", self._die(state, process)
            match process:
                case Visit():
                    yield from self._visit(state, process)
                case Look():
                    yield self._look(state, process)
                case Executor():
                    yield self._execute(state, process)
                case Edit():
                    yield self._edit(state, process)

    def wrong(self, state: State) -> str | None:
        """See `Model.wrong`."""
        if state.wrong is not None:
            return state.wrong
        return self._judge(state) if self.settled(state) else None

    def settled(self, state: State) -> bool:
        """See `Model.settled`."""
        job = self._jobs[state.job]
        return (
            state.now == self.story.slots
            and not state.processes
            and not state.messages
            and not state.watched
            and job.state is not JobState.PAUSED
            and self._plan(state.job, state.now) is None
        )

    # What is in force.

    def _minutes(self, schedule: int) -> set[int]:
        return set(range(1, self.story.slots + 1)) - set(self.story.without[schedule])

    def _slot(self, run: int) -> int:
        return run % self.story.slots + 1

    def _number(self, job: Job) -> int:
        return self._jobs.number(replace(job, updated_at=NINE))

    def _plan_of(self, job: int, now: int) -> Plan | None:
        return plan_visit(self._jobs[job], now=at(now))

    def _decide(self, row: int, job: int, now: int) -> Go | Ending:
        run = self._rows[row]
        assert run is not None, "a started run has a row"
        return self.protocol.decide(run, self._jobs[job], now=at(now))

    # Visits: watch, rows, send, claim.

    def _begin_visits(self, state: State) -> Iterator[tuple[str, State]]:
        if any(isinstance(p, Visit) for p in state.processes):
            return
        if self._plan(state.job, state.now) is not None:
            yield "a visit begins", _with(state, Visit(0, state.job, state.now))
        if not self.story.stale_visits or state.before < 0:
            return
        if self._plan(state.before, state.now) is not None:
            stale = _with(state, Visit(0, state.before, state.now))
            yield "!a visit begins that reads a stale job", stale

    def _visit(self, state: State, visit: Visit) -> Iterator[tuple[str, State]]:
        plan = self._plan(visit.job, visit.now)
        assert plan is not None, "a visit has something to hand over"
        runs = [(self._keys.index(run.key), run) for run in plan.runs]
        following = _swap(state, visit, visit._replace(done=visit.done + 1))
        match visit.done:
            case 0:
                noted = [(number, run.schedule_revision) for number, run in runs]
                yield "WATCH", _note(following, noted)
            case 1:
                for count in range(1, len(runs)) if state.deaths else ():
                    part = self._insert(_swap(state, visit), runs[:count])
                    yield "!INSERT of some, the visit dies", _spend(part, "deaths")
                yield "INSERT", self._insert(following, runs)
            case 2:
                for count in range(1, len(runs)) if state.deaths else ():
                    part = _send(_swap(state, visit), [number for number, _ in runs[:count]])
                    yield "!SEND of some, the visit dies", _spend(part, "deaths")
                yield "SEND", _send(following, [number for number, _ in runs])
            case _:
                yield self._claim(_swap(state, visit), plan)

    def _insert(self, state: State, runs: list[tuple[int, Run]]) -> State:
        rows = list(state.rows)
        for number, run in runs:
            row = self._rows[rows[number]]
            older = (
                row is not None
                and row.state is RunState.QUEUED
                and row.schedule_revision < run.schedule_revision
            )
            if row is None or older:
                rows[number] = self._rows.number(run)
        return state._replace(rows=tuple(rows))

    def _claim(self, state: State, plan: Plan) -> tuple[str, State]:
        job, claim = self._jobs[state.job], plan.claim
        if not claim.holds_for(job):
            return "CLAIM is refused", state
        moved = replace(
            job,
            next_slot=claim.next_slot,
            ordinal=claim.ordinal,
            state=claim.state,
            last_slot=claim.last_slot,
        )
        return "CLAIM", state._replace(job=self._number(moved))

    # The watch: a row is due after its slot, and never within its own visit.

    def _begin_looks(self, state: State) -> Iterator[tuple[str, State]]:
        inserting = any(isinstance(p, Visit) and p.done == 1 for p in state.processes)
        if inserting or any(isinstance(p, Look) for p in state.processes):
            return
        for number, revision in set(state.watched):
            if self._slot(number) > state.now:
                continue
            run = self._rows[state.rows[number]]
            finding = self.protocol.examine(
                Reference(self._keys[number], revision),
                run,
                self._jobs[state.job] if run is None else None,
                now=at(state.now),
            )
            repeats = finding.verb is Verb.SEND and number in state.messages
            if finding.verb is not Verb.LOOK_AGAIN and not repeats:
                look = Look(finding.verb, (number, revision))
                yield f"the watch finds {self._name(number)}: {finding.verb}", _with(state, look)

    def _look(self, state: State, look: Look) -> tuple[str, State]:
        number, revision = look.noted
        done = _swap(state, look)
        if look.verb is Verb.DROP:
            watched = state.watched
            if look.noted in watched:
                done = done._replace(watched=_without(watched, look.noted))
            return f"the watch drops {self._name(number)}", done
        if look.verb is Verb.INSERT:
            job = self._jobs[state.job]
            slot = at(self._slot(number))
            owed = replace(
                queued_run(job, slot, schedule_revision=revision), key=self._keys[number]
            )
            done = self._insert(done, [(number, owed)])
        return f"the watch sends {self._name(number)}", _send(done, [number])

    # Executors: start, read the job, call, finish.

    def _deliver(self, state: State) -> Iterator[tuple[str, State]]:
        for number in state.messages:
            taken = state._replace(messages=_without(state.messages, number))
            if state.losses:
                yield f"!the message of {self._name(number)} is lost", _spend(taken, "losses")
            busy = any(isinstance(p, Executor) for p in state.processes)
            if self._slot(number) <= state.now and not busy:
                gone = is_gone(self._jobs[state.job], self._keys[number].incarnation)
                executor = Executor(number, self._owner(state), "start", told=gone)
                yield f"{self._name(number)} is delivered", _with(taken, executor)
        for number, row in enumerate(state.rows):
            run = self._rows[row]
            if run is not None and run.state is RunState.RUNNING and run.lease_until == ALIVE:
                holders = {str(p.owner) for p in state.processes if isinstance(p, Executor)}
                if run.owner not in holders:
                    ended = self._rows.number(replace(run, lease_until=DEAD))
                    yield "a dead executor's lease ends", self._put(state, number, ended)

    def _execute(self, state: State, executor: Executor) -> tuple[str, State]:
        number, owner = executor.run, str(executor.owner)
        key, slot, name = self._keys[number], at(self._slot(number)), self._name(number)
        row = state.rows[number]
        if executor.next == "start":
            start = Start(key=key, owner=owner, now=at(state.now), lease_until=ALIVE)
            held = self._rows.moved(row, start)
            if held is not None:
                following = _swap(state, executor, executor._replace(next="read"))
                return f"START of {name}", self._put(following, number, held)
            run = self._rows[row]
            if run is None or run.state.terminal:
                return f"START of {name} is refused: done", _swap(state, executor)
            return f"START of {name} is refused: wait", self._back(state, executor)
        if executor.next == "read":
            decision = self._decision(row, state.job, state.now)
            way = decision.state.value if isinstance(decision, Ending) else decision.value
            following = _swap(state, executor, executor._replace(next=way))
            if decision is Go.CALL and executor.told:
                wrong = "a call was made by an attempt that began after DELETE returned"
                following = following._replace(wrong=wrong)
            return f"the job is read for {name}: {way}", following
        if executor.next == "void":
            left = self._rows.moved(row, Void(key=key, owner=owner))
            assert left is not None, "nobody takes over from an executor that lives"
            if self.protocol.void_clears_watch:
                watched = tuple(noted for noted in state.watched if noted[0] != number)
                state = state._replace(watched=watched)
            following = _swap(state, executor, executor._replace(next="anew", row=row))
            return f"void of {name} is written", self._put(following, number, left)
        if executor.next == "anew":
            return self._look_once_more(state, executor)
        if executor.next == "insert":
            owed = self._rows[executor.row]
            assert owed is not None, "a row is owed"
            done = self._insert(state, [(number, owed)])
            return f"{name} is handed over anew", self._back(done, executor)
        ends_as = RunState.SUCCEEDED if executor.next == "call" else RunState(executor.next)
        ending = Ending(state=ends_as, at=slot)
        finish = Finish(key=key, owner=owner, ending=ending, scheduled_at=slot)
        left = self._rows.moved(row, finish)
        assert left is not None, "nobody takes over from an executor that lives"
        return f"{executor.next} of {name} is written", self._put(
            _swap(state, executor), number, left
        )

    def _look_once_more(self, state: State, executor: Executor) -> tuple[str, State]:
        """Read the job after a VOID: the slot may be owed by now, and nobody else on the way."""
        name, taken_back = self._name(executor.run), self._rows[executor.row]
        owed = self.protocol.handed_over_anew(taken_back, self._jobs[state.job])
        if owed is None:
            return f"nothing is owed for {name}", _swap(state, executor)
        following = executor._replace(next="insert", row=self._rows.number(owed))
        return f"a run is owed for {name}", _swap(state, executor, following)

    def _owner(self, state: State) -> int:
        used = {p.owner for p in state.processes if isinstance(p, Executor)}
        for row in state.rows:
            run = self._rows[row]
            if run is not None:
                used |= {int(token) for token in (run.owner, run.finished_by) if token}
        return next(owner for owner in range(1, 99) if owner not in used)

    def _put(self, state: State, number: int, row: int) -> State:
        run = self._rows[state.rows[number]]
        if run is not None and run.state.terminal and row != state.rows[number]:
            state = state._replace(wrong="an outcome changed")
        rows = (*state.rows[:number], row, *state.rows[number + 1 :])
        return state._replace(rows=rows)

    def _back(self, state: State, executor: Executor) -> State:
        return _send(_swap(state, executor), [executor.run])

    def _die(self, state: State, process: Process) -> State:
        state = _spend(state, "deaths")
        if isinstance(process, Executor):
            return self._back(state, process)
        return _swap(state, process)

    # Users: edit, pause and resume, delete and create anew.

    def _users(self, state: State) -> Iterator[tuple[str, State]]:
        job, now = self._jobs[state.job], state.now
        editing = any(isinstance(p, Edit) for p in state.processes)
        if state.edits and not editing and job.state is not JobState.DELETED:
            edit = Edit("hand over", state.job, now, now)
            yield f"!an edit is called at {now}", _spend(_with(state, edit), "edits")
        if state.pauses and not editing and job.state_at(at(now)) is JobState.ACTIVE:
            done = self._change(_spend(state, "pauses"), paused(job, note=None, now=at(now)))
            yield f"!the job is paused at {now}", _tell(done, "pause", now, now)
        if job.state is JobState.PAUSED and not editing:
            done = self._change(state, self.protocol.resumed(job, now=at(now)))
            yield f"the job is resumed at {now}", done._replace(before=-1)
        if state.deletes and job.state is not JobState.DELETED and now < self.story.slots:
            done = self._change(_spend(state, "deletes"), deleted(job, now=at(now)))
            yield f"!the job is deleted at {now}", _tell(done, "delete", now, now)
        if job.state is JobState.DELETED and now < self.story.slots:
            again = self.protocol.created(
                job.key,
                self._spec,
                content=job.content,
                fingerprint=job.fingerprint,
                tombstone=job,
                now=at(now),
            )
            done = state._replace(job=self._number(again))
            yield f"the job is created anew at {now}", _tell(done, "create", now, now)

    def _change(self, state: State, job: Job) -> State:
        return state._replace(job=self._number(job), before=state.job)

    def _edit(self, state: State, edit: Edit) -> tuple[str, State]:
        """One step of what `services.jobs` does for a change of the slots."""
        seen, current = self._jobs[edit.job], self._jobs[state.job]
        again = _swap(state, edit, Edit("hand over", state.job, state.now, edit.called))
        if current.state is JobState.DELETED:
            return "the edit finds no job", _swap(state, edit)
        takes_over = parting(seen, now=at(edit.now))
        owes = seen.next_slot is not None and seen.next_slot <= takes_over
        if edit.step == "hand over" and owes:
            plan = plan_visit(seen, now=at(edit.now), until=takes_over, paused=True)
            assert plan is not None, "what is owed is due"
            runs = [(self._keys.index(run.key), run) for run in plan.runs]
            noted = [(number, run.schedule_revision) for number, run in runs]
            done = _send(
                self._insert(_note(state, noted), runs),
                [number for number, _ in runs],
            )
            following = _swap(done, edit, edit._replace(step="claim"))
            return "the edit hands over what is owed", following
        if edit.step == "claim":
            plan = plan_visit(seen, now=at(edit.now), until=takes_over, paused=True)
            assert plan is not None, "what is owed is due"
            name, done = self._claim(state, plan)
            claimed = self._jobs[done.job]
            if claimed.revision != seen.revision:
                return f"the edit's {name}; it begins anew", again
            if claimed.next_slot is not None and claimed.next_slot <= takes_over:
                return f"the edit's {name}; it gives up", _swap(done, edit)
            claimed_from = edit._replace(step="update", job=done.job)
            return f"the edit's {name}", _swap(done, edit, claimed_from)
        if edit.step in {"hand over", "update"}:
            return self._update(state, edit, takes_over=takes_over, again=again)
        return self._void_queued(state, edit)

    def _update(
        self, state: State, edit: Edit, *, takes_over: datetime, again: State
    ) -> tuple[str, State]:
        seen, current = self._jobs[edit.job], self._jobs[state.job]
        if (seen.revision, seen.next_slot, seen.state) != (
            current.revision,
            current.next_slot,
            current.state,
        ):
            return "UPDATE is refused; the edit begins anew", again
        number = len(self._schedules) - 1 - state.edits
        spec = replace(self._spec, schedule=self._schedules[number])
        wanted = self.protocol.rescheduled(
            seen, spec, content=seen.content, at=takes_over, now=at(edit.now)
        )
        changed = self._change(state, wanted)
        minute = (takes_over - NINE) // MINUTE
        answered = minute if seen.state is JobState.PAUSED else state.now
        told = _tell(changed, f"edit {number}", minute, answered)
        following = edit._replace(step="void")
        return f"UPDATE takes over at {minute}", _swap(told, edit, following)

    def _void_queued(self, state: State, edit: Edit) -> tuple[str, State]:
        seen = self._jobs[edit.job]
        for number, row in enumerate(state.rows):
            if at(self._slot(number)) <= parting(seen, now=at(edit.now)):
                continue
            void = VoidQueued(key=self._keys[number], schedule_revision=seen.schedule_revision)
            left = self._rows.moved(row, void)
            if left is not None:
                state = self._put(state, number, left)
        return "the edit voids what it left behind, and returns", _swap(state, edit)

    # The oracle.

    def _judge(self, state: State) -> str | None:
        outcomes = [
            run.state if (run := self._rows[row]) is not None else None for row in state.rows
        ]
        if self.story.re_creates:
            return self._judge_lives(state, outcomes)
        for minute, outcome in enumerate(outcomes, start=1):
            owed = self._owed(state, minute)
            if owed is True and outcome is None:
                return f"slot {minute} was owed and has no outcome"
            if owed is True and outcome is RunState.CANCELLED:
                return f"slot {minute} was owed and reads cancelled"
            if owed is True and outcome is RunState.SKIPPED and not _paused_since(state, minute):
                return f"slot {minute} was owed and reads skipped, yet no pause had begun"
            if owed is False and outcome is not None:
                return f"slot {minute} was not owed and reads {outcome}"
        return None

    def _owed(self, state: State, minute: int) -> bool | None:
        """Say whether a slot is owed; None when it lies between an edit's call and its answer."""
        parts = [("", -1, -1), *(e for e in state.history if e[0].startswith("edit"))]
        for number, (_, _, answered) in enumerate(parts):
            until = parts[number + 1][1] if number + 1 < len(parts) else NEVER
            if answered < minute <= until:
                return minute in self._minutes(number)
        return None

    def _judge_lives(self, state: State, outcomes: list[RunState | None]) -> str | None:
        deleted_at = next((now for name, now, _ in state.history if name == "delete"), NEVER)
        created_at = next((now for name, now, _ in state.history if name == "create"), NEVER)
        for minute in range(1, self.story.slots + 1):
            first = outcomes[minute - 1]
            second = outcomes[self.story.slots + minute - 1]
            if deleted_at == NEVER and first is not RunState.SUCCEEDED:
                return f"slot {minute} is lost: {first}"
            if minute > deleted_at and first is RunState.SUCCEEDED:
                return f"slot {minute} of the deleted job ran"
            if minute > created_at and second is not RunState.SUCCEEDED:
                return f"slot {minute} of the new job is lost: {second}"
            if minute <= created_at and second is not None:
                return f"slot {minute} is before the new job, and reads {second}"
        return None

    def _name(self, number: int) -> str:
        return f"slot {self._slot(number)}" + "'" * (self._keys[number].incarnation - 1)


def _paused_since(state: State, minute: int) -> bool:
    return any(name == "pause" and minute <= now for name, now, _ in state.history)


def _with(state: State, process: Process) -> State:
    return state._replace(processes=_sorted((*state.processes, process)))


def _swap(state: State, process: Process, *following: Process) -> State:
    """Let a process go on as another one, or end; a visit ends with its fourth step."""
    rest = _without(state.processes, process)
    return state._replace(processes=_sorted((*rest, *following)))


def _sorted(processes: tuple[Process, ...]) -> tuple[Process, ...]:
    return tuple(sorted(processes, key=lambda process: (type(process).__name__, process)))


def _note(state: State, noted: list[tuple[int, int]]) -> State:
    watched = list(state.watched)
    for entry in noted:
        if watched.count(entry) < COPIES_MAX:
            watched.append(entry)
    return state._replace(watched=tuple(sorted(watched)))


def _send(state: State, numbers: list[int]) -> State:
    """Send messages; a copy of one that is there already makes no difference."""
    return state._replace(messages=tuple(sorted({*state.messages, *numbers})))


def _tell(state: State, name: str, called: int, answered: int) -> State:
    return state._replace(history=(*state.history, (name, called, answered)))


def _without(things: tuple[T, ...], thing: T) -> tuple[T, ...]:
    place = things.index(thing)
    return things[:place] + things[place + 1 :]


def _spend(state: State, fault: str) -> State:
    return state._replace(**{fault: getattr(state, fault) - 1})
