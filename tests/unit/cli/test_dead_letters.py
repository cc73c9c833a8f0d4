"""Dead letters of a deployed stage are looked at, and sent round again, from the command line."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra.definitions import DEAD_LETTERS, EXHAUSTED
from punctual.adapters.sqs.bodies import run_body
from punctual.adapters.sqs.dead_letter_box import SqsDeadLetterBox
from punctual.cli import letters_of
from punctual.cli.main import run
from punctual.core.instants import format_instant
from punctual.ports import DeadLetter
from tests.support.builders import a_run_key

REGION = "eu-central-1"
STACK = "Punctual-test"
SPENT = "its message was received too often without an outcome"
POISON = "the message is not JSON"

Said = pytest.CaptureFixture[str]


class Stage:
    """A stack whose queues hold what a test puts there."""

    def __init__(self) -> None:
        self.sqs = boto3.client("sqs", region_name=REGION)
        for name in (DEAD_LETTERS.name, EXHAUSTED.name):
            self.sqs.create_queue(QueueName=name)

    def outputs(self, _: Any, stack: str) -> dict[str, str]:
        """Tell of a stack what CloudFormation does, which is not emulated here."""
        if stack != STACK:
            return {"ApiUrl": "https://another.example"}
        return {
            "DeadLettersQueueUrl": self.url(DEAD_LETTERS.name),
            "ExhaustedQueueUrl": self.url(EXHAUSTED.name),
        }

    def url(self, name: str) -> str:
        return self.sqs.get_queue_url(QueueName=name)["QueueUrl"]

    def bury(self, *letters: tuple[str, str]) -> None:
        box = SqsDeadLetterBox(self.sqs, url=self.url(DEAD_LETTERS.name))
        assert all(box.keep([DeadLetter(body=body, reason=reason) for body, reason in letters]))

    def bodies(self, name: str) -> set[str]:
        """Return what can be received from a queue at this moment, and hide it."""
        found: set[str] = set()
        while messages := self.sqs.receive_message(
            QueueUrl=self.url(name), MaxNumberOfMessages=10
        ).get("Messages"):
            found |= {message["Body"] for message in messages}
        return found


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        stage = Stage()
        monkeypatch.setattr(letters_of, "outputs_of", stage.outputs)
        yield stage


def body(job_id: str, *, number: int = 0) -> str:
    return run_body(a_run_key(job_id=job_id, name=f"2026120{number}T090000Z"))


REPORTS = [(body("report", number=number), SPENT) for number in range(1, 4)]
OTHERS = [(body("etl"), SPENT), ("who wrote this?", POISON)]


def listed(said: Said) -> list[Any]:
    return [json.loads(line) for line in said.readouterr().out.splitlines()]


def test_letters_are_listed_and_stay_where_they_are(stage: Stage, capsys: Said) -> None:
    stage.bury(*REPORTS, *OTHERS)

    def found() -> list[Any]:
        assert run(["dead-letters", "list", "--stack", STACK, "--json"]) == 0
        return listed(capsys)

    letters = found()
    assert {(each["body"], each["reason"]) for each in letters} == {*REPORTS, *OTHERS}
    assert found() == letters
    by_body = {each["body"]: each for each in letters}
    report = by_body[REPORTS[0][0]]
    assert (report["tenant"], report["run_id"]) == ("acme", "report.20261201T090000Z")
    assert by_body["who wrote this?"]["run_id"] is None
    assert stage.bodies(DEAD_LETTERS.name) == {text for text, _ in (*REPORTS, *OTHERS)}


def test_more_letters_than_one_request_brings_are_listed_once_each(
    stage: Stage, capsys: Said
) -> None:
    many = [(body(f"job-{number}"), SPENT) for number in range(45)]
    stage.bury(*many)

    assert run(["dead-letters", "list", "--stack", STACK, "--json"]) == 0

    assert sorted(each["body"] for each in listed(capsys)) == sorted(text for text, _ in many)


def test_a_table_is_for_people(stage: Stage, capsys: Said) -> None:
    stage.bury(REPORTS[0])

    assert run(["dead-letters", "list", "--stack", STACK]) == 0

    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["BURIED", "TENANT", "RUN", "REASON"]
    assert row.endswith(SPENT)
    assert "acme" in row


@pytest.mark.parametrize(
    ("filters", "chosen"),
    [
        ([], [*REPORTS, *OTHERS]),
        (["--job", "report"], REPORTS),
        (["--job", "rep"], []),
        (["--reason", "NOT JSON"], OTHERS[1:]),
        (["--job", "etl", "--reason", "too often"], OTHERS[:1]),
        (["--since", "2020-01-01T00:00:00Z"], [*REPORTS, *OTHERS]),
        (["--since", format_instant(datetime.now(UTC).replace(microsecond=0) + timedelta(1))], []),
    ],
)
def test_those_that_are_meant_are_sent_round_again_and_the_others_stay(
    stage: Stage, capsys: Said, filters: list[str], chosen: list[tuple[str, str]]
) -> None:
    stage.bury(*REPORTS, *OTHERS)

    assert run(["dead-letters", "redrive", "--stack", STACK, *filters]) == 0

    count = len(chosen)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"{count} of {count} were sent round again"
    sent = {text for text, _ in chosen}
    assert stage.bodies(EXHAUSTED.name) == sent
    assert stage.bodies(DEAD_LETTERS.name) == {text for text, _ in (*REPORTS, *OTHERS)} - sent


def test_a_dry_run_shows_and_sends_nothing(stage: Stage, capsys: Said) -> None:
    stage.bury(*REPORTS, *OTHERS)

    assert run(["dead-letters", "redrive", "--stack", STACK, "--job", "report", "--dry-run"]) == 0

    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "3 would be sent round again"
    assert len(said) == 5
    assert stage.bodies(EXHAUSTED.name) == set()
    assert len(stage.bodies(DEAD_LETTERS.name)) == 5


@pytest.mark.parametrize("command", ["list", "redrive"])
def test_on_one_machine_there_are_none(command: str, capsys: Said) -> None:
    assert run(["dead-letters", command]) == 0

    assert capsys.readouterr().out.startswith("There are no dead letters on one machine: ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--stack", "another"], "the stack another has no dead letters: it is none of ours"),
        (["--stack", STACK, "--since", "yesterday"], "--since is "),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(
    stage: Stage, capsys: Said, arguments: list[str], complaint: str
) -> None:
    assert run(["dead-letters", "list", *arguments]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"punctual: {complaint}")
    assert len(said.err.splitlines()) == 1
