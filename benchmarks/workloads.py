"""The host on one machine under six workloads, from the outside: processes, HTTP and a clock.

`make bench` runs all of them and prints one line of JSON per workload and round, in the fields that
harnesses of other schedulers use, so that a pair run in one sitting can be compared line by line:

- w1: 60 one-time jobs at instants of their own: how late do they start?
- w2: 1,000 (and 10,000) jobs due at one instant: how fast do they start, at what price?
- w3: 200 jobs every second: does each slot start, and how late?
- w4: `kill -9` in the middle of 1,000 calls, then a restart: is anything lost, or done twice?
- w5: how many jobs a second can be created over HTTP?
- w6: 1,000 jobs of a host that is there, beside as many of one that is not: how late are they?

A job is one HTTP call to a sink on the same machine. CPU is that of the host, store included, per
1,000 runs. `contention` is wall time over CPU time of a fixed spin: 1.0 means that a core was ours.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.dead_host import w6
from benchmarks.rounds import Host, Round, Rounds, instant_of, opened


def w1(rounds: Rounds, number: int) -> dict[str, Any]:
    """Start 60 one-time jobs at random instants half a second apart."""
    chance = random.Random(number)
    with rounds() as host:
        first = time.time() + 5
        slots = {f"j{i}": first + i / 2 + chance.random() * 0.49 for i in range(60)}
        host.create({job_id: {"at": instant_of(slot)} for job_id, slot in slots.items()})
        host.wait_for(len(slots), within=45)
        calls = host.calls()
    return {"n": len(calls), "early": sum(at < slot for _, slot, _, at in calls)} | _lateness(calls)


def w2(rounds: Rounds, _: int, *, count: int) -> dict[str, Any]:
    """Start many jobs that are due at one instant."""
    with rounds() as host:
        before = host.cpu()
        # Created well ahead, so that what is measured after the slot is the starts alone.
        slot = float(int(time.time() + 6 + count * 0.0015))
        host.create({f"j{i}": {"at": instant_of(slot)} for i in range(count)})
        slack = slot - time.time()
        time.sleep(max(slack - 0.2, 0))
        due = host.cpu()
        host.wait_for(count, within=60)
        time.sleep(1)  # what was called is yet to be recorded
        after = host.cpu()
        calls = host.calls()
    last = max(arrived for *_, arrived in calls) - slot
    return {
        "n": len(calls),
        "distinct": len({job_id for job_id, *_ in calls}),
        "slack": round(slack, 2),
        "runs_s": round(len(calls) / last, 1),
        **after.per_thousand(since=before, count=count),
        **after.per_thousand(since=due, count=count, name="_run"),
    } | _lateness(calls)


def w3(rounds: Rounds, _: int, *, count: int = 200, seconds: int = 30) -> dict[str, Any]:
    """Run 200 jobs every second for half a minute."""
    with rounds() as host:
        first = int(time.time()) + 8
        schedule = {"every_seconds": 1, "start_at": instant_of(float(first))}
        host.create({f"j{i}": schedule for i in range(count)})
        time.sleep(max(first - time.time(), 0))
        before = host.cpu()
        time.sleep(seconds)
        after = host.cpu()
        time.sleep(2)
        calls = [call for call in host.calls() if first <= call[1] < first + seconds]
    slots = Counter((job_id, slot) for job_id, slot, *_ in calls)
    return {
        "n": len(calls),
        "frac": round(len(slots) / (count * seconds), 4),
        "dups": len(calls) - len(slots),
        **after.per_thousand(since=before, count=len(calls)),
    } | _lateness(calls)


def w4(rounds: Rounds, _: int, *, count: int = 1000) -> dict[str, Any]:
    """Kill the host in the middle of 1,000 calls of 50 ms, and start it again."""
    with rounds(delay=0.05) as host:
        slot = float(int(time.time() + 6 + count * 0.0015))
        host.create({f"j{i}": {"at": instant_of(slot)} for i in range(count)})
        slack = slot - time.time()
        time.sleep(max(slack, 0))
        host.wait_for(200, within=30)
        host.kill()
        started = len(host.calls())
        again = time.time()
        host.start()
        host.wait_for(2 * count, within=12)
        calls = host.calls()
        outcomes = asyncio.run(_outcomes(host.url, count)) if isinstance(host, Host) else {}
    attempts = Counter(job_id for job_id, *_ in calls)
    return {
        "n": count,
        "slack": round(slack, 2),
        "started_before_kill": started,
        "not_run": count - len(attempts),
        "multi": sum(number > 1 for number in attempts.values()),
        "outcomes": dict(outcomes),
        "last_start_after_kill": round(max(at for *_, at in calls) - again, 2),
    }


def w5(rounds: Rounds, _: int, *, count: int = 2000, together: int = 20_000) -> dict[str, Any]:
    """Create jobs of the next hour, one request each, and then many with each request."""
    with rounds() as host:
        before = host.cpu()
        slot = {"at": instant_of(time.time() + 3600)}
        took = host.create({f"j{i}": slot for i in range(count)}, one_by_one=True)
        between = host.cpu()
        took_together = host.create({f"k{i}": slot for i in range(together)})
        after = host.cpu()
    return {
        "single_per_s": round(count / took, 1),
        "bulk_per_s": round(together / took_together, 1),
        **between.per_thousand(since=before, count=count),
        **after.per_thousand(since=between, count=together, name="_bulk"),
    }


Workload = Callable[[Rounds, int], dict[str, Any]]

WORKLOADS: dict[str, Workload] = {
    "w1": w1,
    "w2": partial(w2, count=1000),
    "w2k10": partial(w2, count=10_000),
    "w3": w3,
    "w4": w4,
    "w5": w5,
    "w6": w6,
}


async def _outcomes(url: str, count: int) -> Counter[str]:
    """Count what the API says became of every job's run; a job has one slot, hence one run."""
    states = Counter[str]()
    async with aiohttp.ClientSession(url) as session:
        for number in range(count):
            async with session.get(f"/v1/jobs/j{number}/runs") as answer:
                items = (await answer.json())["items"]
                states[items[0]["state"] if len(items) == 1 else f"{len(items)} runs"] += 1
    return states


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


def report(peer: str, name: str, number: int, rounds: Rounds) -> dict[str, Any]:
    """Run one round of a workload, and return its line."""
    figures = WORKLOADS[name](rounds, number)
    head = {"peer": peer, "w": name, "round": number, "http": True}
    load = {"load1": round(os.getloadavg()[0], 2), "contention": _contention()}
    return head | load | figures


@contextlib.contextmanager
def hosts(*, delay: float = 0.0) -> Iterator[Round]:
    """Open a round of Punctual."""
    with (
        tempfile.TemporaryDirectory(prefix="punctual-bench-") as folder,
        opened(Host(Path(folder), delay=delay)) as host,
    ):
        host.start()
        yield host


def main() -> None:
    """Run the workloads that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workloads", nargs="*", default=[], help=", ".join(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.workloads) - WORKLOADS.keys()):
        parser.error(f"there is no {unknown[0]!r}: there are {', '.join(WORKLOADS)}")
    for name in arguments.workloads or WORKLOADS:
        for number in range(arguments.rounds):
            print(json.dumps(report("punctual", name, number, hosts)), flush=True)


if __name__ == "__main__":
    main()
