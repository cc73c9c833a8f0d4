"""Users of the API: they ask for things, and ask again under the same key when no answer comes."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
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

    def __post_init__(self) -> None:
        self._strands: dict[str, Strand] = {}
        self._requests = 0

    def begin(self) -> None:
        """Let every user begin."""
        for plan in self.scenario.jobs:
            self._strands[plan.name] = self.loop.start(lambda plan=plan: self._live(plan))  # type: ignore[misc]

    def busy(self) -> list[str]:
        """Return the jobs whose users are not done."""
        return [job for job, strand in self._strands.items() if not strand.over]

    def leave(self) -> None:
        """Let everybody go."""
        for strand in self._strands.values():
            strand.kill()

    def _live(self, plan: JobPlan) -> None:
        strand = self._strand()
        for step in plan.steps:
            strand.sleep(max(0, step.at - self.loop.now))
            self._ask(plan, step)

    def _strand(self) -> Strand:
        strand = self.loop.running
        assert strand is not None, "users wait"
        return strand

    def _ask(self, plan: JobPlan, step: Step) -> None:
        wish = Wish(job=plan.name, verb=step.verb, body=step.body, called_at=self.loop.now)
        self.wishes.append(wish)
        self.trace.add("user", f"{step.verb} {plan.name} {step.body or ''}")
        request = _request(plan, step)
        for _ in range(TRIES):
            response = self._send(request, wish)
            if response is not None:
                wish.status = response["statusCode"]
                wish.answer = json.loads(response.get("body") or "{}")
                if wish.status != 503:
                    break
            pause = self.dice.between(500, 8000, "user waits", self._requests)
            self._strand().sleep(pause)
        wish.answered_at = self.loop.now
        self.trace.add("user", f"{step.verb} {plan.name} → {wish.status} {wish.answer}"[:300])

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
                    answer: Json = {"statusCode": 503}
                else:
                    answer = ended.result
                if not silent:
                    self.loop.after(10, lambda: wake(lambda: answer))

            self.loop.after(10, lambda: self.api(request, wish, then))
            self.loop.after(PATIENCE, lambda: wake(lambda: None))

        response: Json | None = self._strand().wait(arrange)
        return response


def _request(plan: JobPlan, step: Step) -> Json:
    """Make the event of an HTTP API, as it calls a function."""
    method, path, headers = "POST", f"/v1/jobs/{plan.name}/{step.verb}", {}
    match step.verb:
        case "create" if plan.key is not None:
            path, headers = "/v1/jobs", {"idempotency-key": plan.key}
        case "create" | "edit":
            method, path = "PUT", f"/v1/jobs/{plan.name}"
        case "delete":
            method, path = "DELETE", f"/v1/jobs/{plan.name}"
        case _:
            pass
    body = None if step.body is None else json.dumps(step.body)
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", **headers},
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "192.0.2.1"},
            "authorizer": {"iam": {"accountId": TENANT}},
            "stage": "$default",
        },
        "isBase64Encoded": False,
        **({} if body is None else {"body": body}),
    }
