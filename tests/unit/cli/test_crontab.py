"""Which lines of a crontab can be carried over, and as what."""

from typing import Any

import pytest

from punctual.cli.crontab import CrontabJob, JobIds, RefusedLine, read_crontab
from punctual.core.identity import JOB_ID


def read(
    text: str, *, timezone: str = "UTC", has_users: bool = False
) -> list[CrontabJob | RefusedLine]:
    return list(read_crontab(text, timezone=timezone, has_users=has_users))


def the_job(text: str, **options: Any) -> CrontabJob:
    """Return the last line's job."""
    job = read(text, **options)[-1]
    assert isinstance(job, CrontabJob), job
    return job


def the_reason(text: str) -> str:
    (refused,) = read(text)
    assert isinstance(refused, RefusedLine), refused
    return refused.reason


def test_comments_and_empty_lines_are_nothing() -> None:
    assert read("# every night\n\n   \t\n  # 0 9 * * * not a job\n") == []


def test_a_line_is_five_fields_and_a_command() -> None:
    job = the_job("\n 0 9\t* * mon-fri   /usr/bin/report --to 'a b'  \n")

    assert (job.line, job.cron, job.timezone) == (2, "0 9\t* * mon-fri", "UTC")
    assert job.command == "/usr/bin/report --to 'a b'  "
    assert (job.user, job.stdin, job.environment) == (None, None, {})


def test_a_macro_stands_for_five_fields() -> None:
    job = the_job("@daily backup 1 2 3 4 5")

    assert (job.cron, job.command) == ("@daily", "backup 1 2 3 4 5")


def test_the_zone_is_that_of_the_last_setting_above() -> None:
    text = (
        "0 1 * * * a\nCRON_TZ=Europe/Berlin\n0 2 * * * b\nCRON_TZ = 'Asia/Tokyo'\n0 3 * * * c\n"
        "CRON_TZ=\n0 4 * * * d\n"
    )
    jobs = [job for job in read(text, timezone="Africa/Cairo") if isinstance(job, CrontabJob)]

    assert [job.timezone for job in jobs] == [
        "Africa/Cairo",
        "Europe/Berlin",
        "Asia/Tokyo",
        "Africa/Cairo",
    ]
    assert all("CRON_TZ" not in job.environment for job in jobs)


def test_settings_go_with_the_lines_below_them() -> None:
    text = 'PATH=/usr/bin\n0 1 * * * a\n "SHELL" = \'/bin/bash\'\nMAILTO=""\n0 2 * * * b\n'
    first, second = (job for job in read(text) if isinstance(job, CrontabJob))

    assert first.environment == {"PATH": "/usr/bin"}
    assert second.environment == {"PATH": "/usr/bin", "SHELL": "/bin/bash", "MAILTO": ""}


@pytest.mark.parametrize(
    ("written", "command", "stdin"),
    [
        ("mail root%Hello%%you", "mail root", "Hello\n\nyou\n"),
        ("date +\\%Y-\\%m-\\%d", "date +%Y-%m-%d", None),
        ("a \\% b%c \\% d", "a % b", "c % d\n"),
        ("cat%", "cat", "\n"),
        ("echo \\\\ x", "echo \\\\ x", None),
    ],
)
def test_the_first_percent_sign_ends_the_command(
    written: str, command: str, stdin: str | None
) -> None:
    job = the_job(f"0 9 * * * {written}")

    assert (job.command, job.stdin) == (command, stdin)


def test_a_systems_crontab_names_a_user() -> None:
    job = the_job("17 * * * *\troot    cd / && run-parts /etc/cron.hourly", has_users=True)

    assert (job.user, job.command) == ("root", "cd / && run-parts /etc/cron.hourly")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("@reboot start", "@reboot names no time"),
        ("@every 5m poll", "unknown macro"),
        ("0 22-2 * * * night", "a range in the hour field runs backwards"),
        ("0 0 30 2 * never", "names no date that ever comes"),
        ("0~30 * * * * cronie", "the minute field cannot be read: '0~30'"),
        ("-*/5 * * * * quiet", "the minute field cannot be read"),
        ("0 9 * *", "has fewer than five fields and a command"),
        ("hello", "has fewer than five fields and a command"),
        ("0 9 * * *", "has no command"),
        ("@daily", "has no command"),
        ("0 9 * * * %only input", "has no command"),
        ("RANDOM_DELAY=30", "a random delay is not carried over"),
        ("0 9 * * * echo {{run_id}}", "holds {{run_id}}, which each call would fill in"),
    ],
)
def test_a_line_that_cannot_be_carried_over_says_why(line: str, reason: str) -> None:
    assert the_reason(line).startswith(reason)


def test_a_line_in_an_unknown_zone_is_refused_and_the_next_zone_holds() -> None:
    refused, job = read("CRON_TZ=Mars/Olympus\n0 9 * * * a\nCRON_TZ=UTC\n0 9 * * * b\n")

    assert isinstance(refused, RefusedLine)
    assert refused.line == 2
    assert refused.reason.startswith("unknown time zone 'Mars/Olympus'")
    assert isinstance(job, CrontabJob)


def test_docker_formats_are_commands_like_any() -> None:
    assert the_job("@daily docker ps --format '{{.Names}}'").command.endswith("'{{.Names}}'")


def test_an_id_follows_the_command_and_not_its_time() -> None:
    """So that a line whose time was changed changes its job."""
    before, after = (
        the_job("0 9 * * * /opt/Report.sh --all"),
        the_job("5 9 * * * /opt/Report.sh --all"),
    )
    other = the_job("0 9 * * * /opt/Report.sh --some")

    assert JobIds("cron").of(before) == JobIds("cron").of(after)
    assert JobIds("cron").of(before).startswith("cron-report-sh-")
    assert JobIds("cron").of(before) != JobIds("cron").of(other)


def test_the_same_command_twice_has_two_ids() -> None:
    ids, job = JobIds("night"), the_job("0 9 * * * backup")

    first, second, third = (ids.of(job) for _ in range(3))

    assert (second, third) == (f"{first}-2", f"{first}-3")


@pytest.mark.parametrize("command", ["x" * 500, "/", "ünïcode", "&& a", "-"])
def test_every_id_is_one_that_the_api_takes(command: str) -> None:
    assert JOB_ID.fullmatch(JobIds("cron-of-a-server").of(the_job(f"@daily {command}")))
