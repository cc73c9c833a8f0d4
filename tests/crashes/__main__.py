"""Let the host crash, story after story: `make crashes N=1000`.

The short stories crash at every statement, and their threads are held up wherever they can be; then
long ones, each made up by a seed. With `--seed` only the story of that seed happens, and is told.
The exit code is 1 if a promise was broken, 2 if it is not known what is to be done.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial

from tests.crashes.fates import Figures, carry_out, explore, interleave
from tests.crashes.mutants import MUTANTS, find
from tests.crashes.stories import MEETINGS, SHORT, make_story, text
from tests.simulation.__main__ import Parser, whole_number
from tests.simulation.program import Program

SEEDS_PER_LINE = 50

MUTANTS_SEEDS = 150
"""Stories in which a broken version is looked for, if no shorter one shows it."""

say = partial(print, flush=True)
tell = partial(print, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line; return 1 if a promise was broken."""
    parser = Parser(prog="make crashes", description=__doc__, usage=argparse.SUPPRESS)
    parser.add_argument("--count", type=whole_number, default=200, help="long stories")
    parser.add_argument("--first", type=whole_number, default=0, help="the first one's seed")
    parser.add_argument("--seed", type=whole_number, help="this story alone")
    parser.add_argument("--story", choices=[*SHORT, *MEETINGS], help="this short one alone")
    parser.add_argument("--crashes", type=whole_number, default=1, help="in a row, in short ones")
    parser.add_argument("--mutants", action="store_true", help="look for broken versions instead")
    options = parser.parse_args(arguments)
    if options.mutants:
        return _look_for_mutants()
    began = time.perf_counter()
    program = Program()
    if options.seed is not None:
        figures = _tell_seed(options.seed, program)
    elif options.story is not None:
        figures = _short(program, [options.story], crashes=options.crashes)
    else:
        figures = _short(program, [*SHORT, *MEETINGS], crashes=options.crashes)
        figures.add(_long(program, range(options.first, options.first + options.count)))
    took = time.perf_counter() - began
    say(
        f"{figures.stories} stories in {took:.0f} s: {figures.lives} processes,"
        f" {figures.commits} commits ({figures.shared} shared), {figures.calls} calls;\n"
        f"{figures.points} places to die at, {figures.worlds} deaths that differ,"
        f" {figures.places} places to be held up at"
    )
    say(f"✗ {len(figures.found)} broken" if figures.found else "✓ every promise was kept")
    return 1 if figures.found else 0


def _short(program: Program, names: Sequence[str], *, crashes: int) -> Figures:
    total = Figures()
    for name in names:
        if name in SHORT:
            figures = explore(SHORT[name], program, crashes=crashes)
        else:
            figures = interleave(MEETINGS[name], program)
        tell(
            f"{name}: {figures.points} places, {figures.worlds} deaths that differ,"
            f" {figures.places} places to be held up at, {figures.lives} processes"
        )
        again = f"make crashes ARGS='--story \"{name}\" --crashes {crashes}'"
        _show(figures, again=again)
        total.add(figures)
    return total


def _long(program: Program, seeds: range) -> Figures:
    total = Figures()
    for number, seed in enumerate(seeds, 1):
        figures = carry_out(seed, make_story(seed), program)
        _show(figures, again=f'make crashes ARGS="--seed {seed}"')
        total.add(figures)
        if number % SEEDS_PER_LINE == 0:
            tell(
                f"{number} of {len(seeds)} seeds: {total.worlds} deaths, {len(total.found)} broken"
            )
    return total


def _show(figures: Figures, *, again: str) -> None:
    for finding in figures.found:
        say(f"✗ {finding}\n  again: {again}")


def _tell_seed(seed: int, program: Program) -> Figures:
    story = make_story(seed)
    for user in story.users:
        for step in user.steps:
            say(f"{text(step.at)} {user.job} {step.verb} {step.body or ''}")
    figures = carry_out(seed, story, program)
    _show(figures, again=f'make crashes ARGS="--seed {seed}"')
    return figures


def _look_for_mutants() -> int:
    survivors = 0
    for mutant in MUTANTS:
        finding = find(mutant, seeds=range(MUTANTS_SEEDS))
        survivors += finding is None
        say(f"{'✗' if finding is None else '✓'} {mutant.name}: {finding or 'not found'}")
    say(f"{len(MUTANTS) - survivors} of {len(MUTANTS)} broken versions found")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
