"""What users did with each job, and when it came into force, read off the writes of the job."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from punctual.core.identity import JobKey, RunKey
from punctual.core.instants import epoch_ms
from tests.simulation.expressions import Item
from tests.simulation.lambdas import Invocation
from tests.simulation.oracle import Life, Period, Window
from tests.simulation.scenario import TENANT
from tests.simulation.trace import clock
from tests.simulation.users import Wish

Json = dict[str, Any]

ADMITS_STRETCHES = frozenset({"latest", "none"})
"""Catch-up rules that leave slots out."""


@dataclass(eq=False, kw_only=True)
class JobLife(Life):
    """One life of a job."""

    partition: str
    incarnation: int
    created: Window
    created_by: Wish
    bodies: list[Json] = field(default_factory=list)
    """Every definition that was in force, as users wrote it."""
    deleted_for: Wish | None = None
    paused_for: list[tuple[Wish | None, Wish | None]] = field(default_factory=list)
    """Whose wish each pause was, and each end of one."""

    @property
    def leaves_out(self) -> bool:
        """Whether a catch-up rule may have left slots out."""
        return any(body.get("catch_up", "all") in ADMITS_STRETCHES for body in self.bodies)

    @property
    def max_runs(self) -> int | None:
        """How many slots it has at most, if that is bounded; worlds bound no job that is edited."""
        bound: int | None = self.periods[0].schedule.get("max_runs")
        return bound

    @property
    def most_once(self) -> bool:
        """Whether every definition asked for one attempt at most."""
        return all(body.get("delivery") == "at_most_once" for body in self.bodies)

    @property
    def deadline_ms(self) -> int:
        """The shortest start deadline of all."""
        return int(1000 * min(body.get("start_deadline_seconds", 3600) for body in self.bodies))

    @property
    def longest_deadline_ms(self) -> int:
        """The longest of them, so far."""
        return int(1000 * max(body.get("start_deadline_seconds", 3600) for body in self.bodies))


@dataclass(kw_only=True)
class Ledger:
    """Every life of every job."""

    skew: int
    """How wrong a clock may be, in milliseconds."""
    lives: dict[tuple[str, int], JobLife] = field(default_factory=dict)
    committed: set[Wish] = field(default_factory=set)
    """Wishes that led to a write of their job."""

    def of_partition(self, partition: str) -> Iterator[JobLife]:
        """Yield the lives of a job."""
        return (life for life in self.lives.values() if life.partition == partition)

    def why_not(self, run_id: str, *, attempt: int, started_at: int, called_at: int) -> str | None:
        """Say why an attempt that began then may not call now; None when it may.

        A request whose host stood still may be carried out once more long after its user was
        answered; that pause or delete holds from then on, whatever the answer said.
        """
        life = self.life_of(run_id)
        if life is None:
            return "there is no such job"
        if attempt == 1 and self._is_late(life, run_id, started_at=started_at):
            return "that was after its start deadline"
        if self._holds(life.deleted, life.deleted_for, at=started_at):
            assert life.deleted_for is not None, "somebody asked for what holds"
            return f"its job had been deleted at {clock(life.deleted_for.answered_at)}"
        for (window, _), (pause, resume) in zip(life.pauses, life.paused_for, strict=True):
            over = resume is not None and resume.called_at <= called_at
            if attempt == 1 and not over and self._holds(window, pause, at=started_at):
                assert pause is not None, "somebody asked for what holds"
                return f"its job had been paused at {clock(pause.answered_at)}"
        return None

    def life_of(self, run_id: str) -> JobLife | None:
        """Return the life of a job that a run belongs to."""
        job, _, _ = run_id.partition(".")
        name, _, incarnation = job.partition("~")
        return self.lives.get((f"J#{TENANT}#{name}", int(incarnation or 1)))

    def _is_late(self, life: JobLife, run_id: str, *, started_at: int) -> bool:
        """Say whether a slot's run began when it should have been recorded as missed."""
        slot = RunKey(JobKey("", ""), 1, run_id.partition(".")[2]).slot
        if slot is None:
            return False  # asked for by name: in time whenever it comes
        due = max(epoch_ms(slot), life.created.high)
        return started_at > due + life.longest_deadline_ms + self.skew

    def _holds(self, window: Window | None, wish: Wish | None, *, at: int) -> bool:
        """Say whether something was written, and its user told so, before an instant."""
        if window is None or wish is None:
            return False
        return window.high - self.skew < at and wish.was_granted_before(at)

    def job_written(
        self,
        partition: str,
        before: Item | None,
        after: Item,
        *,
        now: int,
        invocation: Invocation,
        wish: Wish | None,
    ) -> None:
        """Read a write of a job; `wish` is whose request the invocation answers."""
        window = Window(low=invocation.began_at - self.skew, high=now + self.skew)
        incarnation = int(after["incarnation"]["N"])
        if wish is not None:
            self.committed.add(wish)
        if before is None or before["incarnation"] != after["incarnation"]:
            assert wish is not None, "jobs come into being by request"
            assert wish.body is not None, "a create has a body"
            life = JobLife(
                partition=partition, incarnation=incarnation, created=window, created_by=wish
            )
            self.lives[partition, incarnation] = life
            self._add_period(life, wish.body, after, since=window)
            return
        life = self.lives[partition, incarnation]
        was, is_ = before["state"]["S"], after["state"]["S"]
        if is_ == "deleted":
            life.deleted = life.deleted or window
            life.deleted_for = life.deleted_for or wish
        elif was == "paused" and is_ != "paused":
            life.pauses[-1] = (life.pauses[-1][0], window)
            life.paused_for[-1] = (life.paused_for[-1][0], wish)
        elif was != "paused" and is_ == "paused":
            life.pauses.append((window, None))
            life.paused_for.append((wish, None))
        elif wish is not None and wish.body is not None:
            since = life.pauses[-1][0] if is_ == "paused" else window
            self._add_period(life, wish.body, after, since=since)

    def _add_period(self, life: JobLife, body: Json, job: Item, *, since: Window) -> None:
        schedule = body["schedule"]
        life.bodies.append(body)
        every = schedule.get("every_seconds", 0)
        anchor = int(job["updated_at"]["N"]) + int(every * 1000)
        last = life.periods[-1] if life.periods else None
        if last is not None and every and _interval(last.schedule) == _interval(schedule):
            anchor = last.anchor  # writing the same interval again keeps its slots
        period = Period(schedule=schedule, since=since, anchor=anchor)
        if last is not None and last.since == since:
            life.periods[-1] = replace(period)  # the earlier one was never in force
        else:
            life.periods.append(period)


def _interval(schedule: Json) -> tuple[float, bool]:
    return schedule.get("every_seconds", 0), "start_at" in schedule
