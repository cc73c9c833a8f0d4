"""Slots measured beside croniter and cronsim, in one sitting, and the worst that input can do.

`make bench-cron` prints one line of JSON per figure, all of them times of this process on one core:

- next: the slot after an instant, asked of nothing but expression, zone and instant. croniter and
  cronsim keep no place for that: they read the expression anew, or (`croniter_kept_us`) an object
  made beforehand is set to the instant.
- parse: reading an expression; `first` with nothing remembered, `steady` in a process that has read
  others. The others read what they can: they refuse some.
- plan: 10,000 every-minute jobs, the next ten slots of each.
- refuse: the slowest refusal among the inputs that tests hold to be refused, bad zones too.
- fuzz: the slowest parse and the slowest next slot among random inputs of at most 256 characters.

A figure is the best of several repetitions, since this machine may have other things to do.
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import resources
from itertools import islice
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from croniter import croniter
from cronsim import CronSim, CronSimError

from punctual.core import cron, cron_days, cron_fields, zones
from punctual.core.errors import InvalidSchedule
from punctual.core.schedules import Cron, Schedule
from punctual.core.slots import slots_between
from tests.support.refusals import REFUSED

NOW = datetime(2026, 11, 24, 10, 0, 30, tzinfo=UTC)
REPEATS = 7
SIX = 6
SLOW = 0.001
"""Seconds from which on a random input is tried again, lest the machine be what was slow."""
ZONES = sorted(resources.files("tzdata").joinpath("zones").read_text("ascii").split())

NEXT = [
    ("every minute", "* * * * *", "UTC"),
    ("every minute", "* * * * *", "Europe/Berlin"),
    ("every five minutes", "*/5 * * * *", "America/New_York"),
    ("every second", "* * * * * *", "Asia/Tokyo"),
    ("daily", "30 2 * * *", "Europe/Berlin"),
    ("weekdays", "0 9 * * MON-FRI", "America/New_York"),
    ("monthly", "0 0 1 * *", "Australia/Lord_Howe"),
    ("last Friday", "0 18 * * FRIL", "Europe/London"),
    ("leap day", "0 0 29 2 *", "Europe/Berlin"),
    ("leap day on a Sunday", "0 0 29 2 */7", "UTC"),
]
PARSE = [
    "* * * * *",
    "*/5 * * * *",
    "0 9 * * MON-FRI",
    "30 2 * * *",
    "0 0 1,15 * *",
    "*/15 8-18 * * 1-5",
    "0 0 29 2 *",
    "0 3 L * *",
    "5,25,45 0-23/2 * jan-mar *",
    "0 30 9 * * *",
]

SPECIAL_DAYS = ["L", "LW", "?", "L-{first}", "{first}W"]
SPECIAL_WEEKDAYS = ["?", "{first}L", "{first}#{nth}", "MON-FRI", "SUN"]
BOUNDS: list[tuple[int, int, list[str]]] = [
    (0, 59, []),
    (0, 59, []),
    (0, 23, []),
    (1, 31, SPECIAL_DAYS),
    (1, 12, ["JAN", "jun-dec"]),
    (0, 7, SPECIAL_WEEKDAYS),
]
"""What the six fields may hold; the first is left out of most expressions."""
NOISE = "0123456789*/-,#?LWRH@ \t\n\0abcXYZ\u0665\u00a0\U0001f600"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fuzz", type=int, default=100_000, help="how many random inputs")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    for figure in figures(fuzz=arguments.fuzz, seed=arguments.seed):
        print(json.dumps(figure), flush=True)


def figures(*, fuzz: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield one figure after the other."""
    for name, expression, zone in NEXT:
        yield {"figure": "next", "name": name, **next_slots(expression, zone)}
    yield {"figure": "parse", **parses()}
    yield {"figure": "plan", **plans()}
    yield {"figure": "refuse", **refusals()}
    yield {"figure": "fuzz", **fuzzed(fuzz, random.Random(seed))}


def next_slots(expression: str, zone: str) -> dict[str, Any]:
    """Time the next slot from instants all over a year."""
    instants = [NOW + n * timedelta(days=9, seconds=12_345) for n in range(40)]
    shown = [instant.astimezone(ZoneInfo(zone)) for instant in instants]
    make = partial(croniter, expression, second_at_beginning=len(expression.split()) == SIX)
    kept = None
    with suppress(ValueError):
        kept = make(shown[0])
    return {
        "expression": expression,
        "zone": zone,
        "punctual_us": each(lambda at: cron.next_slot(expression, zone, at), instants),
        "croniter_us": each(lambda at: make(at).get_next(datetime), shown),
        "croniter_kept_us": kept and each(lambda at: kept.get_next(datetime, at), shown),
        "cronsim_us": each(lambda at: next(CronSim(expression, at)), shown),
    }


def parses() -> dict[str, Any]:
    """Time the reading of expressions."""

    def first(text: str) -> object:
        cron_fields.values_of.cache_clear()
        cron_days.days_of.cache_clear()
        return cron.parse(text)

    ways: dict[str, Callable[[str], object]] = {
        "punctual_first": first,
        "punctual_steady": cron.parse,
        "croniter": partial(croniter, second_at_beginning=True),
        "cronsim": partial(CronSim, dt=NOW),
    }
    figure: dict[str, Any] = {"expressions": len(PARSE)}
    for name, way in ways.items():
        times = [took for text in PARSE if (took := each(way, [text] * 20)) is not None]
        figure |= {f"{name}_median_us": median(times), f"{name}_worst_us": max(times)}
    return figure


def plans() -> dict[str, Any]:
    """Time the planning of many jobs, in zones all over the world."""
    until = NOW + timedelta(days=1)
    jobs = [
        Schedule(rule=Cron(expression="* * * * *", timezone=ZONES[n % len(ZONES)]))
        for n in range(10_000)
    ]

    def plan() -> None:
        for job in jobs:
            for _ in islice(slots_between(job, after=NOW, until=until), 10):
                pass

    first = seconds(plan)
    best = min(seconds(plan) for _ in range(3))
    return {"jobs": len(jobs), "slots_each": 10, "first_s": round(first, 3), "s": round(best, 3)}


def refusals() -> dict[str, Any]:
    """Find the slowest refusal."""
    inputs = [(text, "UTC") for text, _ in REFUSED]
    inputs += [("0 9 * * *", name) for name in ("", "Mars/Olympus", "../../x", "Z" * 100_000)]
    inputs += [("*/5 2 * 3 SUNL", zone) for zone in ("Europe/Berlin", "Antarctica/Troll")]
    worst, input_ = max((refusal(*input_), input_) for input_ in inputs)
    return {"inputs": len(inputs), "worst_ms": worst, "worst": [text[:60] for text in input_]}


def refusal(text: str, zone: str) -> float:
    """Return how long a refusal takes, in milliseconds, with no zone known yet."""
    took = []
    for _ in range(3):
        zones.zone.cache_clear()
        cron.walk.cache_clear()
        began = time.perf_counter()
        try:
            cron.next_slot(text, zone, NOW)
        except InvalidSchedule:
            took.append(time.perf_counter() - began)
        else:
            raise AssertionError(f"{text!r} in {zone!r} was not refused")
    return round(min(took) * 1000, 3)


def fuzzed(count: int, chance: random.Random) -> dict[str, Any]:
    """Find the slowest parse and the slowest next slot among random inputs.

    Nothing is remembered from one input to the next: every field is expanded anew, and the years of
    every zone are read anew.
    """
    read = 0
    worst_parse: tuple[float, str] = (0.0, "")
    worst_next: tuple[float, str] = (0.0, "")
    for _ in range(count):
        text, zone = random_input(chance), chance.choice(ZONES)
        at = NOW + timedelta(seconds=chance.randrange(70 * 365 * 86_400))
        worst_parse = max(worst_parse, (slowness(parsing, text), text))
        if try_to_parse(text):
            read += 1
            took = slowness(walking, text, zone, at)
            worst_next = max(worst_next, (took, f"{text} in {zone} after {at:%Y-%m-%dT%H:%M:%SZ}"))
    return {
        "inputs": count,
        "read": read,
        "worst_parse_ms": worst_parse[0],
        "worst_parse": worst_parse[1],
        "worst_next_ms": worst_next[0],
        "worst_next": worst_next[1],
    }


def slowness(prepare: Callable[..., Callable[[], object]], *of: object) -> float:
    """Return how long work takes, in milliseconds; what seems slow is tried again, twice."""
    best = float("inf")
    for _ in range(3):
        work = prepare(*of)
        cron_fields.values_of.cache_clear()
        cron_days.days_of.cache_clear()
        best = min(best, seconds(work))
        if best < SLOW:
            break
    return round(best * 1000, 3)


def parsing(text: str) -> Callable[[], object]:
    """Return the work of reading a text."""
    return partial(try_to_parse, text)


def walking(text: str, zone: str, after: datetime) -> Callable[[], object]:
    """Return the work of finding a next slot, in a zone of which no year is known yet."""
    zones.zone.cache_clear()
    return partial(cron.Walk(text, zones.zone(zone), dst=None).next, after)


def try_to_parse(text: str) -> bool:
    """Say whether a text is an expression."""
    try:
        cron.parse(text)
    except InvalidSchedule:
        return False
    return True


def random_input(chance: random.Random) -> str:
    """Return an expression, an expression with an accident, or noise; at most 256 characters."""
    kind = chance.randrange(10)
    if kind == 0:
        length = chance.randrange(257)
        return "".join(chance.choice(NOISE) for _ in range(length))
    fields = [random_field(chance, *bounds) for bounds in BOUNDS[chance.random() < 0.8 :]]
    text = " ".join(fields)[:256]
    if kind == 1 and text:
        place = chance.randrange(len(text))
        return text[:place] + chance.choice(NOISE) + text[place + 1 :]
    return text


def random_field(chance: random.Random, low: int, high: int, special: Sequence[str]) -> str:
    """Return one field: mostly short, at times a list as long as there is room for."""
    shape = chance.random()
    if shape < 0.3:
        return "*"
    items = chance.randrange(1, 60) if shape > 0.97 else chance.randrange(1, 4)
    return ",".join(random_item(chance, low, high, special) for _ in range(items))


def random_item(chance: random.Random, low: int, high: int, special: Sequence[str]) -> str:
    """Return one item of a list."""
    first, last = sorted((chance.randint(low, high), chance.randint(low, high)))
    step = chance.randint(1, high + 1)
    return chance.choice(
        [str(first), f"{first}-{last}", f"{first}-{last}/{step}", f"{first}/{step}", f"*/{step}"]
        + [text.format(first=first, nth=1 + last % 5) for text in special]
    )


def each(work: Callable[[Any], object], values: Sequence[Any]) -> float | None:
    """Return how long work takes for one value on average, in µs; None if it refuses one."""

    def all_of_them() -> None:
        for value in values:
            work(value)

    try:
        all_of_them()
    except (ValueError, CronSimError):
        return None
    return round(min(seconds(all_of_them) for _ in range(REPEATS)) / len(values) * 1e6, 2)


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
