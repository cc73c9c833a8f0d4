"""Whatever statement the host dies at, and whoever of its threads is held up: nothing is lost."""

import pytest

from tests.crashes.fates import Figures, carry_out, explore, interleave
from tests.crashes.stories import MEETINGS, SHORT, Story, make_story
from tests.simulation.program import Program

SEEDS = 15


@pytest.fixture(scope="module")
def program() -> Program:
    return Program()


def assert_kept(figures: Figures) -> None:
    assert not figures.found, "\n".join(map(str, figures.found))


@pytest.mark.parametrize("story", [pytest.param(SHORT[name], id=name) for name in SHORT])
def test_a_crash_at_any_statement_breaks_no_promise(story: Story, program: Program) -> None:
    figures = explore(story, program, crashes=1)

    assert_kept(figures)
    assert figures.worlds > 10, "there was something to be lost"
    assert figures.lives == figures.worlds + 1, "each world was lived in"


@pytest.mark.parametrize("story", [pytest.param(MEETINGS[name], id=name) for name in MEETINGS])
def test_a_thread_that_is_held_up_anywhere_breaks_no_promise(
    story: Story, program: Program
) -> None:
    figures = interleave(story, program)

    assert_kept(figures)
    assert figures.places > 8, "there were places to be held up at"


def test_crashes_and_turns_without_end_break_no_promise(program: Program) -> None:
    """Long stories, several deaths in each, the threads in any order."""
    figures = Figures()
    for seed in range(SEEDS):
        figures.add(carry_out(seed, make_story(seed), program))

    assert_kept(figures)
    assert figures.worlds > SEEDS, "processes died, often more than one in a story"
    assert figures.shared > 0, "works of several threads shared a commit"
    assert figures.calls > SEEDS, "targets were called"


@pytest.mark.nightly
@pytest.mark.parametrize("story", [pytest.param(SHORT[name], id=name) for name in SHORT])
def test_two_crashes_at_any_two_statements_break_no_promise(story: Story, program: Program) -> None:
    assert_kept(explore(story, program, crashes=2))


@pytest.mark.nightly
def test_crashes_of_many_seeds_break_no_promise(program: Program) -> None:
    for seed in range(SEEDS, 2000):
        assert_kept(carry_out(seed, make_story(seed), program))
