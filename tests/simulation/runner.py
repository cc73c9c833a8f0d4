"""Runs seeds, adds up what they saw, and finds the fewest faults that a violation needs."""

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache

from tests.simulation.callbacks import scenario_of
from tests.simulation.program import Program
from tests.simulation.versions import NEIGHBOUR
from tests.simulation.world import World

SEEDS_OF_A_PART = 20
"""Seeds that a process runs before it tells of them, at most."""

ALLOCATIONS_MAX = 100_000
"""Objects that may be made before the collector looks for garbage: worlds are small, and end."""


@dataclass(kw_only=True)
class Batch:
    """What some seeds came to."""

    seeds: int = 0
    calls: int = 0
    virtual_seconds: float = 0.0
    cpu_seconds: float = 0.0
    violations: list[tuple[int, str]] = field(default_factory=list)
    """Seeds, each with the story of what broke."""
    strikes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often which fault struck which call site."""
    facts: Counter[str] = field(default_factory=Counter)
    """How often which write was applied, or refused by what."""

    def add(self, other: "Batch") -> None:
        """Take in what other seeds came to."""
        self.seeds += other.seeds
        self.calls += other.calls
        self.virtual_seconds += other.virtual_seconds
        self.cpu_seconds += other.cpu_seconds
        self.violations += other.violations
        self.strikes += other.strikes
        self.facts += other.facts


def run_seed(
    seed: int, programs: Sequence[Program], *, only: frozenset[str] | None = None
) -> World:
    """Run a seed; if `only` is given, no other fault strikes than those it names."""
    world = World(scenario=scenario_of(seed), programs=programs, only=only)
    world.run()
    return world


def run_seeds(seeds: Iterable[int], programs: Sequence[Program]) -> Batch:
    """Run some seeds one after the other."""
    batch = Batch()
    for seed in seeds:
        began = time.process_time()
        batch.seeds += 1
        try:
            world = run_seed(seed, programs)
        except Exception as error:  # noqa: BLE001 - what is not simulated must not end a batch
            batch.violations.append((seed, f"it cannot be simulated: {error!r}"))
            continue
        batch.calls += world.calls
        batch.virtual_seconds += world.lasted_ms / 1000
        batch.cpu_seconds += time.process_time() - began
        batch.strikes.update(world.strikes)
        batch.facts += world.facts
        batch.facts += world.checker.facts
        if world.checker.violation is not None:
            batch.violations.append((seed, str(world.checker.violation)))
    return batch


def run_parts(seeds: Sequence[int], *, processes: int) -> Iterator[Batch]:
    """Run many seeds on several processes, and yield what some of them came to, in order."""
    size = max(1, min(SEEDS_OF_A_PART, len(seeds) // processes))
    parts = [seeds[first : first + size] for first in range(0, len(seeds), size)]
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(_run_part, parts)


def _run_part(seeds: Sequence[int]) -> Batch:
    return run_seeds(seeds, deployed())


@cache
def deployed() -> tuple[Program, ...]:
    """Load the code, and make this process one that does nothing but run seeds."""
    programs = (Program(), Program(NEIGHBOUR))
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS_MAX)
    return programs


@dataclass(frozen=True, kw_only=True)
class Shrunk:
    """A violation with as few faults as it needs."""

    world: World
    faults: frozenset[str]
    tries: int


def shrink(run: Callable[[frozenset[str]], World], world: World, *, tries_max: int) -> Shrunk:
    """Leave out faults as long as the same invariant breaks.

    Each fault is decided by its own name, so leaving some out changes no other. What follows from
    them may change, of course, and with it which faults there are to strike.

    Args:
        run: Runs the seed with no other faults than those named.
        world: The seed as it broke an invariant, with all its faults.
        tries_max: How often it is run at most.
    """
    assert world.checker.violation is not None, "there is something to shrink"
    invariant = world.checker.violation.invariant
    kept = [struck.name for struck in world.faults.struck]
    tries, size = 0, len(kept)
    while size:
        for first in range(0, len(kept), size):
            if tries == tries_max:
                return Shrunk(world=world, faults=frozenset(kept), tries=tries)
            fewer = kept[:first] + kept[first + size :]
            tries += 1
            tried = run(frozenset(fewer))
            found = tried.checker.violation
            if found is not None and found.invariant == invariant:
                struck_now = {struck.name for struck in tried.faults.struck}
                kept = [name for name in fewer if name in struck_now]
                world = tried
                break
        else:
            size //= 2
        size = min(size, len(kept))
    return Shrunk(world=world, faults=frozenset(kept), tries=tries)
