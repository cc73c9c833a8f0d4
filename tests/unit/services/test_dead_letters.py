"""What a queue gave up on ends on record, unless it may yet go on."""

from pathlib import Path
from typing import Any

import pytest

from punctual.core.jobs import Delivery
from punctual.core.runs import Finish, RequestCancel, Retry, Run, RunState, Start, Wait
from punctual.ports import DeadLetter, Message
from punctual.services.dead_letters import UNDELIVERABLE
from tests.support.builders import (
    HOUR,
    MINUTE,
    SECOND,
    TICK,
    a_failure,
    a_run,
    a_run_key,
    an_ending,
)
from tests.support.clock import NINE
from tests.support.deployment import Deployment, a_deployment
from tests.support.mishaps import Calls, Died, Flaky, every_death

KEY = a_run_key()
NOW = NINE + HOUR


def exhausted(*runs: Run) -> list[Message]:
    return [Message(key=run.key, receipt=f"{n}") for n, run in enumerate(runs or (a_run(),))]


def stored(deployed: Deployment, run: Run | None = None) -> None:
    assert deployed.engine.runs.insert([run or a_run()]) == [True]
    deployed.at(NOW)


def taken(deployed: Deployment, *, lease_until: Any) -> None:
    start = Start(key=KEY, owner="first", now=NINE, lease_until=lease_until)
    assert deployed.engine.runs.move([start])[0].applied


def the_run(deployed: Deployment) -> Run:
    run = deployed.run(KEY)
    assert run is not None
    return run


class TestARunThatNobodyWillBringOn:
    """It ends here, and the body of its message is kept."""

    def test_fails_if_it_never_started(self, deployed: Deployment) -> None:
        stored(deployed)

        buried = deployed.bury(exhausted())

        run = the_run(deployed)
        assert (run.state, run.reason) == (RunState.FAILED, "dead_letter")
        assert run.error is not None
        assert run.error.message == UNDELIVERABLE
        assert (buried.kept, buried.ended, buried.watched) == ([], [run], 0)
        letter = DeadLetter(body=f"about {KEY.run_id}", reason=UNDELIVERABLE)
        assert deployed.letters.letters == [letter]

    def test_fails_if_its_retry_is_overdue(self, deployed: Deployment) -> None:
        stored(deployed)
        taken(deployed, lease_until=NINE + MINUTE)
        failure = a_failure(finished_at=NINE + SECOND)
        deployed.engine.runs.move([Retry(key=KEY, owner="first", failure=failure)])

        deployed.bury(exhausted())

        assert the_run(deployed).state is RunState.FAILED
        assert the_run(deployed).failures == (failure,)

    @pytest.mark.parametrize(
        ("delivery", "state"),
        [(Delivery.AT_LEAST_ONCE, RunState.FAILED), (Delivery.AT_MOST_ONCE, RunState.UNKNOWN)],
    )
    def test_is_given_up_if_its_last_attempt_died(
        self, deployed: Deployment, delivery: Delivery, state: RunState
    ) -> None:
        stored(deployed, a_run(max_attempts=1, delivery=delivery))
        taken(deployed, lease_until=NOW - TICK)

        buried = deployed.bury(exhausted())

        assert the_run(deployed).state is state
        assert len(buried.ended) == len(deployed.letters.letters) == 1

    def test_is_cancelled_if_that_was_asked_for(self, deployed: Deployment) -> None:
        stored(deployed)
        taken(deployed, lease_until=NOW - TICK)
        deployed.engine.runs.move([RequestCancel(key=KEY, at=NINE + SECOND)])

        deployed.bury(exhausted())

        assert the_run(deployed).state is RunState.CANCELLED


class TestARunThatMayYetGoOn:
    """The watch has it from here on, and no outcome is made up."""

    def test_is_watched_while_its_attempt_may_be_live(self, deployed: Deployment) -> None:
        stored(deployed)
        taken(deployed, lease_until=NOW)

        buried = deployed.bury(exhausted())

        assert (buried.kept, buried.ended, buried.watched) == ([], [], 1)
        assert deployed.watched() == {KEY: NOW + MINUTE}
        assert the_run(deployed).held_by("first")
        assert deployed.letters.letters == []

    def test_is_watched_while_another_attempt_may_take_over(self, deployed: Deployment) -> None:
        stored(deployed)
        taken(deployed, lease_until=NOW - TICK)

        assert deployed.bury(exhausted()).watched == 1
        assert KEY in deployed.watched()

    def test_is_watched_while_it_waits_for_another_run(self, deployed: Deployment) -> None:
        """Its message came back every few seconds, until the queue had enough of it."""
        stored(deployed)
        taken(deployed, lease_until=NINE + MINUTE)
        wait = Wait(
            key=KEY, owner="first", attempt=1, retry_at=NOW - SECOND, reason="overlap: waits for x"
        )
        assert deployed.engine.runs.move([wait])[0].applied

        buried = deployed.bury(exhausted())

        assert (buried.kept, buried.ended, buried.watched) == ([], [], 1)
        assert the_run(deployed).waits
        assert KEY in deployed.watched()

    def test_is_watched_while_its_slot_or_its_retry_is_to_come(self, deployed: Deployment) -> None:
        later = a_run(NOW + MINUTE)
        deployed.engine.runs.insert([later])
        stored(deployed)
        taken(deployed, lease_until=NINE + MINUTE)
        failure = a_failure(finished_at=NINE + SECOND, after=2 * HOUR)
        deployed.engine.runs.move([Retry(key=KEY, owner="first", failure=failure)])

        buried = deployed.bury(exhausted(a_run(), later))

        assert buried.watched == 2
        assert deployed.watched()[KEY] >= failure.retry_at
        assert deployed.watched()[later.key] >= later.scheduled_at

    def test_keeps_its_message_where_no_watch_carries_it(self, deployed: Deployment) -> None:
        stored(deployed)
        taken(deployed, lease_until=NOW)
        deployed.replaced["watch_list"] = Flaky(deployed.engine.watch_list, add={0})
        messages = exhausted()

        buried = deployed.bury(messages)

        assert (buried.kept, buried.watched) == (messages, 0)


class TestAMessageWithNothingToDo:
    """It goes, and leaves no letter."""

    def test_as_its_run_has_an_outcome(self, deployed: Deployment) -> None:
        stored(deployed)
        taken(deployed, lease_until=NOW)
        finish = Finish(key=KEY, owner="first", ending=an_ending(), scheduled_at=NINE)
        deployed.engine.runs.move([finish])

        buried = deployed.bury(exhausted())

        assert (buried.kept, buried.ended, deployed.letters.letters) == ([], [], [])
        assert the_run(deployed).state is RunState.SUCCEEDED

    def test_as_its_row_is_gone(self, deployed: Deployment) -> None:
        buried = deployed.bury(exhausted())

        assert (buried.kept, buried.ended, deployed.letters.letters) == ([], [], [])
        assert deployed.run(KEY) is None


def test_two_messages_about_one_run_end_it_once(deployed: Deployment) -> None:
    stored(deployed)

    buried = deployed.bury(exhausted(a_run(), a_run()))

    assert len(buried.ended) == len(deployed.letters.letters) == 1
    assert buried.kept == []


def test_every_message_about_a_run_stays_while_none_was_dealt_with(deployed: Deployment) -> None:
    stored(deployed)
    deployed.replaced["letters"] = Flaky(deployed.letters, keep={0})
    messages = exhausted(a_run(), a_run())

    buried = deployed.bury(messages)

    assert buried.kept == messages
    assert the_run(deployed).state is RunState.QUEUED


def test_a_letter_that_cannot_be_kept_keeps_its_run_open_and_its_message(
    deployed: Deployment,
) -> None:
    """The body is kept before the outcome is written: nothing ends without a trace for people."""
    other = a_run(NINE + MINUTE)
    deployed.engine.runs.insert([other])
    stored(deployed)
    deployed.replaced["letters"] = Flaky(deployed.letters, keep={0})
    messages = exhausted(a_run(), other)

    buried = deployed.bury(messages)

    assert buried.kept == [messages[0]]
    assert the_run(deployed).state is RunState.QUEUED
    assert [run.key for run in buried.ended] == [other.key]


def test_a_run_that_moved_on_meanwhile_is_judged_anew(deployed: Deployment) -> None:
    stored(deployed)
    runs = deployed.engine.runs

    class Overtaken:
        def __getattr__(self, name: str) -> Any:
            return getattr(runs, name)

        def move(self, moves: Any) -> Any:
            taken(deployed, lease_until=NOW + HOUR)
            return runs.move(moves)

    deployed.replaced["runs"] = Overtaken()
    messages = exhausted()

    buried = deployed.bury(messages)

    assert (buried.kept, buried.ended) == (messages, [])
    assert the_run(deployed).held_by("first")


def test_a_reader_that_dies_anywhere_leaves_no_run_open_and_no_body_lost(tmp_path: Path) -> None:
    def story(calls: Calls) -> None:
        live = a_run(NINE + SECOND)
        with a_deployment(tmp_path, calls=calls) as deployed:
            stored(deployed)
            deployed.engine.runs.insert([live])
            start = Start(key=live.key, owner="x", now=NOW, lease_until=NOW + MINUTE)
            deployed.engine.runs.move([start])
            messages = exhausted(a_run(), live)
            try:
                buried = deployed.bury(messages)
            except Died:
                buried = deployed.bury(messages)
            assert buried.kept == []
            assert the_run(deployed).state is RunState.FAILED
            assert live.key in deployed.watched()
            assert {letter.body for letter in deployed.letters.letters} == {f"about {KEY.run_id}"}

    assert {where.partition(": ")[2] for where in every_death(story)} == {
        "letters.keep",
        "runs.move",
        "runs.read",
        "watch_list.add",
    }
