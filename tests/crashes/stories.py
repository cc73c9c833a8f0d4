"""What users want of the host, and when: short stories told in full, and long ones from a seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from punctual.core.identity import job_id_of
from punctual.core.instants import format_instant, from_epoch_ms
from tests.simulation.dice import Dice
from tests.simulation.targets import Manner

Json = dict[str, Any]

SECOND = 1000
MINUTE = 60 * SECOND

TENANT = "default"

BEGINS = 1_796_115_600_000
"""2026-12-01T09:00:00Z."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that a user wants at an instant."""

    at: int
    verb: str
    """`create`, `edit`, `pause`, `resume`, `delete`, or `cancel` with the name of a run."""
    body: Json | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Who does one thing after the other with one job."""

    job: str
    key: str | None = None
    """The idempotency key under which the job is created; None for a job that is PUT."""
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All that is decided beforehand."""

    users: tuple[User, ...]
    manners: Mapping[Manner, float] = field(default_factory=dict)
    """How often targets do what; else they are fast."""
    down_for: int = 2 * SECOND
    """How long there is no process after a crash."""

    @property
    def lasts_until(self) -> int:
        """The instant of the last step."""
        return max(step.at for user in self.users for step in user.steps)


def at(minutes: float) -> int:
    """Return the instant so many minutes after the beginning."""
    return BEGINS + round(minutes * MINUTE)


def text(instant: int) -> str:
    """Write an instant as the API takes it."""
    return format_instant(from_epoch_ms(instant))


def every(seconds: int, *, since: float, until: float, **others: Any) -> Json:
    """Return the schedule of an interval, with bounds in minutes after the beginning."""
    return {
        "every_seconds": seconds,
        "start_at": text(at(since)),
        "end_at": text(at(until)),
        **others,
    }


def job(schedule: Json, **policies: Any) -> Json:
    """Return a definition."""
    return {
        "schedule": schedule,
        "target": {"type": "http", "url": "https://target.invalid/"},
        **policies,
    }


def put(job_id: str, body: Json, *steps: Step, at: int = BEGINS) -> User:
    """Return a user who puts a job, and goes on from there."""
    return User(job=job_id, steps=(Step(at=at, verb="create", body=body), *steps))


ONCE = Story(users=(put("once", job({"at": text(at(0.5))})),))

TWICE = Story(
    users=(put("twice", job(every(20, since=1, until=1.4), retry={"max_attempts": 2})),),
    manners={Manner.BUSY: 0.4, Manner.SLOW: 0.2},
)

POSTED = Story(
    users=(
        User(
            job=job_id_of(TENANT, "k1"),
            key="k1",
            steps=(
                Step(at=at(0), verb="create", body=job({"at": text(at(0.2))})),
                Step(at=at(0.6), verb="delete"),
            ),
        ),
    ),
)

AT_MOST_ONCE = Story(
    users=(put("once-at-most", job({"at": text(at(0.5))}, delivery="at_most_once")),),
    manners={Manner.SLOW: 1.0},
)

LONG_WAIT = Story(
    users=(
        put(
            "waits",
            job(
                {"at": text(at(0.5))},
                retry={"max_attempts": 3, "min_delay_seconds": 200, "jitter": "none"},
            ),
        ),
    ),
    manners={Manner.BUSY: 0.7, Manner.BREAKS_OFF: 0.1},
)

EDITED = Story(
    users=(
        put(
            "edited",
            job(every(30, since=1, until=3)),
            Step(at=at(1.5), verb="edit", body=job(every(40, since=1, until=3))),
            Step(at=at(2.2), verb="edit", body=job({"cron": "* * * * *", "end_at": text(at(4))})),
        ),
    ),
)

PAUSED = Story(
    users=(
        put(
            "paused",
            job(every(20, since=0.5, until=3)),
            Step(at=at(1), verb="pause"),
            Step(at=at(1.25), verb="edit", body=job(every(30, since=0.5, until=3))),
            Step(at=at(2), verb="resume"),
        ),
    ),
)

CAUGHT_UP = Story(
    users=(
        put(
            "caught-up",
            job(every(20, since=0.5, until=4), catch_up="latest"),
            Step(at=at(1), verb="pause"),
            Step(at=at(3), verb="resume"),
        ),
    ),
)

CANCELLED = Story(
    users=(
        put(
            "cancelled",
            job(every(30, since=0.5, until=1.5)),
            Step(at=at(0.5) + 3 * SECOND, verb="cancel 20261201T090030Z"),
            Step(at=at(0.9), verb="cancel 20261201T090100Z"),
        ),
    ),
    manners={Manner.HANGS: 0.6, Manner.SLOW: 0.4},
)

RE_CREATED = Story(
    users=(
        put(
            "re-created",
            job(every(20, since=0.5, until=2)),
            Step(at=at(0.7), verb="delete"),
            Step(at=at(0.8), verb="create", body=job(every(20, since=0.5, until=2))),
        ),
    ),
    manners={Manner.SLOW: 0.5},
)

OUTAGE = Story(
    users=(
        put("outage", job(every(60, since=1, until=4), start_deadline_seconds=120)),
        put("left-out", job(every(60, since=1, until=4), catch_up="none")),
    ),
    down_for=150 * SECOND,
)

OVERLAPPING = Story(
    users=(put("overlapping", job(every(10, since=0.5, until=1), overlap="skip")),),
    manners={Manner.SLOW: 0.8},
)

SHORT: Mapping[str, Story] = {
    "once": ONCE,
    "twice": TWICE,
    "posted": POSTED,
    "at most once": AT_MOST_ONCE,
    "long wait": LONG_WAIT,
    "edited": EDITED,
    "paused": PAUSED,
    "caught up": CAUGHT_UP,
    "cancelled": CANCELLED,
    "re-created": RE_CREATED,
    "outage": OUTAGE,
    "overlapping": OVERLAPPING,
}
"""Stories short enough to crash at every place of each."""


_FAR = every(20, since=3.5, until=7.5)
"""Its first slots are handed over by the tick of minute 1, and by nothing before."""

_FEW = every(20, since=3.5, until=4)

_NEAR = every(20, since=0.5, until=1)


def _met(schedule: Json, step: Step, **manners: float) -> Story:
    """Return a story in which a user comes when the host has something to do with the job."""
    return Story(
        users=(put("met", job(schedule), step),),
        manners={Manner(manner): rate for manner, rate in manners.items()},
    )


MEETINGS: Mapping[str, Story] = {
    "an edit meets a visit": _met(
        _FAR, Step(at=at(1) + 500, verb="edit", body=job(every(30, since=3.5, until=7.5)))
    ),
    "a retouch meets a visit": _met(
        _FEW, Step(at=at(1) + 500, verb="edit", body=job(_FEW, timeout_seconds=10))
    ),
    "a pause meets a start": _met(_NEAR, Step(at=at(0.5) + 500, verb="pause")),
    "a delete meets a start": _met(_NEAR, Step(at=at(0.5) + 500, verb="delete"), slow=1.0),
    "a cancel meets a start": _met(
        _NEAR, Step(at=at(0.5) + 500, verb="cancel 20261201T090030Z"), slow=1.0
    ),
}
"""Stories for every place at which a thread may be held up for a second."""


def make_story(seed: int) -> Story:
    """Return a long story, made up by a seed."""
    dice = Dice(f"story {seed}")
    ends = at(dice.between(4, 9, "length"))
    users = tuple(_user(dice, number, ends=ends) for number in range(dice.between(1, 3, "users")))
    manners: dict[Manner, float] = {}
    for manner in Manner:
        if manner is not Manner.FAST and dice.chance(0.3, "manner", manner):
            manners[manner] = dice.one_of((0.05, 0.2), "rate", manner)
    down_for = dice.one_of((0, 1, 2, 2, 2, 30, 200, 2000), "down for") * SECOND
    return Story(users=users, manners=manners, down_for=down_for)


_FOLLOWS = {
    "create": ("edit", "edit", "pause", "pause", "delete", "cancel", "create"),
    "edit": ("edit", "pause", "delete", "cancel", "edit"),
    "pause": ("resume", "resume", "edit", "delete", "pause"),
    "resume": ("edit", "pause", "delete", "cancel"),
    "delete": ("create",),
    "cancel": ("edit", "pause", "delete", "cancel"),
}


def _user(dice: Dice, number: int, *, ends: int) -> User:
    begins = BEGINS + dice.between(0, 90, "begins", number) * SECOND
    body = _body(dice, number, 0, at=begins, ends=ends)
    if dice.chance(0.1, "bounded", number):
        # The oracle counts the slots of a schedule, and not what users make of them.
        body.pop("catch_up", None)
        body["schedule"]["max_runs"] = dice.between(1, 12, "max runs", number)
        return User(job=f"job-{number}", steps=(Step(at=begins, verb="create", body=body),))
    steps = [Step(at=begins, verb="create", body=body)]
    is_posted = dice.chance(0.25, "posted", number)
    is_paused = False
    now = begins
    for place in range(dice.between(0, 6, "steps", number)):
        name = (number, place)
        now += dice.between(1, (ends - begins) // 3000, "until", *name) * SECOND
        if dice.chance(0.4, "on the slot", *name):
            now = now // (10 * SECOND) * (10 * SECOND) + dice.between(-5, 40, "about", *name)
        if now >= ends:
            break
        verb = dice.one_of(_FOLLOWS[steps[-1].verb.partition(" ")[0]], "verb", *name)
        if verb == "create" and is_posted:
            break  # a key makes one job, and never another one
        wanted: Json | None = None
        if verb == "create":
            wanted = body
        elif verb == "edit":
            wanted = _body(dice, number, place + 1, at=now, ends=ends)
        elif verb == "cancel":
            slot = now // (10 * SECOND) * (10 * SECOND)
            verb = f"cancel {from_epoch_ms(slot):%Y%m%dT%H%M%SZ}"
        is_paused = verb == "pause" or (is_paused and verb in {"edit", "cancel"})
        steps.append(Step(at=now, verb=verb, body=wanted))
    if is_paused and dice.chance(0.7, "resumed", number):
        steps.append(Step(at=ends + dice.between(0, 60, "at", number) * SECOND, verb="resume"))
    if is_posted:
        key = f"key {number}"
        return User(job=job_id_of(TENANT, key), key=key, steps=tuple(steps))
    return User(job=f"job-{number}", steps=tuple(steps))


def _body(dice: Dice, number: int, variant: int, *, at: int, ends: int) -> Json:
    name = (number, variant)
    policies: Json = {}
    if dice.chance(0.3, "catches up", *name):
        policies["catch_up"] = dice.one_of(("latest", "none"), "catch up", *name)
    if dice.chance(0.2, "once at most", number):
        policies["delivery"] = "at_most_once"
    if dice.chance(0.3, "quick", *name):
        policies["timeout_seconds"] = dice.one_of((2, 10, 60), "timeout", *name)
    if dice.chance(0.2, "impatient", *name):
        policies["start_deadline_seconds"] = dice.one_of((5, 120), "deadline", *name)
    if dice.chance(0.4, "tries", *name):
        policies["retry"] = {
            "max_attempts": dice.one_of((1, 2, 5), "attempts", *name),
            "min_delay_seconds": dice.one_of((1, 20, 100), "min delay", *name),
        }
    return job(_schedule(dice, name, at=at, ends=ends), **policies)


def _schedule(dice: Dice, name: tuple[int, int], *, at: int, ends: int) -> Json:
    kind = dice.draw("kind", *name)
    if kind < 0.15:
        in_a_while = dice.between(1, 300, "at", *name) * SECOND
        return {"at": text(at + in_a_while)}
    if kind < 0.3:
        zone = dice.one_of(("UTC", "Europe/Berlin"), "zone", *name)
        return {"cron": "* * * * *", "timezone": zone, "end_at": text(ends)}
    schedule: Json = {
        "every_seconds": dice.one_of((10, 20, 30, 60, 90), "every", *name),
        "start_at": text((at // MINUTE + dice.between(0, 2, "start", *name)) * MINUTE),
        "end_at": text(ends),
    }
    return schedule
