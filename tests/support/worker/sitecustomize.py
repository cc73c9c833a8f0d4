"""Watches over a deployed function's AWS calls, as AWS would, and ends it where a test says so.

Python imports this by itself at its start where PYTHONPATH leads here, so the emulator's Lambda
workers are watched without knowing it, and the code that is deployed stays as it is. Nothing
happens in other processes.

In the folder that `PUNCTUAL_WATCHED` names, every call becomes a line of `calls`; a call that the
function's role does not allow is refused and becomes a line of `denied`; and a file
`kill-{function}-{operation}-{before|after}` kills the first process that gets there with a call
that speaks of what the file does.
"""

import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

OF_MAX = 2000
"""Characters of a call's parameters that are noted."""

VERBS = {"INSERT": "PartiQLInsert", "UPDATE": "PartiQLUpdate", "DELETE": "PartiQLDelete"}


def needed(service: str, operation: str, params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a call needs to be allowed: actions, each with the resource it is done to.

    A call of a kind that is not known here needs what no role has.
    """
    match service:
        case "dynamodb" if operation == "BatchExecuteStatement":
            for statement in params["Statements"]:
                verb, _, rest = statement["Statement"].partition(" ")
                yield f"dynamodb:{VERBS[verb]}", f":table/{rest.split(chr(34))[1]}"
        case "dynamodb":
            index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
            for table in params.get("RequestItems", [params.get("TableName")]):
                yield f"dynamodb:{operation}", f":table/{table}{index}"
        case "sqs":
            queue = params["QueueUrl"].rpartition("/")[2]
            yield f"sqs:{operation.removesuffix('Batch')}", f":{queue}"
        case "s3":
            yield f"s3:{operation}", f"arn:aws:s3:::{params['Bucket']}/{params['Key']}"
        case "secretsmanager":
            yield f"secretsmanager:{operation}", params["SecretId"]
        case "sts":
            yield f"sts:{operation}", params["RoleArn"]
        case _:
            yield f"{service}:{operation}", "unknown"


def allows(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    """Say whether a statement allows an action on the resource whose ARN is this, or ends so."""
    actions, resources = (
        value if isinstance(value, list) else [value]
        for value in (statement["Action"], statement["Resource"])
    )
    return (
        statement["Effect"] == "Allow"
        and action in actions
        and any(arn.endswith(resource) or fnmatchcase(resource, arn) for arn in resources)
    )


def watch(folder: Path, function: str) -> None:
    """Have every AWS call of this process watched."""
    from botocore import handlers  # noqa: PLC0415 - only a worker has it to import
    from botocore.exceptions import ClientError  # noqa: PLC0415

    def write(name: str, **line: Any) -> None:
        # One write a line, so that what several processes write does not mix.
        file = os.open(folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(
            file, json.dumps({"function": function, "pid": os.getpid(), **line}).encode() + b"\n"
        )
        os.close(file)

    def die_if_told(operation: str, when: str, said: str) -> None:
        order = folder / f"kill-{function}-{operation}-{when}"
        try:
            if order.read_text() not in said:
                return
            order.unlink()
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    def refuse_what_the_role_may_not(service: str, operation: str, params: Any) -> None:
        policies = folder / "policies"
        if not policies.exists():
            return
        statements = json.loads(policies.read_text())[function]
        for action, resource in needed(service, operation, params):
            if not any(allows(statement, action, resource) for statement in statements):
                write("denied", action=action, resource=resource)
                message = f"not authorized to perform {action} on {resource}"
                raise ClientError(
                    {"Error": {"Code": "AccessDeniedException", "Message": message}}, operation
                )

    said = {"": ""}
    asking = threading.local()

    def before(params: Any, model: Any, **_: Any) -> None:
        said[model.name] = json.dumps(params, default=str)
        write("calls", operation=model.name, of=said[model.name][:OF_MAX])
        asking.what = (model.service_model.service_name, model.name, params)
        die_if_told(model.name, "before", said[model.name])

    def before_sign(request_signer: Any, **_: Any) -> None:
        # What is done under another role is for that role's policies to allow.
        if request_signer._credentials.method != "assume-role":
            refuse_what_the_role_may_not(*asking.what)

    def after(model: Any, **_: Any) -> None:
        die_if_told(model.name, "after", said[model.name])

    handlers.BUILTIN_HANDLERS += [
        ("provide-client-params", before),
        ("before-sign", before_sign),
        ("after-call", after),
    ]


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ and "PUNCTUAL_WATCHED" in os.environ:
    watch(Path(os.environ["PUNCTUAL_WATCHED"]), os.environ["POWERTOOLS_SERVICE_NAME"])
