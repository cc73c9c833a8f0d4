"""`punctual import crontab`: shown first, created when asked to, refused line by line."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from punctual.cli.main import run
from tests.unit.cli.fake_api import FakeApi, a_job, a_problem, answer, answering

TABLE = """\
# nightly
PATH=/usr/bin
CRON_TZ=Europe/Berlin
30 2 * * * backup --all
*/5 * * * * mail root%Hello
"""
TARGET = ("--target-url", "https://run.example.com/")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "crontab"
    path.write_text(TABLE)
    return path


def bodies(api: FakeApi) -> list[Any]:
    return [asked.body for asked in api.asked]


def test_without_apply_it_shows_the_jobs_and_asks_the_api_for_nothing(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api = answering(a_job())

    assert run(["import", "crontab", str(table), *TARGET], connect=api.connect) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["LINE", "ID", "WHEN", "COMMAND"]
    assert "At 02:30, Europe/Berlin time" in lines[1]
    assert lines[1].startswith("4 ")
    assert lines[1].rstrip().endswith("backup --all")
    assert lines[3] == "2 jobs; nothing is created without --apply"
    assert api.connected_to is None


def test_a_single_job_is_told_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "crontab"
    table.write_text("0 3 * * * backup\n")

    assert run(["import", "crontab", str(table), *TARGET], connect=answering(a_job()).connect) == 0

    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "1 job; nothing is created without --apply"


def test_with_apply_each_line_becomes_a_job_that_says_what_to_run(table: Path) -> None:
    api = answering(a_job(), status=201)

    code = run(
        [
            "import",
            "crontab",
            str(table),
            *TARGET,
            "--header",
            "Authorization: Bearer x",
            "--apply",
        ],
        connect=api.connect,
    )

    assert code == 0
    assert {asked.method for asked in api.asked} == {"PUT"}
    first, second = bodies(api)
    assert api.asked[0].path == f"/v1/jobs/{first['id']}"
    assert first == {
        "id": first["id"],
        "name": "backup --all",
        "schedule": {"cron": "30 2 * * *", "timezone": "Europe/Berlin"},
        "target": {
            "type": "http",
            "url": "https://run.example.com/",
            "headers": {"Authorization": "Bearer x"},
            "body": {"command": "backup --all", "environment": {"PATH": "/usr/bin"}},
        },
        "tags": {"source": "crontab"},
    }
    assert second["target"]["body"] == {
        "command": "mail root",
        "stdin": "Hello\n",
        "environment": {"PATH": "/usr/bin"},
    }


def test_an_import_repeated_puts_the_same_jobs(table: Path) -> None:
    first, second = answering(a_job()), answering(a_job())

    for api in (first, second):
        assert run(["import", "crontab", str(table), *TARGET, "--apply"], connect=api.connect) == 0

    assert bodies(first) == bodies(second)


def test_a_line_that_cannot_be_carried_over_is_told_and_the_others_go_on(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.write_text("@reboot start\n" + TABLE)
    api = answering(a_job(), status=201)

    assert run(["import", "crontab", str(table), *TARGET, "--apply"], connect=api.connect) == 1

    assert len(api.asked) == 2
    assert capsys.readouterr().err == (
        "punctual: line 1: @reboot names no time: let what starts the machine start the command\n"
    )


def test_a_job_that_the_api_refuses_is_told_by_its_line_and_the_others_go_on(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = a_problem(
        title="Job cannot be used",
        status=422,
        errors=[{"pointer": "/target/url", "detail": "is no public address"}],
    )
    api = FakeApi([answer(problem, status=422), answer(a_job(), status=201)])

    assert run(["import", "crontab", str(table), *TARGET, "--apply"], connect=api.connect) == 1

    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "punctual: line 4: Job cannot be used (422)",
        "punctual: line 4:   target.url: is no public address",
    ]
    assert said.out.count("created") == 1


def test_for_programs_the_jobs_are_lines_of_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From standard input, as `crontab -l` gives it; what is printed can be created from."""
    monkeypatch.setattr("sys.stdin", io.StringIO("@daily root backup\n"))

    assert run(["import", "crontab", "-", *TARGET, "--system", "--json"]) == 0

    job = json.loads(capsys.readouterr().out)
    assert job["target"]["body"] == {"command": "backup", "user": "root"}
    assert job["schedule"] == {"cron": "@daily", "timezone": "UTC"}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["/does/not/exist", *TARGET], "/does/not/exist: No such file or directory"),
        (["-"], "Missing option '--target-url'. (see --help)"),
        (["-", *TARGET, "--timezone", "Mars"], "--timezone: 'Mars' is no zone"),
        (["-", *TARGET, "--id-prefix", "Night"], "--id-prefix is 1 to 16 of a-z"),
        (["-", *TARGET, "--header", "nothing"], "--header takes NAME:VALUE"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(
    args: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["import", "crontab", *args]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"punctual: {message}")


def test_what_is_no_text_is_told(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_bytes(b"\xff\xfe")

    assert run(["import", "crontab", str(table), *TARGET]) == 2

    assert "is no text in UTF-8" in capsys.readouterr().err
