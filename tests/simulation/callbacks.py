"""Targets that accept the work and report back, in a world where their reports are requests too.

What is promised to them is checked here, from what they sent and what they were answered.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tests.simulation.dice import Dice
from tests.simulation.faults import Faults, Mishap
from tests.simulation.lambdas import Ended, Invocation
from tests.simulation.loop import Loop, Strand, Wake
from tests.simulation.ranges import REPORTING_FROM
from tests.simulation.scenario import JobPlan, Scenario, Step, make_scenario
from tests.simulation.targets import Manner
from tests.simulation.trace import Trace

Json = dict[str, Any]

SECOND = 1000

PATIENCE = 30 * SECOND
"""How long a target waits for an answer to its report."""

TRIES = 12

UNAUTHENTICATED = 401
OVER = 409
UNAVAILABLE = 503

HEARTBEATS = (10, 30, 90)
"""Silences that jobs allow, in seconds."""

BEATS = (0, 4)
"""How often a target says that it lives, at least and at most."""

BEATS_MANY = (6, 14)
"""Likewise, where it works for long."""

KEPT_ALIVE = frozenset({Manner.FAST, Manner.SLOW, "died", ""})
"""Ends of a call after which its attempt goes on: it was accepted, or nobody knows better."""


def scenario_of(seed: int) -> Scenario:
    """Return what happens in a seed."""
    scenario = make_scenario(seed)
    return reporting(scenario) if seed >= REPORTING_FROM else scenario


def reporting(scenario: Scenario) -> Scenario:
    """Return the scenario with all its targets reporting back."""
    dice = Dice(f"callbacks {scenario.seed}")
    return replace(
        scenario, reports=True, jobs=tuple(_reporting(plan, dice) for plan in scenario.jobs)
    )


def _reporting(plan: JobPlan, dice: Dice) -> JobPlan:
    seconds = dice.one_of(HEARTBEATS, "heartbeat", plan.name)

    def changed(step: Step) -> Step:
        if step.body is None or "target" not in step.body:
            return step
        target = step.body["target"] | {"completion": "callback"}
        return replace(step, body=step.body | {"target": target, "heartbeat_seconds": seconds})

    return replace(plan, users=tuple(tuple(map(changed, steps)) for steps in plan.users))


@dataclass(eq=False, kw_only=True)
class Worker:
    """What one call set going."""

    run: str
    attempt: int
    token: str
    heartbeat_ms: int
    call: Any
    alive_until: int = 0
    """By its last heartbeat that was answered; 0 before the first."""
    has_ended: bool = False
    """Whether it has sent a report of its end, answered or not."""
    completed: bool = False
    """Whether it has sent that it succeeded, answered or not."""
    was_thanked: bool = False
    """Whether it was told that its success stands."""


@dataclass(kw_only=True)
class Workers:
    """Everything that targets work on."""

    loop: Loop
    dice: Dice
    faults: Faults
    scenario: Scenario
    trace: Trace
    api: Callable[[Json, Worker, Callable[[Ended], None]], None]
    fail: Callable[[str, str], None]
    started_at: Callable[[str, int], int | None] = lambda _run, _attempt: None
    """When an attempt of a run began; None for one that has not."""
    all: list[Worker] = field(default_factory=list)
    serves: dict[Invocation, Worker] = field(default_factory=dict)
    """Whose report an invocation of the API carries out."""

    def __post_init__(self) -> None:
        self._strands: list[Strand] = []
        self._requests = 0

    def accept(self, call: Any) -> None:
        """Begin with what a call asks for."""
        headers = {name.lower(): value for name, value in call.headers}
        plan = next(p for p in self.scenario.jobs if p.name == headers["punctual-job-id"])
        body = plan.users[0][0].body
        assert body is not None, "a job begins with its create"
        worker = Worker(
            run=call.run_id,
            attempt=call.attempt,
            token=headers["punctual-callback-token"],
            heartbeat_ms=body["heartbeat_seconds"] * SECOND,
            call=call,
        )
        self.all.append(worker)
        self._strands.append(self.loop.start(partial(self._work, worker, len(self.all))))

    def leave(self) -> None:
        """Let everybody go."""
        for strand in self._strands:
            strand.kill()

    def speaks_for(self, invocation: Invocation | None, run: str, attempt: int) -> bool:
        """Say whether an invocation does what the attempt itself reported."""
        worker = None if invocation is None else self.serves.get(invocation)
        return worker is not None and (worker.run, worker.attempt) == (run, attempt)

    def has_ended(self, run: str, attempt: int) -> bool:
        """Say whether the target of an attempt has sent that it ended."""
        return any(w.has_ended and (w.run, w.attempt) == (run, attempt) for w in self.all)

    def call_launched(self, run: str, attempt: int, how: Callable[[Any], str]) -> None:
        """No attempt is called while an earlier one was told that it may go on."""
        for worker in self.all:
            if (
                worker.run == run
                and worker.attempt != attempt
                and not worker.has_ended
                and self.loop.now < worker.alive_until
                and how(worker.call) in KEPT_ALIVE
            ):
                self.fail(
                    "I2",
                    f"attempt {attempt} of {run} was called, though attempt {worker.attempt} may "
                    f"be silent for another {worker.alive_until - self.loop.now} ms",
                )

    def at_rest(self, state_of: Callable[[str], str | None]) -> None:
        """What a target was thanked for is the outcome, and no success was made up."""
        for worker in self.all:
            state = state_of(worker.run)
            if worker.was_thanked and state != "succeeded":
                self.fail(
                    "I1",
                    f"attempt {worker.attempt} of {worker.run} was told that its success stands, "
                    f"and the run is {state}",
                )
            completed = any(w.completed for w in self.all if w.run == worker.run)
            if state == "succeeded" and not completed:
                self.fail("I10", f"{worker.run} succeeded, and no attempt said so")

    def _work(self, worker: Worker, number: int) -> None:
        """Work for a while, with heartbeats, and report; or not."""
        name = (worker.run, worker.attempt, number)
        calm = self.loop.now >= self.scenario.calm_from
        manner = "completes" if calm else self._manner(*name)
        fewest, most = BEATS_MANY if self.scenario.beats_many else BEATS
        beats = self.dice.between(fewest, most, "beats", *name)
        self._sleep(self.dice.between(1, 400, "begins", *name))
        for beat in range(beats):
            self._sleep(self.dice.between(100, worker.heartbeat_ms * 3 // 4, "works", *name, beat))
            sent_at = self.loop.now
            status = self._report(worker, "heartbeat", {})
            if status is None or status == OVER:
                return
            worker.alive_until = sent_at + worker.heartbeat_ms
            if self._told["cancel_requested"]:
                self._end(worker, "fail", {"error": {"type": "stopped"}})
                return
        if manner == "silent":
            return
        if manner == "falls asleep":
            self._sleep(self.dice.between(1, 300, "sleeps", *name) * SECOND)
            self._report(worker, "heartbeat", {})
        if manner == "fails":
            again = self.dice.chance(0.7, "again", *name)
            self._end(worker, "fail", {"error": {"type": "sold_out"}, "retry": again})
        else:
            self._end(worker, "complete", {"result": worker.run})

    def _manner(self, *name: object) -> str:
        draw = self.dice.draw("worker", *name)
        for manner, until in (("completes", 0.55), ("fails", 0.7), ("silent", 0.85)):
            if draw < until:
                return manner
        return "falls asleep"

    def _end(self, worker: Worker, what: str, body: Json) -> None:
        worker.has_ended = True
        worker.completed = what == "complete"
        status = self._report(worker, what, body)
        if status == 200 and self.dice.chance(0.2, "twice", worker.run, worker.attempt):
            status = self._report(worker, what, body)
            if status == OVER:
                self.fail("I1", f"a report of {worker.run} was accepted, and then refused")
        worker.was_thanked = status == 200 and worker.completed

    def _report(self, worker: Worker, what: str, body: Json) -> int | None:
        """Report until there is an answer; return its status, None when there never is one."""
        for tried in range(TRIES):
            sent_at = self.loop.now
            response = self._send(worker, what, body)
            status = None if response is None else response["statusCode"]
            self.trace.add("target", f"{what} of {worker.run}/{worker.attempt}: {status}")
            if response is not None and status != UNAVAILABLE:
                self._check_current(worker, what, status, sent_at=sent_at)
                if status == UNAUTHENTICATED:
                    self.fail("I0", f"{worker.run} does not know attempt {worker.attempt}")
                self._told: Json = json.loads(response.get("body") or "{}")
                return status
            self._sleep(self.dice.between(300, 3000, "again", worker.run, worker.attempt, tried))
        return None

    def _check_current(
        self, worker: Worker, what: str, status: int | None, *, sent_at: int
    ) -> None:
        """No word of an attempt counts that was followed by another; a failure may be repeated."""
        began_at = self.started_at(worker.run, worker.attempt) or 0
        followed_at = self.started_at(worker.run, worker.attempt + 1)
        # A run that was taken back, and came again, counts its attempts anew.
        followed = followed_at is not None and began_at < followed_at < sent_at
        if status == 200 and what != "fail" and followed:
            self.fail(
                "I2",
                f"the {what} of attempt {worker.attempt} of {worker.run} was accepted, though "
                "another attempt had begun",
            )

    def _send(self, worker: Worker, what: str, body: Json) -> Json | None:
        self._requests += 1
        number, now = self._requests, self.loop.now
        if self.faults.strikes(Mishap.REQUEST_LOST, "report", number, now=now):
            self._sleep(PATIENCE)
            return None
        silent = self.faults.strikes(Mishap.ANSWER_LOST, "report", number, now=now)

        def arrange(wake: Wake) -> None:
            def then(ended: Ended) -> None:
                failed = ended.error is not None
                answer: Json = {"statusCode": UNAVAILABLE} if failed else ended.result
                if not silent:
                    self.loop.after(10, lambda: wake(lambda: answer))

            event = _event(f"/v1/runs/{worker.run}/{what}", body, token=worker.token)
            self.loop.after(10, lambda: self.api(event, worker, then))
            self.loop.after(PATIENCE, lambda: wake(lambda: None))

        response: Json | None = self._strand().wait(arrange)
        return response

    def _sleep(self, milliseconds: int) -> None:
        self._strand().sleep(milliseconds)

    def _strand(self) -> Strand:
        strand = self.loop.running
        assert strand is not None, "targets work"
        return strand


def _event(path: str, body: Json, *, token: str) -> Json:
    """Make the event with which an HTTP API calls a function for somebody it did not identify."""
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "authorization": f"Bearer {token}"},
        "requestContext": {
            "http": {"method": "POST", "path": path, "sourceIp": "192.0.2.7"},
            "stage": "$default",
        },
        "isBase64Encoded": False,
        "body": json.dumps(body),
    }
