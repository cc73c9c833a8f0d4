"""The gate of one job and three of its runs, with everything that may go wrong about it.

Executors start runs, bring them to the gate, call, and end or repeat them; any of them dies between
any two writes, a row is taken back and handed over again, and a write of the gate lands after
whoever made it has given up on the answer. What the gate tells a run, what a move makes of a row
and who is cancelled is asked of the production code.

A record is written only over what was read. So no versions are kept here: whoever read the gate
knows it until somebody writes it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import NamedTuple

from punctual.core.gates import Arrival, Gate, Word, arrive, ending_of_yielded
from punctual.core.identity import RunKey
from punctual.core.jobs import Overlap
from punctual.core.runs import (
    Ending,
    Finish,
    Move,
    Retry,
    Run,
    RunState,
    Start,
    Void,
    Wait,
    cancellation,
    give_up,
    reap,
)
from tests.model.rows import NO_ROW, Numbered, Rows
from tests.support.builders import MINUTE, a_failure, a_job_key, a_run
from tests.support.clock import NINE

ALIVE = NINE + timedelta(minutes=1)
DEAD = NINE - timedelta(minutes=1)

RUNS = 3
QUEUED = tuple(a_run(NINE + number * MINUTE, max_attempts=2) for number in range(RUNS))
KEYS = tuple(run.key for run in QUEUED)
NUMBERS = {key: number for number, key in enumerate(KEYS)}

EMPTY = Gate(job=a_job_key())

ArriveAs = Callable[[Gate, Run, Overlap, Mapping[RunKey, Run]], tuple[Gate, Arrival]]


def _arrive(
    gate: Gate, run: Run, overlap: Overlap, rows: Mapping[RunKey, Run]
) -> tuple[Gate, Arrival]:
    return arrive(gate, run, overlap, rows=rows)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How an executor goes about it; anything but the default is broken on purpose."""

    steps: tuple[str, ...] = ("start", "gate")
    arrives: ArriveAs = _arrive
    writes_when_held: bool = True
    """Whether a run that holds the gate already writes it anew when it passes."""
    compares: Callable[[bool, Gate, Gate], bool] = lambda known, _seen, _now: known
    """Whether the gate may be written: is it known, what was read, and what is there."""
    opens_before_the_end: bool = False
    """Whether the gate is opened when the call is over, before its outcome is written."""


class Faults(NamedTuple):
    """How often each may happen."""

    dies: int = 1
    fails: int = 1
    """An attempt fails, and another one follows."""
    taken_back: int = 0
    late_write: int = 0
    cancel: int = 0
    """A user cancels a run."""


class Executor(NamedTuple):
    """One attempt at a run, or the way to it."""

    run: int
    at: str
    """What it does next."""
    owner: int = 0
    gate: int = 0
    """What it read."""
    known: bool = False
    """Whether the gate still is what it read."""
    holder: int = 0
    waiting: int = 0
    """The rows that the gate named, as it read them."""


class State(NamedTuple):
    """What is stored, what is going on, and what may still go wrong."""

    rows: tuple[int, ...]
    gate: int
    executors: tuple[Executor, ...]
    late: tuple[tuple[int, bool], ...]
    """Gates that may land yet, and whether they still may."""
    faults: Faults
    called: tuple[bool, ...] = (False,) * RUNS
    waited: tuple[bool, ...] = (False,) * RUNS
    wrong: str | None = None


class Gates:
    """Fills `Model`."""

    def __init__(
        self, overlap: Overlap, protocol: Protocol | None = None, faults: Faults | None = None
    ) -> None:
        self._overlap = overlap
        self._protocol = protocol or Protocol()
        self._rows = _Rows()
        self._gates = Numbered(EMPTY)
        self._told = cache(self._tell)
        # A run that was taken back may find its place taken once it is handed over again.
        taken_back = faults is not None and faults.taken_back > 0
        self._keeps_its_word = overlap is Overlap.BUFFER_ONE and not taken_back
        queued = tuple(self._rows.number(run) for run in QUEUED)
        self.start = State(queued, 0, (), (), faults or Faults())

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """See `Model.steps`."""
        for number in range(RUNS):
            yield from self._begin(state, number)
            yield from self._end_dead(state, number)
            yield from self._interfere(state, number)
        for executor in set(state.executors):
            yield from self._execute(state, executor)
            if state.faults.dies:
                yield f"!executor of {executor.run} dies", self._die(state, executor)
        for write in set(state.late):
            yield "!a late write of the gate arrives", self._land(state, write)

    def wrong(self, state: State) -> str | None:
        """See `Model.wrong`."""
        if state.wrong is not None:
            return state.wrong
        if sum(executor.at == "call" for executor in state.executors) > 1:
            return "two runs are called at a time"
        if self._overlap is Overlap.CANCEL_OTHER and self.settled(state):
            last = self._rows[state.rows[-1]]
            if last is not None and last.reason == "overlap":
                return "the last run gave way to an earlier one"
        return None

    def settled(self, state: State) -> bool:
        """See `Model.settled`."""
        rows = [self._rows[row] for row in state.rows]
        return not state.executors and all(run is not None and run.state.terminal for run in rows)

    # What begins

    def _begin(self, state: State, number: int) -> Iterator[tuple[str, State]]:
        if any(executor.run == number for executor in state.executors):
            return
        run = self._rows[state.rows[number]]
        if run is None or run.state.terminal:
            return
        owner = self._owner(state, number)
        executor = Executor(number, self._protocol.steps[0], owner)
        if self._moved(state, number, _start(number, owner)) is not None:
            yield f"a message of {number} arrives", _with(state, executor)

    def _end_dead(self, state: State, number: int) -> Iterator[tuple[str, State]]:
        run = self._rows[state.rows[number]]
        if run is None or run.state.terminal:
            return
        if run.cancel_requested_at is not None and not run.live(NINE):
            yield f"REAP {number}", self._put(state, number, reap(run, now=NINE))
        if run.dead(NINE) and run.attempt >= run.max_attempts:
            yield f"GIVE UP {number}", self._put(state, number, give_up(run, now=NINE))

    def _interfere(self, state: State, number: int) -> Iterator[tuple[str, State]]:
        run = self._rows[state.rows[number]]
        if run is None:
            queued = self._rows.number(QUEUED[number])
            yield f"{number} is handed over again", _row(state, number, queued)
            return
        if state.faults.taken_back and run.state is RunState.QUEUED:
            spent = _spend(state, "taken_back")
            yield f"!an edit takes {number} back", _taken_back(spent, number)
        if state.faults.cancel and (move := cancellation(run, now=NINE)) is not None:
            spent = _spend(state, "cancel")
            yield f"!a user cancels {number}", self._put(spent, number, move)

    # What executors do

    def _execute(self, state: State, executor: Executor) -> Iterator[tuple[str, State]]:
        match executor.at:
            case "start":
                yield from self._start(state, executor)
            case "gate":
                yield from self._read_gate(state, executor)
            case "holder" | "waiting":
                yield from self._read_row(state, executor)
            case "tell":
                yield from self._arrive_at(state, executor)
            case "cancel" | "wait":
                yield from self._wait(state, executor)
            case "yield":
                yield from self._yield(state, executor)
            case "call" if self._protocol.opens_before_the_end:
                opened = self._gates.number(replace(self._gates[state.gate], holder=None))
                settling = executor._replace(at="settle")
                yield f"{executor.run} opens", self._write(state, executor, opened, settling)
            case _:
                yield from self._settle(state, executor)

    def _start(self, state: State, executor: Executor) -> Iterator[tuple[str, State]]:
        moved = self._moved(state, executor.run, _start(executor.run, executor.owner))
        if moved is None:
            yield f"START {executor.run} is refused", _swap(state, executor)
            return
        following = self._after("start", executor)
        yield f"START {executor.run}", _row(_swap(state, executor, following), executor.run, moved)

    def _after(self, step: str, executor: Executor) -> Executor:
        steps = (*self._protocol.steps, "call")
        return executor._replace(at=steps[steps.index(step) + 1], known=False, gate=0)

    def _read_gate(self, state: State, executor: Executor) -> Iterator[tuple[str, State]]:
        run = self._rows[state.rows[executor.run]]
        if state.faults.taken_back and run is not None and not run.failures:
            void = Void(key=KEYS[executor.run], owner=str(executor.owner))
            moved = self._moved(state, executor.run, void)
            if moved is not None:
                spent = _swap(_spend(state, "taken_back"), executor)
                yield f"!VOID {executor.run}", _taken_back(spent, executor.run)
        following = executor._replace(at="holder", gate=state.gate, known=True)
        following = self._skip_unnamed(following)
        yield f"{executor.run} reads the gate", _swap(state, executor, following)

    def _read_row(self, state: State, executor: Executor) -> Iterator[tuple[str, State]]:
        """Read one of the two rows that the gate names: both are read, and not at the same time."""
        gate = self._gates[executor.gate]
        if executor.at == "holder":
            assert gate.holder is not None, "a row is read that is named"
            row = state.rows[NUMBERS[gate.holder]]
            following = self._skip_unnamed(executor._replace(at="waiting", holder=row))
        else:
            assert gate.waiting is not None, "a row is read that is named"
            row = state.rows[NUMBERS[gate.waiting]]
            following = executor._replace(at="tell", waiting=row)
        yield f"{executor.run} reads the {executor.at} run", _swap(state, executor, following)

    def _skip_unnamed(self, executor: Executor) -> Executor:
        """Pass over rows that the gate does not name, or that are the executor's own."""
        gate, own = self._gates[executor.gate], KEYS[executor.run]
        if executor.at == "holder" and gate.holder in {None, own}:
            executor = executor._replace(at="waiting")
        if executor.at == "waiting" and gate.waiting in {None, own}:
            executor = executor._replace(at="tell")
        return executor

    def _arrive_at(self, state: State, executor: Executor) -> Iterator[tuple[str, State]]:
        left, word, unwanted = self._told(
            executor.run, executor.gate, executor.holder, executor.waiting
        )
        forgotten = executor._replace(gate=0, known=False, holder=0, waiting=0)
        match word:
            case Word.GO:
                following = self._after("gate", forgotten)
            case Word.WAIT:
                at = "wait" if unwanted == NO_ROW else "cancel"
                following = forgotten._replace(at=at, holder=unwanted)
            case _:
                following = forgotten._replace(at="yield")
        stands = left == executor.gate and (
            word is not Word.GO or not self._protocol.writes_when_held
        )
        name = f"{executor.run} is told to {word}"
        if stands:
            yield name, _passed(_swap(state, executor, following), following)
            return
        if state.faults.late_write:
            spent = _spend(state, "late_write")
            late = (*spent.late, (left, executor.known))
            again = forgotten._replace(at="gate")
            yield (
                f"!{executor.run} writes, unanswered",
                _swap(spent, executor, again)._replace(late=tuple(sorted(late))),
            )
        seen, now = self._gates[executor.gate], self._gates[state.gate]
        if self._protocol.compares(executor.known, seen, now):
            yield name, _passed(self._write(state, executor, left, following), following)
        else:
            again = forgotten._replace(at="gate")
            yield f"{executor.run} meets another gate", _swap(state, executor, again)

    def _write(self, state: State, executor: Executor, gate: int, following: Executor) -> State:
        """Write the gate: nobody who read it knows it any more."""
        swapped = _swap(state, executor, following)
        return swapped._replace(
            gate=gate,
            executors=_sorted(tuple(e._replace(known=False) for e in swapped.executors)),
            late=tuple(sorted((late, False) for late, _ in swapped.late)),
        )

    def _land(self, state: State, write: tuple[int, bool]) -> State:
        rest = list(state.late)
        rest.remove(write)
        landed = state._replace(late=tuple(rest))
        gate, may = write
        if not may:
            return landed
        return landed._replace(
            gate=gate,
            executors=_sorted(tuple(e._replace(known=False) for e in landed.executors)),
            late=tuple(sorted((late, False) for late, _ in landed.late)),
        )

    def _wait(self, state: State, executor: Executor) -> Iterator[tuple[str, State]]:
        if executor.at == "cancel":
            yield self._cancel_holder(state, executor)
            return
        run = self._rows[state.rows[executor.run]]
        attempt = 1 if run is None else run.attempt
        wait = Wait(
            key=KEYS[executor.run],
            owner=str(executor.owner),
            attempt=attempt,
            retry_at=NINE,
            reason="overlap",
        )
        waited = tuple(w or n == executor.run for n, w in enumerate(state.waited))
        yield from self._end(state._replace(waited=waited), executor, wait, "WAIT")

    def _cancel_holder(self, state: State, executor: Executor) -> tuple[str, State]:
        """Cancel the run in the way, as it was when it was read."""
        following = _swap(state, executor, executor._replace(at="wait", holder=NO_ROW))
        unwanted = self._rows[executor.holder]
        assert unwanted is not None, "a run is cancelled that was read"
        number = NUMBERS[unwanted.key]
        move = cancellation(unwanted, now=NINE, reason="overlap")
        if move is not None:
            following = self._put(following, number, move)
        if number > executor.run:
            following = following._replace(wrong="a run cancelled a later one")
        return f"{executor.run} cancels {number}", following

    def _yield(self, state: State, executor: Executor) -> Iterator[tuple[str, State]]:
        run = self._rows[state.rows[executor.run]] or QUEUED[executor.run]
        ending = ending_of_yielded(run, now=NINE)
        if state.called[executor.run]:
            state = state._replace(wrong="a run that was called gave way")
        if self._keeps_its_word and state.waited[executor.run]:
            state = state._replace(wrong="a run that was kept for later was skipped")
        yield from self._end(state, executor, _finish(executor, ending), "SKIP")

    def _settle(self, state: State, executor: Executor) -> Iterator[tuple[str, State]]:
        run = self._rows[state.rows[executor.run]]
        succeeded = Ending(state=RunState.SUCCEEDED, at=NINE)
        yield from self._end(state, executor, _finish(executor, succeeded), "FINISH")
        if run is not None and run.cancel_requested_at is not None:
            cancelled = Ending(state=RunState.CANCELLED, at=NINE)
            yield from self._end(state, executor, _finish(executor, cancelled), "FINISH cancelled")
        if state.faults.fails and run is not None and run.attempt < run.max_attempts:
            failure = replace(a_failure(), retry_at=NINE)
            retry = Retry(key=KEYS[executor.run], owner=str(executor.owner), failure=failure)
            spent = _spend(state, "fails")
            for name, following in self._end(spent, executor, retry, "RETRY"):
                yield f"!{name}", following

    def _end(
        self, state: State, executor: Executor, move: Move, name: str
    ) -> Iterator[tuple[str, State]]:
        moved = self._moved(state, executor.run, move)
        gone = _swap(state, executor)
        yield (
            f"{name} {executor.run}",
            gone if moved is None else _row(gone, executor.run, moved),
        )

    def _die(self, state: State, executor: Executor) -> State:
        """Let an executor die; by the time that anybody can tell, its lease is over."""
        spent = _swap(_spend(state, "dies"), executor)
        run = self._rows[state.rows[executor.run]]
        if run is None or not run.held_by(str(executor.owner)):
            return spent
        return _row(spent, executor.run, self._rows.number(replace(run, lease_until=DEAD)))

    # Parts of these

    def _tell(self, number: int, gate: int, holder: int, waiting: int) -> tuple[int, Word, int]:
        seen = self._gates[gate]
        rows = {
            key: run
            for key, row in ((seen.holder, holder), (seen.waiting, waiting))
            if key is not None and (run := self._rows[row]) is not None
        }
        own = replace(QUEUED[number], state=RunState.RUNNING, lease_until=ALIVE)
        rows[own.key] = own
        left, arrival = self._protocol.arrives(seen, own, self._overlap, rows)
        unwanted = self._rows.number(arrival.behind if arrival.cancels else None)
        return self._gates.number(left), arrival.word, unwanted

    def _moved(self, state: State, number: int, move: Move) -> int | None:
        return self._rows.moved(state.rows[number], move)

    def _put(self, state: State, number: int, move: Move) -> State:
        moved = self._moved(state, number, move)
        return state if moved is None else _row(state, number, moved)

    def _owner(self, state: State, number: int) -> int:
        """Return a token that nothing of this run names."""
        run = self._rows[state.rows[number]]
        used = {executor.owner for executor in state.executors if executor.run == number}
        if run is not None:
            used |= {int(token) for token in (run.owner, run.finished_by) if token}
        return next(owner for owner in range(1, 99) if owner not in used)


class _Rows(Rows):
    """Rows that remember whether they were called: such a one is not taken back."""

    def number(self, run: Run | None) -> int:
        if run is not None:
            run = replace(run, starts=(), marks=(), result=None, error=None, finished_by=None)
        return self._rows.number(run)


@cache
def _start(number: int, owner: int) -> Start:
    return Start(key=KEYS[number], owner=str(owner), now=NINE, lease_until=ALIVE)


def _finish(executor: Executor, ending: Ending) -> Finish:
    return Finish(
        key=KEYS[executor.run], owner=str(executor.owner), ending=ending, scheduled_at=NINE
    )


def _passed(state: State, executor: Executor) -> State:
    """Remember that a run is called, if it is."""
    called = tuple(
        was or (number == executor.run and executor.at == "call")
        for number, was in enumerate(state.called)
    )
    return state._replace(called=called)


def _with(state: State, executor: Executor) -> State:
    return state._replace(executors=_sorted((*state.executors, executor)))


def _swap(state: State, executor: Executor, *following: Executor) -> State:
    """Let an executor go on, or end."""
    rest = list(state.executors)
    rest.remove(executor)
    return state._replace(executors=_sorted((*rest, *following)))


def _sorted(executors: tuple[Executor, ...]) -> tuple[Executor, ...]:
    return tuple(sorted(executors))


def _row(state: State, number: int, row: int) -> State:
    rows = (*state.rows[:number], row, *state.rows[number + 1 :])
    return state._replace(rows=rows)


def _taken_back(state: State, number: int) -> State:
    """Delete a row: nothing happened, and nothing that was promised to it holds any more."""
    return _row(state, number, NO_ROW)._replace(
        called=tuple(was and n != number for n, was in enumerate(state.called)),
        waited=tuple(was and n != number for n, was in enumerate(state.waited)),
    )


def _spend(state: State, fault: str) -> State:
    left = getattr(state.faults, fault) - 1
    return state._replace(faults=state.faults._replace(**{fault: left}))
