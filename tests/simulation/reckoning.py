"""The invariants that are judged once everything has come to rest."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from punctual.core.instants import from_epoch_ms
from tests.simulation.expressions import Item
from tests.simulation.ledger import JobLife, Ledger
from tests.simulation.oracle import NEVER, Owed, owed
from tests.simulation.scenario import MINUTE, SECOND, Scenario
from tests.simulation.table import Address, SimulatedTable
from tests.simulation.targets import Effect, Manner
from tests.simulation.users import Wish

Json = dict[str, Any]

Finding = tuple[str, str]
"""An invariant that is broken, and the story."""

AT_ONCE = 60 * SECOND
"""What a pause withheld is due all at once when it ends, and executors may be few."""

LATENESS_MAX = SECOND
"""P7: the 99th percentile, and here the most, of how late a run starts without a fault."""

LATENESS_MEDIAN_MAX = 100

STOPPED_WITHIN = 3 * SECOND + 500
"""P5: executors look every 3 s whether what they work on is still wanted."""

ENOUGH = 10
"""Runs without which a median says nothing: functions start cold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Slots that a catch-up rule left out, as it was recorded."""

    revision: int
    """Of the schedule."""
    since: int
    until: int
    count: int

    def within(self, slots: Iterable[int], *, rows: Mapping[int, Item]) -> list[int]:
        """Return the slots that lie in it; a row of another schedule between them is none."""
        return [
            slot
            for slot in slots
            if self.since <= slot <= self.until
            and (slot not in rows or int(rows[slot]["schedule_revision"]["N"]) == self.revision)
        ]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What was done, to be held against what it cost."""

    runs: int
    retries: int
    claims: int
    last_claims: int
    """Those after which no slot follows: the job leaves its index."""
    watch_rows: int
    dispatches: int
    creates: int


@dataclass(kw_only=True)
class Reckoning:
    """What a world looks like at its end."""

    scenario: Scenario
    table: SimulatedTable
    ledger: Ledger
    wishes: Sequence[Wish]
    calls: Sequence[Any]
    """Every call that left, in order; see `checker.Called`."""
    effects: Sequence[Effect]
    units: Mapping[str, int]
    counts: Counts
    cancelled: frozenset[str]
    """Runs whose cancel was asked for."""
    void_stretches: frozenset[Address]
    """Stretches that were settled after an edit or a delete, about slots of what was before."""
    poison: Sequence[str]
    """Bodies that nobody wrote, as they were put into queues."""
    dead_letters: frozenset[str]
    """Bodies that were kept."""
    unreadable: Sequence[Address]
    """Jobs that cannot be read."""
    now: int
    rows: dict[tuple[str, int], dict[int, Item]] = field(default_factory=dict)
    """Rows of slots, by life and slot."""

    def findings(self) -> Iterator[Finding]:
        """Yield what is broken."""
        by_run = defaultdict(list)
        for called in self.calls:
            by_run[called.run].append(called)
        rows, stretches = self._rows_and_stretches()
        for key, life in self.ledger.lives.items():
            slots = owed(life, until=self.scenario.ends)
            yield from self._accounted(life, slots, rows.get(key, {}), stretches.get(key, []))
            for slot, row in rows.get(key, {}).items():
                calls = by_run[run_id(life, row)]
                yield from self._told_truly(life, slot, row, calls)
                if self.scenario.punctual:
                    yield from self._once(life, row, calls)
        for key in rows.keys() - self.ledger.lives.keys():
            yield "I10", f"{key} has runs and was never created"
        yield from self._asked_for(by_run)
        yield from self._called_off()
        yield from self._created_once()
        yield from self._lateness()
        yield from self._stopped()
        yield from self._effects()
        yield from self._drained()
        yield from self._poison()
        if self.scenario.faultless and all(w.verb == "create" for w in self.wishes):
            yield from self._costs(rows)

    def _rows_and_stretches(
        self,
    ) -> tuple[dict[tuple[str, int], dict[int, Item]], dict[tuple[str, int], list[Stretch]]]:
        rows: dict[tuple[str, int], dict[int, Item]] = defaultdict(dict)
        stretches: dict[tuple[str, int], list[Stretch]] = defaultdict(list)
        for (pk, sk), item in self.table.items.items():
            kind, _, rest = sk.partition("#")
            if kind == "R" and "trigger" not in item:
                slot = int(item["scheduled_at"]["N"])
                rows[pk, int(rest.partition("#")[0])][slot] = item
            elif kind == "M" and self._counts((pk, sk), item):
                stretch = Stretch(
                    revision=int(item["schedule_revision"]["N"]),
                    since=int(item["since"]["N"]),
                    until=int(item["until"]["N"]),
                    count=int(item["count"]["N"]),
                )
                stretches[pk, int(item["incarnation"]["N"])].append(stretch)
        return rows, stretches

    def _counts(self, address: Address, stretch: Item) -> bool:
        """Say whether a stretch leaves slots out: it is settled, of the schedule as it is."""
        return "announced_by" not in stretch and address not in self.void_stretches

    def _accounted(
        self,
        life: JobLife,
        slots: Owed,
        rows: Mapping[int, Item],
        stretches: Sequence[Stretch],
    ) -> Iterator[Finding]:
        """I10: the outcomes and the stretches are the slots, none missing and none extra."""
        name = f"{life.partition} (life {life.incarnation})"
        known = slots.must | slots.may
        left_out: Counter[int] = Counter()
        for stretch in stretches:
            if not life.leaves_out:
                yield "I10", f"{name} leaves slots out, which nobody asked for"
            inside = stretch.within(known, rows=rows)
            left_out.update(inside)
            sure = [slot for slot in inside if slot in slots.must]
            if not len(sure) <= stretch.count <= len(inside):
                yield (
                    "I10",
                    f"{name}: a stretch counts {stretch.count} slots, and holds {len(inside)}",
                )
        told = rows.keys() | left_out.keys()
        pending = self._pending_from(life)
        for slot in sorted(slots.must):
            if slot not in told and slot < pending:
                yield "I10", f"{name}: the slot {_time(slot)} was lost"
        max_runs = life.max_runs
        if max_runs is not None and len(told) > max_runs:
            yield "I10", f"{name} was to have {max_runs} runs, and has {len(told)}"
        for slot, row in sorted(rows.items()):
            state = row["state"]["S"]
            if state in {"queued", "running", "retrying"}:
                yield "I10", f"{name}: the run of {_time(slot)} is {state} for ever"
            elif slot not in known and not self._is_cancelled(life, row) and not _has_died(row):
                yield "I10", f"{name}: {_time(slot)} is no slot, and its run is {state}"
            elif slot in left_out and not _has_died(row):
                yield "I10", f"{name}: {_time(slot)} is {state}, and was left out too"
        for slot, times in left_out.items():
            if times > 1:
                yield "I10", f"{name}: {_time(slot)} was left out {times} times"

    def _asked_for(self, by_run: Mapping[str, Sequence[Any]]) -> Iterator[Finding]:
        """I10, I11: every run that a user was promised has its outcome, and no request made two."""
        rows: dict[str, tuple[JobLife, Item]] = {}
        for (pk, sk), item in self.table.items.items():
            if sk.startswith("R#") and "trigger" in item:
                life = self.ledger.lives[pk, int(sk.split("#")[1])]
                rows[run_id(life, item)] = (life, item)
        wishes = [wish for wish in self.wishes if wish.verb == "run"]
        promised = Counter(wish.answer["id"] for wish in wishes if wish.granted)
        for run, times in promised.items():
            if run not in rows:
                yield "I10", f"{run} was promised and is not there"
            if times > 1:
                yield "I11", f"{times} requests with keys of their own were promised {run}"
        unsure = Counter(wish.job for wish in wishes if not wish.granted)
        extra = Counter(_job_of(run) for run in rows.keys() - promised.keys())
        for job, count in extra.items():
            if count > unsure[job]:
                yield "I11", f"{count} runs of {job} were asked for by {unsure[job]} requests"
        for run, (life, row) in rows.items():
            if row["state"]["S"] in {"queued", "running", "retrying"}:
                yield "I10", f"{run} is {row['state']['S']} for ever"
            else:
                asked = int(row["scheduled_at"]["N"])
                yield from self._told_truly(life, asked, row, by_run[run])

    def _called_off(self) -> Iterator[Finding]:
        """I10: a run whose cancel was accepted is there, whatever became of its slot."""
        there = {
            run_id(self.ledger.lives[pk, int(sk.split("#")[1])], item)
            for (pk, sk), item in self.table.items.items()
            if sk.startswith("R#")
        }
        for wish in self.wishes:
            verb, _, run = wish.verb.partition(" ")
            if verb == "cancel" and wish.granted and run not in there:
                yield "I10", f"the cancel of {run} was accepted, and it is not there"

    def _pending_from(self, life: JobLife) -> int:
        """Return the first slot that a job which stays paused has still to hand over."""
        job = self.table.items[life.partition, "JOB"]
        paused = bool(life.pauses) and life.pauses[-1][1] is None
        if not paused or int(job["incarnation"]["N"]) != life.incarnation:
            return NEVER
        return int(job["next_slot"]["N"]) if "next_slot" in job else NEVER

    def _is_cancelled(self, life: JobLife, row: Item) -> bool:
        """Say whether a run was called off by a user, whether or not there was to be one."""
        asked_for = life.deleted is not None or run_id(life, row) in self.cancelled
        return asked_for and bool(row["state"]["S"] == "cancelled")

    def _told_truly(
        self, life: JobLife, slot: int, row: Item, calls: Sequence[Any]
    ) -> Iterator[Finding]:
        """I10: the outcome is what happened."""
        state = row["state"]["S"]
        name = run_id(life, row)
        answers = {called.how for called in calls}
        why: str | None = None
        match state:
            case "succeeded" | "timed_out" if self.scenario.reports:
                pass  # what targets reported is known to them: see `callbacks`
            case "succeeded":
                if not answers & {Manner.FAST, Manner.SLOW}:
                    why = f"its calls ended so: {sorted(answers)}"
            case "timed_out":
                if "timeout" not in answers:
                    why = f"its calls ended so: {sorted(answers)}"
            case "missed":
                due = max(slot, life.created.low) + life.deadline_ms
                if int(row["finished_at"]["N"]) <= due - self.ledger.skew:
                    why = "its start deadline was not over"
            case "skipped":
                if not life.pauses and not self.scenario.rules:
                    why = "its job was never paused, and has no rule"
            case "cancelled":
                asked = name in self.cancelled or life.deleted is not None
                if not asked and not self.scenario.rules:
                    why = "nobody cancelled it or deleted its job"
            case "unknown":
                if not any(body.get("delivery") == "at_most_once" for body in life.bodies):
                    why = "its job was to be carried out at least once"
            case "failed":
                if self.scenario.faultless:
                    why = "nothing went wrong"
            case _:
                why = "that is no outcome"
        if why is not None:
            yield "I10", f"{name} is recorded as {state}, and {why}"

    def _once(self, life: JobLife, row: Item, calls: Sequence[Any]) -> Iterator[Finding]:
        """I12: without a fault there is one call for each run, but for those that timed out."""
        state = row["state"]["S"]
        calls = [called for called in calls if called.how != "timeout"]
        wanted = {"succeeded": {1}, "cancelled": {0, 1}}.get(state, {0})
        if len(calls) not in wanted and not life.deleted:
            name = run_id(life, row)
            yield "I12", f"{name} is {state} after {len(calls)} calls, though nothing went wrong"

    def _stopped(self) -> Iterator[Finding]:
        """I6: without a fault, what is called off is stopped at the executor's next poll."""
        if not self.scenario.punctual:
            return
        for wish in self.wishes:
            at = wish.answered_at
            if at is None or not wish.calls_off:
                continue
            for called in self.calls:
                over_at = self.now if called.over_at is None else called.over_at
                if wish.concerns(called.run) and called.at < at and over_at > at + STOPPED_WITHIN:
                    yield (
                        "I6",
                        f"{called.run} was being called {over_at - at} ms after {wish.verb}",
                    )

    def _lateness(self) -> Iterator[Finding]:
        """I12: without a fault, or with one tick missed, late or doubled, runs start on time."""
        if not self.scenario.punctual:
            return
        late: list[int] = []
        for life in self.ledger.lives.values():
            prefix = run_prefix(life)
            since = max(period.since.high for period in life.periods)
            for called in self.calls:
                if called.attempt > 1 or not called.run.startswith(prefix) or called.slot < since:
                    continue
                if life.pauses:
                    resumed_at = _withheld_until(life, called.slot)
                    if resumed_at and called.at > resumed_at + AT_ONCE:
                        by = called.at - resumed_at
                        yield "I12", f"{called.run} started {by} ms after the pause was over"
                    continue
                late.append(called.at - called.slot)
                if late[-1] > LATENESS_MAX:
                    yield "I12", f"{called.run} started {late[-1]} ms late"
        late.sort()
        if len(late) >= ENOUGH and late[len(late) // 2] > LATENESS_MEDIAN_MAX:
            yield "I12", f"half of the runs started more than {late[len(late) // 2]} ms late"

    def _created_once(self) -> Iterator[Finding]:
        """I11: what was acknowledged is done, and a create that was repeated is one job."""
        keys = {plan.name: plan.key for plan in self.scenario.jobs}
        for name, key in keys.items():
            lives = [life for (pk, _), life in self.ledger.lives.items() if pk.endswith(f"#{name}")]
            created = [life for life in lives if life.created_by.verb == "create"]
            if key is not None and len(created) > 1:
                yield "I11", f"the create of {name} under {key} made {len(created)} jobs"
            acknowledged = [w for w in self.wishes if w.job == name and w.made]
            if acknowledged and not lives:
                yield "I11", f"the create of {name} was acknowledged, and there is no job"
        for wish in self.wishes:
            if wish.made and wish.status == 201 and wish not in self.ledger.committed:
                yield "I11", f"{wish.verb} of {wish.job} was answered with 201 and not done"

    def _effects(self) -> Iterator[Finding]:
        """I13: a target that honours keys sees one effect; at most once is one call."""
        effects = Counter(effect.run_id for effect in self.effects)
        if self.scenario.honours_keys:
            for run, times in effects.items():
                if times > 1:
                    yield "I13", f"{run} took effect {times} times"
        for life in self.ledger.lives.values():
            if life.most_once:
                prefix = run_prefix(life)
                calls = Counter(c.run for c in self.calls if c.run.startswith(prefix))
                for run, times in calls.items():
                    if times > 1:
                        yield "I13", f"{run} was to be called at most once, and was {times} times"

    def _drained(self) -> Iterator[Finding]:
        """I14: the index shows what the table holds, which is nothing that is due."""
        due = self.table.index("due", now=self.now + MINUTE)
        if len(due):
            yield "I14", f"the index of due jobs still shows {len(due)} jobs"

    def _poison(self) -> Iterator[Finding]:
        """What nobody can read is kept for a person to look at, and stops nothing else."""
        for body in self.poison:
            if body not in self.dead_letters:
                yield "I7", f"the body {body!r} was neither read nor kept"
        for address in self.unreadable:
            item = self.table.items[address]
            if item["state"]["S"] != "paused" or "pause_note" not in item:
                yield "I14", f"{address[0]} cannot be read, and is not parked"

    def _costs(self, rows: Mapping[tuple[str, int], Mapping[int, Item]]) -> Iterator[Finding]:
        """I15: what a run costs without a fault, to the unit."""
        counts = self.counts
        expected = {
            "run": 3 * counts.runs + 2 * counts.retries,
            "watch": 2 * counts.watch_rows,
            # The item and its place in the index: out of the old one, into the new one.
            "job": 3 * counts.creates + 3 * counts.claims - counts.last_claims,
            "content": counts.creates,
            "beat": counts.dispatches,
        }
        for kind, units in expected.items():
            if self.units.get(kind, 0) != units:
                yield "I15", f"{kind} items cost {self.units.get(kind, 0)} units, not {units}"
        for kind in self.units.keys() - expected.keys():
            yield "I15", f"{kind} items cost {self.units[kind]} units, and should not be written"
        claims = sum(_claims_at_most(sorted(slots)) for slots in rows.values())
        if counts.claims > claims:
            yield "I15", f"{counts.claims} claims were made where {claims} would do"
        # A retry that waits for long has a row until it is sent, and another one from then on.
        if counts.watch_rows > counts.claims + 2 * counts.retries:
            visits = f"{counts.claims} visits and {counts.retries} retries"
            yield "I15", f"{counts.watch_rows} watch rows for {visits}"


def _withheld_until(life: JobLife, slot: int) -> int:
    """Return when the pause was over for sure that may have withheld a slot; 0 for none."""
    return max(
        (
            resumed.high
            for paused, resumed in life.pauses
            if resumed is not None and paused.low < slot <= resumed.high
        ),
        default=0,
    )


def _claims_at_most(slots: Sequence[int]) -> int:
    """Return how many visits hand over these slots: ten at a time, or 840 s of them."""
    visits, rest = 0, list(slots)
    while rest:
        visits += 1
        # A visit sees at least 60 s less than its horizon: it may come as late as the next tick.
        horizon = rest[0] + (840 - 210) * SECOND
        taken = sum(1 for slot in rest[:10] if slot <= horizon) or 1
        rest = rest[taken:]
    return visits


def _has_died(row: Item) -> bool:
    """Say whether a run ended by the death of its last attempt, or of all that spoke of it.

    That is recorded even if its slot was withdrawn or left out before it started: whether the
    target was called is not known to anybody.
    """
    if "finished_by" in row:
        return False
    told = len(row["failures"]["L"]) if "failures" in row else 0
    reaped = row["state"]["S"] == "cancelled" and told < int(row["attempt"]["N"])
    return reaped or row["state"]["S"] in {"failed", "unknown"}


def run_id(life: JobLife, row: Item) -> str:
    """Return the id of a run, by its row."""
    return f"{run_prefix(life)}{row['sk']['S'].rpartition('#')[2]}"


def _job_of(run: str) -> str:
    """Return the job in the id of a run."""
    return run.partition(".")[0].partition("~")[0]


def run_prefix(life: JobLife) -> str:
    """Return what the ids of a life's runs begin with."""
    job = life.partition.rpartition("#")[2]
    return f"{job}." if life.incarnation == 1 else f"{job}~{life.incarnation}."


def _time(slot: int) -> str:
    return f"{from_epoch_ms(slot):%H:%M:%S.%f}"[:-3]
