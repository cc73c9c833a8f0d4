"""Targets take long to open, and nobody needs them before the first call."""

import pytest

from punctual.adapters.targets.on_first_call import OnFirstCall
from tests.support.builders import SECOND
from tests.support.calls import a_call
from tests.support.clock import NINE, FakeClock
from tests.support.virtual_targets import ABORTED, OK, QUICK, VirtualTargets


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def opened() -> list[VirtualTargets]:
    """Every set of targets that was opened."""
    return []


@pytest.fixture
def targets(clock: FakeClock, opened: list[VirtualTargets]) -> OnFirstCall:
    def open_targets() -> VirtualTargets:
        opened.append(VirtualTargets(clock))
        return opened[-1]

    return OnFirstCall(open_targets, clock=clock)


def test_they_are_opened_once_and_not_before_the_first_call(
    targets: OnFirstCall, opened: list[VirtualTargets]
) -> None:
    targets.collect(wait=SECOND)
    assert not opened

    first, second = a_call(run_id="first"), a_call(run_id="second")
    targets.launch([first])
    targets.launch([second])

    (the_only_ones,) = opened
    assert the_only_ones.runs == ["first", "second"]


def test_waiting_for_an_answer_takes_its_time_also_where_nothing_was_called(
    targets: OnFirstCall, clock: FakeClock
) -> None:
    """An executor that was let go at once would ask its store again and again."""
    assert not targets.collect(wait=SECOND)

    assert clock.now() == NINE + SECOND


def test_answers_come_from_the_opened_targets(targets: OnFirstCall, clock: FakeClock) -> None:
    call = a_call()

    targets.launch([call])

    assert targets.collect(wait=SECOND) == [(call, OK)]
    assert clock.now() == NINE + QUICK


@pytest.mark.parametrize("leave", [False, True])
def test_a_call_is_closed_where_it_was_launched(
    targets: OnFirstCall, opened: list[VirtualTargets], *, leave: bool
) -> None:
    call = a_call()
    targets.launch([call])

    targets.abort(call, leave=leave)

    assert targets.collect(wait=SECOND) == [(call, ABORTED)]
    assert opened[0].left == ([call] if leave else [])
