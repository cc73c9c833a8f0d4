"""A slot that is left out does not run, whoever hands it over and whoever dies meanwhile."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest

from punctual.core.errors import Conflict, JobNotFound, RunNotFound, StoreUnavailable
from punctual.core.runs import HISTORY_KEPT, Run, RunState
from punctual.core.schedules import At, Schedule
from tests.support.builders import HOUR, MINUTE, SECOND, TICK, a_run_key, a_schedule
from tests.support.clock import NINE
from tests.support.deployment import JOB, Deployment, a_deployment
from tests.support.mishaps import Calls, Died, Flaky, every_death

NEAR = NINE + 2 * MINUTE
FAR = NINE + 30 * MINUTE


def skip(deployed: Deployment, slot: datetime) -> Run:
    return deployed.make_skipping()(JOB, slot)


def called(deployed: Deployment) -> list[str]:
    return deployed.targets.runs


@pytest.mark.parametrize("slot", [NEAR, FAR], ids=["handed over", "to be handed over"])
def test_a_slot_that_is_left_out_does_not_run_and_all_others_do(
    deployed: Deployment, slot: datetime
) -> None:
    deployed.create(a_schedule())
    assert (deployed.run(a_run_key(slot)) is not None) == (slot == NEAR)

    run = skip(deployed, slot)

    assert (run.state, run.reason, run.scheduled_at) == (RunState.SKIPPED, "skip", slot)
    assert run == deployed.run(a_run_key(slot))
    deployed.run_until(NINE + HOUR)
    slots = [NINE + number * MINUTE for number in range(1, 60)]
    assert called(deployed) == [a_run_key(s).run_id for s in slots if s != slot]
    assert deployed.run(a_run_key(slot)) == run


def test_it_is_one_of_max_runs(deployed: Deployment) -> None:
    deployed.create(a_schedule(max_runs=12))
    skip(deployed, NEAR)
    skip(deployed, NINE + 12 * MINUTE)

    deployed.run_until(NINE + HOUR)

    assert len(called(deployed)) == 10
    assert len(deployed.runs()) == 12


def test_doing_it_twice_is_fine(deployed: Deployment) -> None:
    deployed.create(a_schedule())
    first = [skip(deployed, slot) for slot in (NEAR, FAR)]
    deployed.engine.clock.advance(SECOND)

    assert [skip(deployed, slot) for slot in (NEAR, FAR)] == first


def test_it_is_remembered_as_long_as_a_run(deployed: Deployment) -> None:
    deployed.create(a_schedule())

    assert skip(deployed, FAR).expires_at == FAR + HISTORY_KEPT


def test_a_slot_of_a_pause_can_be_left_out_before_it_ends(deployed: Deployment) -> None:
    deployed.create(a_schedule())
    deployed.pause()
    skip(deployed, NEAR)
    skip(deployed, FAR)
    deployed.run_until(NINE + 5 * MINUTE)

    deployed.resume()
    deployed.run_until(NINE + HOUR)

    assert len(called(deployed)) == 57
    assert {s for s, state in deployed.states().items() if state is RunState.SKIPPED} == {NEAR, FAR}


def test_the_only_slot_of_a_job_can_be_left_out(deployed: Deployment) -> None:
    deployed.create(Schedule(rule=At(at=NEAR)))
    skip(deployed, NEAR)

    deployed.run_until(NINE + HOUR)

    assert called(deployed) == []


@pytest.mark.parametrize(
    "slot", [NINE, NINE + SECOND, NEAR + TICK, NINE - MINUTE, NINE + 41 * MINUTE]
)
def test_what_is_no_slot_to_come_is_not_found(deployed: Deployment, slot: datetime) -> None:
    deployed.create(a_schedule(max_runs=40))

    with pytest.raises(RunNotFound):
        skip(deployed, slot)

    assert skip(deployed, NINE + 40 * MINUTE).state is RunState.SKIPPED


def test_what_ended_has_no_slot_to_come(deployed: Deployment) -> None:
    deployed.create(a_schedule(end_at=NEAR))

    with pytest.raises(RunNotFound):
        skip(deployed, NEAR + MINUTE)


def test_a_slot_that_was_cancelled_keeps_its_outcome(deployed: Deployment) -> None:
    deployed.create(a_schedule())
    deployed.cancel(a_run_key(NEAR))

    with pytest.raises(Conflict, match="cancelled already"):
        skip(deployed, NEAR)


def test_a_slot_whose_run_began_is_not_left_out(deployed: Deployment) -> None:
    """By the clock of an executor that is ahead of the one that is asked."""
    deployed.create(a_schedule())
    deployed.at(NEAR).execute()

    with pytest.raises(Conflict, match="succeeded already"):
        skip(deployed.at(NEAR - SECOND), NEAR)


def test_a_job_that_is_deleted_has_no_slot(deployed: Deployment) -> None:
    deployed.create(a_schedule())
    deployed.delete()

    with pytest.raises(JobNotFound):
        skip(deployed, NEAR)


@pytest.mark.parametrize(
    ("port", "fails"), [("watch_list", {"add": {0}}), ("runs", {"insert": {0}})]
)
def test_where_the_store_gives_no_answer_the_slot_runs_until_it_is_asked_again(
    deployed: Deployment, port: str, fails: dict[str, object]
) -> None:
    deployed.create(a_schedule())
    deployed.replaced[port] = Flaky(getattr(deployed.engine, port), **fails)
    with pytest.raises(StoreUnavailable):
        skip(deployed, FAR)
    del deployed.replaced[port]

    deployed.run_until(NINE + HOUR)

    assert len(called(deployed)) == 59


@pytest.mark.parametrize("slot", [NEAR, FAR], ids=["handed over", "to be handed over"])
def test_whoever_dies_where_the_slot_is_left_out_and_accounted_for_once(
    tmp_path: Path, slot: datetime
) -> None:
    """The API dies at every call in turn; its client asks again, at once or never."""
    ends: set[tuple[bool, RunState]] = set()

    def story(calls: Calls, *, again: bool) -> None:
        with a_deployment(tmp_path, calls=calls) as deployed:
            with calls.uncounted():
                deployed.create(a_schedule())
            answered = False
            with suppress(Died):
                skip(deployed, slot)
                answered = True
            with calls.uncounted():
                if again:
                    skip(deployed, slot)
                deployed.run_until(NINE + HOUR)
                states = deployed.states()
                assert len(states) >= 59
                assert len(called(deployed)) == len(set(called(deployed)))
                is_called = a_run_key(slot).run_id in called(deployed)
                assert is_called == (states[slot] is RunState.SUCCEEDED)
                assert not is_called or not (again or answered)
                assert {state for s, state in states.items() if NINE < s < NINE + HOUR} <= {
                    RunState.SUCCEEDED,
                    RunState.SKIPPED,
                }
                ends.add((again, states[slot]))

    for again in (True, False):
        deaths = list(every_death(lambda calls, again=again: story(calls, again=again)))  # type: ignore[misc]
        assert any("runs.move" in death for death in deaths)

    assert ends >= {
        (True, RunState.SKIPPED),
        (False, RunState.SKIPPED),
        (False, RunState.SUCCEEDED),
    }
