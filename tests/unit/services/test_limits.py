"""Jobs that share a limit: never more of their runs at once, or a second, than it says."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from punctual.core.errors import StoreUnavailable
from punctual.core.identity import JobKey
from punctual.core.jobs import Overlap, Policy
from punctual.core.limits import AHEAD, Limit, LimitKey, Usage
from punctual.core.retry import Jitter, RetryPolicy
from punctual.core.runs import Run, RunState
from punctual.services.limits import CROWDED, TRIES
from punctual.services.runs import Stage, stage_of
from tests.support.builders import (
    DAY,
    MINUTE,
    SECOND,
    TENANT,
    TICK,
    a_job,
    a_run,
    a_run_key,
    a_schedule,
)
from tests.support.clock import NINE
from tests.support.deployment import Deployment, a_deployment
from tests.support.mishaps import Calls, every_death
from tests.support.slow_host import SlowHost
from tests.support.virtual_targets import BUSY, HOST_DOWN, OK

CRM = LimitKey(TENANT, "crm-api")
MAIL = LimitKey(TENANT, "mail")
SLOT = NINE + SECOND
ONE = Limit(key="crm-api", max_concurrent=1)
ONCE_MORE = RetryPolicy(max_attempts=2, min_delay=5 * SECOND, jitter=Jitter.NONE)


def share(deployed: Deployment, *limits: Limit, jobs: int, **policy: Any) -> list[Run]:
    """Store jobs with these limits, and hand one run of each over for the same instant."""
    values = {"retry": ONCE_MORE} | policy
    runs = []
    for number in range(jobs):
        job_id = f"job-{number:02}"
        deployed.store(
            a_job(
                job_id,
                schedule=a_schedule(DAY),
                next_slot=NINE + DAY,
                policy=Policy(limits=limits, **values),
            )
        )
        runs.append(a_run(SLOT, key=a_run_key(SLOT, job_id=job_id), max_attempts=2))
    assert all(deployed.engine.runs.insert(runs))
    deployed.send(*(run.key for run in runs))
    return runs


def stand(deployed: Deployment, runs: Sequence[Run]) -> list[Run]:
    """Return the runs as they stand."""
    rows = deployed.engine.runs.read([run.key for run in runs])
    return [rows[run.key] for run in runs]


def usage(deployed: Deployment, limit: LimitKey = CRM) -> Usage:
    return deployed.engine.gates.usages([limit])[limit]


def most_at_once(deployed: Deployment, *, takes: timedelta) -> int:
    """Return how many calls went on at the same time at the most."""
    starts = [at for at, _ in deployed.targets.calls]
    return max(sum(at <= start < at + takes for at in starts) for start in starts)


class TestRunsAtOnce:
    """`max_concurrent`."""

    def test_are_as_many_as_the_limit_says_and_all_of_them_run(self, deployed: Deployment) -> None:
        deployed.targets.manner = lambda _: (OK, 2 * SECOND)
        runs = share(deployed, Limit(key="crm-api", max_concurrent=3), jobs=20)

        SlowHost(deployed).until(NINE + MINUTE)

        assert {run.state for run in stand(deployed, runs)} == {RunState.SUCCEEDED}
        assert most_at_once(deployed, takes=2 * SECOND) == 3
        assert usage(deployed).holders == ()

    def test_that_find_no_room_wait_and_say_for_what(self, deployed: Deployment) -> None:
        deployed.targets.manner = lambda _: (OK, 20 * SECOND)
        runs = share(deployed, ONE, jobs=2)

        SlowHost(deployed).until(NINE + 5 * SECOND)

        called, waiting = stand(deployed, runs)
        assert called.state is RunState.RUNNING
        assert (stage_of(waiting), waiting.attempt) == (Stage.QUEUED, 0)
        assert waiting.reason == "limit: crm-api"

    def test_of_an_attempt_that_failed_leave_the_room_to_others(self, deployed: Deployment) -> None:
        deployed.targets.manner = lambda call: (BUSY if call.attempt == 1 else OK, SECOND)
        first, second = share(deployed, ONE, jobs=2)

        SlowHost(deployed).until(NINE + 30 * SECOND)

        calls = [call.run_id for _, call in deployed.targets.calls]
        assert calls == [first.key.run_id, second.key.run_id] * 2
        assert usage(deployed).holders == ()

    def test_that_were_not_called_leave_too(self, deployed: Deployment) -> None:
        """Their host took no connection, so they are put off for twenty seconds and more."""
        deployed.targets.manner = lambda _: (HOST_DOWN, 100 * TICK)
        share(deployed, ONE, jobs=1)

        SlowHost(deployed).until(NINE + 5 * SECOND)

        assert usage(deployed).holders == ()

    def test_of_an_executor_that_died_do_not_count_for_ever(self, deployed: Deployment) -> None:
        """Nobody struck its attempt off; whoever needs the room does, once the run is over."""
        runs = share(deployed, ONE, jobs=2)
        dying = deployed.at(SLOT).make_execute()
        dying.take(deployed.engine.receive(), lives_until=SLOT + MINUTE)
        deployed.targets.drop()
        dead, waiting = stand(deployed, runs)
        assert [token.run for token in usage(deployed).holders] == [dead.key]

        SlowHost(deployed).until(NINE + MINUTE)
        assert stand(deployed, [waiting])[0].state is RunState.RETRYING
        deployed.at(NINE + 2 * MINUTE).send(dead.key)
        SlowHost(deployed).until(NINE + 3 * MINUTE)

        assert {run.state for run in stand(deployed, runs)} == {RunState.SUCCEEDED}
        assert usage(deployed).holders == ()

    def test_are_bound_by_each_jobs_own_number(self, deployed: Deployment) -> None:
        deployed.targets.manner = lambda _: (OK, 10 * SECOND)
        share(deployed, Limit(key="crm-api", max_concurrent=2), jobs=4)
        SlowHost(deployed).until(NINE + 2 * SECOND)
        assert len(usage(deployed).holders) == 2

        deployed.edit(
            a_schedule(DAY),
            key=JobKey(TENANT, "job-03"),
            limits=(Limit(key="crm-api", max_concurrent=3),),
        )
        SlowHost(deployed).until(NINE + 6 * SECOND)

        assert len(usage(deployed).holders) == 3

    def test_are_let_into_both_limits_or_into_none(self, deployed: Deployment) -> None:
        deployed.targets.manner = lambda _: (OK, 10 * SECOND)
        share(deployed, ONE, Limit(key="mail", max_concurrent=5), jobs=3)

        SlowHost(deployed).until(NINE + 5 * SECOND)

        assert usage(deployed).holders == usage(deployed, MAIL).holders
        assert len(usage(deployed).holders) == 1

    def test_keep_the_gate_while_they_wait_for_room(self, deployed: Deployment) -> None:
        deployed.targets.manner = lambda _: (OK, 10 * SECOND)
        _, waiting = share(deployed, ONE, jobs=2, overlap=Overlap.SKIP)
        later = a_run_key(SLOT + 3 * SECOND, job_id=waiting.key.job.job_id)
        deployed.engine.runs.insert([a_run(SLOT + 3 * SECOND, key=later)])
        deployed.send(later)

        SlowHost(deployed).until(NINE + 30 * SECOND)

        assert stand(deployed, [waiting])[0].state is RunState.SUCCEEDED
        skipped = deployed.run(later)
        assert skipped is not None
        assert (skipped.state, skipped.reason) == (RunState.SKIPPED, "overlap")


class TestStartsASecond:
    """`rate_per_second`."""

    def test_are_spaced_by_the_rate_and_none_is_lost(self, deployed: Deployment) -> None:
        runs = share(deployed, Limit(key="crm-api", rate_per_second=5), jobs=30)

        SlowHost(deployed).until(NINE + MINUTE)

        assert {run.state for run in stand(deployed, runs)} == {RunState.SUCCEEDED}
        starts = [at for at, _ in deployed.targets.calls]
        assert all(later - earlier >= 200 * TICK for earlier, later in pairwise(starts))
        assert starts[10] - starts[0] == AHEAD
        assert starts[-1] - starts[0] <= 10 * SECOND

    def test_that_are_reserved_are_not_called_early_and_can_be_let_go(
        self, deployed: Deployment
    ) -> None:
        """The second one's time is half a second away; its executor's life ends before."""
        share(deployed, Limit(key="crm-api", rate_per_second=2), jobs=2)
        executor = deployed.at(SLOT).make_execute()

        executor(
            deployed.engine.receive(),
            deadline=SLOT,
            lives_until=SLOT + SECOND + 400 * TICK,
        )

        assert [at for at, _ in deployed.targets.calls] == [SLOT]
        assert executor.busy == 0


class Crowd:
    """A gate store in which others come and go between each reading and writing of one limit."""

    def __init__(self, gates: Any, *, limit: LimitKey, times: int) -> None:
        self._gates = gates
        self._limit = limit
        self.times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gates, name)

    def put(self, records: Sequence[Any], *, versions: Sequence[str]) -> Sequence[bool]:
        """See `GateStore.put`."""
        if self.times:
            self.times -= 1
            (seen,) = self._gates.usages([self._limit]).values()
            assert self._gates.put([seen], versions=[f"other-{self.times}"]) == [True]
        stood: Sequence[bool] = self._gates.put(records, versions=versions)
        return stood


class Unwritable:
    """A gate store that is out of reach once something was written to it."""

    def __init__(self, gates: Any) -> None:
        self._gates = gates
        self._written = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gates, name)

    def put(self, records: Sequence[Any], *, versions: Sequence[str]) -> Sequence[bool]:
        """See `GateStore.put`."""
        if self._written:
            raise StoreUnavailable("there was no answer")
        self._written = True
        stood: Sequence[bool] = self._gates.put(records, versions=versions)
        return stood


def test_a_run_that_got_into_one_of_two_limits_gives_it_back(deployed: Deployment) -> None:
    """And comes in again: whoever wrote at the same time kept it out, not the limit."""
    deployed.replaced["gates"] = Crowd(deployed.engine.gates, limit=MAIL, times=1)
    runs = share(deployed, ONE, Limit(key="mail", max_concurrent=1), jobs=1)

    deployed.at(SLOT).execute()

    assert stand(deployed, runs)[0].state is RunState.SUCCEEDED
    assert usage(deployed).holders == usage(deployed, MAIL).holders == ()


def test_a_run_waits_where_others_write_all_the_time(deployed: Deployment) -> None:
    deployed.replaced["gates"] = Crowd(deployed.engine.gates, limit=CRM, times=TRIES)
    runs = share(deployed, ONE, jobs=1)

    deployed.at(SLOT).execute()

    (waiting,) = stand(deployed, runs)
    assert (waiting.reason, waiting.retry_at) == ("limit: crm-api", SLOT + CROWDED)


def test_an_attempt_that_could_not_be_struck_off_is_out_all_the_same(
    deployed: Deployment,
) -> None:
    """Nothing is repeated for its sake: who needs the room finds that the run is over."""
    first, second = share(deployed, ONE, jobs=2)
    one, other = deployed.at(SLOT).engine.receive()
    deployed.replaced["gates"] = Unwritable(deployed.engine.gates)
    deployed.execute([one])
    assert stand(deployed, [first])[0].state is RunState.SUCCEEDED
    assert len(usage(deployed).holders) == 1

    del deployed.replaced["gates"]
    deployed.execute([other])

    assert stand(deployed, [second])[0].state is RunState.SUCCEEDED
    assert usage(deployed).holders == ()


def test_wherever_an_executor_dies_every_run_is_called_and_nobody_is_left_in(
    tmp_path: Path,
) -> None:
    deaths = 0

    def story(calls: Calls) -> None:
        with a_deployment(tmp_path, calls=calls) as deployed:
            with calls.uncounted():
                runs = share(deployed, ONE, jobs=3)
            deployed.carry_out(deployed.at(SLOT).engine.receive())
            assert {run.state for run in stand(deployed, runs)} == {RunState.SUCCEEDED}
            in_now = usage(deployed).holders
            rows = deployed.engine.runs.read([token.run for token in in_now])
            assert not any(rows[token.run].held_by(token.owner) for token in in_now)

    for _ in every_death(story):
        deaths += 1
    assert deaths >= 20
