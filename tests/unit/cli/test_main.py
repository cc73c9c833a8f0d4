"""Global options, exit codes, and how a refusal reads."""

import json
import subprocess
import sys

import pytest

from punctual.cli.client import Request, Response, Transport, Unreachable
from punctual.cli.main import globals_first, run
from tests.unit.cli.fake_api import a_job, a_problem, answer, answering, listing


def test_without_arguments_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0

    out = capsys.readouterr().out
    assert all(noun in out for noun in ("jobs", "runs", "serve"))


@pytest.mark.parametrize(
    "args",
    [
        ["nonsense"],
        ["jobs"],
        ["jobs", "get"],
        ["jobs", "list", "--limit", "many"],
        ["jobs", "list", "--limit", "0"],
        ["jobs", "create", "--every", "soon"],
        ["jobs", "create", "--header", "no colon"],
        ["jobs", "create", "--tag", "=no-key"],
        ["jobs", "create", "--file", "/does/not/exist.json"],
        ["jobs", "create", "--id", "a", "--idempotency-key", "k"],
        ["serve", "--port", "70000"],
        ["--url"],
    ],
)
def test_what_cannot_be_understood_is_told_in_one_line_and_exits_with_2(
    args: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    api = answering(a_job())

    assert run(args, connect=api.connect) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("punctual: ")
    assert said.err.count("\n") == 1
    assert api.asked == []


def test_a_refusal_names_each_field_and_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    api = answering(
        a_problem(
            title="Job cannot be used",
            status=422,
            detail="/schedule/cron: names no time; /target/url: missing",
            errors=[
                {"pointer": "/schedule/cron", "detail": "names no time"},
                {"pointer": "/target/url", "detail": "missing"},
            ],
        ),
        status=422,
    )

    assert run(["jobs", "create", "--cron", "0 0 31 2 *"], connect=api.connect) == 1

    assert capsys.readouterr().err.splitlines() == [
        "punctual: Job cannot be used (422)",
        "punctual:   schedule.cron: names no time",
        "punctual:   target.url: missing",
    ]


def test_a_refusal_without_fields_tells_its_detail(capsys: pytest.CaptureFixture[str]) -> None:
    api = answering(a_problem(detail="there is no job 'nope'"), status=404)

    assert run(["jobs", "get", "nope"], connect=api.connect) == 1

    assert capsys.readouterr().err == "punctual: Job not found (404): there is no job 'nope'\n"


def test_programs_get_the_problem_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    problem = a_problem(detail="there is no job 'nope'")
    api = answering(problem, status=404)

    assert run(["jobs", "get", "nope", "--json"], connect=api.connect) == 1

    said = capsys.readouterr()
    assert said.out == ""
    assert json.loads(said.err) == problem


def test_no_answer_is_told_in_one_line_and_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    def connect(url: str, **_: object) -> Transport:
        def send(request: Request) -> Response:
            raise Unreachable(f"no answer from {url}: connection refused")

        return send

    assert run(["jobs", "list"], connect=connect) == 1

    assert capsys.readouterr().err == (
        "punctual: no answer from http://127.0.0.1:8400: connection refused\n"
    )


@pytest.mark.parametrize(
    "args",
    [
        ["--json", "--url", "http://there", "jobs", "list", "--prefix", "a"],
        ["jobs", "list", "--prefix", "a", "--json", "--url=http://there"],
        ["jobs", "--url", "http://there", "list", "--json", "--prefix", "a"],
    ],
)
def test_global_options_may_stand_anywhere(
    args: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    api = answering(listing(a_job()))

    assert run(args, connect=api.connect) == 0

    assert api.connected_to == "http://there"
    assert api.asked[0].query["prefix"] == "a"
    assert json.loads(capsys.readouterr().out) == a_job()


def test_behind_two_dashes_nothing_is_an_option() -> None:
    assert globals_first(["jobs", "get", "--json", "--", "--json"]) == [
        "--json",
        "jobs",
        "get",
        "--",
        "--json",
    ]


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUNCTUAL_URL", "http://elsewhere:9000/stage/")
    api = answering(listing())

    assert run(["jobs", "list"], connect=api.connect) == 0

    assert api.connected_to == "http://elsewhere:9000/stage/"
    assert api.asked[0].path == "/stage/v1/jobs"


def test_an_answer_that_is_not_punctuals_is_told_as_that(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What stands in front of the API answers by itself: a gateway, a proxy, a wrong address."""
    api = answering(None)
    api.answers = [
        answer({"message": "Forbidden"}, status=403),
        Response(status=502, body=b"<html>Bad gateway</html>"),
        Response(status=200, body=b"<html>Welcome</html>"),
    ]

    codes = [run(["jobs", "get", "x"], connect=api.connect) for _ in range(3)]

    assert codes == [1, 1, 1]
    assert capsys.readouterr().err.splitlines() == [
        "punctual: Forbidden (403)",
        "punctual: The answer did not come from Punctual (502)",
        "punctual: what answers there is not Punctual: it does not speak JSON",
    ]


def test_a_client_command_waits_for_no_slow_import() -> None:
    """What only the host or a signature needs is imported by nobody else."""
    program = (
        "import sys; from punctual.cli.main import run; run(['jobs', 'list', '--help']);"
        "print(*sys.modules)"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()

    slow = {"aiohttp", "asyncio", "aws_lambda_powertools", "boto3", "botocore", "rich", "sqlite3"}
    assert not slow & set(loaded)
    assert "typer" in loaded
