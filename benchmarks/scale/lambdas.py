"""Lambda at scale: environments that start cold, and event sources that grow as AWS says."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from greenlet import GreenletExit

from benchmarks.scale.capacity import Bucket
from benchmarks.scale.latencies import Quantiles
from benchmarks.scale.limits import (
    COLD_START,
    ENVIRONMENTS_GROWTH,
    GROWTH_SECONDS,
    MEMORY_OF_A_CPU,
    POLLER_GROWTH,
    POLLER_INVOKES,
    POLLER_RECEIVES,
    QUEUE_REQUEST,
    STANDARD_FORGETS,
    STANDARD_GROWTH,
    STANDARD_MAX,
    STANDARD_START,
)
from benchmarks.scale.queues import ScaleQueue, Sent
from punctual.core.instants import MILLISECOND
from tests.simulation.dice import Dice
from tests.simulation.lambdas import (
    Context,
    Died,
    Ended,
    Environment,
    FunctionDefinition,
    Invocation,
    Network,
)
from tests.simulation.loop import Loop, Strand
from tests.simulation.program import Program

SECOND = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Function(FunctionDefinition):
    """A function as it is deployed."""

    memory_mb: int

    @property
    def cpu(self) -> float:
        """How much of a vCPU it has."""
        return min(1.0, self.memory_mb / MEMORY_OF_A_CPU)


@dataclass(slots=True)
class Usage:
    """What a function has taken so far."""

    invocations: int = 0
    cold: int = 0
    gb_seconds: float = 0.0
    busy: int = 0
    busy_most: int = 0


@dataclass(kw_only=True)
class Service:
    """Lambda: every function of an account."""

    loop: Loop
    chance: Random
    dice: Dice
    network: Network
    program: Program
    concurrency: int
    """Executions at a time, of all functions together."""
    usage: dict[str, Usage] = field(default_factory=dict)
    """By function."""
    failures: Counter[str] = field(default_factory=Counter)
    """Invocations that raised, by what they raised: nothing here should make one."""

    def __post_init__(self) -> None:
        self._free: dict[str, list[Environment]] = {}
        self._growth: dict[str, Bucket] = {}
        self._made = 0
        self._invoked = 0

    @property
    def busy(self) -> int:
        """Executions that are going on."""
        return sum(usage.busy for usage in self.usage.values())

    def has_room(self, function: Function) -> bool:
        """Say whether another execution may begin."""
        if self.busy >= self.concurrency:
            return False
        growth = self._growth_of(function)
        return bool(self._free.get(function.name)) or growth.holds(1, now=self.loop.now)

    def invoke(self, function: Function, event: Any, then: Callable[[Ended], None]) -> None:  # noqa: ANN401
        """Call a function; `then` is called when it has ended."""
        usage = self.usage.setdefault(function.name, Usage())
        free = self._free.setdefault(function.name, [])
        wait = 0
        if free:
            environment = free.pop()
        else:
            self._growth_of(function).take(1, now=self.loop.now)
            environment = self._made_for(function)
            wait = round(COLD_START.draw(self.chance))
            usage.cold += 1
        self._invoked += 1
        usage.invocations += 1
        usage.busy += 1
        usage.busy_most = max(usage.busy_most, usage.busy)
        began_at = self.loop.now + wait
        invocation = Invocation(
            name=f"{function.name}-{self._invoked}",
            environment=environment,
            event=event,
            began_at=began_at,
            deadline=began_at + function.timeout // MILLISECOND,
        )
        environment.invocation = invocation
        asked_at = self.loop.now

        def end(ended: Ended) -> None:
            environment.invocation = None
            usage.busy -= 1
            # The time that a cold start takes is billed too.
            usage.gb_seconds += (self.loop.now - asked_at) / 1000 * function.memory_mb / 1024
            if ended.error is None:
                free.append(environment)
            else:
                self.failures[repr(ended.error)] += 1
            then(ended)

        self.loop.after(wait, lambda: self._begin(invocation, end))

    def _growth_of(self, function: Function) -> Bucket:
        if function.name not in self._growth:
            rate = ENVIRONMENTS_GROWTH / GROWTH_SECONDS
            self._growth[function.name] = Bucket(rate=rate, depth=ENVIRONMENTS_GROWTH)
        return self._growth[function.name]

    def _made_for(self, function: Function) -> Environment:
        self._made += 1
        return Environment(
            f"{function.name}{self._made}",
            function,
            self.program,
            clock=lambda now: now,
            loop=self.loop,
            dice=self.dice,
            network=self.network,
        )

    def _begin(self, invocation: Invocation, end: Callable[[Ended], None]) -> None:
        environment = invocation.environment

        def work() -> None:
            try:
                handler = environment.process.handler.lambda_handler
                ended = Ended(result=handler(invocation.event, Context(invocation, self.loop)))
            except GreenletExit:
                ended = Ended(error=Died("its time was up"))
            except Exception as error:  # noqa: BLE001 - whatever a handler fails with
                ended = Ended(error=error)
            self.loop.after(0, lambda: end(ended))

        strand = invocation.strand = Strand(self.loop, work)
        strand.owner = environment
        self.loop.at(invocation.deadline, strand.kill)
        strand.resume(lambda: None)


class Pollers(Protocol):
    """How many batches an event source takes at a time, and how fast."""

    @property
    def kept(self) -> int:
        """How many pollers are paid for now."""
        ...

    def may_take(self, busy: int, *, now: int) -> bool:
        """Say whether another batch may be received beside `busy` others; it then is."""
        ...

    def free_at(self, busy: int, *, now: int) -> int | None:
        """Return when another batch may be received; None when one that is busy must end first."""
        ...

    def second(self, *, backlog: bool, busy: int, now: int) -> None:
        """Grow or shrink: called every second, with whether messages wait."""
        ...


class Standard:
    """Pollers as they come: few at first, and more each second as long as messages wait."""

    kept = 0
    """They are free."""

    def __init__(self, *, most: int = STANDARD_MAX) -> None:
        self._most = min(most, STANDARD_MAX)
        self.at_a_time = float(STANDARD_START)
        self._idle_since: int | None = None

    def may_take(self, busy: int, *, now: int) -> bool:  # noqa: ARG002
        """See `Pollers.may_take`."""
        return busy < int(self.at_a_time)

    def free_at(self, busy: int, *, now: int) -> int | None:
        """See `Pollers.free_at`."""
        return now if busy < int(self.at_a_time) else None

    def second(self, *, backlog: bool, busy: int, now: int) -> None:
        """See `Pollers.second`."""
        if backlog:
            self.at_a_time = min(self.at_a_time + STANDARD_GROWTH, self._most)
        if backlog or busy:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        elif now - self._idle_since >= STANDARD_FORGETS:
            self.at_a_time = float(STANDARD_START)


class Provisioned:
    """Pollers kept ready, and more each second as long as messages wait."""

    def __init__(self, *, least: int, most: int) -> None:
        self._most = most
        self._count = float(least)
        self._receives = Bucket(rate=least * POLLER_RECEIVES, depth=least)

    @property
    def kept(self) -> int:
        """See `Pollers.kept`."""
        return int(self._count)

    def may_take(self, busy: int, *, now: int) -> bool:
        """See `Pollers.may_take`."""
        return busy < self.kept * POLLER_INVOKES and self._receives.take(1, now=now)

    def free_at(self, busy: int, *, now: int) -> int | None:
        """See `Pollers.free_at`."""
        if busy >= self.kept * POLLER_INVOKES:
            return None
        return max(now + 1, -int(-self._receives.free_at(1, now=now) // 1))

    def second(self, *, backlog: bool, busy: int, now: int) -> None:  # noqa: ARG002
        """See `Pollers.second`."""
        if backlog:
            self._count = min(self._count + POLLER_GROWTH, self._most)
            self._receives.rate = self.kept * POLLER_RECEIVES
            self._receives.depth = self.kept


class EventSource:
    """What receives from a queue, calls a function, and deletes what it does not hand back."""

    def __init__(
        self,
        *,
        loop: Loop,
        chance: Random,
        service: Service,
        function: Function,
        queue: ScaleQueue,
        batch: int,
        pollers: Pollers,
        delivery: Quantiles,
    ) -> None:
        """Bind a source.

        Args:
            loop: Where time passes.
            chance: Draws latencies.
            service: Lambda.
            function: What is called.
            queue: What is received from.
            batch: Messages of one call at most.
            pollers: How many calls at a time, and how fast they begin.
            delivery: How long it takes from a visible message to the function's first line.
        """
        self._loop = loop
        self._chance = chance
        self._service = service
        self._function = function
        self._queue = queue
        self._batch = batch
        self._pollers = pollers
        self._delivery = delivery
        self._busy = 0
        """Batches that are asked for, carried out or being deleted."""
        self._asked = 0
        """Of those, the ones that are asked for: each takes up to a batch of what is visible."""
        self._looks_at: int | None = None
        queue.arrived = self._arrived
        loop.after(SECOND, self._second)

    def _arrived(self, at: int) -> None:
        """Look for messages when one is there, unless that is arranged already."""
        at = max(at, self._loop.now)
        if self._looks_at is None or at < self._looks_at:
            self._looks_at = at
            self._loop.at(at, lambda: self._look() if self._looks_at == at else None)

    def _second(self) -> None:
        now = self._loop.now
        waiting = self._queue.waiting(now)
        self._pollers.second(backlog=waiting > 0, busy=self._busy, now=now)
        self._loop.after(SECOND, self._second)
        self._look()

    def _look(self) -> None:
        """Ask for as many batches as there are messages for, and as pollers are free for."""
        now = self._loop.now
        self._looks_at = None
        while (
            self._queue.waiting(now) > self._asked * self._batch
            and self._service.has_room(self._function)
            and self._pollers.may_take(self._busy, now=now)
        ):
            self._ask()
        following = self._queue.next_at()
        if self._queue.waiting(now) > self._asked * self._batch:
            free_at = self._pollers.free_at(self._busy, now=now)
            if free_at is not None and free_at > now:
                following = min(following or free_at, free_at)
        if following is not None:
            self._arrived(following)

    def _ask(self) -> None:
        """Receive a batch in a moment, and have it delivered a moment later."""
        self._busy += 1
        self._asked += 1
        takes = self._delivery.draw(self._chance)
        self._loop.after(round(takes / 2), lambda: self._receive(round(takes / 2)))

    def _receive(self, delivery: int) -> None:
        self._asked -= 1
        messages = self._queue.receive(limit=self._batch, now=self._loop.now)
        if not messages:
            self._busy -= 1
            return
        self._loop.after(delivery, lambda: self._invoke(messages))

    def _invoke(self, messages: Sequence[Sent]) -> None:
        if not self._service.has_room(self._function):
            self._loop.after(SECOND, lambda: self._invoke(messages))
            return
        records = [
            {
                "messageId": str(message.number),
                "receiptHandle": message.receipt,
                "body": message.body,
                "attributes": {"ApproximateReceiveCount": str(message.receives)},
                "eventSource": "aws:sqs",
            }
            for message in messages
        ]
        receipts = {record["messageId"]: str(record["receiptHandle"]) for record in records}

        def then(ended: Ended) -> None:
            if ended.error is None:
                failures = (ended.result or {"batchItemFailures": []})["batchItemFailures"]
                for failure in failures:
                    receipts.pop(failure["itemIdentifier"], None)
                pause = round(QUEUE_REQUEST.draw(self._chance))
                self._loop.after(pause, lambda: self._settle(list(receipts.values())))
            else:
                self._settle([])

        self._service.invoke(self._function, {"Records": records}, then)

    def _settle(self, receipts: Sequence[str]) -> None:
        self._queue.delete(receipts)
        self._busy -= 1
        self._look()
