"""One round of a workload: a scheduler with nothing in it yet, and a sink that notes its calls."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

TICKS = os.sysconf("SC_CLK_TCK")
CLIENTS = 32
"""Connections that create jobs side by side."""

BULK_CLIENTS = 4
"""Of those that create many jobs with each request."""

TOGETHER = 100
"""Jobs of one request."""

Schedule = Mapping[str, Any]
"""`{"at": …}`, or `{"every_seconds": 1, "start_at": …}`."""


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU time taken so far, in seconds."""

    worker: float
    store: float = 0.0
    """Of a store that is a process of its own."""

    def per_thousand(self, *, since: "Cpu", count: int, name: str = "") -> dict[str, float]:
        """Return the fields of a report: what `count` runs took since then, per 1,000."""
        scale = 1000 / max(count, 1)
        return {
            f"cpu_worker{name}_per1k": round((self.worker - since.worker) * scale, 3),
            f"cpu_store{name}_per1k": round((self.store - since.store) * scale, 3),
        }


class Round(ABC):
    """A scheduler, and the sink that its jobs call."""

    def __init__(self, folder: Path, *, delay: float) -> None:
        self._log = folder / "calls"
        self._log.touch()
        command = [sys.executable, "-m", "benchmarks.sink", str(self._log), str(delay)]
        self._sink = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._sink.stdout is not None
        self.target = f"http://127.0.0.1:{int(self._sink.stdout.readline())}/"

    @abstractmethod
    def start(self) -> None:
        """Start the scheduler, and wait until it works."""

    @abstractmethod
    def kill(self) -> None:
        """End the scheduler in the middle of whatever it does; its store stays."""

    @abstractmethod
    def create(self, jobs: Mapping[str, Schedule], *, one_by_one: bool = False) -> float:
        """Create jobs with these schedules; return how many seconds that took.

        Many together where the scheduler can, unless they are to be created one by one.
        """

    @abstractmethod
    def cpu(self) -> Cpu:
        """Return the CPU time that the scheduler and its store have taken so far."""

    def close(self) -> None:
        """End every process."""
        self.kill()
        self._sink.kill()
        self._sink.wait()

    def calls(self) -> list[tuple[str, float, int, float]]:
        """Return job id, slot, attempt and arrival of each call, in the order they came.

        A slot or an attempt that a scheduler does not tell is 0.
        """
        calls = []
        for entry in self._log.read_text().splitlines():
            job_id, slot, attempt, arrived = entry.split()
            number = 0 if attempt == "-" else int(attempt)
            calls.append((job_id, seconds_of(slot), number, int(arrived) / 1e9))
        return calls

    def wait_for(self, count: int, *, within: float) -> None:
        """Wait until so many calls came, or so many seconds passed."""
        give_up = time.monotonic() + within
        while time.monotonic() < give_up and len(self._log.read_bytes().splitlines()) < count:
            time.sleep(0.05)


Rounds = Callable[..., AbstractContextManager[Round]]
"""Opens a round; `delay` is how many seconds the sink takes to answer."""


class Host(Round):
    """Punctual on one machine, from the outside."""

    def __init__(self, folder: Path, *, delay: float) -> None:
        super().__init__(folder, delay=delay)
        self._home = folder / "home"
        self._output = folder / "output"
        self._host: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """See `Round.start`; the host says its address."""
        with self._output.open("ab") as output:
            said = output.tell()
            self._host = subprocess.Popen(
                [Path(sys.executable).with_name("punctual"), "serve"],
                env=os.environ | {"PUNCTUAL_HOME": str(self._home), "PUNCTUAL_PORT": "0"},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        while b"http://" not in (lines := self._output.read_bytes()[said:]):
            if self._host.poll() is not None:
                raise RuntimeError(f"the host did not start: {lines.decode()}")
            time.sleep(0.01)
        self.url = "http://" + lines.decode().partition("http://")[2].split()[0]

    def kill(self) -> None:
        """See `Round.kill`."""
        if self._host is not None:
            os.killpg(self._host.pid, signal.SIGKILL)
            self._host.wait()

    def cpu(self) -> Cpu:
        """See `Round.cpu`; the store is within the process."""
        assert self._host is not None, "a round is measured while it is open"
        return Cpu(seconds_of_process(self._host.pid))

    def create(
        self,
        jobs: Mapping[str, Schedule],
        *,
        one_by_one: bool = False,
    ) -> float:
        """See `Round.create`; many requests are under way at once."""
        target = {"type": "http", "url": self.target}
        bodies = {j: {"schedule": schedule, "target": target} for j, schedule in jobs.items()}
        return asyncio.run(self._put(bodies) if one_by_one else self._post(bodies))

    async def _put(self, bodies: Mapping[str, Any]) -> float:
        waiting = iter(bodies.items())

        async def client(session: aiohttp.ClientSession) -> None:
            for job_id, body in waiting:
                async with session.put(f"/v1/jobs/{job_id}", json=body) as answer:
                    if answer.status != 201:
                        raise RuntimeError(await answer.text())

        return await self._together(client, clients=CLIENTS)

    async def _post(self, bodies: Mapping[str, Any]) -> float:
        jobs = [{"id": job_id, **body} for job_id, body in bodies.items()]
        texts = [json.dumps({"jobs": part}) for part in _parts(jobs)]
        waiting = iter(texts)
        headers = {"Content-Type": "application/json"}

        async def client(session: aiohttp.ClientSession) -> None:
            for text in waiting:
                async with session.post("/v1/jobs/bulk", data=text, headers=headers) as answer:
                    content = await answer.read()
                    if content.count(b'"status":201') != text.count('"id"'):
                        raise RuntimeError(content.decode()[:2000])

        return await self._together(client, clients=BULK_CLIENTS)

    async def _together(
        self, client: Callable[[aiohttp.ClientSession], Awaitable[None]], *, clients: int
    ) -> float:
        connector = aiohttp.TCPConnector(limit=clients)
        async with aiohttp.ClientSession(self.url, connector=connector) as session:
            began = time.perf_counter()
            await asyncio.gather(*(client(session) for _ in range(clients)))
            return time.perf_counter() - began


@contextlib.contextmanager
def opened(round_: Round) -> Iterator[Round]:
    """Close a round at the end."""
    try:
        yield round_
    finally:
        round_.close()


def seconds_of_process(pid: int) -> float:
    """Return the CPU time of a process and of those it started, ended ones too."""
    return sum(family_of(pid).values())


def family_of(pid: int) -> dict[int, float]:
    """Return a process and those that it started by their ids, each with its CPU time in seconds.

    That of one which ended is its parent's.
    """
    processes: dict[int, tuple[int, int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            fields = stat.read_text().rpartition(")")[2].split()
            processes[int(stat.parent.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    family = {pid}
    for process in sorted(processes):  # a child has a greater number than its parent, mostly
        if processes[process][0] in family:
            family.add(process)
    return {process: processes[process][1] / TICKS for process in family if process in processes}


def instant_of(seconds: float) -> str:
    """Write an instant."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def seconds_of(instant: str) -> float:
    """Read an instant; 0 where none is told."""
    return 0.0 if instant == "-" else datetime.fromisoformat(instant).timestamp()


def _parts(jobs: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for first in range(0, len(jobs), TOGETHER):
        yield jobs[first : first + TOGETHER]
