"""What a fresh process of each function takes before its first event: CPU and memory.

The measure is what no function on AWS can do without: the interpreter, boto3, and the clients of
the table and the queues.
"""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.aws import sizes
from benchmarks.aws.deployed import variables
from infra.ministack import aws_free_environment

Json = dict[str, Any]

SAMPLES = 7
"""Processes of each kind, in turns, so that what else the machine does strikes all alike."""

BASELINE = "boto3 and two clients"

_WIRED = "import functions.{0}.handler\nfrom punctual.runtime import wiring\n"

STARTS: Mapping[str, str] = {
    BASELINE: "import boto3; boto3.client('dynamodb'); boto3.client('sqs')",
    "tick, imported": "import functions.tick.handler",
    "tick, ready": _WIRED.format("tick") + "wiring.tick()",
    "dispatch, imported": "import functions.dispatch.handler",
    "dispatch, ready": _WIRED.format("dispatch") + "wiring.dispatch(); wiring.watch()",
    "execute, imported": "import functions.execute.handler",
    "execute, ready": _WIRED.format("execute") + "wiring.execute()",
    "dead_letters, imported": "import functions.dead_letters.handler",
    "dead_letters, ready": _WIRED.format("dead_letters") + "wiring.dead_letters()",
    "api, imported": "import functions.api.handler",
    # The secret of the cursors is asked for where there is AWS.
    "api, ready": _WIRED.format("api")
    + "from punctual.runtime import api_wiring as api\n"
    + "api._secret = lambda _: bytes(32)\napi.app()",
}
"""What a process does. `ready`: all that its first event needs is put together, clients too."""

_ALONE = """
import sys
sys.modules["uvloop"] = None  # it is no dependency of the functions
"""

_REPORT = """
import json, resource, sys, threading, time
first = time.thread_time()
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join()
used = resource.getrusage(resource.RUSAGE_SELF)
json.dump([used.ru_utime + used.ru_stime, first, used.ru_maxrss / 1024], sys.stdout)
"""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a process took to begin."""

    cpu: float
    """Seconds, of all threads."""
    first_cpu: float
    """Seconds of the thread that its first event is handled by; others go on beside it."""
    rss_max: float
    """MB."""


def measure() -> Iterator[Json]:
    """Yield a line for each way to begin, all code compiled before."""
    yield from _measure({})


def measure_uncompiled() -> Iterator[Json]:
    """Yield a line for each way to begin from the layers as they are uploaded: sources.

    A function cannot write where its layers are, so what they hold is compiled at each cold start.
    """
    with tempfile.TemporaryDirectory(prefix="punctual-aws-") as name:
        out = Path(name)
        sizes.synthesize(out, local="1")
        layers = [str(path / "python") for kind, path in sizes.assets(out) if "Layer" in kind]
        yield from _measure({"PYTHONPATH": ":".join(layers), "PYTHONDONTWRITEBYTECODE": "1"})


def _measure(more: Mapping[str, str]) -> Iterator[Json]:
    """Yield a line for each way to begin; a ratio is its CPU over the measure's."""
    environment = {**aws_free_environment(), **variables(), **more}
    samples: dict[str, list[Beginning]] = defaultdict(list)
    for code in STARTS.values():  # whatever is compiled or read from disk is so once before
        _begin(code, environment)
    for _ in range(SAMPLES):
        for name, code in STARTS.items():
            samples[name].append(_begin(code, environment))
    least = median(taken.cpu for taken in samples[BASELINE])
    for name, taken in samples.items():
        cpu = median(each.cpu for each in taken)
        first = median(each.first_cpu for each in taken)
        yield {
            "start": name,
            "cpu_s": round(cpu, 3),
            "ratio": round(cpu / least, 3),
            "first_thread_cpu_s": round(first, 3),
            "first_thread_ratio": round(first / least, 3),
            "rss_max_mb": round(max(each.rss_max for each in taken)),
            "samples": len(taken),
        }


def _begin(code: str, environment: Mapping[str, str]) -> Beginning:
    command = [sys.executable, "-c", _ALONE + code + _REPORT]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return Beginning(*json.loads(result.stdout))
