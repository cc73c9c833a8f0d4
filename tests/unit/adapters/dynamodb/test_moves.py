"""Which refused moves had been applied before, and how moves are said."""

from dataclasses import replace

import pytest

from punctual.adapters.dynamodb.moves import write_of
from punctual.adapters.dynamodb.writes import Delete, Update
from punctual.core.runs import (
    Cancel,
    Finish,
    GiveUp,
    Hold,
    Move,
    Reap,
    RequestCancel,
    Retry,
    Run,
    RunState,
    Start,
    Void,
    VoidQueued,
    Wait,
    after,
    was_applied,
)
from tests.support.builders import MINUTE, SECOND, a_failure, a_run, a_run_key, an_ending
from tests.support.clock import NINE

KEY = a_run_key()
ENDING = an_ending(RunState.FAILED)
CANCELLED = an_ending(RunState.CANCELLED)

START = Start(key=KEY, owner="first", now=NINE, lease_until=NINE + MINUTE)
FINISH = Finish(key=KEY, owner="first", ending=ENDING, scheduled_at=NINE)
RETRY = Retry(key=KEY, owner="first", failure=a_failure())
WAIT = Wait(key=KEY, owner="first", attempt=1, retry_at=NINE + MINUTE, reason="gate")
HOLD = Hold(
    key=KEY,
    owner="first",
    attempt=1,
    started_at=NINE,
    lease_until=NINE + MINUTE,
    heartbeat=MINUTE,
    is_first=True,
)
VOID = Void(key=KEY, owner="first")
VOID_QUEUED = VoidQueued(key=KEY, schedule_revision=1)
CANCEL = Cancel(key=KEY, ending=CANCELLED, scheduled_at=NINE)
REQUEST_CANCEL = RequestCancel(key=KEY, at=NINE)
REAP = Reap(key=KEY, now=NINE, ending=CANCELLED, scheduled_at=NINE)
GIVE_UP = GiveUp(key=KEY, owner="first", now=NINE, ending=ENDING, scheduled_at=NINE)

MOVES: list[Move] = [
    START,
    FINISH,
    RETRY,
    WAIT,
    HOLD,
    replace(HOLD, is_first=False),
    VOID,
    VOID_QUEUED,
    CANCEL,
    REQUEST_CANCEL,
    REAP,
    GIVE_UP,
]


@pytest.mark.parametrize(
    ("move", "before"),
    [
        (START, a_run()),
        (FINISH, a_run(state="running")),
        (RETRY, a_run(state="running")),
        (WAIT, a_run(state="running")),
        (HOLD, a_run(state="running")),
        (VOID, a_run(state="running")),
        (VOID_QUEUED, a_run()),
    ],
)
def test_what_a_move_leaves_is_known_as_its_own_when_its_answer_was_lost(
    move: Move, before: Run
) -> None:
    assert not was_applied(move, before) or isinstance(move, Start | Hold)
    assert was_applied(move, after(move, before))


@pytest.mark.parametrize(
    ("move", "run"),
    [
        (START, a_run(state="running", owner="other")),
        (START, a_run(state="succeeded")),
        (START, None),
        (FINISH, a_run(state="failed", finished_by="other")),
        (FINISH, a_run(state="cancelled", finished_by=None)),
        (FINISH, a_run(state="running")),
        (FINISH, None),
        (RETRY, a_run(state="retrying", failures=(replace(RETRY.failure, attempt=2),))),
        (RETRY, a_run(state="retrying", retry_at=NINE)),
        (RETRY, a_run(state="running", failures=(RETRY.failure,))),
        (RETRY, None),
        (WAIT, a_run(state="retrying", retry_at=NINE + MINUTE, reason=None)),
        (WAIT, a_run(state="retrying", retry_at=NINE + SECOND, reason="gate")),
        (WAIT, None),
        (VOID, a_run(state="running", owner="other")),
        (CANCEL, a_run(state="cancelled", finished_by=None)),
        (REAP, a_run(state="cancelled", finished_by=None)),
        (GIVE_UP, a_run(state="failed", finished_by=None)),
        (HOLD, a_run(state="running", owner="other")),
        (REQUEST_CANCEL, a_run(state="retrying")),
    ],
)
def test_what_another_left_is_not_taken_for_ones_own(move: Move, run: Run | None) -> None:
    assert not was_applied(move, run)


@pytest.mark.parametrize("move", MOVES, ids=lambda move: type(move).__name__)
def test_a_move_is_said_alike_in_both_languages_and_names_no_value_in_vain(move: Move) -> None:
    """OR beside the key is no write of one item to every PartiQL; IN differs in its brackets."""
    write = write_of(move)
    match write:
        case Update(change=change, values=values):
            said = " ".join((change.when, *change.sets, *change.removes))
        case Delete(when=when, values=values):
            said = when
        case _:
            pytest.fail("a move changes a row or deletes it")
    named = {word.strip("(),") for word in said.split() if word.strip("(),").startswith(":")}
    assert named <= set(values)
    assert " OR " not in said
    assert " IN " not in said
    assert write.key == {"pk": {"S": "J#acme#report"}, "sk": {"S": "R#1#20261201T090000Z"}}
