"""Limits that jobs of one tenant share by a key: how many runs at once, how many starts a second.

Who is in is one small record for each key, `Usage`, changed by one conditional write. Whoever is in
is named by its attempt, so the record cannot be fooled by an executor that died: when there is no
room, those whose attempt is over are struck off first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from punctual.core.identity import RunKey

if TYPE_CHECKING:
    from punctual.core.runs import Run

LIMITS_MAX = 2
"""Limits of one job."""

CONCURRENT_MAX = 100
"""Runs that one limit lets in at once. Each weighs about 72 bytes of the record that every entry
and every leave pays for: a unit holds twelve, a full limit takes eight."""

RATE_MAX = 100.0
RATE_MIN = 0.001
"""Starts a second that a limit may say; at 100 its one record is written 300 times a second."""

AHEAD = timedelta(seconds=2)
"""A start is reserved so far ahead at most: its executor holds the run until then."""

MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a job asks of a key before its runs are called; other jobs may ask for less or more."""

    key: str
    max_concurrent: int | None = None
    rate_per_second: float | None = None

    @property
    def interval(self) -> timedelta | None:
        """The time between two starts, in whole milliseconds: rounded up, so never too short."""
        if self.rate_per_second is None:
            return None
        return -(-timedelta(seconds=1 / self.rate_per_second) // MILLISECOND) * MILLISECOND


@dataclass(frozen=True, slots=True)
class LimitKey:
    """Whose limit, and which."""

    tenant: str
    key: str


@dataclass(frozen=True, slots=True)
class Token:
    """One attempt that is in: the run, and the owner that tells the attempt from any other."""

    run: RunKey
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Who is in under one key, and when the next start may be."""

    key: LimitKey
    version: str | None = None
    """New with every write, so that none is made over another one's; None: nobody wrote yet."""
    holders: tuple[Token, ...] = ()
    next_start: datetime | None = None
    """The earliest start that nobody reserved; None: any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """An attempt that is in."""

    usages: tuple[Usage, ...]
    """What its limits look like with it."""
    start_at: datetime
    """When its target may be called: now, or up to `AHEAD` from now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """An attempt that has to wait, for all its limits: it is in none of them."""

    key: str
    """Of the limit in its way."""
    until: datetime | None = None
    """When it is worth another try; None when that depends on those who are in."""


def enter(
    limits: Sequence[Limit], usages: Mapping[str, Usage], token: Token, *, now: datetime
) -> Entered | Full:
    """Let an attempt into all of its limits, or into none.

    Args:
        limits: What its job asks for, each key once.
        usages: Of every key, as read.
        token: The attempt. One that is in already takes no second place.
        now: When it wants to start.
    """
    start_at = now
    for limit in limits:
        usage = usages[limit.key]
        if not _has_room(limit, usage, token):
            return Full(key=limit.key)
        if limit.interval is not None and usage.next_start is not None:
            start_at = max(start_at, usage.next_start)
        if start_at > now + AHEAD:
            return Full(key=limit.key, until=start_at - AHEAD)
    return Entered(
        usages=tuple(_with(limit, usages[limit.key], token, start_at) for limit in limits),
        start_at=start_at,
    )


def leave(usage: Usage, tokens: Sequence[Token]) -> Usage:
    """Strike attempts off that are over."""
    return replace(usage, holders=tuple(t for t in usage.holders if t not in tokens))


def without_dead(usage: Usage, runs: "Mapping[RunKey, Run]") -> Usage:
    """Strike off everybody whose run is not held by the very attempt that entered.

    Args:
        usage: As read.
        runs: The runs of all its holders as read after it; one that is gone is not there.
    """
    dead = [t for t in usage.holders if t.run not in runs or not runs[t.run].held_by(t.owner)]
    return leave(usage, dead) if dead else usage


def _has_room(limit: Limit, usage: Usage, token: Token) -> bool:
    if limit.max_concurrent is None or token in usage.holders:
        return True
    return len(usage.holders) < limit.max_concurrent


def _with(limit: Limit, usage: Usage, token: Token, start_at: datetime) -> Usage:
    if limit.max_concurrent is not None and token not in usage.holders:
        usage = replace(usage, holders=(*usage.holders, token))
    if limit.interval is not None:
        usage = replace(usage, next_start=start_at + limit.interval)
    return usage
