"""At the gate: which run of a job goes through, which one waits, and which one does not run."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from punctual.core.gates import (
    WAIT_MAX,
    WAIT_MIN,
    Arrival,
    Gate,
    Word,
    arrive,
    arrive_together,
    ending_of_yielded,
    wait_until,
)
from punctual.core.jobs import Overlap
from punctual.core.runs import OPEN, Run, RunState
from tests.support.builders import MINUTE, SECOND, a_job_key, a_run, a_run_key
from tests.support.clock import NINE

RULES = [Overlap.SKIP, Overlap.BUFFER_ONE, Overlap.CANCEL_OTHER]

FIRST, SECOND_RUN, THIRD = (
    a_run(NINE + minute * MINUTE, state=RunState.RUNNING) for minute in range(3)
)


def a_gate(*, holder: Run | None = None, waiting: Run | None = None) -> Gate:
    return Gate(
        job=a_job_key(),
        version="seen",
        holder=holder.key if holder else None,
        waiting=waiting.key if waiting else None,
    )


def waits(run: Run) -> Run:
    """Return the run as it is while it waits at the gate."""
    return replace(a_run(run.scheduled_at, state=RunState.RETRYING), attempt=0, failures=())


def told(
    gate: Gate, run: Run, overlap: Overlap, *others: Run
) -> tuple[Run | None, Run | None, Arrival]:
    """Bring a run to the gate; return who holds it then, who waits, and what the run is told."""
    rows = {each.key: each for each in (*others, run)}
    left, arrival = arrive(gate, run, overlap, rows=rows)
    assert (left.job, left.version) == (gate.job, gate.version)
    holder = rows[left.holder] if left.holder else None
    waiting = rows[left.waiting] if left.waiting else None
    return holder, waiting, arrival


GO = Arrival(word=Word.GO)


@pytest.mark.parametrize("overlap", RULES)
class TestAFreeGate:
    """Nobody is in the way."""

    def test_lets_the_first_run_through(self, overlap: Overlap) -> None:
        assert told(a_gate(), FIRST, overlap) == (FIRST, None, GO)

    def test_lets_the_holder_through_at_each_of_its_attempts(self, overlap: Overlap) -> None:
        assert told(a_gate(holder=FIRST), FIRST, overlap) == (FIRST, None, GO)

    @pytest.mark.parametrize("state", sorted(set(RunState) - OPEN))
    def test_is_one_whose_holder_has_its_outcome(self, overlap: Overlap, state: str) -> None:
        over = a_run(state=state)

        assert told(a_gate(holder=over), SECOND_RUN, overlap, over) == (SECOND_RUN, None, GO)

    def test_is_one_whose_holder_has_no_row(self, overlap: Overlap) -> None:
        left, arrival = arrive(a_gate(holder=FIRST), SECOND_RUN, overlap, rows={})

        assert (left.holder, arrival) == (SECOND_RUN.key, GO)

    def test_lets_the_run_through_that_waited(self, overlap: Overlap) -> None:
        over = a_run(state=RunState.SUCCEEDED)
        gate = a_gate(holder=over, waiting=SECOND_RUN)

        assert told(gate, SECOND_RUN, overlap, over) == (SECOND_RUN, None, GO)

    def test_forgets_a_run_that_waited_and_is_over(self, overlap: Overlap) -> None:
        gone = a_run(state=RunState.CANCELLED)

        assert told(a_gate(waiting=gone), SECOND_RUN, overlap, gone) == (SECOND_RUN, None, GO)


@pytest.mark.parametrize("state", sorted(OPEN))
class TestATakenGate:
    """Whatever the holder is doing: it keeps the gate until it has its outcome."""

    def test_has_the_next_run_skipped(self, state: str) -> None:
        holder = a_run(state=state)

        found = told(a_gate(holder=holder), SECOND_RUN, Overlap.SKIP, holder)

        assert found == (holder, None, Arrival(word=Word.YIELD, behind=holder))

    def test_has_one_run_wait_behind_it(self, state: str) -> None:
        holder = a_run(state=state)

        found = told(a_gate(holder=holder), SECOND_RUN, Overlap.BUFFER_ONE, holder)

        assert found == (holder, SECOND_RUN, Arrival(word=Word.WAIT, behind=holder))

    def test_is_given_up_for_a_later_run(self, state: str) -> None:
        holder = a_run(state=state)

        found = told(a_gate(holder=holder), SECOND_RUN, Overlap.CANCEL_OTHER, holder)

        cancels = Arrival(word=Word.WAIT, behind=holder, cancels=True)
        assert found == (holder, SECOND_RUN, cancels)


class TestBufferOne:
    """One run waits, and is the next."""

    def test_has_a_second_waiting_run_skipped(self) -> None:
        gate = a_gate(holder=FIRST, waiting=SECOND_RUN)

        found = told(gate, THIRD, Overlap.BUFFER_ONE, FIRST, waits(SECOND_RUN))

        assert found == (FIRST, waits(SECOND_RUN), Arrival(word=Word.YIELD, behind=FIRST))

    def test_has_a_run_that_comes_back_wait_on(self) -> None:
        gate = a_gate(holder=FIRST, waiting=SECOND_RUN)

        left, arrival = arrive(
            gate, SECOND_RUN, Overlap.BUFFER_ONE, rows={run.key: run for run in (FIRST, SECOND_RUN)}
        )

        assert (left, arrival.word) == (gate, Word.WAIT)

    def test_gives_the_place_of_one_that_is_over_to_the_next(self) -> None:
        over = a_run(SECOND_RUN.scheduled_at, state=RunState.CANCELLED)

        found = told(a_gate(holder=FIRST, waiting=over), THIRD, Overlap.BUFFER_ONE, FIRST, over)

        assert found == (FIRST, THIRD, Arrival(word=Word.WAIT, behind=FIRST))

    def test_lets_nobody_pass_the_one_that_waits(self) -> None:
        """The holder is over, and the third run comes before the second one looks again."""
        over, second = a_run(state=RunState.SUCCEEDED), waits(SECOND_RUN)
        gate = a_gate(holder=over, waiting=second)

        found = told(gate, THIRD, Overlap.BUFFER_ONE, over, second)

        assert found == (second, THIRD, Arrival(word=Word.WAIT, behind=second))


class TestCancelOther:
    """The run of the latest slot wins, whatever the order in which they come."""

    def test_takes_the_place_of_a_run_that_waits(self) -> None:
        gate = a_gate(holder=FIRST, waiting=SECOND_RUN)

        found = told(gate, THIRD, Overlap.CANCEL_OTHER, FIRST, waits(SECOND_RUN))

        assert found == (FIRST, THIRD, Arrival(word=Word.WAIT, behind=FIRST, cancels=True))

    def test_has_a_run_yield_whose_place_was_taken(self) -> None:
        """It comes back, and neither cancels the later one nor goes on waiting."""
        gate = a_gate(holder=FIRST, waiting=THIRD)

        found = told(gate, SECOND_RUN, Overlap.CANCEL_OTHER, FIRST, waits(THIRD))

        assert found == (FIRST, waits(THIRD), Arrival(word=Word.YIELD, behind=FIRST))

    def test_has_a_run_yield_to_a_later_one_that_is_through(self) -> None:
        found = told(a_gate(holder=THIRD), SECOND_RUN, Overlap.CANCEL_OTHER, THIRD)

        assert found == (THIRD, None, Arrival(word=Word.YIELD, behind=THIRD))

    def test_has_a_run_yield_to_a_later_one_that_waits_before_a_free_gate(self) -> None:
        over, third = a_run(state=RunState.CANCELLED), waits(THIRD)

        found = told(
            a_gate(holder=over, waiting=third), SECOND_RUN, Overlap.CANCEL_OTHER, over, third
        )

        assert found == (third, None, Arrival(word=Word.YIELD, behind=third))

    def test_lets_the_later_run_through_a_free_gate_before_one_that_waits(self) -> None:
        over, second = a_run(state=RunState.CANCELLED), waits(SECOND_RUN)

        found = told(a_gate(holder=over, waiting=second), THIRD, Overlap.CANCEL_OTHER, over, second)

        assert found == (THIRD, None, GO)

    def test_counts_a_later_life_of_the_job_as_later(self) -> None:
        old = a_run(NINE + MINUTE, state=RunState.RUNNING)
        new = a_run(key=a_run_key(incarnation=2), state=RunState.RUNNING)

        _, _, arrival = told(a_gate(holder=old), new, Overlap.CANCEL_OTHER, old)

        assert arrival.cancels


class TestSeveralAtOnce:
    """Runs of one job that one executor has started together."""

    @pytest.mark.parametrize(
        ("overlap", "words"),
        [
            (Overlap.SKIP, [Word.GO, Word.YIELD, Word.YIELD]),
            (Overlap.BUFFER_ONE, [Word.GO, Word.WAIT, Word.YIELD]),
            (Overlap.CANCEL_OTHER, [Word.YIELD, Word.YIELD, Word.GO]),
        ],
    )
    def test_come_to_the_gate_one_after_the_other(
        self, overlap: Overlap, words: list[Word]
    ) -> None:
        runs = [FIRST, SECOND_RUN, THIRD]

        for order in (runs, runs[::-1]):
            _, arrivals = arrive_together(a_gate(), order, overlap, rows={})

            assert [arrivals[run.key].word for run in runs] == words
            assert not any(arrival.cancels for arrival in arrivals.values())


def test_a_run_that_yields_is_skipped_and_one_that_was_called_is_cancelled() -> None:
    """The latter began before its job had the rule."""
    never, once = FIRST, a_run(state=RunState.RUNNING, attempt=2)

    assert ending_of_yielded(never, now=NINE).state is RunState.SKIPPED
    assert ending_of_yielded(once, now=NINE).state is RunState.CANCELLED
    assert ending_of_yielded(never, now=NINE).reason == "overlap"


@pytest.mark.parametrize(
    ("waited", "pause"),
    [
        (timedelta(0), WAIT_MIN),
        (-SECOND, WAIT_MIN),
        (8 * SECOND, 2 * SECOND),
        (10 * MINUTE, WAIT_MAX),
    ],
)
def test_a_wait_is_a_quarter_of_what_has_been_waited_within_bounds_and_spread(
    waited: timedelta, pause: timedelta
) -> None:
    def looks_at(draw: float) -> datetime:
        return wait_until(FIRST, now=NINE + waited, draw=draw)

    assert looks_at(0.5) == NINE + waited + pause
    assert looks_at(0) == NINE + waited + 0.75 * pause
    assert looks_at(0.99) < NINE + waited + 1.25 * pause
