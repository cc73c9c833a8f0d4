"""`make crashes` says what was tried, what broke, and how to see it again."""

import pytest

from tests.crashes import __main__ as command
from tests.crashes.mutants import MUTANTS
from tests.simulation.program import Program


def test_a_story_that_keeps_its_promises_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--story", "once"]) == 0

    assert capsys.readouterr().out.endswith("✓ every promise was kept\n")


def test_a_broken_promise_comes_with_the_command_that_shows_it_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = next(mutant for mutant in MUTANTS if mutant.name == "message-in-memory")
    monkeypatch.setattr(command, "Program", lambda: Program(broken.edits))

    assert command.main(["--story", "once"]) == 1

    told = capsys.readouterr().out
    assert "✗ I12: " in told
    assert "again: make crashes ARGS='--story \"once\" --crashes 1'" in told


def test_what_is_not_known_is_not_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--story", "nobody's"])

    assert ended.value.code == 2
    assert "once" in capsys.readouterr().err, "it says what there is"
