"""What overlap rules and limits cost: write units of an executor's part, run by run.

What hands a run over is the same for every job, so only start, rules and outcome are counted. Runs
are carried out one after the other: those of a batch that share a limit share its writes.
"""

from datetime import timedelta

import pytest

from punctual.core.jobs import Overlap, Policy
from punctual.core.limits import Limit
from tests.emulator.test_capacity import billed
from tests.support.builders import DAY, SECOND, a_job, a_run, a_run_key, a_schedule
from tests.support.clock import NINE, FakeClock
from tests.support.deployment import Deployment
from tests.support.engines import Engine
from tests.support.virtual_targets import BUSY, OK, VirtualTargets

pytestmark = pytest.mark.emulator

RUNS = 6

ROOM = Limit(key="crm-api", max_concurrent=20)
RATE = Limit(key="crm-api", rate_per_second=10)
BOTH = Limit(key="crm-api", max_concurrent=20, rate_per_second=10)
MORE_ROOM = Limit(key="mail", max_concurrent=20)


def share(engine: Engine, policy: Policy, *, jobs: int) -> Deployment:
    """Store jobs of one policy, and hand a run of each over."""
    assert isinstance(engine.clock, FakeClock)
    deployed = Deployment(engine=engine, targets=VirtualTargets(engine.clock))
    for number in range(jobs):
        key = a_run_key(job_id=f"job-{number}")
        schedule = a_schedule(DAY)
        deployed.store(
            a_job(key.job.job_id, schedule=schedule, next_slot=NINE + DAY, policy=policy)
        )
        assert engine.runs.insert([a_run(key=key)]) == [True]
        deployed.send(key)
    return deployed


@pytest.mark.parametrize(
    ("policy", "units"),
    [
        pytest.param(Policy(), 2, id="no rule: start, outcome"),
        pytest.param(Policy(overlap=Overlap.SKIP), 3, id="overlap"),
        pytest.param(Policy(limits=(ROOM,)), 4, id="room"),
        pytest.param(Policy(limits=(RATE,)), 3, id="rate"),
        pytest.param(Policy(limits=(BOTH,)), 4, id="room and rate of one key"),
        pytest.param(Policy(limits=(ROOM, MORE_ROOM)), 6, id="two keys"),
        pytest.param(Policy(overlap=Overlap.BUFFER_ONE, limits=(ROOM,)), 5, id="overlap and room"),
    ],
)
def test_a_run_under_rules_costs_what_is_promised(
    ministack: str, policy: Policy, units: int
) -> None:
    with billed(ministack, batches=False) as (engine, bill):
        deployed = share(engine, policy, jobs=RUNS)
        messages = list(engine.receive())
        bill.units = 0

        for message in messages:
            deployed.execute([message])
            deployed.engine.clock.advance(SECOND)

        assert [call.attempt for _, call in deployed.targets.calls] == [1] * RUNS
        assert bill.units / RUNS == units


def test_another_attempt_passes_the_gate_again(ministack: str) -> None:
    """Two units for the attempt, one for the gate: whoever read it before is to be refused."""
    with billed(ministack, batches=False) as (engine, bill):
        deployed = share(engine, Policy(overlap=Overlap.SKIP), jobs=1)
        deployed.targets.manner = lambda call: (BUSY if call.attempt == 1 else OK, SECOND)
        (message,) = engine.receive()
        bill.units = 0

        deployed.execute([message])
        deployed.engine.clock.advance(timedelta(seconds=5))
        deployed.execute([message])

        assert len(deployed.targets.calls) == 2
        assert bill.units == 6


def test_each_look_of_a_run_that_waits_costs_its_start_and_the_end_of_that(
    ministack: str,
) -> None:
    with billed(ministack, batches=False) as (engine, bill):
        deployed = share(engine, Policy(limits=(Limit(key="crm-api", max_concurrent=1),)), jobs=2)
        first, second = engine.receive()
        deployed.make_execute().take([first], lives_until=NINE + DAY)
        bill.units = 0

        for look in range(1, 5):
            deployed.execute([second])
            deployed.engine.clock.advance(timedelta(seconds=30))

            assert bill.units == 2 * look
