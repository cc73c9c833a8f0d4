"""The invariants, each checked when it could break, from what users, targets and the store see.

The checker knows what is promised and nothing of how: it never asks the code under test, and takes
no decision of it for granted.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from infra.definitions import SHARDS
from punctual.core.identity import JobKey, RunKey
from punctual.core.instants import epoch_ms, from_epoch_ms, parse_instant
from tests.simulation.callbacks import Workers
from tests.simulation.expressions import Item
from tests.simulation.faults import Mishap
from tests.simulation.lambdas import Died, Ended, Environment, Invocation
from tests.simulation.ledger import Ledger
from tests.simulation.loop import Loop
from tests.simulation.queues import Queued, SimulatedQueue
from tests.simulation.reckoning import Counts, Reckoning
from tests.simulation.scenario import MINUTE, SHARED_MAX, Scenario
from tests.simulation.sites import kind_of, standing_of
from tests.simulation.table import Address, SimulatedTable
from tests.simulation.targets import Effect
from tests.simulation.trace import Trace, clock
from tests.simulation.users import Users, Wish

Json = dict[str, Any]

OPEN = frozenset({"queued", "running", "retrying"})

UNAVAILABLE = "StoreUnavailable"
"""The one error that an invocation may end with by itself: its caller tries again."""

FAULT_OF_OURS = 500

LOOKED_AT_WITHIN = 2 * MINUTE + 1000
"""A message may go for a watch row that looks at the run this soon after it can go on."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken invariant, and its story."""

    invariant: str
    at: int
    story: str

    def __str__(self) -> str:
        return f"{self.invariant} at {clock(self.at)}: {self.story}"


@dataclass(slots=True)
class Attempt:
    """An attempt as its START left it."""

    number: int
    invocation: Invocation
    started_at: int


@dataclass(eq=False, slots=True)
class Called:
    """A call that left."""

    run: str
    slot: int
    attempt: int
    environment: Environment
    key: str
    at: int
    over_at: int | None = None
    how: str = ""


@dataclass(kw_only=True)
class Checker:
    """Watches one world."""

    scenario: Scenario
    loop: Loop
    trace: Trace
    violation: Violation | None = None
    units: Counter[str] = field(default_factory=Counter)
    """Write units paid, by kind of item."""
    calls: list[Called] = field(default_factory=list)
    facts: Counter[str] = field(default_factory=Counter)
    """How often a run was started, by what it was before."""

    table: SimulatedTable = field(init=False)
    users: Users = field(init=False)
    workers: Workers = field(init=False)

    def __post_init__(self) -> None:
        self.writer: Any = None
        """The AWS call that is being carried out."""
        self._serves: dict[Invocation, Wish] = {}
        self._watched: dict[Address, Counter[int]] = {}
        """Minutes of the watch rows that name a run."""
        self._looks_by: dict[Invocation, dict[Address, int]] = {}
        """Runs that an invocation has noted down to be looked at, and the minute of its row."""
        self._goes_on_by: dict[Address, int] = {}
        """When a run could go on at the latest, by all that its row has ever said."""
        self._inserted_at: dict[Address, int] = {}
        """When the row of a run came to be: again, where a late visit wrote what was taken back."""
        self._attempts: dict[tuple[Address, str], Attempt] = {}
        self._starts: dict[tuple[str, int], Attempt] = {}
        self._open: dict[int, Called] = {}
        self._ends: dict[int, str] = {}
        self._keys: dict[str, str] = {}
        self._runs: dict[str, str] = {}
        self._launched: dict[str, int] = {}
        self.ledger = Ledger(skew=self.scenario.skew)
        self._counted: Counter[str] = Counter(
            runs=0, retries=0, claims=0, last_claims=0, watch_rows=0, dispatches=0, creates=0
        )
        self.poison: list[str] = []
        """Bodies that nobody wrote, as they were put into queues."""
        self.unreadable: list[Address] = []
        """Jobs that nobody can read."""
        self._changed_at: dict[str, int] = {}
        """When a job was last created or changed, by its partition."""
        self.void_stretches: set[Address] = set()
        self._in_bound = Mishap.CLOCKS_FAR_APART not in self.scenario.profile.rates

    def fail(self, invariant: str, story: str) -> None:
        """Record a broken invariant; the first one counts."""
        if self.violation is None:
            self.violation = Violation(invariant, self.loop.now, story)
            self.trace.add("checker", f"✗ {self.violation}")

    def started_at(self, run: str, attempt: int) -> int | None:
        """Return when an attempt of a run began; None for one that has not."""
        started = self._starts.get((run, attempt))
        return None if started is None else started.started_at

    # What the table sees

    def item_written(self, address: Address, before: Item | None, after: Item | None) -> None:
        """See `Observer.item_written`."""
        match kind_of(address):
            case "run":
                self._run_written(address, before, after)
            case "job":
                self._job_written(address, before, after)
            case "watch":
                self._watch_written(address, before, after)
            case "stretch" if after is not None and "announced_by" not in after:
                self._stretch_settled(address, after)
            case "beat":
                self._counted["dispatches"] += 1
            case _:
                pass

    def units_paid(self, address: Address, units: int) -> None:
        """See `Observer.units_paid`."""
        self.units[kind_of(address)] += units

    def _run_written(self, address: Address, before: Item | None, after: Item | None) -> None:
        run = name_of(address)
        now = self.loop.now
        if before is None:
            self._counted["runs"] += 1
            self._inserted_at[address] = now
        if before is not None and _state(before) not in OPEN:
            if after is None:
                if int(before["ttl"]["N"]) * 1000 > now:
                    self.fail("I1", f"the outcome of {run} was deleted")
            elif before != after:
                self.fail(
                    "I1",
                    f"the outcome of {run} was {_state(before)} and became {_state(after)}",
                )
        if before is not None and _state(before) == "running":
            self._check_holder(address, before, after)
            if after is None:
                self._check_taken_back(address, before)
                self._launched.pop(run, None)  # handed over again, it counts its attempts anew
        if after is None:
            return
        if before is not None:
            was, is_ = int(before["attempt"]["N"]), int(after["attempt"]["N"])
            waits = _state(before) == "running" and _state(after) == "retrying"
            if is_ < was - (1 if waits else 0):
                self.fail("I3", f"the attempt of {run} went from {was} back to {is_}")
        if before is not None and _state(after) == "retrying":
            self._counted["retries"] += _state(before) == "running"
        if _state(after) in OPEN:
            if "ttl" in after:
                self.fail("I9", f"{run} is {_state(after)} and will be forgotten")
            self._check_watched(address, after)
            goes_on = max(self._goes_on_by.get(address, 0), _goes_on_at(after))
            self._goes_on_by[address] = goes_on
            self._check_wait(address, before, after)
        elif "ttl" not in after:
            self.fail("I9", f"{run} has ended and will never be forgotten")
        self._note_start(address, before, after)

    def _check_wait(self, address: Address, before: Item | None, after: Item) -> None:
        """A target that reports its failure has no message: its run's look must come in time."""
        if _state(after) != "retrying" or before is None or _state(before) != "running":
            return
        writer = self.writer.invocation
        if writer not in self.workers.serves:
            return
        looked_at = min(self._watched.get(address, {}), default=None)
        bound = int(after["retry_at"]["N"]) + LOOKED_AT_WITHIN + 2 * self.scenario.skew
        if looked_at is None or looked_at > bound:
            self.fail("I7", f"{name_of(address)} awaits a retry, and nobody looks at it in time")

    def _check_holder(self, address: Address, before: Item, after: Item | None) -> None:
        """Nobody may touch a run that a process works on, but to ask that process to stop."""
        stays = after is not None and after.get("owner") == before["owner"]
        if stays and after is not None and after["lease_until"] == before["lease_until"]:
            return
        holder = self._attempts.get((address, before["owner"]["S"]))
        if holder is None:
            return
        writer = self.writer.invocation if self.writer is not None else None
        if self.workers.speaks_for(writer, name_of(address), holder.number):
            return
        if stays:
            if writer is not holder.invocation:
                self.fail(
                    "I2",
                    f"the lease of attempt {holder.number} of {name_of(address)} was moved by "
                    f"{self.writer.name}, which speaks for another",
                )
            return
        if _is_word_of_an_attempt(after) and writer is not holder.invocation:
            self.fail(
                "I2",
                f"{name_of(address)} became {'void' if after is None else _state(after)} by "
                f"{self.writer.name}, though attempt {holder.number} of {holder.invocation.name} "
                "held it",
            )
        if not self._in_bound:
            return
        alive = not holder.invocation.ended and not holder.invocation.environment.was_frozen
        if alive and writer is not holder.invocation:
            became = "taken away" if after is None else _state(after)
            self.fail(
                "I2",
                f"{name_of(address)} became {became} by {self.writer.name}, while attempt "
                f"{holder.number} of {holder.invocation.name} worked on it",
            )

    def _check_taken_back(self, address: Address, row: Item) -> None:
        """A run that its attempt takes back is not owed.

        Told only of jobs that stand as they did when it began: else it may have known another one.
        """
        key, partition = key_of(address), address[0]
        attempt = self._attempts.get((address, row["owner"]["S"]))
        job = self.table.items.get((partition, "JOB"))
        if attempt is None or job is None or key.slot is None:
            return
        if (partition, "JOB") in self.unreadable or _state(job) not in {"active", "ended"}:
            return
        if self._changed_at[partition] >= attempt.started_at:
            return
        if (int(job["incarnation"]["N"]), job["schedule_revision"]) != (
            key.incarnation,
            row["schedule_revision"],
        ):
            return
        slot = epoch_ms(key.slot)
        left_out = (
            int(item["since"]["N"]) <= slot <= int(item["until"]["N"])
            for (pk, sk), item in self.table.items.items()
            if pk == partition and sk.startswith("M#")
        )
        if not any(left_out):
            self.fail("I9", f"{name_of(address)} was taken back, though it is owed")

    def _note_start(self, address: Address, before: Item | None, after: Item) -> None:
        if _state(after) != "running":
            return
        owner = after["owner"]["S"]
        if before is not None and before.get("owner", {}).get("S") == owner:
            return
        invocation: Invocation = self.writer.invocation
        if before is not None and _state(before) == "retrying":
            early = int(before["retry_at"]["N"]) - invocation.environment.now
            if early > 0:
                self.fail("I5", f"{name_of(address)} was tried again {early} ms too early")
        was = "queued" if before is None else standing_of(before, now=self.loop.now)
        self.facts[f"START of {was.partition(',')[0]}"] += 1
        attempt = Attempt(int(after["attempt"]["N"]), invocation, self.loop.now)
        self._attempts[address, owner] = attempt
        self._starts[name_of(address), attempt.number] = attempt

    def _job_written(self, address: Address, before: Item | None, after: Item | None) -> None:
        if after is None or address in self.unreadable:
            return
        self._count_job_write(before, after)
        if before is None or before["revision"] != after["revision"]:
            self._changed_at[address[0]] = self.loop.now
            invocation = self.writer.invocation
            wish = self._serves.get(invocation)
            if (wish is None or wish.body is None) and (
                before is None or before["incarnation"] != after["incarnation"]
            ):
                self.fail("I11", f"{address[0]} began another life, which nobody asked for")
                return
            self.ledger.job_written(
                address[0],
                before,
                after,
                now=self.loop.now,
                invocation=invocation,
                wish=wish,
            )
        if before is None or before["incarnation"] != after["incarnation"]:
            return
        changed = before["schedule_revision"] != after["schedule_revision"]
        resumed = _state(before) == "paused" and _state(after) != "paused"
        if not changed and not resumed:
            was, is_ = _pointer(before), _pointer(after)
            if is_ is not None and (was is None or is_ < was):
                self.fail("I8", f"the pointer of {address[0]} went back from {was} to {is_}")

    def _stretch_settled(self, address: Address, stretch: Item) -> None:
        """Tell a stretch that says nothing: its slots are not the job's, by an edit or a delete.

        Its visit stood still, or its write was under way. Slots that the pointer has passed are the
        job's for good, and so are those that a pause withholds.
        """
        job = self.table.items[address[0], "JOB"]
        pointer = _pointer(job)
        since = int(stretch["since"]["N"])
        passed = pointer is None or pointer > since
        passed = passed or ("paused_at" in job and int(job["paused_at"]["N"]) < since)
        gone = job["incarnation"] != stretch["incarnation"] or _state(job) == "deleted"
        if gone or (not passed and job["schedule_revision"] != stretch["schedule_revision"]):
            self.void_stretches.add(address)

    def _count_job_write(self, before: Item | None, after: Item) -> None:
        if before is None:
            self._counted["creates"] += 1
        elif before["revision"] == after["revision"]:
            self._counted["claims"] += 1
            self._counted["last_claims"] += "next_slot" not in after

    def _watch_written(self, address: Address, before: Item | None, after: Item | None) -> None:
        minute = self.minute_of(address[1])
        self._counted["watch_rows"] += before is None
        if after is not None:
            looks = self._looks_by.setdefault(self.writer.invocation, {})
            looks.update(dict.fromkeys(references_of(after), minute))
        for run in references_of(after):
            self._watched.setdefault(run, Counter())[minute] += 1
        for run in references_of(before):
            minutes = self._watched[run]
            minutes[minute] -= 1
            if not minutes[minute]:
                del minutes[minute]
            row = self.table.items.get(run)
            if row is not None and _state(row) in OPEN:
                self._check_watched(run, row)

    def minute_of(self, sort: str) -> int:
        """Return the minute in a watch row's sort key."""
        return epoch_ms(parse_instant(sort.partition("#")[0].removesuffix("Z") + ":00Z"))

    def _check_watched(self, address: Address, row: Item) -> None:
        """Every run without an outcome has a watch row, or a job that is due still."""
        if self._watched.get(address):
            return
        key = key_of(address)
        job = self.table.items.get((address[0], "JOB"))
        slot = key.slot
        if (
            job is not None
            and slot is not None
            and _state(job) == "active"
            and int(job["incarnation"]["N"]) == key.incarnation
            and (pointer := _pointer(job)) is not None
            and pointer <= epoch_ms(slot)
        ):
            return
        self.fail("I9", f"{name_of(address)} is {_state(row)} and nobody will look at it again")

    # What the queues see

    def shards_of(self, body: str) -> tuple[int, int]:
        """Return the shards that a message of the shard queue wakes, end excluded."""
        first, end = json.loads(body)["shards"]
        return first, end

    def message_deleted(
        self, queue: SimulatedQueue, message: Queued, invocation: Invocation
    ) -> None:
        """A message is about to go, since its handler did not hand it back."""
        if queue.name == SHARDS.name:
            return
        try:
            tenant, job_id, incarnation, name = json.loads(message.body)["run"]
        except (ValueError, KeyError, TypeError):
            return
        address = (f"J#{tenant}#{job_id}", f"R#{incarnation}#{name}")
        row = self.table.items.get(address)
        if row is None or _state(row) not in OPEN:
            return
        if self._inserted_at[address] > invocation.began_at:
            return  # it may have found no row
        now = self.loop.now
        goes_on = max(now, _goes_on_at(row))
        looked_at = min(self._watched.get(address, {}), default=None)
        if (noted := self._looks_by.get(invocation, {}).get(address)) is not None:
            # What was right when it was read may have changed since, and others may have looked.
            goes_on, looked_at = max(goes_on, self._goes_on_by[address]), noted
        if looked_at is None or looked_at > goes_on + LOOKED_AT_WITHIN + 2 * self.scenario.skew:
            self.fail(
                "I7",
                f"the message {message.message_id} about {name_of(address)} was deleted while "
                f"that is {standing_of(row, now=now)}, and the watch looks "
                + ("never" if looked_at is None else f"at {from_epoch_ms(looked_at):%H:%M}"),
            )

    # What targets see

    def call_launched(self, owner: object, call: Any) -> None:
        """See `targets.Witness`."""
        assert isinstance(owner, Environment), "processes call"
        headers = {name.lower(): value for name, value in call.headers}
        key = headers.get("idempotency-key", "")
        slot = slot_of(call.run_id)
        called = Called(call.run_id, slot, call.attempt, owner, key, self.loop.now)
        self.calls.append(called)
        self._open[id(call)] = called
        self.trace.add(owner.name, f"calls the target for {call.run_id}, attempt {call.attempt}")
        self._check_key(called)
        self._check_alone(called)
        self._check_rules(called)
        self._check_wanted(called)
        if self._in_bound and not owner.was_frozen:
            self.workers.call_launched(call.run_id, call.attempt, self._how_ended)
        if owner.now < slot:
            self.fail("I5", f"{call.run_id} was called {slot - owner.now} ms before its slot")
        if self._in_bound and not owner.was_frozen:
            last = self._launched.get(call.run_id, 0)
            if call.attempt <= last:
                self.fail("I3", f"{call.run_id}: attempt {call.attempt} was called after {last}")
            self._launched[call.run_id] = max(last, call.attempt)

    def _how_ended(self, call: Any) -> str:
        """Return how a call that left ended; nothing while it goes on."""
        if id(call) in self._open:
            return ""
        return self._ends.get(id(call), "")

    def _check_key(self, called: Called) -> None:
        if not called.key:
            self.fail("I4", f"{called.run} was called without a key")
        if self._keys.setdefault(called.run, called.key) != called.key:
            self.fail(
                "I4", f"{called.run} was called under {self._keys[called.run]} and {called.key}"
            )
        if self._runs.setdefault(called.key, called.run) != called.run:
            self.fail("I4", f"{called.run} and {self._runs[called.key]} share {called.key}")

    def _check_wanted(self, called: Called) -> None:
        """No attempt that began after a delete, a pause or a cancel had been answered may call."""
        started = self._starts.get((called.run, called.attempt))
        if started is None:
            self.fail("I6", f"{called.run} was called without a start")
            return
        why = self.ledger.why_not(
            called.run,
            attempt=called.attempt,
            started_at=started.started_at,
            called_at=self.loop.now,
        )
        why = why or self._why_cancelled(called.run, started_at=started.started_at)
        if why is not None:
            self.fail(
                "I6",
                f"attempt {called.attempt} of {called.run} began at {clock(started.started_at)} "
                f"and called, though {why}",
            )

    def _why_cancelled(self, run: str, *, started_at: int) -> str | None:
        for wish in self.users.wishes:
            if wish.verb == f"cancel {run}" and wish.was_granted_before(started_at):
                return f"the run had been cancelled at {clock(wish.answered_at)}"
        return None

    def _check_alone(self, called: Called) -> None:
        if not self._in_bound or called.environment.was_frozen:
            return
        for other in self._open.values():
            if self.workers.has_ended(other.run, other.attempt):
                continue  # its target said so, before it answered
            if other is not called and other.run == called.run and not other.environment.was_frozen:
                self.fail(
                    "I2",
                    f"attempt {called.attempt} of {called.run} was called while attempt "
                    f"{other.attempt} was being called",
                )

    def _check_rules(self, called: Called) -> None:
        """No call beside another one of its job, and no more than the limit lets in."""
        if not self.scenario.rules or not self._in_bound or called.environment.was_frozen:
            return
        rules = {
            plan.name: each
            for plan, each in zip(self.scenario.jobs, self.scenario.rules, strict=False)
        }
        others = [
            other
            for other in self._open.values()
            if not other.environment.was_frozen
            # A target may say that it has done its work before it answers the call.
            and not self.workers.has_ended(other.run, other.attempt)
        ]
        own = job_of(called.run)
        if rules[own].overlap != "allow" and sum(job_of(o.run) == own for o in others) > 1:
            self.fail("I16", f"{called.run} was called beside another run of its job")
        if rules[own].limited and sum(rules[job_of(o.run)].limited for o in others) > SHARED_MAX:
            self.fail("I16", f"{called.run} was called beside {SHARED_MAX} others of its limit")

    def call_over(self, call: Any, how: str) -> None:
        """See `targets.Witness`."""
        called = self._open.pop(id(call))
        called.over_at, called.how = self.loop.now, how
        self._ends[id(call)] = how
        self.trace.add(called.environment.name, f"call for {call.run_id} is over: {how}")

    # What the platform sees

    def serves(self, invocation: Invocation, wish: Wish) -> None:
        """An invocation of the API is there for a wish."""
        self._serves[invocation] = wish

    def invocation_ended(self, invocation: Invocation, ended: Ended) -> None:
        """An invocation ended; only what was done to it may make it fail."""
        error = ended.error
        answer = ended.result if isinstance(ended.result, dict) else {}
        if answer.get("statusCode") == FAULT_OF_OURS:
            self.fail("I0", f"{invocation.name} answered with a fault of our own")
        if error is None or isinstance(error, Died) or type(error).__name__ == UNAVAILABLE:
            return
        self.fail("I0", f"{invocation.name} failed by itself: {error!r}")

    def mistake(self, call: Any, why: str) -> None:
        """A request was refused as a mistake."""
        self.fail("I0", f"{call.name} ({call.site}) made a mistake: {why}")

    # When everything has come to rest

    def not_at_rest(self, left: Sequence[str]) -> None:
        """Things did not come to rest in time."""
        self.fail("I14", f"after {timedelta(hours=2)} there is left: {', '.join(left[:5])}")

    def at_rest(self, *, effects: Sequence[Effect], dead_letters: Iterable[str]) -> None:
        """Check what holds once nothing is left to be done."""
        reckoning = Reckoning(
            scenario=self.scenario,
            table=self.table,
            ledger=self.ledger,
            wishes=self.users.wishes,
            calls=self.calls,
            effects=effects,
            units=self.units,
            counts=Counts(**self._counted),
            cancelled=frozenset(self.users.cancels),
            void_stretches=frozenset(self.void_stretches),
            poison=self.poison,
            dead_letters=frozenset(dead_letters),
            unreadable=self.unreadable,
            now=self.loop.now,
        )
        for invariant, story in reckoning.findings():
            self.fail(invariant, story)
        self.workers.at_rest(self._state_of)

    def _state_of(self, run: str) -> str | None:
        states = (_state(i) for a, i in self.table.items.items() if _names(a, run))
        return next(states, None)

    def long_after(self, *, calls: int, items: Collection[Address]) -> None:
        """Check that old messages brought nothing back.

        Args:
            calls: How many calls had left by the time they were sent again.
            items: What lay in the table then.
        """
        if len(self.calls) > calls:
            self.fail("I10", f"{self.calls[calls].run} was called by a message of a month ago")
        back = sorted(self.table.items.keys() - set(items))
        if back:
            self.fail("I10", f"{back[0]} came back with a message of a month ago")


def _names(address: Address, run: str) -> bool:
    return address[1].startswith("R#") and name_of(address) == run


def _goes_on_at(row: Item) -> int:
    """Return when a run can be started again at the latest, as its row says."""
    return max(int(row["lease_until"]["N"]), int(row["retry_at"]["N"]))


def name_of(address: Address) -> str:
    """Return the id of the run at an address."""
    return key_of(address).run_id


def key_of(address: Address) -> RunKey:
    """Return the key of the run at an address."""
    pk, sk = address
    _, tenant, job_id = pk.split("#")
    _, incarnation, name = sk.split("#")
    return RunKey(JobKey(tenant, job_id), int(incarnation), name)


def job_of(run: str) -> str:
    """Return the id of the job that a run is of, in whatever life."""
    return run.partition(".")[0].partition("~")[0]


def slot_of(run_id: str) -> int:
    """Return the slot in a run's id; 0 for a run that was asked for, which nothing comes before."""
    slot = RunKey(JobKey("", ""), 1, run_id.partition(".")[2]).slot
    return 0 if slot is None else epoch_ms(slot)


def references_of(row: Item | None) -> list[Address]:
    """Return the runs that a watch row names."""
    if row is None:
        return []
    return [
        (f"J#{tenant}#{job_id}", f"R#{incarnation}#{name}")
        for tenant, job_id, incarnation, _, *names in json.loads(row["runs"]["S"])
        for name in names
    ]


def _is_word_of_an_attempt(after: Item | None) -> bool:
    """Say whether only the attempt that held a run can have left it so, whatever clocks say."""
    return after is None or "finished_by" in after or _state(after) == "retrying"


def _state(item: Item) -> str:
    state: str = item["state"]["S"]
    return state


def _pointer(job: Item) -> int | None:
    return int(job["next_slot"]["N"]) if "next_slot" in job else None
