"""The deployed stack, used as anybody would: over HTTP, with requests that are signed."""

import json
import shlex
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from threading import Barrier
from typing import Any

import pytest
import urllib3

from infra.emulator import STACK
from infra.ministack import CREDENTIALS, REGION
from tests.support.deployed import Deployment
from tests.support.host import Reply, from_now, instant, punctual, wait_until
from tests.support.sinks import Request, Sink, answer

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("abandoned")]

CLIENTS = 16

BUSY = {429, 503}
"""What the gateway answers while no worker is free."""

API_WORKERS = 4
"""As many answer at once in the emulator, where every one of them is a process to be started."""


def http(url: str) -> dict[str, str]:
    return {"type": "http", "url": url}


def slot(request: Request) -> datetime:
    return datetime.fromisoformat(request.header("Punctual-Scheduled-At"))


def of_job(target: Sink, job_id: str) -> list[Request]:
    """Return the requests that a job made."""
    return [r for r in target.requests if r.header("Punctual-Job-Id") == job_id]


def test_jobs_of_every_kind_run_at_their_slots_once_each_and_say_so(
    deployment: Deployment, target: Sink
) -> None:
    api = deployment.api
    once = from_now(4)
    api.put("once", schedule={"at": instant(once)}, target=http(target.url))
    api.put("interval", schedule={"every_seconds": 2}, target=http(target.url))
    api.put("calendar", schedule={"cron": "*/2 * * * * *"}, target=http(target.url))

    for job_id, count in {"once": 1, "interval": 4, "calendar": 4}.items():
        wait_until(lambda: len(api.ended(job_id)) >= count, within=90)  # noqa: B023 - called here

    runs = api.ended("once") + api.ended("interval") + api.ended("calendar")
    for job_id in ("interval", "calendar"):
        assert api.ask("DELETE", f"/v1/jobs/{job_id}").status == 204
    assert {run["state"] for run in runs} == {"succeeded"}
    assert {run["result"]["status_code"] for run in runs} == {200}
    assert {run["id"] for run in runs} <= {r.header("Idempotency-Key") for r in target.requests}
    assert set(Counter(r.header("Idempotency-Key") for r in target.requests).values()) == {1}
    assert [slot(r) for r in of_job(target, "once")] == [once]
    assert all(slot(r).second % 2 == 0 for r in of_job(target, "calendar"))
    intervals = sorted(slot(r) for r in of_job(target, "interval"))
    assert {later - earlier for earlier, later in pairwise(intervals)} == {timedelta(seconds=2)}
    late = sorted(run["lateness_seconds"] for run in runs)
    print(f"lateness of {len(late)} starts, ms: {[round(1000 * x) for x in late]}")  # noqa: T201
    assert late[0] >= 0
    assert all(r.at >= slot(r) for r in target.requests), "nothing comes early"


def test_targets_are_shown_secrets_and_their_long_answers_are_had_whole(
    deployment: Deployment, target: Sink
) -> None:
    """From Secrets Manager, as far as the role of the executors allows; from S3."""
    secrets = deployment.client("secretsmanager")
    arn = secrets.create_secret(Name="punctual/acme/token", SecretString="t0ken")["ARN"]
    numbers = list(range(100_000))
    target.behaviour = answer(200, json.dumps(numbers).encode())
    at = {"at": instant(from_now(1))}
    deployment.api.put("shows", schedule=at, target=http(target.url) | {"secret_arn": arn})
    wait_until(lambda: len(deployment.api.ended("shows")) == 1, within=90)
    (run,) = deployment.api.ended("shows")

    got = deployment.api.get(f"/v1/runs/{run['id']}/result")

    assert (run["state"], run["result"]["truncated"]) == ("succeeded", False)
    assert [r.header("Authorization") for r in of_job(target, "shows")] == ["Bearer t0ken"]
    assert got == numbers


def test_the_schedule_ticks_by_itself_and_health_is_well_then(deployment: Deployment) -> None:
    today = f'"{datetime.now(UTC):%Y%m%dT}'  # ticks of tests are of other days

    wait_until(lambda: any(today in call["of"] for call in deployment.calls("tick")), within=150)
    wait_until(lambda: deployment.api.get("/v1/health")["status"] == "ok", within=60)


def test_the_printed_commands_work(deployment: Deployment) -> None:
    """They create a job, look at its runs, and delete it."""
    printed = [line for line in deployment.output.read_text().splitlines() if " curl " in line]

    replies: list[Reply] = []
    for line in printed:
        words = shlex.split(line)
        url = next(word for word in words if word.startswith("http:"))
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        body = words[words.index("-d") + 1] if "-d" in words else None
        replies.append(deployment.api.send(method, url, body))

    assert [reply.status for reply in replies] == [201, 200, 204]


def test_the_command_line_speaks_to_it_too(deployment: Deployment) -> None:
    key, secret = CREDENTIALS
    done = punctual(
        *("jobs", "list", "--json", "--sigv4", "--region", REGION),
        url=deployment.api.url,
        AWS_ACCESS_KEY_ID=key,
        AWS_SECRET_ACCESS_KEY=secret,
    )

    assert done.returncode == 0, done.stderr
    assert "abandoned" in {json.loads(line)["id"] for line in done.stdout.splitlines()}


def test_dead_letters_are_shown_and_sent_round_again(deployment: Deployment) -> None:
    """The one that names no run comes back, with the reason why."""
    stray = "who wrote this, and what for?"
    deployment.send("DeadLettersQueueUrl", stray)

    assert stray in [letter["body"] for letter in dead_letters(deployment, "list")]
    assert [letter["body"] for letter in dead_letters(deployment, "redrive", "--job", "none")] == []
    sent = dead_letters(deployment, "redrive")

    assert stray in [letter["body"] for letter in sent]
    wait_until(lambda: deployment.dead_letters().get(stray) == "the message is not JSON", within=90)
    refused = command("dead-letters", "list", deployment=deployment, stack="nothing")
    assert refused.returncode == 2
    assert refused.stderr.startswith("punctual: AWS refuses: ")


def dead_letters(deployment: Deployment, *args: str) -> list[Any]:
    """Have letters of the deployed stack listed or sent round again; return which."""
    done = command("dead-letters", *args, "--json", deployment=deployment, stack=STACK)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def command(*args: str, deployment: Deployment, stack: str) -> "subprocess.CompletedProcess[str]":
    key, secret = CREDENTIALS
    return punctual(
        *args,
        AWS_ACCESS_KEY_ID=key,
        AWS_SECRET_ACCESS_KEY=secret,
        AWS_DEFAULT_REGION=REGION,
        AWS_ENDPOINT_URL=deployment.endpoint,
        PUNCTUAL_STACK=stack,
    )


def test_a_request_that_is_not_signed_is_turned_away(deployment: Deployment) -> None:
    response = urllib3.request("GET", f"{deployment.api.url}/v1/jobs", retries=False)

    assert response.status == 403


def test_a_target_that_accepted_the_work_reports_back_with_its_token_alone(
    deployment: Deployment, target: Sink
) -> None:
    deployment.api.put(
        "etl",
        schedule={"at": instant(from_now(3))},
        target=http(target.url) | {"completion": "callback"},
    )
    wait_until(lambda: of_job(target, "etl") != [], within=60)
    (call,) = of_job(target, "etl")
    url = call.header("Punctual-Callback-Url")
    headers = {
        "Authorization": f"Bearer {call.header('Punctual-Callback-Token')}",
        "Content-Type": "application/json",
    }

    def report(what: str, body: object, **more: str) -> int:
        response = urllib3.request(
            "POST", f"{url}/{what}", body=json.dumps(body), headers=headers | more, retries=False
        )
        return response.status

    assert report("heartbeat", {}) == 200
    assert report("logs", {"lines": ["loaded 10 rows"]}) == 204
    assert report("complete", {}, Authorization="Bearer guessed") == 401
    assert report("complete", {"result": {"rows": 10}}) == 200
    assert report("complete", {"result": {"rows": 10}}) == 200
    assert report("fail", {"error": {"type": "late"}}) == 409

    run = deployment.api.get(f"/v1/runs/{call.header('Punctual-Run-Id')}")
    assert (run["state"], run["result"]["body"]) == ("succeeded", '{"rows":10}')
    log = deployment.api.get(f"/v1/runs/{run['id']}/logs")["items"]
    assert "loaded 10 rows" in [line["message"] for line in log]


def test_a_create_repeated_by_many_clients_at_once_makes_one_job(
    deployment: Deployment, target: Sink
) -> None:
    body = {"schedule": {"at": instant(from_now(3600))}, "target": http(target.url)}
    key = {"Idempotency-Key": "the same for all"}
    barrier = Barrier(CLIENTS)

    def create(_: int) -> Reply:
        barrier.wait()
        while (reply := deployment.api.ask("POST", "/v1/jobs", body, key)).status in BUSY:
            pass
        return reply

    with deployment.at_most(API_WORKERS, "api"), ThreadPoolExecutor(CLIENTS) as clients:
        replies = list(clients.map(create, range(CLIENTS)))

    assert Counter(reply.status for reply in replies) == {201: 1, 200: CLIENTS - 1}
    assert len({reply.value["id"] for reply in replies}) == 1
    other = body | {"name": "another body"}
    assert deployment.api.ask("POST", "/v1/jobs", other, key).status == 422


def test_no_attempt_starts_once_a_delete_or_a_pause_has_returned(
    deployment: Deployment, target: Sink
) -> None:
    """A third job, which goes on meanwhile, shows that there was somebody to start them."""
    api = deployment.api
    for job_id in ("deleted", "paused", "goes-on"):
        api.put(job_id, schedule={"every_seconds": 1}, target=http(target.url))
    wait_until(lambda: all(of_job(target, job_id) for job_id in ("deleted", "paused")), within=60)

    assert api.ask("DELETE", "/v1/jobs/deleted").status == 204
    deleted_at = datetime.now(UTC)
    assert api.ask("POST", "/v1/jobs/paused/pause", {}).status == 200
    paused_at = datetime.now(UTC)
    count = len(of_job(target, "goes-on"))
    wait_until(lambda: len(of_job(target, "goes-on")) >= count + 5, within=60)
    api.ask("DELETE", "/v1/jobs/goes-on")

    # An attempt that had started may still be on its way to its target.
    for job_id, at in {"deleted": deleted_at, "paused": paused_at}.items():
        for call in of_job(target, job_id):
            run = api.get(f"/v1/runs/{call.header('Punctual-Run-Id')}")
            assert datetime.fromisoformat(run["started_at"]) <= at
