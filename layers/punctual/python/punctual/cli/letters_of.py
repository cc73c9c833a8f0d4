"""The dead letters of a deployed stage, found by the name of its stack."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from punctual.adapters.sqs.letters import Letters
from punctual.cli.client import Unreachable
from punctual.cli.session import BadInput
from punctual.core.errors import StoreUnavailable


@contextmanager
def letters_of(stack: str, *, region: str | None, profile: str | None) -> Iterator[Letters]:
    """Open the dead letters of a stack for as long as the `with` lasts.

    Raises:
        BadInput: There is no such stack, it is none of ours, or the caller may not do this.
        Unreachable: The queues are out of reach.
    """
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        outputs = outputs_of(session.client("cloudformation"), stack)
        yield Letters(
            session.client("sqs"),
            dead_url=outputs["DeadLettersQueueUrl"],
            exhausted_url=outputs["ExhaustedQueueUrl"],
        )
    except KeyError:
        raise BadInput(f"the stack {stack} has no dead letters: it is none of ours") from None
    except StoreUnavailable as error:
        raise Unreachable(str(error)) from None
    except (BotoCoreError, ClientError) as error:
        raise BadInput(f"AWS refuses: {error}") from None


def outputs_of(client: Any, stack: str) -> dict[str, str]:  # noqa: ANN401 - no types of it here
    """Return what a stack tells of itself."""
    (described,) = client.describe_stacks(StackName=stack)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", ())}
