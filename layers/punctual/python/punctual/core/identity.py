"""Names of jobs, runs and long results, and fingerprints of requests."""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from punctual.core.errors import RunNotFound

JOB_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""What a job may be called; `.`, `~`, `#` and `/` stay free for the names built around it."""

NAMES_REMEMBERED = 4096
"""How many names of slots are not read twice: each start asks several times, and runs that are due
together share one."""

_SLOT_NAME = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(?:\.(\d{3}))?Z")
_sorted_text = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode

_RUN_ID = re.compile(
    r"(?P<job_id>[a-z0-9][a-z0-9_-]{0,63})(?:~(?P<incarnation>[1-9]\d{0,8}))?\.(?P<name>[a-zA-Z0-9.]+)"
)


@dataclass(frozen=True, slots=True, order=True)
class JobKey:
    """Where a job lives: a tenant, and the job's name within it."""

    tenant: str
    job_id: str


@dataclass(frozen=True, slots=True, order=True)
class RunKey:
    """Which run of which life of a job."""

    job: JobKey
    incarnation: int
    """Life of the job id, from 1; a job deleted and created again counts up."""
    name: str
    """The slot as `20261201T090000Z` (`T090000.123Z` when not whole), or a manual run's name."""

    @classmethod
    def of_slot(cls, job: JobKey, *, incarnation: int, slot: datetime) -> "RunKey":
        """Name the run of one slot."""
        return cls(job, incarnation, slot_name(slot))

    @property
    def slot(self) -> datetime | None:
        """The slot in the name; None for a run that no schedule named."""
        return _slot_in(self.name)

    @property
    def run_id(self) -> str:
        """The run's id in the API, and the idempotency key its target sees on every attempt."""
        life = "" if self.incarnation == 1 else f"~{self.incarnation}"
        return f"{self.job.job_id}{life}.{self.name}"


@lru_cache(maxsize=NAMES_REMEMBERED)
def _slot_in(name: str) -> datetime | None:
    match = _SLOT_NAME.fullmatch(name)
    if match is None:
        return None
    *whole, milliseconds = match.groups(default="0")
    year, month, day, hour, minute, second = map(int, whole)
    microsecond = int(milliseconds) * 1000
    try:  # not by `strptime`, which takes several times as long
        return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=UTC)
    except ValueError:  # it looks like a time, and the calendar has none such
        return None


def slot_name(slot: datetime) -> str:
    """Write a slot the way run ids carry it; sorts like time within whole seconds and beyond."""
    milliseconds = slot.microsecond // 1000
    fraction = f".{milliseconds:03d}" if milliseconds else ""
    return f"{slot:%Y%m%dT%H%M%S}{fraction}Z"


def parse_run_id(tenant: str, run_id: str) -> RunKey:
    """Read a run id back into its key.

    Raises:
        RunNotFound: No run can have this id.
    """
    match = _RUN_ID.fullmatch(run_id)
    if match is None:
        raise RunNotFound(f"there is no run {run_id[:100]!r}")
    key = RunKey(JobKey(tenant, match["job_id"]), int(match["incarnation"] or 1), match["name"])
    if key.run_id != run_id:  # such as `report~1.…`, which would be a second name for one run
        raise RunNotFound(f"there is no run {run_id[:100]!r}")
    return key


def fingerprint(value: object) -> str:
    """Return a digest of a JSON value that does not depend on the order of its keys."""
    return hashlib.sha256(_sorted_text(value).encode()).hexdigest()


def job_id_of(tenant: str, idempotency_key: str, *, route: str = "jobs") -> str:
    """Return the job id that a create under this key makes, so that a repeat finds it."""
    digest = hashlib.sha256(f"{tenant}\x00{route}\x00{idempotency_key}".encode()).hexdigest()
    return f"j{digest[:24]}"


def result_name(body: bytes) -> str:
    """Return the name that a long result is kept under: 32 hexadecimal digits made from it."""
    return hashlib.sha256(body).hexdigest()[:32]
