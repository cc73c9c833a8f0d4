"""A few seeds with every run of the tests; `make seeds` runs two thousand, and those kept."""

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.simulation import __main__ as command
from tests.simulation import batch
from tests.simulation.checker import Violation
from tests.simulation.coverage import Lack
from tests.simulation.expressions import Unsupported
from tests.simulation.faults import Fault
from tests.simulation.program import Edit, Program
from tests.simulation.runner import Batch, run_seed, run_seeds, shrink
from tests.simulation.scenario import make_scenario
from tests.simulation.table import SimulatedTable
from tests.simulation.versions import NEIGHBOUR
from tests.simulation.weather import seeds_at
from tests.simulation.world import World

ROOT = Path(__file__).parents[2]

FIRST, LAST, PART = 100_000, 100_045, 15

FAULTY = 7
"""A seed with many faults."""


@pytest.fixture(scope="module")
def programs() -> tuple[Program, ...]:
    return Program(), Program(NEIGHBOUR)


def told(world: World) -> list[str]:
    return list(world.trace.lines())


@pytest.mark.parametrize("first", range(FIRST, LAST, PART))
def test_every_promise_is_kept_whatever_goes_wrong(
    programs: tuple[Program, ...], first: int
) -> None:
    for seed in range(first, first + PART):
        assert run_seed(seed, programs).checker.violation is None, f"make sim SEED={seed}"


def test_a_seed_gives_one_history_whatever_ran_before(programs: tuple[Program, ...]) -> None:
    first = told(run_seed(FAULTY, programs))
    run_seed(10, programs)

    assert told(run_seed(FAULTY, programs)) == first


def test_a_seed_gives_one_history_in_every_process(programs: tuple[Program, ...]) -> None:
    """Not even the order of sets, which differs from process to process, has a say."""
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    elsewhere = subprocess.run(
        [sys.executable, "-m", "tests.simulation", str(FAULTY)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    here = told(run_seed(FAULTY, programs))

    assert elsewhere.stdout.splitlines()[: len(here)] == here
    assert elsewhere.stdout.splitlines()[-1] == "✓ every promise was kept"


def test_seeds_differ(programs: tuple[Program, ...]) -> None:
    assert told(run_seed(FAULTY, programs)) != told(run_seed(10, programs))


def test_without_its_faults_a_seed_has_none(programs: tuple[Program, ...]) -> None:
    assert run_seed(FAULTY, programs).faults.struck
    assert not run_seed(FAULTY, programs, only=frozenset()).faults.struck


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "²"])
def test_what_is_no_seed_is_refused_in_one_line(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        command.main([text])

    assert refused.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def world_with(names: Iterable[str], *, breaks: str | None) -> Any:
    """Stand in for a world in which these faults struck."""
    violation = None if breaks is None else Violation(breaks, 0, "a story")
    struck = [SimpleNamespace(name=name) for name in names]
    return SimpleNamespace(
        checker=SimpleNamespace(violation=violation), faults=SimpleNamespace(struck=struck)
    )


@pytest.mark.parametrize("needed", [(), ("17",), ("3", "90"), ("0", "50", "99")])
def test_a_violation_shrinks_to_the_faults_that_it_needs(needed: tuple[str, ...]) -> None:
    """With fewer faults another invariant breaks, which is another story."""

    def run(only: frozenset[str]) -> Any:
        return world_with(sorted(only), breaks="I10" if only.issuperset(needed) else "I14")

    shrunk = shrink(run, world_with(map(str, range(100)), breaks="I10"), tries_max=200)

    assert shrunk.faults == set(needed)
    assert shrunk.world.checker.violation == Violation("I10", 0, "a story")


def test_shrinking_gives_up_in_time_with_what_it_has() -> None:
    runs = []

    def run(only: frozenset[str]) -> Any:
        runs.append(only)
        return world_with(only, breaks=None)

    shrunk = shrink(run, world_with("abcdefgh", breaks="I1"), tries_max=5)

    assert len(runs) == shrunk.tries == 5
    assert shrunk.faults == set("abcdefgh")


def test_a_broken_promise_is_told_and_shrinks_to_no_fault_where_none_is_needed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    careless = Edit(
        "punctual.services.dispatch", "whole = self._watched(whole)", "whole = list(whole)"
    )
    arguments = [str(FAULTY), "--shrink"]

    code = command.main(arguments, programs=[Program([careless])])

    lines = capsys.readouterr().out.splitlines()
    assert code == 1
    assert lines[-1].startswith("✗ I9 at ")
    assert lines[-1].endswith("nobody will look at it again")
    assert any(line.startswith("after 1 tries, 0 of ") for line in lines)


def test_a_batch_tells_each_seed_that_broke_a_promise_and_how_to_replay_it() -> None:
    said: list[str] = []
    broken = Batch(seeds=2, calls=500, cpu_seconds=0.5, violations=[(7, "I1 at 09:00: a story")])

    kept = batch.tell(
        [broken], batch.Task(seeds=[7, 8], processes=1, covers=False), say=said.append
    )

    assert not kept
    assert said[0] == "✗ seed 7: I1 at 09:00: a story  (make sim SEED=7 SHRINK=1)"
    assert said[1] == "2 seeds in 0 s, 1 broke a promise"
    assert said[2] == "calls of AWS: 500, 250 a seed, 1000 a core-second"


def test_a_batch_that_must_see_everything_tells_what_it_has_not_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch, "AIMED_ROUNDS", 0)
    said: list[str] = []
    task = batch.Task(seeds=[7], processes=1, covers=True)

    kept = batch.tell([Batch(seeds=1)], task, say=said.append)

    assert not kept
    assert "✗ not seen in any seed: lost at fast run.start" in said
    assert "✗ not seen in any seed: START of queued" in said
    assert "✗ not seen in any seed: FINISH, refused by what is terminal" in said


def test_what_was_not_seen_is_searched_for_until_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """One seed for each at first, then some more; nothing more once all was seen."""
    place = ("fast run.start", Fault.LOST)
    unseen = [Lack("lost at fast run.start", seeds_at(*place))]
    rounds: list[Sequence[int]] = []

    def run_parts(seeds: Sequence[int], *, processes: int) -> Iterable[Batch]:
        rounds.append(seeds)
        if len(rounds) == 3:
            unseen.clear()
        yield Batch(seeds=len(seeds))

    monkeypatch.setattr(batch, "lacking", lambda *_: list(unseen))
    monkeypatch.setattr(batch, "run_parts", run_parts)
    task = batch.Task(seeds=[7], processes=1, covers=True)

    assert batch.tell([Batch(seeds=1)], task, say=lambda _: None)
    assert [len(seeds) for seeds in rounds] == [1, batch.AIMED_AT_ONCE, batch.AIMED_AT_ONCE]
    for seed in {seed for seeds in rounds for seed in seeds}:
        (focus, *_) = make_scenario(seed).profile.focuses
        assert (focus.site, focus.fault) == place


def test_what_cannot_be_simulated_is_told_and_ends_no_batch(
    monkeypatch: pytest.MonkeyPatch, programs: tuple[Program, ...]
) -> None:
    def fail(*_: object) -> None:
        raise Unsupported("DescribeTable")

    monkeypatch.setattr(SimulatedTable, "execute", fail)

    found = run_seeds([9, 10], programs)

    assert found.seeds == 2
    assert [seed for seed, _ in found.violations] == [9, 10]


def test_the_task_of_each_check_are_the_seeds_kept_and_two_thousand() -> None:
    task = batch.read_task(["--corpus", "--count", "2000", "--covers"])

    assert task.covers
    assert set(task.seeds) == {*range(2000), *batch.read_corpus()}
    assert list(task.seeds[:2]) == batch.read_corpus()[:2]
