"""A visit hands slots over so that none is lost and none is late, wherever it is interrupted."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from punctual.core.dispatch import (
    AHEAD_MAX,
    LATE_AFTER,
    LOOK_AHEAD,
    SLOTS_PER_VISIT_MAX,
    VISIT_MAX,
    plan_visit,
)
from punctual.core.identity import RunKey
from punctual.core.jobs import CatchUp, Delivery, Job, JobState, Policy
from punctual.core.runs import RunState, Start, VoidQueued
from punctual.core.schedules import Cron, Schedule
from punctual.core.watching import LOOK_AFTER
from punctual.ports import Outgoing
from punctual.services.dispatch import ROWS_AT_ONCE
from tests.support.builders import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    a_due_job,
    a_job,
    a_job_key,
    a_run,
    a_run_key,
    a_schedule,
    a_stretch,
)
from tests.support.clock import NINE
from tests.support.deployment import EVERY_SHARD, JOB, Deployment, a_deployment
from tests.support.mishaps import Calls, Died, Flaky, UnansweredMoves, every_death

NEVER = NINE + 365 * DAY


USED_BY_VISITS = (
    *("list", "move", "insert"),
    *("stretches", "put_stretches", "settle_stretches", "withdraw_stretches"),
)


def dense(job_id: str = "dense", *, every: timedelta = SECOND, **fields: Any) -> Job:
    """Return a job whose slots begin a second after nine."""
    schedule = a_schedule(every, anchor=NINE + SECOND)
    return a_job(job_id, schedule=schedule, next_slot=NINE + SECOND, **fields)


def test_a_visit_watches_inserts_sends_and_claims_in_this_order(deployed: Deployment) -> None:
    """What comes first is what must not be missing when the visit dies."""
    deployed.store(a_job())

    deployed.dispatch()

    assert deployed.calls.made == [
        "beats.beat",
        "jobs.due",
        "watch_list.add",
        "runs.insert",
        "queue.send",
        "jobs.claim",
    ]


def test_a_visit_hands_over_the_window_and_moves_the_pointer_past_it(deployed: Deployment) -> None:
    deployed.store(a_job())

    done = deployed.dispatch()

    slots = [NINE + minute * MINUTE for minute in range(1, 11)]
    assert (done.jobs, done.slots, done.finished) == (1, 10, True)
    assert deployed.states() == dict.fromkeys(slots, RunState.QUEUED)
    assert (deployed.job().next_slot, deployed.job().ordinal) == (NINE + 11 * MINUTE, 10)
    assert deployed.watched().keys() == {a_run_key(slot) for slot in slots}
    assert deployed.messages_until(NINE + 10 * MINUTE) == [(s, a_run_key(s)) for s in slots]


def test_a_message_says_what_its_row_was_handed_over_as(
    deployed: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that its start can ask for just that row, and need not read it."""
    deployed.store(a_job(policy=Policy(delivery=Delivery.AT_MOST_ONCE)))
    sent: list[Outgoing] = []
    send = deployed.engine.queue.send

    def note(messages: Sequence[Outgoing]) -> Sequence[bool]:
        sent.extend(messages)
        return send(messages)

    monkeypatch.setattr(deployed.engine.queue, "send", note)
    deployed.dispatch()

    assert len(sent) == 10
    assert [message.handed_over for message in sent] == [deployed.run(m.key) for m in sent]


def test_every_run_is_looked_at_once_it_has_been_due_for_a_while(deployed: Deployment) -> None:
    deployed.store(a_job())

    deployed.dispatch()

    for key, minute in deployed.watched().items():
        assert key.slot is not None
        assert key.slot < minute <= key.slot + LOOK_AFTER


def test_late_slots_are_looked_at_a_while_after_they_were_sent(deployed: Deployment) -> None:
    deployed.at(NINE + 5 * HOUR).store(a_job())

    deployed.dispatch()

    assert min(deployed.watched().values()) >= NINE + 5 * HOUR + LOOK_AFTER


def test_a_run_is_pinned_to_the_policy_of_its_visit(deployed: Deployment) -> None:
    deployed.store(a_job(policy=Policy(delivery=Delivery.AT_MOST_ONCE, timeout=MINUTE)))

    deployed.dispatch()

    for run in deployed.runs():
        assert (run.max_attempts, run.delivery, run.lane) == (1, Delivery.AT_MOST_ONCE, "slow")


def test_a_visit_that_is_done_again_changes_nothing_but_doubles_messages(
    deployed: Deployment,
) -> None:
    """An index may still show a job as it was before its claim."""
    job = deployed.store(a_job())
    stale = a_due_job(job)
    deployed.dispatch()
    before = deployed.job(), deployed.runs()

    done = deployed.make_dispatch().visit(stale)

    assert (done.jobs, done.claims_lost) == (0, 1)
    assert (deployed.job(), deployed.runs()) == before


def test_a_stale_visit_of_a_changed_job_claims_nothing(deployed: Deployment) -> None:
    job = deployed.store(a_job())
    changed = replace(job, revision=2)
    assert deployed.engine.jobs.change(changed, seen=job)

    done = deployed.make_dispatch().visit(a_due_job(job))

    assert done.claims_lost == 1
    assert deployed.job() == changed


def test_a_queued_run_of_the_schedule_before_becomes_the_new_ones(deployed: Deployment) -> None:
    job = deployed.store(a_job())
    deployed.make_dispatch().visit(a_due_job(job))

    deployed.make_dispatch().visit(a_due_job(job, schedule_revision=2))
    deployed.make_dispatch().visit(a_due_job(replace(job, schedule_revision=2)))

    assert {run.schedule_revision for run in deployed.runs()} == {2}


def test_jobs_whose_slots_are_far_are_left_alone(deployed: Deployment) -> None:
    far = NINE + LOOK_AHEAD + SECOND
    deployed.store(a_job(schedule=a_schedule(HOUR, anchor=far), next_slot=far))

    done = deployed.dispatch()

    assert (done.jobs, deployed.runs()) == (0, [])


def test_a_paused_job_is_not_due_and_a_stale_index_cannot_make_it_run(deployed: Deployment) -> None:
    job = deployed.store(a_job())
    deployed.pause()

    assert deployed.dispatch().jobs == 0
    done = deployed.make_dispatch().visit(a_due_job(job))
    deployed.run_until(NINE + 11 * MINUTE, ticks=False)

    assert done.claims_lost == 1
    assert deployed.targets.calls == []
    assert deployed.runs() == [], "runs that should not have been handed over leave no trace"


def test_the_last_visit_ends_the_job(deployed: Deployment) -> None:
    deployed.store(a_job(schedule=a_schedule(max_runs=3)))

    deployed.dispatch()

    job = deployed.job()
    assert (job.state, job.next_slot, job.ordinal) == (JobState.ENDED, None, 3)
    assert job.last_slot == NINE + 3 * MINUTE
    assert len(deployed.runs()) == 3


class TestWhenAPartFails:
    """Only what was surely done is claimed; the rest stays due, and the next tick has it."""

    JOBS = ("a", "b", "c")

    @pytest.mark.parametrize(
        ("port", "method", "entry"),
        [("runs", "insert", 10), ("queue", "send", 19), ("jobs", "claim", 1)],
    )
    def test_the_others_go_on(
        self, deployed: Deployment, port: str, method: str, entry: int
    ) -> None:
        for job_id in self.JOBS:
            deployed.store(a_job(job_id))
        good = getattr(deployed.engine, port)
        deployed.replaced[port] = Flaky(good, **{method: {entry}})

        done = deployed.dispatch()

        unmoved = [j for j in self.JOBS if deployed.job(a_job_key(j)).ordinal == 0]
        assert unmoved == ["b"]
        assert (done.jobs, done.failed + done.claims_lost) == (2, 1)

        deployed.replaced.clear()
        again = deployed.dispatch()

        assert again.jobs == 1
        for job_id in self.JOBS:
            assert deployed.job(a_job_key(job_id)).ordinal == 10
            assert len(deployed.runs(a_job_key(job_id))) == 10

    def test_a_watch_that_cannot_be_stored_lets_nothing_be_handed_over(
        self, deployed: Deployment
    ) -> None:
        deployed.store(a_job())
        deployed.replaced["watch_list"] = Flaky(deployed.engine.watch_list, add={0})

        done = deployed.dispatch()

        assert (done.failed, deployed.runs(), deployed.job().ordinal) == (1, [], 0)


def test_a_job_whose_slots_cannot_be_computed_is_parked_and_its_shard_goes_on(
    deployed: Deployment,
) -> None:
    unreadable = Schedule(rule=Cron(expression="a b c d e"))
    deployed.store(a_job("broken", schedule=unreadable, next_slot=NINE))
    deployed.store(a_job("sound"))

    done = deployed.dispatch()

    parked = deployed.job(a_job_key("broken"))
    assert parked.state is JobState.PAUSED
    assert parked.pause_note == done.parked[parked.key]
    assert parked.pause_note is not None
    assert parked.pause_note.startswith("parked: its slots cannot be computed (InvalidSchedule")
    assert len(deployed.runs(a_job_key("sound"))) == 10
    assert deployed.dispatch().parked == {}


def test_nothing_is_taken_up_once_the_time_is_up(deployed: Deployment) -> None:
    deployed.store(a_job())

    done = deployed.make_dispatch()(EVERY_SHARD, deadline=NINE)

    assert (done.finished, done.jobs, deployed.runs()) == (False, 0, [])
    assert deployed.dispatch().jobs == 1


def test_only_the_shards_that_were_asked_for_are_visited(deployed: Deployment) -> None:
    job = deployed.store(a_job())
    others = [shard for shard in EVERY_SHARD if shard != job.shard]

    assert deployed.make_dispatch()(others, deadline=NEVER).jobs == 0
    assert deployed.make_dispatch()([job.shard], deadline=NEVER).jobs == 1


class TestAnOutage:
    """What came due while nobody ticked goes out late, or is left out and counted."""

    def test_a_job_that_owes_many_slots_hands_all_of_them_over_in_one_dispatch(
        self, deployed: Deployment
    ) -> None:
        deployed.store(dense())
        deployed.at(NINE + HOUR)

        done = deployed.dispatch()

        handed_over = (HOUR + LOOK_AHEAD) // SECOND
        assert (done.slots, done.finished) == (handed_over, True)
        assert deployed.job(a_job_key("dense")).ordinal == handed_over
        assert len(deployed.runs(a_job_key("dense"))) == handed_over

    def test_every_job_is_visited_once_before_one_that_owes_much_is_visited_again(
        self, deployed: Deployment
    ) -> None:
        """60,000 late slots of one job must not make the others' late."""
        deployed.store(dense())
        for number in range(300):
            deployed.store(
                a_job(
                    f"job-{number}",
                    schedule=a_schedule(HOUR, anchor=NINE + HOUR),
                    next_slot=NINE + HOUR,
                )
            )
        deployed.at(NINE + HOUR)
        order: list[RunKey] = []
        send = deployed.engine.queue.send

        def note(messages: Sequence[Outgoing]) -> Sequence[bool]:
            order.extend(message.key for message in messages)
            return send(messages)

        deployed.replaced["queue"] = SimpleNamespace(send=note)
        deployed.dispatch()

        before_others = {key.job.job_id for key in order[: SLOTS_PER_VISIT_MAX + 300]}
        assert len(before_others) == 301
        assert len(order) == (HOUR + LOOK_AHEAD) // SECOND + 300

    @pytest.mark.parametrize(
        ("catch_up", "late_runs"), [(CatchUp.ALL, 59), (CatchUp.LATEST, 1), (CatchUp.NONE, 0)]
    )
    def test_every_slot_is_handed_over_or_counted_as_left_out(
        self, deployed: Deployment, catch_up: CatchUp, late_runs: int
    ) -> None:
        deployed.store(a_job(policy=Policy(catch_up=catch_up)))
        deployed.at(NINE + HOUR)

        done = deployed.dispatch()

        slots = [NINE + minute * MINUTE for minute in range(1, 60)]
        stretches = deployed.engine.runs.stretches(JOB, incarnation=1)
        rows = set(deployed.states())
        assert len([slot for slot in slots if slot in rows]) == late_runs
        assert sum(stretch.count for stretch in stretches) == 59 - late_runs == done.left_out
        for slot in slots:
            assert (slot in rows) != any(stretch.holds(slot) for stretch in stretches)

    def test_left_out_is_written_before_anything_is_handed_over(self, deployed: Deployment) -> None:
        """So that two visits cannot part the slots differently."""
        deployed.store(a_job(policy=Policy(catch_up=CatchUp.LATEST)))
        deployed.at(NINE + HOUR).dispatch()

        made = deployed.calls.made
        assert made.index("runs.put_stretches") < made.index("watch_list.add")
        assert made[-1] == "jobs.claim"

    def test_a_run_that_began_before_is_not_left_out(self, deployed: Deployment) -> None:
        """The visit that sent it died before its claim, and there was no tick for an hour."""
        job = deployed.store(a_job(policy=Policy(catch_up=CatchUp.NONE)))
        deployed.replaced["jobs"] = Flaky(deployed.engine.jobs, claim={0})
        deployed.make_dispatch().visit(a_due_job(job))
        deployed.replaced.clear()
        deployed.run_until(NINE + 3 * MINUTE + SECOND, ticks=False)

        deployed.at(NINE + HOUR).dispatch()

        stretches = deployed.engine.runs.stretches(JOB, incarnation=1)
        assert [state for _, state in sorted(deployed.states().items())][:3] == ["succeeded"] * 3
        assert sum(stretch.count for stretch in stretches) == 59 - 3
        assert stretches[-1].since == NINE + 4 * MINUTE
        assert deployed.job().ordinal == len(deployed.runs())

    def test_a_run_that_nobody_started_is_left_out_like_the_rest(
        self, deployed: Deployment
    ) -> None:
        job = deployed.store(a_job(policy=Policy(catch_up=CatchUp.NONE)))
        deployed.replaced["jobs"] = Flaky(deployed.engine.jobs, claim={0})
        deployed.make_dispatch().visit(a_due_job(job))
        deployed.replaced.clear()

        deployed.at(NINE + HOUR).dispatch()
        deployed.run_until(NINE + HOUR + 20 * MINUTE)

        (stretch,) = deployed.engine.runs.stretches(JOB, incarnation=1)
        assert stretch.count == 59
        assert min(deployed.states()) == NINE + HOUR

    def test_what_another_visit_left_out_meanwhile_is_not_parted_anew(
        self, deployed: Deployment
    ) -> None:
        """Two visits met: the one that came second hands over nothing, and the next one goes on."""
        deployed.store(a_job(policy=Policy(catch_up=CatchUp.NONE)))
        deployed.at(NINE + HOUR)

        class Late:
            """Hides what the other visit has just written."""

            def __getattr__(self, name: str) -> object:
                return getattr(deployed.engine.runs, name)

            def stretches(self, *_: object, **__: object) -> list[object]:
                return []

        deployed.engine.runs.put_stretches([(JOB, a_stretch(NINE + MINUTE, count=20))])
        deployed.replaced["runs"] = Late()
        done = deployed.dispatch()
        assert (done.failed, done.jobs, deployed.runs()) == (1, 0, [])

        deployed.replaced.clear()
        assert deployed.dispatch().jobs == 1
        counts = [s.count for s in deployed.engine.runs.stretches(JOB, incarnation=1)]
        assert counts == [39, 20]

    def test_a_run_that_begins_while_its_slot_is_being_left_out_is_not_left_out(
        self, deployed: Deployment
    ) -> None:
        """Another visit hands it over meanwhile, and its executor finds no stretch yet."""
        deployed.store(a_job(policy=Policy(catch_up=CatchUp.NONE)))
        deployed.at(NINE + HOUR)
        slot, store = NINE + 30 * MINUTE, deployed.engine.runs
        run = a_run(slot)
        start = Start(key=run.key, owner="me", now=deployed.now, lease_until=deployed.now + MINUTE)

        def announced(stretches: Sequence[Any]) -> Sequence[bool]:
            store.insert([run])
            store.move([start])
            return store.put_stretches(stretches)

        runs = SimpleNamespace(**{name: getattr(store, name) for name in USED_BY_VISITS})
        runs.put_stretches = announced
        deployed.replaced["runs"] = runs
        done = deployed.dispatch()
        assert (done.failed, done.jobs) == (1, 0)
        assert not any(each.holds(slot) for each in store.stretches(JOB, incarnation=1))

        deployed.replaced.pop("runs")
        assert deployed.dispatch().left_out == 58
        stretches = store.stretches(JOB, incarnation=1)
        assert not any(each.holds(slot) for each in stretches)
        assert [each.count for each in stretches] == [29, 29]

    def test_a_row_that_comes_while_its_slot_is_being_left_out_is_taken_back(
        self, deployed: Deployment
    ) -> None:
        deployed.store(a_job(policy=Policy(catch_up=CatchUp.NONE)))
        deployed.at(NINE + HOUR)
        store = deployed.engine.runs

        def announced(stretches: Sequence[Any]) -> Sequence[bool]:
            store.insert([a_run(NINE + 30 * MINUTE)])
            return store.put_stretches(stretches)

        runs = SimpleNamespace(**{name: getattr(store, name) for name in USED_BY_VISITS})
        runs.put_stretches = announced
        deployed.replaced["runs"] = runs

        assert deployed.dispatch().left_out == 59
        assert min(deployed.states()) == NINE + HOUR

    def test_of_two_visits_that_leave_the_same_out_one_is_in_vain(
        self, deployed: Deployment
    ) -> None:
        """The other one met its announcement before it was settled."""
        job = deployed.store(a_job(policy=Policy(catch_up=CatchUp.NONE)))
        deployed.at(NINE + HOUR)
        store, others = deployed.engine.runs, deployed.make_dispatch()

        def settled(stretches: Sequence[Any]) -> Sequence[bool]:
            assert others.visit(a_due_job(job)).left_out == 59
            return store.settle_stretches(stretches)

        runs = SimpleNamespace(**{name: getattr(store, name) for name in USED_BY_VISITS})
        runs.settle_stretches = settled
        deployed.replaced["runs"] = runs

        done = deployed.dispatch()

        assert done.jobs == 0
        assert [each.count for each in store.stretches(JOB, incarnation=1)] == [59]

    def test_every_run_that_stands_among_many_late_slots_is_found(
        self, deployed: Deployment
    ) -> None:
        """They come in several pages: a visit of a dense job died before its claim."""
        key = a_job_key("dense")
        job = deployed.store(dense(policy=Policy(catch_up=CatchUp.NONE)))
        deployed.replaced["jobs"] = Flaky(deployed.engine.jobs, claim={0})
        deployed.make_dispatch().visit(a_due_job(job))
        deployed.replaced.pop("jobs")
        deployed.run_until(NINE + 80 * SECOND, ticks=False)
        begun = [slot for slot, state in deployed.states(key).items() if state.terminal]
        assert len(begun) > 3 * ROWS_AT_ONCE

        deployed.at(NINE + HOUR).dispatch()

        stretches = deployed.engine.runs.stretches(key, incarnation=1)
        late = (HOUR - LATE_AFTER) // SECOND
        assert sum(stretch.count for stretch in stretches) == late - len(begun)
        assert not any(stretch.holds(slot) for stretch in stretches for slot in begun)

    def test_a_visit_that_has_not_heard_of_an_edit_leaves_the_new_schedule_alone(
        self, deployed: Deployment
    ) -> None:
        """It stood still through the edit: it takes no run of the new slots, and skips none."""
        job = deployed.store(a_job(policy=Policy(catch_up=CatchUp.NONE)))
        deployed.edit(a_schedule(90 * SECOND))
        handed_over = deployed.states()
        assert handed_over
        deployed.at(NINE + HOUR)

        deployed.make_dispatch().visit(a_due_job(job))

        assert deployed.states().items() >= handed_over.items()

    def test_a_visit_that_has_not_heard_of_an_edit_counts_none_of_the_old_slots(
        self, deployed: Deployment
    ) -> None:
        """Found by the simulation: it told of fourteen slots left out where the edit left one."""
        job = deployed.store(a_job(policy=Policy(catch_up=CatchUp.NONE)))
        deployed.edit(a_schedule(90 * SECOND))
        deployed.at(NINE + HOUR)

        done = deployed.make_dispatch().visit(a_due_job(job))

        stretches = deployed.engine.runs.stretches(JOB, incarnation=1)
        assert [each for each in stretches if each.announced_by is None] == []
        assert (done.failed, done.left_out) == (1, 0)

    def test_a_visit_that_stood_still_hands_nothing_over_beside_the_one_that_followed(
        self, deployed: Deployment
    ) -> None:
        """Woken before its rows, it would run slots that the other one leaves out."""
        deployed.store(a_job(policy=Policy(catch_up=CatchUp.LATEST)))
        deployed.at(NINE + HOUR)
        put = deployed.engine.runs.put_stretches

        def standing_still(stretches: Sequence[Any]) -> Sequence[bool]:
            recorded = put(stretches)
            deployed.engine.clock.advance(VISIT_MAX + SECOND)
            return recorded

        runs = SimpleNamespace(**{n: getattr(deployed.engine.runs, n) for n in USED_BY_VISITS})
        runs.put_stretches = standing_still
        deployed.replaced["runs"] = runs

        done = deployed.dispatch()

        assert (done.failed, done.jobs) == (1, 0)
        assert deployed.states() == {}
        assert deployed.watch_rows() == []

    def test_a_run_that_could_not_surely_be_taken_back_keeps_the_job_due(
        self, deployed: Deployment
    ) -> None:
        job = deployed.store(a_job(policy=Policy(catch_up=CatchUp.NONE)))
        deployed.replaced["jobs"] = Flaky(deployed.engine.jobs, claim={0})
        deployed.make_dispatch().visit(a_due_job(job))
        runs = UnansweredMoves(deployed.engine.runs, clock=deployed.engine.clock)
        runs.unanswered, runs.only = [True], VoidQueued
        deployed.replaced |= {"jobs": deployed.engine.jobs, "runs": runs}
        deployed.at(NINE + HOUR)

        assert deployed.dispatch().failed == 1
        assert deployed.engine.runs.stretches(JOB, incarnation=1) == []
        assert deployed.dispatch().jobs == 1
        assert sum(s.count for s in deployed.engine.runs.stretches(JOB, incarnation=1)) == 59

    def test_that_owes_more_than_the_time_suffices_for_goes_on_at_the_next_tick(
        self, deployed: Deployment
    ) -> None:
        deployed.store(dense())
        deployed.at(NINE + HOUR)
        send = deployed.engine.queue.send

        def slowly(messages: Sequence[Outgoing]) -> Sequence[bool]:
            deployed.engine.clock.advance(20 * SECOND)
            return send(messages)

        deployed.replaced["queue"] = SimpleNamespace(send=slowly)

        done = deployed.dispatch()

        assert (done.finished, done.slots) == (False, 3 * SLOTS_PER_VISIT_MAX)
        assert deployed.job(a_job_key("dense")).ordinal == 3 * SLOTS_PER_VISIT_MAX

    @pytest.mark.parametrize("method", ["list", "stretches"])
    def test_without_an_answer_nothing_is_left_out_and_the_job_stays_due(
        self, deployed: Deployment, method: str
    ) -> None:
        deployed.store(a_job(policy=Policy(catch_up=CatchUp.NONE)))
        deployed.at(NINE + HOUR)
        deployed.replaced["runs"] = Flaky(deployed.engine.runs, **{method: 2})

        done = deployed.dispatch()
        api = deployed.make_dispatch().visit(a_due_job(deployed.job()))

        assert (done.failed, done.jobs, api.failed, api.finished) == (1, 0, 1, False)
        assert deployed.job().ordinal == 0
        assert deployed.dispatch().jobs == 1


@pytest.mark.parametrize("catch_up", list(CatchUp))
def test_a_visit_that_dies_anywhere_is_done_again_to_the_same_end(
    tmp_path: Path, catch_up: CatchUp
) -> None:
    """Wherever the dispatcher is killed, the next tick leads where an undisturbed one leads."""
    ends: dict[str, object] = {}

    def story(calls: Calls) -> None:
        with a_deployment(tmp_path, calls=calls) as deployed:
            deployed.store(a_job(policy=Policy(catch_up=catch_up)))
            deployed.store(a_job("other", schedule=a_schedule(7 * MINUTE)))
            deployed.at(NINE + 20 * MINUTE)
            try:
                deployed.dispatch()
            except Died:
                deployed.dispatch()
            other = a_job_key("other")
            due_by = deployed.now + AHEAD_MAX
            sent = {key for _, key in deployed.messages_until(due_by)}
            rows = {run.key for key in (JOB, other) for run in deployed.runs(key)}
            assert rows <= sent
            assert rows <= deployed.watched().keys()
            ends[str(calls)] = (
                deployed.job(),
                deployed.job(other),
                deployed.runs(),
                deployed.runs(other),
                deployed.engine.runs.stretches(JOB, incarnation=1),
            )

    deaths = list(every_death(story))

    assert len(deaths) >= 12
    assert len({repr(end) for end in ends.values()}) == 1


def test_the_api_visits_up_to_an_instant_and_not_beyond(deployed: Deployment) -> None:
    """What a change of the slots does first, a paused job's owed slots included."""
    job = deployed.store(a_job(state=JobState.PAUSED, paused_at=NINE + 3 * MINUTE))

    done = deployed.make_dispatch().visit(a_due_job(job), until=NINE + 3 * MINUTE, paused=True)

    assert (done.jobs, done.finished) == (1, True)
    assert sorted(deployed.states()) == [NINE + minute * MINUTE for minute in (1, 2, 3)]
    assert deployed.job().state is JobState.PAUSED
    assert deployed.job().next_slot == NINE + 4 * MINUTE


def test_a_visit_by_the_api_says_when_slots_remain(deployed: Deployment) -> None:
    job = deployed.store(dense())
    deployed.at(NINE + HOUR)

    done = deployed.make_dispatch().visit(a_due_job(job))

    assert (done.slots, done.finished) == (SLOTS_PER_VISIT_MAX, False)


def test_a_start_between_a_stale_visit_and_its_insert_is_left_alone(deployed: Deployment) -> None:
    job = deployed.store(a_job())
    visit = plan_visit(job, now=NINE)
    assert visit is not None
    deployed.dispatch()
    key = visit.runs[0].key
    start = Start(key=key, owner="me", now=NINE + MINUTE, lease_until=NINE + 2 * MINUTE)
    assert deployed.engine.runs.move([start])[0].applied

    deployed.make_dispatch().visit(a_due_job(job))

    run = deployed.run(key)
    assert run is not None
    assert run.held_by("me")
