"""Signatures that a target can check, by the Standard Webhooks specification (symmetric, `v1`)."""

import base64
import binascii
import hashlib
import hmac
import re
from datetime import datetime

PREFIX = "whsec_"
"""What a signing secret begins with; the rest is its key in base64."""

KEY_MIN, KEY_MAX = 24, 64
"""Bytes of a key, as the specification has it."""

KEYS_MAX = 4
"""Keys that one call is signed with at most: the new one, and those it takes over from."""


class UnusableKey(ValueError):
    """A signing secret is not as the specification writes it; the message tells nothing of it."""


def signing_keys(secret: str) -> tuple[bytes, ...]:
    """Read the keys in a secret: one, or several parted by spaces while one replaces another.

    Raises:
        UnusableKey: It is not `whsec_` and base64 of 24 to 64 bytes, or holds more than four.
    """
    words = secret.split()
    if not 1 <= len(words) <= KEYS_MAX:
        raise UnusableKey(f"should hold 1 to {KEYS_MAX} keys, parted by spaces")
    return tuple(_key(word) for word in words)


def _key(word: str) -> bytes:
    try:
        key = base64.b64decode(word.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not word.startswith(PREFIX) or not KEY_MIN <= len(key) <= KEY_MAX:
        raise UnusableKey(f"should be {PREFIX} and the base64 of {KEY_MIN} to {KEY_MAX} bytes")
    return key


def timestamp_of(now: datetime) -> str:
    """Return the value of `webhook-timestamp`: whole seconds since 1970."""
    return str(int(now.timestamp()))


def signature(keys: tuple[bytes, ...], *, webhook_id: str, timestamp: str, body: bytes) -> str:
    """Return the value of `webhook-signature`: one signature of each key, parted by spaces.

    Args:
        keys: At least one.
        webhook_id: The value of `webhook-id`, which is the run id.
        timestamp: The value of `webhook-timestamp`.
        body: As it is sent.
    """
    assert re.fullmatch("[0-9]+", timestamp), "a timestamp is a number"
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    digests = (hmac.digest(key, signed, hashlib.sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
