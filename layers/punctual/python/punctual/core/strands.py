"""The strands of a job's runs: those of its slots, and those that somebody asked for.

Names of one strand sort by time: a slot's name is the slot, all others begin with their strand and
the instant at which they were asked for, such as `m.20261201T090000123.3f9a0c2d41b7e865`. A list of
all of them follows one order, which agrees with the names within each strand.
"""

import hashlib
import re
from datetime import UTC, datetime, timedelta

SLOTS = ""
MANUAL = "m."
REPLAYS = "r."
STRANDS = (SLOTS, MANUAL, REPLAYS)
"""What the names of each strand begin with; those of slots begin with a digit."""

SECOND = timedelta(seconds=1)

DIGEST_LENGTH = 16

_ASKED = re.compile(r"[mr]\.(\d{8}T\d{6})(\d{3})\.[0-9a-f]{16}")
_SECOND_LENGTH = len("20261201T090000")


def asked_name(strand: str, *, at: datetime, token: str) -> str:
    """Name a run that is asked for at an instant.

    Args:
        strand: `MANUAL` or `REPLAYS`.
        at: Aware UTC, of whole milliseconds.
        token: One that nobody had before: requests of one millisecond name different runs.
    """
    digest = hashlib.sha256(token.encode()).hexdigest()[:DIGEST_LENGTH]
    return f"{strand}{at:%Y%m%dT%H%M%S}{at.microsecond // 1000:03d}.{digest}"


def asked_at(name: str) -> datetime | None:
    """Return when the run of this name was asked for; None for a slot, and for no name of ours."""
    match = _ASKED.fullmatch(name)
    if match is None:
        return None
    try:
        second = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return second.replace(microsecond=int(match[2]) * 1000)


def strand_of(name: str) -> str:
    """Return which strand a name belongs to."""
    return name[:2] if name[:2] in STRANDS else SLOTS


def place_of(name: str) -> tuple[str, str]:
    """Return where a run stands in the list of all strands: by its second, then by its name.

    Within one second names of slots do not sort like their slots, so time goes no further.
    """
    strand = strand_of(name)
    return name[len(strand) : len(strand) + _SECOND_LENGTH], name


def first_name(strand: str, *, since: datetime | None) -> str:
    """Return a name that sorts before all of a strand from the second of `since` on."""
    if since is None:
        return strand
    return strand + _second(since)


def end_of(strand: str, *, until: datetime | None = None, before: str | None = None) -> str:
    """Return the name that sorts after what a list has of a strand, and before all else of it.

    Args:
        strand: Which.
        until: The list ends with the second of this instant.
        before: The list goes on from this name, of whatever strand: what stands before it follows.
    """
    ends = [strand + _AFTER_DIGITS]
    if until is not None:
        ends.append(strand + _second(until + SECOND))
    if before is not None:
        ends.append(_end_before(strand, before))
    return min(ends)


def _end_before(strand: str, before: str) -> str:
    other = strand_of(before)
    if other == strand:
        return before
    second, _ = place_of(before)
    # Names of one second sort by their strands: all of an earlier strand's follow, none of a later.
    return strand + second + (_AFTER_NAMES if strand < other else "")


def _second(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y%m%dT%H%M%S}"


_AFTER_DIGITS = ":"
"""Sorts after every digit, and before every letter."""

_AFTER_NAMES = "~"
"""Sorts after every character of a name."""
