"""Tell one seed of the simulation, step by step: `make sim SEED=7`.

The last line is the verdict; the exit code is 1 if a promise was broken.
"""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

from tests.simulation.program import Program
from tests.simulation.runner import run_seed, shrink
from tests.simulation.versions import NEIGHBOUR
from tests.simulation.world import World

TRIES_MAX = 400
"""Runs of a seed that are spent on leaving out faults."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """See `ArgumentParser.error`."""
        self.exit(2, f"{self.prog}: {message}\n")


def whole_number(text: str) -> int:
    """Read a number that is not negative."""
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, such as 7")
    return int(text)


def main(
    arguments: Sequence[str] | None = None, *, programs: Sequence[Program] | None = None
) -> int:
    """Read the command line; return 1 if a promise was broken.

    Args:
        arguments: Those of the command line; None for this process's own.
        programs: The versions to run; None for the code as it is.
    """
    parser = Parser(prog="make sim", description=__doc__, usage="make sim SEED=7 [SHRINK=1]")
    parser.add_argument("seed", metavar="SEED", type=whole_number)
    parser.add_argument("--shrink", action="store_true", help="leave out the faults it can do with")
    options = parser.parse_args(arguments)
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever has read enough may leave
    programs = programs or (Program(), Program(NEIGHBOUR))
    began = time.perf_counter()
    world = run_seed(options.seed, programs)
    took = time.perf_counter() - began
    violation = world.checker.violation
    if options.shrink and violation is not None:
        again = partial(_run_again, options.seed, programs)
        shrunk = shrink(again, world, tries_max=TRIES_MAX)
        _tell(shrunk.world)
        print(f"\nafter {shrunk.tries} tries, {len(shrunk.faults)} of {len(world.faults.struck)}")
        print("faults are left, and are enough:")
        for name in sorted(shrunk.faults):
            print(f"  {name}")
        violation = shrunk.world.checker.violation
    else:
        _tell(world)
    faults, calls = len(world.faults.struck), len(world.checker.calls)
    print(
        f"\nseed {options.seed}: {world.calls} calls of AWS, {calls} of targets, {faults} faults;"
    )
    print(f"{world.lasted_ms / 1000:.0f} s of virtual time in {took:.2f} s")
    print(f"✗ {violation}" if violation is not None else "✓ every promise was kept")
    return 0 if violation is None else 1


def _run_again(seed: int, programs: Sequence[Program], only: frozenset[str]) -> World:
    return run_seed(seed, programs, only=only)


def _tell(world: World) -> None:
    for line in world.trace.lines():
        print(line)


if __name__ == "__main__":
    sys.exit(main())
