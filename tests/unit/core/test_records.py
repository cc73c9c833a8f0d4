"""Schedules, policies and contents as text: canonical, readable, and the same for ever."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punctual.core.aws_targets import (
    Document,
    EventBridgeTarget,
    LambdaTarget,
    SnsTarget,
    SqsTarget,
    StepFunctionsTarget,
)
from punctual.core.jobs import CatchUp, Content, Delivery, HttpTarget, Overlap, Policy
from punctual.core.records import (
    UnreadableRecord,
    content_from_text,
    content_ref,
    content_to_text,
    policy_from_text,
    policy_to_text,
    schedule_from_text,
    schedule_to_text,
)
from punctual.core.retry import Jitter, RetryPolicy
from punctual.core.schedules import At, Cron, Dst, Every, Gap, Repeat, Schedule

NINE = datetime(2026, 12, 1, 9, tzinfo=UTC)

instants = st.integers(0, 4_000_000_000_000).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
durations = st.integers(1, 10**10).map(lambda ms: timedelta(milliseconds=ms))
words = st.text(max_size=20)
pairs = st.lists(st.tuples(words, words), max_size=3).map(tuple)

schedules = st.builds(
    Schedule,
    rule=st.one_of(
        st.builds(At, at=instants),
        st.builds(Every, every=durations, anchor=instants),
        st.builds(
            Cron,
            expression=words,
            timezone=st.sampled_from(["UTC", "Europe/Berlin"]),
            dst=st.none()
            | st.builds(
                Dst,
                gap=st.none() | st.sampled_from(Gap),
                overlap=st.none() | st.sampled_from(Repeat),
            ),
        ),
    ),
    start_at=st.none() | instants,
    end_at=st.none() | instants,
    max_runs=st.none() | st.integers(1, 10**6),
    exclude=st.lists(instants | st.dates(date(2000, 1, 1), date(2100, 1, 1)), max_size=3).map(
        tuple
    ),
    spread=st.just(timedelta(0)) | durations,
    offset=st.just(timedelta(0)) | durations,
)

policies = st.builds(
    Policy,
    retry=st.builds(
        RetryPolicy,
        max_attempts=st.integers(1, 20),
        min_delay=durations,
        max_delay=durations,
        multiplier=st.floats(1, 10),
        jitter=st.sampled_from(Jitter),
        max_age=durations,
    ),
    timeout=durations,
    start_deadline=durations,
    catch_up=st.sampled_from(CatchUp),
    overlap=st.sampled_from(Overlap),
    delivery=st.sampled_from(Delivery),
)

contents = st.builds(
    Content,
    target=st.builds(
        HttpTarget,
        url=words,
        method=st.sampled_from(["GET", "POST"]),
        headers=pairs,
        body=st.none() | words,
        body_is_json=st.booleans(),
        secret_arn=st.none() | words,
        signing_secret_arn=st.none() | words,
        success_codes=st.lists(st.sampled_from(["2xx", "204"]), max_size=2).map(tuple),
        completion=st.sampled_from(["response", "callback"]),
    ),
    tags=pairs,
)

documents = st.builds(Document, words) | st.builds(Document, words, is_json=st.just(False))
roles = st.none() | words
aws_contents = st.builds(
    Content,
    target=st.one_of(
        st.builds(LambdaTarget, function_arn=words, payload=documents, role_arn=roles),
        st.builds(
            SqsTarget, queue_url=words, body=documents, message_group_id=roles, role_arn=roles
        ),
        st.builds(SnsTarget, topic_arn=words, message=documents, role_arn=roles),
        st.builds(
            EventBridgeTarget,
            event_bus=words,
            source=words,
            detail_type=words,
            detail=documents,
            role_arn=roles,
        ),
        st.builds(StepFunctionsTarget, state_machine_arn=words, input=documents, role_arn=roles),
    ),
    tags=pairs,
)


@given(schedules)
def test_a_schedule_reads_back_as_it_was(schedule: Schedule) -> None:
    assert schedule_from_text(schedule_to_text(schedule)) == schedule


@given(policies)
def test_a_policy_reads_back_as_it_was(policy: Policy) -> None:
    assert policy_from_text(policy_to_text(policy)) == policy


@given(contents | aws_contents)
def test_a_content_reads_back_as_it_was(content: Content) -> None:
    assert content_from_text(content_to_text(content)) == content


def test_the_texts_are_short_and_stay_as_they_are() -> None:
    """Stores hold these texts for years: a change here is a change of the format."""
    cron = Cron(expression="0 9 * * *", timezone="Europe/Berlin", dst=Dst(gap=Gap.SKIP))
    schedule = Schedule(rule=cron, max_runs=10, exclude=(date(2026, 12, 25), NINE))
    assert schedule_to_text(schedule) == (
        '{"cron":"0 9 * * *","timezone":"Europe/Berlin","dst":{"gap":"skip"},'
        '"max_runs":10,"exclude":["2026-12-25","2026-12-01T09:00:00Z"]}'
    )
    every = Schedule(rule=Every(every=timedelta(seconds=30), anchor=NINE))
    assert schedule_to_text(every) == '{"every_ms":30000,"anchor":"2026-12-01T09:00:00Z"}'
    assert schedule_to_text(Schedule(rule=At(at=NINE))) == '{"at":"2026-12-01T09:00:00Z"}'
    policy = Policy(timeout=timedelta(seconds=5), retry=RetryPolicy(max_attempts=1))
    assert policy_to_text(policy) == '{"timeout_ms":5000,"retry":{"max_attempts":1}}'
    content = Content(target=HttpTarget(url="https://a.example/"), tags=(("team", "bänk"),))
    assert content_to_text(content) == (
        '{"target":{"type":"http","url":"https://a.example/"},"tags":[["team","bänk"]]}'
    )
    target = SqsTarget(queue_url="https://q.example/", body=Document('{"a":"ü"}'), role_arn="r")
    assert content_to_text(Content(target=target)) == (
        '{"target":{"type":"sqs","queue_url":"https://q.example/",'
        '"body":{"json":"{\\"a\\":\\"ü\\"}"},"role_arn":"r"}}'
    )


def test_what_a_text_leaves_out_means_what_it_meant_when_it_was_written() -> None:
    """New jobs may one day have other defaults; stored ones keep these."""
    assert policy_from_text("{}") == Policy(
        retry=RetryPolicy(
            max_attempts=3,
            min_delay=timedelta(seconds=1),
            max_delay=timedelta(seconds=300),
            multiplier=2.0,
            jitter=Jitter.FULL,
            max_age=timedelta(days=1),
        ),
        timeout=timedelta(seconds=30),
        start_deadline=timedelta(hours=1),
        catch_up=CatchUp.ALL,
        overlap=Overlap.ALLOW,
        delivery=Delivery.AT_LEAST_ONCE,
    )


def test_equal_values_have_equal_texts_and_digests() -> None:
    assert policy_to_text(Policy(retry=RetryPolicy(multiplier=3))) == policy_to_text(
        Policy(retry=RetryPolicy(multiplier=3.0))
    )
    one = Content(target=HttpTarget(url="https://a.example/"))
    same = Content(target=HttpTarget(url="https://a.example/", method="POST"))
    other = Content(target=HttpTarget(url="https://a.example/", method="PUT"))
    assert content_ref(one) == content_ref(same)
    assert content_ref(one) != content_ref(other)
    assert len(content_ref(one)) == 64


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", "7", '{"at":7}', '{"at":"soon"}', '{"every_ms":"1"}']
)
def test_a_schedule_that_we_did_not_write_is_named_as_such(text: str) -> None:
    with pytest.raises(UnreadableRecord, match="not a schedule"):
        schedule_from_text(text)


@pytest.mark.parametrize("text", ["", "[]", '{"catch_up":"some"}', '{"retry":7}'])
def test_a_policy_that_we_did_not_write_is_named_as_such(text: str) -> None:
    with pytest.raises(UnreadableRecord, match="not a policy"):
        policy_from_text(text)


@pytest.mark.parametrize(
    "text", ["secret", "{}", '{"target":{"type":"fax","url":"secret"}}', '{"target":"secret"}']
)
def test_a_content_that_cannot_be_read_shows_nothing_of_itself(text: str) -> None:
    """Contents hold headers and bodies, and errors end up in logs."""
    with pytest.raises(UnreadableRecord) as raised:
        content_from_text(text)

    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None
