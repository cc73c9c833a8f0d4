"""Exactly one outcome for each slot, whatever happens to the processes."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.kills.drill import ENGINES, Drill, carry_out


@pytest.mark.e2e
def test_a_few_kills_lose_no_slot_and_double_no_outcome(tmp_path: Path) -> None:
    """Both engines side by side, since most of the time is waiting for leases to end."""

    def drill(engine: str) -> dict[str, Any]:
        folder = tmp_path / engine
        folder.mkdir()
        return carry_out(Drill(engine=engine, kills=3, runs=30, seed=11), folder, say=print)

    with ThreadPoolExecutor() as pool:
        for figures in pool.map(drill, ENGINES):
            print(json.dumps(figures))  # noqa: T201 - figures for whoever runs this
            assert figures["complaints"] == []
            assert (figures["lost"], figures["doubled"], figures["keys_differing"]) == (0, 0, 0)
            assert sum(figures["outcomes"].values()) == figures["slots"] == 30


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
