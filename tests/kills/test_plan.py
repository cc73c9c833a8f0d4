"""The plan of a drill, which is also the oracle of its slots."""

from datetime import timedelta
from random import Random

from tests.kills.plan import plan
from tests.support.clock import NINE


def test_a_plan_has_as_many_slots_as_asked_for_within_its_span() -> None:
    for seed in range(20):
        planned = list(plan(500, span=120, dice=Random(seed)))

        assert sum(job.count for job in planned) == 500
        for job in planned:
            slots = sorted(job.slots(NINE + job.offset))
            assert len(slots) == job.count
            assert timedelta(0) <= slots[0] - NINE
            assert slots[-1] - NINE <= timedelta(seconds=120)


def test_a_plan_has_jobs_of_many_kinds() -> None:
    planned = list(plan(2000, span=300, dice=Random(1)))

    assert {job.period for job in planned} == {1, 2, 3, 5, 8}
    assert any(job.count == 1 for job in planned)
    assert 1 < sum(job.at_most_once for job in planned) < len(planned) / 3
