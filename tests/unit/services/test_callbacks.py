"""A target that accepted the work reports back: it completes, fails, lives on or falls silent."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from punctual.core.callbacks import token_of
from punctual.core.calls import Answer, Call, CallError, HttpCall
from punctual.core.errors import Conflict, StoreUnavailable, Unauthenticated
from punctual.core.execution import LEASE_MARGIN
from punctual.core.jobs import Delivery, HttpTarget, Policy
from punctual.core.records import content_ref
from punctual.core.retry import Jitter, RetryPolicy
from punctual.core.runs import LIFE_MAX, Finish, Hold, Move, RequestCancel, Run, RunState, Start
from punctual.core.timeline import attempts_of, timeline
from punctual.ports import Moved, Outgoing
from punctual.services.callbacks import Callbacks
from tests.support.builders import DAY, HOUR, MINUTE, SECOND, a_content, a_job, a_run, a_schedule
from tests.support.clock import NINE
from tests.support.deployment import API, EXECUTOR_LIVES, Deployment, a_deployment
from tests.support.mishaps import Calls, Died, Flaky, UnansweredMoves, every_death
from tests.support.virtual_targets import BUSY, OK, QUICK

SLOT = NINE + MINUTE
RUN = a_run(SLOT)
ID = RUN.key.run_id
SOLD_OUT = CallError(type="sold_out", message="none left")
ACCEPTED = Answer(status_code=202)
POLICY = Policy(
    heartbeat=10 * MINUTE,
    retry=RetryPolicy(max_attempts=2, min_delay=30 * SECOND, jitter=Jitter.NONE),
)


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Deployment]:
    """A job whose target accepts the work, and a run of it at one past nine."""
    with a_deployment(tmp_path) as deployed:
        hand_over(deployed)
        yield deployed


def hand_over(deployed: Deployment, policy: Policy = POLICY, **fields: Any) -> None:
    """Store the job and hand its run over; `fields` are the run's."""
    content = a_content(completion="callback")
    job = a_job(
        content=content_ref(content), policy=policy, schedule=a_schedule(DAY), next_slot=NINE + DAY
    )
    deployed.engine.jobs.put_content(job.key, job.content, content)
    assert deployed.engine.jobs.create(job) is None
    values: dict[str, Any] = {"max_attempts": policy.attempts, "delivery": policy.delivery}
    run = replace(RUN, **values | fields)
    deployed.engine.runs.insert([run])
    deployed.targets.manner = lambda _: (ACCEPTED, QUICK)
    send(deployed)


def send(deployed: Deployment) -> None:
    deployed.engine.queue.send([Outgoing(key=RUN.key, lane=RUN.lane, at=max(SLOT, deployed.now))])


def called(deployed: Deployment, number: int = -1) -> Call:
    return deployed.targets.calls[number][1]


def token(deployed: Deployment, number: int = -1) -> str:
    """Return the token of the attempt that made a call, the last one unless told otherwise."""
    call = called(deployed, number)
    assert isinstance(call, HttpCall)
    return dict(call.headers)["Punctual-Callback-Token"]


def accepted(deployed: Deployment) -> str:
    """Let the run be called and its call be accepted; return the attempt's token."""
    deployed.at(max(SLOT, deployed.now))
    deployed.execute()
    run = stored(deployed)
    assert run.heartbeat == POLICY.heartbeat
    return token(deployed)


def stored(deployed: Deployment) -> Run:
    run = deployed.run(RUN.key)
    assert run is not None
    return run


class TestAcceptance:
    """A 2xx is no outcome: the attempt goes on without its executor."""

    def test_the_call_says_where_and_with_what_to_report(self, deployed: Deployment) -> None:
        accepted(deployed)

        call = called(deployed)
        assert isinstance(call, HttpCall)
        headers = dict(call.headers)
        assert headers["Punctual-Callback-Url"] == f"{API}/v1/runs/{ID}"
        assert headers["Punctual-Callback-Token"] not in repr(call)
        run = stored(deployed)
        assert run.owner is not None
        assert run.owner not in headers["Punctual-Callback-Token"], "only its digest is stored"

    def test_the_run_leaves_the_queue_and_is_watched_until_the_silence_is_too_long(
        self, deployed: Deployment
    ) -> None:
        accepted(deployed)

        run = stored(deployed)
        assert (run.state, run.attempt) == (RunState.RUNNING, 1)
        assert run.lease_until == SLOT + QUICK + 10 * MINUTE + LEASE_MARGIN
        assert len(deployed.gone) == 1
        look_at = deployed.watched()[RUN.key]
        assert run.lease_until < look_at <= run.lease_until + 2 * MINUTE

    def test_an_answer_that_is_no_success_fails_the_attempt(self, deployed: Deployment) -> None:
        deployed.targets.manner = lambda _: (BUSY, QUICK)
        deployed.at(SLOT).execute()

        assert stored(deployed).state is RunState.RETRYING
        with pytest.raises(Conflict):
            deployed.make_callbacks().complete(ID, token(deployed), result=None)

    def test_an_acceptance_that_cannot_be_watched_stays_in_the_queue(
        self, deployed: Deployment
    ) -> None:
        deployed.replaced["watch_list"] = Flaky(deployed.engine.watch_list, add={0})

        accepted(deployed)

        assert deployed.gone == set()

    @pytest.mark.parametrize("is_done", [True, False])
    def test_an_acceptance_without_an_answer_is_written_again(
        self, deployed: Deployment, is_done: bool
    ) -> None:
        moves = UnansweredMoves(deployed.engine.runs, clock=deployed.engine.clock)
        moves.only, moves.unanswered = Hold, [is_done]
        deployed.replaced["runs"] = moves

        token = accepted(deployed)

        deployed.make_callbacks().complete(ID, token, result=None)
        assert stored(deployed).state is RunState.SUCCEEDED

    def test_a_start_whose_answer_was_lost_keeps_its_token(self, deployed: Deployment) -> None:
        moves = UnansweredMoves(deployed.engine.runs, clock=deployed.engine.clock)
        moves.only, moves.unanswered = Start, [True]
        deployed.replaced["runs"] = moves

        token = accepted(deployed)

        deployed.make_callbacks().complete(ID, token, result=None)
        assert stored(deployed).attempt == 1

    def test_a_target_may_complete_before_its_own_answer_was_read(
        self, deployed: Deployment
    ) -> None:
        def completes(call: Call) -> tuple[Answer, timedelta]:
            deployed.targets.calls.append((deployed.now, call))
            deployed.make_callbacks().complete(ID, token(deployed), result="early")
            deployed.targets.calls.pop()
            return ACCEPTED, QUICK

        deployed.targets.manner = completes
        handled = deployed.at(SLOT).execute()

        assert handled.superseded == 0
        assert len(deployed.gone) == 1
        run = stored(deployed)
        assert run.state is RunState.SUCCEEDED
        assert run.result is not None
        assert run.result.body == b"early"

    def test_an_executor_may_die_anywhere(self, tmp_path: Path) -> None:
        """Whoever follows calls again under another token, or leaves the run to its callback."""

        def story(calls: Calls) -> None:
            with a_deployment(tmp_path, calls=calls) as deployed:
                with calls.uncounted():
                    hand_over(deployed)
                deployed.at(SLOT).carry_out(deployed.engine.receive())
                calls.is_counting = False
                deployed.make_callbacks().complete(ID, token(deployed), result=None)
                assert stored(deployed).state is RunState.SUCCEEDED
                assert 1 <= len(deployed.targets.calls) <= stored(deployed).attempt <= 2

        deaths = list(every_death(story))

        assert {where.partition(": ")[2] for where in deaths} >= {"watch_list.add", "runs.move"}


class TestTokens:
    """Whoever has the token of the attempt may report, and nobody else."""

    REPORTS: tuple[Callable[[Callbacks, str], object], ...] = (
        lambda callbacks, token: callbacks.complete(ID, token, result=None),
        lambda callbacks, token: callbacks.fail(ID, token, error=SOLD_OUT, again=True),
        lambda callbacks, token: callbacks.heartbeat(ID, token),
        lambda callbacks, token: callbacks.log(ID, token, texts=["hello"]),
    )

    @pytest.mark.parametrize("report", REPORTS)
    @pytest.mark.parametrize(
        "spoil",
        [
            lambda token: token[:-1],
            lambda token: token + "A",
            lambda token: token.partition(".")[2],
            lambda token: token_of("acme-2", token.partition(".")[2]),
            lambda _: token_of("acme", "guessed"),
            lambda _: "",
            lambda _: "ä",
        ],
    )
    def test_a_wrong_token_changes_nothing_and_is_told_nothing(
        self,
        deployed: Deployment,
        report: Callable[[Callbacks, str], object],
        spoil: Callable[[str], str],
    ) -> None:
        wrong = spoil(accepted(deployed))
        before = stored(deployed)

        with pytest.raises(Unauthenticated, match="of no attempt of this run"):
            report(deployed.make_callbacks(), wrong)

        assert stored(deployed) == before
        assert deployed.engine.logs.read(RUN.key).lines == ()

    @pytest.mark.parametrize(
        "run_id", ["report.20261201T090200Z", "report-2.20261201T090100Z", "nothing", "report~2.x"]
    )
    def test_a_token_is_good_for_its_own_run_alone(self, deployed: Deployment, run_id: str) -> None:
        """And what other runs there are is told to nobody: the answer is always the same."""
        good = accepted(deployed)
        deployed.engine.runs.insert([a_run(NINE + 2 * MINUTE)])

        with pytest.raises(Unauthenticated, match="of no attempt of this run"):
            deployed.make_callbacks().complete(run_id, good, result=None)

    @pytest.mark.parametrize("report", REPORTS)
    def test_an_attempt_that_was_taken_over_is_told_so(
        self, deployed: Deployment, report: Callable[[Callbacks, str], object]
    ) -> None:
        first = accepted(deployed)
        deployed.run_until(NINE + 14 * MINUTE)
        assert len(deployed.targets.calls) == 2
        before = stored(deployed)

        with pytest.raises(Conflict):
            report(deployed.make_callbacks(), first)

        assert stored(deployed) == before
        assert token(deployed) != first
        deployed.make_callbacks().complete(ID, token(deployed), result=None)
        with pytest.raises(Conflict):
            report(deployed.make_callbacks(), first)


class TestCompletion:
    """What the target reports is the run's outcome, once."""

    def test_a_result_is_the_runs(self, deployed: Deployment) -> None:
        token = accepted(deployed)
        deployed.at(SLOT + MINUTE)

        reported = deployed.make_callbacks().complete(ID, token, result={"rows": 3})

        run = stored(deployed)
        assert reported.run == run
        assert (run.state, run.finished_at) == (RunState.SUCCEEDED, SLOT + MINUTE)
        assert run.result is not None
        assert run.result.body == b'{"rows":3}'
        assert attempts_of(run)[0].outcome == "succeeded"

    def test_reporting_the_same_again_changes_nothing(self, deployed: Deployment) -> None:
        token = accepted(deployed)
        callbacks = deployed.make_callbacks()
        first = callbacks.complete(ID, token, result=[1])

        deployed.at(SLOT + HOUR)
        assert callbacks.complete(ID, token, result=[1]) == first

        for other in ([2], None):
            with pytest.raises(Conflict):
                callbacks.complete(ID, token, result=other)
        with pytest.raises(Conflict):
            callbacks.fail(ID, token, error=SOLD_OUT, again=False)
        with pytest.raises(Conflict):
            callbacks.heartbeat(ID, token)
        assert stored(deployed) == first.run

    def test_a_report_whose_answer_was_lost_is_known_again(self, deployed: Deployment) -> None:
        token = accepted(deployed)
        moves = UnansweredMoves(deployed.engine.runs, clock=deployed.engine.clock)
        moves.only, moves.unanswered = Finish, [True, False]
        deployed.replaced["runs"] = moves
        callbacks = deployed.make_callbacks()

        with pytest.raises(StoreUnavailable):
            callbacks.complete(ID, token, result=[1])

        assert callbacks.complete(ID, token, result=[1]).run == stored(deployed)

    def test_of_two_reports_at_once_one_stands_and_the_other_is_told(
        self, deployed: Deployment
    ) -> None:
        """Both find the attempt going on; both writes name the same owner."""
        token = accepted(deployed)
        late = stored(deployed)
        deployed.make_callbacks().complete(ID, token, result=None)
        deployed.replaced["runs"] = Remembering(deployed.engine.runs, late)

        with pytest.raises(Conflict):
            deployed.make_callbacks().fail(ID, token, error=SOLD_OUT, again=False)

        assert stored(deployed).state is RunState.SUCCEEDED

    def test_a_long_result_is_put_away_whole(self, deployed: Deployment) -> None:
        token = accepted(deployed)

        deployed.make_callbacks().complete(ID, token, result="x" * 5000)

        result = stored(deployed).result
        assert result is not None
        assert result.stored is not None
        assert deployed.results.bodies[result.stored] == b"x" * 5000
        assert not result.truncated

    def test_a_long_result_that_cannot_be_put_away_is_cut_off_and_costs_no_outcome(
        self, deployed: Deployment
    ) -> None:
        token = accepted(deployed)
        deployed.results.is_down = True

        deployed.make_callbacks().complete(ID, token, result="x" * 5000)

        run = stored(deployed)
        assert run.state is RunState.SUCCEEDED
        assert run.result is not None
        assert (len(run.result.body), run.result.truncated) == (500, True)


class Remembering:
    """A run store whose reads are as old as the run that it is given."""

    def __init__(self, runs: Any, run: Run) -> None:
        self._runs = runs
        self._run = run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runs, name)

    def read(self, _: Any) -> dict[Any, Run]:
        """Return the run as it was."""
        return {self._run.key: self._run}


class Interrupted:
    """A run store before whose first hold something else happens."""

    def __init__(self, runs: Any) -> None:
        self._runs = runs
        self.before_hold: Callable[[], None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runs, name)

    def move(self, moves: Sequence[Move]) -> Sequence[Moved]:
        """Make the moves, a hold only once what comes before it is over."""
        if self.before_hold is not None and any(isinstance(move, Hold) for move in moves):
            before, self.before_hold = self.before_hold, None
            before()
        moved: Sequence[Moved] = self._runs.move(moves)
        return moved


class TestFailure:
    """An attempt that reports its failure is followed by another, as the job's policy has it."""

    def test_another_attempt_follows_at_its_instant(self, deployed: Deployment) -> None:
        first = accepted(deployed)
        deployed.at(SLOT + MINUTE)

        reported = deployed.make_callbacks().fail(ID, first, error=SOLD_OUT, again=True)

        assert reported.run.retry_at == SLOT + MINUTE + 30 * SECOND
        deployed.run_until(SLOT + 2 * MINUTE, ticks=False)
        assert [at for at, _ in deployed.targets.calls] == [SLOT, SLOT + MINUTE + 30 * SECOND]
        run = stored(deployed)
        assert (run.state, run.attempt, run.heartbeat) == (RunState.RUNNING, 2, 10 * MINUTE)
        deployed.make_callbacks().complete(ID, token(deployed), result=None)

    def test_another_attempt_follows_though_its_message_is_lost(self, deployed: Deployment) -> None:
        first = accepted(deployed)
        deployed.replaced["queue"] = Flaky(deployed.engine.queue, send={0})
        deployed.make_callbacks().fail(ID, first, error=SOLD_OUT, again=True)
        deployed.replaced["queue"] = deployed.engine.queue

        deployed.run_until(SLOT + 5 * MINUTE)

        assert len(deployed.targets.calls) == 2

    def test_reporting_the_same_failure_again_changes_nothing(self, deployed: Deployment) -> None:
        first = accepted(deployed)
        callbacks = deployed.make_callbacks()
        told = callbacks.fail(ID, first, error=SOLD_OUT, again=True)
        deployed.run_until(SLOT + MINUTE)

        again = callbacks.fail(ID, first, error=SOLD_OUT, again=True)

        assert attempts_of(again.run)[0] == attempts_of(told.run)[0]
        assert stored(deployed).attempt == 2
        with pytest.raises(Conflict):
            callbacks.fail(ID, first, error=CallError(type="other", message="?"), again=True)

    def test_a_final_failure_is_the_outcome(self, deployed: Deployment) -> None:
        token = accepted(deployed)
        callbacks = deployed.make_callbacks()

        callbacks.fail(ID, token, error=SOLD_OUT, again=False)

        run = stored(deployed)
        assert (run.state, run.error) == (RunState.FAILED, SOLD_OUT)
        assert callbacks.fail(ID, token, error=SOLD_OUT, again=False).run == run

    def test_the_last_attempts_failure_is_the_outcome(self, deployed: Deployment) -> None:
        deployed.make_callbacks().fail(ID, accepted(deployed), error=SOLD_OUT, again=True)
        deployed.run_until(SLOT + 2 * MINUTE)

        deployed.make_callbacks().fail(ID, token(deployed), error=SOLD_OUT, again=True)

        run = stored(deployed)
        assert (run.state, run.attempt) == (RunState.FAILED, 2)

    def test_whoever_takes_the_report_may_die_anywhere(self, tmp_path: Path) -> None:
        """The target reports until it is answered; there is one second attempt, and no third."""

        def story(calls: Calls) -> None:
            with a_deployment(tmp_path, calls=calls) as deployed:
                with calls.uncounted():
                    hand_over(deployed)
                    first = accepted(deployed)
                for _ in range(2):
                    try:
                        deployed.make_callbacks().fail(ID, first, error=SOLD_OUT, again=True)
                        break
                    except Died:
                        pass
                with calls.uncounted():
                    deployed.run_until(SLOT + 4 * MINUTE)
                    assert len(deployed.targets.calls) == 2
                    deployed.make_callbacks().complete(ID, token(deployed), result=None)
                assert stored(deployed).state is RunState.SUCCEEDED

        deaths = list(every_death(story))

        assert {where.partition(": ")[2] for where in deaths} >= {
            "watch_list.add",
            "runs.move",
            "queue.send",
        }


class TestSilence:
    """Whoever is silent for too long is taken for lost."""

    def test_heartbeats_keep_an_attempt_alive(self, deployed: Deployment) -> None:
        token = accepted(deployed)

        for beat in range(1, 7):
            deployed.run_until(SLOT + beat * 9 * MINUTE)
            assert deployed.make_callbacks().heartbeat(ID, token) is False

        assert len(deployed.targets.calls) == 1
        deployed.make_callbacks().complete(ID, token, result=None)

    def test_silence_is_found_within_two_minutes_and_leads_to_another_attempt(
        self, deployed: Deployment
    ) -> None:
        accepted(deployed)

        deployed.run_until(SLOT + 13 * MINUTE)

        again = deployed.targets.calls[1][0]
        silent_at = SLOT + QUICK + 10 * MINUTE + LEASE_MARGIN
        assert silent_at < again <= silent_at + 2 * MINUTE
        first, second = attempts_of(stored(deployed))
        assert (first.outcome, first.error) == (
            "timed_out",
            CallError(type="timeout", message="no heartbeat for 600 s"),
        )
        assert second.outcome is None
        assert "attempt 1: no heartbeat for 600 s (timeout)" in [
            line.message for line in timeline(stored(deployed))
        ]

    def test_the_silence_of_the_last_attempt_is_the_outcome(self, deployed: Deployment) -> None:
        accepted(deployed)

        deployed.run_until(SLOT + 27 * MINUTE)

        run = stored(deployed)
        assert (run.state, run.attempt) == (RunState.TIMED_OUT, 2)
        assert run.error == CallError(type="timeout", message="no heartbeat for 600 s")
        assert [attempt.outcome for attempt in attempts_of(run)] == ["timed_out", "timed_out"]

    def test_silence_after_one_attempt_at_most_is_unknown(self, tmp_path: Path) -> None:
        with a_deployment(tmp_path) as deployed:
            hand_over(deployed, replace(POLICY, delivery=Delivery.AT_MOST_ONCE))
            accepted(deployed)

            deployed.run_until(SLOT + 14 * MINUTE)

            run = stored(deployed)
            assert (run.state, run.attempt) == (RunState.UNKNOWN, 1)
            assert run.error == CallError(type="timeout", message="no heartbeat for 600 s")

    def test_no_attempt_follows_a_silence_once_the_run_is_too_old(self, tmp_path: Path) -> None:
        with a_deployment(tmp_path) as deployed:
            hand_over(deployed, replace(POLICY, retry=RetryPolicy(max_age=5 * MINUTE)))
            accepted(deployed)

            deployed.run_until(SLOT + 14 * MINUTE)

            assert len(deployed.targets.calls) == 1
            assert stored(deployed).state is RunState.TIMED_OUT

    def test_no_heartbeat_keeps_a_run_open_for_longer_than_its_life(self, tmp_path: Path) -> None:
        with a_deployment(tmp_path) as deployed:
            hand_over(deployed, replace(POLICY, heartbeat=10 * DAY), max_attempts=1)
            deployed.at(SLOT).execute()
            deployed.at(SLOT + 9 * DAY)

            assert deployed.make_callbacks().heartbeat(ID, token(deployed)) is False
            assert stored(deployed).lease_until == SLOT + LIFE_MAX
            deployed.at(SLOT + LIFE_MAX).run_until(SLOT + LIFE_MAX + 2 * MINUTE)

            run = stored(deployed)
            assert run.state is RunState.TIMED_OUT
            assert run.error is not None
            assert run.error.message == "no outcome within 14 days of the first start"

    def test_a_heartbeat_before_the_answer_takes_nothing_from_the_executors_time(
        self, tmp_path: Path
    ) -> None:
        """The lease of who called reaches beyond a short silence: it stays as it is."""
        with a_deployment(tmp_path) as deployed:
            hand_over(deployed, replace(POLICY, heartbeat=10 * SECOND))

            def beats(call: Call) -> tuple[Answer, timedelta]:
                deployed.targets.calls.append((deployed.now, call))
                assert deployed.make_callbacks().heartbeat(ID, token(deployed)) is False
                deployed.targets.calls.pop()
                assert stored(deployed).lease_until == SLOT + EXECUTOR_LIVES + LEASE_MARGIN
                return ACCEPTED, QUICK

            deployed.targets.manner = beats
            deployed.at(SLOT).execute()

            assert stored(deployed).heartbeat == 10 * SECOND

    def test_a_heartbeat_that_arrives_late_takes_nothing_from_later_ones(
        self, deployed: Deployment
    ) -> None:
        """And its target is told that it lives, which is so."""
        token = accepted(deployed)
        early = stored(deployed)
        deployed.at(SLOT + 9 * MINUTE)
        assert deployed.make_callbacks().heartbeat(ID, token) is False
        alive_until = SLOT + 19 * MINUTE + LEASE_MARGIN
        assert stored(deployed).lease_until == alive_until

        deployed.at(SLOT + MINUTE)
        deployed.replaced["runs"] = Remembering(deployed.engine.runs, early)
        assert deployed.make_callbacks().heartbeat(ID, token) is False

        assert stored(deployed).lease_until == alive_until

    @pytest.mark.parametrize("beats_at", [5 * SECOND, 20 * SECOND])
    def test_an_acceptance_that_is_written_late_takes_nothing_from_heartbeats(
        self, tmp_path: Path, beats_at: timedelta
    ) -> None:
        """The store gives no answer for a while; the target lives on, and says so meanwhile."""
        with a_deployment(tmp_path) as deployed:
            hand_over(deployed, replace(POLICY, heartbeat=30 * SECOND))
            moves = Interrupted(deployed.engine.runs)
            deployed.replaced["runs"] = moves

            def beat() -> None:
                deployed.at(deployed.now + beats_at)
                assert deployed.make_callbacks().heartbeat(ID, token(deployed)) is False

            moves.before_hold = beat
            handled = deployed.at(SLOT).execute()

            lease_until = stored(deployed).lease_until
            assert lease_until is not None
            assert lease_until >= SLOT + beats_at + 30 * SECOND + LEASE_MARGIN
            assert stored(deployed).heartbeat == 30 * SECOND
            assert len(deployed.gone) == 1
            assert (len(handled.held), handled.superseded) == (1, 0)

    def test_a_heartbeat_that_loses_to_the_acceptance_is_written_all_the_same(
        self, deployed: Deployment
    ) -> None:
        """It read the run before the acceptance was written, and is written after it."""
        deployed.at(SLOT).execute()
        run = stored(deployed)
        unaccepted = replace(
            run,
            lease_until=SLOT + EXECUTOR_LIVES + LEASE_MARGIN,
            marks=(replace(run.marks[0], heartbeat=None),),
        )
        deployed.at(SLOT + 5 * MINUTE)
        deployed.replaced["runs"] = Remembering(deployed.engine.runs, unaccepted)

        assert deployed.make_callbacks().heartbeat(ID, token(deployed)) is False

        assert stored(deployed).lease_until == SLOT + 15 * MINUTE + LEASE_MARGIN

    def test_a_heartbeat_before_the_answer_outlives_an_executor_that_dies(
        self, deployed: Deployment
    ) -> None:
        def beats(call: Call) -> tuple[Answer, timedelta]:
            deployed.targets.calls.append((deployed.now, call))
            deployed.make_callbacks().heartbeat(ID, token(deployed))
            deployed.targets.calls.pop()
            raise Died

        deployed.targets.manner = beats
        with pytest.raises(Died):
            deployed.at(SLOT).execute()

        assert stored(deployed).lease_until == SLOT + 10 * MINUTE + LEASE_MARGIN
        assert stored(deployed).heartbeat == 10 * MINUTE


class TestStopping:
    """A run that is no longer wanted says so with the next heartbeat."""

    def cancel(self, deployed: Deployment) -> None:
        (moved,) = deployed.engine.runs.move([RequestCancel(key=RUN.key, at=deployed.now)])
        assert moved.applied

    def test_a_cancelled_run_is_asked_to_stop_and_is_cancelled_once_it_did(
        self, deployed: Deployment
    ) -> None:
        token = accepted(deployed)
        self.cancel(deployed)
        callbacks = deployed.make_callbacks()

        assert callbacks.heartbeat(ID, token) is True
        callbacks.fail(ID, token, error=SOLD_OUT, again=True)

        run = stored(deployed)
        assert (run.state, run.reason) == (RunState.CANCELLED, "cancelled")

    def test_a_cancelled_run_that_completes_all_the_same_is_recorded_as_what_it_was(
        self, deployed: Deployment
    ) -> None:
        token = accepted(deployed)
        self.cancel(deployed)

        deployed.make_callbacks().complete(ID, token, result=None)

        assert stored(deployed).state is RunState.SUCCEEDED

    def test_a_cancelled_run_that_is_silent_is_cancelled(self, deployed: Deployment) -> None:
        accepted(deployed)
        self.cancel(deployed)

        deployed.run_until(SLOT + 14 * MINUTE)

        assert stored(deployed).state is RunState.CANCELLED
        assert len(deployed.targets.calls) == 1

    def test_the_run_of_a_deleted_job_is_asked_to_stop(self, deployed: Deployment) -> None:
        token = accepted(deployed)
        deployed.delete()
        callbacks = deployed.make_callbacks()

        assert callbacks.heartbeat(ID, token) is True
        callbacks.fail(ID, token, error=SOLD_OUT, again=True)

        run = stored(deployed)
        assert (run.state, run.reason) == (RunState.CANCELLED, "deleted")

    def test_a_paused_job_lets_its_run_go_on(self, deployed: Deployment) -> None:
        token = accepted(deployed)
        deployed.pause()

        assert deployed.make_callbacks().heartbeat(ID, token) is False
        deployed.make_callbacks().fail(ID, token, error=SOLD_OUT, again=True)
        deployed.run_until(SLOT + 2 * MINUTE)
        assert len(deployed.targets.calls) == 2


class TestLines:
    """What the target writes about its work is in the log of the run."""

    def lines(self, deployed: Deployment) -> list[tuple[datetime, int, str]]:
        kept = deployed.engine.logs.read(RUN.key)
        return [(line.at, line.attempt, line.message) for line in kept.lines]

    def test_lines_are_kept_with_their_attempt(self, deployed: Deployment) -> None:
        token = accepted(deployed)
        deployed.at(SLOT + MINUTE)

        deployed.make_callbacks().log(ID, token, texts=["loaded 10 rows", "\x1b[2J"])

        assert self.lines(deployed) == [
            (SLOT + MINUTE, 1, "loaded 10 rows"),
            (SLOT + MINUTE, 1, r"\x1b[2J"),
        ]

    def test_the_attempt_that_finished_may_write_its_last_lines(self, deployed: Deployment) -> None:
        token = accepted(deployed)
        deployed.make_callbacks().complete(ID, token, result=None)

        deployed.make_callbacks().log(ID, token, texts=["good night"])

        assert [text for _, _, text in self.lines(deployed)] == ["good night"]

    def test_what_a_target_tells_with_its_answer_is_kept(self, deployed: Deployment) -> None:
        deployed.targets.manner = lambda _: (replace(OK, log=("one", "two")), QUICK)
        deployed.at(SLOT).execute()

        assert self.lines(deployed) == [(SLOT + QUICK, 1, "one"), (SLOT + QUICK, 1, "two")]

    def test_lines_that_cannot_be_kept_cost_no_outcome(self, deployed: Deployment) -> None:
        deployed.replaced["logs"] = Flaky(deployed.engine.logs, add=1)
        deployed.targets.manner = lambda _: (replace(BUSY, log=("one",)), QUICK)
        deployed.at(SLOT).execute()

        assert stored(deployed).state is RunState.RETRYING
        assert self.lines(deployed) == []

    def test_a_run_without_lines_writes_none(self, deployed: Deployment) -> None:
        accepted(deployed)

        assert not [name for name in deployed.calls.made if name.startswith("logs.")]


def test_a_target_whose_answer_is_the_outcome_gets_no_token(tmp_path: Path) -> None:
    with a_deployment(tmp_path) as deployed:
        deployed.create()
        deployed.run_until(NINE + 2 * MINUTE)

        call = deployed.targets.calls[0][1]
        assert isinstance(call, HttpCall)
        assert not [name for name, _ in call.headers if name.startswith("Punctual-Callback")]
        assert HttpTarget(url="https://a.example").completion == "response"
