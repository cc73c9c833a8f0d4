"""What each command on runs asks the API for, and what it shows."""

import json
from datetime import timedelta

import pytest

from punctual.cli.main import run
from punctual.cli.runs import pause, remark, span
from tests.support.clock import NINE, FakeClock
from tests.unit.cli.fake_api import a_run, answering, listing


def test_a_list_shows_each_run_in_a_line_and_what_was_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    gap = {
        "from": "2026-12-01T08:00:00Z",
        "to": "2026-12-01T08:59:30Z",
        "count": 120,
        "reason": "catch_up",
    }
    coming = a_run(
        id="hello.20261201T090100Z",
        state="scheduled",
        lateness_seconds=None,
        duration_seconds=None,
        attempt=0,
        result=None,
    )
    api = answering(listing(coming, a_run(), gaps=[gap]))

    assert run(["runs", "list", "hello", "--state", "x", "--from", "y"], connect=api.connect) == 0

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [
        "hello.20261201T090100Z scheduled 2026-12-01T09:00:30Z",
        "hello.20261201T090030Z succeeded 2026-12-01T09:00:30Z 4 ms 12 ms 1 status 200",
        "120 slots from 2026-12-01T08:00:00Z to 2026-12-01T08:59:30Z left out (catch_up)",
    ]
    assert api.asked[0].path == "/v1/jobs/hello/runs"
    assert api.asked[0].query == {"limit": "100", "state": "x", "from": "y"}


def test_a_list_of_many_to_come_shows_the_next_ones_and_those_that_have_begun(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A job of a run each second has hundreds to come, which nobody asked to see."""
    ahead = [a_run(id=f"hello.{number}", state="queued") for number in range(150, 100, -1)]
    begun = [a_run(id=f"hello.{number}") for number in range(100, 0, -1)]
    api = answering(listing(*ahead, *begun[:50], cursor="more"), listing(*begun[50:], cursor="yet"))

    code = run(["runs", "list", "hello", "--limit", "60", "--json"], connect=api.connect)

    told = [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()]
    assert code == 0
    assert told == [f"hello.{number}" for number in range(103, 40, -1)]
    assert len(api.asked) == 2


def test_a_run_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    attempt = {"number": 1, "outcome": "succeeded", "error": None}
    api = answering(a_run(attempts=[attempt]))

    assert run(["runs", "get", "hello.20261201T090030Z"], connect=api.connect) == 0

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "attempts.1.outcome succeeded" in lines
    assert "result.status_code 200" in lines


def test_watch_tells_every_change_and_ends_with_the_outcome(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = FakeClock()
    queued = a_run(
        state="queued", lateness_seconds=None, duration_seconds=None, attempt=0, result=None
    )
    running = queued | {"state": "running", "attempt": 1, "lateness_seconds": 0.004}
    api = answering(queued, queued, running, running, a_run())

    assert run(["runs", "watch", queued["id"]], connect=api.connect, clock=clock) == 0

    assert capsys.readouterr().out.splitlines() == [
        "hello.20261201T090030Z queued",
        "hello.20261201T090030Z running, 4 ms late",
        "hello.20261201T090030Z succeeded, in 12 ms, 4 ms late, status 200",
    ]
    assert clock.now() == NINE + timedelta(seconds=20), "four waits of 5 s"


@pytest.mark.parametrize(
    "state", ["failed", "timed_out", "cancelled", "missed", "skipped", "unknown"]
)
def test_watch_exits_with_1_for_a_run_that_did_not_succeed(state: str) -> None:
    api = answering(a_run(state=state))

    assert run(["runs", "watch", "hello.20261201T090030Z"], connect=api.connect) == 1


def test_watching_a_job_is_watching_its_next_run(capsys: pytest.CaptureFixture[str]) -> None:
    """A list begins with what is to come, which may fill more than a page."""
    coming = [a_run(id=f"hello.{number}", state="scheduled") for number in (9, 8)]
    last = [a_run(id="hello.7", state="queued"), a_run(id="hello.6", state="failed")]
    api = answering(listing(*coming, cursor="more"), listing(*last), a_run(id="hello.7"))

    code = run(["runs", "watch", "hello", "--json"], connect=api.connect, clock=FakeClock())

    assert code == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(run["id"], run["state"]) for run in told] == [
        ("hello.7", "queued"),
        ("hello.7", "succeeded"),
    ]


def test_watching_a_job_that_is_through_is_seeing_its_last_run() -> None:
    runs = [a_run(id="hello.2", state="failed"), a_run(id="hello.1")]

    assert run(["runs", "watch", "hello"], connect=answering(listing(*runs)).connect) == 1


def test_a_job_without_runs_cannot_be_watched(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", "watch", "hello"], connect=answering(listing()).connect) == 1

    assert capsys.readouterr().err == "punctual: job hello has no run, and none is to come\n"


def test_cancel_tells_where_the_run_stands(capsys: pytest.CaptureFixture[str]) -> None:
    api = answering(
        a_run(state="cancelling", duration_seconds=None, result=None, lateness_seconds=None),
        status=202,
    )

    assert run(["runs", "cancel", "hello.20261201T090030Z"], connect=api.connect) == 0

    assert api.asked[0].path == "/v1/runs/hello.20261201T090030Z/cancel"
    assert capsys.readouterr().out == "hello.20261201T090030Z cancelling\n"


@pytest.mark.parametrize(("seconds_ahead", "expected"), [(3600, 5), (2, 2), (0.1, 0.5), (-60, 0.5)])
def test_a_watch_waits_for_the_slot_but_never_long(seconds_ahead: float, expected: float) -> None:
    slot = a_run(scheduled_at="2026-12-01T09:00:00Z")

    assert pause(slot, now=NINE - timedelta(seconds=seconds_ahead)) == timedelta(seconds=expected)


def test_a_span_is_told_in_milliseconds_or_seconds() -> None:
    assert span(0.0041) == "4 ms"
    assert span(1.54) == "1.5 s"
    assert span(None) == ""


def test_a_remark_is_the_error_else_the_reason_else_the_status() -> None:
    failed = a_run(error={"type": "timeout", "message": "no answer"}, reason="x")
    assert remark(failed) == "no answer"
    assert remark(a_run(reason="paused")) == "paused"
    assert remark(a_run()) == "status 200"
    assert remark(a_run(result=None)) == ""
