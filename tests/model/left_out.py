"""One late slot that one visit leaves out while another hands it over, and its executor.

Each of them takes one step at a time and may die before the next, and a write may get no answer and
arrive at any time after. The job stays due until a claim passes the slot: then the next tick makes
another visit, which leaves the slot out, too. At the end the slot is either run or left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Rule(StrEnum):
    """How what is left out is recorded; all but the first are broken."""

    SETTLED = "announced, and settled"
    AT_ONCE = "counts from its arrival"
    DELETED = "counts from its arrival; a visit that then finds a run deletes it"


@dataclass(frozen=True, slots=True)
class Protocol:
    """What visits and executors do."""

    rule: Rule = Rule.SETTLED
    looks_again: bool = True
    """Whether a visit looks for runs once its record is written, and goes no further if it finds
    one."""
    withdraws: bool = True
    """Whether an executor withdraws what is announced of its slot."""


class Record(NamedTuple):
    """What is written of a slot that is left out."""

    by: int
    """Whose announcement it is; 0 once it counts."""


COUNTS = Record(0)


class Visit(NamedTuple):
    """A visit and its next step."""

    number: int
    """0 for the one that hands the slot over."""
    next: str
    begun: bool = False
    """Whether it found a run that has begun."""


class Late(NamedTuple):
    """A write that nobody waits for any more."""

    what: str
    by: int


class State(NamedTuple):
    """What is stored, and what is going on."""

    row: str = "none"
    """none, queued, running, dead (its attempt is) or ended."""
    record: Record | None = None
    passed: bool = False
    """Whether a claim has passed the slot."""
    watched: bool = False
    sent: bool = False
    called: bool = False
    executor: str = ""
    """Its next step; empty while there is none."""
    visits: tuple[Visit, ...] = (Visit(0, "watch"), Visit(1, "look"))
    late: tuple[Late, ...] = ()
    faults: int = 0


class LeftOut:
    """Fills `Model`."""

    def __init__(self, protocol: Protocol | None = None, *, faults: int = 0) -> None:
        self._protocol = protocol or Protocol()
        self.start = State(faults=faults)

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """See `Model.steps`."""
        for write in state.late:
            rest = state._replace(late=_without(state.late, write))
            yield f"a late {write.what} arrives", _written(rest, write)
        for visit in state.visits:
            if state.faults:
                yield f"!visit {visit.number} dies", _spent(_swap(state, visit))
            steps = self._hand_over if visit.number == 0 else self._leave_out
            yield from steps(state, visit)
        yield from self._execute(state)
        yield from self._look(state)
        if not state.passed and not any(visit.number for visit in state.visits):
            yield "the next tick", _with(state, Visit(_unused(state), "look"))

    def wrong(self, state: State) -> str | None:
        """See `Model.wrong`."""
        if not self.settled(state):
            return None
        if state.record == COUNTS:
            if state.row == "ended":
                return "run, and left out"
            return "called, and left out" if state.called else None
        return "lost" if state.row == "none" else None

    def settled(self, state: State) -> bool:
        """See `Model.settled`."""
        over = state.row == "ended" or (state.row == "none" and not self._is_owed(state))
        return over and state.passed and not (state.visits or state.late or state.executor)

    # Visits

    def _hand_over(self, state: State, visit: Visit) -> Iterator[tuple[str, State]]:
        """Watch, row, message, claim: it is a visit for which the slot is not late."""
        match visit.next:
            case "watch":
                following = state._replace(watched=True)
                yield "0 watches", _swap(following, visit, visit._replace(next="insert"))
            case "insert":
                row = "queued" if state.row == "none" else state.row
                following = state._replace(row=row)
                yield "0 inserts", _swap(following, visit, visit._replace(next="send"))
            case "send":
                following = state._replace(sent=True)
                yield "0 sends", _swap(following, visit, visit._replace(next="claim"))
            case _:
                yield "0 claims", _swap(state, visit)._replace(passed=True)

    def _leave_out(self, state: State, visit: Visit) -> Iterator[tuple[str, State]]:
        number, rule = visit.number, self._protocol.rule
        match visit.next:
            case "look" | "look again":
                taken_back = state._replace(row="none") if state.row == "queued" else state
                begun = taken_back.row != "none"
                then = "read" if visit.next == "look" else self._after(begun=begun)
                yield f"{number} looks", _go(taken_back, visit, then, begun=begun)
            case "read":
                yield from self._plan(state, visit)
            case "put":
                write = Late("put", number if rule is Rule.SETTLED else COUNTS.by)
                yield from self._write(state, visit, write)
                following = _written(state, write)
                after = "look again" if self._protocol.looks_again else self._after(begun=False)
                stands = following.record == Record(write.by)
                yield f"{number} puts", _go(following, visit, after if stands else "")
            case "settle":
                yield from self._write(state, visit, Late("settle", number))
                following = _written(state, Late("settle", number))
                holds = state.record == Record(number)
                yield f"{number} settles", _go(following, visit, "claim" if holds else "")
            case "delete":
                yield from self._write(state, visit, Late("delete", number))
                yield f"{number} deletes", _go(_written(state, Late("delete", number)), visit, "")
            case _:
                yield f"{number} claims", _swap(state, visit)._replace(passed=True)

    def _plan(self, state: State, visit: Visit) -> Iterator[tuple[str, State]]:
        number = visit.number
        if state.record == COUNTS:
            yield f"{number} keeps what is recorded", _go(state, visit, "claim")
        elif state.record is not None:
            withdrawn = state._replace(record=None)
            yield f"{number} withdraws what is announced", _go(withdrawn, visit, "look")
        elif visit.begun:
            handed_over = state._replace(watched=True, sent=True)
            yield f"{number} hands over what has begun", _go(handed_over, visit, "claim")
        else:
            yield f"{number} plans", _go(state, visit, "put")

    def _after(self, *, begun: bool) -> str:
        """Return what follows a second look; nothing where the visit goes no further."""
        if self._protocol.rule is Rule.SETTLED:
            return "" if begun else "settle"
        if begun:
            return "delete" if self._protocol.rule is Rule.DELETED else ""
        return "claim"

    def _write(self, state: State, visit: Visit, write: Late) -> Iterator[tuple[str, State]]:
        if state.faults:
            late = tuple(sorted((*state.late, write)))
            yield f"!a {write.what} gets no answer", _spent(_swap(state, visit))._replace(late=late)

    # The executor, and the watch

    def _execute(self, state: State) -> Iterator[tuple[str, State]]:
        if state.executor and state.faults:
            row = "dead" if state.row == "running" else state.row
            died = state._replace(executor="", row=row, sent=True)
            yield "!the executor dies", _spent(died)
        match state.executor:
            case "" if state.sent and state.row in {"queued", "dead"}:
                yield "START", state._replace(executor="read", row="running", sent=False)
            case "read" if state.record == COUNTS:
                yield "VOID: it is left out", state._replace(executor="", row="none")
            case "read":
                record = None if self._protocol.withdraws else state.record
                yield "nothing is left out", state._replace(executor="call", record=record)
            case "call":
                yield "the call", state._replace(executor="finish", called=True)
            case "finish":
                yield "FINISH", state._replace(executor="", row="ended")
            case _:
                pass

    def _look(self, state: State) -> Iterator[tuple[str, State]]:
        if not state.watched or state.executor:
            return
        if any(visit.number == 0 for visit in state.visits):
            return  # whoever watched the run lives for a minute, and the look comes after fifteen
        if state.row in {"queued", "dead"} and not state.sent:
            yield "the watch sends", state._replace(sent=True)
        if state.row == "none" and state.passed:
            if self._is_owed(state):
                yield "the watch inserts", state._replace(row="queued", sent=True)
            else:
                yield "the watch drops it", state._replace(watched=False)

    def _is_owed(self, state: State) -> bool:
        return state.watched and state.record != COUNTS


def _written(state: State, write: Late) -> State:
    """Carry a conditional write out; a put only where nothing stands."""
    match write.what, state.record:
        case "put", None:
            return state._replace(record=Record(write.by))
        case "settle", record if record == Record(write.by):
            return state._replace(record=COUNTS)
        case "delete", _:
            return state._replace(record=None)
        case _:
            return state


def _go(state: State, visit: Visit, following: str, *, begun: bool = False) -> State:
    """Let a visit go on with its next step, or end."""
    if not following:
        return _swap(state, visit)
    return _swap(state, visit, Visit(visit.number, following, begun))


def _with(state: State, *visits: Visit) -> State:
    return state._replace(visits=tuple(sorted((*state.visits, *visits))))


def _swap(state: State, visit: Visit, *following: Visit) -> State:
    rest = state._replace(visits=tuple(each for each in state.visits if each != visit))
    return _with(rest, *following)


def _spent(state: State) -> State:
    return state._replace(faults=state.faults - 1)


def _unused(state: State) -> int:
    """Return a number by which nothing is known that a visit announced."""
    used = {write.by for write in state.late}
    if state.record is not None:
        used.add(state.record.by)
    return next(number for number in range(1, 99) if number not in used)


def _without(writes: tuple[Late, ...], write: Late) -> tuple[Late, ...]:
    place = writes.index(write)
    return writes[:place] + writes[place + 1 :]
