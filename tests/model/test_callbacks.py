"""A slot whose target reports back: every history keeps the promises, and two breaches do not.

A lease that ends with its executor lets two attempts live; a report that asks for no owner ends
somebody else's.
"""

import pytest

from punctual.core.runs import Finish, Move, Run, RunState, permits
from tests.model.callbacks import OneSlotReporting
from tests.model.checker import explore
from tests.model.one_slot import Faults, Protocol

CALM = Faults(0, 0, 0, 0, 0, 0, 0)


def test_one_slot_ends_in_one_outcome_whatever_its_target_reports() -> None:
    """An executor dies, or the target falls silent."""
    verdict = explore(OneSlotReporting(faults=CALM._replace(executor_dies=1)))

    assert verdict.wrong is None, str(verdict)


@pytest.mark.nightly
@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(CALM._replace(executor_dies=1, message_lost=1), id="and a message is lost"),
        pytest.param(CALM._replace(executor_dies=1, cancel=1), id="and the run is cancelled"),
        pytest.param(CALM._replace(executor_dies=1, delete=1), id="and the job is deleted"),
    ],
)
def test_one_slot_ends_in_one_outcome_under_more_faults_at_once(faults: Faults) -> None:
    verdict = explore(OneSlotReporting(faults=faults))

    assert verdict.wrong is None, str(verdict)


def _ignores_the_owner(move: Move, run: Run) -> bool:
    if isinstance(move, Finish):
        return run.state is RunState.RUNNING
    return permits(move, run)


def test_a_lease_that_ends_with_its_executor_lets_two_attempts_live() -> None:
    model = OneSlotReporting(faults=CALM, outlives=lambda _: False)

    assert explore(model).wrong == "two attempts are live at a time"


def test_a_report_that_asks_for_no_owner_ends_somebody_elses_attempt() -> None:
    protocol = Protocol(permits=_ignores_the_owner)

    verdict = explore(OneSlotReporting(protocol, CALM._replace(executor_dies=1)))

    assert verdict.wrong == "an outcome was written while an attempt was live"
