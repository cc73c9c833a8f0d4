"""What the seeds of a batch have seen together, and what they must have seen."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.expressions import Item
from tests.simulation.faults import Fault
from tests.simulation.sites import standing_of, transitions_of
from tests.simulation.weather import (
    REPORTING_SITES,
    RULED_SITES,
    SITES,
    seeds_at,
    seeds_for,
)

Json = dict[str, Any]

ASKED_FOR = (*SITES, *RULED_SITES, *REPORTING_SITES)
"""Call sites at which every fault must strike."""

SELDOM = (
    "api stretch.withdraw",
    *(
        f"{lane} {purpose}"
        for lane in ("fast", "slow")
        for purpose in ("stretch.withdraw", "run.insert", "run.revise")
    ),
)
"""Call sites that are come to once in thousands of worlds: more than a name is not asked for."""

RUN_TRANSITIONS = frozenset(
    {
        "START",
        "FINISH",
        "RETRY",
        "VOID",
        "VOID QUEUED",
        "CANCEL",
        "REQUEST CANCEL",
        "REAP",
        "GIVE UP",
    }
)

APPLIED = (
    "INSERT",
    "REVISE",
    "START of queued",
    "START of retrying",
    "START of dead",
    "FINISH",
    "RETRY",
    "VOID",
    "VOID QUEUED",
    "CANCEL",
    "REQUEST CANCEL",
    "REAP",
    "GIVE UP",
    "CLAIM",
    "PARK",
    "LEAVE OUT",
    "SETTLE",
    "WITHDRAW",
    "PUT JOB",
    "PUT CONTENT",
    "REMEMBER",
    "REVIVE CONTENT",
    "EXPIRE CONTENT",
    "WAIT",
    "GATE",
    "USAGE",
    "HOLD",
)

REFUSED = (
    "INSERT, refused by what is there",
    "LEAVE OUT, refused by what is there",
    "START, refused by what is own",
    "START, refused by what is live",
    "START, refused by what is retrying, early",
    "START, refused by what is terminal",
    "START, refused by what is gone",
    "START, refused by what is dead, spent",
    "START, refused by what is dead, cancel requested",
    "FINISH, refused by what is own",
    "FINISH, refused by what is live",
    "FINISH, refused by what is terminal",
    "FINISH, refused by what is gone",
    "RETRY, refused by what is retrying, early",
    "RETRY, refused by what is terminal",
    "VOID, refused by what is terminal",
    "VOID QUEUED, refused by what is live",
    "VOID QUEUED, refused by what is terminal",
    "REAP, refused by what is terminal",
    "GIVE UP, refused by what is terminal",
    "CANCEL, refused by what is live",
    "CLAIM, refused by what is there",
    "PUT JOB, refused by what is there",
    "REVISE, refused by what is live",
    "GATE, refused by what is there",
    "USAGE, refused by what is there",
)
"""Every reading of a refused write."""


def facts_of(
    operation: str, request: Json, answer: Json | None, item: Item | None, *, now: int
) -> Iterator[str]:
    """Name what a write came to.

    Args:
        operation: What was asked for.
        request: The request.
        answer: The answer's body; None when the one write was refused.
        item: What refused it.
        now: Milliseconds since 1970.
    """
    names = list(transitions_of(operation, request))
    if operation != "BatchExecuteStatement":
        for name in names:
            values = request.get("ExpressionAttributeValues", {}).values()
            yield _fact(name, refused=answer is None, item=item, values=values, now=now)
        return
    assert answer is not None, "a batch is answered"
    entries = zip(names, request["Statements"], answer["Responses"], strict=True)
    for name, statement, entry in entries:
        error = entry.get("Error")
        if error is not None and error["Code"] not in {"ConditionalCheckFailed", "DuplicateItem"}:
            continue
        found = error.get("Item") if error else None
        yield _fact(
            name, refused=error is not None, item=found, values=statement["Parameters"], now=now
        )


def _fact(name: str, *, refused: bool, item: Item | None, values: Iterable[Any], now: int) -> str:
    if not refused:
        return name
    return f"{name}, refused by what is {_standing(name, item, values, now=now)}"


def _standing(name: str, item: Item | None, values: Iterable[Any], *, now: int) -> str:
    if name not in RUN_TRANSITIONS and name != "REVISE":
        return "there"
    texts = {value["S"] for value in values if "S" in value}
    mark = "finished_by" if name == "FINISH" else "owner"
    if item is not None and name in {"START", "FINISH"} and item.get(mark, {}).get("S") in texts:
        return "own"
    return standing_of(item, now=now)


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that should have been seen."""

    story: str
    seeds: Iterator[int] | None = field(default=None, compare=False)
    """Seeds in which it may be; None for a mistake of the simulation's own."""


def lacking(strikes: Mapping[tuple[str, str], int], facts: Counter[str]) -> list[Lack]:
    """Return what some seeds together should have seen and have not."""
    places = [
        (site, fault) for site in ASKED_FOR for fault in Fault if not strikes.get((site, fault))
    ]
    found = [Lack(f"{fault} at {site}", seeds_at(site, fault)) for site, fault in places]
    found += [Lack(fact, seeds_for(fact)) for fact in (*APPLIED, *REFUSED) if not facts[fact]]
    unnamed = sorted({site for site, _ in strikes}.difference(ASKED_FOR, SELDOM))
    found += [Lack(f"a name for the call site {site}") for site in unnamed]
    return found
