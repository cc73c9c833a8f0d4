"""One limit that lets one run in, and two runs that want in, with everything that may go wrong.

Executors start runs, enter, call, end or repeat them and leave; any of them dies between any two
writes, and a write of the record lands after whoever made it has given up on the answer. Who is let
in and who is struck off is asked of the production code. As in the model of the gate, whoever read
the record knows it until somebody writes it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import NamedTuple

from punctual.core.identity import RunKey
from punctual.core.limits import Entered, Limit, LimitKey, Token, Usage, enter, leave, without_dead
from punctual.core.runs import Ending, Finish, Move, Retry, Run, RunState, Start, Wait, give_up
from tests.model.rows import Numbered, Rows
from tests.support.builders import MINUTE, a_failure, a_run
from tests.support.clock import NINE

ALIVE = NINE + timedelta(minutes=1)
DEAD = NINE - timedelta(minutes=1)

RUNS = 2
QUEUED = tuple(a_run(NINE + number * MINUTE, max_attempts=3) for number in range(RUNS))
KEYS = tuple(run.key for run in QUEUED)
LIMIT = Limit(key="crm-api", max_concurrent=1)
EMPTY = Usage(key=LimitKey("acme", "crm-api"))


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How an executor goes about it; anything but the default is broken on purpose."""

    steps: tuple[str, ...] = ("start", "enter", "call", "end", "leave")
    names_owners: bool = True
    """Whether whoever is in is known by its attempt, and not only by its run."""
    strikes_off: Callable[[Usage, Mapping[RunKey, Run]], Usage] = without_dead


class Faults(NamedTuple):
    """How often each may happen."""

    dies: int = 1
    fails: int = 1
    late_write: int = 1


class Executor(NamedTuple):
    """One attempt at a run."""

    run: int
    at: str
    """What it does next."""
    owner: int
    usage: int = 0
    """What it read."""
    known: bool = False
    """Whether the record still is what it read."""
    ends: str = "FINISH"
    """What it writes when its call is over."""


class State(NamedTuple):
    """What is stored, what is going on, and what may still go wrong."""

    rows: tuple[int, ...]
    usage: int
    executors: tuple[Executor, ...]
    late: tuple[tuple[int, bool], ...]
    """Records that may land yet, and whether they still may."""
    faults: Faults


class Limits:
    """Fills `Model`."""

    def __init__(self, protocol: Protocol | None = None, faults: Faults | None = None) -> None:
        self._protocol = protocol or Protocol()
        self._rows = Rows()
        self._usages = Numbered(EMPTY)
        queued = tuple(self._rows.number(run) for run in QUEUED)
        self.start = State(queued, 0, (), (), faults or Faults())

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """See `Model.steps`."""
        for number in range(RUNS):
            yield from self._begin(state, number)
        for executor in set(state.executors):
            yield from self._go_on(state, executor)
            if state.faults.dies:
                yield f"!executor of {executor.run} dies", self._die(state, executor)
        for write in set(state.late):
            rest = list(state.late)
            rest.remove(write)
            landed = state._replace(late=tuple(rest))
            usage, may = write
            yield "!a late write arrives", self._written(landed, usage) if may else landed

    def wrong(self, state: State) -> str | None:
        """See `Model.wrong`."""
        if sum(executor.at == "call" for executor in state.executors) > 1:
            return "more runs are called than the limit lets in"
        return None

    def settled(self, state: State) -> bool:
        """See `Model.settled`."""
        rows = [self._rows[row] for row in state.rows]
        return not state.executors and all(run is not None and run.state.terminal for run in rows)

    def _begin(self, state: State, number: int) -> Iterator[tuple[str, State]]:
        """Bring a message; that an old attempt is still leaving keeps nobody from the next one."""
        run = self._rows[state.rows[number]]
        assert run is not None, "no row is taken back"
        if any(e.run == number and e.at != "leave" for e in state.executors):
            return
        owner = self._owner(state, number)
        if self._rows.moved(state.rows[number], _start(number, owner)) is not None:
            executor = Executor(number, self._protocol.steps[0], owner)
            yield f"a message of {number} arrives", _with(state, executor)
        elif run.dead(NINE) and run.attempt >= run.max_attempts:
            yield f"GIVE UP {number}", self._put(state, number, give_up(run, now=NINE))

    def _go_on(self, state: State, executor: Executor) -> Iterator[tuple[str, State]]:
        number = executor.run
        match executor.at:
            case "start":
                moved = self._rows.moved(state.rows[number], _start(number, executor.owner))
                following = () if moved is None else (self._next(executor),)
                started = _swap(state, executor, *following)
                yield f"START {number}", started if moved is None else _row(started, number, moved)
            case "enter" | "leave" if not executor.usage and not executor.known:
                read = executor._replace(usage=state.usage, known=True)
                yield f"{number} reads who is in", _swap(state, executor, read)
            case "enter":
                yield from self._enter(state, executor)
            case "call":
                yield f"the call of {number} is over", _swap(state, executor, self._next(executor))
                if state.faults.fails:
                    failed = self._next(executor)._replace(ends="RETRY")
                    yield (
                        f"!the call of {number} fails",
                        _swap(_spend(state, "fails"), executor, failed),
                    )
            case "end":
                move = _finish(executor) if executor.ends == "FINISH" else _retry(executor)
                ended = self._put(_swap(state, executor, *self._rest(executor)), number, move)
                yield f"{executor.ends} {number}", ended
            case _:
                yield from self._leave(state, executor)

    def _enter(self, state: State, executor: Executor) -> Iterator[tuple[str, State]]:
        usage, token = self._usages[executor.usage], self._token(executor)
        answer = enter([LIMIT], {LIMIT.key: usage}, token, now=NINE)
        if not isinstance(answer, Entered):
            rows = [self._rows[row] for row in state.rows]
            known = {run.key: run for run in rows if run is not None}
            usage = self._protocol.strikes_off(usage, known)
            answer = enter([LIMIT], {LIMIT.key: usage}, token, now=NINE)
        forgotten = executor._replace(usage=0, known=False)
        if not isinstance(answer, Entered):
            wait = _wait(executor, self._rows[state.rows[executor.run]])
            waits = self._put(_swap(state, executor), executor.run, wait)
            yield f"WAIT {executor.run}", waits
            return
        (left,) = answer.usages
        yield from self._write(state, executor, left, self._next(forgotten), forgotten, "enters")

    def _leave(self, state: State, executor: Executor) -> Iterator[tuple[str, State]]:
        left = leave(self._usages[executor.usage], [self._token(executor)])
        forgotten = executor._replace(usage=0, known=False)
        rest = self._rest(forgotten)
        if self._usages.number(left) == executor.usage:
            yield f"{executor.run} is out", _swap(state, executor, *rest)
            return
        following = rest[0] if rest else None
        yield from self._write(state, executor, left, following, forgotten, "leaves")

    def _write(
        self,
        state: State,
        executor: Executor,
        usage: Usage,
        following: Executor | None,
        again: Executor,
        what: str,
    ) -> Iterator[tuple[str, State]]:
        number = self._usages.number(usage)
        if state.faults.late_write:
            spent = _swap(_spend(state, "late_write"), executor, again)
            late = tuple(sorted((*spent.late, (number, executor.known))))
            yield f"!{executor.run} {what}, unanswered", spent._replace(late=late)
        if not executor.known:
            yield f"{executor.run} meets another record", _swap(state, executor, again)
            return
        swapped = _swap(state, executor, *(() if following is None else (following,)))
        yield f"{executor.run} {what}", self._written(swapped, number)

    def _written(self, state: State, usage: int) -> State:
        """Write the record: nobody who read it knows it any more."""
        executors = [e._replace(known=False) if e.known else e for e in state.executors]
        return state._replace(
            usage=usage,
            executors=tuple(sorted(executors)),
            late=tuple(sorted((late, False) for late, _ in state.late)),
        )

    def _die(self, state: State, executor: Executor) -> State:
        spent = _swap(_spend(state, "dies"), executor)
        run = self._rows[state.rows[executor.run]]
        if run is None or not run.held_by(str(executor.owner)):
            return spent
        dead = self._rows.number(replace(run, lease_until=DEAD))
        return _row(spent, executor.run, dead)

    def _next(self, executor: Executor) -> Executor:
        steps = self._protocol.steps
        return executor._replace(at=steps[steps.index(executor.at) + 1])

    def _rest(self, executor: Executor) -> tuple[Executor, ...]:
        return () if executor.at == self._protocol.steps[-1] else (self._next(executor),)

    def _token(self, executor: Executor) -> Token:
        owner = str(executor.owner) if self._protocol.names_owners else ""
        return Token(KEYS[executor.run], owner)

    def _put(self, state: State, number: int, move: Move) -> State:
        moved = self._rows.moved(state.rows[number], move)
        return state if moved is None else _row(state, number, moved)

    def _owner(self, state: State, number: int) -> int:
        """Return a token that nothing of this run names."""
        run = self._rows[state.rows[number]]
        used = {executor.owner for executor in state.executors if executor.run == number}
        if run is not None:
            used |= {int(token) for token in (run.owner, run.finished_by) if token}
        read = [executor.usage for executor in state.executors]
        for usage in (state.usage, *read, *(late for late, _ in state.late)):
            tokens = self._usages[usage].holders
            used |= {int(t.owner) for t in tokens if t.owner and t.run == KEYS[number]}
        return next(owner for owner in range(1, 99) if owner not in used)


@cache
def _start(number: int, owner: int) -> Start:
    return Start(key=KEYS[number], owner=str(owner), now=NINE, lease_until=ALIVE)


def _finish(executor: Executor) -> Finish:
    ending = Ending(state=RunState.SUCCEEDED, at=NINE)
    return Finish(
        key=KEYS[executor.run], owner=str(executor.owner), ending=ending, scheduled_at=NINE
    )


def _retry(executor: Executor) -> Retry:
    failure = replace(a_failure(), retry_at=NINE)
    return Retry(key=KEYS[executor.run], owner=str(executor.owner), failure=failure)


def _wait(executor: Executor, run: Run | None) -> Wait:
    return Wait(
        key=KEYS[executor.run],
        owner=str(executor.owner),
        attempt=1 if run is None else max(run.attempt, 1),
        retry_at=NINE,
        reason="limit: crm-api",
    )


def _with(state: State, executor: Executor) -> State:
    return state._replace(executors=tuple(sorted((*state.executors, executor))))


def _swap(state: State, executor: Executor, *following: Executor) -> State:
    """Let an executor go on, or end."""
    rest = list(state.executors)
    rest.remove(executor)
    return state._replace(executors=tuple(sorted((*rest, *following))))


def _row(state: State, number: int, row: int) -> State:
    return state._replace(rows=(*state.rows[:number], row, *state.rows[number + 1 :]))


def _spend(state: State, fault: str) -> State:
    left = getattr(state.faults, fault) - 1
    return state._replace(faults=state.faults._replace(**{fault: left}))
