"""Every move of a run over every state it can be in: when it may happen, and what it leaves."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from punctual.core.jobs import Delivery
from punctual.core.runs import (
    DONE,
    HISTORY_KEPT,
    LOST,
    OPEN,
    Cancel,
    Ending,
    Finish,
    GiveUp,
    Hold,
    Mark,
    Move,
    Reap,
    Refusal,
    RefusalKind,
    RequestCancel,
    Retry,
    Run,
    RunState,
    Skip,
    Start,
    Void,
    VoidQueued,
    Wait,
    after,
    ending_of_dead,
    give_up,
    otherwise,
    permits,
    plain,
    read_refusal,
    reap,
    was_applied,
)
from tests.support.builders import (
    DAY,
    MINUTE,
    SECOND,
    TICK,
    a_failure,
    a_run,
    a_run_key,
    a_stretch,
    an_ending,
)
from tests.support.clock import NINE

NOW = NINE + MINUTE
LATER = NOW + MINUTE
KEY = a_run_key()
HELD_MARK = Mark("me", MINUTE)
CANCELLED: dict[str, Any] = {"cancel_requested_at": NINE + SECOND}

SITUATIONS: dict[str, Run] = {
    "queued": a_run(),
    "mine": a_run(state="running", owner="me", lease_until=LATER),
    "another's": a_run(state="running", owner="another", lease_until=LATER),
    "lease's last instant": a_run(state="running", owner="another", lease_until=NOW),
    "dead": a_run(state="running", owner="another", lease_until=NOW - TICK),
    "dead, spent": a_run(state="running", owner="another", lease_until=NOW - TICK, attempt=3),
    "mine, last": a_run(state="running", owner="me", lease_until=LATER, attempt=3),
    "mine, but dead": a_run(state="running", owner="me", lease_until=NOW - TICK),
    "mine, held": a_run(state="running", owner="me", lease_until=LATER, marks=(HELD_MARK,)),
    "mine, held for as long": a_run(
        state="running", owner="me", lease_until=LATER + MINUTE, marks=(HELD_MARK,)
    ),
    "mine, held but dead": a_run(
        state="running", owner="me", lease_until=NOW - TICK, marks=(HELD_MARK,)
    ),
    "waiting": a_run(state="retrying", retry_at=NOW + TICK),
    "waited": a_run(state="retrying", retry_at=NOW),
    "mine, unwanted": a_run(state="running", owner="me", lease_until=LATER, **CANCELLED),
    "dead, unwanted": a_run(state="running", owner="another", lease_until=NOW - TICK, **CANCELLED),
    "dead, spent, unwanted": a_run(
        state="running", owner="another", lease_until=NOW - TICK, attempt=3, **CANCELLED
    ),
    "waiting, unwanted": a_run(state="retrying", retry_at=NOW + TICK, **CANCELLED),
    "waited, unwanted": a_run(state="retrying", retry_at=NOW, **CANCELLED),
} | {state.value: a_run(state=state, finished_by="me") for state in RunState if state not in OPEN}

HELD = {
    "mine",
    "mine, last",
    "mine, but dead",
    "mine, held",
    "mine, held for as long",
    "mine, held but dead",
    "mine, unwanted",
}
RUNNING = HELD | {
    "another's",
    "lease's last instant",
    "dead",
    "dead, spent",
    "dead, unwanted",
    "dead, spent, unwanted",
}
WAITING = {"waiting", "waited", "waiting, unwanted", "waited, unwanted"}

ENDING = an_ending(at=NOW)
FAILURE = a_failure(finished_at=NOW)

MOVES: dict[str, tuple[Move, set[str]]] = {
    "start": (
        Start(key=KEY, owner="new", now=NOW, lease_until=LATER),
        {"queued", "dead", "mine, but dead", "mine, held but dead", "waited"},
    ),
    "finish": (Finish(key=KEY, owner="me", ending=ENDING, scheduled_at=NINE), HELD),
    "retry": (Retry(key=KEY, owner="me", failure=FAILURE), HELD - {"mine, last"}),
    "wait": (Wait(key=KEY, owner="me", attempt=1, retry_at=LATER, reason="full"), HELD),
    "hold": (
        Hold(
            key=KEY,
            owner="me",
            attempt=1,
            started_at=NINE,
            lease_until=LATER + MINUTE,
            heartbeat=MINUTE,
            is_first=True,
        ),
        HELD - {"mine, held for as long"},
    ),
    "first hold, for less time than its start": (
        Hold(
            key=KEY,
            owner="me",
            attempt=1,
            started_at=NINE,
            lease_until=NOW,
            heartbeat=MINUTE,
            is_first=True,
        ),
        HELD - {"mine, held", "mine, held for as long"},
    ),
    "void": (Void(key=KEY, owner="me"), HELD - {"mine, unwanted"}),
    "void of a queued row": (VoidQueued(key=KEY, schedule_revision=1), {"queued"}),
    "void of a row that was revised": (VoidQueued(key=KEY, schedule_revision=2), set()),
    "cancel": (Cancel(key=KEY, ending=ENDING, scheduled_at=NINE), {"queued"} | WAITING),
    "skip": (Skip(key=KEY, ending=ENDING, scheduled_at=NINE), {"queued"}),
    "request to cancel": (RequestCancel(key=KEY, at=NOW), RUNNING),
    "request to cancel for another run": (
        RequestCancel(key=KEY, at=NOW, reason="overlap"),
        RUNNING,
    ),
    "reap": (
        Reap(key=KEY, now=NOW, ending=ENDING, scheduled_at=NINE),
        {
            "dead, unwanted",
            "dead, spent, unwanted",
            "waiting, unwanted",
            "waited, unwanted",
        },
    ),
    "give up": (
        GiveUp(key=KEY, owner="another", now=NOW, ending=ENDING, scheduled_at=NINE),
        {"dead, spent", "dead, spent, unwanted"},
    ),
    "give up on a dead one that was taken over": (
        GiveUp(key=KEY, owner="an earlier one", now=NOW, ending=ENDING, scheduled_at=NINE),
        set(),
    ),
}


@pytest.mark.parametrize("name", MOVES)
def test_a_move_happens_in_these_situations_and_in_no_other(name: str) -> None:
    move, permitted = MOVES[name]
    assert permitted <= SITUATIONS.keys()

    assert {named for named, run in SITUATIONS.items() if permits(move, run)} == permitted


def test_nothing_moves_a_run_that_has_its_outcome() -> None:
    for move, _ in MOVES.values():
        for run in SITUATIONS.values():
            assert not (run.state.terminal and permits(move, run))


LEAVES = {
    "start": RunState.RUNNING,
    "finish": RunState.SUCCEEDED,
    "retry": RunState.RETRYING,
    "wait": RunState.RETRYING,
    "hold": RunState.RUNNING,
    "void": None,
    "void of a queued row": None,
    "cancel": RunState.SUCCEEDED,
    "request to cancel": RunState.RUNNING,
    "request to cancel for another run": RunState.RUNNING,
    "reap": RunState.SUCCEEDED,
    "give up": RunState.SUCCEEDED,
}
"""The state that each move leaves; every ending here is a success."""


@pytest.mark.parametrize("name", LEAVES)
def test_a_move_leaves_what_its_state_has_and_nothing_else(name: str) -> None:
    move, permitted = MOVES[name]
    assert permitted, "a move that never happens leaves nothing"
    for situation in permitted:
        run = SITUATIONS[situation]

        left = after(move, run)

        if LEAVES[name] is None:
            assert left is None
            continue
        assert left is not None
        assert left.state is LEAVES[name]
        assert (left.owner is not None) == (left.state is RunState.RUNNING)
        assert (left.lease_until is not None) == (left.state is RunState.RUNNING)
        assert (left.retry_at is not None) == (left.state is RunState.RETRYING)
        assert (left.finished_at is not None) == left.state.terminal
        assert (left.expires_at is not None) == left.state.terminal
        assert left.key == run.key
        assert left.max_attempts == run.max_attempts
        assert left.attempt >= run.attempt or isinstance(move, Wait)
        if not isinstance(move, RequestCancel):
            assert left.cancel_requested_at == run.cancel_requested_at


def test_a_run_that_was_stopped_for_another_one_says_so() -> None:
    asked = after(RequestCancel(key=KEY, at=NOW, reason="overlap"), SITUATIONS["dead"])
    by_hand = after(RequestCancel(key=KEY, at=NOW), SITUATIONS["dead"])
    assert asked is not None
    assert by_hand is not None

    assert reap(asked, now=NOW).ending.reason == "overlap"
    assert reap(by_hand, now=NOW).ending.reason == "cancelled"


def test_a_run_that_waits_does_not_take_what_it_waits_for_for_the_reason_of_its_cancel() -> None:
    asked = replace(SITUATIONS["waited, unwanted"], reason="limit: crm-api")

    assert reap(asked, now=NOW).ending.reason == "cancelled"


def test_a_start_counts_the_attempt_and_a_takeover_counts_on() -> None:
    start = MOVES["start"][0]

    first, takeover = after(start, SITUATIONS["queued"]), after(start, SITUATIONS["dead"])

    assert first is not None
    assert takeover is not None
    assert (first.attempt, first.starts, first.owner) == (1, (NOW,), "new")
    assert (takeover.attempt, takeover.starts) == (2, (NINE, NOW))
    assert takeover.lease_until == LATER


def test_a_start_ends_the_wait_and_its_reason() -> None:
    waited = replace(SITUATIONS["waited"], reason="full")

    started = after(MOVES["start"][0], waited)

    assert started is not None
    assert (started.retry_at, started.reason) == (None, None)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_where_a_row_is_not_as_it_was_handed_over_the_plain_start_decides(situation: str) -> None:
    start, permitted = MOVES["start"]
    assert isinstance(start, Start)
    guess = replace(start, handed_over=a_run(schedule_revision=7))
    run = SITUATIONS[situation]

    assert permits(guess, run) == permits(start, run)
    assert otherwise(guess, run) == (start if situation in permitted else None)
    assert plain(guess) == start


def test_only_a_start_that_guessed_is_asked_for_otherwise() -> None:
    start = MOVES["start"][0]
    assert isinstance(start, Start)

    assert otherwise(start, SITUATIONS["queued"]) is None
    assert otherwise(replace(start, handed_over=a_run()), None) is None
    assert otherwise(MOVES["finish"][0], SITUATIONS["queued"]) is None


@pytest.mark.parametrize("name", ["hold", "first hold, for less time than its start"])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_hold_that_guessed_wrongly_is_asked_for_as_the_row_has_it(
    name: str, situation: str
) -> None:
    (hold, permitted), run = MOVES[name], SITUATIONS[situation]
    assert isinstance(hold, Hold)
    right = replace(hold, is_first=run.heartbeat is None)
    wrong = replace(right, is_first=not right.is_first)

    assert permits(wrong, run) == permits(right, run)
    assert otherwise(wrong, run) == (right if situation in permitted else None)
    assert otherwise(right, run) is None


def test_a_wait_takes_its_start_back_because_nothing_was_called() -> None:
    waiting = after(MOVES["wait"][0], SITUATIONS["mine"])

    assert waiting is not None
    assert (waiting.attempt, waiting.starts) == (0, ())
    assert (waiting.retry_at, waiting.reason) == (LATER, "full")


def test_a_retry_keeps_what_went_wrong() -> None:
    retrying = after(MOVES["retry"][0], SITUATIONS["mine"])

    assert retrying is not None
    assert retrying.failures == (FAILURE,)
    assert retrying.retry_at == FAILURE.retry_at
    assert retrying.attempt == 1


def test_an_outcome_names_the_attempt_that_wrote_it_and_no_other_writer() -> None:
    finished = after(MOVES["finish"][0], SITUATIONS["mine"])
    given_up = after(MOVES["give up"][0], SITUATIONS["dead, spent"])

    assert finished is not None
    assert given_up is not None
    assert (finished.finished_by, given_up.finished_by) == ("me", None)
    assert finished.result == ENDING.result


@pytest.mark.parametrize(
    ("scheduled_at", "counts_from"), [(NINE, NOW), (NOW + DAY, NOW + DAY)], ids=["past", "coming"]
)
def test_a_record_is_kept_for_30_days_from_its_end_or_from_its_slot(
    scheduled_at: datetime, counts_from: datetime
) -> None:
    cancel = Cancel(key=KEY, ending=ENDING, scheduled_at=scheduled_at)

    ended = after(cancel, a_run(scheduled_at=scheduled_at))

    assert ended is not None
    assert ended.expires_at == counts_from + HISTORY_KEPT


REFUSALS = {
    "mine": Refusal(kind=RefusalKind.WAIT, until=LATER),
    "another's": Refusal(kind=RefusalKind.WAIT, until=LATER),
    "lease's last instant": Refusal(kind=RefusalKind.WAIT, until=NOW),
    "mine, last": Refusal(kind=RefusalKind.WAIT, until=LATER),
    "mine, held": Refusal(kind=RefusalKind.WAIT, until=LATER),
    "mine, held for as long": Refusal(kind=RefusalKind.WAIT, until=LATER + MINUTE),
    "mine, unwanted": Refusal(kind=RefusalKind.WAIT, until=LATER),
    "waiting": Refusal(kind=RefusalKind.WAIT, until=NOW + TICK),
    "dead, spent": Refusal(kind=RefusalKind.GIVE_UP),
    "dead, unwanted": Refusal(kind=RefusalKind.REAP),
    "dead, spent, unwanted": Refusal(kind=RefusalKind.REAP),
    "waiting, unwanted": Refusal(kind=RefusalKind.REAP),
    "waited, unwanted": Refusal(kind=RefusalKind.REAP),
}


def test_every_refused_start_says_what_follows() -> None:
    start, permitted = MOVES["start"]

    for situation, run in SITUATIONS.items():
        if situation in permitted:
            continue
        refusal = read_refusal(run, now=NOW)

        assert refusal == REFUSALS.get(situation, DONE), situation
        assert permits(start, run) is False
    assert read_refusal(None, now=NOW) == DONE


def test_what_follows_a_refusal_is_permitted_at_once() -> None:
    """So that nobody is sent round in a circle: REAP and GIVE UP hold on the row that asked."""
    for run in SITUATIONS.values():
        match read_refusal(run, now=NOW).kind:
            case RefusalKind.REAP:
                assert permits(reap(run, now=NOW), run)
            case RefusalKind.GIVE_UP:
                assert permits(give_up(run, now=NOW), run)
            case RefusalKind.WAIT | RefusalKind.DONE:
                pass


def test_a_wait_leads_to_a_run_that_can_be_started_or_ended() -> None:
    for run in SITUATIONS.values():
        refusal = read_refusal(run, now=NOW)
        if refusal.kind is not RefusalKind.WAIT or refusal.until is None:
            continue
        then = refusal.until + TICK
        start = Start(key=KEY, owner="new", now=then, lease_until=then + MINUTE)

        following = read_refusal(run, now=then)

        assert permits(start, run) or following.kind in {RefusalKind.REAP, RefusalKind.GIVE_UP}


def test_a_refusal_that_is_over_by_now_is_asked_about_again_at_once() -> None:
    """The clock of whoever wrote the row may run ahead of ours."""
    assert read_refusal(SITUATIONS["queued"], now=NOW) == Refusal(kind=RefusalKind.WAIT, until=NOW)


def test_a_death_of_the_only_attempt_is_unknown_and_of_the_last_of_several_is_failed() -> None:
    once = a_run(state="running", delivery=Delivery.AT_MOST_ONCE, max_attempts=1)

    assert ending_of_dead(once, now=NOW) == Ending(state=RunState.UNKNOWN, at=NOW, error=LOST)
    assert ending_of_dead(SITUATIONS["dead, spent"], now=NOW).state is RunState.FAILED


class TestAMoveWhoseAnswerWasLost:
    """What refuses its repetition is what it left itself."""

    @pytest.mark.parametrize("name", ["start", "finish", "retry", "wait", "void"])
    def test_is_recognised_by_what_it_left(self, name: str) -> None:
        move, permitted = MOVES[name]
        for situation in permitted:
            left = after(move, SITUATIONS[situation])

            assert left is None or not permits(move, left)
            assert was_applied(move, left)

    @pytest.mark.parametrize("name", ["start", "finish", "retry", "wait", "void"])
    def test_is_not_mistaken_for_a_strangers(self, name: str) -> None:
        move, permitted = MOVES[name]
        strangers = {
            "finish": {state.value for state in RunState if state not in OPEN},
        }.get(name, set())
        for situation, run in SITUATIONS.items():
            if situation not in permitted | strangers:
                assert not was_applied(move, run), situation

    def test_is_recognised_under_its_own_owner_only(self) -> None:
        move = Finish(key=KEY, owner="another", ending=ENDING, scheduled_at=NINE)

        assert not was_applied(move, a_run(state="succeeded", finished_by="me"))
        assert not was_applied(move, a_run(state="cancelled", finished_by=None))
        assert not was_applied(move, None)

    def test_is_not_recognised_where_repeating_it_is_nobodys_business(self) -> None:
        for name in ("hold", "cancel", "request to cancel", "reap", "give up"):
            assert not was_applied(MOVES[name][0], SITUATIONS["succeeded"])


def test_only_the_owner_of_a_running_attempt_holds_the_run() -> None:
    assert SITUATIONS["mine"].held_by("me")
    assert SITUATIONS["mine, but dead"].held_by("me"), "a lease that ended is told by its refusals"
    assert not SITUATIONS["mine"].held_by("another")
    assert not replace(SITUATIONS["waiting"], owner="me").held_by("me")


def test_an_attempt_is_live_up_to_the_last_instant_of_its_lease() -> None:
    run = SITUATIONS["lease's last instant"]

    assert run.live(NOW)
    assert not run.dead(NOW)
    assert run.dead(NOW + TICK)
    assert not SITUATIONS["queued"].dead(NOW)


def test_a_stretch_meets_what_begins_before_it_ends_and_ends_after_it_begins() -> None:
    stretch = a_stretch(NINE, count=3)

    met = [
        (since, until)
        for since in range(-2, 5)
        for until in range(since, 5)
        if stretch.meets(since=NINE + since * MINUTE, until=NINE + until * MINUTE)
    ]

    assert met == [(a, b) for a in range(-2, 3) for b in range(max(a, 0), 5)]


def test_a_stretch_holds_its_first_and_its_last_slot() -> None:
    stretch = a_stretch(NINE, count=3)

    held = [minute for minute in range(-1, 4) if stretch.holds(NINE + minute * MINUTE)]

    assert held == [0, 1, 2]
