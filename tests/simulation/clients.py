"""boto3's own clients for simulated code; what they would send goes to a function instead.

The clients are production's, retries, serialisation and parsing included. Only what costs time and
tells nothing is left out: signatures, the search for the endpoint, the user agent.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol
from unittest.mock import patch

import boto3
import botocore.endpoint
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse, HTTPHeaders
from botocore.config import Config
from botocore.retries import quota
from botocore.retries.standard import ExponentialBackoff

ADDRESS = "https://aws.invalid"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the service answers."""

    status: int
    body: Json


class Host(Protocol):
    """What a client has of the machine that it runs on."""

    retry_quota: quota.RetryQuota

    def sleep(self, milliseconds: int) -> None:
        """Let time pass."""
        ...

    def draw(self) -> float:
        """Return a draw in [0, 1)."""
        ...

    def exchange(self, service: str, operation: str, request: Json) -> Reply:
        """Send a request and return its answer, or raise what the network would."""
        ...


class _Switchboard:
    """Who is asked for the host of the code that runs at the moment."""

    find: Callable[[], Host] | None = None

    def host(self) -> Host:
        assert self.find is not None, "a client is used within a simulation only"
        return self.find()


_switchboard = _Switchboard()


@contextmanager
def connected(find: Callable[[], Host]) -> Iterator[None]:
    """Let clients act for the host that `find` returns whenever it is asked."""
    backoff = ExponentialBackoff.delay_amount

    def drawn(self: Any, context: Any) -> Any:
        self._random = find().draw
        return backoff(self, context)

    def sleep(seconds: float) -> None:
        find().sleep(round(seconds * 1000))

    outer = _switchboard.find
    _switchboard.find = find
    try:
        with (
            patch.object(ExponentialBackoff, "delay_amount", drawn),
            patch.object(botocore.endpoint, "time", SimpleNamespace(sleep=sleep)),
        ):
            yield
    finally:
        _switchboard.find = outer


class _QuotaOfHost(quota.RetryQuota):
    """Each host has a quota of its own, as each process has."""

    def acquire(self, capacity_amount: int) -> bool:
        return bool(_switchboard.host().retry_quota.acquire(capacity_amount))

    def release(self, capacity_amount: int) -> None:
        _switchboard.host().retry_quota.release(capacity_amount)


def make_client(service: Any, config: Config) -> Any:
    """Make a client as production configures it, for any number of hosts."""
    lean = Config(signature_version=UNSIGNED, parameter_validation=False)
    with patch.object(quota, "RetryQuota", _QuotaOfHost):
        client: Any = boto3.client(
            service, region_name="eu-central-1", endpoint_url=ADDRESS, config=config.merge(lean)
        )
    client._user_agent_creator.to_string = lambda: "simulation"
    client._resolve_endpoint_ruleset = lambda *_: (ADDRESS, {}, {})
    name = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register(f"before-send.{name}", _exchange)
    return client


def _exchange(request: Any, event_name: str, **_context: Any) -> AWSResponse:
    """Answer a request in place of the network, below retries and parsing."""
    _, service, operation = event_name.split(".")
    body: Json = json.loads(request.body)
    return _Answered(request.url, _switchboard.host().exchange(service, operation, body))


class _Answered(AWSResponse):
    """A response whose body is there already."""

    def __init__(self, url: str, reply: Reply) -> None:
        super().__init__(url, reply.status, HTTPHeaders(), raw=None)
        self._given = json.dumps(reply.body).encode()

    @property
    def content(self) -> bytes:
        return self._given
