"""Secrets of targets: whose they are, and how the value of one becomes a header.

A value is read for each call and goes into that call's headers, and nowhere else.
"""

import json
import re

from punctual.core.calls import header_refusal

VALUE_MAX = 8_000
"""Characters of what is sent; few servers take a longer header."""

NAME_PREFIX = "punctual/"
"""In the cloud, what the name of a secret begins with that executors may read; the tenant follows,
so that no tenant can have another's sent to a server of its own."""

ARN = r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]{1,512}"
"""Of a secret in Secrets Manager."""

_BESIDE_TENANTS = re.compile(r"[^A-Za-z0-9/_+.@-]")


class SecretMissing(Exception):
    """There is no such secret, so that no attempt will find one; the message says where not."""


class SecretUnavailable(Exception):
    """The secret cannot be read now; the message says why, and nothing of its value."""


class SecretUnusable(ValueError):
    """The value is none that can be sent; the message says why, and nothing of it."""


def secret_refusal(arn: str, *, tenant: str, cloud: bool) -> str | None:
    """Return why a job of `tenant` may not use a secret, or None when it may.

    Args:
        arn: As the user wrote it.
        tenant: Whose job it is.
        cloud: Whether secrets of several tenants lie side by side. On one machine there is one.
    """
    if not re.fullmatch(ARN, arn):
        return "is not the ARN of a secret in Secrets Manager"
    prefix = f"{NAME_PREFIX}{tenant_in_names(tenant)}/"
    if cloud and not arn.split(":", 6)[6].startswith(prefix):
        return f"may be used only where its secret's name begins with {prefix}"
    return None


def tenant_in_names(tenant: str) -> str:
    """Write a tenant as the names of its secrets have it: `acme:eu` as `acme=3Aeu`.

    Tenants hold no equals sign, so no two are written alike.
    """
    return _BESIDE_TENANTS.sub(lambda found: f"={ord(found[0]):02X}", tenant)


def authorization(secret: str) -> tuple[str, str]:
    """Return the header that the value of a secret is sent in, and what is sent.

    `Authorization: Bearer <value>`; where the value is a JSON object, it names another header:
    `{"header": "X-Api-Key", "value": "…"}`. Space around the value is no part of it.

    Raises:
        SecretUnusable: It is empty, too long, or cannot be a header.
    """
    text = secret.strip()
    name, value = "Authorization", f"Bearer {text}"
    if text.startswith("{"):
        name, value = _named_header(text)
    if not value.removeprefix("Bearer ").strip():
        raise SecretUnusable("is empty")
    if len(value) > VALUE_MAX:
        raise SecretUnusable(f"is longer than {VALUE_MAX} characters")
    if reason := header_refusal(name, value):
        raise SecretUnusable(f"cannot be sent as a header: {reason}")
    if not value.isascii():
        raise SecretUnusable("cannot be sent as a header: it holds letters beyond ASCII")
    return name, value


def _named_header(text: str) -> tuple[str, str]:
    try:
        parts = json.loads(text)
    except ValueError:
        raise SecretUnusable("begins like a JSON object and is none") from None
    if parts.keys() != {"header", "value"} or not all(isinstance(p, str) for p in parts.values()):
        raise SecretUnusable("should hold exactly `header` and `value`, both texts")
    return parts["header"], parts["value"]
