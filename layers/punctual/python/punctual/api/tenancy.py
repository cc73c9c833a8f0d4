"""Who asks: the tenant of the identity that the gateway verified, and of nothing else."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from punctual.core.errors import Unauthenticated

TENANT_CLAIM = "tenant"
"""The claim of a token that names the tenant, where nothing else is said."""

_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@|-]{0,127}")
"""What may stand in keys; a `#` would part them."""

TenantOf = Callable[[Mapping[str, Any]], str]
"""Takes an HTTP API event and returns its tenant, or raises `Unauthenticated`."""


def always(tenant: str) -> TenantOf:
    """Return who asks on one machine, where nobody is verified: always the same."""
    return lambda _: tenant


def verified(*, claim: str = TENANT_CLAIM) -> TenantOf:
    """Return who asks behind a gateway that verifies: an AWS account, or the claim of a token."""

    def tenant_of(event: Mapping[str, Any]) -> str:
        authorizer = event.get("requestContext", {}).get("authorizer") or {}
        if iam := authorizer.get("iam"):
            tenant = iam.get("accountId")
        elif jwt := authorizer.get("jwt"):
            tenant = (jwt.get("claims") or {}).get(claim)
        else:
            raise Unauthenticated("the request carries no verified identity")
        if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
            raise Unauthenticated("the verified identity names no tenant, or not a usable one")
        return tenant

    return tenant_of
