"""The host on one machine, used as anybody would: processes, HTTP, signals."""

import contextlib
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import urllib3

from tests.support.host import (
    PUNCTUAL,
    Api,
    Host,
    environment,
    files_of_at_most,
    from_now,
    host,
    instant,
    percentile,
    punctual,
    wait_until,
)
from tests.support.sinks import Request, SinkProcess, sink_process

pytestmark = pytest.mark.e2e

DISK_BYTES = 600_000

LATE_MAX_SECONDS = 0.25
"""Far above what an idle machine shows, so that one that also runs tests passes."""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Host]:
    with host(tmp_path) as started:
        yield started


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[SinkProcess]:
    with sink_process(tmp_path / "calls") as started:
        yield started


def http(url: str) -> dict[str, str]:
    return {"type": "http", "url": url}


def slot(request: Request) -> datetime:
    return datetime.fromisoformat(request.header("Punctual-Scheduled-At"))


def lateness(request: Request) -> float:
    return (request.at - slot(request)).total_seconds()


def test_runs_start_at_their_slots_once_each_and_are_there_after_a_restart(
    running: Host, sink: SinkProcess
) -> None:
    """A job every second and twenty one-time jobs, then SIGTERM, then the host again."""
    first = from_now(3)
    once = [first + timedelta(milliseconds=137 * number) for number in range(20)]
    running.api.put("each-second", schedule={"every_seconds": 1}, target=http(sink.url))
    for number, at in enumerate(once):
        running.api.put(f"once-{number}", schedule={"at": instant(at)}, target=http(sink.url))
    wait_until(lambda: len(running.api.ended("each-second")) >= 6, within=60)

    names = [f"once-{number}" for number in range(20)] + ["each-second"]
    before = [run for name in names for run in running.api.ended(name)]

    assert running.stop() == 0
    running.start()

    requests = sink.requests()
    assert all(lateness(request) >= 0 for request in requests), "nothing comes early"
    assert set(Counter(r.header("Idempotency-Key") for r in requests).values()) == {1}
    by_job = {f"once-{number}": at for number, at in enumerate(once)}
    called = {r.header("Punctual-Job-Id"): slot(r) for r in requests}
    assert {name: at for name, at in called.items() if name in by_job} == by_job
    each_second = [slot(r) for r in requests if r.header("Punctual-Job-Id") == "each-second"]
    steps = {later - earlier for earlier, later in pairwise(each_second)}
    assert steps == {timedelta(seconds=1)}

    after = [run for name in names for run in running.api.ended(name)]
    assert [run for run in after if run in before] == before, "what was recorded is there"
    assert {run["state"] for run in after} == {"succeeded"}
    assert all(run["result"]["status_code"] == 200 for run in after)
    assert "succeeded 200 in" in running.output(), "a line for every run"

    # Those of before the stop: what came due while nobody was there is as late as that took.
    late = [run["lateness_seconds"] for run in before]
    print(  # noqa: T201 - a figure for whoever runs this
        f"lateness of {len(late)} starts, ms: p50 {1000 * percentile(late, 0.5):.0f},"
        f" p99 {1000 * percentile(late, 0.99):.0f}"
    )
    assert len(late) >= 26
    assert min(late) >= 0
    assert percentile(late, 0.99) <= LATE_MAX_SECONDS


def test_kill_9_in_the_middle_of_200_runs_loses_none_and_doubles_no_outcome(
    running: Host, tmp_path: Path
) -> None:
    """At the kill some runs have ended, some are in the middle of their call, some are to come."""
    with sink_process(tmp_path / "slow-calls", "--delay", "0.2") as sink:
        first = from_now(3)
        names = [f"job-{number}" for number in range(200)]
        for number, name in enumerate(names):
            at = instant(first + timedelta(milliseconds=10 * number))
            running.api.put(name, schedule={"at": at}, target=http(sink.url))
        wait_until(lambda: len(sink.requests()) >= 60, within=60)

        running.kill()
        before = {r.header("Idempotency-Key") for r in sink.requests()}
        running.start()
        began = time.monotonic()
        wait_until(lambda: all(running.api.ended(name) for name in names), within=10)

        runs = {name: running.api.runs(name) for name in names}
        print(f"all outcomes {time.monotonic() - began:.1f} s after the restart")  # noqa: T201
        assert 60 <= len(before) < 200
        assert {len(of_job) for of_job in runs.values()} == {1}, "one run for each slot"
        assert {run["state"] for (run,) in runs.values()} == {"succeeded"}
        assert taken_over(sink.requests()) > 0
        assert {r.header("Idempotency-Key") for r in sink.requests()} == {
            run["id"] for (run,) in runs.values()
        }
        assert {name: running.api.runs(name) for name in names} == runs, "outcomes never change"


def taken_over(requests: list[Request]) -> int:
    """Count the runs that were called again; each with its own key and a higher attempt number."""
    attempts: dict[str, list[int]] = {}
    for request in requests:
        key = request.header("Idempotency-Key")
        assert key == request.header("Punctual-Run-Id") == request.header("webhook-id")
        attempts.setdefault(key, []).append(int(request.header("Punctual-Attempt")))
    for numbers in attempts.values():
        assert numbers == sorted(set(numbers)), "attempt numbers only grow"
    return sum(len(numbers) > 1 for numbers in attempts.values())


def test_a_stop_waits_for_what_is_going_on_but_not_for_ever(running: Host, tmp_path: Path) -> None:
    """One call ends in time; one hangs, and is called again by the next process."""
    with (
        sink_process(tmp_path / "second", "--delay", "1") as second,
        sink_process(tmp_path / "hour", "--delay", "3600") as hour,
    ):
        at = instant(from_now(0))
        running.api.put("ends", schedule={"at": at}, target=http(second.url))
        running.api.put("hangs", schedule={"at": at}, target=http(hour.url))
        wait_until(lambda: bool(second.requests() and hour.requests()), within=30)

        began = time.monotonic()
        assert running.stop() == 0
        took = time.monotonic() - began
        running.start()
        wait_until(lambda: len(hour.requests()) == 2, within=10)

        assert took < 10
        assert [run["state"] for run in running.api.runs("ends")] == ["succeeded"]
        assert len(second.requests()) == 1
        assert [r.header("Punctual-Attempt") for r in hour.requests()] == ["1", "2"]
        assert len({r.header("Idempotency-Key") for r in hour.requests()}) == 1


def test_told_twice_it_stops_at_once(running: Host, tmp_path: Path) -> None:
    with sink_process(tmp_path / "hour", "--delay", "3600") as hour:
        running.api.put("hangs", schedule={"at": instant(from_now(0))}, target=http(hour.url))
        wait_until(lambda: bool(hour.requests()), within=30)

        running.process.send_signal(signal.SIGINT)
        wait_until(lambda: "runs that may end before: 1" in running.output(), within=5)
        running.process.send_signal(signal.SIGINT)

        assert running.process.wait(5) == 0


def test_what_came_due_while_it_was_off_runs_at_the_start(running: Host, sink: SinkProcess) -> None:
    due = from_now(3)
    names = {f"job-{number}" for number in range(50)}
    for name in names:
        running.api.put(name, schedule={"at": instant(due)}, target=http(sink.url))
    running.kill()
    assert sink.requests() == [], "creating 50 jobs took too long"
    time.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))

    running.start()
    wait_until(lambda: len(sink.requests()) >= len(names), within=10)
    wait_until(lambda: all(running.api.ended(name) for name in names), within=10)

    assert Counter(r.header("Punctual-Job-Id") for r in sink.requests()) == dict.fromkeys(names, 1)


def test_a_port_or_a_home_that_is_in_use_is_told_in_one_line(running: Host, tmp_path: Path) -> None:
    port = running.api.url.rpartition(":")[2]

    same_port = punctual("serve", "--port", port, "--home", str(tmp_path / "other"))
    same_home = punctual("serve", "--port", "0", "--home", str(running.home))

    assert (same_port.returncode, same_home.returncode) == (2, 2)
    assert same_port.stderr == f"punctual: cannot listen at port {port}: address already in use\n"
    assert same_home.stderr.startswith(f"punctual: {running.home} is in use")
    assert same_home.stderr.count("\n") == 1
    assert running.api.get("/v1/health")["status"] == "ok", "and the other one goes on"


def test_settings_and_homes_that_cannot_be_used_are_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "punctual.db").write_text("no database, whatever its name says" * 100)

    wrong = [
        punctual("serve", PUNCTUAL_PORT="http", PUNCTUAL_HOME=str(tmp_path / "a")),
        punctual("serve", "--port", "0", "--home", str(tmp_path / "file")),
        punctual("serve", "--port", "0", "--home", str(tmp_path / "file" / "below")),
        punctual("serve", "--port", "0", "--home", str(tmp_path / "broken")),
    ]

    assert [done.returncode for done in wrong] == [2, 2, 2, 2], wrong
    assert all(done.stderr.startswith("punctual: ") for done in wrong)
    assert all(done.stderr.count("\n") == 1 for done in wrong)


def test_a_full_disk_ends_it_with_1_and_a_reason_and_loses_nothing(
    tmp_path: Path, sink: SinkProcess
) -> None:
    full = Host(tmp_path / "home", tmp_path / "output")
    full.start(preexec_fn=files_of_at_most(DISK_BYTES))
    full.api.put("each-second", schedule={"every_seconds": 1}, target=http(sink.url))
    accepted = []
    with contextlib.suppress(urllib3.exceptions.HTTPError):  # it may end before we see it refuse
        for number in range(10_000):
            body = {"schedule": {"every_seconds": 3600}, "target": http(sink.url)}
            reply = full.api.ask("PUT", f"/v1/jobs/job-{number}", body)
            if reply.status == 503:
                break
            assert reply.status == 201, reply
            accepted.append(f"job-{number}")

    assert full.process.wait(30) == 1
    assert "punctual: the database could not" in full.output()
    assert "Traceback" not in full.output()
    assert len(accepted) > 10
    with full.started():
        assert all(full.api.get(f"/v1/jobs/{name}")["id"] == name for name in accepted)


def test_nobody_reading_what_it_prints_stops_nothing(tmp_path: Path, sink: SinkProcess) -> None:
    """Such as `make run | head -1`."""
    with subprocess.Popen(
        [PUNCTUAL, "serve"],
        env=environment(PUNCTUAL_HOME=str(tmp_path / "home"), PUNCTUAL_PORT="0"),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        api = Api(process.stdout.readline().split()[4])
        process.stdout.close()

        api.put("each-second", schedule={"every_seconds": 1}, target=http(sink.url))
        wait_until(lambda: len(sink.requests()) >= 2, within=30)
        process.send_signal(signal.SIGTERM)

        assert process.wait(15) == 0
