"""Runs that users ask for, on either engine: over HTTP, with a target that really is called."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.deployed import Deployment
from tests.support.host import Api, from_now, host, instant, wait_until
from tests.support.sinks import Request, Sink, sink_process

pytestmark = pytest.mark.e2e

KEY = {"Idempotency-Key": "order-7"}


def ask_for_runs(api: Api, url: str) -> list[str]:
    """Run a job that is due in an hour, twice under one key, then replay that; return the ids."""
    api.put("asked", schedule={"at": instant(from_now(3600))}, target={"type": "http", "url": url})
    body = {"body": {"run": "{{run_id}}"}}
    first = api.ask("POST", "/v1/jobs/asked/runs", body, KEY)
    again = api.ask("POST", "/v1/jobs/asked/runs", body, KEY)
    assert (first.status, again.status) == (202, 200)
    run_id = first.value["id"]
    assert again.value["id"] == run_id
    wait_until(lambda: state(api, run_id) == "succeeded", within=60)
    replay = api.ask("POST", f"/v1/runs/{run_id}/replay")
    assert replay.status == 202
    wait_until(lambda: state(api, replay.value["id"]) == "succeeded", within=60)
    return [run_id, replay.value["id"]]


def state(api: Api, run_id: str) -> str:
    run: dict[str, Any] = api.get(f"/v1/runs/{run_id}")
    return str(run["state"])


def judge(api: Api, ids: list[str], requests: list[Request]) -> None:
    """Each was called once, with its own body filled; the job's own slot is still to come."""
    called = Counter(request.header("Idempotency-Key") for request in requests)
    assert called == dict.fromkeys(ids, 1)
    sent = {request.header("Idempotency-Key"): request.body for request in requests}
    assert sent == {run_id: f'{{"run":"{run_id}"}}'.encode() for run_id in ids}
    assert [run["state"] for run in api.runs("asked")] == ["scheduled", "succeeded", "succeeded"]


def test_runs_are_asked_for_on_one_machine_and_are_there_after_kill_9(tmp_path: Path) -> None:
    with sink_process(tmp_path / "calls") as sink, host(tmp_path) as running:
        ids = ask_for_runs(running.api, sink.url)
        running.kill()
        running.start()

        judge(running.api, ids, sink.requests())
        again = running.api.ask("POST", "/v1/jobs/asked/runs", {"body": {"run": "{{run_id}}"}}, KEY)
        assert (again.status, again.value["id"]) == (200, ids[0])


@pytest.mark.usefixtures("abandoned")
def test_runs_are_asked_for_in_the_cloud(deployment: Deployment, target: Sink) -> None:
    ids = ask_for_runs(deployment.api, target.url)

    requests = [r for r in target.requests if r.header("Punctual-Job-Id") == "asked"]
    judge(deployment.api, ids, requests)
    assert deployment.api.ask("DELETE", "/v1/jobs/asked").status == 204
