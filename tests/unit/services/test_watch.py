"""The second look brings on what the queue lost, and ends what nobody holds."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from punctual.core.jobs import CatchUp, Delivery, Epoch, JobState, Policy
from punctual.core.runs import Finish, RequestCancel, Retry, Run, RunState, Start
from punctual.core.watching import LOOK_AFTER
from punctual.services.watch import ROWS_AT_ONCE
from tests.support.builders import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    TICK,
    a_due_job,
    a_failure,
    a_job,
    a_job_key,
    a_run,
    a_run_key,
    a_schedule,
    a_stretch,
    an_ending,
)
from tests.support.clock import NINE
from tests.support.deployment import EVERY_SHARD, JOB, Deployment, a_deployment
from tests.support.mishaps import Calls, Died, Flaky, every_death

SLOT = NINE + MINUTE
KEY = a_run_key(SLOT)
LOOK = SLOT + LOOK_AFTER


@pytest.fixture
def deployed(deployed: Deployment) -> Deployment:
    """A deployment whose job has handed over the slot of a minute past nine, and no other."""
    later = NINE + DAY
    deployed.store(a_job(schedule=a_schedule(DAY, anchor=SLOT), next_slot=later))
    return deployed


def a_watched_run(deployed: Deployment, run: Run | None = None, **states: Any) -> None:
    """Have a run that is watched, and that stands as its moves left it."""
    assert deployed.engine.runs.insert([run or a_run(SLOT)]) == [True]
    deployed.watch(KEY, at=LOOK)


def taken(deployed: Deployment, *, lease_until: datetime, now: datetime = SLOT) -> None:
    start = Start(key=KEY, owner="first", now=now, lease_until=lease_until)
    assert deployed.engine.runs.move([start])[0].applied


def the_run(deployed: Deployment) -> Run:
    run = deployed.run(KEY)
    assert run is not None
    return run


class TestARunThatIsOpen:
    """It is sent again, and looked at again."""

    def test_that_was_never_started_is_sent_and_runs(self, deployed: Deployment) -> None:
        """The queue lost its message, or was purged."""
        a_watched_run(deployed)

        looked = deployed.at(LOOK).look()

        assert (looked.rows, looked.sent, looked.ended) == (1, 1, 0)
        assert deployed.watched() == {KEY: LOOK + LOOK_AFTER}
        deployed.execute()
        assert the_run(deployed).state is RunState.SUCCEEDED

    def test_is_watched_anew_before_anything_else_and_the_old_row_goes_last(
        self, deployed: Deployment
    ) -> None:
        a_watched_run(deployed)

        deployed.at(LOOK).look()

        assert deployed.calls.made == [
            "watch_list.due",
            "runs.read",
            "watch_list.add",
            "queue.send",
            "watch_list.remove",
        ]

    def test_is_not_looked_at_before_its_minute(self, deployed: Deployment) -> None:
        a_watched_run(deployed)

        looked = deployed.at(LOOK - TICK).look()

        assert looked.rows == 0
        assert deployed.watched() == {KEY: LOOK}

    def test_of_an_attempt_that_lives_is_left_alone_until_its_lease_is_over(
        self, deployed: Deployment
    ) -> None:
        a_watched_run(deployed)
        taken(deployed, lease_until=LOOK)

        looked = deployed.at(LOOK).look()

        assert looked.sent == 0
        assert deployed.watched() == {KEY: LOOK + MINUTE}

    def test_of_an_attempt_that_died_is_sent_to_be_taken_over(self, deployed: Deployment) -> None:
        a_watched_run(deployed)
        taken(deployed, lease_until=LOOK - TICK)

        deployed.at(LOOK).look()
        deployed.execute()

        assert (the_run(deployed).state, the_run(deployed).attempt) == (RunState.SUCCEEDED, 2)

    def test_that_waits_for_a_retry_is_sent_for_its_very_instant(
        self, deployed: Deployment
    ) -> None:
        retry_at = LOOK + 5 * MINUTE + 7 * SECOND
        failure = replace(a_failure(finished_at=SLOT + SECOND), retry_at=retry_at)
        run = a_run(SLOT)
        a_watched_run(deployed, run)
        taken(deployed, lease_until=SLOT + MINUTE)
        retry = Retry(key=KEY, owner="first", failure=failure)
        assert deployed.engine.runs.move([retry])[0].applied

        deployed.at(LOOK).look()

        assert deployed.messages_until(retry_at) == [(retry_at, KEY)]

    def test_that_waits_longer_than_the_queue_can_delay_is_only_looked_at_again(
        self, deployed: Deployment
    ) -> None:
        retry_at = LOOK + 3 * HOUR
        failure = replace(a_failure(finished_at=SLOT + SECOND), retry_at=retry_at)
        a_watched_run(deployed)
        taken(deployed, lease_until=SLOT + MINUTE)
        deployed.engine.runs.move([Retry(key=KEY, owner="first", failure=failure)])

        looked = deployed.at(LOOK).look()

        assert looked.sent == 0
        assert LOOK < deployed.watched()[KEY] < retry_at


class TestARunThatNobodyHolds:
    """The look itself writes its outcome."""

    def test_is_cancelled_when_that_was_asked_for(self, deployed: Deployment) -> None:
        a_watched_run(deployed)
        taken(deployed, lease_until=SLOT + MINUTE)
        deployed.engine.runs.move([RequestCancel(key=KEY, at=SLOT + SECOND)])

        looked = deployed.at(LOOK).look()

        assert (looked.ended, the_run(deployed).state) == (1, RunState.CANCELLED)
        assert deployed.watched() == {}

    @pytest.mark.parametrize(
        ("delivery", "state"),
        [(Delivery.AT_LEAST_ONCE, RunState.FAILED), (Delivery.AT_MOST_ONCE, RunState.UNKNOWN)],
    )
    def test_is_given_up_when_its_last_attempt_died(
        self, deployed: Deployment, delivery: Delivery, state: RunState
    ) -> None:
        a_watched_run(deployed, a_run(SLOT, max_attempts=1, delivery=delivery))
        taken(deployed, lease_until=LOOK - TICK)

        looked = deployed.at(LOOK).look()

        assert (looked.ended, the_run(deployed).state) == (1, state)
        assert deployed.watched() == {}

    def test_that_somebody_took_meanwhile_is_looked_at_once_more(
        self, deployed: Deployment
    ) -> None:
        """The end is refused, so the row stays and the next tick reads the run as it is then."""
        a_watched_run(deployed, a_run(SLOT, max_attempts=1))
        taken(deployed, lease_until=LOOK - TICK)
        runs = deployed.engine.runs

        class Overtaken:
            def __getattr__(self, name: str) -> Any:
                return getattr(runs, name)

            def move(self, moves: Any) -> Any:
                finish = Finish(
                    key=KEY, owner="first", ending=an_ending(at=LOOK), scheduled_at=SLOT
                )
                runs.move([finish])
                return runs.move(moves)

        deployed.replaced["runs"] = Overtaken()
        looked = deployed.at(LOOK).look()

        assert looked.ended == 0
        assert deployed.watched() == {KEY: LOOK}
        assert the_run(deployed).state is RunState.SUCCEEDED
        deployed.replaced.pop("runs")
        deployed.look()
        assert deployed.watched() == {}

    def test_and_has_its_outcome_is_dropped(self, deployed: Deployment) -> None:
        a_watched_run(deployed)
        deployed.at(SLOT).execute()
        taken(deployed, lease_until=SLOT + MINUTE)
        finish = Finish(key=KEY, owner="first", ending=an_ending(at=SLOT), scheduled_at=SLOT)
        deployed.engine.runs.move([finish])

        looked = deployed.at(LOOK).look()

        assert (looked.rows, looked.sent, looked.ended) == (1, 0, 0)
        assert deployed.watched() == {}


class TestARowThatIsMissing:
    """It is inserted where the job owes the slot its run, and nowhere else."""

    def test_is_inserted_and_runs(self, deployed: Deployment) -> None:
        """The visit that handed the slot over died, or its write was lost."""
        deployed.watch(KEY, at=LOOK)

        looked = deployed.at(LOOK).look()
        deployed.execute()

        assert (looked.inserted, looked.sent) == (1, 1)
        assert the_run(deployed).state is RunState.SUCCEEDED
        assert the_run(deployed).schedule_revision == 1

    def not_owed(self, deployed: Deployment, **changes: Any) -> None:
        job = deployed.job()
        assert deployed.engine.jobs.change(
            replace(job, revision=job.revision + 1, **changes), seen=job
        )
        deployed.watch(KEY, at=LOOK)

        looked = deployed.at(LOOK).look()

        assert (looked.inserted, looked.sent) == (0, 0)
        assert deployed.run(KEY) is None
        assert deployed.watched() == {}

    def test_is_not_owed_by_a_deleted_job(self, deployed: Deployment) -> None:
        self.not_owed(deployed, state=JobState.DELETED)

    def test_is_not_owed_by_a_later_life_of_the_job(self, deployed: Deployment) -> None:
        self.not_owed(deployed, incarnation=2)

    def test_is_not_owed_by_a_schedule_that_came_later(self, deployed: Deployment) -> None:
        epochs = (Epoch(schedule_revision=1), Epoch(schedule_revision=2, since=NINE))
        self.not_owed(deployed, epochs=epochs, schedule_revision=2)

    def test_is_not_owed_by_a_job_that_was_paused_before_it(self, deployed: Deployment) -> None:
        self.not_owed(deployed, state=JobState.PAUSED, paused_at=NINE)

    def test_is_left_to_a_visit_that_is_still_to_come_and_looked_at_again(
        self, deployed: Deployment
    ) -> None:
        """The pointer stands before the slot: a visit hands it over, or leaves it out."""
        job = deployed.job()
        deployed.engine.jobs.change(replace(job, revision=2, next_slot=SLOT), seen=job)
        deployed.watch(KEY, at=LOOK)

        looked = deployed.at(LOOK).look()

        assert (looked.inserted, looked.sent) == (0, 0)
        assert deployed.run(KEY) is None
        assert deployed.watched() == {KEY: LOOK + LOOK_AFTER}

    def test_is_not_owed_where_the_slot_was_left_out(self, deployed: Deployment) -> None:
        deployed.engine.runs.put_stretches([(JOB, a_stretch(NINE, count=5))])

        self.not_owed(deployed)

    def test_is_owed_by_a_paused_job_whose_pause_came_later(self, deployed: Deployment) -> None:
        job = deployed.job()
        paused = replace(job, state=JobState.PAUSED, paused_at=SLOT, revision=2)
        deployed.engine.jobs.change(paused, seen=job)
        deployed.watch(KEY, at=LOOK)

        looked = deployed.at(LOOK).look()
        deployed.execute()

        assert looked.inserted == 1
        assert (the_run(deployed).state, the_run(deployed).reason) == ("skipped", "paused")

    def test_is_owed_by_a_paused_job_though_its_pointer_stands_before_the_slot(
        self, deployed: Deployment
    ) -> None:
        """Nobody visits it while it is paused: else it would be looked at for as long as that."""
        job = deployed.job()
        paused = replace(job, state=JobState.PAUSED, paused_at=SLOT, next_slot=SLOT, revision=2)
        deployed.engine.jobs.change(paused, seen=job)
        deployed.watch(KEY, at=LOOK)

        deployed.at(LOOK).look()
        deployed.run_until(LOOK + HOUR)

        assert (the_run(deployed).state, the_run(deployed).reason) == ("skipped", "paused")
        assert deployed.watched() == {}

    def test_is_owed_by_a_job_that_has_handed_over_its_last_slot(
        self, deployed: Deployment
    ) -> None:
        job = deployed.job()
        ended = replace(job, state=JobState.ENDED, next_slot=None, last_slot=SLOT, revision=2)
        deployed.engine.jobs.change(ended, seen=job)
        deployed.watch(KEY, at=LOOK)

        assert deployed.at(LOOK).look().inserted == 1

    def test_of_a_manual_run_is_written_by_its_request_alone(self, deployed: Deployment) -> None:
        deployed.watch(a_run_key(name="m.4f2a"), at=LOOK)

        looked = deployed.at(LOOK).look()

        assert (looked.inserted, looked.sent) == (0, 0)
        assert deployed.watched() == {}

    def test_of_a_job_that_is_unknown_is_dropped(self, deployed: Deployment) -> None:
        deployed.watch(a_run_key(SLOT, job_id="nobody"), at=LOOK)

        assert deployed.at(LOOK).look().rows == 1
        assert deployed.watched() == {}


class TestWhenAPartFails:
    """The row that failed stays, and is dealt with again."""

    KEYS = tuple(a_run_key(NINE + n * SECOND) for n in range(3))

    def three_rows(self, deployed: Deployment) -> None:
        for key in self.KEYS:
            assert key.slot is not None
            deployed.engine.runs.insert([a_run(key.slot)])
            deployed.watch(key, at=LOOK)

    def test_of_the_sending(self, deployed: Deployment) -> None:
        self.three_rows(deployed)
        deployed.replaced["queue"] = Flaky(deployed.engine.queue, send={1})

        looked = deployed.at(LOOK).look()

        assert looked.sent == 2
        assert [row.minute for row in deployed.watch_rows()].count(LOOK) == 1
        deployed.replaced.pop("queue")
        assert deployed.look().sent == 1

    def test_of_the_next_look(self, deployed: Deployment) -> None:
        self.three_rows(deployed)
        deployed.replaced["watch_list"] = Flaky(deployed.engine.watch_list, add={0})

        looked = deployed.at(LOOK).look()

        assert looked.sent == 0, "what is not watched anew is not let go of"
        assert [row.minute for row in deployed.watch_rows()] == [LOOK] * 3

    def test_of_the_insert(self, deployed: Deployment) -> None:
        deployed.watch(KEY, at=LOOK)
        deployed.replaced["runs"] = Flaky(deployed.engine.runs, insert={0})

        looked = deployed.at(LOOK).look()

        assert (looked.inserted, looked.sent) == (0, 0)
        assert LOOK in {row.minute for row in deployed.watch_rows()}
        deployed.replaced.pop("runs")
        assert deployed.look().inserted == 1


def test_rows_that_the_time_does_not_suffice_for_are_due_at_the_next_tick(
    deployed: Deployment,
) -> None:
    for number in range(ROWS_AT_ONCE + 1):
        deployed.watch(a_run_key(SLOT, job_id=f"job-{number}"), at=LOOK)
    deployed.at(LOOK)

    none = deployed.make_watch()(EVERY_SHARD, deadline=LOOK)
    assert (none.rows, none.finished) == (0, False)
    all_of_them = deployed.look()

    assert (all_of_them.rows, all_of_them.finished) == (ROWS_AT_ONCE + 1, True)


def test_two_references_to_one_run_send_it_once_for_each_and_run_it_once(
    deployed: Deployment,
) -> None:
    a_watched_run(deployed)
    deployed.watch(KEY, at=LOOK, schedule_revision=2)

    deployed.at(LOOK).look()
    deployed.carry_out(deployed.engine.receive())

    assert deployed.targets.runs == [KEY.run_id]


def test_two_references_to_a_run_that_nobody_holds_end_it_once(deployed: Deployment) -> None:
    a_watched_run(deployed, a_run(SLOT, max_attempts=1))
    deployed.watch(KEY, at=LOOK, schedule_revision=2)
    taken(deployed, lease_until=LOOK - TICK)

    assert deployed.at(LOOK).look().ended == 1
    assert deployed.watched() == {}


def test_a_look_that_dies_anywhere_is_done_again_to_the_same_end(tmp_path: Path) -> None:
    """Wherever the dispatcher is killed, every run ends as it would have."""
    lost, missing, dead, unwanted = (a_run_key(NINE + n * SECOND) for n in range(4))
    ends: set[str] = set()

    def story(calls: Calls) -> None:
        with a_deployment(tmp_path, calls=calls) as deployed:
            deployed.store(a_job(schedule=a_schedule(SECOND), next_slot=NINE + DAY))
            runs = deployed.engine.runs
            runs.insert([a_run(NINE + n * SECOND, max_attempts=1) for n in (0, 2, 3)])
            for key in (dead, unwanted):
                runs.move(
                    [Start(key=key, owner="x", now=NINE + 9 * SECOND, lease_until=NINE + MINUTE)]
                )
            runs.move([RequestCancel(key=unwanted, at=NINE + 10 * SECOND)])
            deployed.watch(lost, missing, dead, unwanted, at=LOOK)
            deployed.at(LOOK)
            try:
                deployed.look()
            except Died:
                deployed.look()
            with calls.uncounted():
                deployed.carry_out(deployed.engine.receive())
                deployed.at(LOOK + HOUR).look()
            assert deployed.watched() == {}, "what has its outcome is watched no more"
            ends.add(str([(run.key.name, run.state.value, run.attempt) for run in deployed.runs()]))
            assert len(deployed.targets.calls) == 2

    deaths = list(every_death(story))

    assert len(deaths) >= 2 * len(("due", "read", "jobs", "stretches", "add", "insert", "send"))
    (end,) = ends
    assert end.count("succeeded") == 2
    assert end.count("failed") == 1
    assert end.count("cancelled") == 1


class TestAPause:
    """What a pause withheld runs, or is left out, as the job's catch-up rule says; never both."""

    def paused_and_resumed(self, deployed: Deployment, catch_up: CatchUp, **how: Any) -> None:
        """Pause after two minutes and resume after eight, of which visits were made ahead."""
        key = a_job_key("paused")
        policy = Policy(catch_up=catch_up)
        deployed.store(a_job("paused", policy=policy))
        deployed.run_until(NINE + 2 * MINUTE + 30 * SECOND)
        deployed.pause(key)
        deployed.run_until(NINE + 8 * MINUTE + 30 * SECOND, **how)
        deployed.resume(key)
        deployed.run_until(NINE + HOUR)

    @pytest.mark.parametrize("messages", [True, False], ids=["", "messages lost"])
    @pytest.mark.parametrize("catch_up", list(CatchUp))
    def test_accounts_for_every_slot_once(
        self, deployed: Deployment, catch_up: CatchUp, messages: bool
    ) -> None:
        self.paused_and_resumed(deployed, catch_up, messages=messages)

        key = a_job_key("paused")
        stretches = deployed.engine.runs.stretches(key, incarnation=1)
        states = deployed.states(key)
        for minute in range(1, 59):
            slot = NINE + minute * MINUTE
            left_out = sum(stretch.holds(slot) for stretch in stretches)
            assert left_out + (slot in states) == 1, slot
        withheld = [NINE + minute * MINUTE for minute in range(3, 9)]
        late = [slot for slot in withheld if slot in states]
        assert late == {CatchUp.ALL: withheld, CatchUp.LATEST: withheld[-1:]}.get(catch_up, [])
        assert sum(stretch.count for stretch in stretches) == len(withheld) - len(late)

    def test_that_is_over_brings_nothing_back_that_was_left_out(self, deployed: Deployment) -> None:
        """The watch rows of the visit before the pause still name these slots."""
        self.paused_and_resumed(deployed, CatchUp.NONE)

        called = {call.run_id for _, call in deployed.targets.calls}
        for minute in range(3, 9):
            assert a_run_key(NINE + minute * MINUTE, job_id="paused").run_id not in called

    def test_withholds_every_slot_while_it_lasts(self, deployed: Deployment) -> None:
        key = a_job_key("paused")
        deployed.store(a_job("paused"))
        deployed.run_until(NINE + 2 * MINUTE + 30 * SECOND)
        deployed.pause(key)
        called = len(deployed.targets.calls)

        deployed.run_until(NINE + HOUR)

        assert len(deployed.targets.calls) == called == 2
        assert set(deployed.states(key).values()) == {RunState.SUCCEEDED}
        assert deployed.watched() == {}, "the watch has let go of what the pause withheld"


def test_messages_that_are_all_lost_make_runs_late_and_lose_none(deployed: Deployment) -> None:
    """No message is ever delivered but those that the watch sends."""
    key = a_job_key("unlucky")
    deployed.store(a_job("unlucky", schedule=a_schedule(max_runs=5)))
    deployed.make_dispatch().visit(a_due_job(deployed.job(key)))
    deployed.messages_until(NINE + 6 * MINUTE)

    deployed.run_until(NINE + 30 * MINUTE)

    assert set(deployed.states(key).values()) == {RunState.SUCCEEDED}
    assert len(deployed.states(key)) == 5
    assert all(at - NINE <= 22 * MINUTE for at, _ in deployed.targets.calls)


def test_a_run_that_nobody_can_start_in_time_is_missed_on_record(deployed: Deployment) -> None:
    key = a_job_key("strict")
    policy = Policy(start_deadline=timedelta(minutes=5))
    deployed.store(a_job("strict", schedule=a_schedule(max_runs=1), policy=policy))
    deployed.make_dispatch().visit(a_due_job(deployed.job(key)))
    deployed.messages_until(NINE + 6 * MINUTE)

    deployed.run_until(NINE + 30 * MINUTE)

    assert list(deployed.states(key).values()) == [RunState.MISSED]
    assert deployed.targets.calls == []
