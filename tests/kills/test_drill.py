"""Exactly one outcome for each slot, whatever happens to the processes."""

import json
from pathlib import Path

import pytest

from tests.kills.drill import ENGINES, Drill, carry_out


@pytest.mark.e2e
@pytest.mark.parametrize("engine", ENGINES)
def test_a_few_kills_lose_no_slot_and_double_no_outcome(engine: str, tmp_path: Path) -> None:
    """Short, and with other dice than the long drill's."""
    drill = Drill(engine=engine, kills=4, runs=40, seed=20261201)

    figures = carry_out(drill, tmp_path, say=print)

    print(json.dumps(figures))  # noqa: T201 - figures for whoever runs this
    assert figures["complaints"] == []
    assert (figures["lost"], figures["doubled"], figures["keys_differing"]) == (0, 0, 0)
    assert sum(figures["outcomes"].values()) == figures["slots"] == 40


@pytest.mark.nightly
@pytest.mark.parametrize("engine", ENGINES)
def test_200_kills_in_the_middle_of_2000_runs_lose_none_and_double_none(
    engine: str, tmp_path: Path
) -> None:
    drill = Drill(engine=engine, kills=200, runs=2000, seed=1)

    figures = carry_out(drill, tmp_path, say=print)

    print(json.dumps(figures))  # noqa: T201 - figures for whoever runs this
    assert figures["complaints"] == []
    assert sum(figures["outcomes"].values()) == figures["slots"] == 2000
    assert figures["repeated_calls"] > 0, "nobody was killed in the middle of anything"
