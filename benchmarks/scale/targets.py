"""What jobs call: targets that answer well, and fill the `Targets` port for one environment."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from typing import Any

from benchmarks.scale.latencies import LogNormal
from punctual.core.instants import MILLISECOND
from tests.simulation.loop import Loop, Wake

Called = Callable[[Any, int], None]
"""Told of each call, and when it left."""


class ScaleTargets:
    """Fills `Targets`."""

    def __init__(
        self,
        *,
        loop: Loop,
        chance: Random,
        latency: LogNormal,
        cpu_ms: float,
        calls: Any,  # noqa: ANN401 - a module of the code under test
        called: Called,
    ) -> None:
        """Bind the port.

        Args:
            loop: Where time passes.
            chance: Draws latencies.
            latency: How long a target takes to answer.
            cpu_ms: What the environment takes until one call has left; calls leave one by one.
            calls: The module `punctual.core.calls` as the environment has loaded it.
            called: Told of each call.
        """
        self._loop = loop
        self._chance = chance
        self._latency = latency
        self._cpu_ms = cpu_ms
        self._ok = calls.Answer(
            status_code=200,
            content_type="application/json",
            body=b'{"ok":true}',
            body_bytes=11,
        )
        timeout = calls.CallError(type=calls.ErrorType.TIMEOUT, message="no answer in time")
        self._timeout = calls.Answer(error=timeout)
        self._called = called
        self._answers: list[tuple[Any, Any]] = []
        self._wake: Wake | None = None

    def launch(self, calls: Sequence[Any]) -> None:
        """See `Targets.launch`."""
        for place, call in enumerate(calls, start=1):
            leaves = round(place * self._cpu_ms)
            self._called(call, self._loop.now + leaves)
            takes = round(self._latency.draw(self._chance))
            longest = call.timeout // MILLISECOND
            answer = self._ok if takes <= longest else self._timeout
            self._answer_in(leaves + min(takes, longest), call, answer)

    def _answer_in(self, milliseconds: int, call: Any, answer: Any) -> None:  # noqa: ANN401
        self._loop.after(milliseconds, lambda: self._end(call, answer))

    def _end(self, call: Any, answer: Any) -> None:  # noqa: ANN401
        self._answers.append((call, answer))
        if self._wake is not None:
            wake, self._wake = self._wake, None
            wake(lambda: None)

    def collect(self, *, wait: timedelta) -> Sequence[tuple[Any, Any]]:
        """See `Targets.collect`."""
        if not self._answers and wait > timedelta(0):
            strand = self._loop.running
            assert strand is not None, "only an invocation waits"
            until = self._loop.now - (-wait // MILLISECOND)

            def arrange(wake: Wake) -> None:
                self._wake = wake
                self._loop.at(until, lambda: wake(lambda: None))

            strand.wait(arrange)
            self._wake = None
        answers, self._answers = self._answers, []
        return answers

    def abort(self, call: Any, *, leave: bool = False) -> None:  # noqa: ANN401, ARG002
        """See `Targets.abort`: nobody cancels here, and no attempt outlives its executor."""
        raise AssertionError(f"{call} is to go on")

    def disappear(self) -> None:
        """Forget what is going on: the process died."""
        self._answers.clear()
