"""The simulation finds what is broken: by day a few mutants that take few seeds, at night each."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.simulation import mutation
from tests.simulation.catalogue import CATALOGUE
from tests.simulation.mutants import Mutant
from tests.simulation.mutation import SEEDS, Verdict, look_for, tell
from tests.simulation.program import Edit

QUICK = {
    "called-early": "I5",
    "forgotten-at-start": "I9",
    "no-watch": "I9",
    "one-key-for-the-job": "I4",
    "give-up-the-living": "I2",
}
"""What each of them breaks in whatever world it comes to."""

FEW = 40
"""Seeds; some five of them do in fact."""

HARMLESS = Edit(
    "punctual.core.watching",
    '"""It has its outcome, or is not owed one."""',
    '"""Nothing is to be done."""',
)


def named(name: str) -> Mutant:
    return next(mutant for mutant in CATALOGUE if mutant.name == name)


@pytest.mark.parametrize(("name", "invariant"), QUICK.items())
def test_a_broken_promise_is_found(name: str, invariant: str) -> None:
    verdict = look_for(named(name), seeds=range(FEW))

    assert verdict.found is not None
    assert verdict.found.invariant == invariant


@pytest.mark.nightly
@pytest.mark.parametrize("mutant", CATALOGUE, ids=lambda mutant: mutant.name)
def test_every_broken_promise_is_found(mutant: Mutant) -> None:
    seeds = range(mutant.first, mutant.first + SEEDS)

    assert look_for(mutant, seeds=seeds).found is not None


@pytest.mark.parametrize("mutant", CATALOGUE, ids=lambda mutant: mutant.name)
def test_every_mutant_fits_the_code(mutant: Mutant) -> None:
    """Each line that it changes is there once; one that has gone would break nothing."""
    texts: dict[str, str] = {}
    for edit in mutant.edits:
        text = texts.get(edit.module) or source_of(edit.module)
        assert text.count(edit.old) == 1
        texts[edit.module] = text.replace(edit.old, edit.new)
    for module, text in texts.items():
        assert text != source_of(module)
        compile(text, module, "exec")


def source_of(module: str) -> str:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text()


def test_mutants_have_names_of_their_own() -> None:
    assert len({mutant.name for mutant in CATALOGUE}) == len(CATALOGUE)


def test_a_change_that_breaks_nothing_survives() -> None:
    harmless = Mutant("harmless", "says it otherwise", (HARMLESS,))

    verdict = look_for(harmless, seeds=range(2))

    assert (verdict.found, verdict.seeds, verdict.trouble) == (None, 2, None)


def test_a_mutant_whose_text_is_gone_is_an_error_and_is_not_passed_over() -> None:
    gone = Mutant("gone", "changes what is not there", (Edit("punctual.core.runs", "§", ""),))

    verdict = look_for(gone, seeds=range(1))

    assert verdict.trouble is not None
    assert not told([verdict])[0]


def test_a_seed_that_fails_without_the_mutant_finds_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mutation, "_holds_unchanged", lambda _: False)

    assert look_for(named("one-key-for-the-job"), seeds=range(1)).found is None


def test_a_survivor_is_named_in_the_end() -> None:
    killed = look_for(named("one-key-for-the-job"), seeds=range(FEW))
    survived = Verdict(mutant=named("claim-first"), seeds=400)

    found, lines = told([killed, survived])

    assert not found
    assert "1 of 2 mutants were found" in "\n".join(lines)
    assert lines[-1] == "not found: claim-first"


def told(verdicts: Sequence[Verdict]) -> tuple[bool, list[str]]:
    lines: list[str] = []
    return tell(verdicts, say=lines.append), lines
