"""What happened, counted: how late calls left, and how much there was to do."""

from array import array
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from punctual.core.identity import parse_run_id
from punctual.core.instants import epoch_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One second of the backlog."""

    at: int
    """Milliseconds since 1970."""
    waiting: int
    """Messages that nobody has received yet."""
    in_flight: int
    executors: int
    called: int
    """Calls that left since the moment before."""


@dataclass(kw_only=True)
class Tally:
    """Lateness of the calls whose slots lie within the measured time; all in milliseconds."""

    since: int
    """The first slot that counts."""
    until: int
    """The first that does not count any more."""
    lateness: "array[int]" = field(default_factory=lambda: array("i"))
    slots: "array[int]" = field(default_factory=lambda: array("i"))
    """Of each call in `lateness`, its slot: milliseconds after `since`."""
    early: int = 0
    """Calls that left before their slot: there must be none."""
    repeated: int = 0
    """Calls of a second or later attempt: without faults there is none."""
    calls: int = 0
    """Of any slot."""
    moments: list[Moment] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._slots: dict[str, int] = {}
        self._calls_before = 0

    def called(self, call: Any, at: int) -> None:  # noqa: ANN401 - of the code under test
        """Take in a call that leaves."""
        self.calls += 1
        slot = self._slot_of(call.tenant, call.run_id)
        self.repeated += call.attempt > 1
        if self.since <= slot < self.until:
            self.early += at < slot
            self.lateness.append(at - slot)
            self.slots.append(slot - self.since)

    def _slot_of(self, tenant: str, run_id: str) -> int:
        name = run_id.rpartition(".")[2]
        slot = self._slots.get(name)
        if slot is None:
            named = parse_run_id(tenant, run_id).slot
            assert isinstance(named, datetime), "a scheduled run has a slot"
            slot = self._slots[name] = epoch_ms(named)
        return slot

    def second(self, *, now: int, waiting: int, in_flight: int, executors: int) -> None:
        """Note down how much there is to do; asked once a second."""
        self.moments.append(
            Moment(
                at=now,
                waiting=waiting,
                in_flight=in_flight,
                executors=executors,
                called=self.calls - self._calls_before,
            )
        )
        self._calls_before = self.calls
