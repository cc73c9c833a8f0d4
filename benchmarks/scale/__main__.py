"""`make bench-scale`: the real handlers against AWS's limits, in virtual time.

Each workload prints one line of JSON: how late runs started, what waited, what it took of AWS and
what that costs. `docs/benchmarks-scale.md` says what is simulated, and what the lines came to.
"""

import argparse
import gc
import json
import resource
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.scale.cloud import TARGET, Cloud
from benchmarks.scale.jobs import standing_jobs
from benchmarks.scale.plot import picture
from benchmarks.scale.report import Taken, record, taken
from benchmarks.scale.tally import Tally
from benchmarks.scale.workloads import MAIN, WORKLOADS, Workload
from punctual.core.instants import MILLISECOND, epoch_ms, from_epoch_ms

BEGINS = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
"""When virtual time begins."""

ALLOCATIONS_MAX = 200_000
"""Objects that may be made before the collector looks for garbage: millions are there to stay."""


def run(workload: Workload, *, seed: int) -> tuple[Cloud, Taken]:
    """Run a workload; return the deployment as it is then, and what it took where it counts."""
    begins = epoch_ms(BEGINS)
    since, until = (begins + when // MILLISECOND for when in (workload.since, workload.until))
    cloud = Cloud(
        deployment=workload.deployment,
        tally=Tally(since=since, until=until),
        begins=begins,
        tick_delays={
            begins + minute // MILLISECOND: None if delay is None else delay // MILLISECOND
            for minute, delay in workload.tick_delays.items()
        },
        seed=seed,
    )
    ends = until + workload.drain // MILLISECOND
    chance = Random(seed)
    cloud.stand(standing_jobs(workload.kinds, now=BEGINS, until=from_epoch_ms(ends), chance=chance))
    if workload.wall:  # its hand-over is a part of what it takes
        before = taken(cloud)
        cloud.run(until=ends)
        return cloud, taken(cloud).since(before)
    cloud.run(until=since)
    before = taken(cloud)
    cloud.run(until=until)
    after = taken(cloud)
    cloud.run(until=ends)
    return cloud, after.since(before)


def report(name: str, workload: Workload, *, seed: int, plots: Path | None) -> dict[str, Any]:
    """Run a workload, plot it where wished, and return its line."""
    began = time.process_time()
    cloud, units = run(workload, seed=seed)
    line = {
        "w": name,
        "about": workload.about,
        "seed": seed,
        "call_ms": round(workload.deployment.target.mean),
        "minutes": (workload.until - workload.since).total_seconds() / 60,
        **record(cloud, expected=workload.expected(), units=units),
        "cpu_s": round(time.process_time() - began, 1),
        "rss_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }
    if plots is not None:
        (plots / f"scale-{name}.svg").write_text(picture(line))
    return line


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the workloads that were asked for, each in its turn."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workloads", nargs="*", default=[], help=", ".join(WORKLOADS))
    parser.add_argument("--minutes", type=float, default=5, help="that count, where time goes on")
    parser.add_argument(
        "--call-ms", type=float, default=TARGET.mean, help="how long targets take, on average"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plots", type=Path, help="a folder for a picture of each")
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.workloads) - WORKLOADS.keys()):
        parser.error(f"there is no {unknown[0]!r}: there are {', '.join(WORKLOADS)}")
    gc.set_threshold(ALLOCATIONS_MAX)
    for name in given.workloads or MAIN:
        workload = WORKLOADS[name].over(given.minutes).answered_in(given.call_ms / TARGET.mean)
        print(json.dumps(report(name, workload, seed=given.seed, plots=given.plots)), flush=True)


if __name__ == "__main__":
    main()
