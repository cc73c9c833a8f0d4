"""The rules that name a job's slots."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum


class Gap(StrEnum):
    """What becomes of a wall-clock time that the clocks skip."""

    AFTER = "after"
    SKIP = "skip"


class Repeat(StrEnum):
    """Which of two equal wall-clock times counts when the clocks go back."""

    FIRST = "first"
    SECOND = "second"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dst:
    """What a job wants instead of the rule when its zone changes its clocks; None: the rule."""

    gap: Gap | None = None
    overlap: Repeat | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """One instant."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """Instants at a fixed distance: `anchor`, and every later multiple of `every` from it."""

    every: timedelta
    anchor: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """The wall-clock times that a cron expression matches in one time zone."""

    expression: str
    timezone: str = "UTC"
    dst: Dst | None = None


Rule = At | Every | Cron


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A rule, and what bounds and shifts it."""

    rule: Rule
    start_at: datetime | None = None
    """No slot before this instant; the instant itself may be one."""
    end_at: datetime | None = None
    """No slot after this instant; the instant itself may be one."""
    max_runs: int | None = None
    """How many slots are handed over at most; whoever hands them over counts."""
    exclude: tuple[date | datetime, ...] = ()
    """Dates in the rule's zone, and instants, that are no slots."""
    spread: timedelta = timedelta(0)
    """Slots are shifted by a fixed `offset` in [0, `spread`), so that many jobs do not coincide."""
    offset: timedelta = timedelta(0)


def spread_offset(identity: str, spread: timedelta) -> timedelta:
    """Return the shift of a job in [0, `spread`): the same on every host and for ever."""
    milliseconds = spread // timedelta(milliseconds=1)
    if milliseconds <= 0:
        return timedelta(0)
    digest = hashlib.sha256(identity.encode()).digest()
    return timedelta(milliseconds=int.from_bytes(digest[:8], "big") % milliseconds)
