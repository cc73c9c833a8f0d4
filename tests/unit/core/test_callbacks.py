"""Tokens of attempts, how long an attempt may be silent, and what becomes of what it reports."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punctual.core.callbacks import (
    HEARTBEAT,
    MESSAGE_MAX,
    Attempt,
    Standing,
    attempt_of,
    beat,
    body_of,
    callback,
    called_back,
    completed,
    failed,
    heartbeat_of,
    hold,
    is_told,
    owner_of,
    reported_error,
    tenant_in,
    token_of,
)
from punctual.core.calls import CallError
from punctual.core.execution import LEASE_MARGIN
from punctual.core.jobs import HttpTarget, Policy
from punctual.core.retry import RetryPolicy
from punctual.core.runs import (
    LIFE_MAX,
    Ending,
    Failure,
    Finish,
    Retry,
    Run,
    RunState,
    Start,
    after,
)
from tests.support.builders import DAY, HOUR, MINUTE, SECOND, a_failure, a_run, a_run_key, an_ending
from tests.support.clock import NINE

SOLD_OUT = CallError(type="sold_out", message="none left")


def started(run: Run, owner: str, *, minutes: int = 0) -> Run:
    now = NINE + minutes * MINUTE
    left = after(Start(key=run.key, owner=owner, now=now, lease_until=now + MINUTE), run)
    assert left is not None
    return left


class TestTokens:
    """A token is a secret; what is stored of it lets nobody in."""

    @given(tenant=st.text(min_size=1, max_size=128), secret=st.text("ab-_", min_size=1))
    def test_a_token_names_its_tenant_and_can_stand_in_a_header(
        self, tenant: str, secret: str
    ) -> None:
        token = token_of(tenant, secret)

        assert tenant_in(token) == tenant
        assert token.isascii()
        assert token.isprintable()
        assert " " not in token

    @pytest.mark.parametrize(
        "token", ["", ".", "secret", ".secret", "YWNtZQ", "ä.secret", "_w.x", "a" * 999]
    )
    def test_what_is_no_token_names_no_tenant(self, token: str) -> None:
        assert tenant_in(token) is None

    def test_an_owner_is_printable_short_and_says_nothing_of_its_token(self) -> None:
        token = token_of("acme", "c2VjcmV0")

        owner = owner_of(token)

        assert len(owner) == 32
        assert owner.isascii()
        assert "c2VjcmV0" not in owner
        assert owner_of(token_of("acme-2", "c2VjcmV0")) != owner, "the tenant is part of the secret"

    def test_a_callback_shows_nothing_of_its_token(self) -> None:
        key = a_run_key(job_id="etl", incarnation=2)

        reports = callback("https://punctual.example/", key, token="a-secret")

        assert reports.url == "https://punctual.example/v1/runs/etl~2.20261201T090000Z"
        assert "a-secret" not in repr(reports)


class TestWho:
    """Who reports is told apart exactly: this attempt, an earlier one, a stranger."""

    first, second, stranger = (owner_of(token_of("acme", secret)) for secret in "abc")

    def test_the_attempt_that_holds_the_run(self) -> None:
        run = started(a_run(), self.first)

        assert attempt_of(run, self.first) == Attempt(1, Standing.CURRENT)
        assert attempt_of(run, self.stranger) is None

    def test_an_attempt_that_was_taken_over(self) -> None:
        run = started(started(a_run(), self.first), self.second, minutes=5)

        assert attempt_of(run, self.first) == Attempt(1, Standing.PAST)
        assert attempt_of(run, self.second) == Attempt(2, Standing.CURRENT)
        assert attempt_of(run, self.stranger) is None

    def test_an_attempt_that_failed(self) -> None:
        held = started(a_run(), self.first)
        run = after(Retry(key=held.key, owner=self.first, failure=a_failure()), held)

        assert run is not None
        assert attempt_of(run, self.first) == Attempt(1, Standing.PAST)
        assert attempt_of(run, self.stranger) is None

    def test_the_attempt_that_wrote_the_outcome(self) -> None:
        held = started(started(a_run(), self.first), self.second, minutes=5)
        end = Finish(key=held.key, owner=self.second, ending=an_ending(), scheduled_at=NINE)
        run = after(end, held)

        assert run is not None
        assert attempt_of(run, self.first) == Attempt(1, Standing.PAST)
        assert attempt_of(run, self.second) == Attempt(2, Standing.FINISHED)

    def test_the_beginning_of_an_owner_is_not_enough_to_hold_the_run(self) -> None:
        """As much as is remembered of earlier attempts leads to being refused, and no further."""
        run = started(a_run(), self.first)
        alike = self.first[:8] + self.stranger[8:]

        found = attempt_of(run, alike)

        assert found == Attempt(1, Standing.PAST)

    def test_one_of_before_attempts_were_remembered_is_a_stranger(self) -> None:
        run = replace(a_run(state="retrying"), marks=(replace(started(a_run(), "").marks[0]),))

        assert run.marks[0].owner == ""
        assert attempt_of(run, self.first) is None


class TestSilence:
    """An attempt that awaits its callback may be silent for so long, and no run for ever."""

    @pytest.mark.parametrize(
        ("policy", "target", "expected"),
        [
            (Policy(), HttpTarget(url="https://a.example"), None),
            (Policy(heartbeat=MINUTE), HttpTarget(url="https://a.example"), None),
            (Policy(), HttpTarget(url="https://a.example", completion="callback"), HEARTBEAT),
            (
                Policy(heartbeat=MINUTE),
                HttpTarget(url="https://a.example", completion="callback"),
                MINUTE,
            ),
        ],
    )
    def test_only_where_the_answer_is_not_the_outcome(
        self, policy: Policy, target: HttpTarget, expected: Any
    ) -> None:
        assert heartbeat_of(policy, target) == expected

    def test_a_hold_lasts_for_the_heartbeat_and_a_margin_for_clocks(self) -> None:
        run = started(a_run(), "me")

        move = hold(run, heartbeat=HOUR, now=NINE + SECOND)

        assert move.lease_until == NINE + SECOND + HOUR + LEASE_MARGIN
        left = after(move, run)
        assert left is not None
        assert left.heartbeat == HOUR
        assert left.live(move.lease_until)

    def test_a_beat_lasts_as_long_and_before_the_answer_as_long_as_its_call_may(self) -> None:
        run = started(a_run(), "me")
        short, long = (beat(run, heartbeat=each, now=NINE) for each in (10 * SECOND, HOUR))

        assert (short.lease_until, short.is_first) == (run.lease_until, True)
        assert (long.lease_until, long.is_first) == (NINE + HOUR + LEASE_MARGIN, True)

        held = after(short, run)
        assert held is not None
        again = beat(held, heartbeat=10 * SECOND, now=NINE + MINUTE)
        assert again.lease_until == NINE + MINUTE + 10 * SECOND + LEASE_MARGIN
        assert not again.is_first

    def test_no_heartbeat_keeps_a_run_open_for_ever(self) -> None:
        run = started(started(a_run(), "first"), "second", minutes=60)

        assert hold(run, heartbeat=14 * DAY, now=NINE + 13 * DAY).lease_until == NINE + LIFE_MAX

    def test_the_next_attempt_awaits_nothing_until_it_is_held(self) -> None:
        run = started(a_run(), "first")
        held = after(hold(run, heartbeat=MINUTE, now=NINE), run)
        assert held is not None

        assert started(held, "second", minutes=9).heartbeat is None


class TestReports:
    """What a target reports becomes an outcome, or another attempt."""

    run = started(a_run(), "me")
    policy = RetryPolicy(max_attempts=3, min_delay=10 * SECOND)

    @pytest.mark.parametrize(
        ("value", "content_type", "content"),
        [
            ({"rows": 3, "ä": None}, "application/json", '{"rows":3,"ä":null}'),
            ([], "application/json", "[]"),
            (False, "application/json", "false"),
            ("as it is\n", "text/plain; charset=utf-8", "as it is\n"),
        ],
    )
    def test_a_result_is_kept_as_it_was_reported(
        self, value: object, content_type: str, content: str
    ) -> None:
        ending = completed(body_of(value), stored=None, now=NINE)

        assert ending.state is RunState.SUCCEEDED
        assert ending.result is not None
        assert ending.result.content_type == content_type
        assert ending.result.body == content.encode()
        assert not ending.result.truncated

    def test_no_result_is_none(self) -> None:
        assert completed(body_of(None), stored=None, now=NINE).result is None

    @pytest.mark.parametrize(("stored", "truncated"), [("abc", False), (None, True)])
    def test_a_long_result_is_kept_in_part_and_lies_whole_elsewhere(
        self, stored: str | None, truncated: bool
    ) -> None:
        body = body_of("x" * 501)
        assert body is not None
        assert body.is_long

        result = completed(body, stored=stored, now=NINE).result

        assert result is not None
        assert (len(result.body), result.body_bytes) == (500, 501)
        assert (result.stored, result.truncated) == (stored, truncated)

    def test_a_failure_is_followed_by_another_attempt(self) -> None:
        told = failed(self.run, SOLD_OUT, self.policy, again=True, now=NINE, draw=0.5)

        assert told == Failure(
            attempt=1, finished_at=NINE, error=SOLD_OUT, retry_at=NINE + 5 * SECOND
        )

    @pytest.mark.parametrize(
        ("run", "again"),
        [
            (run, False),
            (replace(run, max_attempts=1), True),
            (replace(run, attempt=3), True),
            (replace(run, starts=(NINE - 2 * DAY,)), True),
        ],
    )
    def test_a_failure_is_final_where_the_target_or_the_policy_says_so(
        self, run: Run, again: bool
    ) -> None:
        told = failed(run, SOLD_OUT, self.policy, again=again, now=NINE, draw=0.5)

        assert told == Ending(state=RunState.FAILED, at=NINE, error=SOLD_OUT)

    def test_what_a_target_says_of_its_failure_is_one_short_line(self) -> None:
        error = reported_error("e", "one\ntwo\x1b[31m" + "x" * 500)

        assert error.message.startswith(r"one\x0atwo\x1b[31mxx")
        assert error.message.endswith("x…")
        assert len(error.message) == MESSAGE_MAX
        assert reported_error("sold_out", "").message == "sold_out"

    def test_an_end_that_stands_is_known_whenever_it_was_reported(self) -> None:
        ending = completed(body_of("done"), stored=None, now=NINE)
        run = after(
            Finish(key=self.run.key, owner="me", ending=ending, scheduled_at=NINE), self.run
        )
        assert run is not None

        later = completed(body_of("done"), stored="elsewhere", now=NINE + HOUR)

        assert is_told(later, run, 1)
        assert called_back(run, 1, "me")
        assert not called_back(run, 1, "another")
        assert not is_told(completed(body_of("other"), stored=None, now=NINE), run, 1)
        assert not is_told(an_ending(RunState.FAILED), run, 1)

    def test_a_failure_that_stands_is_known_though_attempts_followed(self) -> None:
        failure = failed(self.run, SOLD_OUT, self.policy, again=True, now=NINE, draw=0.5)
        assert isinstance(failure, Failure)
        run = after(Retry(key=self.run.key, owner="me", failure=failure), self.run)
        assert run is not None
        run = started(run, "next", minutes=1)

        assert is_told(replace(failure, finished_at=NINE + HOUR), run, 1)
        assert called_back(run, 1, "me")
        assert not is_told(failure, run, 2)
        assert not called_back(run, 2, "next")
