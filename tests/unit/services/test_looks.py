"""Looks are noted down in few rows, and none counts as stored that is not."""

from punctual.core.watching import REFERENCES_MAX, Look, Reference
from punctual.services.looks import note_down
from tests.support.builders import MINUTE, SECOND, a_job, a_run_key
from tests.support.clock import NINE, FakeChance
from tests.support.deployment import Deployment
from tests.support.mishaps import Flaky


def looks(count: int) -> list[Look]:
    return [
        Look(reference=Reference(a_run_key(NINE + n * SECOND), 1), at=NINE + 15 * MINUTE)
        for n in range(count)
    ]


def test_looks_share_rows_in_the_shard_of_their_first_job(deployed: Deployment) -> None:
    wanted = looks(REFERENCES_MAX + 1)

    noted = note_down(wanted, watch_list=deployed.engine.watch_list, chance=FakeChance())

    assert noted == {look.reference.key for look in wanted}
    assert [len(row.references) for row in deployed.watch_rows()] == [REFERENCES_MAX, 1]
    assert {row.shard for row in deployed.watch_rows()} == {a_job().shard}


def test_a_row_that_is_not_surely_stored_counts_for_none_of_its_runs(deployed: Deployment) -> None:
    wanted = looks(2 * REFERENCES_MAX)
    flaky = Flaky(deployed.engine.watch_list, add={0})

    noted = note_down(wanted, watch_list=flaky, chance=FakeChance())

    assert noted == {look.reference.key for look in wanted[REFERENCES_MAX:]}


def test_nothing_to_note_down_costs_nothing(deployed: Deployment) -> None:
    assert note_down([], watch_list=Flaky(None, add=1), chance=FakeChance()) == set()
