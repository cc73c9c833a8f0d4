"""What may go wrong, how often in this seed, and what did."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tests.simulation.dice import Dice


class Fault(StrEnum):
    """What may happen to one call of AWS."""

    THROTTLED = "throttled"
    PARTIAL = "partial"
    """Some entries of a batch fail for load."""
    FAILED = "failed"
    """A 500; nothing was done."""
    FAILED_APPLIED = "failed, applied"
    """A 500, though it was done."""
    LOST = "lost"
    """No answer; nothing was done."""
    UNANSWERED = "unanswered"
    """No answer, though it was done."""
    LATE = "late"
    """No answer; it is done seconds or minutes later, when nobody expects it any more."""
    SLOW = "slow"
    """It is done, and the answer takes long."""
    KILLED_BEFORE = "killed before"
    """The process dies before the call leaves."""
    KILLED_AFTER = "killed after"
    """The process dies after the call was done."""
    FROZEN = "frozen"
    """The process stands still after the call, and goes on when others believe it dead."""


class Mishap(StrEnum):
    """What may happen outside of calls."""

    TICK_LOST = "tick lost"
    TICK_DOUBLED = "tick doubled"
    TICK_LATE = "tick late"
    TICKS_STOP = "ticks stop"
    """None for a long while."""
    MESSAGE_LOST = "message lost"
    MESSAGE_DOUBLED = "message doubled"
    MESSAGE_DELAYED = "message delayed"
    DELETE_LOST = "delete lost"
    """A message that was dealt with comes again."""
    HOT_PARTITION = "hot partition"
    INDEX_LAG = "index lag"
    SMALL_PAGES = "small pages"
    CLOCKS_APART = "clocks apart"
    """Within the bound that P2 needs."""
    CLOCKS_FAR_APART = "clocks far apart"
    """Beyond it: all but P2 must hold still."""
    POISON = "poison"
    """Bodies that nobody wrote, and a job that cannot be read."""
    IMPATIENCE = "impatience"
    """Queues give up on a message after a few deliveries."""
    PURGED = "purged"
    """A queue loses all that it holds, at once."""
    REDRIVEN = "redriven"
    """Dead letters are sent round again; and every message, long after its run was forgotten."""
    TWO_VERSIONS = "two versions"
    """Some hosts run another version of the code."""
    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost"
    """Of a user's request to the API."""


Kind = Fault | Mishap


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    """A call site that a seed picks on."""

    site: str
    fault: Fault
    rate: float
    times_max: int | None = None
    """How often it strikes at most; None for any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How often what happens in one seed; what is not named never does."""

    rates: Mapping[Kind, float]
    focuses: tuple[Focus, ...] = ()


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that struck."""

    name: str
    """The same in every run of the seed, so that it can be left out."""
    kind: Kind


CALM = Profile(rates={})


@dataclass(kw_only=True)
class Faults:
    """Decides by dice what strikes, and keeps a list of it."""

    dice: Dice
    profile: Profile
    calm_from: int
    """Nothing strikes from this instant on."""
    only: frozenset[str] | None = None
    """If given, nothing strikes whose name is not in it."""
    struck: list[Struck] = field(default_factory=list)
    tell: Callable[[str], None] = lambda _: None
    """Called with what went wrong outside of calls, in words; calls tell of their own faults."""

    def __post_init__(self) -> None:
        self._focused: Counter[Focus] = Counter()
        self._calls = [
            (fault, rate) for fault, rate in self.profile.rates.items() if isinstance(fault, Fault)
        ]

    def of_call(self, name: str, site: str, *, now: int) -> Fault | None:
        """Return what happens to a call."""
        if now >= self.calm_from:
            return None
        for focus in self.profile.focuses:
            if focus.site != site or self._focused[focus] == focus.times_max:
                continue
            if self.strikes(focus.fault, name, now=now, rate=focus.rate):
                self._focused[focus] += 1
                return focus.fault
        draw = self.dice.draw("call", name)
        for fault, rate in self._calls:
            draw -= rate
            if draw < 0:
                return fault if self._strike(fault, name) else None
        return None

    def strikes(self, kind: Kind, *name: object, now: int, rate: float | None = None) -> bool:
        """Say whether something happens to what is named so."""
        if now >= self.calm_from:
            return False
        probability = self.profile.rates.get(kind, 0.0) if rate is None else rate
        text = " ".join(map(str, name))
        return self.dice.chance(probability, kind, text) and self._strike(kind, text)

    def _strike(self, kind: Kind, name: str) -> bool:
        struck = Struck(f"{kind}: {name}", kind)
        if self.only is not None and struck.name not in self.only:
            return False
        self.struck.append(struck)
        if isinstance(kind, Mishap):
            self.tell(f"⚡ {struck.name}")
        return True
