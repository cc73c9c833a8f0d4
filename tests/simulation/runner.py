"""Runs seeds, adds up what they saw, and finds the fewest faults that a violation needs."""

import gc
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache

from tests.simulation.checker import Violation
from tests.simulation.program import Program
from tests.simulation.scenario import make_scenario
from tests.simulation.versions import NEIGHBOUR
from tests.simulation.world import World

SEEDS_OF_A_PART = 20
"""Seeds that a process runs before it tells of them."""

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
    world = World(scenario=make_scenario(seed), programs=programs, only=only)
    world.run()
    return world


def run_seeds(seeds: Iterable[int], programs: Sequence[Program]) -> Batch:
    """Run some seeds one after the other."""
    batch = Batch()
    for seed in seeds:
        began = time.process_time()
        world = run_seed(seed, programs)
        batch.seeds += 1
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
    firsts = range(0, len(seeds), SEEDS_OF_A_PART)
    parts = [seeds[first : first + SEEDS_OF_A_PART] for first in firsts]
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


def shrink(
    seed: int, programs: Sequence[Program], violation: Violation, *, tries_max: int
) -> Shrunk:
    """Leave out faults as long as the same invariant breaks.

    Each fault is decided by its own name, so leaving some out changes no other. What follows from
    them may change, of course, and with it which faults there are to strike.
    """
    world = run_seed(seed, programs)
    kept = [struck.name for struck in world.faults.struck]
    tries = 0
    size = max(1, len(kept) // 2)
    while kept and tries < tries_max:
        for first in range(0, len(kept), size):
            fewer = kept[:first] + kept[first + size :]
            tries += 1
            tried = run_seed(seed, programs, only=frozenset(fewer))
            found = tried.checker.violation
            if found is not None and found.invariant == violation.invariant:
                struck = {s.name for s in tried.faults.struck}
                kept = [name for name in fewer if name in struck]
                world = tried
                break
        else:
            if size == 1:
                break
            size = max(1, size // 2)
            continue
        size = max(1, min(size, len(kept)))
    return Shrunk(world=world, faults=frozenset(kept), tries=tries)
