"""Any moves in any order leave what the core's own functions make of plain values in a dict.

Instants are few, so that they often meet exactly; owners are few, so that they often meet their
own rows. What differs between an engine and the dict is shrunk to the shortest story.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from punctual.core.identity import JobKey, RunKey
from punctual.core.jobs import Delivery, Lane
from punctual.core.runs import (
    Cancel,
    Finish,
    GiveUp,
    Hold,
    Move,
    Reap,
    RequestCancel,
    Retry,
    Run,
    RunState,
    Skip,
    Start,
    Void,
    VoidQueued,
    Wait,
    after,
    permits,
    was_applied,
)
from tests.contract.engines import MINISTACK
from tests.support.builders import MINUTE, SECOND, a_failure, a_run, a_run_key, an_ending
from tests.support.clock import NINE
from tests.support.engines import Engine

SLOTS = [NINE, NINE + MINUTE]
OWNERS = ["a", "b"]
STEPS = [timedelta(0), SECOND, MINUTE, 61 * SECOND]

KINDS = (
    "start",
    "start as handed over",
    "finish",
    "retry",
    "wait",
    "hold",
    "void",
    "void queued",
    "cancel",
    "skip",
    "request cancel",
    "reap",
    "give up",
)


@dataclass(frozen=True)
class Draw:
    """What chance decides about one move."""

    kind: str
    owner: str
    step: timedelta
    outcome: RunState
    reason: str
    schedule_revision: int
    is_first: bool


draws = st.builds(
    Draw,
    st.sampled_from(KINDS),
    st.sampled_from(OWNERS),
    st.sampled_from(STEPS),
    st.sampled_from([state for state in RunState if state.terminal]),
    st.sampled_from(["gate", "limit"]),
    st.integers(1, 3),
    st.booleans(),
)


def move_of(draw: Draw, key: RunKey, row: Run | None, *, now: datetime) -> Move:
    """Return the move that was drawn, for a run whose row stands so."""
    owner, until, attempt = draw.owner, now + draw.step, max(row.attempt, 1) if row else 1
    ending, scheduled_at = an_ending(draw.outcome, at=now), key.slot or NINE
    match draw.kind:
        case "start":
            return Start(key=key, owner=owner, now=now, lease_until=until)
        case "start as handed over":
            guess = a_run(
                scheduled_at,
                key=key,
                schedule_revision=draw.schedule_revision,
                max_attempts=row.max_attempts if row else 1,
                delivery=row.delivery if row else Delivery.AT_LEAST_ONCE,
                lane=row.lane if row else Lane.FAST,
            )
            return Start(key=key, owner=owner, now=now, lease_until=until, handed_over=guess)
        case "finish":
            return Finish(key=key, owner=owner, ending=ending, scheduled_at=scheduled_at)
        case "retry":
            failure = a_failure(attempt=attempt, finished_at=now, after=draw.step)
            return Retry(key=key, owner=owner, failure=failure)
        case "wait":
            return Wait(key=key, owner=owner, attempt=attempt, retry_at=until, reason=draw.reason)
        case "hold":
            return Hold(
                key=key,
                owner=owner,
                attempt=attempt,
                started_at=row.starts[-1] if row and row.starts else now,
                lease_until=until,
                heartbeat=draw.step,
                is_first=draw.is_first,
            )
        case "void":
            return Void(key=key, owner=owner)
        case "void queued":
            return VoidQueued(key=key, schedule_revision=draw.schedule_revision)
        case "cancel":
            return Cancel(key=key, ending=ending, scheduled_at=scheduled_at)
        case "skip":
            return Skip(key=key, ending=ending, scheduled_at=scheduled_at)
        case "request cancel":
            return RequestCancel(key=key, at=now, reason=draw.reason)
        case "reap":
            return Reap(key=key, now=now, ending=ending, scheduled_at=scheduled_at)
        case "give up":
            return GiveUp(key=key, owner=owner, now=now, ending=ending, scheduled_at=scheduled_at)
        case other:
            raise AssertionError(f"{other} is no move")


batches = st.dictionaries(st.integers(0, 6), draws, min_size=1, max_size=7)
"""Which moves are tried on which of the runs, by their places."""


class AnyMoves(RuleBasedStateMachine):
    """Drives one engine and a dict side by side; every story has a tenant of its own."""

    engine: ClassVar[Engine]
    takes_back: ClassVar[bool]
    """Whether work that raises leaves nothing."""
    tenants: ClassVar["count[int]"]

    @initialize()
    def begin(self) -> None:
        tenant = f"tenant-{next(self.tenants)}"
        self.keys = [
            a_run_key(slot, tenant=tenant, job_id=job_id, incarnation=incarnation)
            for slot in SLOTS
            for job_id, incarnation in (("one", 1), ("one", 2), ("two", 1))
        ]
        self.keys.append(a_run_key(tenant=tenant, job_id="one", name="m.0a1b"))
        self.rows: dict[RunKey, Run] = {}
        self.engine.clock.set(NINE)
        self.made: Sequence[Move] = []

    @rule(
        places=st.sets(st.integers(0, 6), min_size=1),
        revision=st.integers(1, 3),
        max_attempts=st.integers(1, 3),
        lane=st.sampled_from(Lane),
        delivery=st.sampled_from(Delivery),
    )
    def insert(
        self,
        places: set[int],
        revision: int,
        max_attempts: int,
        lane: Lane,
        delivery: Delivery,
    ) -> None:
        runs = [
            a_run(
                self.keys[place].slot or NINE,
                key=self.keys[place],
                schedule_revision=revision,
                max_attempts=max_attempts,
                lane=lane,
                delivery=delivery,
            )
            for place in places
        ]

        assert self.engine.runs.insert(runs) == [True] * len(runs)

        for run in runs:
            row = self.rows.get(run.key)
            if row is None or (row.state is RunState.QUEUED and row.schedule_revision < revision):
                self.rows[run.key] = run

    @rule(batch=batches)
    def move(self, batch: Mapping[int, Draw]) -> None:
        self.made = self.moves(batch)
        self.make()

    @precondition(lambda self: self.made)
    @rule()
    def repeat(self) -> None:
        """No answer came to the last moves, so they are made once more."""
        self.make()

    @precondition(lambda self: self.takes_back)
    @rule(batch=batches)
    def move_and_fail(self, batch: Mapping[int, Draw]) -> None:
        made = self.moves(batch)

        def work() -> None:
            self.engine.runs.move(made)
            raise LookupError

        with pytest.raises(LookupError):
            self.engine.transact(work)

    @rule(step=st.sampled_from(STEPS))
    def time_passes(self, step: timedelta) -> None:
        self.engine.clock.advance(step)

    @rule(incarnation=st.integers(1, 2), limit=st.integers(1, 4), before=st.integers(0, 6))
    def list(self, incarnation: int, limit: int, before: int) -> None:
        job, bound = JobKey(self.keys[0].job.tenant, "one"), self.keys[before].name

        listed = self.engine.runs.list(job, incarnation=incarnation, before=bound, limit=limit)

        expected = [
            run
            for key, run in sorted(self.rows.items(), reverse=True)
            if (key.job, key.incarnation) == (job, incarnation) and key.name < bound
        ]
        assert listed == expected[:limit]

    def moves(self, batch: Mapping[int, Draw]) -> Sequence[Move]:
        now = self.engine.clock.now()
        keys = {place: self.keys[place] for place in batch}
        return [
            move_of(draw, keys[place], self.rows.get(keys[place]), now=now)
            for place, draw in batch.items()
        ]

    def make(self) -> None:
        answers = self.engine.runs.move(self.made)

        for move, answer in zip(self.made, answers, strict=True):
            row = self.rows.get(move.key)
            assert not answer.failed
            if row is None or not permits(move, row):
                assert answer.applied == was_applied(move, row)
                assert answer.run == row
                continue
            assert answer.applied
            left = after(move, row)
            if isinstance(move, Start):
                assert answer.run == left
            if left is None:
                del self.rows[move.key]
            else:
                self.rows[move.key] = left

    @invariant()
    def the_rows_are_the_same(self) -> None:
        if hasattr(self, "rows"):  # not before the story begins
            assert self.engine.runs.read(self.keys) == self.rows


@pytest.mark.parametrize(
    ("engine", "stories"),
    [("memory", 80), pytest.param(*MINISTACK.values, 15, marks=MINISTACK.marks)],
    indirect=["engine"],
)
def test_any_moves_leave_what_the_core_says(
    request: pytest.FixtureRequest, engine: Engine, stories: int
) -> None:
    driven = type(
        "Driven",
        (AnyMoves,),
        {
            "engine": engine,
            "takes_back": "memory" in request.node.callspec.id,
            "tenants": count(),
        },
    )

    run_state_machine_as_test(
        driven,
        settings=settings(
            max_examples=stories,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
