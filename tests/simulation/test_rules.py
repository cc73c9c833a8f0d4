"""Jobs with overlap rules and a shared limit, in worlds where everything may go wrong."""

import pytest

from tests.simulation.gate_mutants import GATE_MUTANTS
from tests.simulation.mutation import look_for
from tests.simulation.program import Program
from tests.simulation.ranges import RULED_FROM
from tests.simulation.runner import Batch, run_seeds
from tests.simulation.scenario import make_scenario
from tests.simulation.versions import NEIGHBOUR

DAILY, NIGHTLY = 8, 400

QUICK = {"gate-stolen": "I16", "waits-for-ever": "I14"}
"""What is broken by each in one of a few worlds."""

FEW = 40


def run(seeds: range) -> Batch:
    batch = run_seeds(seeds, (Program(), Program(NEIGHBOUR)))
    assert batch.violations == []
    return batch


def test_every_promise_holds_with_rules() -> None:
    batch = run(range(RULED_FROM, RULED_FROM + DAILY))

    assert batch.facts["GATE"] > 20
    assert batch.facts["USAGE"] > 20
    assert batch.facts["WAIT"] > 0


@pytest.mark.nightly
def test_every_promise_holds_with_rules_at_night() -> None:
    run(range(RULED_FROM + DAILY, RULED_FROM + DAILY + NIGHTLY))


def test_seeds_below_are_about_jobs_without_rules() -> None:
    assert all(make_scenario(seed).rules == () for seed in range(100))


@pytest.mark.parametrize(("name", "invariant"), QUICK.items())
def test_a_broken_rule_is_found(name: str, invariant: str) -> None:
    mutant = next(mutant for mutant in GATE_MUTANTS if mutant.name == name)

    verdict = look_for(mutant, seeds=range(RULED_FROM, RULED_FROM + FEW))

    assert verdict.found is not None
    assert verdict.found.invariant == invariant
