"""What each command on jobs asks the API for, and what it shows."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import typer

from punctual.cli.jobs import json_or_text, laid_over, schedule_text, seconds
from punctual.cli.main import run
from tests.unit.cli.fake_api import FakeApi, a_job, answer, answering, listing


def create(*args: str, status: int = 201) -> FakeApi:
    api = answering(a_job(), status=status)
    assert run(["jobs", "create", *args], connect=api.connect) == 0
    return api


def test_flags_become_a_job_and_nothing_that_was_not_given_is_sent() -> None:
    api = create(
        *("--name", "Hello", "--cron", "0 9 * * *", "--timezone", "Europe/Berlin"),
        *("--target-url", "https://example.com/hook", "--method", "PUT"),
        *("--header", "X-Team: billing", "--header", "X-Url: http://a:1"),
        *("--body", '{"n": 1}', "--tag", "team=billing", "--timeout", "5m"),
        *("--max-attempts", "4", "--catch-up", "latest"),
    )

    assert api.asked[0].body == {
        "name": "Hello",
        "schedule": {"cron": "0 9 * * *", "timezone": "Europe/Berlin"},
        "target": {
            "type": "http",
            "url": "https://example.com/hook",
            "method": "PUT",
            "headers": {"X-Team": "billing", "X-Url": "http://a:1"},
            "body": {"n": 1},
        },
        "timeout_seconds": 300,
        "retry": {"max_attempts": 4},
        "catch_up": "latest",
        "tags": {"team": "billing"},
    }


def test_without_an_id_the_create_carries_a_key_of_its_own() -> None:
    """So that sending it again after a lost answer creates nothing twice."""
    first, second = create("--every", "30"), create("--every", "30")

    keys = [api.asked[0].headers["Idempotency-Key"] for api in (first, second)]
    assert [(a.asked[0].method, a.asked[0].path) for a in (first, second)] == [
        ("POST", "/v1/jobs")
    ] * 2
    assert keys[0] != keys[1]
    assert all(keys)


def test_a_key_that_was_given_is_the_one_that_is_sent() -> None:
    api = create("--every", "30", "--idempotency-key", "order-7")

    assert api.asked[0].headers["Idempotency-Key"] == "order-7"


def test_with_an_id_the_job_is_put() -> None:
    api = create("--id", "hello", "--every", "30")

    assert (api.asked[0].method, api.asked[0].path) == ("PUT", "/v1/jobs/hello")
    assert "Idempotency-Key" not in api.asked[0].headers


def test_what_get_gave_can_be_created_from(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(json.dumps(a_job()))

    api = create("--file", str(tmp_path / "job.json"), "--every", "60")

    assert (api.asked[0].method, api.asked[0].path) == ("PUT", "/v1/jobs/hello")
    assert api.asked[0].body == a_job(schedule={"every_seconds": 60, "timezone": "UTC"})


def test_a_job_is_read_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"schedule": {"at": "2026-12-01T09:00:00Z"}}'))

    api = create("--file", "-")

    assert api.asked[0].body == {"schedule": {"at": "2026-12-01T09:00:00Z"}}


@pytest.mark.parametrize("text", ["{not json", "[1, 2]", '"text"', "\xff"])
def test_a_file_that_holds_no_object_is_refused_in_one_line(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "job.json"
    path.write_bytes(text.encode("latin-1"))

    assert run(["jobs", "create", "--file", str(path)], connect=FakeApi().connect) == 2

    error = capsys.readouterr().err
    assert error.startswith(f"punctual: {path} ")
    assert error.count("\n") == 1


def test_people_are_told_what_became_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    create("--id", "hello", "--every", "30")
    create("--id", "hello", "--every", "30", status=200)

    assert capsys.readouterr().out.splitlines() == [
        "hello created, every 30 s, next run at 2026-12-01T09:00:30Z",
        "hello stands as wanted, every 30 s, next run at 2026-12-01T09:00:30Z",
    ]


def test_a_list_goes_on_over_its_pages_to_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    api = answering(listing(a_job(id="a"), cursor="more"), listing(a_job(id="b")))

    assert run(["jobs", "list", "--tag", "team:x", "--json"], connect=api.connect) == 0

    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ["a", "b"]
    assert [asked.query for asked in api.asked] == [
        {"limit": "100", "tag": "team:x"},
        {"limit": "100", "tag": "team:x", "cursor": "more"},
    ]


def test_a_list_stops_at_its_limit() -> None:
    api = answering(
        listing(*(a_job(id=f"j{n}") for n in range(100)), cursor="more"),
        listing(a_job(), a_job(), cursor="yet more"),
    )

    assert run(["jobs", "list", "--limit", "102"], connect=api.connect) == 0

    assert [asked.query["limit"] for asked in api.asked] == ["100", "2"]


def test_a_table_has_a_whole_line_for_each_job(capsys: pytest.CaptureFixture[str]) -> None:
    """Names come from anybody: they neither fold, nor colour, nor move the cursor."""
    name = "[red]long[/red] \x1b[2J\n" + "n" * 300
    api = answering(listing(a_job(name=name), a_job(id="other", next_run_at=None)))

    assert run(["jobs", "list"], connect=api.connect) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ID", "hello", "other"]
    assert "[red]long[/red] \\x1b[2J\\n" + "n" * 300 in lines[1]


def test_get_shows_all_that_is_set(capsys: pytest.CaptureFixture[str]) -> None:
    api = answering(a_job(tags={"team": "billing"}, pause={"note": "holiday"}))

    assert run(["jobs", "get", "hello"], connect=api.connect) == 0

    shown = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert {name: text.strip() for name, text in shown.items()} == {
        "id": "hello",
        "state": "active",
        "schedule.every_seconds": "30",
        "schedule.timezone": "UTC",
        "target.type": "http",
        "target.url": "https://example.com/hook",
        "target.method": "POST",
        "tags.team": "billing",
        "pause.note": "holiday",
        "revision": "1",
        "next_run_at": "2026-12-01T09:00:30Z",
    }


@pytest.mark.parametrize(
    ("args", "method", "path", "body"),
    [
        (["delete", "hello"], "DELETE", "/v1/jobs/hello", None),
        (["pause", "hello"], "POST", "/v1/jobs/hello/pause", {}),
        (["pause", "hello", "--note", "x"], "POST", "/v1/jobs/hello/pause", {"note": "x"}),
        (["resume", "hello"], "POST", "/v1/jobs/hello/resume", None),
        (["get", "a/../b"], "GET", "/v1/jobs/a%2F..%2Fb", None),
    ],
)
def test_each_command_is_one_request(args: list[str], method: str, path: str, body: Any) -> None:
    api = answering(None if args[0] == "delete" else a_job())

    assert run(["jobs", *args], connect=api.connect) == 0

    (asked,) = api.asked
    assert (asked.method, asked.path, asked.body) == (method, path, body)


def test_what_was_deleted_is_told_to_people_only(capsys: pytest.CaptureFixture[str]) -> None:
    api = FakeApi([answer(None, status=204)])

    assert run(["jobs", "delete", "hello"], connect=api.connect) == 0
    assert capsys.readouterr().out == "hello deleted\n"

    assert run(["jobs", "delete", "hello", "--json"], connect=api.connect) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30", 30), ("1.5", 1.5), ("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86_400)],
)
def test_durations_are_seconds_or_have_a_unit(text: str, expected: float) -> None:
    assert seconds(text) == expected
    assert isinstance(seconds(text), type(expected))


@pytest.mark.parametrize("text", ["", "soon", "-1", "1y", "1 2", "٣"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        seconds(text)


def test_a_schedule_is_told_in_a_few_words() -> None:
    assert schedule_text({"every_seconds": 30}) == "every 30 s"
    assert schedule_text({"every_seconds": 0.5, "at": None}) == "every 0.5 s"
    assert schedule_text({"at": "2026-12-01T09:00:00Z"}) == "at 2026-12-01T09:00:00Z"
    assert (
        schedule_text({"cron": "0 9 * * MON-FRI", "timezone": "Europe/Berlin"})
        == "cron 0 9 * * MON-FRI (Europe/Berlin)"
    )


def test_a_body_is_json_if_it_is_and_text_if_not() -> None:
    assert json_or_text('{"a": 1}') == {"a": 1}
    assert json_or_text("hello {{run_id}}") == "hello {{run_id}}"


def test_flags_lie_over_what_the_file_says() -> None:
    base = {"a": 1, "b": {"c": 2, "d": 3}, "e": "text"}

    assert laid_over(base, {"a": None, "b": {"c": 4, "x": None}, "e": {"f": 5}, "g": {}}) == {
        "a": 1,
        "b": {"c": 4, "d": 3},
        "e": {"f": 5},
    }
    assert base["b"] == {"c": 2, "d": 3}
