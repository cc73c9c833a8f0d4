"""Which HTTP client the targets are called with, and what ours adds to it, to one loopback sink.

`python -m benchmarks.http_clients` prints a line of JSON per client and round: calls per second,
and CPU seconds of this process per 1,000 calls. Each client posts a small JSON body with the
headers of a run; up to 500 calls are on their way at once. `--url` names another target.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import urllib3
import uvloop

from punctual.core.calls import HttpCall, http_call
from punctual.core.jobs import HttpTarget
from tests.support.keeping import http_targets

AT_ONCE = 500
WARM_UP = 500
ROOT = Path(__file__).parents[1]

NewLoop = Callable[[], asyncio.AbstractEventLoop]
Client = Callable[[Sequence[HttpCall]], int]
"""Makes every call; returns how many were answered with 200."""


def punctual_targets(new_loop: NewLoop) -> Client:
    """Return our own targets: launched by the 500, collected as they come."""

    def call_all(calls: Sequence[HttpCall]) -> int:
        targets = http_targets(new_loop=new_loop)
        answered = succeeded = launched = 0
        while answered < len(calls):
            room = AT_ONCE - (launched - answered)
            targets.launch(calls[launched : launched + room])
            launched = min(launched + room, len(calls))
            answers = targets.collect(wait=timedelta(seconds=10))
            answered += len(answers)
            succeeded += sum(answer.status_code == 200 for _, answer in answers)
        targets.close()
        return succeeded

    return call_all


def bare_aiohttp(new_loop: NewLoop) -> Client:
    """Return aiohttp as it comes: no vetting, no deadline of ours, no thread."""

    async def work(calls: Iterator[HttpCall], session: aiohttp.ClientSession) -> int:
        succeeded = 0
        for call in calls:
            async with session.request(
                call.method, call.url, headers=call.headers, data=call.body
            ) as response:
                await response.read()
                succeeded += response.status == 200
        return succeeded

    async def call_all(calls: Sequence[HttpCall]) -> int:
        connector = aiohttp.TCPConnector(limit=AT_ONCE)
        async with aiohttp.ClientSession(connector=connector) as session:
            queue = iter(calls)
            return sum(await asyncio.gather(*(work(queue, session) for _ in range(AT_ONCE))))

    def call_all_on_a_loop(calls: Sequence[HttpCall]) -> int:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(call_all(calls))

    return call_all_on_a_loop


def urllib3_threads(threads: int) -> Client:
    """Return urllib3, one call at a time in each of so many threads."""

    def call_all(calls: Sequence[HttpCall]) -> int:
        with (
            urllib3.PoolManager(maxsize=threads, retries=False) as pool,
            ThreadPoolExecutor(threads) as executor,
        ):

            def call_one(call: HttpCall) -> bool:
                answer = pool.request(
                    call.method, call.url, body=call.body, headers=dict(call.headers), timeout=10
                )
                return answer.status == 200

            return sum(executor.map(call_one, calls, chunksize=1))

    return call_all


CLIENTS: dict[str, Client] = {
    "punctual, uvloop": punctual_targets(uvloop.new_event_loop),
    "punctual, asyncio": punctual_targets(asyncio.new_event_loop),
    "aiohttp, uvloop": bare_aiohttp(uvloop.new_event_loop),
    "aiohttp, asyncio": bare_aiohttp(asyncio.new_event_loop),
    "urllib3, 1 thread": urllib3_threads(1),
    "urllib3, 16 threads": urllib3_threads(16),
}


def run_calls(url: str, count: int) -> list[HttpCall]:
    """Make the calls of so many runs."""
    now = datetime.now(UTC)
    target = HttpTarget(url=url, body='{"report": "nightly", "run": "{{run_id}}"}')
    return [
        http_call(
            target,
            tenant="default",
            run_id=f"nightly-report.{number}",
            job_id="nightly-report",
            scheduled_at=now,
            attempt=1,
            timeout=timedelta(seconds=30),
        )
        for number in range(count)
    ]


@contextmanager
def sink() -> Iterator[str]:
    """Run the sink of the benchmarks, and yield its URL."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.sink", str(Path(folder) / "log")]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None, "a pipe was asked for"
            try:
                yield f"http://127.0.0.1:{process.stdout.readline().strip()}/hook"
            finally:
                process.terminate()


def measure(client: Client, url: str, calls: int) -> dict[str, float]:
    """Make the calls, after some to warm up, and return what they took."""
    client(run_calls(url, WARM_UP))
    made = run_calls(url, calls)
    began, cpu_began = time.perf_counter(), time.process_time()
    succeeded = client(made)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    return {
        "calls": calls,
        "succeeded": succeeded,
        "calls_per_second": round(calls / seconds),
        "cpu_seconds_per_1000": round(1000 * cpu / calls, 4),
    }


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clients", nargs="*", default=list(CLIENTS), metavar="CLIENT")
    parser.add_argument("--url", help="what to call in place of the sink")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with sink() as url:
        for number in range(1, options.rounds + 1):
            for name in options.clients:
                figures = measure(CLIENTS[name], options.url or url, options.calls)
                print(json.dumps({"client": name, "round": number} | figures), flush=True)


if __name__ == "__main__":
    main()
