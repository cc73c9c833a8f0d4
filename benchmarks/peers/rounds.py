"""A round of a peer: its store, its worker, and what creates its jobs, each a process."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import Any

from benchmarks.peers.catalogue import Grid, Peer
from benchmarks.peers.stores import Store
from benchmarks.rounds import Cpu, Round, Schedule, opened, seconds_of, seconds_of_process

READY_WITHIN = 60.0
CREATED_WITHIN = 180.0
"""Seconds; a program that has not answered by then is given up."""

Call = tuple[str, float, int, float]
"""Job id, slot, attempt, arrival: see `Round.calls`."""


class Program:
    """A process of a peer, which says when it is ready and may be told what to create."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self.pid = self._process.pid
        try:
            while self._line(within=READY_WITHIN) != "ready":
                pass  # some peers introduce themselves first
        except BaseException:
            self.kill()
            raise

    def create(self, plan: Mapping[str, Any]) -> float:
        """Create jobs as `workers/protocol.py` has it; return how many seconds that took."""
        assert self._process.stdin is not None, "it was opened as a pipe"
        self._process.stdin.write(json.dumps(plan) + "\n")
        self._process.stdin.flush()
        return float(self._line(within=CREATED_WITHIN))

    def kill(self) -> None:
        """End the process and those that it started."""
        self._kill_group()
        with suppress(BrokenPipeError), self._process:
            pass  # closes its pipes and waits for it

    def _kill_group(self) -> None:
        if self._process.returncode is None:  # else its id may be another's by now
            os.killpg(self.pid, signal.SIGKILL)

    def _line(self, *, within: float) -> str:
        assert self._process.stdout is not None, "it was opened as a pipe"
        timer = Timer(within, self._kill_group)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()  # also on ^C, which would wait for it
        if not line:
            raise RuntimeError(f"ended early or said nothing: {self._log.read_text()[-500:]}")
        return line.strip()


class PeerRound(Round):
    """A peer whose jobs are one call each to the sink."""

    def __init__(self, folder: Path, peer: Peer, store: Store, *, delay: float) -> None:
        super().__init__(folder, delay=delay)
        self._peer = peer
        self._store = store
        self._errors = folder / "errors"
        self._slots: dict[str, float] = {}
        self._configured: Sequence[str] = ()
        self._worker: Program | None = None
        self._producer: Program | None = None

    def start(self) -> None:
        """See `Round.start`; worker and producer say when they are ready."""
        self._worker = self._program("worker", *self._configured)
        if self._producer is None and not self._peer.creates_in_worker:
            self._producer = self._program("producer")

    def kill(self) -> None:
        """See `Round.kill`; what creates jobs is not the scheduler, and stays."""
        if self._worker is not None:
            self._worker.kill()

    def close(self) -> None:
        """See `Round.close`."""
        if self._producer is not None:
            self._producer.kill()
        super().close()

    def cpu(self) -> Cpu:
        """See `Round.cpu`."""
        assert self._worker is not None, "a round is measured while it is open"
        return Cpu(seconds_of_process(self._worker.pid), seconds_of_process(self._store.pid))

    def create(self, jobs: Mapping[str, Schedule], *, one_by_one: bool = False) -> float:
        """See `Round.create`."""
        if all("every_seconds" in schedule for schedule in jobs.values()):
            return self._create_grid(jobs)
        slots = {job_id: seconds_of(schedule["at"]) for job_id, schedule in jobs.items()}
        self._slots |= slots
        return self._create(slots, one_by_one=one_by_one, every_second=False)

    def _create_grid(self, jobs: Mapping[str, Schedule]) -> float:
        match self._peer.grid:
            case Grid.CREATED:
                slots = {job_id: seconds_of(job["start_at"]) for job_id, job in jobs.items()}
                return self._create(slots, one_by_one=True, every_second=True)
            case Grid.CONFIGURED:
                began = time.perf_counter()
                self.kill()
                self._configured = list(jobs)
                self.start()
                return time.perf_counter() - began
            case Grid.NONE:
                raise ValueError("this peer has no jobs that recur every second")

    def _create(self, slots: Mapping[str, float], *, one_by_one: bool, every_second: bool) -> float:
        producer = self._producer or self._worker
        assert producer is not None, "jobs are created while the round is open"
        plan = {"jobs": list(slots.items()), "one_by_one": one_by_one}
        return producer.create(plan | {"every_second": every_second})

    def calls(self) -> list[Call]:
        """See `Round.calls`."""
        return placed(super().calls(), self._slots)

    def _program(self, role: str, *ids: str) -> Program:
        command = [*self._peer.command, role, self._store.url, self.target, *ids]
        return Program(command, self._errors)


def placed(calls: Sequence[Call], slots: Mapping[str, float]) -> list[Call]:
    """Give a slot to each call whose peer told none.

    Args:
        calls: As they came; a slot that was not told is 0.
        slots: The one slot of each job that has no more than one.

    Returns:
        The calls in their order. That of a job of many slots is counted for the last whole
        second before its arrival, which flatters a peer that is late by more than one.
    """
    return [
        (job_id, slot or slots.get(job_id, float(int(arrived))), attempt, arrived)
        for job_id, slot, attempt, arrived in calls
    ]


@contextmanager
def rounds_of(peer: Peer, *, delay: float = 0.0) -> Iterator[Round]:
    """Open a round of a peer, in a store of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="punctual-bench-") as name,
        peer.store(Path(name)) as store,
        opened(PeerRound(Path(name), peer, store, delay=delay)) as round_,
    ):
        round_.start()
        yield round_
