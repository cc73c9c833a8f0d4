"""What one seed is about: which jobs, which users, which faults, and how much of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from punctual.core.identity import job_id_of
from punctual.core.instants import format_instant, from_epoch_ms
from punctual.core.sharding import shard_of
from tests.simulation.dice import Dice
from tests.simulation.faults import Mishap, Profile
from tests.simulation.ranges import RULED_FROM
from tests.simulation.targets import Manner
from tests.simulation.weather import TICK_MISHAPS, Leaning, make_weather

Json = dict[str, Any]

SECOND = 1000
MINUTE = 60 * SECOND

TENANT = "000000000000"

JOBS_MAX = 3

LEAVES_OUT = frozenset({Leaning.CATCH_UP, Leaning.OUTAGE, Leaning.LONG_PAUSE})
"""What makes users ask for catch-up rules."""

FIRST_BEGIN = 1_796_115_600_000
"""2026-12-01T09:00:00Z."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that a user wants at an instant."""

    at: int
    verb: str
    """`create`, `edit`, `pause`, `resume`, `delete`, `cancel` or `run`."""
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
class Rules:
    """What one job says of runs beside each other, all of its life."""

    overlap: str = "allow"
    limited: bool = False
    """Whether it shares the limit that there is."""

    @property
    def fields(self) -> Json:
        """The fields of its definition that say so."""
        if not self.limited:
            return {"overlap": self.overlap}
        return {
            "overlap": self.overlap,
            "limits": [{"key": "shared", "max_concurrent": SHARED_MAX, "rate_per_second": 2}],
        }


SHARED_MAX = 1
"""Runs that the shared limit lets in at once."""


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
    reports: bool = False
    """Whether all targets only accept the work, and report back."""
    rules: tuple[Rules, ...] = ()
    """What the jobs say of runs beside each other, job by job; nothing in most seeds."""
    purges: int = 2
    """How often a queue loses all that it holds, if that ever happens."""
    clock_sticks: bool = False
    """Whether what users change is often changed at the very millisecond of a slot."""
    beats_many: bool = False
    """Whether targets that report back work for long, and often say that they live."""

    @property
    def faultless(self) -> bool:
        """Whether nothing goes wrong."""
        calm = not self.profile.rates and not self.profile.focuses
        return calm and self.manners.keys() <= {Manner.SLOW} and not self.reports and not self.rules

    @property
    def punctual(self) -> bool:
        """Whether nothing goes wrong that may make a run late or call it twice."""
        calm = self.profile.rates.keys() <= TICK_MISHAPS and not self.profile.focuses
        return calm and self.manners.keys() <= {Manner.SLOW} and not self.reports and not self.rules

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
    ends = begins + dice.between(6, 12, "length") * MINUTE
    calm_from = begins + (ends - begins) * 2 // 3
    weather = make_weather(seed, dice)
    if dice.chance(0.15, "long") or Leaning.LATE_CALM in weather.leanings:
        # Long enough for what goes wrong with a second look.
        calm_from = begins + dice.between(19, 24, "calm from") * MINUTE
    shards = tuple(dice.between(0, 63, "shard", n) for n in range(dice.between(1, 2, "shards")))
    rules = _rules(dice) if seed >= RULED_FROM else ()
    makes = _Maker(
        dice=dice,
        rules=rules,
        begins=begins,
        calm_from=calm_from,
        ends=ends,
        shards=shards,
        leanings=weather.leanings,
    )
    jobs = tuple(makes.plan(n) for n in range(dice.between(1, JOBS_MAX, "jobs")))
    return Scenario(
        seed=seed,
        begins=begins,
        calm_from=calm_from,
        ends=ends,
        profile=weather.profile,
        manners=weather.manners,
        honours_keys=dice.chance(0.6, "honours keys"),
        shards=shards,
        shards_per_message=dice.one_of((1, 1, 2), "shards per message"),
        jobs=jobs,
        rules=rules,
        hot=makes.hot(jobs) if Mishap.HOT_PARTITION in weather.profile.rates else None,
        ticks_stop=makes.ticks_stop() if Mishap.TICKS_STOP in weather.profile.rates else None,
        purges=12 if Leaning.PURGES in weather.leanings else 2,
        clock_sticks=weather.clock_sticks,
        beats_many=weather.beats_many,
    )


def _rules(dice: Dice) -> tuple[Rules, ...]:
    """Choose what each job says of runs beside each other."""
    return tuple(
        Rules(
            overlap=dice.one_of(("allow", "skip", "buffer_one", "cancel_other"), "overlap", n),
            limited=dice.chance(0.7, "limited", n),
        )
        for n in range(JOBS_MAX)
    )


# What users do


@dataclass(frozen=True, kw_only=True)
class _Maker:
    dice: Dice
    rules: tuple[Rules, ...]
    begins: int
    calm_from: int
    ends: int
    shards: tuple[int, ...]
    leanings: frozenset[Leaning]

    def plan(self, number: int) -> JobPlan:
        """Plan a job and what is done with it."""
        dice = self.dice
        shard = dice.one_of(self.shards, "job's shard", number)
        posts = dice.chance(0.3, "posts", number)
        at = dice.between(
            self.begins, self.begins + (self.ends - self.begins) // 3, "created", number
        )
        name, key = _named(number, shard, posts=posts)
        bounded = not self.leanings and dice.chance(0.15, "bounded", number)
        first = Step(at=at, verb="create", body=self._body(number, 0, at=at, bounded=bounded))
        quiet = Leaning.QUIET in self.leanings
        if Leaning.OUTAGE in self.leanings:
            return JobPlan(name=name, key=key, users=((first,),))
        if Leaning.LONG_PAUSE in self.leanings:
            pause = Step(at=at + dice.between(5, 40, "paused", number) * SECOND, verb="pause")
            over = pause.at + dice.between(90, 240, "paused for", number) * SECOND
            return JobPlan(
                name=name, key=key, users=((first, pause, Step(at=over, verb="resume")),)
            )
        if bounded or quiet or not (self.leanings or dice.chance(0.7, "changed", number)):
            return JobPlan(name=name, key=key, users=((first,),))
        last: tuple[Step, ...] = ()
        if dice.chance(0.5, "resumed", number):
            at_last = self.ends + dice.between(0, 120, "resumed at", number) * SECOND
            last = (Step(at=at_last, verb="resume"),)
        users = [(first, *self._steps(number, 0, since=at, create=first), *last)]
        if dice.chance(0.35, "raced", number):
            users.append(self._steps(number, 1, since=at, create=first))
        if Leaning.RUNS in self.leanings or dice.chance(0.3, "run now", number):
            users.append(self._runs(number, since=at))
        return JobPlan(name=name, key=key, users=tuple(users))

    def _runs(self, number: int, *, since: int) -> tuple[Step, ...]:
        """Plan when somebody wants a run that no schedule names, with a body of its own or not."""
        steps: list[Step] = []
        at = since
        for run in range(self.dice.between(1, 4, "runs", number)):
            at += self.dice.between(1, (self.ends - since) // 2000, "run at", number, run) * SECOND
            own = self.dice.chance(0.5, "own body", number, run)
            steps.append(Step(at=at, verb="run", body={"body": run} if own else {}))
        return tuple(steps)

    def _steps(self, number: int, user: int, *, since: int, create: Step) -> tuple[Step, ...]:
        """Plan what one user does with a job."""
        dice, steps = self.dice, []
        at = since
        last = create.verb
        hasty = Leaning.EDITS in self.leanings and dice.chance(0.5, "hasty", number, user)
        for step in range(dice.between(1, 10 if hasty else 5, "steps", number, user)):
            name = (number, user, step)
            longest = 30 if hasty else (self.ends - since) // 3000
            at += dice.between(1, longest, "pause", *name) * SECOND
            if last == "pause" and Leaning.CATCH_UP in self.leanings:
                at += 90 * SECOND
            if dice.chance(0.4, "on the slot", *name):
                at = at // (10 * SECOND) * (10 * SECOND) + dice.between(-40, 40, "about", *name)
            if at >= min(self.calm_from, self.ends):
                break
            verb = dice.one_of((*_FOLLOWS[last], *self._wanted(last)), "verb", *name)
            body = None
            if verb == "edit":
                body = self._body(number, f"{user}.{step}", at=at, bounded=False)
            elif verb == "create":
                body = create.body
            steps.append(Step(at=at, verb=verb, body=body))
            last = verb
        return tuple(steps)

    def _wanted(self, last: str) -> tuple[str, ...]:
        """Return what users want more often in this seed."""
        verbs: list[str] = []
        if Leaning.EDITS in self.leanings and last != "delete":
            verbs += ["edit"] * 6
        if Leaning.CANCELS in self.leanings and last != "delete":
            verbs += ["cancel"] * 6
        if Leaning.RECREATION in self.leanings:
            verbs += ["create"] * 6 if last == "delete" else ["delete"] * 6
        if Leaning.CATCH_UP in self.leanings and last != "delete":
            verbs += ["resume"] * 6 if last == "pause" else ["pause"] * 3
        return tuple(verbs)

    def _body(self, number: int, variant: object, *, at: int, bounded: bool) -> Json:
        """Make up a definition."""
        dice, name = self.dice, (number, variant)
        body: Json = {
            "schedule": self._schedule(*name, at=at),
            "target": {"type": "http", "url": "https://target.invalid/"},
        }
        if self.rules:
            body |= self.rules[number].fields
        if bounded:
            # More than one visit hands over, in some.
            body["schedule"]["max_runs"] = dice.between(1, 24, "max runs", *name)
        elif self.leanings & LEAVES_OUT or dice.chance(0.25, "catches up", *name):
            body["catch_up"] = dice.one_of(("latest", "none"), "catch up", *name)
        if dice.chance(0.25, "once at most", number):
            body["delivery"] = "at_most_once"
        slow = Leaning.QUIET not in self.leanings and dice.chance(0.2, "slow", *name)
        if slow or Leaning.SLOW_LANE in self.leanings:
            body["timeout_seconds"] = dice.one_of((60, 300), "timeout", *name)
        elif dice.chance(0.3, "quick", *name):
            body["timeout_seconds"] = dice.one_of((2, 10), "timeout", *name)
        if dice.chance(0.2, "impatient", *name):
            body["start_deadline_seconds"] = dice.one_of((30, 300), "deadline", *name)
        if Leaning.DEATHS in self.leanings:
            body["retry"] = {"max_attempts": dice.between(1, 2, "attempts", *name)}
        elif Leaning.LONG_WAITS in self.leanings:
            body["retry"] = {"max_attempts": 5, "min_delay_seconds": 200, "jitter": "none"}
        elif dice.chance(0.4, "tries", *name):
            body["retry"] = {
                "max_attempts": dice.one_of((1, 2, 5), "attempts", *name),
                "min_delay_seconds": dice.one_of((1, 20, 100), "min delay", *name),
            }
        return body

    def _schedule(self, *name: object, at: int) -> Json:
        dice = self.dice
        kind = dice.draw("kind", *name)
        if self.leanings & {Leaning.OUTAGE, Leaning.LONG_PAUSE, Leaning.CANCELS}:
            # More slots than one visit hands over ahead, so that the outage makes some late.
            every = dice.one_of((15, 20), "every", *name)
            return {"every_seconds": every, "end_at": _text(self.ends)}
        if Leaning.EDITS in self.leanings:
            # Schedules that share slots, so that rows pass from one to the next.
            every = dice.one_of((30, 60), "every", *name)
            # The same start for all edits before it: a pointer then looks as it did before.
            start = (at // MINUTE + 1) * MINUTE
            first = self.begins + dice.between(2, 6, "first start", name[0]) * MINUTE
            start = max(start, first // MINUTE * MINUTE)
            return {"every_seconds": every, "start_at": _text(start), "end_at": _text(self.ends)}
        if kind < 0.12:
            in_a_while = dice.between(-20, 900, "at", *name) * SECOND
            return {"at": _text(min(at + in_a_while, self.ends))}
        if kind < 0.3:
            cron = dice.one_of(("* * * * *", "*/2 * * * *", "1,4,16,22 * * * *"), "cron", *name)
            zone = dice.one_of(("UTC", "Europe/Berlin"), "zone", *name)
            return {"cron": cron, "timezone": zone, "end_at": _text(self.ends)}
        every = dice.one_of((15, 20, 30, 60, 60, 90, 150), "every", *name)
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
        if Leaning.OUTAGE in self.leanings:
            begins = self.begins + self.dice.between(30, 120, "ticks stop") * SECOND
            return begins, begins + self.dice.between(6, 9, "without ticks") * MINUTE
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
    if not posts:
        return name_on_shard(shard, prefix=f"job-{number}"), None
    keys = (f"key-{number}-{tried}" for tried in count())
    return next(
        (name, key) for key in keys if shard_of(TENANT, name := job_id_of(TENANT, key)) == shard
    )


def name_on_shard(shard: int, *, prefix: str) -> str:
    """Return a job's id that falls on a shard."""
    names = (f"{prefix}-{tried}" for tried in count())
    return next(name for name in names if shard_of(TENANT, name) == shard)


def _text(at: int) -> str:
    return format_instant(from_epoch_ms(at))
