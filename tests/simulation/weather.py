"""How bad it gets: which faults a seed enables, how often each strikes, and where it hurts most.

Most seeds have a theme, a danger to the protocol that is looked for on purpose; around it a few
faults of every kind are strewn at random. One seed in ten sees no fault at all.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count

from tests.simulation.dice import Dice
from tests.simulation.faults import CALM, Fault, Focus, Kind, Mishap, Profile
from tests.simulation.ranges import REPORTING_FROM, RULED_FROM
from tests.simulation.targets import Manner

TICK_MISHAPS = frozenset({Mishap.TICK_LOST, Mishap.TICK_DOUBLED, Mishap.TICK_LATE})

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
    Mishap.IMPATIENCE: (1.0,),
    Mishap.PURGED: (1.0,),
    Mishap.REDRIVEN: (1.0,),
    Mishap.TWO_VERSIONS: (1.0,),
    Mishap.REQUEST_LOST: (0.1, 0.3),
    Mishap.ANSWER_LOST: (0.1, 0.4),
}

_CALM_BELOW = 0.35

RARE = frozenset(
    {
        Mishap.TICKS_STOP,
        Mishap.CLOCKS_FAR_APART,
        Mishap.HOT_PARTITION,
        Mishap.POISON,
        Mishap.IMPATIENCE,
        Mishap.PURGED,
    }
)

EXECUTOR = (
    "run.start",
    "run.read",
    "job.read",
    "content.read",
    "stretch.list",
    "run.settle",
    "run.end",
    "watch.add",
    "message.hide",
    "letter.keep",
)

SITES = (
    "tick shard.wake",
    *(
        f"dispatch {purpose}"
        for purpose in (
            "beat.add",
            "index.due",
            "stretch.list",
            "stretch.put",
            "stretch.read",
            "stretch.settle",
            "stretch.withdraw",
            "run.list",
            "run.void",
            "job.park",
            "watch.add",
            "run.insert",
            "run.revise",
            "run.send",
            "job.claim",
            "watch.list",
            "run.read",
            "job.read",
            "run.end",
            "watch.remove",
        )
    ),
    *(f"fast {purpose}" for purpose in EXECUTOR),
    *(f"slow {purpose}" for purpose in EXECUTOR),
    *(
        f"api {purpose}"
        for purpose in (
            "job.read",
            "content.put",
            "content.add",
            "content.touch",
            "content.list",
            "content.read",
            "job.put",
            "request.put",
            "request.read",
            "stretch.list",
            "stretch.put",
            "stretch.read",
            "stretch.settle",
            "watch.add",
            "run.insert",
            "run.revise",
            "run.send",
            "job.claim",
            "run.void",
            "run.list",
            "run.read",
            "run.cancel",
            "run.end",
        )
    ),
    *(f"dead {purpose}" for purpose in ("run.read", "watch.add", "run.end", "letter.keep")),
)
"""Every place where AWS is called, as `sites` names them, but for those of the next two."""

RULED_SITES = tuple(
    f"{lane} {purpose}"
    for lane in ("fast", "slow")
    for purpose in ("gate.read", "gate.put", "usage.read", "usage.put", "run.cancel")
)
"""Where AWS is called for runs beside each other."""

REPORTING_SITES = ("fast run.hold", "slow run.hold", "api run.hold", "api run.settle")
"""Where AWS is called for targets that report back."""


class Leaning(StrEnum):
    """What a seed must have plenty of, to come to the call site that it looks at."""

    CATCH_UP = "catch up"
    """Pauses, and rules that leave slots out."""
    LONG_PAUSE = "long pause"
    """One that is resumed so late that slots are left out."""
    OUTAGE = "outage"
    """No ticks for so long that slots are left out by the next one."""
    EDITS = "edits"
    CANCELS = "cancels"
    RUNS = "runs"
    """Runs that users ask for."""
    DEATHS = "deaths"
    """Executors that die, and runs with few attempts."""
    RECREATION = "re-creation"
    LONG_WAITS = "long waits"
    QUIET = "quiet"
    """Jobs of the fast lane that users leave alone, so that executors have much to do."""
    SLOW_LANE = "slow lane"
    PURGES = "purges"
    LATE_CALM = "late calm"
    """Faults that go on until the second looks."""


_LEANINGS: Mapping[str, tuple[Leaning, ...]] = {
    "stretch.list": (Leaning.CATCH_UP,),
    "stretch.put": (Leaning.CATCH_UP,),
    "stretch.read": (Leaning.CATCH_UP,),
    "stretch.settle": (Leaning.CATCH_UP,),
    "stretch.withdraw": (Leaning.CATCH_UP,),
    "run.list": (Leaning.CATCH_UP, Leaning.CANCELS),
    "run.void": (Leaning.CATCH_UP, Leaning.EDITS),
    "run.revise": (Leaning.EDITS,),
    "content.add": (Leaning.RUNS,),
    "request.put": (Leaning.RUNS,),
    "request.read": (Leaning.RUNS,),
    "run.end": (Leaning.DEATHS, Leaning.CANCELS),
    "run.cancel": (Leaning.CANCELS, Leaning.LONG_WAITS),
    "content.touch": (Leaning.RECREATION,),
    "content.list": (Leaning.RECREATION,),
    "run.read": (Leaning.LATE_CALM, Leaning.CANCELS),
    "job.read": (Leaning.LATE_CALM, Leaning.EDITS),
    "watch.remove": (Leaning.LATE_CALM,),
    "watch.list": (Leaning.LATE_CALM,),
    "watch.add": (Leaning.LONG_WAITS, Leaning.LATE_CALM),
}


def _always(site: str, fault: Fault) -> Focus:
    return Focus(site=site, fault=fault, rate=0.7)


def _once(site: str, fault: Fault) -> Focus:
    return Focus(site=site, fault=fault, rate=1.0, times_max=1)


_BEFORE: Mapping[str, tuple[Focus, ...]] = {
    "dispatch run.void": (_always("dispatch run.send", Fault.KILLED_BEFORE),),
    "dispatch stretch.read": (_once("dispatch stretch.put", Fault.UNANSWERED),),
    "dispatch run.revise": (_always("api watch.add", Fault.KILLED_BEFORE),),
    "dispatch run.end": (_always("fast run.start", Fault.KILLED_AFTER),),
    "api stretch.read": (_once("api stretch.put", Fault.UNANSWERED),),
    "api run.cancel": (),
    "api content.add": (),
    "api request.put": (),
    "api request.read": (),
    "fast letter.keep": (),
    "slow letter.keep": (),
    "dispatch stretch.put": (),
    "dispatch stretch.settle": (),
    "dispatch stretch.withdraw": (_always("dispatch stretch.put", Fault.KILLED_AFTER),),
    "dispatch stretch.list": (),
    "dispatch run.list": (),
    "slow run.end": (_always("slow run.start", Fault.KILLED_AFTER),),
    "dead run.read": (_always("fast run.start", Fault.KILLED_BEFORE),),
    "dead run.end": (_always("fast run.start", Fault.KILLED_BEFORE),),
    "dead letter.keep": (_always("fast run.start", Fault.KILLED_BEFORE),),
    "dead watch.add": (_always("fast job.read", Fault.KILLED_BEFORE),),
}
"""Call sites that are seldom come to, and what must go wrong first for some to be called at all."""

_SELDOM = (*_BEFORE, *_BEFORE, *("dispatch run.end",) * 3)

Place = tuple[str, Fault]

PLACES = tuple((site, fault) for site in (*SITES, *_SELDOM) for fault in Fault)
"""Every fault at every call site, in turn; those that are seldom called come several times."""

_RULED_PLACES = (*PLACES, *((site, fault) for site in RULED_SITES for fault in Fault))

_REPORTING_PLACES = (
    *_RULED_PLACES,
    *((site, fault) for site in REPORTING_SITES for fault in Fault),
)

_AIMED_FROM = 200_000
"""Seeds of their range that are left out before some are searched for."""

_OUTAGE = frozenset(
    {
        *("run.list", "run.void", "stretch.list", "stretch.put", "stretch.read"),
        *("stretch.settle", "stretch.withdraw"),
    }
)
"""What a dispatch asks when it leaves slots out."""


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What goes wrong in a seed."""

    profile: Profile
    manners: Mapping[Manner, float]
    leanings: frozenset[Leaning] = frozenset()
    clock_sticks: bool = False
    """Whether the clock of the API sticks to instants on which slots lie."""
    beats_many: bool = False
    """Whether targets that report back work for long, and often say that they live."""


def make_weather(seed: int, dice: Dice) -> Weather:
    """Choose what goes wrong, and how targets behave."""
    kind = dice.draw("weather")
    if seed % 5 < 3:
        places = _places_of(seed)
        site, fault = places[(seed // 5 * 3 + seed % 5) % len(places)]
        return _at_one_place(dice, site, fault)
    if kind < 0.25:
        return _calm(dice)
    if kind < _CALM_BELOW:
        rates: dict[Kind, float] = {m: 0.2 for m in TICK_MISHAPS if dice.chance(0.6, "has", m)}
        return Weather(profile=Profile(rates=rates), manners={})
    for below, theme in _themes_of(seed):
        if kind < below:
            return theme(dice)
    leanings = frozenset(
        leaning
        for leaning in Leaning
        if leaning is not Leaning.QUIET and dice.chance(0.25, "leans", leaning)
    )
    return _weather(dice, _strewn(dice), _manners(dice), leanings=leanings)


def _calm(dice: Dice) -> Weather:
    """Let nothing go wrong; in some worlds calls take long, and in some of these are called off."""
    if not dice.chance(0.5, "slow targets"):
        return Weather(profile=CALM, manners={})
    if dice.chance(0.4, "called off"):
        leanings = frozenset({Leaning.CANCELS})
        return Weather(profile=CALM, manners={Manner.SLOW: 0.7}, leanings=leanings)
    return Weather(profile=CALM, manners={Manner.SLOW: 0.2})


def _at_one_place(dice: Dice, site: str, fault: Fault) -> Weather:
    """Have one fault strike at one call site again and again."""
    function, purpose = site.split()
    rates, manners = _strewn(dice), _manners(dice)
    leanings = frozenset(_LEANINGS.get(purpose, ()))
    if function == "dead":
        rates[Mishap.IMPATIENCE] = 1.0
        leanings = frozenset({Leaning.LATE_CALM})
        if purpose == "watch.add":
            leanings |= {Leaning.LONG_WAITS}
        rates.pop(Mishap.MESSAGE_LOST, None)
    if function == "dispatch" and purpose in _OUTAGE:
        leanings = frozenset({Leaning.OUTAGE, Leaning.LATE_CALM})
        rates[Mishap.TICKS_STOP] = 1.0
    if function == "api" and purpose in _OUTAGE and purpose.startswith("stretch"):
        leanings = frozenset({Leaning.LONG_PAUSE, Leaning.LATE_CALM})
    if site in {"dispatch run.end", "slow run.end"}:
        leanings |= {Leaning.LATE_CALM}
    if site == "dispatch run.end":
        leanings |= {Leaning.PURGES}
        rates[Mishap.PURGED] = 1.0
    if function == "slow":
        leanings |= {Leaning.SLOW_LANE}
    if purpose in {"letter.keep", "job.park"}:
        rates[Mishap.POISON] = 1.0
    if purpose == "run.cancel":
        manners = {Manner.SLOW: 0.9}
        slow_lane = frozenset({Leaning.SLOW_LANE}) if function == "slow" else frozenset[Leaning]()
        leanings = frozenset({Leaning.CANCELS}) | slow_lane
    if purpose == "message.hide":
        rates[Mishap.MESSAGE_DOUBLED] = 0.7
    if Leaning.DEATHS in leanings:
        rates[Fault.KILLED_AFTER] = 0.08
    if Leaning.LONG_WAITS in leanings:
        manners[Manner.TOO_MANY] = 0.3
        manners[Manner.SLOW] = 0.3
    seldom = site in _BEFORE or site in RULED_SITES
    rate = 0.8 if seldom else dice.one_of((0.3, 0.6), "focus rate")
    focuses = (Focus(site=site, fault=fault, rate=rate), *_BEFORE.get(site, ()))
    return _weather(dice, rates, manners, focuses=focuses, leanings=leanings)


def _zombies(dice: Dice) -> Weather:
    """Let executors stand still while others take their work, and wake in the middle of it."""
    rates, manners = _strewn(dice), _manners(dice)
    rates[Mishap.MESSAGE_DOUBLED] = 0.7
    manners[Manner.SLOW] = 0.9
    lane = dice.one_of(("fast", "fast", "fast", "slow"), "lane")
    purpose = dice.one_of(("run.settle", "run.settle", "job.read", "run.start"), "site")
    focus = Focus(site=f"{lane} {purpose}", fault=Fault.FROZEN, rate=0.4)
    leanings = frozenset({Leaning.QUIET}) if lane == "fast" else frozenset[Leaning]()
    if dice.chance(0.2, "edited"):
        leanings = frozenset({Leaning.EDITS})
    return _weather(dice, rates, manners, focuses=(focus,), leanings=leanings)


def _doubles(dice: Dice) -> Weather:
    """Bring every message more than once, to executors whose clocks are as far apart as may be."""
    rates, manners = _strewn(dice), _manners(dice)
    rates |= {Mishap.MESSAGE_DOUBLED: 0.8, Mishap.DELETE_LOST: 0.3, Mishap.CLOCKS_APART: 1.0}
    rates.pop(Mishap.CLOCKS_FAR_APART, None)
    manners[Manner.SLOW] = 0.5
    return _weather(dice, rates, manners)


def _late_cancels(dice: Dice) -> Weather:
    """Let whoever cancels a run read it long before, so that much may have happened since."""
    rates, manners = _strewn(dice), _manners(dice)
    manners[Manner.SLOW] = 0.5
    focus = Focus(site="api run.read", fault=Fault.SLOW, rate=0.8)
    leanings = frozenset({Leaning.CANCELS})
    return _weather(dice, rates, manners, focuses=(focus,), leanings=leanings)


def _late_edits(dice: Dice) -> Weather:
    """Leave it to executors to take back the runs that edits withdrew, while users cancel them."""
    rates, manners = _strewn(dice), _manners(dice)
    manners[Manner.SLOW] = 0.5
    focuses = (
        Focus(site="api run.void", fault=Fault.KILLED_BEFORE, rate=0.9),
        Focus(site="fast job.read", fault=Fault.FROZEN, rate=0.5),
    )
    leanings = frozenset({Leaning.EDITS, Leaning.CANCELS})
    return _weather(dice, rates, manners, focuses=focuses, leanings=leanings)


def _edits_written_late(dice: Dice) -> Weather:
    """Let edits be decided before a slot, or a delete, and written when its run was called."""
    rates, manners = _strewn(dice), _manners(dice)
    rates[Mishap.MESSAGE_DOUBLED] = 0.8
    manners[Manner.SLOW] = 0.5
    focuses = (
        # Always, since a client asks again where it got no answer.
        Focus(site="api job.put", fault=Fault.LATE, rate=1.0),
        Focus(site="fast run.settle", fault=Fault.FROZEN, rate=0.9),
    )
    leanings = {Leaning.EDITS, Leaning.CANCELS}
    if dice.chance(0.4, "made anew"):
        leanings.add(Leaning.RECREATION)
    return _weather(dice, rates, manners, focuses=focuses, leanings=frozenset(leanings))


def _edits_on_slots(dice: Dice) -> Weather:
    """Let changes take effect at the very millisecond of a slot."""
    rates, manners = _strewn(dice), _manners(dice)
    rates[Mishap.CLOCKS_APART] = 1.0
    rates.pop(Mishap.CLOCKS_FAR_APART, None)
    leanings = {Leaning.EDITS}
    if dice.chance(0.3, "too"):
        leanings.add(Leaning.CATCH_UP)
    weather = _weather(dice, rates, manners, leanings=frozenset(leanings))
    return replace(weather, clock_sticks=True)


def _left_out_late(dice: Dice) -> Weather:
    """Let rows be there only when a visit after theirs has left their slots out."""
    rates, manners = _strewn(dice), _manners(dice)
    focus = Focus(site="dispatch run.insert", fault=Fault.LATE, rate=0.9)
    leanings = frozenset({Leaning.OUTAGE, Leaning.LATE_CALM})
    return _weather(dice, rates, manners, focuses=(focus,), leanings=leanings)


def _late_claims(dice: Dice) -> Weather:
    """Let claims arrive when the job was edited since, or made anew, its pointer where it was."""
    rates, manners = _strewn(dice), _manners(dice)
    focuses = (
        Focus(site="dispatch job.claim", fault=Fault.LATE, rate=0.8),
        # Edits hand nothing over by themselves, so that the pointer stays where a visit saw it.
        Focus(site="api watch.add", fault=Fault.KILLED_BEFORE, rate=1.0),
    )
    leanings = {Leaning.EDITS}
    if dice.chance(0.3, "made anew"):
        leanings.add(Leaning.RECREATION)
    return _weather(dice, rates, manners, focuses=focuses, leanings=frozenset(leanings))


def _late_beats(dice: Dice) -> Weather:
    """Let signs of life arrive late, after later ones, from targets that work for long."""
    rates, manners = _strewn(dice), _manners(dice)
    manners[Manner.SLOW] = 0.3
    focuses = (
        Focus(site="api run.hold", fault=Fault.LATE, rate=0.4),
        Focus(site="fast run.hold", fault=Fault.LATE, rate=0.4),
    )
    leanings = frozenset({Leaning.QUIET})
    weather = _weather(dice, rates, manners, focuses=focuses, leanings=leanings)
    return replace(weather, beats_many=True)


_Theme = Callable[[Dice], Weather]

_THEMES: tuple[tuple[float, _Theme], ...] = (
    (0.55, _zombies),
    (0.63, _doubles),
    (0.68, _late_cancels),
    (0.72, _late_edits),
    (0.77, _edits_written_late),
    (0.80, _edits_on_slots),
    (0.84, _left_out_late),
    (0.92, _late_claims),
)
"""Each begins where the one before ends."""

_REPORTING_THEMES = (*_THEMES, (0.96, _late_beats))

_RARE_FACTS: Mapping[str, _Theme] = {
    "FINISH, refused by what is gone": _edits_written_late,
}
"""What is hardly ever seen but in worlds of one theme."""

_FACTS_AT: Mapping[str, Place] = {
    # Frozen before the call leaves, while the run that it is about starts.
    "REVISE, refused by what is live": ("dispatch run.revise", Fault.FROZEN),
}
"""What comes of one fault at one call site."""

_FACTS_FROM = {
    "GATE": RULED_FROM,
    "USAGE": RULED_FROM,
    "HOLD": REPORTING_FROM,
}
"""Writes that are made in some ranges alone."""


def seeds_at(site: str, fault: Fault) -> Iterator[int]:
    """Yield seeds that look at one place, of those that no check runs by itself."""
    first = _AIMED_FROM
    if site in RULED_SITES:
        first += RULED_FROM
    elif site in REPORTING_SITES:
        first += REPORTING_FROM
    places = _places_of(first)
    since = first // 5 * 3
    turn = (places.index((site, fault)) - since) % len(places)
    for number in count(since + turn, len(places)):
        yield number // 3 * 5 + number % 3


def seeds_for(fact: str) -> Iterator[int]:
    """Yield seeds in which a write may come to what is named, likewise."""
    if fact in _FACTS_AT:
        yield from seeds_at(*_FACTS_AT[fact])
    theme = _RARE_FACTS.get(fact)
    for seed in count(_AIMED_FROM + _FACTS_FROM.get(fact.partition(",")[0], 0)):
        if seed % 5 < 3:
            continue
        if theme is None or _theme_of(seed) is theme:
            yield seed


def _theme_of(seed: int) -> _Theme | None:
    kind = Dice(f"scenario {seed}").draw("weather")
    if kind < _CALM_BELOW:
        return None
    return next((theme for below, theme in _themes_of(seed) if kind < below), None)


def _themes_of(seed: int) -> Sequence[tuple[float, _Theme]]:
    """Return what seeds like this one may be about, and where each theme ends."""
    return _REPORTING_THEMES if seed >= REPORTING_FROM else _THEMES


def _places_of(seed: int) -> Sequence[Place]:
    """Return what seeds like this one look at, in turn."""
    if seed >= REPORTING_FROM:
        return _REPORTING_PLACES
    return _RULED_PLACES if seed >= RULED_FROM else PLACES


def _weather(
    dice: Dice,
    rates: dict[Kind, float],
    manners: Mapping[Manner, float],
    *,
    focuses: tuple[Focus, ...] = (),
    leanings: frozenset[Leaning] = frozenset(),
) -> Weather:
    if Mishap.CLOCKS_FAR_APART in rates:
        rates.pop(Mishap.CLOCKS_APART, None)
    if Mishap.POISON in rates:
        rates.pop(Mishap.PURGED, None)  # nobody could keep a body that is gone
    return Weather(
        profile=Profile(rates=rates, focuses=focuses), manners=manners, leanings=leanings
    )


def _strewn(dice: Dice) -> dict[Kind, float]:
    """Enable a random few of all faults, at random rates."""
    rates: dict[Kind, float] = {}
    for fault in Fault:
        if dice.chance(0.25, "has", fault):
            rates[fault] = dice.one_of(CALL_RATES, "rate", fault)
    for mishap, choices in MISHAP_RATES.items():
        if dice.chance(0.06 if mishap in RARE else 0.2, "has", mishap):
            rates[mishap] = dice.one_of(choices, "rate", mishap)
    return rates


def _manners(dice: Dice) -> dict[Manner, float]:
    return {
        manner: dice.one_of((0.03, 0.1, 0.3), "rate", manner)
        for manner in Manner
        if manner is not Manner.FAST and dice.chance(0.25, "has", manner)
    }
