"""Punctual on one machine beside other schedulers, in one sitting.

`make bench-peers` runs the workloads of `make bench` for each scheduler in turn, round by round. It
prints a line of JSON for each to standard output, in the same fields, and at the end a table
of medians and ratios to standard error. A job of a peer is what a job of Punctual is there: one
HTTP call to the sink. `cpu_worker…` is of the process that runs jobs and its children, `cpu_store…`
of PostgreSQL or Redis; that of creating jobs is in neither, unless the worker creates them itself.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from benchmarks.peers.catalogue import PEERS, Grid
from benchmarks.peers.ratios import FIGURES, REFERENCE, table
from benchmarks.peers.rounds import rounds_of
from benchmarks.rounds import family_of
from benchmarks.workloads import hosts, report

if TYPE_CHECKING:
    from benchmarks.rounds import Rounds

RECURRING = "w3"
"""The workload that only peers with a grid of seconds can run."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One round of one workload for one scheduler."""

    number: int
    workload: str
    scheduler: str


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"bench-peers: {message}\n")


def turns(arguments: Sequence[str]) -> list[Turn]:
    """Read the command line.

    Args:
        arguments: Names of peers and workloads in any order, none for all; `--rounds`.

    Returns:
        What to run, so that the schedulers take turns and the machine's moods fall on all of
        them; Punctual is always among them, since it is what the others are compared with.

    Raises:
        SystemExit: A name or an option is wrong, or nothing is left to run; one line is said.
    """
    parser = _Parser(prog="make bench-peers ARGS=…", description=__doc__.partition("\n")[0])
    known = [*PEERS, *FIGURES]
    parser.add_argument("names", nargs="*", help=f"what to run, by default all: {', '.join(known)}")
    parser.add_argument("--rounds", type=int, default=1, help="of each workload, by default 1")
    asked = parser.parse_args(arguments)
    for name in asked.names:
        if name not in known:
            parser.error(f"{name} is none of {', '.join(known)}")
    if asked.rounds < 1:
        parser.error("--rounds is at least 1")
    peers = [peer for peer in PEERS if peer in asked.names] or list(PEERS)
    workloads = [workload for workload in FIGURES if workload in asked.names] or list(FIGURES)
    if workloads == [RECURRING] and not any(_can_run(RECURRING, peer) for peer in peers):
        parser.error(f"{RECURRING} needs jobs that recur each second, which {peers[0]} has not")
    return [
        Turn(number, workload, scheduler)
        for number in range(asked.rounds)
        for workload in workloads
        for scheduler in (REFERENCE, *peers)
        if scheduler == REFERENCE or _can_run(workload, scheduler)
    ]


def _can_run(workload: str, peer: str) -> bool:
    return workload != RECURRING or PEERS[peer].grid is not Grid.NONE


def measured(turn: Turn) -> dict[str, Any]:
    """Take a turn; return its line, which tells of the error if there was one."""
    try:
        return report(turn.scheduler, turn.workload, turn.number, _rounds(turn.scheduler))
    except Exception as error:  # noqa: BLE001 - whatever one does, the others go on
        head = {"peer": turn.scheduler, "w": turn.workload, "round": turn.number, "http": True}
        return head | {"error": f"{type(error).__name__}: {error}"}


def _rounds(scheduler: str) -> "Rounds":
    return hosts if scheduler == REFERENCE else partial(rounds_of, PEERS[scheduler])


def main() -> None:
    """Run what was asked for; end with 1 if a round failed."""
    to_do = turns(sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        rows = _measured(to_do)
    finally:
        _end_what_is_left()
    print(table(rows), file=sys.stderr)
    sys.exit(any("error" in row for row in rows))


def _measured(to_do: Sequence[Turn]) -> list[dict[str, Any]]:
    rows = []
    for count, turn in enumerate(to_do, start=1):
        said = f"{turn.workload} {turn.scheduler}, round {turn.number + 1}"
        print(f"[{count}/{len(to_do)}] {said}", file=sys.stderr, flush=True)
        rows.append(measured(turn))
        print(json.dumps(rows[-1]), flush=True)
    return rows


def _end_what_is_left() -> None:
    """End what a ^C left behind because it came while a process was being started."""
    for pid in family_of(os.getpid()).keys() - {os.getpid()}:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _stop(number: int, _: FrameType | None) -> NoReturn:
    """Leave through every `finally`, and let a second ^C not disturb that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
