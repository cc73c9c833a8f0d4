"""The crashes can fail: each broken version of the code is found."""

import pytest

from tests.crashes.mutants import MUTANTS, find
from tests.simulation.mutants import Mutant

AT_ONCE = {
    "call-before-commit",
    "boots-uncounted",
    "message-in-memory",
    "message-outlives-its-run",
    "wakeup-lost",
}
"""Found in the first story: the others are looked for at night, and by `make crashes`."""


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(
            mutant, id=mutant.name, marks=[] if mutant.name in AT_ONCE else pytest.mark.nightly
        )
        for mutant in MUTANTS
    ],
)
def test_a_broken_version_is_found(mutant: Mutant) -> None:
    assert find(mutant, seeds=range(150)) is not None, mutant.story
