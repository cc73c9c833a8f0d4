"""A check that cannot fail checks nothing: each invariant is shown a world in which it is broken.

The world is a small one without a fault, in which every promise is kept. One event is planted in
it, such as a careless write to the table, and the invariant that this breaks must be the one found.
"""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.simulation.checker import Attempt
from tests.simulation.expressions import Item
from tests.simulation.faults import CALM
from tests.simulation.lambdas import Ended
from tests.simulation.program import Program
from tests.simulation.scenario import (
    FIRST_BEGIN,
    MINUTE,
    SECOND,
    TENANT,
    JobPlan,
    Scenario,
    Step,
    name_on_shard,
)
from tests.simulation.table import Address, Entry
from tests.simulation.targets import Manner
from tests.simulation.users import Wish
from tests.simulation.world import World

BEGINS = FIRST_BEGIN + 10 * SECOND

SHARD = 17

JOB = name_on_shard(SHARD, prefix="job")

PARTITION = f"J#{TENANT}#{JOB}"

Plant = Callable[[World], None]


@pytest.fixture(scope="module")
def program() -> Program:
    return Program()


def make_world(program: Program, *steps: Step) -> World:
    """Make a world in which a job is created that names five slots, one each minute."""
    body = {
        "schedule": {
            "every_seconds": 60,
            "start_at": "2026-12-01T09:02:00Z",
            "end_at": "2026-12-01T09:06:00Z",
        },
        "target": {"type": "http", "url": "https://target.invalid/"},
    }
    create = Step(at=BEGINS + SECOND, verb="create", body=body)
    ends = BEGINS + 7 * MINUTE
    scenario = Scenario(
        seed=0,
        begins=BEGINS,
        calm_from=ends,
        ends=ends,
        profile=CALM,
        manners={Manner.SLOW: 1.0},
        honours_keys=True,
        shards=(SHARD,),
        shards_per_message=1,
        jobs=(JobPlan(name=JOB, key=None, users=((create, *steps),)),),
    )
    return World(scenario=scenario, programs=[program])


def broken_in(world: World) -> str | None:
    """Run a world and return the invariant that broke."""
    world.run()
    violation = world.checker.violation
    return None if violation is None else violation.invariant


def rows(world: World, state: str) -> list[tuple[Address, Item]]:
    """Return the runs in a state, the next one due first."""
    found = [
        (address, item)
        for address, item in world.table.items.items()
        if address[1].startswith("R#") and item["state"]["S"] == state
    ]
    return sorted(found, key=lambda row: row[0])


def write(world: World, address: Address, item: Item | None) -> None:
    """Write to the table as no code of ours does."""
    world.checker.writer = SimpleNamespace(name="planted", invocation=None)
    world.table._store(address, item, now=world.loop.now)
    world.checker.writer = None


def change(world: World, address: Address, **attributes: dict[str, str]) -> None:
    """Change attributes of an item."""
    write(world, address, {**world.table.items[address], **attributes})


# What may be planted at a moment: at 09:04:00.500 two runs have ended, one is being carried out,
# and two are queued.


def outcome_changes(world: World) -> None:
    address, _ = rows(world, "succeeded")[0]
    change(world, address, state={"S": "failed"})


def outcome_vanishes(world: World) -> None:
    address, _ = rows(world, "succeeded")[0]
    write(world, address, None)


def held_run_is_taken(world: World) -> None:
    address, _ = rows(world, "running")[0]
    change(world, address, owner={"S": "somebody else"})


def attempt_goes_back(world: World) -> None:
    address, _ = rows(world, "running")[0]
    change(world, address, attempt={"N": "0"})


def message_goes_too_early(world: World) -> None:
    queue = world.queues["fast"]
    message = next(m for m in queue.messages.values() if m.receipt is None)
    invocation = world.lambdas.invocations[-1]
    world.checker.message_deleted(queue, message, invocation)


def pointer_goes_back(world: World) -> None:
    change(world, (PARTITION, "JOB"), next_slot={"N": str(world.loop.now - MINUTE)})
    change(world, (PARTITION, "JOB"), next_slot={"N": str(world.loop.now - 2 * MINUTE)})


def open_run_may_be_forgotten(world: World) -> None:
    address, _ = rows(world, "queued")[0]
    change(world, address, ttl={"N": "1"})


def ended_run_is_kept_for_ever(world: World) -> None:
    address, item = rows(world, "queued")[0]
    write(world, address, {**item, "state": {"S": "missed"}})


def owed_run_is_taken_back(world: World) -> None:
    address, item = rows(world, "running")[0]
    holder = world.checker._attempts[address, item["owner"]["S"]].invocation
    world.checker.writer = SimpleNamespace(name="planted", invocation=holder)
    world.table._store(address, None, now=world.loop.now)
    world.checker.writer = None


def watch_is_cleared(world: World) -> None:
    for address in [a for a in world.table.items if a[0].startswith("W#")]:
        write(world, address, None)


def slot_is_lost(world: World) -> None:
    address, _ = rows(world, "queued")[0]
    write(world, address, None)
    for watch in [a for a in world.table.items if a[0].startswith("W#")]:
        runs = world.table.items[watch]["runs"]["S"]
        name = address[1].rpartition("#")[2]
        write(world, watch, {**world.table.items[watch], "runs": {"S": _without(runs, name)}})


def _without(runs: str, name: str) -> str:
    return runs.replace(f',"{name}"', "")


def run_of_no_slot(world: World) -> None:
    (pk, sk), item = rows(world, "succeeded")[0]
    other = sk.replace("T0902", "T0907")
    at = str(int(item["scheduled_at"]["N"]) + 5 * MINUTE)
    write(world, (pk, other), {**item, "sk": {"S": other}, "scheduled_at": {"N": at}})


def outcome_is_untrue(world: World) -> None:
    """Nobody cancelled it."""
    address, item = rows(world, "queued")[0]
    ended = {"state": {"S": "cancelled"}, "ttl": {"N": "9999999999"}, "attempts_left": {"N": "0"}}
    write(world, address, {**item, **ended})


def acknowledged_in_vain(world: World) -> None:
    wish = Wish(job=JOB, verb="create", body={}, called_at=world.loop.now, status=201)
    world.users.wishes.append(wish)


def message_comes_late(world: World) -> None:
    queue = world.queues["fast"]
    message = next(m for m in queue.messages.values() if m.receipt is None)
    message.visible_at += 70 * SECOND


def effect_is_doubled(world: World) -> None:
    world.server.effects.append(world.server.effects[0])


def something_is_left(world: World) -> None:
    address = f"W#{SHARD}", "2027-01-01T00:00Z#planted"
    item = {"pk": {"S": address[0]}, "sk": {"S": address[1]}, "runs": {"S": "[]"}}
    write(world, address, item)


def index_shows_what_is_not(world: World) -> None:
    nobody = {"S": "nobody"}
    entry = Entry(partition=nobody, sort=nobody, item={})
    world.table.index("due", now=world.loop.now).show(("J#nobody", "JOB"), entry, at=world.loop.now)


def write_is_not_needed(world: World) -> None:
    address, item = rows(world, "succeeded")[0]
    write(world, address, item)


def handler_fails(world: World) -> None:
    world.checker.invocation_ended(world.lambdas.invocations[0], Ended(error=KeyError("state")))


def request_is_a_mistake(world: World) -> None:
    call: Any = SimpleNamespace(name="tick-1/1", site="tick shard.wake")
    world.checker.mistake(call, "a batch has 1 to 10 entries")


PLANTS: tuple[tuple[str, Plant], ...] = (
    ("I0", handler_fails),
    ("I0", request_is_a_mistake),
    ("I1", outcome_changes),
    ("I1", outcome_vanishes),
    ("I2", held_run_is_taken),
    ("I3", attempt_goes_back),
    ("I7", message_goes_too_early),
    ("I8", pointer_goes_back),
    ("I9", open_run_may_be_forgotten),
    ("I9", ended_run_is_kept_for_ever),
    ("I9", owed_run_is_taken_back),
    ("I9", watch_is_cleared),
    ("I10", slot_is_lost),
    ("I10", run_of_no_slot),
    ("I10", outcome_is_untrue),
    ("I11", acknowledged_in_vain),
    ("I12", message_comes_late),
    ("I13", effect_is_doubled),
    ("I14", something_is_left),
    ("I14", index_shows_what_is_not),
    ("I15", write_is_not_needed),
)


def test_nothing_breaks_where_nothing_is_planted(program: Program) -> None:
    world = make_world(program)

    assert broken_in(world) is None
    assert len(world.checker.calls) == 5


@pytest.mark.parametrize(
    ("invariant", "plant"), PLANTS, ids=[f"{i} {p.__name__}" for i, p in PLANTS]
)
def test_what_is_planted_is_found(program: Program, invariant: str, plant: Plant) -> None:
    world = make_world(program)
    world.loop.at(FIRST_BEGIN + 4 * MINUTE + 500, lambda: plant(world))

    assert broken_in(world) == invariant


# What may be planted in a call to the target


def same_attempt_again(world: World, owner: Any, call: Any) -> None:
    world.checker.call_launched(owner, replace(call))


def under_another_key(world: World, owner: Any, call: Any) -> None:
    world.checker.call_over(call, "fast")
    world.checker.call_launched(owner, replace(call, headers=(("Idempotency-Key", "other"),)))


def under_the_key_of_another_run(world: World, owner: Any, call: Any) -> None:
    world.checker.call_launched(owner, replace(call, run_id=call.run_id.replace("T0904", "T0902")))


def without_a_start(world: World, owner: Any, call: Any) -> None:
    world.checker.call_over(call, "fast")
    world.checker.call_launched(owner, replace(call, attempt=2))


@pytest.mark.parametrize(
    ("invariant", "plant"),
    [
        ("I2", same_attempt_again),
        ("I4", under_another_key),
        ("I4", under_the_key_of_another_run),
        ("I6", without_a_start),
    ],
)
def test_a_call_that_should_not_have_left_is_found(
    program: Program, invariant: str, plant: Callable[[World, Any, Any], None]
) -> None:
    world = make_world(program)
    left = world.checker.call_launched

    def leaves(owner: Any, call: Any) -> None:
        left(owner, call)
        if "T0904" in call.run_id:
            world.checker.call_launched = left  # type: ignore[method-assign]
            plant(world, owner, call)

    world.checker.call_launched = leaves  # type: ignore[method-assign]

    assert broken_in(world) == invariant


def test_a_call_before_its_slot_is_found(program: Program) -> None:
    """By the clock of the host that calls."""
    world = make_world(program)
    left = world.checker.call_launched

    def leaves(owner: Any, call: Any) -> None:
        owner.clock = lambda now: now - SECOND
        left(owner, call)

    world.checker.call_launched = leaves  # type: ignore[method-assign]

    assert broken_in(world) == "I5"


@pytest.mark.parametrize("verb", ["delete", "pause"])
def test_a_call_after_its_job_was_called_off_is_found(program: Program, verb: str) -> None:
    world = make_world(program, Step(at=BEGINS + 2 * MINUTE, verb=verb))
    launched: list[tuple[Any, Any]] = []
    left = world.checker.call_launched

    def leaves(owner: Any, call: Any) -> None:
        launched.append((owner, call))
        left(owner, call)

    def calls_all_the_same() -> None:
        owner, call = launched[0]
        run = call.run_id.replace("T0902", "T0905")
        attempt = Attempt(1, world.lambdas.invocations[0], world.loop.now)
        world.checker._starts[run, 1] = attempt
        left(owner, replace(call, run_id=run, headers=(("Idempotency-Key", run),)))

    world.checker.call_launched = leaves  # type: ignore[method-assign]
    world.loop.at(FIRST_BEGIN + 5 * MINUTE, calls_all_the_same)

    assert broken_in(world) == "I6"
