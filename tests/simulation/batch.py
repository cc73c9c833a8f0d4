"""Run many seeds of the simulation: `make sim-many N=100000`, and `make seeds` with each check.

Each seed that breaks a promise is told in a line, with the command that replays it; the summary
follows. The exit code is 1 if a promise was broken, or something was to be seen and was not.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

from tests.simulation.__main__ import Parser, whole_number
from tests.simulation.coverage import lacking
from tests.simulation.runner import Batch, run_parts

CORPUS = Path(__file__).with_name("seeds.txt")

AIMED_AT_ONCE = 4
"""Seeds that are run together for each thing that was not seen, after a first one."""

AIMED_ROUNDS = 20
"""How often that is done before it counts as missing."""

PROGRESS_EVERY = 20.0
"""Seconds between two words about how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Which seeds are run, and what they must come to."""

    seeds: Sequence[int]
    processes: int
    covers: bool
    """Whether they must have seen every fault at every call site, and every transition."""


def tell(parts: Iterable[Batch], task: Task, *, say: Callable[[str], object]) -> bool:
    """Tell what the parts of a task came to; return whether all is as it should be."""
    total = Batch()
    began = time.monotonic()
    for part in chain(parts, _aimed(total, task) if task.covers else ()):
        total.add(part)
        for seed, story in part.violations:
            say(f"✗ seed {seed}: {story}  (make sim SEED={seed} SHRINK=1)")
    unseen = lacking(total.strikes, total.facts) if task.covers else []
    for lack in unseen:
        say(f"✗ not seen in any seed: {lack.story}")
    for line in _summary(total, took=time.monotonic() - began):
        say(line)
    if task.covers and not unseen:
        say("seen: every fault at every call site, every transition, every reading of a refusal")
    return not total.violations and not unseen


def _aimed(total: Batch, task: Task) -> Iterator[Batch]:
    """Run seeds that look for what has not been seen, until it is or enough were run.

    What a seed sees changes with every change of the code. So whatever is rare is searched for, and
    not left to luck; what cannot be found so is missing.
    """
    sources: dict[str, Iterator[int]] = {}
    for round_ in range(AIMED_ROUNDS):
        unseen = lacking(total.strikes, total.facts)
        for lack in unseen:
            if lack.seeds is not None:
                sources.setdefault(lack.story, lack.seeds)
        aimed = [sources[lack.story] for lack in unseen if lack.story in sources]
        each = AIMED_AT_ONCE if round_ else 1
        seeds = [seed for source in aimed for seed in islice(source, each)]
        if not seeds:
            return
        yield from run_parts(seeds, processes=task.processes)


def _counted(
    parts: Iterable[Batch], task: Task, *, say: Callable[[str], object]
) -> Iterator[Batch]:
    """Say now and then how far it is."""
    done, told_at = 0, time.monotonic()
    for part in parts:
        done += part.seeds
        if time.monotonic() - told_at > PROGRESS_EVERY:
            told_at = time.monotonic()
            say(f"{done} of {len(task.seeds)} seeds")
        yield part


def _summary(batch: Batch, *, took: float) -> Sequence[str]:
    cpu = max(batch.cpu_seconds, 1e-9)
    calls, virtual = batch.calls, batch.virtual_seconds
    return (
        f"{batch.seeds} seeds in {took:.0f} s, {len(batch.violations)} broke a promise",
        f"calls of AWS: {calls}, {calls / batch.seeds:.0f} a seed, {calls / cpu:.0f} a core-second",
        f"virtual time: {virtual / 3600:.0f} h, {virtual / cpu:.0f} times as fast as one core's",
    )


def read_corpus(path: Path = CORPUS) -> list[int]:
    """Return the seeds that failed once, in the order in which they are kept."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


def read_task(arguments: Sequence[str] | None = None) -> Task:
    """Read the command line."""
    parser = Parser(prog="make sim-many", description=__doc__, usage="make sim-many N=1000 FROM=0")
    parser.add_argument("--count", type=whole_number, default=1000)
    parser.add_argument("--first", type=whole_number, default=0)
    parser.add_argument("--processes", type=whole_number, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--corpus", action="store_true", help="first those that failed once")
    parser.add_argument("--covers", action="store_true", help="and see all that can be seen")
    options: argparse.Namespace = parser.parse_args(arguments)
    if not options.count or not options.processes:
        parser.error("there is nothing to do without seeds, and nobody to do it without processes")
    kept = read_corpus() if options.corpus else []
    fresh = range(options.first, options.first + options.count)
    seeds = [*dict.fromkeys([*kept, *fresh])]
    return Task(seeds=seeds, processes=options.processes, covers=options.covers)


def main() -> int:
    """Read the command line; return 1 if anything is not as it should be."""
    task = read_task()
    parts = run_parts(task.seeds, processes=task.processes)
    counted = _counted(parts, task, say=partial(print, file=sys.stderr, flush=True))
    return 0 if tell(counted, task, say=partial(print, flush=True)) else 1


if __name__ == "__main__":
    sys.exit(main())
