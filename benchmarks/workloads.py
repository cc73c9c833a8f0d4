"""The host on one machine under five workloads, from the outside: processes, HTTP and a clock.

`make bench` runs all of them and prints one line of JSON per workload and round, in the fields that
harnesses of other schedulers use, so that a pair run in one sitting can be compared line by line:

- w1: 60 one-time jobs at instants of their own: how late do they start?
- w2: 1,000 (and 10,000) jobs due at one instant: how fast do they start, at what price?
- w3: 200 jobs every second: does each slot start, and how late?
- w4: `kill -9` in the middle of 1,000 calls, then a restart: is anything lost, or done twice?
- w5: how many jobs a second can be created over HTTP?

A job is one HTTP call to a sink on the same machine. CPU is that of the host, store included, per
1,000 runs. `contention` is wall time over CPU time of a fixed spin: 1.0 means that a core was ours.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

TICKS = os.sysconf("SC_CLK_TCK")
CLIENTS = 32
"""Connections that create jobs side by side."""


class Round:
    """One host with an empty home, and one sink."""

    def __init__(self, folder: Path, *, delay: float = 0.0) -> None:
        self._home = folder / "home"
        self._output = folder / "output"
        self._log = folder / "calls"
        self._log.touch()
        command = [sys.executable, "-m", "benchmarks.sink", str(self._log), str(delay)]
        self._sink = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._sink.stdout is not None
        self.target = f"http://127.0.0.1:{int(self._sink.stdout.readline())}/"
        self.start()

    def start(self) -> None:
        """Start the host, and wait until it says its address."""
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
        """End the host in the middle of whatever it does."""
        os.killpg(self._host.pid, signal.SIGKILL)
        self._host.wait()

    def close(self) -> None:
        """End both processes."""
        self.kill()
        self._sink.kill()
        self._sink.wait()

    def cpu_seconds(self) -> float:
        """Return the CPU time the host has taken so far."""
        fields = Path(f"/proc/{self._host.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / TICKS

    def calls(self) -> list[tuple[str, float, int, float]]:
        """Return job id, slot, attempt and arrival of each call, in the order they came."""
        calls = []
        for entry in self._log.read_text().splitlines():
            job_id, slot, attempt, arrived = entry.split()
            calls.append((job_id, _seconds(slot), int(attempt), int(arrived) / 1e9))
        return calls

    def wait_for(self, count: int, *, within: float) -> None:
        """Wait until so many calls came, or none came for a while."""
        give_up = time.monotonic() + within
        while time.monotonic() < give_up and len(self._log.read_bytes().splitlines()) < count:
            time.sleep(0.05)

    def create(self, jobs: Mapping[str, Mapping[str, Any]]) -> float:
        """Create jobs with these schedules; return how many seconds that took."""
        return asyncio.run(self._create(jobs))

    async def _create(self, jobs: Mapping[str, Mapping[str, Any]]) -> float:
        waiting = iter(jobs.items())

        async def client(session: aiohttp.ClientSession) -> None:
            for job_id, schedule in waiting:
                body = {"schedule": schedule, "target": {"type": "http", "url": self.target}}
                async with session.put(f"/v1/jobs/{job_id}", json=body) as answer:
                    if answer.status != 201:
                        raise RuntimeError(await answer.text())

        connector = aiohttp.TCPConnector(limit=CLIENTS)
        async with aiohttp.ClientSession(self.url, connector=connector) as session:
            began = time.perf_counter()
            await asyncio.gather(*(client(session) for _ in range(CLIENTS)))
            return time.perf_counter() - began


def w1(folder: Path, number: int) -> dict[str, Any]:
    """Start 60 one-time jobs at random instants half a second apart."""
    chance = random.Random(number)
    with _round(folder) as host:
        first = time.time() + 5
        slots = {f"j{i}": first + i / 2 + chance.random() * 0.49 for i in range(60)}
        host.create({job_id: {"at": _instant(slot)} for job_id, slot in slots.items()})
        host.wait_for(len(slots), within=45)
        calls = host.calls()
    return {"n": len(calls), "early": sum(at < slot for _, slot, _, at in calls)} | _lateness(calls)


def w2(folder: Path, _: int, *, count: int) -> dict[str, Any]:
    """Start many jobs that are due at one instant."""
    with _round(folder) as host:
        before = host.cpu_seconds()
        # Created well ahead, so that what is measured after the slot is the starts alone.
        slot = float(int(time.time() + 6 + count * 0.0015))
        host.create({f"j{i}": {"at": _instant(slot)} for i in range(count)})
        slack = slot - time.time()
        time.sleep(max(slack - 0.2, 0))
        due = host.cpu_seconds()
        host.wait_for(count, within=60)
        time.sleep(1)  # what was called is yet to be recorded
        after = host.cpu_seconds()
        calls = host.calls()
    last = max(arrived for *_, arrived in calls) - slot
    return {
        "n": len(calls),
        "distinct": len({job_id for job_id, *_ in calls}),
        "slack": round(slack, 2),
        "runs_s": round(len(calls) / last, 1),
        "cpu_worker_per1k": round((after - before) * 1000 / count, 3),
        "cpu_worker_run_per1k": round((after - due) * 1000 / count, 3),
    } | _lateness(calls)


def w3(folder: Path, _: int, *, count: int = 200, seconds: int = 30) -> dict[str, Any]:
    """Run 200 jobs every second for half a minute."""
    with _round(folder) as host:
        first = int(time.time()) + 8
        schedule = {"every_seconds": 1, "start_at": _instant(float(first))}
        host.create({f"j{i}": schedule for i in range(count)})
        time.sleep(max(first - time.time(), 0))
        before = host.cpu_seconds()
        time.sleep(seconds)
        after = host.cpu_seconds()
        time.sleep(2)
        calls = [call for call in host.calls() if first <= call[1] < first + seconds]
    slots = Counter((job_id, slot) for job_id, slot, *_ in calls)
    return {
        "n": len(calls),
        "frac": round(len(slots) / (count * seconds), 4),
        "dups": len(calls) - len(slots),
        "cpu_worker_per1k": round((after - before) * 1000 / len(calls), 3),
    } | _lateness(calls)


def w4(folder: Path, _: int, *, count: int = 1000) -> dict[str, Any]:
    """Kill the host in the middle of 1,000 calls of 50 ms, and start it again."""
    with _round(folder, delay=0.05) as host:
        slot = float(int(time.time() + 6 + count * 0.0015))
        host.create({f"j{i}": {"at": _instant(slot)} for i in range(count)})
        time.sleep(max(slot - time.time(), 0))
        host.wait_for(200, within=30)
        host.kill()
        started = len(host.calls())
        again = time.time()
        host.start()
        host.wait_for(2 * count, within=12)
        calls = host.calls()
        outcomes = asyncio.run(_outcomes(host.url, count))
    attempts = Counter(job_id for job_id, *_ in calls)
    return {
        "n": count,
        "started_before_kill": started,
        "not_run": count - len(attempts),
        "multi": sum(number > 1 for number in attempts.values()),
        "outcomes": dict(outcomes),
        "last_start_after_kill": round(max(at for *_, at in calls) - again, 2),
    }


def w5(folder: Path, _: int, *, count: int = 2000) -> dict[str, Any]:
    """Create jobs of the next hour, one request each."""
    with _round(folder) as host:
        before = host.cpu_seconds()
        slot = {"at": _instant(time.time() + 3600)}
        took = host.create({f"j{i}": slot for i in range(count)})
        after = host.cpu_seconds()
    return {
        "single_per_s": round(count / took, 1),
        "cpu_worker_per1k": round((after - before) * 1000 / count, 3),
    }


WORKLOADS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "w1": w1,
    "w2": lambda folder, number: w2(folder, number, count=1000),
    "w2k10": lambda folder, number: w2(folder, number, count=10_000),
    "w3": w3,
    "w4": w4,
    "w5": w5,
}


@contextlib.contextmanager
def _round(folder: Path, *, delay: float = 0.0) -> Iterator[Round]:
    host = Round(folder, delay=delay)
    try:
        yield host
    finally:
        host.close()


async def _outcomes(url: str, count: int) -> Counter[str]:
    """Count what the API says became of every job's run; a job has one slot, hence one run."""
    states = Counter[str]()
    async with aiohttp.ClientSession(url) as session:
        for number in range(count):
            async with session.get(f"/v1/jobs/j{number}/runs") as answer:
                items = (await answer.json())["items"]
                states[items[0]["state"] if len(items) == 1 else f"{len(items)} runs"] += 1
    return states


def _instant(seconds: float) -> str:
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


def _lateness(calls: Sequence[tuple[str, float, int, float]]) -> dict[str, float]:
    """Return quantiles of how many seconds after its slot each call arrived."""
    late = sorted(arrived - slot for _, slot, _, arrived in calls)
    at = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(late[min(int(q * len(late)), len(late) - 1)], 4) for name, q in at.items()}


def _contention() -> float:
    wall, cpu = time.perf_counter(), time.process_time()
    while time.process_time() - cpu < 0.06:
        pass
    return round((time.perf_counter() - wall) / (time.process_time() - cpu), 2)


def main() -> None:
    """Run the workloads that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workloads", nargs="*", default=[], help=", ".join(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    for name in arguments.workloads or WORKLOADS:
        for number in range(arguments.rounds):
            with tempfile.TemporaryDirectory(prefix="punctual-bench-") as folder:
                figures = WORKLOADS[name](Path(folder), number)
            head = {"peer": "punctual", "w": name, "round": number, "http": True}
            load = {"load1": round(os.getloadavg()[0], 2), "contention": _contention()}
            print(json.dumps(head | load | figures), flush=True)


if __name__ == "__main__":
    main()
