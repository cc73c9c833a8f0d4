"""Looks for every mutant in seed after seed: `make mutants`.

A seed counts only if the code as it is holds in it, so that no mutant is found by mistake. Neither
does one in which a handler failed by itself (I0): that breaks the code, and no promise.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache, partial
from statistics import median

from tests.simulation.catalogue import CATALOGUE
from tests.simulation.checker import Violation
from tests.simulation.expressions import Unsupported
from tests.simulation.mutants import Mutant
from tests.simulation.program import Program, Unfit
from tests.simulation.runner import run_seed

SEEDS = 1000
"""Seeds that a mutant may take to be found."""

PROCESSES = 2

FAILED_BY_ITSELF = "I0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one mutant."""

    mutant: Mutant
    found: Violation | None = None
    """What it broke; None for one that survived."""
    seeds: int = 0
    """How many seeds were tried, from the mutant's first one on; the last one found it."""
    seconds: float = 0.0
    trouble: str | None = None
    """Why nothing could be tried."""


def look_for(mutant: Mutant, *, seeds: Iterable[int]) -> Verdict:
    """Run seeds over a mutant until one finds it."""
    began = time.process_time()
    tried, found = 0, None
    try:
        program = Program(mutant.edits)
        for seed in seeds:
            tried += 1
            if found := _broken_in(seed, program):
                break
    except (Unfit, ImportError, SyntaxError, Unsupported) as error:
        return Verdict(mutant=mutant, trouble=f"{type(error).__name__}: {error}")
    seconds = time.process_time() - began
    return Verdict(mutant=mutant, found=found, seeds=tried, seconds=seconds)


def _broken_in(seed: int, program: Program) -> Violation | None:
    found = run_seed(seed, [program]).checker.violation
    if found is None or found.invariant == FAILED_BY_ITSELF:
        return None
    return found if _holds_unchanged(seed) else None


@cache
def _unchanged() -> Program:
    return Program()


@cache
def _holds_unchanged(seed: int) -> bool:
    """Say whether the code as it is keeps its promises in a seed."""
    return run_seed(seed, [_unchanged()]).checker.violation is None


def tell(verdicts: Iterable[Verdict], *, say: Callable[[str], object]) -> bool:
    """Tell of each verdict as it comes, and of all in the end; False if one mutant survived."""
    seeds: list[int] = []
    survivors: list[str] = []
    for verdict in verdicts:
        say(f"{verdict.mutant.name}: {verdict.mutant.story}")
        if verdict.trouble is not None:
            say(f"  ✗ cannot be tried: {verdict.trouble}")
            survivors.append(verdict.mutant.name)
        elif verdict.found is None:
            say(f"  ✗ survives {verdict.seeds} seeds ({verdict.seconds:.0f} s)")
            survivors.append(verdict.mutant.name)
        else:
            seed = verdict.mutant.first + verdict.seeds - 1
            say(f"  ✓ in seed {seed}, after {verdict.seeds} in all: {verdict.found}")
            seeds.append(verdict.seeds)
    say(f"\n{len(seeds)} of {len(seeds) + len(survivors)} mutants were found")
    if seeds:
        say(f"seeds that it took: {median(seeds):g} in the median, {max(seeds)} at most")
    if survivors:
        say(f"not found: {', '.join(survivors)}")
    return not survivors


def _verdicts(names: Sequence[str], *, seeds: int, processes: int) -> Iterator[Verdict]:
    """Yield verdicts as they come, since a mutant that survives takes a hundred times as long."""
    with ProcessPoolExecutor(processes) as pool:
        coming = [pool.submit(_look_for, name, seeds) for name in names]
        yield from (done.result() for done in as_completed(coming))


def _look_for(name: str, seeds: int) -> Verdict:
    mutant = next(mutant for mutant in CATALOGUE if mutant.name == name)
    return look_for(mutant, seeds=range(mutant.first, mutant.first + seeds))


def main() -> int:
    """Read the command line; return 1 if a mutant survived, 2 for one that is not known."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="MUTANT", help="all, if none is named")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="that each may take")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    options = parser.parse_args()
    known = [mutant.name for mutant in CATALOGUE]
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"there is no mutant {', '.join(unknown)}")
    began = time.monotonic()
    say = partial(print, flush=True)
    verdicts = _verdicts(options.names or known, seeds=options.seeds, processes=options.processes)
    found = tell(verdicts, say=say)
    say(f"took {time.monotonic() - began:.0f} s")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
