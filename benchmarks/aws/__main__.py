"""What a run costs on AWS besides the bill: CPU, requests, units; and what a function weighs.

`make bench-aws ARGS="dispatch execute --rounds 3"` prints a line of JSON per measurement. Each is
taken in a process of its own, whose CPU time is counted, so that a busy machine tells little less
than a quiet one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.aws import imports, sizes
from infra.ministack import aws_free_environment, ministack

Json = dict[str, Any]

EVERY = (60, 300, 3600)
"""Seconds between slots: a claim is shared by ten runs, by three, by none."""


def dispatch(engine: str, jobs: int) -> Iterator[Json]:
    """Hand over what a tick finds due, for jobs of several periods."""
    for every in EVERY:
        plan = {"engine": engine, "jobs": jobs, "every": every, "target": None}
        yield {"every": every} | _in_a_process("dispatch", plan)


def execute(engine: str, jobs: int) -> Iterator[Json]:
    """Carry out runs: with targets that take no CPU, and with calls to a sink of ours."""
    with sink() as target:
        for name, url in (("none", None), ("sink", target)):
            plan = {"engine": engine, "jobs": jobs, "every": EVERY[0], "target": url}
            yield {"targets": name} | _in_a_process("execute", plan)


WORKLOADS: Mapping[str, Callable[[str, int], Iterator[Json]]] = {
    "dispatch": dispatch,
    "execute": execute,
}
"""Those that speak to an engine."""

WEIGHTS: Mapping[str, Callable[[], Iterator[Json]]] = {
    "imports": imports.measure,
    "imports-uncompiled": imports.measure_uncompiled,
    "sizes": sizes.measure,
}
"""Those that do not."""


@contextmanager
def sink() -> Iterator[str]:
    """Run the target of all benchmarks, and yield its address."""
    with tempfile.TemporaryDirectory(prefix="punctual-aws-") as folder:
        log = Path(folder, "calls")
        command = [sys.executable, "-m", "benchmarks.sink", str(log)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
            finally:
                process.kill()


def _in_a_process(workload: str, plan: Json) -> Json:
    command = [sys.executable, "-m", "benchmarks.aws.rounds", workload, json.dumps(plan)]
    environment = aws_free_environment()
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout
    figures: Json = json.loads(output)
    return figures


def _rounds(names: Sequence[str], engines: Sequence[str], jobs: int) -> Iterator[Json]:
    """Yield the lines of one round of everything that was asked for."""
    for name in names:
        if name in WEIGHTS:
            for figures in WEIGHTS[name]():
                yield {"w": name} | figures
            continue
        for engine in engines:
            with ExitStack() as stack:
                at = "stub" if engine == "stub" else stack.enter_context(ministack()).endpoint
                for figures in WORKLOADS[name](at, jobs):
                    yield {"w": name, "engine": engine} | figures


def main() -> None:
    """Measure what was asked for."""
    names = [*WORKLOADS, *WEIGHTS]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workloads", nargs="*", default=[], help=", ".join(names))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument(
        "--engines", nargs="+", choices=["stub", "ministack"], default=["stub"], help="who is AWS"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.workloads) - set(names):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    for number in range(arguments.rounds):
        for line in _rounds(arguments.workloads or names, arguments.engines, arguments.jobs):
            load = {"round": number, "load1": round(os.getloadavg()[0], 2)}
            print(json.dumps(line | load), flush=True)


if __name__ == "__main__":
    main()
