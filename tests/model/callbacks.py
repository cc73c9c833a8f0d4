"""One slot whose target accepts the work and reports back: the attempt outlives its executor.

The target may report before its call was answered, fall silent, or report long after another
attempt has followed. What it reports is written by the API, which may die in between: then the
target reports again.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple

from punctual.core.runs import Hold, Mark, Move, Retry, Run, RunState
from tests.model.one_slot import (
    ALIVE,
    COPIES_MAX,
    QUEUED,
    Executor,
    Faults,
    OneSlot,
    Protocol,
    State,
    _finish,
    _spend,
    _swap,
    _with,
)
from tests.model.rows import Rows
from tests.support.builders import a_failure
from tests.support.clock import NINE

HEARTBEAT = timedelta(minutes=1)


class Worker(NamedTuple):
    """What the call of an attempt set going."""

    owner: int
    at: str = "works"
    """`held` once its acceptance is written: from then on nobody may follow it while it works."""


class HeldRows(Rows):
    """Rows that know whether their newest attempt awaits its callback."""

    def number(self, run: Run | None) -> int:
        """See `Rows.number`."""
        if run is not None:
            marks = (Mark("", run.heartbeat),) if run.heartbeat is not None else ()
            run = replace(run, starts=(), marks=marks, failures=(), result=None, error=None)
        return self._rows.number(run)


class OneSlotReporting(OneSlot):
    """Fills `Model`."""

    def __init__(
        self,
        protocol: Protocol | None = None,
        faults: Faults | None = None,
        *,
        outlives: Callable[[Run], bool] = lambda run: run.heartbeat is not None,
    ) -> None:
        """Make the model.

        Args:
            protocol: How a visit and an executor go about it.
            faults: How often each may happen; a target falls silent where an executor may die.
            outlives: Whether the lease of a run lasts while its target works.
        """
        super().__init__(protocol, faults)
        self._rows = HeldRows(permits=self._protocol.permits)
        self._queued = self._rows.number(QUEUED)
        self._outlives = outlives

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """See `Model.steps`."""
        yield from super().steps(state)
        for worker in set(_workers(state)):
            yield from self._work(state, worker)

    def wrong(self, state: State) -> str | None:
        """See `Model.wrong`."""
        run = self._rows[state.row]
        workers = {worker.owner for worker in _workers(state)}
        live = {p.owner for p in _executors(state) if self._is_live(p, run, workers)}
        live |= {worker.owner for worker in _workers(state) if worker.at == "held"}
        if len(live) > 1:
            return "two attempts are live at a time"
        if live and run is not None and run.state.terminal:
            return "an outcome was written while an attempt was live"
        # What an executor waits for whose target has reported is no attempt any more.
        waiting = [p for p in _executors(state) if p.at in {"call", "settle"}]
        rest = state
        for executor in waiting:
            rest = _swap(rest, executor)
        return super().wrong(rest)

    def _is_live(self, executor: Executor, run: Run | None, workers: set[int]) -> bool:
        if executor.at == "call":
            return True
        held = run is not None and run.held_by(str(executor.owner))
        return executor.at == "settle" and (held or executor.owner in workers)

    def _deliver(self, state: State) -> Iterator[tuple[str, State]]:
        run = self._rows[state.row]
        works = run is not None and any(run.owner == str(w.owner) for w in _workers(state))
        for name, following in super()._deliver(state):
            ends = name == "the dead executor's lease ends"
            if ends and works and run is not None and self._outlives(run):
                continue  # its heartbeats move it
            yield name, following

    def _execute(self, state: State, executor: Executor) -> Iterator[tuple[str, State]]:
        if executor.at == "hold":
            yield from self._hold(state, executor)
            return
        for name, following in super()._execute(state, executor):
            yield name, _with(following, _worker(executor)) if name == "CALL" else following
        if executor.at == "settle":
            watched = state._replace(watched=min(state.watched + 1, COPIES_MAX))
            yield "it was accepted: WATCH", _swap(watched, executor, executor._replace(at="hold"))

    def _settle(self, state: State, executor: Executor) -> Iterator[tuple[str, State]]:
        for name, following in super()._settle(state, executor):
            if "succeeded" not in name and "no answer" not in name:
                yield name, following  # the answer is no outcome, unless it is a failure

    def _hold(self, state: State, executor: Executor) -> Iterator[tuple[str, State]]:
        if state.faults.executor_dies:
            yield "!the executor dies", self._back(_spend(state, "executor_dies"), executor)
        row = self._rows.moved(state.row, _held(executor.owner))
        if row is None:
            yield "HOLD is refused", self._back(state, executor)
        else:
            held = _swap(self._put(state, row), executor)
            for worker in _workers(state):
                if worker == Worker(executor.owner):
                    held = _swap(held, worker, worker._replace(at="held"))  # type: ignore[arg-type]
            yield "HOLD, and the message goes", held

    def _work(self, state: State, worker: Worker) -> Iterator[tuple[str, State]]:
        gone = _swap(state, worker)  # type: ignore[arg-type] # one more kind of process
        if worker.at == "failed":
            yield self._failed(state, worker)
            return
        if state.faults.executor_dies:
            yield "!the target falls silent", _spend(gone, "executor_dies")
        yield self._reported(state, gone, _finish(worker.owner, RunState.SUCCEEDED), "completes")
        watched = state._replace(watched=min(state.watched + 1, COPIES_MAX))
        failed: Any = worker._replace(at="failed")
        yield "the target fails: WATCH", _swap(watched, worker, failed)  # type: ignore[arg-type]
        run = self._rows[state.row]
        if run is not None and run.cancel_requested_at is not None:
            move = _finish(worker.owner, RunState.CANCELLED)
            yield self._reported(state, gone, move, "stops as asked")

    def _failed(self, state: State, worker: Worker) -> tuple[str, State]:
        gone = _swap(state, worker)  # type: ignore[arg-type] # one more kind of process
        retry = Retry(
            key=QUEUED.key,
            owner=str(worker.owner),
            failure=a_failure(finished_at=NINE, after=timedelta(0)),
        )
        row = self._rows.moved(state.row, retry)
        if row is not None:
            sent = gone._replace(messages=min(state.messages + 1, COPIES_MAX))
            return "the target's RETRY", self._put(sent, row)
        return self._reported(state, gone, _finish(worker.owner, RunState.FAILED), "fails")

    def _reported(self, state: State, gone: State, move: Move, what: str) -> tuple[str, State]:
        row = self._rows.moved(state.row, move)
        if row is None:
            return "the target is told that it is over", gone
        return f"the target {what}", self._put(gone, row)

    def _owner(self, state: State) -> int:
        """See `OneSlot._owner`; a target's token is not given to another attempt."""
        taken = {worker.owner for worker in _workers(state)}
        spared = state._replace(
            processes=tuple(_executors(state)),
            late=(*state.late, *(_Named(owner) for owner in taken)),  # type: ignore[arg-type]
        )
        return super()._owner(spared)


class _Named(NamedTuple):
    owner: int


@cache
def _held(owner: int) -> Hold:
    return Hold(
        key=QUEUED.key,
        owner=str(owner),
        attempt=1,
        started_at=NINE,
        lease_until=ALIVE,
        heartbeat=HEARTBEAT,
        is_first=True,
    )


def _worker(executor: Executor) -> Any:
    return Worker(executor.owner)


def _workers(state: State) -> list[Worker]:
    processes: tuple[Any, ...] = state.processes
    return [process for process in processes if isinstance(process, Worker)]


def _executors(state: State) -> list[Executor]:
    return [process for process in state.processes if isinstance(process, Executor)]
