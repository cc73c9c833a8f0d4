"""Secrets and long results for tests, in memory."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from punctual.adapters.system import SystemClock
from punctual.adapters.targets.here import TargetsHere
from punctual.adapters.targets.http import HttpTargets
from punctual.adapters.targets.http_carrier import HttpCarrier
from punctual.adapters.targets.lookups import addresses_of
from punctual.core.calls import HttpCall
from punctual.core.errors import StoreUnavailable
from punctual.core.identity import result_name
from punctual.core.secrets import SecretMissing

BEARER = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:punctual/acme/bearer-a1B2c3"
SIGNING = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:punctual/acme/signing-d4E5f6"


class MemorySecrets:
    """Fills `Secrets`; a value that is a function is called, and may raise."""

    def __init__(self, values: Mapping[str, str | Callable[[], str]] | None = None) -> None:
        self.values = dict(values or {})
        self.reads: list[str] = []

    def read(self, arn: str) -> str:
        """See `Secrets.read`."""
        self.reads.append(arn)
        value = self.values.get(arn)
        if value is None:
            raise SecretMissing("it is not here")
        return value if isinstance(value, str) else value()


class MemoryResults:
    """Fills `Results`."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.is_down = False

    def put(self, body: bytes) -> str:
        """See `Results.put`."""
        if self.is_down:
            raise StoreUnavailable("results are out of reach")
        name = result_name(body)
        self.bodies[name] = body
        return name

    def get(self, name: str) -> bytes | None:
        """See `Results.get`."""
        if self.is_down:
            raise StoreUnavailable("results are out of reach")
        return self.bodies.get(name)


def http_targets(**options: Any) -> HttpTargets:
    """Open HTTP targets that may call this machine, know no secret, and keep results in memory."""
    return HttpTargets(**_defaults() | options)


def http_targets_here(**options: Any) -> TargetsHere:
    """Open the same without a thread of their own."""
    new_loop = options.pop("new_loop")
    defaults = _defaults() | {"tls": None, "look_up": addresses_of}
    carrier = partial(HttpCarrier, **defaults | options)
    return TargetsHere({HttpCall: carrier}, new_loop=new_loop)


def _defaults() -> dict[str, Any]:
    return {
        "allow_private": True,
        "secrets": MemorySecrets(),
        "results": MemoryResults(),
        "clock": SystemClock(),
    }
