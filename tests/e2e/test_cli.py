"""The command line as processes, against the host on this machine."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from punctual.cli.main import run
from tests.support.host import Host, from_now, host, instant, punctual
from tests.support.sinks import SinkProcess, answer, drop, in_turn, sink, sink_process

pytestmark = pytest.mark.e2e


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Host]:
    with host(tmp_path) as started:
        yield started


@pytest.fixture
def target(tmp_path: Path) -> Iterator[SinkProcess]:
    with sink_process(tmp_path / "calls") as started:
        yield started


def ok(*args: str, url: str, stdin: str | None = None) -> str:
    """Run a command that must succeed, and return what it printed."""
    done = punctual(*args, url=url, stdin=stdin)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def test_a_job_is_created_watched_paused_resumed_and_deleted(
    running: Host, target: SinkProcess
) -> None:
    url = running.api.url

    created = ok(
        *("jobs", "create", "--id", "hello", "--every", "1", "--target-url", target.url),
        *("--header", "X-Team: demo", "--body", '{"n": 1}', "--tag", "team=demo"),
        url=url,
    )
    assert created.startswith("hello created, every 1 s, next run at ")
    assert "hello" in ok("jobs", "list", "--tag", "team:demo", url=url)
    assert ok("jobs", "list", "--tag", "team:other", "--json", url=url) == ""

    watched = ok("runs", "watch", "hello", url=url).splitlines()
    assert "status 200" in watched[-1]
    run_id = watched[-1].split()[0]
    told = json.loads(ok("runs", "get", run_id, "--json", url=url))
    assert (told["state"], told["result"]["status_code"]) == ("succeeded", 200)
    assert run_id in ok("runs", "list", "hello", "--state", "succeeded", url=url)

    assert ok("jobs", "pause", "hello", "--note", "lunch", url=url).startswith("hello paused, ")
    assert "pause.note" in ok("jobs", "get", "hello", url=url)
    assert ok("jobs", "resume", "hello", url=url).startswith("hello resumed, ")
    assert ok("jobs", "delete", "hello", url=url) == "hello deleted\n"

    request = target.requests()[0]
    assert (request.method, request.body) == ("POST", b'{"n":1}')
    assert request.header("X-Team") == "demo"


def test_what_get_gave_makes_the_job_again(running: Host, target: SinkProcess) -> None:
    url = running.api.url
    ok("jobs", "create", "--id", "first", "--every", "1h", "--target-url", target.url, url=url)
    given = ok("jobs", "get", "first", "--json", url=url)

    ok("jobs", "delete", "first", url=url)
    again = json.loads(ok("jobs", "create", "--file", "-", "--json", url=url, stdin=given))
    other = ok("jobs", "create", "--file", "-", "--id", "other", "--json", url=url, stdin=given)

    def meaning(job: dict[str, Any]) -> dict[str, Any]:
        varies = {"revision", "created_at", "updated_at", "next_run_at", "id"}
        return {name: value for name, value in job.items() if name not in varies}

    assert meaning(again) == meaning(json.loads(given)) == meaning(json.loads(other))


def test_a_run_that_fails_is_watched_to_exit_code_1(running: Host, tmp_path: Path) -> None:
    with sink_process(tmp_path / "failing", "--status", "500") as failing:
        once = ("--at", instant(from_now(0)), "--max-attempts", "1", "--target-url", failing.url)
        ok("jobs", "create", "--id", "fails", *once, url=running.api.url)

        done = punctual("runs", "watch", "fails", url=running.api.url)

    assert done.returncode == 1
    assert "failed" in done.stdout.splitlines()[-1]
    assert "status 500" in done.stdout.splitlines()[-1]


def test_a_run_that_is_to_come_is_cancelled(running: Host, target: SinkProcess) -> None:
    at = from_now(60)
    url = running.api.url
    once = ("--at", instant(at), "--target-url", target.url)
    ok("jobs", "create", "--id", "later", *once, url=url)
    (run_to_come,) = running.api.runs("later")

    assert " cancelled" in ok("runs", "cancel", run_to_come["id"], url=url)
    again = punctual("runs", "cancel", run_to_come["id"], url=url)

    assert again.returncode == 1
    assert "(409)" in again.stderr
    assert punctual("runs", "watch", run_to_come["id"], url=url).returncode == 1


def test_what_the_host_refuses_is_told_with_its_fields_and_exits_with_1(running: Host) -> None:
    url = running.api.url

    wrong = punctual("jobs", "create", "--cron", "61 * * * *", "--target-url", "ftp://x", url=url)
    missing = punctual("jobs", "get", "nope", url=url)

    assert wrong.returncode == missing.returncode == 1
    assert "  schedule.cron: " in wrong.stderr
    assert "  target.url: " in wrong.stderr
    assert "(422)" in wrong.stderr.splitlines()[0]
    assert missing.stderr == "punctual: There is no such job (404): there is no job 'nope'\n"


def test_nobody_there_is_told_in_one_line() -> None:
    done = punctual("jobs", "list", url="http://127.0.0.1:9")

    assert done.returncode == 1
    assert done.stderr == "punctual: no answer from http://127.0.0.1:9: connection refused\n"


def test_a_create_that_is_sent_again_says_that_it_is_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The connection breaks off, then the API is busy; the third time it answers."""
    created = {"id": "j1", "schedule": {"every_seconds": 1}, "next_run_at": None}
    busy = answer(503, b"{}", ("Retry-After", "0"))
    with sink(in_turn(drop, busy, answer(201, json.dumps(created).encode()))) as api:
        code = run(["jobs", "create", "--every", "1", "--url", api.url])

    assert code == 0
    assert capsys.readouterr().out == "j1 created, every 1 s, no run to come\n"
    assert [request.target for request in api.requests] == ["/v1/jobs"] * 3
    assert len({request.header("Idempotency-Key") for request in api.requests}) == 1
    assert len({request.body for request in api.requests}) == 1


def test_an_api_that_stays_busy_is_told_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    problem = json.dumps({"title": "Try again later", "status": 503}).encode()
    with sink(answer(503, problem)) as api:
        code = run(["jobs", "list", "--url", api.url])

    assert code == 1
    assert capsys.readouterr().err == "punctual: Try again later (503)\n"
    assert len(api.requests) == 4


def test_serve_takes_its_port_and_home_from_flags(tmp_path: Path) -> None:
    made = Host(tmp_path / "from-the-environment", tmp_path / "output")

    with made.started("--home", str(tmp_path / "flags"), "--port", "0"):
        assert made.api.get("/v1/health")["status"] == "ok"
        assert (tmp_path / "flags" / "punctual.db").exists()
