"""Requests that come with a key, so that a repetition of one asks for nothing new."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from punctual.core.errors import IdempotencyKeyReused
from punctual.core.identity import JobKey

KEPT = timedelta(days=3)
"""How long a key is remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request for a run, by its key: which run it asked for."""

    job: JobKey
    incarnation: int
    """Life of the job that was asked for it. The key holds beyond it: a request that is sent again
    after the job was deleted and created anew is the same request."""
    digest: str
    """Of the key, and of what it was sent to."""
    fingerprint: str
    """Of the body."""
    run: str
    """Name of the run."""
    expires_at: datetime


def digest_of(route: str, key: str) -> str:
    """Return what a request is found by.

    Args:
        route: What it was sent to, within the job: the same key means another request elsewhere.
        key: As the client gave it.
    """
    return hashlib.sha256(f"{route}\x00{key}".encode()).hexdigest()


def refuse_other(standing: Request, *, fingerprint: str) -> None:
    """Refuse a request whose key came with another body before.

    Raises:
        IdempotencyKeyReused: It did.
    """
    if standing.fingerprint != fingerprint:
        raise IdempotencyKeyReused(
            "the key was used with another body: its fingerprint is"
            f" {standing.fingerprint}, that of this body {fingerprint}"
        )
