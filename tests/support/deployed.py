"""The stack as `make run-aws` deploys it, with what a test does to its functions and queues."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from infra.emulator import STACK
from infra.ministack import CREDENTIALS, REGION
from tests.support.host import Api, Reply, environment, wait_until

ROOT = Path(__file__).parents[2]

WORKER = Path(__file__).with_name("worker")

READY_WITHIN_SECONDS = 300
STOPPED_WITHIN_SECONDS = 120
"""Both far above what they take, since the machine may be running other tests."""


class SignedApi(Api):
    """Speaks to the deployed API, every request signed as AWS wants it."""

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        data = None if body is None else json.dumps(body)
        return self.send(method, self.url + path, data, headers)

    def send(
        self, method: str, url: str, body: str | None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a request to a whole address, its body as it is."""
        sent = dict(headers or {})
        if body is not None:
            sent["Content-Type"] = "application/json"
        request = AWSRequest(method=method, url=url, data=body or "", headers=sent)
        SigV4Auth(Credentials(*CREDENTIALS), "execute-api", REGION).add_auth(request)
        response = self._pool.request(method, url, body=body, headers=dict(request.headers.items()))
        return Reply(response.status, json.loads(response.data) if response.data else None)


@dataclass(frozen=True)
class Deployment:
    """A stack that runs, and the folder in which its workers' calls are watched."""

    endpoint: str
    api: SignedApi
    watched: Path
    output: Path
    """What `make run-aws` printed."""

    def client(self, service: Any) -> Any:
        """Return a low-level client of the account's root; it repeats nothing."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS[0],
            aws_secret_access_key=CREDENTIALS[1],
            config=Config(read_timeout=120, retries={"total_max_attempts": 1}),
        )

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """The outputs of the stack."""
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    @cached_property
    def functions(self) -> Mapping[str, Mapping[str, Any]]:
        """The functions by what they are called in logs."""
        found = self.client("lambda").list_functions()["Functions"]
        return {each["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]: each for each in found}

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """Call a function, and return what it returned, or the error it failed with."""
        answer = self.client("lambda").invoke(
            FunctionName=self.functions[function]["FunctionName"], Payload=json.dumps(event)
        )
        return json.loads(answer["Payload"].read() or b"null")

    def enforce_policies(self) -> None:
        """From now on refuse what a function's role does not allow, which the emulator does not."""
        iam = self.client("iam")
        policies: dict[str, list[Any]] = {}
        for name, function in self.functions.items():
            role = function["Role"].rpartition("/")[2]
            policies[name] = []
            for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
                document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
                policies[name] += document["Statement"]
        unseen = self.watched / "policies.new"
        unseen.write_text(json.dumps(policies))
        unseen.rename(self.watched / "policies")

    def denied(self) -> list[Any]:
        """Return what was refused so far."""
        return self._lines("denied")

    def calls(self, function: str, operation: str | None = None) -> list[Any]:
        """Return the AWS calls of a function so far, or those of one operation."""
        return [
            line
            for line in self._lines("calls")
            if line["function"] == function and operation in {None, line["operation"]}
        ]

    def _lines(self, name: str) -> list[Any]:
        path = self.watched / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @contextmanager
    def killing(self, function: str, when: str, operation: str, *, about: str) -> Iterator[None]:
        """Have the first worker die that gets there: `before` or `after` a call about something.

        Fails where none did by the end of the `with`, or a little later.
        """
        order = self.watched / f"kill-{function}-{operation}-{when}"
        order.write_text(about)
        try:
            yield
            wait_until(lambda: not order.exists(), within=30)
        finally:
            order.unlink(missing_ok=True)

    @contextmanager
    def unticked(self) -> Iterator[None]:
        """Turn off the schedule of the tick for a while: what ticks is the test alone."""
        client = self.client("scheduler")
        (found,) = client.list_schedules()["Schedules"]
        schedule = client.get_schedule(Name=found["Name"])
        kept = {
            name: schedule[name]
            for name in ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")
        }
        client.update_schedule(**kept, State="DISABLED")
        try:
            yield
        finally:
            client.update_schedule(**kept, State="ENABLED")

    @contextmanager
    def at_most(self, count: int, function: str) -> Iterator[None]:
        """Let a function have so many workers at a time, and turn away what is more."""
        client, name = self.client("lambda"), self.functions[function]["FunctionName"]
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=count)
        try:
            yield
        finally:
            client.delete_function_concurrency(FunctionName=name)

    def kill(self, function: str) -> None:
        """Kill the worker of a function that called AWS last."""
        os.kill(self.calls(function)[-1]["pid"], signal.SIGKILL)

    @contextmanager
    def attributes(self, queue: str, **changed: str) -> Iterator[None]:
        """Change attributes of a queue, named by its output, for a while."""
        sqs, url = self.client("sqs"), self.outputs[queue]
        before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(changed))["Attributes"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes=changed)
        try:
            yield
        finally:
            sqs.set_queue_attributes(QueueUrl=url, Attributes=before)

    def send(self, queue: str, *bodies: str) -> None:
        """Put messages into a queue, named by its output."""
        sqs = self.client("sqs")
        for body in bodies:
            sqs.send_message(QueueUrl=self.outputs[queue], MessageBody=body)

    def dead_letters(self) -> dict[str, str]:
        """Return the reasons of the dead letters that are to be seen now, by their bodies."""
        found: Sequence[Any] = (
            self.client("sqs")
            .receive_message(
                QueueUrl=self.outputs["DeadLettersQueueUrl"],
                MaxNumberOfMessages=10,
                MessageAttributeNames=["All"],
                VisibilityTimeout=0,
            )
            .get("Messages", [])
        )
        return {each["Body"]: each["MessageAttributes"]["reason"]["StringValue"] for each in found}


@contextmanager
def deployed(folder: Path) -> Iterator[Deployment]:
    """Deploy the stack as `make run-aws` does, and have its workers watched."""
    output = folder / "output"
    with output.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.emulator", "--port", "0"],
            cwd=ROOT,
            env=environment(PYTHONPATH=str(WORKER), PUNCTUAL_WATCHED=str(folder)),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        ready = re.compile(r"^Punctual is ready at ((http://[^/]+)/\S+)$", re.MULTILINE)

        def is_ready() -> bool:
            assert process.poll() is None, output.read_text()
            return ready.search(output.read_text()) is not None

        wait_until(is_ready, within=READY_WITHIN_SECONDS)
        found = ready.search(output.read_text())
        assert found is not None
        deployment = Deployment(found[2], SignedApi(found[1]), folder, output)
        deployment.enforce_policies()
        yield deployment
    finally:
        process.terminate()
        process.wait(STOPPED_WITHIN_SECONDS)
