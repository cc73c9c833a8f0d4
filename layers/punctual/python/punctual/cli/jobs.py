"""`punctual jobs …`: create, list, show, pause, resume and delete jobs."""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from punctual.adapters.system import SystemChance
from punctual.cli.session import BadInput, Session

app = typer.Typer(help="What runs, and when.", rich_markup_mode=None)

JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job.")]

UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def seconds(text: str) -> float:
    """Read a duration: `30`, `1.5`, `30s`, `5m`, `2h`, `1d`.

    Raises:
        BadParameter: It is none.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)", text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no duration, such as 30, 1.5, 5m, 2h or 1d")
    number = float(match[1]) * UNITS[match[2]]
    return int(number) if number.is_integer() else number


@app.command()
def create(  # one parameter per flag
    ctx: typer.Context,
    *,
    job_id: Annotated[
        str | None, typer.Option("--id", help="Create under this id, or replace what is there.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    at: Annotated[str | None, typer.Option(help="Run once, at this instant.")] = None,
    every: Annotated[
        float | None,
        typer.Option(parser=seconds, metavar="DURATION", help="Run again and again: 30, 5m, 2h."),
    ] = None,
    cron: Annotated[str | None, typer.Option(help="Run when this expression says.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Zone of --cron. Default: UTC.")] = None,
    start_at: Annotated[str | None, typer.Option(help="No slot before this instant.")] = None,
    end_at: Annotated[str | None, typer.Option(help="No slot after this instant.")] = None,
    max_runs: Annotated[int | None, typer.Option(help="So many runs, and no more.")] = None,
    target_url: Annotated[str | None, typer.Option(help="Where each run's call goes.")] = None,
    method: Annotated[str | None, typer.Option(help="Default: POST.")] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="'NAME: VALUE'", help="May be given repeatedly.")
    ] = None,
    body: Annotated[
        str | None, typer.Option(help="Sent as JSON if it is JSON, else as text.")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(parser=seconds, metavar="DURATION", help="For one attempt. Default: 30."),
    ] = None,
    max_attempts: Annotated[int | None, typer.Option(help="Default: 3.")] = None,
    start_deadline: Annotated[
        float | None,
        typer.Option(parser=seconds, metavar="DURATION", help="A run later than this is missed."),
    ] = None,
    catch_up: Annotated[str | None, typer.Option(help="all, latest or none.")] = None,
    delivery: Annotated[str | None, typer.Option(help="at_least_once or at_most_once.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="May be given repeatedly.")
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="Read the job as JSON, - from standard input; flags win."
        ),
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Makes a repetition of this very command create nothing.")
    ] = None,
) -> None:
    """Create a job, or with --id replace it.

    Without --id the API makes one. What a lost answer makes this command send again creates
    nothing twice.
    """
    session: Session = ctx.obj
    flags = {
        "id": job_id,
        "name": name,
        "schedule": {
            "at": at,
            "every_seconds": every,
            "cron": cron,
            "timezone": timezone,
            "start_at": start_at,
            "end_at": end_at,
            "max_runs": max_runs,
        },
        "target": {
            "url": target_url,
            "method": method,
            "headers": pairs(header or (), separator=":", flag="--header"),
            "body": None if body is None else json_or_text(body),
        },
        "timeout_seconds": timeout,
        "retry": {"max_attempts": max_attempts},
        "start_deadline_seconds": start_deadline,
        "catch_up": catch_up,
        "delivery": delivery,
        "tags": pairs(tag or (), separator="=", flag="--tag"),
    }
    job = laid_over({} if file is None else read_object(file), flags)
    if isinstance(job.get("target"), dict):
        job["target"].setdefault("type", "http")
    wanted_id = job.get("id")
    if wanted_id is None:
        key = idempotency_key or SystemChance().token()
        answer = session.client.call("POST", "jobs", body=job, headers={"Idempotency-Key": key})
    elif idempotency_key is not None:
        raise BadInput("--idempotency-key is for jobs without an id: with one, repeat at will")
    else:
        answer = session.client.call("PUT", "jobs", str(wanted_id), body=job)
    done = "created" if answer.created else "stands as wanted"
    _show(session, answer.value, done)


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    tag: Annotated[
        str | None, typer.Option(metavar="KEY:VALUE", help="Only jobs with this tag.")
    ] = None,
    state: Annotated[str | None, typer.Option(help="active, paused or ended.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Only ids that begin so.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many.")] = None,
) -> None:
    """List jobs in the order of their ids."""
    session: Session = ctx.obj
    pages = session.client.pages("jobs", limit=limit, tag=tag, state=state, prefix=prefix)
    items = (job for page in pages for job in page["items"])
    if session.output.as_json:
        for job in items:
            session.output.json(job)
        return
    session.output.table(
        ("id", "state", "schedule", "next run", "name"),
        [
            (
                job["id"],
                job["state"],
                schedule_text(job["schedule"]),
                job.get("next_run_at") or "",
                job.get("name") or "",
            )
            for job in items
        ],
    )


@app.command()
def get(ctx: typer.Context, job_id: JobId) -> None:
    """Show a job whole."""
    session: Session = ctx.obj
    job = session.client.get("jobs", job_id)
    if session.output.as_json:
        session.output.json(job)
    else:
        session.output.details(job)


@app.command()
def delete(ctx: typer.Context, job_id: JobId) -> None:
    """Delete a job: from then on no call of it starts. The history stays."""
    session: Session = ctx.obj
    session.client.call("DELETE", "jobs", job_id)
    if not session.output.as_json:
        session.output.say(f"{job_id} deleted")


@app.command()
def pause(
    ctx: typer.Context,
    job_id: JobId,
    *,
    note: Annotated[str | None, typer.Option(help="Why, for those who wonder.")] = None,
) -> None:
    """Pause a job: from then on no run of it starts."""
    session: Session = ctx.obj
    body = {} if note is None else {"note": note}
    _show(session, session.client.call("POST", "jobs", job_id, "pause", body=body).value, "paused")


@app.command()
def resume(ctx: typer.Context, job_id: JobId) -> None:
    """Let a paused job go on."""
    session: Session = ctx.obj
    _show(session, session.client.call("POST", "jobs", job_id, "resume").value, "resumed")


def _show(session: Session, job: Mapping[str, Any], done: str) -> None:
    if session.output.as_json:
        session.output.json(job)
        return
    upcoming = job.get("next_run_at")
    session.output.say(
        f"{job['id']} {done}, {schedule_text(job['schedule'])}, "
        + (f"next run at {upcoming}" if upcoming else "no run to come")
    )


def schedule_text(schedule: Mapping[str, Any]) -> str:
    """Write a schedule in a few words: `every 30 s`, `cron 0 9 * * MON-FRI (Europe/Berlin)`."""
    if schedule.get("at") is not None:
        return f"at {schedule['at']}"
    if schedule.get("every_seconds") is not None:
        return f"every {schedule['every_seconds']:g} s"
    return f"cron {schedule.get('cron')} ({schedule.get('timezone') or 'UTC'})"


def json_or_text(text: str) -> Any:  # noqa: ANN401 - JSON
    """Read text as JSON; what is not JSON is itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def pairs(entries: Sequence[str], *, separator: str, flag: str) -> dict[str, str]:
    """Read `name<separator>value` entries.

    Raises:
        BadInput: One has no separator or no name.
    """
    read: dict[str, str] = {}
    for entry in entries:
        name, found, value = entry.partition(separator)
        if not found or not name.strip():
            raise BadInput(f"{flag} takes NAME{separator}VALUE, not {entry!r}")
        read[name.strip()] = value.strip()
    return read


def read_object(path: str) -> dict[str, Any]:
    """Read a JSON object from a file, or from standard input when the path is `-`.

    Raises:
        BadInput: It cannot be read, or is no JSON object.
    """
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        value = json.loads(text)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise BadInput(f"{path} is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadInput(f"{path} holds no JSON object")
    return value


def laid_over(base: dict[str, Any], flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the flags that were given in their places; a flag not given changes none.

    `None` and empty objects stand for flags not given.
    """
    merged = dict(base)
    for name, value in _given(flags):
        if isinstance(value, Mapping):
            standing = merged.get(name)
            merged[name] = laid_over(standing if isinstance(standing, dict) else {}, value)
        else:
            merged[name] = value
    return merged


def _given(flags: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in flags.items():
        if isinstance(value, Mapping):
            if any(True for _ in _given(value)):
                yield name, value
        elif value is not None:
            yield name, value
