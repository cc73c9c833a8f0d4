"""Executors that meet at a gate or a limit: as many pass as may, on every engine."""

from collections.abc import Callable
from itertools import count

import pytest

from punctual.core.jobs import Job, Overlap, Policy
from punctual.core.limits import Limit, LimitKey
from punctual.core.runs import Ending, Run, Start
from punctual.services.admission import Admission, Admitted
from tests.contract.engines import ATOMIC
from tests.contract.test_races import WRITERS, all_at_once
from tests.support.builders import MINUTE, TENANT, a_job, a_run, a_run_key
from tests.support.clock import NINE, FakeChance
from tests.support.engines import Engine

pytestmark = pytest.mark.parametrize("engine", ATOMIC, indirect=True)

CRM = LimitKey(TENANT, "crm-api")


def admit_all(engine: Engine, policy: Policy, key: Callable[[int], Run]) -> list[object]:
    """Start runs, let each one's executor bring it to its rules at the same moment."""
    runs = [key(number) for number in range(WRITERS)]
    assert all(engine.runs.insert(runs))
    starts = [
        Start(key=run.key, owner=f"w{n}", now=NINE, lease_until=NINE + MINUTE)
        for n, run in enumerate(runs)
    ]
    held = [moved.run for moved in engine.runs.move(starts)]
    numbers = count()

    def admit(writer: int) -> object:
        run = held[writer]
        assert run is not None
        job: Job = a_job(run.key.job.job_id, policy=policy)
        chance = FakeChance(name=f"v{next(numbers)}")
        admission = Admission(
            gates=engine.gates, runs=engine.runs, clock=engine.clock, chance=chance
        )
        return admission.admit([(run, job)])[run.key]

    return all_at_once(admit)


def test_one_run_of_a_job_passes_its_gate(engine: Engine) -> None:
    told = admit_all(
        engine, Policy(overlap=Overlap.SKIP), lambda number: a_run(NINE + number * MINUTE)
    )

    assert sum(isinstance(each, Admitted) for each in told) == 1
    assert not any(isinstance(each, Ending) and each.reason != "overlap" for each in told)


def test_one_run_of_a_job_waits_behind_it(engine: Engine) -> None:
    told = admit_all(
        engine, Policy(overlap=Overlap.BUFFER_ONE), lambda number: a_run(NINE + number * MINUTE)
    )

    assert sum(isinstance(each, Admitted) for each in told) == 1
    gate = engine.gates.gates([a_job().key])[a_job().key]
    assert gate.holder is not None
    assert gate.waiting not in {None, gate.holder}


def test_no_more_runs_get_into_a_limit_than_it_lets_in(engine: Engine) -> None:
    policy = Policy(limits=(Limit(key="crm-api", max_concurrent=3),))

    told = admit_all(engine, policy, lambda n: a_run(key=a_run_key(job_id=f"job-{n}")))

    holders = engine.gates.usages([CRM])[CRM].holders
    let_in = sum(isinstance(each, Admitted) for each in told)
    assert let_in == len(holders)
    assert 1 <= let_in <= 3


def test_each_start_is_reserved_once(engine: Engine) -> None:
    policy = Policy(limits=(Limit(key="crm-api", rate_per_second=100),))

    told = admit_all(engine, policy, lambda n: a_run(key=a_run_key(job_id=f"job-{n}")))

    starts = [each.at for each in told if isinstance(each, Admitted)]
    assert len(starts) == len(set(starts)) > 1
