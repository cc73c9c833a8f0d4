"""`punctual runs …`: list, show, watch and cancel runs."""

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from punctual.cli.output import complain
from punctual.cli.session import NO, Session
from punctual.core.instants import parse_instant

app = typer.Typer(help="What ran, what runs, and what will.", rich_markup_mode=None)

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")]

COMING = frozenset({"scheduled", "queued"})
"""States of runs that have not begun."""

OPEN = COMING | {"running", "retrying", "cancelling"}
"""States that still await an outcome."""

POLL_MIN = timedelta(seconds=0.5)
POLL_MAX = timedelta(seconds=5)


@app.command("list")
def list_(
    ctx: typer.Context,
    job_id: Annotated[str, typer.Argument(metavar="JOB", help="Id of the job.")],
    *,
    state: Annotated[str | None, typer.Option(help="Only runs in this state.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="Slots from this instant on.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Slots before this instant.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many of those that have begun.")] = 25,
    coming: Annotated[int, typer.Option(min=0, help="So many of those to come.")] = 3,
) -> None:
    """List a job's runs, newest first: the next ones to come, and those that have begun."""
    session: Session = ctx.obj
    query = {"state": state, "from": since, "to": until}
    ahead: deque[Mapping[str, Any]] = deque(maxlen=coming)
    begun: list[Mapping[str, Any]] = []
    gaps: list[Mapping[str, Any]] = []
    for page in session.client.pages("jobs", job_id, "runs", limit=None, **query):
        for run in page["items"]:
            (ahead if run["state"] in COMING else begun).append(run)
        gaps = page.get("gaps") or []  # of the whole listing, whichever the page
        if len(begun) >= limit:
            break
    items = [*ahead, *begun[:limit]]
    if session.output.as_json:
        for run in items:
            session.output.json(run)
        return
    session.output.table(
        ("id", "state", "slot", "late", "took", "attempt", ""), [_row(run) for run in items]
    )
    for gap in gaps:
        session.output.say(
            f"{gap['count']} slots from {gap['from']} to {gap['to']} left out ({gap['reason']})"
        )


@app.command()
def get(ctx: typer.Context, run_id: RunId) -> None:
    """Show a run whole: its attempts, its result, its error."""
    session: Session = ctx.obj
    run = session.client.get("runs", run_id)
    if session.output.as_json:
        session.output.json(run)
    else:
        session.output.details(run)


@app.command()
def watch(
    ctx: typer.Context,
    watched: Annotated[
        str,
        typer.Argument(
            metavar="RUN|JOB", help="A run, or a job: its next run, or its last if none is to come."
        ),
    ],
) -> None:
    """Follow a run until it has its outcome; exit with 0 if that is `succeeded`, else with 1."""
    session: Session = ctx.obj
    run = _run_of(session, watched)
    seen: tuple[str, int] | None = None
    while True:
        standing = (run["state"], run["attempt"])
        if standing != seen:
            _report(session, run)
            seen = standing
        if run["state"] not in OPEN:
            break
        session.clock.sleep(pause(run, now=session.clock.now()))
        run = session.client.get("runs", run["id"])
    if run["state"] != "succeeded":
        raise typer.Exit(NO)


@app.command()
def cancel(ctx: typer.Context, run_id: RunId) -> None:
    """Cancel a run; one that is going on is told to stop."""
    session: Session = ctx.obj
    run = session.client.call("POST", "runs", run_id, "cancel").value
    _report(session, run)


def pause(run: Mapping[str, Any], *, now: datetime) -> timedelta:
    """Return how long to wait before looking again: until the slot, 0.5 s to 5 s."""
    return max(POLL_MIN, min(parse_instant(run["scheduled_at"]) - now, POLL_MAX))


def _run_of(session: Session, watched: str) -> Any:  # noqa: ANN401 - JSON
    """Return the run named, or the one to watch of the job named."""
    if "." in watched:  # stands in every run's id and in no job's
        return session.client.get("runs", watched)
    earliest_open: Any = None
    for page in session.client.pages("jobs", watched, "runs", limit=None):
        for run in page["items"]:
            if run["state"] not in OPEN:
                return earliest_open or run
            earliest_open = run
    if earliest_open is None:
        complain(f"job {watched} has no run, and none is to come")
        raise typer.Exit(NO)
    return earliest_open


def _report(session: Session, run: Mapping[str, Any]) -> None:
    if session.output.as_json:
        session.output.json(run)
        return
    facts = [f"{run['id']} {run['state']}"]
    if run["duration_seconds"] is not None:
        facts.append(f"in {span(run['duration_seconds'])}")
    if run["lateness_seconds"] is not None:
        facts.append(f"{span(run['lateness_seconds'])} late")
    session.output.say(", ".join(filter(None, (*facts, remark(run)))))


def _row(run: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        run["id"],
        run["state"],
        run["scheduled_at"],
        span(run["lateness_seconds"]),
        span(run["duration_seconds"]),
        str(run["attempt"] or ""),
        remark(run),
    )


def remark(run: Mapping[str, Any]) -> str:
    """Write why a run is what it is, as far as that is known: its error, its reason, its status."""
    if run["error"] is not None:
        return str(run["error"]["message"])
    if run["reason"] is not None:
        return str(run["reason"])
    return f"status {run['result']['status_code']}" if run["result"] is not None else ""


def span(seconds: float | None) -> str:
    """Write a span of time: `4 ms`, `1.5 s`; nothing where there is none."""
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
