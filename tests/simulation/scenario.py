"""What one seed is about: which jobs, which users, which faults, and how much of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from punctual.core.identity import job_id_of
from punctual.core.instants import format_instant, from_epoch_ms
from punctual.core.sharding import shard_of
from tests.simulation.dice import Dice
from tests.simulation.faults import CALM, Fault, Kind, Mishap, Profile
from tests.simulation.targets import Manner

Json = dict[str, Any]

SECOND = 1000
MINUTE = 60 * SECOND

TENANT = "000000000000"

FIRST_BEGIN = 1_796_115_600_000
"""2026-12-01T09:00:00Z."""

TICK_MISHAPS = frozenset({Mishap.TICK_LOST, Mishap.TICK_DOUBLED, Mishap.TICK_LATE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that a user wants at an instant."""

    at: int
    verb: str
    """`create`, `edit`, `pause`, `resume`, `delete` or `cancel`."""
    body: Json | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """A job, and what its users do with it."""

    name: str
    """The job's id; for one that POST makes, what its id will be."""
    key: str | None
    """The idempotency key of the create; None for a job that is PUT."""
    users: tuple[tuple[Step, ...], ...]
    """The steps of each user: one after the other, while other users do theirs."""


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
    """No fault strikes from here on, and users at most resume what they paused."""
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
        """Whether nothing goes wrong."""
        return not self.profile.rates and not self.manners and self.profile.focus is None

    @property
    def punctual(self) -> bool:
        """Whether nothing goes wrong that may make a run late or call it twice."""
        return (
            self.profile.rates.keys() <= TICK_MISHAPS
            and not self.manners
            and self.profile.focus is None
        )

    @property
    def skew(self) -> int:
        """How wrong a clock may be, in milliseconds."""
        if Mishap.CLOCKS_FAR_APART in self.profile.rates:
            return 10_000
        # Two clocks differ by less than 5 s: the bound that P2 needs.
        return 2490 if Mishap.CLOCKS_APART in self.profile.rates else 0


def make_scenario(seed: int) -> Scenario:
    """Return what a seed is about."""
    dice = Dice(f"scenario {seed}")
    begins = FIRST_BEGIN + dice.between(0, 120 * SECOND, "begins")
    length = dice.between(12, 30, "length") * MINUTE
    calm_from = begins + length * 2 // 3
    ends = begins + length
    shards = tuple(dice.between(0, 63, "shard", n) for n in range(dice.between(1, 2, "shards")))
    makes = _Maker(dice=dice, begins=begins, calm_from=calm_from, ends=ends, shards=shards)
    jobs = tuple(makes.plan(n) for n in range(dice.between(1, 4, "jobs")))
    profile, manners = _weather(dice)
    return Scenario(
        seed=seed,
        begins=begins,
        calm_from=calm_from,
        ends=ends,
        profile=profile,
        manners=manners,
        honours_keys=dice.chance(0.6, "honours keys"),
        shards=shards,
        shards_per_message=dice.one_of((1, 1, 2), "shards per message"),
        jobs=jobs,
        hot=makes.hot(jobs) if Mishap.HOT_PARTITION in profile.rates else None,
        ticks_stop=makes.ticks_stop() if Mishap.TICKS_STOP in profile.rates else None,
    )


# What goes wrong

CALL_RATES = (0.003, 0.01, 0.03, 0.08)

MISHAP_RATES: Mapping[Mishap, Sequence[float]] = {
    Mishap.TICK_LOST: (0.1, 0.4),
    Mishap.TICK_DOUBLED: (0.2, 0.6),
    Mishap.TICK_LATE: (0.2, 0.6),
    Mishap.TICKS_STOP: (1.0,),
    Mishap.MESSAGE_LOST: (0.05, 0.3, 1.0),
    Mishap.MESSAGE_DOUBLED: (0.1, 0.5),
    Mishap.MESSAGE_DELAYED: (0.1, 0.5),
    Mishap.DELETE_LOST: (0.05, 0.3),
    Mishap.HOT_PARTITION: (1.0,),
    Mishap.INDEX_LAG: (1.0,),
    Mishap.SMALL_PAGES: (1.0,),
    Mishap.CLOCKS_APART: (1.0,),
    Mishap.CLOCKS_FAR_APART: (1.0,),
    Mishap.POISON: (0.1,),
    Mishap.REQUEST_LOST: (0.1, 0.3),
    Mishap.ANSWER_LOST: (0.1, 0.4),
}

RARE = frozenset({Mishap.TICKS_STOP, Mishap.CLOCKS_FAR_APART, Mishap.HOT_PARTITION, Mishap.POISON})

FOCI = (
    "tick shard.wake",
    "dispatch watch.add",
    "dispatch run.insert",
    "dispatch run.revise",
    "dispatch run.send",
    "dispatch job.claim",
    "dispatch index.due",
    "dispatch watch.list",
    "dispatch watch.remove",
    "dispatch run.read",
    "dispatch run.end",
    "dispatch stretch.add",
    "fast run.start",
    "fast run.read",
    "fast job.read",
    "fast content.read",
    "fast run.settle",
    "fast run.end",
    "fast watch.add",
    "fast message.hide",
    "slow run.start",
    "slow run.settle",
    "slow watch.add",
    "slow message.hide",
    "api job.read",
    "api content.put",
    "api job.put",
    "api watch.add",
    "api run.insert",
    "api run.send",
    "api job.claim",
    "api run.void",
    "api run.cancel",
    "api run.end",
    "dead run.end",
    "dead letter.keep",
)
"""Call sites that a seed may pick on."""


def _weather(dice: Dice) -> tuple[Profile, Mapping[Manner, float]]:
    """Choose what goes wrong: a random few of all faults, at random rates."""
    kind = dice.draw("weather")
    if kind < 0.1:
        return CALM, {}
    if kind < 0.14:
        return Profile(rates={m: 0.2 for m in TICK_MISHAPS if dice.chance(0.6, "has", m)}), {}
    rates: dict[Kind, float] = {}
    for fault in Fault:
        if dice.chance(0.35, "has", fault):
            rates[fault] = dice.one_of(CALL_RATES, "rate", fault)
    for mishap, choices in MISHAP_RATES.items():
        if dice.chance(0.08 if mishap in RARE else 0.25, "has", mishap):
            rates[mishap] = dice.one_of(choices, "rate", mishap)
    if Mishap.CLOCKS_FAR_APART in rates:
        rates.pop(Mishap.CLOCKS_APART, None)
    manners: dict[Manner, float] = {
        manner: dice.one_of((0.03, 0.1, 0.3), "rate", manner)
        for manner in Manner
        if manner is not Manner.FAST and dice.chance(0.25, "has", manner)
    }
    if not dice.chance(0.4, "focused"):
        return Profile(rates=rates), manners
    return (
        Profile(
            rates=rates,
            focus=dice.one_of(FOCI, "focus"),
            focused=dice.one_of(tuple(Fault), "focused on"),
            focus_rate=dice.one_of((0.1, 0.3, 0.6), "focus rate"),
        ),
        manners,
    )


# What users do


@dataclass(frozen=True, kw_only=True)
class _Maker:
    dice: Dice
    begins: int
    calm_from: int
    ends: int
    shards: tuple[int, ...]

    def plan(self, number: int) -> JobPlan:
        """Plan a job and what is done with it."""
        dice = self.dice
        shard = dice.one_of(self.shards, "job's shard", number)
        posts = dice.chance(0.3, "posts", number)
        at = dice.between(
            self.begins, self.begins + (self.calm_from - self.begins) // 3, "created", number
        )
        name, key = _named(number, shard, posts=posts)
        bounded = dice.chance(0.1, "bounded", number)
        first = Step(at=at, verb="create", body=self._body(number, 0, at=at, bounded=bounded))
        if bounded or not dice.chance(0.7, "changed", number):
            return JobPlan(name=name, key=key, users=((first,),))
        last: tuple[Step, ...] = ()
        if dice.chance(0.5, "resumed", number):
            at_last = dice.between(self.calm_from, self.ends, "resumed at", number)
            last = (Step(at=at_last, verb="resume"),)
        users = [(first, *self._steps(number, 0, since=at, create=first), *last)]
        if dice.chance(0.35, "raced", number):
            users.append(self._steps(number, 1, since=at, create=first))
        return JobPlan(name=name, key=key, users=tuple(users))

    def _steps(self, number: int, user: int, *, since: int, create: Step) -> tuple[Step, ...]:
        """Plan what one user does with a job."""
        dice, steps = self.dice, []
        at = since
        last = create.verb
        for step in range(dice.between(1, 5, "steps", number, user)):
            name = (number, user, step)
            at += dice.between(1, (self.calm_from - since) // 3000, "pause", *name) * SECOND
            if dice.chance(0.4, "on the slot", *name):
                at = at // (10 * SECOND) * (10 * SECOND) + dice.between(-40, 40, "about", *name)
            if at >= self.calm_from:
                break
            verb = dice.one_of(_FOLLOWS[last], "verb", *name)
            body = None
            if verb == "edit":
                body = self._body(number, f"{user}.{step}", at=at, bounded=False)
            elif verb == "create":
                body = create.body
            steps.append(Step(at=at, verb=verb, body=body))
            last = verb
        return tuple(steps)

    def _body(self, number: int, variant: object, *, at: int, bounded: bool) -> Json:
        """Make up a definition."""
        dice, name = self.dice, (number, variant)
        body: Json = {
            "schedule": self._schedule(*name, at=at),
            "target": {"type": "http", "url": "https://target.invalid/"},
        }
        if bounded:
            body["schedule"]["max_runs"] = dice.between(1, 12, "max runs", *name)
        elif dice.chance(0.25, "catches up", *name):
            body["catch_up"] = dice.one_of(("latest", "none"), "catch up", *name)
        if dice.chance(0.25, "once at most", number):
            body["delivery"] = "at_most_once"
        if dice.chance(0.2, "slow", *name):
            body["timeout_seconds"] = dice.one_of((60, 300), "timeout", *name)
        elif dice.chance(0.3, "quick", *name):
            body["timeout_seconds"] = dice.one_of((2, 10), "timeout", *name)
        if dice.chance(0.2, "impatient", *name):
            body["start_deadline_seconds"] = dice.one_of((30, 300), "deadline", *name)
        if dice.chance(0.4, "tries", *name):
            body["retry"] = {
                "max_attempts": dice.one_of((1, 2, 5), "attempts", *name),
                "min_delay_seconds": dice.one_of((1, 20, 100), "min delay", *name),
            }
        return body

    def _schedule(self, *name: object, at: int) -> Json:
        dice = self.dice
        kind = dice.draw("kind", *name)
        if kind < 0.12:
            in_a_while = dice.between(-20, 900, "at", *name) * SECOND
            return {"at": _text(min(at + in_a_while, self.ends))}
        if kind < 0.3:
            cron = dice.one_of(("* * * * *", "*/2 * * * *", "1,4,16,22 * * * *"), "cron", *name)
            zone = dice.one_of(("UTC", "Europe/Berlin"), "zone", *name)
            return {"cron": cron, "timezone": zone, "end_at": _text(self.ends)}
        every = dice.one_of((15, 20, 30, 60, 60, 90, 300, 600), "every", *name)
        schedule: Json = {"every_seconds": every, "end_at": _text(self.ends)}
        if dice.chance(0.6, "aligned", *name):
            start = (at // MINUTE + dice.between(0, 4, "start", *name)) * MINUTE
            schedule["start_at"] = _text(start)
            if dice.chance(0.2, "excludes", *name):
                left_out = start + dice.between(0, 5, "excluded", *name) * every * SECOND
                schedule["exclude"] = [_text(left_out)]
        return schedule

    def hot(self, jobs: Sequence[JobPlan]) -> Hot:
        """Choose a partition, and when it has no capacity."""
        job = self.dice.one_of(jobs, "hot job").name
        begins = self.dice.between(self.begins, self.calm_from, "hot from")
        length = self.dice.between(10, 300, "hot for") * SECOND
        return Hot(partition=f"J#{TENANT}#{job}", begins=begins, ends=begins + length)

    def ticks_stop(self) -> tuple[int, int]:
        """Choose when there is no tick for a long while."""
        begins = self.dice.between(self.begins, self.calm_from, "ticks stop")
        return begins, begins + self.dice.between(3, 60, "without ticks") * MINUTE


_FOLLOWS = {
    "create": ("edit", "edit", "pause", "pause", "delete", "cancel", "create"),
    "edit": ("edit", "pause", "delete", "cancel", "cancel"),
    "pause": ("resume", "resume", "resume", "edit", "delete", "cancel"),
    "resume": ("pause", "edit", "cancel", "delete"),
    "delete": ("create", "create", "create", "edit"),
    "cancel": ("cancel", "edit", "pause", "delete"),
}
"""What a user may want next."""


def _named(number: int, shard: int, *, posts: bool) -> tuple[str, str | None]:
    """Return a job's id that falls on a shard, and the key that makes it."""
    tried = 0
    while True:
        tried += 1
        key = f"{number}-{tried}"
        name = job_id_of(TENANT, key) if posts else f"job-{key}"
        if shard_of(TENANT, name) == shard:
            return name, key if posts else None


def _text(at: int) -> str:
    return format_instant(from_epoch_ms(at))
