"""What one seed is about: which jobs, which users, which faults, and how much of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from punctual.core.identity import job_id_of
from punctual.core.instants import format_instant, from_epoch_ms
from punctual.core.sharding import shard_of
from tests.simulation.dice import Dice
from tests.simulation.faults import CALM, Profile
from tests.simulation.targets import Manner

Json = dict[str, Any]

SECOND = 1000
MINUTE = 60 * SECOND

TENANT = "000000000000"

FIRST_BEGIN = 1_796_115_600_000
"""2026-12-01T09:00:00Z."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that a user wants at an instant."""

    at: int
    verb: str
    """`pause`, `resume`, `edit`, `delete`, `create`, `cancel` or `nudge`."""
    body: Json | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """A job, and what its users do with it."""

    name: str
    """The job's id; for one that POST makes, what its id will be."""
    key: str | None
    """The idempotency key of the create; None for a job that is PUT."""
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hot:
    """A partition without capacity for a while."""

    partition: str
    begins: int
    ends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """All that a seed decides beforehand."""

    seed: int
    begins: int
    calm_from: int
    """No fault strikes from here on, and no user does anything."""
    ends: int
    """No slot lies after this instant."""
    profile: Profile
    manners: Mapping[Manner, float]
    honours_keys: bool
    shards: tuple[int, ...]
    shards_per_message: int
    jobs: tuple[JobPlan, ...]
    hot: Hot | None = None
    ticks_stop: tuple[int, int] | None = None

    @property
    def faultless(self) -> bool:
        """Whether nothing goes wrong, so that everything must be on time."""
        return not self.profile.rates and not self.manners


def make_scenario(seed: int) -> Scenario:
    """Return what a seed is about."""
    dice = Dice(f"scenario {seed}")
    begins = FIRST_BEGIN + dice.between(0, 120 * SECOND, "begins")
    length = dice.between(12, 30, "length") * MINUTE
    calm_from = begins + length * 2 // 3
    ends = begins + length
    shards = tuple(dice.between(0, 63, "shard", n) for n in range(dice.between(1, 2, "shards")))
    jobs = tuple(
        _plan(dice, n, begins=begins, calm_from=calm_from, ends=ends, shards=shards)
        for n in range(dice.between(1, 4, "jobs"))
    )
    return Scenario(
        seed=seed,
        begins=begins,
        calm_from=calm_from,
        ends=ends,
        profile=CALM,
        manners={},
        honours_keys=dice.chance(0.6, "honours keys"),
        shards=shards,
        shards_per_message=dice.one_of((1, 2, 4), "shards per message"),
        jobs=jobs,
    )


def _plan(
    dice: Dice, number: int, *, begins: int, calm_from: int, ends: int, shards: tuple[int, ...]
) -> JobPlan:
    shard = dice.one_of(shards, "job's shard", number)
    posts = dice.chance(0.3, "posts", number)
    at = dice.between(begins, begins + (calm_from - begins) // 3, "created", number)
    body = _definition(dice, number, at=at, ends=ends)
    name, key = _named(number, shard, posts=posts)
    return JobPlan(name=name, key=key, steps=(Step(at=at, verb="create", body=body),))


def _named(number: int, shard: int, *, posts: bool) -> tuple[str, str | None]:
    """Return a job's id that falls on a shard, and the key that makes it."""
    tried = 0
    while True:
        tried += 1
        key = f"{number}-{tried}"
        name = job_id_of(TENANT, key) if posts else f"job-{key}"
        if shard_of(TENANT, name) == shard:
            return name, key if posts else None


def _definition(dice: Dice, number: int, *, at: int, ends: int) -> Json:
    every = dice.one_of((20, 30, 60, 60, 90, 300, 600), "every", number)
    schedule: Json = {"every_seconds": every, "end_at": _text(ends)}
    if dice.chance(0.5, "aligned", number):
        start = (at // MINUTE + dice.between(0, 4, "start", number)) * MINUTE
        schedule["start_at"] = _text(start)
    if dice.chance(0.15, "once", number):
        schedule = {"at": _text(at + dice.between(-20, 900, "at", number) * SECOND)}
    return {"schedule": schedule, "target": {"type": "http", "url": "https://target.invalid/"}}


def _text(at: int) -> str:
    return format_instant(from_epoch_ms(at))
