"""`punctual import …`: jobs out of what other schedulers keep."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from punctual.cli.client import Refused
from punctual.cli.jobs import pairs
from punctual.cli.output import complain, problem_lines
from punctual.cli.session import DONE, NO, BadInput, Session

if TYPE_CHECKING:
    from punctual.cli.crontab import CrontabJob

app = typer.Typer(help="Jobs out of what other schedulers keep.", rich_markup_mode=None)

NAME_MAX = 128
"""Characters of a job's name."""

SOURCE = "crontab"
"""Value of the tag `source`, by which imported jobs can be listed."""

_PREFIX = re.compile(r"[a-z0-9][a-z0-9_-]{0,15}")


@app.callback()
def imports() -> None:
    """Jobs out of what other schedulers keep."""


@app.command()
def crontab(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The crontab; - standard input.")],
    *,
    target_url: Annotated[
        str, typer.Option(help="What runs commands: each call's body says which one.")
    ],
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="'NAME: VALUE'", help="Of each call; may be given repeatedly."),
    ] = None,
    timezone: Annotated[
        str, typer.Option(help="Zone of lines without CRON_TZ: that of the crontab's machine.")
    ] = "UTC",
    system: Annotated[
        bool, typer.Option("--system", help="Lines name a user, as those of /etc/crontab do.")
    ] = False,
    id_prefix: Annotated[str, typer.Option(help="What the jobs' ids begin with.")] = "cron",
    apply: Annotated[
        bool, typer.Option("--apply", help="Create the jobs, or change those of an earlier import.")
    ] = False,
) -> int:
    """Show the jobs that a crontab would be, and with --apply create them.

    Lines that cannot be carried over are told, each with its reason, and the others go on; the exit
    code is then 1.
    """
    # Slow to import, and no other command reads cron expressions.
    from punctual.cli.crontab import JobIds, RefusedLine, is_zone, read_crontab  # noqa: PLC0415

    session: Session = ctx.obj
    if not _PREFIX.fullmatch(id_prefix):
        raise BadInput("--id-prefix is 1 to 16 of a-z, 0-9, _ and -, and begins with a-z or 0-9")
    if not is_zone(timezone):
        raise BadInput(f"--timezone: {timezone!r} is no zone, such as Europe/Berlin")
    headers = pairs(header or (), separator=":", flag="--header")
    ids = JobIds(id_prefix)
    entries = list(read_crontab(_text(file), timezone=timezone, has_users=system))
    refused = [entry for entry in entries if isinstance(entry, RefusedLine)]
    jobs = [
        (entry, _body(entry, ids.of(entry), target_url, headers))
        for entry in entries
        if not isinstance(entry, RefusedLine)
    ]
    for line in refused:
        complain(f"line {line.line}: {line.reason}")
    if not apply:
        _show(session, jobs)
        return NO if refused else DONE
    done = [_put(session, entry.line, body) for entry, body in jobs]
    return DONE if all(done) and not refused else NO


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{file} is no text in UTF-8") from None


def _body(
    entry: "CrontabJob", job_id: str, target_url: str, headers: dict[str, str]
) -> dict[str, Any]:
    """Return the job that a line becomes: a call that says what to run."""
    run: dict[str, Any] = {"command": entry.command}
    if entry.stdin is not None:
        run["stdin"] = entry.stdin
    if entry.user is not None:
        run["user"] = entry.user
    if entry.environment:
        run["environment"] = dict(entry.environment)
    name = "".join(char if char.isprintable() else " " for char in entry.command)[:NAME_MAX]
    return {
        "id": job_id,
        "name": name,
        "schedule": {"cron": entry.cron, "timezone": entry.timezone},
        "target": {"type": "http", "url": target_url, "headers": headers, "body": run},
        "tags": {"source": SOURCE},
    }


def _show(session: Session, jobs: list[tuple["CrontabJob", dict[str, Any]]]) -> None:
    if session.output.as_json:
        for _, body in jobs:
            session.output.json(body)
        return
    # Slow to import, and only this says schedules in words.
    from punctual.core.descriptions import describe  # noqa: PLC0415
    from punctual.core.schedules import Cron, Schedule  # noqa: PLC0415

    session.output.table(
        ("line", "id", "when", "command"),
        [
            (
                str(entry.line),
                body["id"],
                describe(Schedule(rule=Cron(expression=entry.cron, timezone=entry.timezone))),
                entry.command,
            )
            for entry, body in jobs
        ],
    )
    found = "1 job" if len(jobs) == 1 else f"{len(jobs)} jobs"
    session.output.say(f"{found}; nothing is created without --apply")


def _put(session: Session, line: int, body: dict[str, Any]) -> bool:
    """Create or change one job; say whether the API took it."""
    try:
        answer = session.client.call("PUT", "jobs", body["id"], body=body)
    except Refused as error:
        for text in problem_lines(error.problem):
            complain(f"line {line}: {text}")
        return False
    if session.output.as_json:
        session.output.json(answer.value)
    else:
        done = "created" if answer.created else "stands as wanted"
        session.output.say(f"{body['id']} {done}")
    return True
