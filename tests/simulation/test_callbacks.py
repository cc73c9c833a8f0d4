"""Seeds in which every target only accepts the work, and reports back through the API."""

from collections import Counter

import pytest

from tests.simulation.callbacks import reporting
from tests.simulation.program import Program
from tests.simulation.scenario import make_scenario
from tests.simulation.world import World

SEEDS = range(1, 25)
AT_NIGHT = range(25, 1001)

SEEN = {
    "HOLD",
    "FINISH, refused by what is own",
    "HOLD, refused by what is there",
    "RETRY",
    "START of dead",
    "GIVE UP",
    "REAP",
}
"""What some seeds together must have seen."""


def facts_of(seeds: range) -> Counter[str]:
    """Run seeds, and return what they saw; fail at the first broken promise."""
    program = Program()
    facts: Counter[str] = Counter()
    for seed in seeds:
        world = World(scenario=reporting(make_scenario(seed)), programs=[program])
        world.run()
        assert world.checker.violation is None, f"seed {seed}: {world.checker.violation}"
        facts += world.facts + world.checker.facts
        facts["thanked"] += sum(worker.was_thanked for worker in world.workers.all)
        facts["later attempts"] += sum(worker.attempt > 1 for worker in world.workers.all)
    return facts


def test_every_promise_is_kept_to_targets_that_report_back() -> None:
    facts = facts_of(SEEDS)

    assert {fact for fact in SEEN if not facts[fact]} == set()
    assert facts["thanked"] > 60
    assert facts["later attempts"] > 20


@pytest.mark.nightly
def test_every_promise_is_kept_to_them_in_a_thousand_seeds() -> None:
    facts_of(AT_NIGHT)
