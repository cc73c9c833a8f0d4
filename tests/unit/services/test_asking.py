"""A run that is asked for happens once, however often one asks and whoever dies meanwhile."""

from contextlib import suppress
from pathlib import Path

import pytest

from punctual.core.asking import own_ref, own_until
from punctual.core.calls import HttpCall
from punctual.core.errors import (
    Conflict,
    IdempotencyKeyReused,
    JobGone,
    JobNotFound,
    RunNotFound,
    StoreUnavailable,
)
from punctual.core.identity import RunKey
from punctual.core.jobs import Content, HttpTarget, Job, JobState
from punctual.core.requests import KEPT
from punctual.core.runs import Run, RunState, Trigger
from punctual.core.schedules import At, Schedule
from punctual.core.watching import LOOK_AFTER
from punctual.services.asking import UNSENT_LOOK_AFTER, Asked, Key
from tests.support.builders import DAY, HOUR, MINUTE, SECOND, TICK, a_job, a_run_key, a_schedule
from tests.support.clock import NINE
from tests.support.deployment import JOB, Deployment, a_deployment
from tests.support.mishaps import Calls, Died, Flaky, every_death

KEY = Key(text="order-7", fingerprint="f" * 64)


@pytest.fixture
def deployed(deployed: Deployment) -> Deployment:
    """A deployment with a job that is not due today."""
    deployed.store(a_job(schedule=a_schedule(DAY, anchor=NINE + DAY), next_slot=NINE + DAY))
    return deployed


def run_now(deployed: Deployment, **how: object) -> Asked:
    return deployed.make_asking().run_now(JOB, **how)  # type: ignore[arg-type]


def ended(deployed: Deployment, key: RunKey) -> Run:
    """Let a minute and more pass, and return the run, which has its outcome."""
    deployed.run_until(deployed.now + 2 * MINUTE)
    run = deployed.run(key)
    assert run is not None
    assert run.state.terminal
    return run


def bodies(deployed: Deployment) -> list[bytes]:
    return [call.body for _, call in deployed.targets.calls if isinstance(call, HttpCall)]


def test_a_run_that_is_asked_for_starts_at_once_and_moves_nothing_of_the_job(
    deployed: Deployment,
) -> None:
    before = deployed.job()

    asked = run_now(deployed)

    assert not asked.replayed
    assert (asked.run.trigger, asked.run.state) == (Trigger.MANUAL, RunState.QUEUED)
    deployed.execute()
    run = deployed.run(asked.run.key)
    assert run is not None
    assert (run.state, run.starts, run.due_at) == (RunState.SUCCEEDED, (NINE,), NINE)
    assert deployed.job() == before


def test_max_runs_does_not_count_it(deployed: Deployment) -> None:
    deployed.create(a_schedule(max_runs=2), key=a_run_key(job_id="twice").job)

    deployed.make_asking().run_now(a_run_key(job_id="twice").job)
    deployed.run_until(NINE + HOUR)

    runs = deployed.runs(a_run_key(job_id="twice").job)
    assert [run.trigger for run in runs].count(Trigger.SCHEDULE) == 2
    assert {run.state for run in runs} == {RunState.SUCCEEDED}
    assert len(runs) == 3


def test_a_job_that_has_ended_can_be_run(deployed: Deployment) -> None:
    job = a_run_key(job_id="once").job
    deployed.create(Schedule(rule=At(at=NINE + MINUTE)), key=job)
    deployed.run_until(NINE + 5 * MINUTE)
    assert deployed.job(job).state is JobState.ENDED

    asked = deployed.make_asking().run_now(job)

    assert ended(deployed, asked.run.key).state is RunState.SUCCEEDED
    assert deployed.job(job).state is JobState.ENDED


def test_a_body_of_its_own_is_sent_by_every_attempt_and_by_no_other_run(
    deployed: Deployment,
) -> None:
    asked = run_now(deployed, body={"day": "{{scheduled_at}}"})
    usual = run_now(deployed)
    deployed.run_until(NINE + MINUTE)

    assert {r.key for r in deployed.runs()} == {asked.run.key, usual.run.key}
    assert set(bodies(deployed)) == {b"", b'{"day":"2026-12-01T09:00:00Z"}'}


def test_a_body_of_its_own_stays_though_the_job_is_changed(deployed: Deployment) -> None:
    run_now(deployed, body="mine")

    deployed.edit(a_schedule(DAY, anchor=NINE + DAY), timeout=5 * SECOND)
    deployed.execute()

    assert bodies(deployed) == [b"mine"]


def test_the_content_of_a_run_ends_without_that_of_its_job(deployed: Deployment) -> None:
    """The job's own content may be the very same."""
    job = deployed.job()
    content = deployed.engine.jobs.read_contents([(JOB, job.content)])[JOB, job.content]
    assert isinstance(content.target, HttpTarget)
    asked = run_now(deployed, body="mine")
    mine = Content(target=HttpTarget(url=content.target.url, body="mine", body_is_json=False))
    ref = own_ref(asked.run.key, mine)
    assert asked.run.content == ref
    assert set(deployed.engine.jobs.read_contents([(JOB, ref)])) == {(JOB, ref)}

    deployed.engine.clock.set(own_until(job, now=NINE))

    found = deployed.engine.jobs.read_contents([(JOB, ref), (JOB, job.content)])
    assert set(found) == {(JOB, job.content)}


class TestAJobThatDoesNotRun:
    """What is paused does not run, and what is deleted is not there."""

    def test_is_not_run_when_it_is_paused(self, deployed: Deployment) -> None:
        deployed.pause()

        with pytest.raises(Conflict, match="paused"):
            run_now(deployed)
        with pytest.raises(Conflict, match="paused"):
            run_now(deployed, key=KEY)

        assert deployed.runs() == []
        deployed.resume()
        assert not run_now(deployed, key=KEY).replayed, "the refusal is not remembered"

    def test_skips_a_run_when_it_is_paused_a_moment_later(self, deployed: Deployment) -> None:
        asked = run_now(deployed)

        deployed.pause()

        run = ended(deployed, asked.run.key)
        assert (run.state, run.reason) == (RunState.SKIPPED, "paused")
        assert deployed.targets.calls == []

    def test_is_not_found_when_it_is_deleted(self, deployed: Deployment) -> None:
        deployed.delete()

        with pytest.raises(JobNotFound):
            run_now(deployed)

    def test_cancels_a_run_when_it_is_deleted_a_moment_later(self, deployed: Deployment) -> None:
        asked = run_now(deployed)

        deployed.delete()

        run = ended(deployed, asked.run.key)
        assert (run.state, run.reason) == (RunState.CANCELLED, "deleted")
        assert deployed.targets.calls == []

    def test_misses_a_run_whose_message_comes_after_its_start_deadline(
        self, deployed: Deployment
    ) -> None:
        asked = run_now(deployed)

        deployed.at(NINE + deployed.job().policy.start_deadline + TICK).execute()

        run = deployed.run(asked.run.key)
        assert run is not None
        assert (run.state, run.reason) == (RunState.MISSED, "deadline")


class TestAKey:
    """A repeated request finds the run that the first one asked for."""

    def test_asks_once(self, deployed: Deployment) -> None:
        first = run_now(deployed, key=KEY)
        deployed.engine.clock.advance(SECOND)

        again = run_now(deployed, key=KEY)

        assert (first.replayed, again.replayed) == (False, True)
        assert again.run == first.run
        assert len(deployed.runs()) == 1

    def test_shows_the_run_as_it_is_by_now_though_its_job_is_paused(
        self, deployed: Deployment
    ) -> None:
        first = run_now(deployed, key=KEY)
        deployed.execute()
        deployed.pause()

        again = run_now(deployed, key=KEY)

        assert (again.replayed, again.run.state) == (True, RunState.SUCCEEDED)
        assert again.run.key == first.run.key

    def test_with_another_body_is_refused_naming_both(self, deployed: Deployment) -> None:
        run_now(deployed, key=KEY)

        with pytest.raises(IdempotencyKeyReused, match=f"{'f' * 64}.*{'e' * 64}"):
            run_now(deployed, key=Key(text=KEY.text, fingerprint="e" * 64))

        assert len(deployed.runs()) == 1

    def test_of_another_request_asks_again(self, deployed: Deployment) -> None:
        run_now(deployed, key=KEY)

        assert not run_now(deployed, key=Key(text="order-8", fingerprint="f" * 64)).replayed

        assert len(deployed.runs()) == 2

    def test_is_forgotten_after_days(self, deployed: Deployment) -> None:
        run_now(deployed, key=KEY)
        deployed.at(NINE + KEPT)

        assert not run_now(deployed, key=KEY).replayed

    def test_finds_its_run_after_the_job_was_deleted_and_created_again(
        self, deployed: Deployment
    ) -> None:
        first = run_now(deployed, key=KEY)
        deployed.delete()
        deployed.create(a_schedule(DAY, anchor=NINE + DAY))

        asked = run_now(deployed, key=KEY)

        assert asked.replayed
        assert asked.run.key == first.run.key
        assert deployed.runs(incarnation=2) == []

    def test_makes_no_run_of_the_next_life_where_the_first_sending_made_none(
        self, deployed: Deployment
    ) -> None:
        deployed.replaced["runs"] = Flaky(deployed.engine.runs, insert={0})
        with pytest.raises(StoreUnavailable):
            run_now(deployed, key=KEY)
        deployed.delete()
        deployed.create(a_schedule(DAY, anchor=NINE + DAY))

        with pytest.raises(JobGone):
            run_now(deployed, key=KEY)

        assert deployed.runs() == deployed.runs(incarnation=2) == []

    def test_asks_once_for_each_run_that_is_replayed(self, deployed: Deployment) -> None:
        runs = [run_now(deployed).run.key, run_now(deployed).run.key]
        deployed.execute()
        asking = deployed.make_asking()

        asked = [asking.replay(run, key=KEY) for run in (*runs, *runs)]

        assert [each.replayed for each in asked] == [False, False, True, True]
        assert len({each.run.key for each in asked}) == 2


class TestAReplay:
    """The same work once more, as a run of its own."""

    def a_run_that_ended(self, deployed: Deployment, **how: object) -> Run:
        asked = run_now(deployed, **how)
        deployed.execute()
        deployed.engine.clock.advance(2 * HOUR)
        run = deployed.run(asked.run.key)
        assert run is not None
        return run

    def test_is_for_the_same_time_with_the_same_body(self, deployed: Deployment) -> None:
        original = self.a_run_that_ended(deployed, body="{{scheduled_at}}")

        replay = deployed.make_asking().replay(original.key).run

        assert (replay.trigger, replay.key.name[:2]) == (Trigger.REPLAY, "r.")
        assert (replay.scheduled_at, replay.due_at) == (NINE, deployed.now)
        run = ended(deployed, replay.key)
        assert run.state is RunState.SUCCEEDED, "its deadline counts from when it was asked for"
        assert bodies(deployed) == [b"2026-12-01T09:00:00Z"] * 2
        assert run.content is not None
        assert run.content != original.content

    def test_sends_what_the_job_sends_by_now_where_the_run_had_no_body_of_its_own(
        self, deployed: Deployment
    ) -> None:
        original = self.a_run_that_ended(deployed)

        replay = deployed.make_asking().replay(original.key).run

        assert replay.content is None
        assert ended(deployed, replay.key).state is RunState.SUCCEEDED

    def test_can_be_replayed(self, deployed: Deployment) -> None:
        original = self.a_run_that_ended(deployed, body="once")
        first = ended(deployed, deployed.make_asking().replay(original.key).run.key)

        ended(deployed, deployed.make_asking().replay(first.key).run.key)

        assert bodies(deployed) == [b"once"] * 3

    def test_waits_for_the_outcome(self, deployed: Deployment) -> None:
        asked = run_now(deployed)

        with pytest.raises(Conflict, match="no outcome yet"):
            deployed.make_asking().replay(asked.run.key)

    def test_needs_a_run_and_a_job_of_the_same_life(self, deployed: Deployment) -> None:
        original = self.a_run_that_ended(deployed)
        asking = deployed.make_asking()
        with pytest.raises(RunNotFound):
            asking.replay(a_run_key(name="m.none"))

        deployed.delete()
        with pytest.raises(Conflict, match="deleted"):
            asking.replay(original.key)
        deployed.create()
        with pytest.raises(RunNotFound):
            asking.replay(original.key)

    def test_does_not_run_what_is_paused(self, deployed: Deployment) -> None:
        original = self.a_run_that_ended(deployed)
        deployed.pause()

        with pytest.raises(Conflict, match="paused"):
            deployed.make_asking().replay(original.key)


class TestWhatFails:
    """Nothing is owed to whoever got no answer; whoever got one gets the run."""

    def test_a_run_that_was_not_sent_is_sent_a_minute_later(self, deployed: Deployment) -> None:
        deployed.replaced["queue"] = Flaky(deployed.engine.queue, send={0})
        asked = run_now(deployed)
        del deployed.replaced["queue"]
        assert deployed.watched()[asked.run.key] == NINE + UNSENT_LOOK_AFTER

        deployed.run_until(NINE + 2 * MINUTE)

        run = deployed.run(asked.run.key)
        assert run is not None
        assert run.starts == (NINE + UNSENT_LOOK_AFTER,)

    def test_a_run_whose_message_was_lost_is_sent_by_the_second_look(
        self, deployed: Deployment
    ) -> None:
        asked = run_now(deployed)
        deployed.engine.receive()

        deployed.run_until(NINE + LOOK_AFTER + 2 * MINUTE)

        run = deployed.run(asked.run.key)
        assert run is not None
        assert run.starts == (NINE + LOOK_AFTER,)

    @pytest.mark.parametrize(
        ("port", "fails"),
        [("watch_list", {"add": {0}}), ("runs", {"insert": {0}}), ("requests", {"remember": 1})],
    )
    def test_whoever_gets_no_run_is_told_so_and_may_ask_again(
        self, deployed: Deployment, port: str, fails: dict[str, object]
    ) -> None:
        deployed.replaced[port] = Flaky(getattr(deployed.engine, port), **fails)
        with pytest.raises(StoreUnavailable):
            run_now(deployed, key=KEY)
        del deployed.replaced[port]

        asked = run_now(deployed, key=KEY)

        deployed.run_until(NINE + HOUR)
        assert deployed.targets.runs == [asked.run.key.run_id]

    def test_a_look_at_a_run_that_never_came_into_being_is_the_last_one(
        self, deployed: Deployment
    ) -> None:
        deployed.replaced["runs"] = Flaky(deployed.engine.runs, insert={0})
        with pytest.raises(StoreUnavailable):
            run_now(deployed)
        del deployed.replaced["runs"]
        assert deployed.watched() != {}

        deployed.run_until(NINE + HOUR)

        assert (deployed.runs(), deployed.watched(), deployed.targets.calls) == ([], {}, [])


def test_whoever_dies_where_a_request_with_a_key_makes_one_run(tmp_path: Path) -> None:
    """The API dies at every call in turn, and its client asks again until there is an answer."""
    replayed: list[bool] = []

    def story(calls: Calls) -> None:
        with a_deployment(tmp_path, calls=calls) as deployed:
            with calls.uncounted():
                deployed.store(
                    a_job(schedule=a_schedule(DAY, anchor=NINE + DAY), next_slot=NINE + DAY)
                )
            asked: Asked | None = None
            while asked is None:
                with suppress(Died):
                    asked = run_now(deployed, key=KEY, body="mine")
                deployed.engine.clock.advance(3 * SECOND)
            replayed.append(asked.replayed)
            with calls.uncounted():
                deployed.run_until(NINE + HOUR)
                assert deployed.targets.runs == [asked.run.key.run_id]
                assert bodies(deployed) == [b"mine"]
                assert [run.state for run in deployed.runs()] == [RunState.SUCCEEDED]
                assert deployed.watched() == {}

    deaths = list(every_death(story))

    wanted = ("jobs.read", "requests.remember", "put_content", "add", "insert", "send")
    assert all(any(name in death for death in deaths) for name in wanted)
    assert set(replayed) == {False, True}


def test_the_job_of_a_request_need_not_be_stored_with_a_content(deployed: Deployment) -> None:
    """A job whose content was lost says so where a run's own would be made of it."""
    job: Job = a_job("lost", content="c" * 64)
    deployed.engine.jobs.create(job)

    with pytest.raises(StoreUnavailable, match="content"):
        deployed.make_asking().run_now(job.key, body=1)
