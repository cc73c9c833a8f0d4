"""Targets of the host on one machine that accept the work, and report what became of it."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.host import Host, Reply, environment, from_now, host, instant, wait_until
from tests.support.sinks import ROOT, Request, SinkProcess, sink_process

pytestmark = pytest.mark.e2e

WORKS_SECONDS = 3.0


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Host]:
    with host(tmp_path) as started:
        yield started


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[SinkProcess]:
    """A target that accepts everything; the test reports in its place."""
    with sink_process(tmp_path / "calls") as started:
        yield started


def put(running: Host, url: str, **fields: Any) -> None:
    """Create a job of one run, in a moment, whose target reports back."""
    running.api.put(
        "report",
        schedule={"at": instant(from_now(0.5))},
        target={"type": "http", "url": url, "completion": "callback"} | fields.pop("target", {}),
        **{"heartbeat_seconds": 10} | fields,
    )


def called(sink: SinkProcess, times: int = 1) -> Request:
    """Wait until the target was called so often; return the last call."""
    wait_until(lambda: len(sink.requests()) >= times, within=30)
    requests = sink.requests()
    assert len(requests) == times
    return requests[-1]


def report(running: Host, call: Request, what: str, body: object = None) -> Reply:
    """Report as the target that was called so; the host may have another port by now."""
    path = "/v1/runs/" + call.header("Punctual-Callback-Url").rpartition("/v1/runs/")[2]
    token = call.header("Punctual-Callback-Token")
    return running.api.ask(
        "POST", f"{path}/{what}", body, headers={"Authorization": f"Bearer {token}"}
    )


def the_run(running: Host) -> Any:
    (run,) = running.api.runs("report")
    return run


def held(running: Host) -> bool:
    """Say whether the host has written that the call was accepted."""
    return "accepted" in running.output()


def test_an_attempt_goes_on_through_kill_9_and_a_restart(running: Host, sink: SinkProcess) -> None:
    """It works for seconds, with heartbeats; the host that called it dies in between."""
    put(running, sink.url)
    call = called(sink)
    assert call.header("Punctual-Callback-Url").startswith(running.api.url)
    wait_until(lambda: held(running), within=10)

    works_until = time.monotonic() + WORKS_SECONDS
    assert report(running, call, "heartbeat").value == {"cancel_requested": False}
    running.kill()
    running.start()
    while time.monotonic() < works_until:
        assert report(running, call, "heartbeat").value == {"cancel_requested": False}
        assert the_run(running)["state"] == "running"
        time.sleep(0.5)
    assert report(running, call, "logs", {"lines": ["almost done"]}).status == 204
    done = report(running, call, "complete", {"result": {"rows": 3}})

    assert (done.status, done.value["outcome"]) == (200, "succeeded")
    run = the_run(running)
    assert (run["state"], run["attempt"]) == ("succeeded", 1)
    assert run["duration_seconds"] >= WORKS_SECONDS
    assert run["result"]["body"] == '{"rows":3}'
    log = running.api.get(f"/v1/runs/{run['id']}/logs")["items"]
    assert "almost done" in [line["message"] for line in log]
    assert len(sink.requests()) == 1


def test_an_attempt_that_another_one_followed_is_refused(running: Host, sink: SinkProcess) -> None:
    put(running, sink.url, retry={"min_delay_seconds": 0.1, "max_delay_seconds": 0.1})
    first = called(sink)
    failure = {"error": {"type": "sold_out", "message": "none left"}}

    assert report(running, first, "fail", failure).status == 200
    second = called(sink, 2)

    assert second.header("Idempotency-Key") == first.header("Idempotency-Key")
    assert second.header("Punctual-Attempt") == "2"
    assert report(running, first, "heartbeat").status == 409
    assert report(running, first, "complete", {"result": 1}).status == 409
    assert the_run(running)["state"] == "running"
    assert report(running, second, "complete", {"result": 2}).status == 200
    run = the_run(running)
    assert (run["state"], run["result"]["body"]) == ("succeeded", "2")


def test_a_token_that_nobody_was_given_is_refused(running: Host, sink: SinkProcess) -> None:
    put(running, sink.url)
    call = called(sink)
    path = f"/v1/runs/{call.header('Punctual-Run-Id')}/complete"

    for token in ("", "guessed", call.header("Punctual-Callback-Token") + "A"):
        reply = running.api.ask("POST", path, {}, headers={"Authorization": f"Bearer {token}"})
        assert reply.status == 401
    assert running.api.ask("POST", path, {}).status == 401
    assert the_run(running)["state"] == "running"


@pytest.mark.nightly
def test_whoever_is_silent_for_too_long_is_followed_by_another_and_the_last_one_ends_the_run(
    running: Host, sink: SinkProcess
) -> None:
    put(running, sink.url, retry={"max_attempts": 2})
    first = called(sink)
    wait_until(lambda: len(sink.requests()) == 2, within=150)
    assert report(running, first, "heartbeat").status == 409

    wait_until(lambda: the_run(running)["state"] == "timed_out", within=150)

    run = the_run(running)
    assert run["error"] == {"type": "timeout", "message": "no heartbeat for 10 s"}
    assert [attempt["outcome"] for attempt in run["attempts"]] == ["timed_out", "timed_out"]


def test_the_receiver_of_the_documentation_works(running: Host, tmp_path: Path) -> None:
    with receiver(tmp_path) as url:
        put(running, url, target={"body": [3, 1, 2]})
        wait_until(lambda: the_run(running)["state"] == "succeeded", within=30)

        run = the_run(running)
        assert run["result"]["body"] == "[1,2,3]"
        log = running.api.get(f"/v1/runs/{run['id']}/logs")["items"]
        assert "sorted 3 numbers" in [line["message"] for line in log]


def test_the_receiver_of_the_documentation_stops_when_it_is_asked_to(
    running: Host, tmp_path: Path
) -> None:
    with receiver(tmp_path) as url:
        put(running, url, target={"body": list(range(100))})
        wait_until(lambda: the_run(running)["state"] == "running", within=30)
        wait_until(lambda: held(running), within=10)

        running.api.ask("POST", f"/v1/runs/{the_run(running)['id']}/cancel")
        wait_until(lambda: the_run(running)["state"] == "cancelled", within=30)

        assert the_run(running)["error"] == {"type": "stopped", "message": "as asked"}


@contextmanager
def receiver(folder: Path) -> Iterator[str]:
    """Run the receiver that the documentation shows, and return its address."""
    text = (ROOT / "docs" / "callbacks.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    program = folder / "receiver.py"
    program.write_text(code, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, program, "0"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        port = re.fullmatch(r"ready at port (\d+)\n", process.stdout.readline())
        assert port is not None
        yield f"http://127.0.0.1:{port[1]}/sort"
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
