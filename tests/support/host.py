"""The host on one machine as a process, its HTTP API, and its command line."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import urllib3

PUNCTUAL = Path(sys.executable).with_name("punctual")

READY_WITHIN_SECONDS = 30
STOPPED_WITHIN_SECONDS = 30

OPEN = {"scheduled", "queued", "running", "retrying", "cancelling"}
"""States of a run that still awaits its outcome."""


@dataclass(frozen=True)
class Reply:
    """What the API answered."""

    status: int
    value: Any


class Api:
    """Speaks to the HTTP API, as any program would; nothing is sent twice."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._pool = urllib3.PoolManager(maxsize=32, retries=False, timeout=30)

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        sent = dict(headers or {})
        if body is not None:
            sent["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        response = self._pool.request(method, self.url + path, body=data, headers=sent)
        return Reply(response.status, json.loads(response.data) if response.data else None)

    def put(self, job_id: str, **fields: Any) -> Any:
        """Create or replace a job, and return it."""
        reply = self.ask("PUT", f"/v1/jobs/{job_id}", fields)
        assert reply.status in {200, 201}, reply
        return reply.value

    def get(self, path: str) -> Any:
        reply = self.ask("GET", path)
        assert reply.status == 200, reply
        return reply.value

    def runs(self, job_id: str, **query: str) -> list[Any]:
        """Return every run of a job, newest first."""
        found: list[Any] = []
        cursor: str | None = ""
        parameters = "".join(f"&{name}={value}" for name, value in query.items())
        while cursor is not None:
            more = f"&cursor={cursor}" if cursor else ""
            page = self.get(f"/v1/jobs/{job_id}/runs?limit=100{parameters}{more}")
            found += page["items"]
            cursor = page["next_cursor"]
        return found

    def ended(self, job_id: str) -> list[Any]:
        """Return the runs of a job that have their outcome, newest first."""
        return [run for run in self.runs(job_id) if run["state"] not in OPEN]


class Host:
    """One process, or several in turn, over one folder of data."""

    def __init__(self, home: Path, output: Path) -> None:
        self.home = home
        self.api = Api("")
        self._output = output

    def start(self, *flags: str, **options: Any) -> "Host":
        """Start it, and return once it said that it is ready; options go to `Popen`."""
        with self._output.open("ab") as output:
            said = output.tell()
            self.process = subprocess.Popen(
                [PUNCTUAL, "serve", *flags],
                env=environment(PUNCTUAL_HOME=str(self.home), PUNCTUAL_PORT="0"),
                stdout=output,
                stderr=output,
                start_new_session=True,  # what the tests' own group is told is not told to it
                **options,
            )

        def first_line() -> str:
            if self.process.poll() is not None:
                raise AssertionError(f"the host did not start:\n{self.output()}")
            return self._output.read_bytes()[said:].decode().partition("\n")[0]

        wait_until(lambda: first_line() != "", within=READY_WITHIN_SECONDS)
        self.api = Api(first_line().split()[4])
        return self

    @contextmanager
    def started(self, *flags: str) -> Iterator[None]:
        """Run it for a while."""
        self.start(*flags)
        try:
            yield
        finally:
            self.kill()

    def output(self) -> str:
        return self._output.read_text()

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOPPED_WITHIN_SECONDS)


@contextmanager
def host(folder: Path) -> Iterator[Host]:
    """Run a host with an empty home in `folder`; what it printed is shown when the test fails."""
    made = Host(folder / "home", folder / "output")
    try:
        yield made.start()
    finally:
        if made.process.poll() is None:
            made.kill()
        sys.stdout.write(made.output())


def punctual(
    *args: str, url: str | None = None, stdin: str | None = None, **env: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    if url is not None:
        env["PUNCTUAL_URL"] = url
    return subprocess.run(
        [PUNCTUAL, *args],
        env=environment(**env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment without what would lead a command elsewhere."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith("PUNCTUAL_")}
    return ours | more


def files_of_at_most(size: int) -> Callable[[], None]:
    """Return what a process calls before it begins, so that its disk is full at `size` bytes."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def wait_until(condition: Callable[[], bool], *, within: float) -> None:
    """Return once a condition holds; fail if it does not within so many seconds."""
    give_up_at = time.monotonic() + within
    while not condition():
        assert time.monotonic() < give_up_at, f"it did not come to pass within {within} s"
        time.sleep(0.02)


def instant(at: datetime) -> str:
    """Write an instant as the API does, cut to milliseconds."""
    text = at.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00").removesuffix(".000") + "Z"


def from_now(seconds: float) -> datetime:
    """Return an instant of whole milliseconds, so long from now."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that such a share of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
