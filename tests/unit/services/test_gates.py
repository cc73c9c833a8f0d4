"""Runs of one job beside each other: what becomes of each under every rule, whatever happens."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from punctual.core.execution import LEASE_MARGIN
from punctual.core.gates import Gate
from punctual.core.jobs import Overlap, Policy
from punctual.core.retry import Jitter, RetryPolicy
from punctual.core.runs import Run, RunState, Start
from punctual.ports import GateStore
from punctual.services.gates import CROWDED, TRIES
from punctual.services.runs import Stage, stage_of
from tests.support.builders import DAY, MINUTE, SECOND, TICK, a_job, a_run, a_run_key, a_schedule
from tests.support.clock import NINE
from tests.support.deployment import JOB, Deployment, a_deployment
from tests.support.mishaps import Calls, Flaky, every_death
from tests.support.slow_host import SlowHost
from tests.support.virtual_targets import BUSY, OK

GATED = [Overlap.SKIP, Overlap.BUFFER_ONE, Overlap.CANCEL_OTHER]
CALLED = {RunState.SUCCEEDED, RunState.CANCELLED}
PATIENT = RetryPolicy(max_attempts=3, min_delay=2 * SECOND, multiplier=1, jitter=Jitter.NONE)


def each_second(
    deployed: Deployment, overlap: Overlap, *, takes: timedelta, seconds: int
) -> list[Run]:
    """Carry out a job of one run a second whose calls take so long; return its first runs."""
    deployed.targets.manner = lambda _: (OK, takes)
    deployed.create(a_schedule(SECOND, anchor=NINE + SECOND), overlap=overlap)
    SlowHost(deployed).until(NINE + seconds * SECOND + 999 * TICK)
    return deployed.runs()[:seconds]


def a_rare_job(deployed: Deployment, overlap: Overlap, **policy: Any) -> None:
    """Store a job that hands nothing over while a test lasts."""
    deployed.store(
        a_job(
            schedule=a_schedule(DAY),
            next_slot=NINE + DAY,
            policy=Policy(overlap=overlap, retry=PATIENT, **policy),
        )
    )


def hand_over(deployed: Deployment, *seconds: int) -> list[Run]:
    """Hand over the runs of these seconds after nine, each at its slot."""
    runs = [a_run(NINE + second * SECOND, max_attempts=3) for second in seconds]
    assert all(deployed.engine.runs.insert(runs))
    deployed.send(*(run.key for run in runs))
    return runs


def run_of(deployed: Deployment, second: int) -> Run:
    run = deployed.run(a_run_key(NINE + second * SECOND))
    assert run is not None
    return run


def calls_of(deployed: Deployment) -> list[tuple[int, str]]:
    """Return every call as the second after nine, and that of its run's slot."""
    return [
        (round((at - NINE).total_seconds()), call.run_id[-4:-1])
        for at, call in deployed.targets.calls
    ]


class TestARunOfASecond:
    """A job of one run each second, whose calls take longer than that."""

    def test_runs_beside_others_where_that_is_allowed(self, deployed: Deployment) -> None:
        runs = each_second(deployed, Overlap.ALLOW, takes=2500 * TICK, seconds=9)

        assert [run.starts for run in runs] == [(run.scheduled_at,) for run in runs]

    def test_is_skipped_while_another_one_goes_on(self, deployed: Deployment) -> None:
        runs = each_second(deployed, Overlap.SKIP, takes=2500 * TICK, seconds=9)

        skipped = (RunState.SKIPPED, "overlap")
        expected = [(RunState.SUCCEEDED, None), skipped, skipped] * 3
        assert [(run.state, run.reason) for run in runs] == expected
        assert [at for at, _ in calls_of(deployed)] == [1, 4, 7]

    def test_is_kept_for_later_if_none_is(self, deployed: Deployment) -> None:
        runs = each_second(deployed, Overlap.BUFFER_ONE, takes=2500 * TICK, seconds=12)

        states = [run.state for run in runs]
        assert states[:10] == [
            RunState.SUCCEEDED,
            RunState.SUCCEEDED,
            RunState.SKIPPED,
            RunState.SUCCEEDED,
            RunState.SKIPPED,
            RunState.SKIPPED,
            RunState.SUCCEEDED,
            RunState.SKIPPED,
            RunState.SKIPPED,
            RunState.RETRYING,
        ]
        assert calls_of(deployed) == [(1, "001"), (4, "002"), (7, "004"), (10, "007")]

    def test_has_the_one_before_it_cancelled(self, deployed: Deployment) -> None:
        """Each is stopped at the next poll of its executor; of those in between the last runs."""
        runs = each_second(deployed, Overlap.CANCEL_OTHER, takes=10 * SECOND, seconds=9)

        stopped, yielded = (RunState.CANCELLED, "overlap"), (RunState.SKIPPED, "overlap")
        expected = [stopped, *[yielded] * 3, stopped, *[yielded] * 2]
        assert [(run.state, run.reason) for run in runs[:7]] == expected
        assert [slot for _, slot in calls_of(deployed)] == ["001", "005", "009"]
        assert len(deployed.targets.aborted) == 2

    @pytest.mark.parametrize("overlap", GATED)
    def test_is_never_called_beside_another_one(
        self, deployed: Deployment, overlap: Overlap
    ) -> None:
        runs = each_second(deployed, overlap, takes=2500 * TICK, seconds=60)

        ended = [(r.starts[0], r.finished_at) for r in runs if r.state in CALLED and r.finished_at]
        assert len(ended) >= 15
        assert all(end <= start for (_, end), (start, _) in pairwise(sorted(ended)))


class TestARunThatWaits:
    """It was started, found another one going on, and was never called."""

    @pytest.fixture
    def host(self, deployed: Deployment) -> SlowHost:
        """The run of the first second is called for twenty, and that of the next one waits."""
        a_rare_job(deployed, Overlap.BUFFER_ONE, start_deadline=10 * SECOND)
        hand_over(deployed, 1, 2)
        deployed.targets.manner = lambda _: (OK, 20 * SECOND)
        host = SlowHost(deployed)
        host.until(NINE + 4 * SECOND + 500 * TICK)
        return host

    @pytest.mark.usefixtures("host")
    def test_is_queued_to_its_users_and_says_for_whom_it_waits(self, deployed: Deployment) -> None:
        waiting = run_of(deployed, 2)

        assert (stage_of(waiting), waiting.attempt, waiting.starts) == (Stage.QUEUED, 0, ())
        assert waiting.reason == f"overlap: waits for {run_of(deployed, 1).key.run_id}"

    def test_runs_soon_after_the_other_one_ended(
        self, deployed: Deployment, host: SlowHost
    ) -> None:
        deployed.edit(a_schedule(DAY), overlap=Overlap.BUFFER_ONE, start_deadline=MINUTE)

        host.until(NINE + MINUTE)

        assert run_of(deployed, 2).state is RunState.SUCCEEDED
        ended, started = run_of(deployed, 1).finished_at, run_of(deployed, 2).starts[0]
        assert ended is not None
        assert timedelta(0) <= started - ended <= 6 * SECOND

    def test_is_missed_once_its_start_deadline_is_past(
        self, deployed: Deployment, host: SlowHost
    ) -> None:
        host.until(NINE + MINUTE)

        waiting = run_of(deployed, 2)
        assert (waiting.state, waiting.reason) == (RunState.MISSED, "deadline")
        assert len(deployed.targets.calls) == 1

    def test_does_not_run_once_its_job_is_paused(
        self, deployed: Deployment, host: SlowHost
    ) -> None:
        deployed.pause()

        host.until(NINE + MINUTE)

        waiting = run_of(deployed, 2)
        assert (waiting.state, waiting.reason) == (RunState.SKIPPED, "paused")

    def test_does_not_run_once_its_job_is_deleted(
        self, deployed: Deployment, host: SlowHost
    ) -> None:
        deployed.delete()

        host.until(NINE + MINUTE)

        waiting = run_of(deployed, 2)
        assert (waiting.state, waiting.reason) == (RunState.CANCELLED, "deleted")

    def test_runs_at_once_when_its_job_has_no_rule_any_more(
        self, deployed: Deployment, host: SlowHost
    ) -> None:
        deployed.edit(a_schedule(DAY), overlap=Overlap.ALLOW)

        host.until(NINE + 7 * SECOND)

        assert run_of(deployed, 1).state is run_of(deployed, 2).state is RunState.RUNNING

    def test_makes_room_for_another_one_when_it_is_cancelled(
        self, deployed: Deployment, host: SlowHost
    ) -> None:
        deployed.cancel(run_of(deployed, 2).key)
        hand_over(deployed, 5)

        host.until(NINE + 6 * SECOND)

        assert run_of(deployed, 2).state is RunState.CANCELLED
        assert stage_of(run_of(deployed, 5)) is Stage.QUEUED
        assert run_of(deployed, 5).reason is not None


class TestTheHolder:
    """A run that went through keeps the gate until it has its outcome."""

    def test_keeps_it_while_it_waits_for_another_attempt(self, deployed: Deployment) -> None:
        a_rare_job(deployed, Overlap.SKIP)
        hand_over(deployed, 1, 2, 3, 4)
        deployed.targets.manner = lambda call: (BUSY if call.attempt == 1 else OK, SECOND)

        SlowHost(deployed).until(NINE + 10 * SECOND)

        states = [run.state for run in deployed.runs()]
        assert states == [RunState.SUCCEEDED, *[RunState.SKIPPED] * 3]
        assert calls_of(deployed) == [(1, "001"), (4, "001")]

    def test_is_stopped_for_good_between_its_attempts(self, deployed: Deployment) -> None:
        a_rare_job(deployed, Overlap.CANCEL_OTHER)
        hand_over(deployed, 1, 3)
        deployed.targets.manner = lambda _: (BUSY, 500 * TICK)

        SlowHost(deployed).until(NINE + 3 * SECOND + 200 * TICK)

        first = run_of(deployed, 1)
        assert (first.state, first.reason, first.attempt) == (RunState.CANCELLED, "overlap", 1)

    def test_that_died_keeps_others_out_until_that_is_certain(self, deployed: Deployment) -> None:
        a_rare_job(deployed, Overlap.BUFFER_ONE)
        dead, waiting = hand_over(deployed, 1, 2)
        executor = deployed.at(NINE + SECOND).make_execute()
        executor.take(deployed.engine.receive(), lives_until=NINE + 20 * SECOND)
        deployed.targets.drop()
        SlowHost(deployed).until(NINE + 20 * SECOND + LEASE_MARGIN)
        assert [run.state for run in deployed.runs()] == [RunState.RUNNING, RunState.RETRYING]

        deployed.send(dead.key)
        SlowHost(deployed).until(NINE + MINUTE)

        assert [run.state for run in deployed.runs()] == [RunState.SUCCEEDED] * 2
        assert [slot for _, slot in calls_of(deployed)] == ["001", "001", "002"]
        assert run_of(deployed, 1).attempt == 2
        assert waiting.key.run_id.endswith("002Z")

    @pytest.mark.parametrize("overlap", GATED)
    def test_that_is_gone_is_in_nobodys_way(self, deployed: Deployment, overlap: Overlap) -> None:
        """Its row was taken back, or has expired."""
        a_rare_job(deployed, overlap)
        gate = Gate(job=JOB, holder=a_run_key(name="m.gone"), waiting=a_run_key(name="m.too"))
        deployed.engine.gates.put([gate], versions=["old"])
        hand_over(deployed, 1)

        SlowHost(deployed).until(NINE + 2 * SECOND)

        assert run_of(deployed, 1).state is RunState.SUCCEEDED


class Crowd:
    """A gate store where others write each record between its reading and its writing."""

    def __init__(self, gates: GateStore, *, times: int) -> None:
        self._gates = gates
        self.times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gates, name)

    def put(self, records: Sequence[Any], *, versions: Sequence[str]) -> Sequence[bool]:
        """See `GateStore.put`."""
        if self.times:
            self.times -= 1
            (gate,) = self._gates.gates([JOB]).values()
            assert self._gates.put([gate], versions=[f"other-{self.times}"]) == [True]
        return self._gates.put(records, versions=versions)


class TestOthersAtTheGate:
    """What the gate says is decided on what is written, not on what was read."""

    @pytest.mark.parametrize("times", [1, TRIES - 1])
    def test_are_met_again_until_the_gate_stands_as_it_was_read(
        self, deployed: Deployment, times: int
    ) -> None:
        a_rare_job(deployed, Overlap.SKIP)
        deployed.replaced["gates"] = Crowd(deployed.engine.gates, times=times)
        hand_over(deployed, 1)

        deployed.at(NINE + SECOND).execute()

        assert run_of(deployed, 1).state is RunState.SUCCEEDED

    def test_have_a_run_wait_when_it_never_does(self, deployed: Deployment) -> None:
        a_rare_job(deployed, Overlap.SKIP)
        deployed.replaced["gates"] = Crowd(deployed.engine.gates, times=TRIES)
        hand_over(deployed, 1)

        deployed.at(NINE + SECOND).execute()

        waiting = run_of(deployed, 1)
        assert (stage_of(waiting), waiting.retry_at) == (Stage.QUEUED, NINE + SECOND + CROWDED)
        assert deployed.targets.calls == []

    def test_cannot_take_a_holder_for_gone_that_came_back(self, deployed: Deployment) -> None:
        """A thief has read that the holder's row is gone; before it writes, the row is back."""
        a_rare_job(deployed, Overlap.SKIP)
        holder = hand_over(deployed, 1)[0]
        deployed.engine.gates.put([Gate(job=JOB, holder=holder.key)], versions=["seen"])
        deployed.targets.manner = lambda _: (OK, MINUTE)
        SlowHost(deployed).until(NINE + 2 * SECOND)
        assert run_of(deployed, 1).state is RunState.RUNNING

        theft = Gate(job=JOB, version="seen", holder=a_run_key(NINE + 2 * SECOND))

        assert deployed.engine.gates.put([theft], versions=["mine"]) == [False]


def test_a_store_that_fails_at_the_gate_is_asked_again(deployed: Deployment) -> None:
    a_rare_job(deployed, Overlap.SKIP)
    deployed.replaced["gates"] = Flaky(deployed.engine.gates, gates=2)
    hand_over(deployed, 1)

    deployed.at(NINE + SECOND).execute()

    assert run_of(deployed, 1).state is RunState.SUCCEEDED
    assert run_of(deployed, 1).attempt == 1


class LostAnswers:
    """A gate store that writes and does not say so, a few times."""

    def __init__(self, gates: GateStore, *, times: int) -> None:
        self._gates = gates
        self.times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gates, name)

    def put(self, records: Sequence[Any], *, versions: Sequence[str]) -> Sequence[bool]:
        """See `GateStore.put`."""
        stands = self._gates.put(records, versions=versions)
        if self.times:
            self.times -= 1
            return [False] * len(records)
        return stands


def test_a_gate_whose_answer_was_lost_was_passed(deployed: Deployment) -> None:
    a_rare_job(deployed, Overlap.SKIP)
    deployed.replaced["gates"] = LostAnswers(deployed.engine.gates, times=1)
    hand_over(deployed, 1, 2)

    deployed.at(NINE + 2 * SECOND).execute()

    assert deployed.calls.made.count("gates.put") == 1
    assert [run.state for run in deployed.runs()] == [RunState.SUCCEEDED, RunState.SKIPPED]


def test_a_job_without_a_rule_asks_no_gate(deployed: Deployment) -> None:
    a_rare_job(deployed, Overlap.ALLOW)
    hand_over(deployed, 1)

    deployed.at(NINE + SECOND).execute()

    assert not [call for call in deployed.calls.made if call.startswith("gates.")]


@pytest.mark.parametrize("overlap", GATED)
def test_wherever_an_executor_dies_both_runs_have_an_outcome_and_are_called_in_turn(
    tmp_path: Path, overlap: Overlap
) -> None:
    deaths = 0

    def story(calls: Calls) -> None:
        with a_deployment(tmp_path, calls=calls) as deployed:
            with calls.uncounted():
                a_rare_job(deployed, overlap)
                for number in (1, 2):
                    deployed.engine.runs.insert([a_run(NINE + number * SECOND, max_attempts=3)])
            first, second = (a_run_key(NINE + number * SECOND) for number in (1, 2))
            now = NINE + 5 * SECOND
            start = Start(key=first, owner="other", now=now, lease_until=now + 30 * SECOND)
            deployed.engine.runs.move([start])
            deployed.engine.gates.put([Gate(job=JOB, holder=first)], versions=["other"])
            deployed.at(now).send(second, first)
            deployed.carry_out(deployed.engine.receive())
            states = {key: (run := deployed.run(key)) and run.state for key in (first, second)}
            match overlap:
                case Overlap.BUFFER_ONE:
                    assert states == {first: RunState.SUCCEEDED, second: RunState.SUCCEEDED}
                case Overlap.CANCEL_OTHER:
                    # After a death the first may be taken over, and over before it is stopped.
                    assert states[first] in CALLED
                    assert states[second] is RunState.SUCCEEDED
                case _:
                    # After a death the second run may come when the first has ended.
                    assert states[first] is RunState.SUCCEEDED
                    assert states[second] in {RunState.SKIPPED, *CALLED}

    for _ in every_death(story):
        deaths += 1
    assert deaths >= 20
