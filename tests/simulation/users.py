"""Users of the API: they ask for things, and ask again under the same key when no answer comes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.simulation.dice import Dice
from tests.simulation.faults import Faults, Mishap
from tests.simulation.lambdas import Ended
from tests.simulation.loop import Loop, Strand, Wake
from tests.simulation.scenario import TENANT, JobPlan, Scenario, Step
from tests.simulation.trace import Trace

Json = dict[str, Any]

SECOND = 1000

PATIENCE = 30 * SECOND
"""How long a user waits for an answer."""

TRIES = 6

UNAVAILABLE = 503

NOT_FOUND = 404


@dataclass(eq=False, kw_only=True)
class Wish:
    """Something a user asked for, and what came of it."""

    job: str
    verb: str
    body: Json | None
    called_at: int
    answered_at: int | None = None
    """When the last answer came; None while none did."""
    status: int | None = None
    answer: Json = field(default_factory=dict)

    @property
    def granted(self) -> bool:
        """Whether the user was told that it is done."""
        return self.status is not None and self.status < 300

    def was_granted_before(self, at: int) -> bool:
        """Whether the user had been told by then that it is done."""
        # A delete whose first answer was lost finds nothing when it is repeated.
        done = self.granted or (self.verb == "delete" and self.status == NOT_FOUND)
        return done and self.answered_at is not None and self.answered_at < at

    @property
    def calls_off(self) -> bool:
        """Whether the user was told that runs are to stop."""
        return self.granted and self.verb.partition(" ")[0] in {"delete", "cancel"}

    def concerns(self, run: str) -> bool:
        """Say whether it is about this run, or about its job."""
        verb, _, name = self.verb.partition(" ")
        if verb == "cancel":
            return name == run
        return run.partition(".")[0].partition("~")[0] == self.job

    @property
    def made(self) -> bool:
        """Whether the user was told that there is a job as wished."""
        return self.granted and self.verb in {"create", "edit"}


@dataclass(kw_only=True)
class Users:
    """Everybody who uses the API; each job has one, who does one thing after the other."""

    loop: Loop
    dice: Dice
    faults: Faults
    scenario: Scenario
    api: Callable[[Json, Wish, Callable[[Ended], None]], None]
    trace: Trace
    wishes: list[Wish] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)
    """Runs whose cancel was asked for."""

    def __post_init__(self) -> None:
        self._strands: dict[str, Strand] = {}
        self._requests = 0

    def begin(self) -> None:
        """Let every user begin."""
        for plan in self.scenario.jobs:
            for number, steps in enumerate(plan.users):
                work = partial(self._live, plan, steps)
                self._strands[f"{plan.name} ({number})"] = self.loop.start(work)

    def busy(self) -> list[str]:
        """Return the users who are not done."""
        return [user for user, strand in self._strands.items() if not strand.over]

    def leave(self) -> None:
        """Let everybody go."""
        for strand in self._strands.values():
            strand.kill()

    def _live(self, plan: JobPlan, steps: Sequence[Step]) -> None:
        for step in steps:
            self._strand().sleep(max(0, step.at - self.loop.now))
            if step.verb == "cancel":
                self._cancel(plan)
            else:
                self._ask(plan.name, step.verb, _request(plan, step), body=step.body)

    def _cancel(self, plan: JobPlan) -> None:
        """Cancel one of the runs that have no outcome yet."""
        listed = self._ask(plan.name, "list", _event("GET", f"/v1/jobs/{plan.name}/runs"))
        runs = [
            run["id"]
            for run in listed.answer.get("items", ())
            if run["state"] in {"queued", "running", "retrying"}
        ]
        live = [run["id"] for run in listed.answer.get("items", ()) if run["state"] == "running"]
        if runs:
            # The last of the list is the next one due.
            run = self.dice.one_of(runs[-2:], "cancelled", self._requests)
            if live and self.dice.chance(0.6, "cancels live", self._requests):
                run = live[0]
            self.cancels.append(run)
            self._ask(plan.name, f"cancel {run}", _event("POST", f"/v1/runs/{run}/cancel"))

    def _strand(self) -> Strand:
        strand = self.loop.running
        assert strand is not None, "users wait"
        return strand

    def _ask(self, job: str, verb: str, request: Json, *, body: Json | None = None) -> Wish:
        """Ask for something until there is an answer; an unavailable service is asked again."""
        wish = Wish(job=job, verb=verb, body=body, called_at=self.loop.now)
        self.wishes.append(wish)
        self.trace.add("user", f"{verb} {job} {body or ''}")
        for _ in range(TRIES):
            response = self._send(request, wish)
            if response is not None:
                wish.status = response["statusCode"]
                wish.answer = json.loads(response.get("body") or "{}")
                if wish.status != UNAVAILABLE:
                    break
            self._strand().sleep(self.dice.between(500, 8000, "user waits", self._requests))
        wish.answered_at = self.loop.now
        self.trace.add("user", f"{verb} {job}: {wish.status} {wish.answer}"[:300])
        return wish

    def _send(self, request: Json, wish: Wish) -> Json | None:
        """Send a request; None when no answer comes in time."""
        self._requests += 1
        number, now = self._requests, self.loop.now
        if self.faults.strikes(Mishap.REQUEST_LOST, number, now=now):
            self._strand().sleep(PATIENCE)
            return None
        silent = self.faults.strikes(Mishap.ANSWER_LOST, number, now=now)

        def arrange(wake: Wake) -> None:
            def then(ended: Ended) -> None:
                if ended.error is not None:
                    answer: Json = {"statusCode": UNAVAILABLE}
                else:
                    answer = ended.result
                if not silent:
                    self.loop.after(10, lambda: wake(lambda: answer))

            self.loop.after(10, lambda: self.api(request, wish, then))
            self.loop.after(PATIENCE, lambda: wake(lambda: None))

        response: Json | None = self._strand().wait(arrange)
        return response


def _request(plan: JobPlan, step: Step) -> Json:
    """Make the request for a step."""
    match step.verb:
        case "create" if plan.key is not None:
            return _event("POST", "/v1/jobs", body=step.body, key=plan.key)
        case "create" | "edit":
            return _event("PUT", f"/v1/jobs/{plan.name}", body=step.body)
        case "run":
            key = f"{plan.name} at {step.at}"
            return _event("POST", f"/v1/jobs/{plan.name}/runs", body=step.body, key=key)
        case "delete":
            return _event("DELETE", f"/v1/jobs/{plan.name}")
        case verb:
            return _event("POST", f"/v1/jobs/{plan.name}/{verb}")


def _event(method: str, path: str, *, body: Json | None = None, key: str | None = None) -> Json:
    """Make the event with which an HTTP API calls a function."""
    headers = {"content-type": "application/json"}
    if key is not None:
        headers["idempotency-key"] = key
    event: Json = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "192.0.2.1"},
            "authorizer": {"iam": {"accountId": TENANT}},
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }
    return event if body is None else event | {"body": json.dumps(body)}
