"""What HTTP targets get from a host on one machine, and what becomes of what they answer."""

import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import urllib3

from punctual.core.breaker import FAILURES
from tests.support.host import Host, from_now, host, instant, wait_until
from tests.support.keeping import BEARER, SIGNING
from tests.support.sinks import Sink, answer, sink

pytestmark = pytest.mark.e2e

KEY = b"0123456789abcdef01234567"
BODY = bytes(range(256)) * 3_900


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Host]:
    with host(tmp_path) as started:
        yield started


@pytest.fixture
def target() -> Iterator[Sink]:
    with sink() as started:
        yield started


def write_secrets(running: Host, values: dict[str, str]) -> None:
    path = running.home / "secrets.json"
    path.write_text(json.dumps(values))
    path.chmod(0o644)


def run_now(running: Host, job_id: str, url: str, **fields: Any) -> None:
    target = {"type": "http", "url": url} | fields.pop("target", {})
    running.api.put(job_id, schedule={"at": instant(from_now(0))}, target=target, **fields)


def outcome(running: Host, job_id: str) -> Any:
    """Return the only run of a job, once it has ended."""
    wait_until(lambda: len(running.api.ended(job_id)) == 1, within=30)
    return running.api.ended(job_id)[0]


def test_secrets_of_the_home_are_shown_and_signed_with_and_read_anew_when_they_change(
    running: Host, target: Sink
) -> None:
    secret = {"secret_arn": BEARER, "signing_secret_arn": SIGNING}
    run_now(running, "early", target.url, target=secret)
    early = outcome(running, "early")
    write_secrets(running, {BEARER: "t0ken", SIGNING: f"whsec_{base64.b64encode(KEY).decode()}"})
    run_now(running, "late", target.url, target=secret)
    late = outcome(running, "late")

    assert (early["state"], early["error"]["type"], early["attempt"]) == (
        "failed",
        "secret_missing",
        1,
    )
    assert late["state"] == "succeeded"
    (request,) = target.requests
    assert request.header("Authorization") == "Bearer t0ken"
    signed = f"{late['id']}.{request.header('webhook-timestamp')}.".encode() + request.body
    expected = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
    assert request.header("webhook-signature") == f"v1,{expected}"
    assert "others may read" in running.output()
    kept = (path.read_bytes() for path in running.home.rglob("punctual.db*"))
    assert not any(b"t0ken" in content for content in kept)
    assert "t0ken" not in running.output()


def test_a_long_result_is_had_whole_after_a_restart_too(running: Host, target: Sink) -> None:
    target.behaviour = answer(200, BODY, ("Content-Type", "image/png"))
    run_now(running, "long", target.url)
    run = outcome(running, "long")
    running.kill()
    running.start()

    got = urllib3.request("GET", f"{running.api.url}/v1/runs/{run['id']}/result")

    assert got.data == BODY
    assert got.headers["Content-Type"] == "image/png"
    assert "Punctual-Truncated" not in got.headers
    assert run["result"] == {
        "status_code": 200,
        "body": BODY[:500].decode(errors="replace"),
        "truncated": False,
    }


def test_a_result_that_cannot_be_put_away_costs_no_outcome(running: Host, target: Sink) -> None:
    (running.home / "results").write_text("in the way")
    target.behaviour = answer(200, BODY)
    run_now(running, "long", target.url)

    run = outcome(running, "long")

    assert run["state"] == "succeeded"
    assert run["result"]["truncated"] is True


def test_a_job_whose_target_is_gone_is_paused_and_says_why(running: Host, target: Sink) -> None:
    target.behaviour = answer(410)
    running.api.put(
        "gone", schedule={"every_seconds": 1}, target={"type": "http", "url": target.url}
    )

    wait_until(lambda: running.api.get("/v1/jobs/gone")["state"] == "paused", within=30)

    failed = [run for run in running.api.ended("gone") if run["state"] == "failed"]
    note = running.api.get("/v1/jobs/gone")["pause"]["note"]
    assert note.startswith(f"the target of {failed[-1]['id']} answered 410")


def test_runs_wait_for_a_host_that_is_down_and_run_once_it_is_back(running: Host) -> None:
    """No attempt is counted while it is left alone: one is all that they have."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        for number in range(FAILURES):
            run_now(running, f"first-{number}", f"http://127.0.0.1:{port}/", retry=ONCE)
            assert outcome(running, f"first-{number}")["error"]["type"] == "connection"
        run_now(running, "later", f"http://127.0.0.1:{port}/", retry=ONCE)
        wait_until(lambda: running.api.runs("later")[0]["reason"] is not None, within=30)
        waiting = running.api.runs("later")[0]

    assert waiting["state"] == "queued"
    assert waiting["reason"] == f"host_down: 127.0.0.1:{port} takes no connections"
    with HTTPServer(("127.0.0.1", port), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        run = outcome(running, "later")
        server.shutdown()
    assert (run["state"], run["attempt"]) == ("succeeded", 1)


ONCE = {"max_attempts": 1, "max_age_seconds": timedelta(minutes=5).total_seconds()}


class Answers(BaseHTTPRequestHandler):
    """Answers every POST."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
