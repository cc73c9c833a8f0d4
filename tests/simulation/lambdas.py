"""AWS Lambda: functions, their execution environments, and the event sources that feed them.

An environment is a machine of its own: it loads the code afresh, keeps what it made from one
invocation to the next, has a clock that may be wrong, and can die or freeze at any call.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from botocore.retries import quota
from greenlet import GreenletExit

from punctual.core.instants import MILLISECOND, from_epoch_ms
from tests.simulation.clients import Reply
from tests.simulation.dice import Dice
from tests.simulation.loop import Loop, Strand
from tests.simulation.program import Loaded, Program
from tests.simulation.queues import Queued, SimulatedQueue

Json = dict[str, Any]

ZOMBIE_LIFE = timedelta(seconds=20)
"""How long a process that was frozen past its time goes on when it wakes up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionDefinition:
    """What a function is deployed with."""

    name: str
    handler: str
    """The module, such as `functions.tick.handler`."""
    timeout: timedelta
    variables: Mapping[str, str]
    concurrency: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How an invocation ended: with a result, or with an error that says how it failed."""

    result: Any = None
    error: BaseException | None = None


class Died(Exception):
    """The process is gone, or its time was up."""


class Network(Protocol):
    """What environments need of the world around them."""

    def exchange(
        self, invocation: "Invocation", service: str, operation: str, request: Json
    ) -> Reply:
        """Answer an AWS call of an invocation."""
        ...

    def process(self, environment: "Environment") -> "Process":
        """Return a process for an environment."""
        ...

    def targets(self, environment: "Environment") -> Any:
        """Return what fills the `Targets` port of an environment."""
        ...

    def client(self, program: Program, service: str, *, config: Any) -> Any:
        """Return a client of an AWS service, as `make_client` does."""
        ...


class Context:
    """Lambda's context object, as far as handlers look at it."""

    function_name = "simulated"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:eu-central-1:000000000000:function:simulated"

    def __init__(self, invocation: "Invocation", loop: Loop) -> None:
        self.aws_request_id = invocation.name
        self._invocation = invocation
        self._loop = loop

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self._invocation.deadline - self._loop.now)


@dataclass(eq=False, kw_only=True)
class Invocation:
    """One call of a function."""

    name: str
    environment: "Environment"
    event: Any
    began_at: int
    deadline: int
    strand: Strand | None = None
    calls: int = 0
    """AWS calls so far."""
    ended: bool = False
    """Whether the service is done with it, though a frozen process may yet go on."""


class Environment:
    """One execution environment; also the host that clients and ports act for."""

    def __init__(
        self,
        name: str,
        function: FunctionDefinition,
        program: Program,
        *,
        clock: Callable[[int], int],
        loop: Loop,
        dice: Dice,
        network: Network,
    ) -> None:
        self.name = name
        self.function = function
        self.program = program
        self.retry_quota = quota.RetryQuota()
        self.frozen_until = 0
        """The process stands still until then, whatever the service believes."""
        self.was_frozen = False
        self.invocation: Invocation | None = None
        self.clock = clock
        """What it shows at an instant of virtual time."""
        self._loop = loop
        self._dice = dice
        self._network = network
        self._drawn = 0
        self.targets = network.targets(self)
        self._process: Process | None = None

    @property
    def process(self) -> "Process":
        """The process, which begins with the first invocation."""
        if self._process is None:
            self._process = self._network.process(self)
            self._process.host = self
        return self._process

    def client(self, service: str, *, config: Any) -> Any:
        """Return a client of an AWS service, as `make_client` does."""
        return self._network.client(self.program, service, config=config)

    def release(self) -> "Process | None":
        """Give the process away, if one has begun."""
        process, self._process = self._process, None
        return process

    @property
    def now(self) -> int:
        """What the clock shows, in milliseconds since 1970."""
        return self.clock(self._loop.now)

    def sleep(self, milliseconds: int) -> None:
        """See `Host.sleep`."""
        strand = self._loop.running
        assert strand is not None, "only an invocation sleeps"
        strand.sleep(max(0, milliseconds))

    def draw(self) -> float:
        """See `Host.draw`."""
        self._drawn += 1
        return self._dice.draw("draw", self.name, self._drawn)

    def token(self) -> str:
        """Return a token that says who made it."""
        self._drawn += 1
        return f"{self.name}.{self._drawn}"

    def exchange(self, service: str, operation: str, request: Json) -> Reply:
        """See `Host.exchange`."""
        assert self.invocation is not None, "only an invocation calls"
        return self._network.exchange(self.invocation, service, operation, request)


class Process:
    """The code as one environment has loaded it, wired to whatever host it runs on.

    Most run on one host for their life. Those that keep nothing of what they did may go on to
    another, which saves their long start.
    """

    host: Environment

    def __init__(self, loaded: Loaded, variables: Mapping[str, str]) -> None:
        """Give the composition roots the host's clock, chance, network and variables."""
        self.handler = loaded.handler
        own = {
            "clock": _Clock(self),
            "chance": _Chance(self),
            "make_client": self._client,
            "targets": lambda: self.host.targets,
        }
        for root in loaded.wirings:
            for name, thing in list(vars(root).items()):
                if name in own:
                    setattr(root, name, own[name])
                elif name.endswith("Settings"):
                    setattr(root, name, _Told(thing, variables))

    def _client(self, service: str, *, config: Any) -> Any:
        return self.host.client(service, config=config)


class _Clock:
    """Fills `Clock` with the host's, which may be wrong."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def now(self) -> datetime:
        return from_epoch_ms(self._process.host.now)

    def sleep(self, duration: timedelta) -> None:
        if duration > timedelta(0):
            self._process.host.sleep(-(-duration // MILLISECOND))


class _Chance:
    """Fills `Chance` with the host's."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def token(self) -> str:
        return self._process.host.token()

    def draw(self) -> float:
        return self._process.host.draw()


class _Told:
    """Settings that are read from a function's own variables, not from this process's."""

    def __init__(self, settings: Any, variables: Mapping[str, str]) -> None:
        self._settings = settings
        self._variables = variables

    def from_env(self) -> Any:
        return self._settings.from_env(self._variables)


@dataclass(kw_only=True)
class Lambda:
    """The service."""

    loop: Loop
    dice: Dice
    network: Network
    programs: Sequence[Program]
    """The versions of the code that are deployed; environments get one at random."""
    clock: Callable[[str], Callable[[int], int]]
    """Makes the clock of an environment, by its name: what it shows at an instant."""
    ended: Callable[[Invocation, Ended], None]
    """Called with every end of an invocation, a late one of a frozen process included."""
    environments: dict[str, list[Environment]] = field(default_factory=dict)
    """By function."""

    def __post_init__(self) -> None:
        self._made: dict[str, int] = {}
        self._invoked: dict[str, int] = {}
        self.invocations: list[Invocation] = []
        self.all_environments: list[Environment] = []

    def has_room(self, function: FunctionDefinition) -> bool:
        """Say whether another invocation may begin."""
        busy = [e for e in self.environments.get(function.name, ()) if e.invocation is not None]
        return len(busy) < function.concurrency

    def invoke(
        self, function: FunctionDefinition, event: Any, then: Callable[[Ended], None]
    ) -> Invocation:
        """Call a function; `then` is called once, when the service knows how that ended."""
        cold = not any(e.invocation is None for e in self.environments.get(function.name, ()))
        environment = self._free(function)
        number = self._invoked[function.name] = self._invoked.get(function.name, 0) + 1
        name = f"{function.name}-{number}"
        wait = self.dice.between(100, 400, "cold", name) if cold else 0
        invocation = Invocation(
            name=name,
            environment=environment,
            event=event,
            began_at=self.loop.now + wait,
            deadline=self.loop.now + wait + _ms(function.timeout),
        )
        environment.invocation = invocation
        self.invocations.append(invocation)

        def end(ended: Ended) -> None:
            self.ended(invocation, ended)
            if not invocation.ended:
                invocation.ended = True
                if isinstance(ended.error, Died):
                    self._remove(environment)
                else:
                    environment.invocation = None
                then(ended)

        self.loop.after(wait, lambda: self._begin(invocation, end))
        return invocation

    def _free(self, function: FunctionDefinition) -> Environment:
        environments = self.environments.setdefault(function.name, [])
        for environment in environments:
            if environment.invocation is None:
                return environment
        number = self._made[function.name] = self._made.get(function.name, 0) + 1
        name = f"{function.name}{number}"
        environment = Environment(
            name,
            function,
            self.dice.one_of(self.programs, "version", name),
            clock=self.clock(name),
            loop=self.loop,
            dice=self.dice,
            network=self.network,
        )
        environments.append(environment)
        self.all_environments.append(environment)
        return environment

    def _begin(self, invocation: Invocation, end: Callable[[Ended], None]) -> None:
        environment = invocation.environment

        def work() -> None:
            try:
                handler = environment.process.handler.lambda_handler
                ended = Ended(result=handler(invocation.event, Context(invocation, self.loop)))
            except GreenletExit:
                ended = Ended(error=Died("killed"))
            except Exception as error:  # noqa: BLE001 - whatever a handler fails with
                ended = Ended(error=error)
            self.loop.after(0, lambda: end(ended))

        invocation.strand = Strand(self.loop, work)
        invocation.strand.owner = environment
        self.loop.at(invocation.deadline, lambda: self._time_is_up(invocation, end))
        invocation.strand.resume(lambda: None)

    def _time_is_up(self, invocation: Invocation, end: Callable[[Ended], None]) -> None:
        if invocation.strand is None or invocation.strand.over:
            return
        if not invocation.ended:
            end(Ended(error=Died("its time was up")))
        if invocation.environment.frozen_until > self.loop.now:
            # A zombie: it wakes up when others have its work, and dies a little later.
            zombie_until = invocation.environment.frozen_until + _ms(ZOMBIE_LIFE)
            self.loop.at(zombie_until, lambda: self.kill(invocation))
        else:
            self.kill(invocation)

    def kill(self, invocation: Invocation) -> None:
        """Kill the process that an invocation runs in."""
        if invocation.strand is not None and not invocation.strand.over:
            invocation.strand.kill()
            invocation.environment.targets.disappear()

    def _remove(self, environment: Environment) -> None:
        environments = self.environments[environment.function.name]
        if environment in environments:
            environments.remove(environment)


@dataclass(kw_only=True)
class EventSource:
    """What receives from a queue and calls a function with what it received.

    It deletes what the function does not hand back; whatever else happens, the messages return when
    their visibility ends.
    """

    loop: Loop
    dice: Dice
    service: Lambda
    function: FunctionDefinition
    queue: SimulatedQueue
    batch: int
    deleted: Callable[[SimulatedQueue, Queued, Invocation], None]
    """Called with every message that is about to be deleted, and who dealt with it."""
    keeps: Callable[[Queued], bool] = lambda _: False
    """Whether the delete of a message is lost."""

    def __post_init__(self) -> None:
        self.queue.arrived = self._arrived
        self._polls_at: int | None = None
        self._polls = 0

    def _arrived(self, at: int) -> None:
        """Look for messages soon after one is there."""
        at = max(at, self.loop.now)
        if self._polls_at is None or at < self._polls_at:
            self._polls_at = at
            self._polls += 1
            pause = self.dice.between(2, 40, "poll", self.function.name, self._polls)
            self.loop.at(at + pause, lambda: self._poll(at))

    def _poll(self, at: int) -> None:
        if self._polls_at != at:
            return  # an earlier poll was arranged since
        self._polls_at = None
        now = self.loop.now
        while self.service.has_room(self.function):
            messages = self.queue.receive(limit=self.batch, now=now)
            if not messages:
                break
            self._invoke(messages)
        following = self.queue.next_visible_at()
        if following is not None:
            # What is there already waits for room, or for its group.
            self._arrived(following if following > now else now + 1000)

    def _invoke(self, messages: Sequence[Queued]) -> None:
        records = [
            {
                "messageId": message.message_id,
                "receiptHandle": message.receipt,
                "body": message.body,
                "attributes": {"ApproximateReceiveCount": str(message.receives)},
                "eventSource": "aws:sqs",
            }
            for message in messages
        ]
        received = [(m, m.receipt, m.message_id) for m in messages if m.receipt is not None]

        def then(ended: Ended) -> None:
            if ended.error is None:
                answer = ended.result or {"batchItemFailures": []}
                failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
                for message, receipt, message_id in received:
                    if message_id not in failed and message.receipt == receipt:
                        self._delete(message, receipt, invocation)
            self._arrived(self.loop.now)

        invocation = self.service.invoke(self.function, {"Records": records}, then)

    def _delete(self, message: Queued, receipt: str, invocation: Invocation) -> None:
        self.deleted(self.queue, message, invocation)
        if not self.keeps(message):
            self.queue.delete(receipt)


def _ms(duration: timedelta) -> int:
    return duration // MILLISECOND
