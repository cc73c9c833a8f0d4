"""A deployment of Punctual in virtual time: the real handlers, everything around them simulated."""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from infra import definitions
from infra.definitions import DEAD_LETTERS, QUEUES, SHARDS, TABLE
from punctual.core.instants import format_instant, from_epoch_ms
from tests.simulation.callbacks import Worker, Workers
from tests.simulation.checker import Checker
from tests.simulation.clients import ADDRESS, Reply, connected, make_client
from tests.simulation.coverage import facts_of
from tests.simulation.dice import Dice
from tests.simulation.expressions import Invalid
from tests.simulation.faults import Fault, Faults, Mishap
from tests.simulation.lambdas import (
    Ended,
    Environment,
    EventSource,
    FunctionDefinition,
    Invocation,
    Lambda,
    Process,
)
from tests.simulation.loop import Loop, Wake
from tests.simulation.program import QUIET, Program
from tests.simulation.queues import Queued, SimulatedQueue, SimulatedQueues
from tests.simulation.scenario import TENANT, Scenario, name_on_shard
from tests.simulation.sites import purpose_of
from tests.simulation.table import Address, Busy, Refused, SimulatedTable
from tests.simulation.targets import SimulatedTargets, TargetServer
from tests.simulation.trace import Trace
from tests.simulation.users import Users, Wish

Json = dict[str, Any]

SECOND = 1000
MINUTE = 60 * SECOND

READ_TIMEOUT = 2 * SECOND
"""What the clients of production wait for an answer."""

STICKS_AT = 10 * SECOND

FROZEN_SECONDS = ((5, 40), (5, 90), (46, 80), (46, 80), (5, 400))
"""How long a process stands still, at least and at most."""

WRITES = frozenset(
    {
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "BatchWriteItem",
        "BatchExecuteStatement",
        "SendMessageBatch",
        "ChangeMessageVisibilityBatch",
    }
)

LOOK_AHEAD = 6 * MINUTE
"""More than any dispatch looks ahead."""

POISON = ("{{{}", '{{"v":2,"run":{}}}', '{{"v":1,"run":["a","b",{}]}}', "null {}", "\x00{}")
"""Bodies that no version wrote, each with a place for a number."""

RECEIVES_OF_THE_IMPATIENT = 2
"""Deliveries after which an impatient queue gives up on a message."""

FORGOTTEN_AFTER = 31 * 24 * 60 * MINUTE
"""Runs are kept for 30 days."""

CONVERGES_WITHIN = 120 * MINUTE
"""After the last fault; the longest way back to order is a chain of second looks."""


@dataclass(slots=True, kw_only=True)
class AwsCall:
    """One request, as it leaves a process."""

    name: str
    """Invocation and number; faults are named by it."""
    site: str
    invocation: Invocation
    service: str
    operation: str
    request: Json
    at: int
    fault: Fault | None = None


def _functions(scenario: Scenario) -> dict[str, FunctionDefinition]:
    queue_url = {queue.name: url_of(queue.full_name) for queue in QUEUES.values()}
    common = {
        "TABLE_NAME": "punctual",
        "FAST_QUEUE_URL": queue_url["fast"],
        "SLOW_QUEUE_URL": queue_url["slow"],
        "DEAD_QUEUE_URL": queue_url["dead-letters"],
        "PUBLIC_URL": "https://punctual.example",
        "EXTERNAL_ID": "punctual:test",
        "SHARD_QUEUE_URL": queue_url["shards"],
        "CURSOR_SECRET_ARN": "secret",
        "RESULTS_BUCKET": "results",
        "SHARDS_PER_MESSAGE": str(scenario.shards_per_message),
    }
    rows: tuple[tuple[str, str, timedelta, int, dict[str, str]], ...] = (
        ("tick", "functions.tick.handler", definitions.TICK_TIMEOUT, 2, {}),
        ("dispatch", "functions.dispatch.handler", definitions.DISPATCH_TIMEOUT, 8, {}),
        ("fast", "functions.execute.handler", definitions.FAST_TIMEOUT, 6, {"LANE": "fast"}),
        ("slow", "functions.execute.handler", definitions.SLOW_TIMEOUT, 6, {"LANE": "slow"}),
        ("dead", "functions.dead_letters.handler", definitions.DEAD_LETTERS_TIMEOUT, 2, {}),
        ("api", "functions.api.handler", definitions.API_TIMEOUT, 20, {}),
    )
    return {
        name: FunctionDefinition(
            name=name,
            handler=handler,
            timeout=timeout,
            variables=common | own,
            concurrency=concurrency,
        )
        for name, handler, timeout, concurrency, own in rows
    }


def url_of(queue: str) -> str:
    """Return the URL of a queue."""
    return f"{ADDRESS}/000000000000/{queue}"


@dataclass(kw_only=True)
class World:
    """One seed, from its beginning to where everything has come to rest."""

    scenario: Scenario
    programs: Sequence[Program]
    """The version under test, and what may stand beside it where a world has two versions."""
    only: frozenset[str] | None = None
    """If given, no fault strikes whose name is not in it."""
    calls: int = 0
    strikes: dict[tuple[str, str], int] = field(default_factory=dict)
    """How often which fault struck which call site; `none` for calls without one."""
    facts: Counter[str] = field(default_factory=Counter)
    """How often which write was applied, or refused by what."""

    def __post_init__(self) -> None:
        scenario = self.scenario
        self.dice = Dice(f"world {scenario.seed}")
        self.loop = Loop(now=scenario.begins)
        self.trace = Trace(self.loop)
        self.faults = Faults(
            dice=Dice(f"faults {scenario.seed}"),
            profile=scenario.profile,
            calm_from=scenario.calm_from,
            only=self.only,
            tell=partial(self.trace.add, "mishap"),
        )
        self.checker = Checker(scenario=scenario, loop=self.loop, trace=self.trace)
        self.table = SimulatedTable(
            definition=TABLE,
            observer=self.checker,
            lag=self._lag,
            page_max=3 if self._has(Mishap.SMALL_PAGES) else None,
        )
        self.checker.table = self.table
        self.queues = self._make_queues()
        self.queue_service = SimulatedQueues(
            by_url={url_of(queue.definition.full_name): queue for queue in self.queues.values()}
        )
        self.server = TargetServer(
            loop=self.loop,
            dice=self.dice,
            manners=scenario.manners,
            calm_from=scenario.calm_from,
            honours_keys=scenario.honours_keys,
        )
        self.functions = _functions(scenario)
        self.lambdas = Lambda(
            loop=self.loop,
            dice=self.dice,
            network=self,
            programs=self.programs if self._has(Mishap.TWO_VERSIONS) else self.programs[:1],
            clock=self._clock,
            ended=self._ended,
        )
        for name, queue, batch in (
            ("dispatch", "shards", 1),
            ("fast", "fast", 10),
            ("slow", "slow", 10),
            ("dead", "exhausted", 10),
        ):
            EventSource(
                loop=self.loop,
                dice=self.dice,
                service=self.lambdas,
                function=self.functions[name],
                queue=self.queues[queue],
                batch=batch,
                deleted=self.checker.message_deleted,
                keeps=self._is_delete_lost,
            )
        self.users = Users(
            loop=self.loop,
            dice=self.dice,
            faults=self.faults,
            scenario=scenario,
            api=self._call_api,
            trace=self.trace,
        )
        self.checker.users = self.users
        self.workers = Workers(
            loop=self.loop,
            dice=self.dice,
            faults=self.faults,
            scenario=scenario,
            trace=self.trace,
            api=self._report_to_api,
            fail=self.checker.fail,
            started_at=self.checker.started_at,
        )
        self.checker.workers = self.workers
        self.server.accept = self.workers.accept
        self._writing: AwsCall | None = None
        self.rested_at: int | None = None
        """When nothing was left to be done; None if it never came to that."""
        self._sent_again = 0
        self._tick_spoilt_at = 0
        """The minute of the last tick that went wrong."""
        self._at_rest = False

    @property
    def lasted_ms(self) -> int:
        """How long it took to come to rest, or to the first broken invariant."""
        return (self.rested_at or self.loop.now) - self.scenario.begins

    def run(self) -> None:
        """Let everything happen until nothing is left to happen, or an invariant broke."""
        with patch.dict(os.environ, QUIET), connected(self._host):
            if self._has(Mishap.POISON):
                self._poison()
            self._arrange(Mishap.PURGED, self._purge, times=self.scenario.purges)
            self._arrange(Mishap.REDRIVEN, self._redrive, times=2)
            self.users.begin()
            self._tick_at(self.loop.now - self.loop.now % MINUTE + MINUTE)
            deadline = self.scenario.ends + CONVERGES_WITHIN
            while not self._at_rest and self.checker.violation is None:
                next_at = self.loop.next_at
                if next_at is None or next_at > deadline:
                    self.checker.not_at_rest(self._what_is_left())
                    break
                self.loop.step()
            if self.checker.violation is None:
                letters = [m.body for m in self.queues[DEAD_LETTERS.name].messages.values()]
                self.rested_at = self.loop.now
                self.checker.at_rest(effects=self.server.effects, dead_letters=letters)
            if self.checker.violation is None and self._has(Mishap.REDRIVEN):
                self._redrive_long_after()
            for invocation in self.lambdas.invocations:
                if invocation.strand is not None:
                    invocation.strand.kill()
            self.users.leave()
            self.workers.leave()
            for environment in self.lambdas.all_environments:
                # The API keeps nothing of what it did, and takes long to start.
                if environment.function.name == "api" and (process := environment.release()):
                    environment.program.spare.append(process)

    # Ticks

    def _tick_at(self, minute: int) -> None:
        self.loop.at(minute, lambda: self._tick(minute))

    def _tick(self, minute: int) -> None:
        """Call the tick for a minute, unless that goes wrong; and arrange the next one."""
        if self._is_at_rest():
            self._at_rest = True
            return
        self._tick_at(minute + MINUTE)
        if not self._has_work() and not self.dice.chance(0.1, "idle tick", minute):
            return  # one that finds nothing does nothing
        event = {"time": format_instant(from_epoch_ms(minute))}
        delays = self._delays_of_tick(minute)
        for delay in delays:
            self.loop.after(
                delay,
                lambda: self.lambdas.invoke(self.functions["tick"], event, lambda _: None),
            )

    def _delays_of_tick(self, minute: int) -> tuple[int, ...]:
        """Return how late a minute's tick comes: more than once, or never, if it goes wrong."""
        delay = self.dice.between(100, 2000, "tick", minute)
        if self.scenario.punctual and self._tick_spoilt_at == minute - MINUTE:
            # P7 promises that one tick in a row which goes wrong makes nothing late, not that two
            # do: slots are handed over 90 s ahead. Other worlds have any number in a row.
            return (delay,)
        strikes, now, stop = self.faults.strikes, self.loop.now, self.scenario.ticks_stop
        stopped = stop is not None and stop[0] <= now < stop[1]
        lost = stopped and strikes(Mishap.TICKS_STOP, minute, now=now, rate=1.0)
        lost = lost or strikes(Mishap.TICK_LOST, minute, now=now)
        late = not lost and strikes(Mishap.TICK_LATE, minute, now=now)
        doubled = not lost and strikes(Mishap.TICK_DOUBLED, minute, now=now)
        if lost or late or doubled:
            self._tick_spoilt_at = minute
        if lost:
            return ()
        if late:
            delay = self.dice.between(2, 59, "tick late", minute) * SECOND
        if doubled:
            return delay, delay + self.dice.between(0, 5000, "tick again", minute)
        return (delay,)

    def _has_work(self) -> bool:
        """Say whether a tick would find anything."""
        soon = self.loop.now + LOOK_AHEAD
        for (pk, sk), item in self.table.items.items():
            if pk.startswith("W#") and self.checker.minute_of(sk) <= soon:
                return True
            if sk == "JOB" and "due_at" in item and int(item["due_at"]["N"]) <= soon:
                return True
        return False

    def _is_at_rest(self) -> bool:
        """Say whether nothing is left to be done, by anybody."""
        return self.loop.now > self.scenario.ends and not self._what_is_left()

    def _what_is_left(self) -> list[str]:
        left = [f"the user {user}" for user in self.users.busy()]
        left += [i.name for i in self.lambdas.invocations if not i.ended]
        for queue in self.queues.values():
            if queue.name not in {"dead-letters"}:
                left += [f"message {m.message_id} in {queue.name}" for m in queue.messages.values()]
        for (pk, sk), item in self.table.items.items():
            if pk.startswith("W#"):
                left.append(f"watch row {pk} {sk}")
            elif sk == "JOB" and "due_at" in item:
                left.append(f"{pk} due at {item['due_at']['N']}")
        return left

    def _poison(self) -> None:
        """Arrange what nobody can read: some bodies, and a job that is due all the time."""
        begins, until = self.scenario.begins, min(self.scenario.calm_from, self.scenario.ends)
        for number in range(6):
            queue = self.queues[self.dice.one_of(("fast", "slow", "exhausted"), "poisoned", number)]
            body = self.dice.one_of(POISON, "poison", number).format(number)
            at = self.dice.between(begins, until, "poisoned at", number)
            self.checker.poison.append(body)
            self.loop.at(at, partial(self._put_poison, queue, body))
        name = name_on_shard(self.scenario.shards[0], prefix="unreadable")
        address = f"J#{TENANT}#{name}", "JOB"
        self.checker.unreadable.append(address)
        item = {
            "pk": {"S": address[0]},
            "sk": {"S": address[1]},
            "state": {"S": "active"},
            "revision": {"N": "1"},
            "schedule": {"S": '{"every":'},
            "due_shard": {"N": str(self.scenario.shards[0])},
            "due_at": {"N": str(begins)},
        }
        self.table.execute("PutItem", {"Item": item}, now=self.loop.now)

    def _put_poison(self, queue: SimulatedQueue, body: str) -> None:
        now = self.loop.now
        queue.put(body, message_id=f"poison-{now}", group=None, visible_at=now, now=now)

    # What becomes of whole queues

    def _arrange(self, mishap: Mishap, what: Callable[[int], None], *, times: int) -> None:
        """Have something go wrong now and then, if it ever does in this world."""
        until = min(self.scenario.calm_from, self.scenario.ends) - 1
        for number in range(times if self._has(mishap) else 0):
            at = self.dice.between(self.scenario.begins, until, mishap, number)
            self.loop.at(at, partial(what, number))

    def _purge(self, number: int) -> None:
        queue = self.dice.one_of(("fast", "fast", "slow", "exhausted", "shards"), "purges", number)
        if self.faults.strikes(Mishap.PURGED, queue, number, now=self.loop.now, rate=1.0):
            self.queues[queue].purge()

    def _redrive(self, number: int) -> None:
        if not self.faults.strikes(Mishap.REDRIVEN, number, now=self.loop.now, rate=1.0):
            return
        letters = list(self.queues[DEAD_LETTERS.name].messages.values())
        for letter in letters:
            self._send_again(self.queues["fast"], letter.body)

    def _send_again(self, queue: SimulatedQueue, body: str) -> None:
        now = self.loop.now
        self._sent_again += 1
        name = f"again-{self._sent_again}"
        queue.put(body, message_id=name, group=None, visible_at=now, now=now)

    def _redrive_long_after(self) -> None:
        """Send every message once more when all runs are forgotten: none of them comes back."""
        self._let_pass(FORGOTTEN_AFTER)
        for address in list(self.table.items):
            self.table.expire(address, now=self.loop.now)
        calls, items = len(self.checker.calls), set(self.table.items)
        for queue in (self.queues["fast"], self.queues["slow"]):
            for body in queue.bodies:
                self._send_again(queue, body)
        self._let_pass(60 * MINUTE)
        self.checker.long_after(calls=calls, items=items)

    def _let_pass(self, milliseconds: int) -> None:
        """Let happen what happens in that time; there are no more ticks."""
        until = self.loop.now + milliseconds
        self.loop.at(until, lambda: None)
        while self.loop.now < until and self.checker.violation is None:
            self.loop.step()

    # What the parts ask the world

    def _has(self, mishap: Mishap) -> bool:
        return mishap in self.scenario.profile.rates

    def _host(self) -> Environment:
        strand = self.loop.running
        assert strand is not None, "only invocations have a host"
        environment: Environment = strand.owner
        return environment

    def _lag(self, _: Address, write: int) -> int:
        if self.loop.now < self.scenario.calm_from and self._has(Mishap.INDEX_LAG):
            longest = 30_000 if self.dice.chance(0.2, "long lag", write) else 3000
            return self.dice.between(0, longest, "lag", write)
        return self.dice.between(5, 80, "lag", write)

    def _clock(self, environment: str) -> Callable[[int], int]:
        """Make a clock; the API's may stick to round instants, on which slots lie."""
        bound = self.scenario.skew
        skew = self.dice.between(-bound, bound, "skew", environment)

        def sticking(now: int) -> int:
            near = (now + STICKS_AT // 2) // STICKS_AT * STICKS_AT
            return near if abs(near - now) < bound else now

        if self.scenario.clock_sticks and environment.startswith("api"):
            return sticking
        return lambda now: now + skew

    def _make_queues(self) -> dict[str, SimulatedQueue]:
        queues: dict[str, SimulatedQueue] = {}
        for definition in QUEUES.values():
            above = definition.gives_up_to
            impatient = above is not None and self._has(Mishap.IMPATIENCE)
            receives_max = RECEIVES_OF_THE_IMPATIENT if impatient else definition.receives_max
            queues[definition.name] = SimulatedQueue(
                definition=replace(definition, receives_max=receives_max),
                gives_up_to=queues[above.name] if above else None,
                copies=self._copies,
                wanted=self._is_wanted if definition is SHARDS else lambda _: True,
            )
        return queues

    def _is_wanted(self, body: str) -> bool:
        """Say whether a message wakes shards where there is anything at all.

        Those of the other shards would be dispatched in vain sixty times an hour.
        """
        first, end = self.checker.shards_of(body)
        return any(first <= shard < end for shard in self.scenario.shards)

    def _copies(self, queue: str, number: int) -> list[int]:
        now = self.loop.now
        name = (queue, number)
        if queue == "dead-letters":
            return [0]
        if self.faults.strikes(Mishap.MESSAGE_LOST, *name, now=now):
            return []
        delay = self.dice.between(0, 60, "transport", *name)
        if self.faults.strikes(Mishap.MESSAGE_DELAYED, *name, now=now):
            delay += self.dice.between(1, 90, "delayed", *name) * SECOND
        copies = [delay]
        if self.faults.strikes(Mishap.MESSAGE_DOUBLED, *name, now=now):
            longest = 1200 if self.dice.chance(0.3, "long", *name) else 20
            copies.append(self.dice.between(0, longest, "copy", *name) * SECOND)
        return copies

    def _is_delete_lost(self, message: Queued) -> bool:
        name = (message.receipt,)
        return self.faults.strikes(Mishap.DELETE_LOST, *name, now=self.loop.now)

    def _ended(self, invocation: Invocation, ended: Ended) -> None:
        how = "ends" if ended.error is None else f"ends: {ended.error!r}"
        self.trace.add(invocation.name, how)
        self.checker.invocation_ended(invocation, ended)

    def _call_api(self, event: Json, wish: Wish, then: Callable[[Ended], None]) -> None:
        invocation = self.lambdas.invoke(self.functions["api"], event, then)
        self.checker.serves(invocation, wish)

    def _report_to_api(self, event: Json, worker: Worker, then: Callable[[Ended], None]) -> None:
        invocation = self.lambdas.invoke(self.functions["api"], event, then)
        self.workers.serves[invocation] = worker

    # The network

    def client(self, program: Program, service: str, *, config: Any) -> Any:
        """See `Network.client`: one for each version of the code, service and configuration."""
        key = service, repr(sorted(vars(config).items(), key=str))
        if key not in program.clients:
            program.clients[key] = make_client(service, config)
        return program.clients[key]

    def process(self, environment: Environment) -> Process:
        """See `Network.process`."""
        program, function = environment.program, environment.function
        if function.name == "api" and program.spare:
            spare: Process = program.spare.pop()
            return spare
        return Process(program.load(function.handler), function.variables)

    def targets(self, environment: Environment) -> SimulatedTargets:
        """See `Network.targets`."""
        return SimulatedTargets(
            server=self.server,
            witness=self.checker,
            owner=environment,
            loop=self.loop,
            calls=environment.program.module("punctual.core.calls"),
        )

    def exchange(
        self, invocation: Invocation, service: str, operation: str, request: Json
    ) -> Reply:
        """See `Network.exchange`."""
        if service == "secrets-manager":
            return Reply(200, {"SecretString": "0" * 32})
        self.calls += 1
        invocation.calls += 1
        name = f"{invocation.name}/{invocation.calls}"
        site = f"{invocation.environment.function.name} {purpose_of(operation, request)}"
        call = AwsCall(
            name=name,
            site=site,
            invocation=invocation,
            service=service,
            operation=operation,
            request=request,
            at=self.loop.now,
        )
        call.fault = self.faults.of_call(name, site, now=self.loop.now)
        struck = (site, call.fault or "none")
        self.strikes[struck] = self.strikes.get(struck, 0) + 1
        strand = self.loop.running
        assert strand is not None, "an invocation calls"
        assert strand is invocation.strand, "a process calls for itself"
        answer: Reply = strand.wait(lambda wake: self._carry(call, wake))
        return answer

    def _carry(self, call: AwsCall, wake: Wake) -> None:
        """Arrange what becomes of a call."""
        arrives = self.dice.between(2, 12, "latency", call.name)
        after = self.loop.after

        def times_out(*, connected: bool) -> None:
            kind = ReadTimeoutError if connected else ConnectTimeoutError
            error = kind(endpoint_url=ADDRESS)
            wake(lambda: _raise(error))

        def answer(*, in_a_while: int = 0) -> None:
            reply = self._apply(call)
            after(in_a_while, lambda: wake(lambda: reply)) if in_a_while else wake(lambda: reply)

        def fail() -> None:
            self.trace.call(call, None)
            wake(lambda: _failure(call.service))

        def die() -> None:
            self.lambdas.kill(call.invocation)

        match call.fault:
            case None | Fault.PARTIAL:
                after(arrives, answer)
            case Fault.THROTTLED:
                self.trace.call(call, None)
                after(arrives, lambda: wake(lambda: _throttle(call.service)))
            case Fault.FAILED:
                after(arrives, fail)
            case Fault.FAILED_APPLIED:
                after(arrives, lambda: self._apply(call))
                after(arrives, lambda: wake(lambda: _failure(call.service)))
            case Fault.LOST:
                self.trace.call(call, None)
                connects = self.dice.chance(0.7, "connects", call.name)
                pause = READ_TIMEOUT if connects else SECOND
                after(pause, lambda: times_out(connected=connects))
            case Fault.UNANSWERED:
                after(arrives, lambda: self._apply(call))
                after(READ_TIMEOUT, lambda: times_out(connected=True))
            case Fault.LATE:
                self.trace.call(call, None)
                if call.operation in WRITES:
                    later = self.dice.between(1, 300, "late", call.name) * SECOND
                    after(later, lambda: self._apply(call))
                after(READ_TIMEOUT, lambda: times_out(connected=True))
            case Fault.SLOW:
                pause = self.dice.between(100, READ_TIMEOUT - 100, "slow", call.name)
                after(arrives, lambda: answer(in_a_while=pause))
            case Fault.KILLED_BEFORE:
                self.trace.call(call, None)
                after(0, die)
            case Fault.KILLED_AFTER:
                after(arrives, lambda: self._apply(call))
                after(arrives, die)
            case Fault.FROZEN:
                # Any time; mostly until shortly after a lease, when another attempt has begun.
                bounds = self.dice.one_of(FROZEN_SECONDS, "bounds", call.name)
                pause = self.dice.between(*bounds, "frozen", call.name) * SECOND
                call.invocation.environment.was_frozen = True
                call.invocation.environment.frozen_until = self.loop.now + arrives + pause
                if self.dice.chance(0.5, "left", call.name):
                    after(arrives, lambda: answer(in_a_while=pause))
                else:  # it stood still before the call left
                    after(arrives + pause, answer)

    def _apply(self, call: AwsCall) -> Reply:
        """Have the service carry out a call, now."""
        self._writing = call
        self.checker.writer = call
        try:
            reply = self._served(call)
        finally:
            self.checker.writer = None
        self.trace.call(call, reply)
        return reply

    def _served(self, call: AwsCall) -> Reply:
        now = self.loop.now
        partial = call.fault is Fault.PARTIAL
        try:
            if call.service == "sqs":

                def fails(place: int) -> bool:
                    return partial and self.dice.chance(0.5, "entry", call.name, place)

                body = self.queue_service.execute(
                    call.operation, call.request, now=now, fails=fails
                )
            else:

                def busy(address: Address) -> bool:
                    return (
                        partial and self.dice.chance(0.5, "entry", call.name, *address)
                    ) or self._is_hot(address)

                body = self.table.execute(call.operation, call.request, now=now, busy=busy)
                self.facts.update(facts_of(call.operation, call.request, body, None, now=now))
        except Refused as refused:
            found = facts_of(call.operation, call.request, None, refused.item, now=now)
            self.facts.update(found)
            item = {} if refused.item is None else {"Item": refused.item}
            return _error("dynamodb", "ConditionalCheckFailedException", item)
        except Busy:
            return _throttle("dynamodb")
        except Invalid as mistake:
            self.checker.mistake(call, str(mistake))
            return _error(call.service, "ValidationException")
        return Reply(200, body)

    def _is_hot(self, address: Address) -> bool:
        hot = self.scenario.hot
        if hot is None or not hot.begins <= self.loop.now < min(hot.ends, self.scenario.calm_from):
            return False
        return address[0] == hot.partition


def _raise(error: Exception) -> Reply:
    raise error


def _error(service: str, code: str, more: Mapping[str, Any] | None = None) -> Reply:
    prefix = "com.amazonaws.dynamodb.v20120810" if service == "dynamodb" else "com.amazonaws.sqs"
    return Reply(400, {"__type": f"{prefix}#{code}", "message": "simulated", **(more or {})})


def _throttle(service: str) -> Reply:
    if service == "sqs":
        return _error("sqs", "RequestThrottled")
    return _error("dynamodb", "ProvisionedThroughputExceededException")


def _failure(service: str) -> Reply:
    code = "InternalServerError" if service == "dynamodb" else "InternalError"
    return Reply(500, _error(service, code).body)
