"""One slot of one job: every history keeps the promises, and each breach of the protocol shows.

The rows, the conditions of their moves and the decisions are the production code's own. What is
modelled is who may do what in which order, and what may go wrong in between.
"""

import pytest

from punctual.core.runs import Finish, Move, Run, RunState, Start, permits
from tests.model.checker import explore
from tests.model.one_slot import Faults, OneSlot, Protocol


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(Faults(late_write=0, stale_visit=0), id="deaths, a loss, a cancel, a delete"),
        pytest.param(
            Faults(cancel=0, message_lost=0, stale_visit=0), id="deaths, a late write, a delete"
        ),
        pytest.param(
            Faults(delete=0, message_lost=0, visit_dies=0), id="two visits, a late write, a cancel"
        ),
    ],
)
def test_one_slot_ends_in_one_outcome_whatever_happens(faults: Faults) -> None:
    verdict = explore(OneSlot(faults=faults))

    assert verdict.wrong is None, str(verdict)


@pytest.mark.nightly
@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(Faults(late_write=0), id="everything but late writes"),
        pytest.param(Faults(cancel=0, message_lost=0), id="two visits, a late write, a delete"),
        pytest.param(Faults(delete=0, message_lost=0), id="two visits, a late write, a cancel"),
    ],
)
def test_one_slot_ends_in_one_outcome_under_more_faults_at_once(faults: Faults) -> None:
    verdict = explore(OneSlot(faults=faults))

    assert verdict.wrong is None, str(verdict)


def _steals(move: Move, run: Run) -> bool:
    if isinstance(move, Start) and run.state is RunState.RUNNING:
        return run.attempt < run.max_attempts and run.cancel_requested_at is None
    return permits(move, run)


def _ignores_the_owner(move: Move, run: Run) -> bool:
    if isinstance(move, Finish):
        return run.state is RunState.RUNNING
    return permits(move, run)


@pytest.mark.parametrize(
    ("protocol", "faults", "wrong"),
    [
        pytest.param(
            Protocol(start_first=False),
            Faults(late_write=0, stale_visit=0),
            "a call was made by an attempt that began after DELETE returned",
            id="the job is read before the start",
        ),
        pytest.param(
            Protocol(visit=("insert", "watch", "send", "claim")),
            Faults(),
            "a run without an outcome is neither watched nor due",
            id="the rows come before the watch",
        ),
        pytest.param(
            Protocol(visit=("claim", "watch", "insert", "send")),
            Faults(late_write=0, stale_visit=0, cancel=0, delete=0),
            "stuck: nothing that must happen leads to an outcome",
            id="the claim comes first",
        ),
        pytest.param(
            Protocol(watches=False),
            Faults(late_write=0, stale_visit=0, cancel=0, delete=0),
            "stuck: nothing that must happen leads to an outcome",
            id="nobody looks again, and the queue loses a message",
        ),
        pytest.param(
            Protocol(permits=_steals),
            Faults(),
            "two attempts are live at a time",
            id="a live lease is taken over",
        ),
        pytest.param(
            Protocol(permits=_ignores_the_owner),
            Faults(),
            "an outcome was written while an attempt was live",
            id="the finish asks for no owner",
        ),
    ],
)
def test_each_breach_of_the_protocol_breaks_a_promise(
    protocol: Protocol, faults: Faults, wrong: str
) -> None:
    assert explore(OneSlot(protocol, faults)).wrong == wrong
