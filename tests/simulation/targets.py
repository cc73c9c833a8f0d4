"""The systems that jobs call, and what fills the `Targets` port in their direction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from punctual.core.instants import MILLISECOND
from tests.simulation.dice import Dice
from tests.simulation.loop import Loop, Wake


class Manner(StrEnum):
    """How a target deals with one call."""

    FAST = "fast"
    SLOW = "slow"
    BUSY = "503"
    TOO_MANY = "429"
    """With a Retry-After."""
    REJECTS = "422"
    REFUSES = "no connection"
    HANGS = "hangs"
    BREAKS_OFF = "breaks off"
    """It does its work, and the answer is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Something that happened in the target's own world."""

    at: int
    key: str
    run_id: str
    attempt: int


class Witness(Protocol):
    """Sees what leaves and what comes back."""

    def call_launched(self, owner: object, call: Any) -> None:
        """A call leaves."""
        ...

    def call_over(self, call: Any, how: str) -> None:
        """Nobody waits for this call's answer any more."""
        ...


@dataclass(kw_only=True)
class TargetServer:
    """Every target of a seed; they behave alike."""

    loop: Loop
    dice: Dice
    manners: Mapping[Manner, float]
    """How often what happens; the rest is fast."""
    calm_from: int
    honours_keys: bool
    effects: list[Effect] = field(default_factory=list)
    accept: Callable[[Any], None] = lambda _: None
    """Told of every call that arrives and whose target is to report back."""

    def __post_init__(self) -> None:
        self._seen: set[str] = set()
        self._calls = 0

    def answer_to(self, call: Any) -> "Exchange":
        """Decide what becomes of a call that leaves now."""
        self._calls += 1
        name = f"{call.run_id}/{call.attempt}/{self._calls}"
        manner = self._manner(name)
        latency = self.dice.between(5, 40, "latency", name)
        work = self.dice.between(1000, 28_000, "work", name) if manner is Manner.SLOW else latency
        reaches = manner is not Manner.REFUSES
        headers = {key.lower(): value for key, value in call.headers}
        exchange = Exchange(call=call, manner=manner, ends_after=latency + work)
        if reaches:
            self.loop.after(latency, lambda: self._arrive(exchange, headers["idempotency-key"]))
        return exchange

    def _manner(self, name: str) -> Manner:
        if self.loop.now < self.calm_from:
            draw = self.dice.draw("manner", name)
            for manner, rate in self.manners.items():
                draw -= rate
                if draw < 0:
                    return manner
        return Manner.FAST

    def _arrive(self, exchange: "Exchange", key: str) -> None:
        """Do what the call asks for, unless it was withdrawn or the target refuses it."""
        if exchange.withdrawn or exchange.manner in {
            Manner.BUSY,
            Manner.TOO_MANY,
            Manner.REJECTS,
        }:
            return
        call = exchange.call
        if any(name.lower() == "punctual-callback-token" for name, _ in call.headers):
            self.accept(call)
        if self.honours_keys and key in self._seen:
            return
        self._seen.add(key)
        self.effects.append(
            Effect(at=self.loop.now, key=key, run_id=call.run_id, attempt=call.attempt)
        )


@dataclass(eq=False, kw_only=True)
class Exchange:
    """One call and its answer."""

    call: Any
    manner: Manner
    ends_after: int
    withdrawn: bool = False
    """Closed by us before it was answered."""
    over: bool = False


class SimulatedTargets:
    """Fills `Targets` for one process."""

    def __init__(
        self, *, server: TargetServer, witness: Witness, owner: object, loop: Loop, calls: Any
    ) -> None:
        """Bind the port.

        Args:
            server: Where calls go.
            witness: Sees them leave.
            owner: The process, for the witness.
            loop: Where time passes.
            calls: The module `punctual.core.calls` of the process's version of the code.
        """
        self._server = server
        self._witness = witness
        self._owner = owner
        self._loop = loop
        self._calls = calls
        self._open: dict[int, Exchange] = {}
        self._answers: list[tuple[Any, Any]] = []
        self._wake: Wake | None = None

    def launch(self, calls: Sequence[Any]) -> None:
        """See `Targets.launch`."""
        for call in calls:
            self._witness.call_launched(self._owner, call)
            exchange = self._server.answer_to(call)
            self._open[id(call)] = exchange
            timeout = call.timeout // MILLISECOND
            if exchange.manner is Manner.HANGS or exchange.ends_after > timeout:
                self._loop.after(timeout, self._ending(exchange, "timeout"))
            else:
                self._loop.after(exchange.ends_after, self._ending(exchange, exchange.manner))

    def collect(self, *, wait: timedelta) -> Sequence[tuple[Any, Any]]:
        """See `Targets.collect`."""
        if not self._answers and wait > timedelta(0):
            strand = self._loop.running
            assert strand is not None, "only an invocation waits"
            milliseconds = -(-wait // MILLISECOND)
            until = self._loop.now + milliseconds

            def arrange(wake: Wake) -> None:
                self._wake = wake
                self._loop.at(until, lambda: wake(lambda: None))

            strand.wait(arrange)
            self._wake = None
        answers, self._answers = self._answers, []
        return answers

    def abort(self, call: Any, *, leave: bool = False) -> None:  # noqa: ARG002
        """See `Targets.abort`."""
        exchange = self._open.get(id(call))
        if exchange is not None and not exchange.over:
            exchange.withdrawn = True
            self._end(exchange, "aborted")

    def disappear(self) -> None:
        """Close every connection without anybody's doing: the process died."""
        for exchange in self._open.values():
            if not exchange.over:
                exchange.over = True
                self._witness.call_over(exchange.call, "died")
        self._open.clear()

    def _ending(self, exchange: Exchange, how: str) -> Callable[[], None]:
        return lambda: self._end(exchange, how)

    def _end(self, exchange: Exchange, how: str) -> None:
        if exchange.over:
            return
        exchange.over = True
        self._open.pop(id(exchange.call), None)
        self._witness.call_over(exchange.call, how)
        self._answers.append((exchange.call, self._answer(how)))
        if self._wake is not None:
            wake, self._wake = self._wake, None
            wake(lambda: None)

    def _answer(self, how: str) -> Any:
        match how:
            case Manner.FAST | Manner.SLOW:
                return self._calls.Answer(
                    status_code=200,
                    content_type="application/json",
                    body=b'{"ok":true}',
                    body_bytes=11,
                )
            case Manner.BUSY:
                return self._calls.Answer(status_code=503)
            case Manner.TOO_MANY:
                return self._calls.Answer(status_code=429, retry_after="90")
            case Manner.REJECTS:
                return self._calls.Answer(status_code=422)
            case "timeout":
                return self._failed(self._calls.ErrorType.TIMEOUT)
            case "aborted":
                return self._failed(self._calls.ErrorType.ABORTED)
            case _:
                return self._failed(self._calls.ErrorType.CONNECTION)

    def _failed(self, error: Any) -> Any:
        return self._calls.Answer(error=self._calls.CallError(type=error, message="simulated"))
