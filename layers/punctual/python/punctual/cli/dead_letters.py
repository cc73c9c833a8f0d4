"""`punctual dead-letters …`: look at what a deployed stage could not deal with, and redrive it."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from punctual.cli.session import BadInput, Session
from punctual.core.instants import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from punctual.adapters.sqs.letters import Letter, Letters

app = typer.Typer(
    help="Messages of a deployed stage that nobody could deal with.", rich_markup_mode=None
)

NONE_HERE = (
    "There are no dead letters on one machine: a run and its message lie in one database, and no"
    " message is ever given up. For those of a deployed stage name its stack: --stack Punctual-prod"
)

Stack = Annotated[
    str | None,
    typer.Option(envvar="PUNCTUAL_STACK", help="Name of the stage's stack, such as Punctual-prod."),
]
Job = Annotated[str | None, typer.Option(help="Only letters about runs of this job.")]
Since = Annotated[str | None, typer.Option(help="Only letters from this instant on.")]
Reason = Annotated[str | None, typer.Option(help="Only letters whose reason says this.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which letters are meant."""

    job_id: str | None
    since: datetime | None
    reason: str | None

    def has(self, letter: "Letter") -> bool:
        """Say whether a letter is one of them."""
        return (
            (
                self.job_id is None
                or (letter.key is not None and letter.key.job.job_id == self.job_id)
            )
            and (self.since is None or letter.buried_at >= self.since)
            and (self.reason is None or self.reason.lower() in letter.reason.lower())
        )


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    stack: Stack = None,
    job: Job = None,
    since: Since = None,
    reason: Reason = None,
) -> None:
    """List dead letters, oldest first; they stay where they are."""
    session: Session = ctx.obj
    wanted = _wanted(job, since, reason)
    if stack is None:
        session.output.say(NONE_HERE)
        return
    with _opened(session, stack) as letters:
        found = letters.read()
        letters.put_back(found)
    _show(session, [letter for letter in found if wanted.has(letter)])


@app.command()
def redrive(
    ctx: typer.Context,
    *,
    stack: Stack = None,
    job: Job = None,
    since: Since = None,
    reason: Reason = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show which letters would be sent.")
    ] = False,
) -> None:
    """Send dead letters round again: what is still open ends or goes on, what has ended stays."""
    session: Session = ctx.obj
    wanted = _wanted(job, since, reason)
    if stack is None:
        session.output.say(NONE_HERE)
        return
    with _opened(session, stack) as letters:
        found = letters.read()
        chosen = [letter for letter in found if wanted.has(letter)]
        letters.put_back([letter for letter in found if dry_run or not wanted.has(letter)])
        moved = 0 if dry_run else letters.redrive(chosen)
    _show(session, chosen)
    if session.output.as_json:
        return
    if dry_run:
        session.output.say(f"{len(chosen)} would be sent round again")
    else:
        session.output.say(f"{moved} of {len(chosen)} were sent round again")


def _opened(session: Session, stack: str) -> "AbstractContextManager[Letters]":
    try:
        from punctual.cli.letters_of import letters_of  # noqa: PLC0415 - slow, and boto3 an extra
    except ImportError:
        raise BadInput("dead letters need boto3: pip install 'punctual[aws]'") from None
    return letters_of(stack, region=session.region, profile=session.profile)


def _wanted(job: str | None, since: str | None, reason: str | None) -> Wanted:
    try:
        instant = None if since is None else parse_instant(since)
    except ValueError as error:
        raise BadInput(f"--since is {error}") from None
    return Wanted(job_id=job, since=instant, reason=reason)


def _show(session: Session, letters: "Sequence[Letter]") -> None:
    if session.output.as_json:
        for letter in letters:
            session.output.json(
                {
                    "buried_at": format_instant(letter.buried_at),
                    "tenant": None if letter.key is None else letter.key.job.tenant,
                    "run_id": None if letter.key is None else letter.key.run_id,
                    "reason": letter.reason,
                    "body": letter.body,
                }
            )
        return
    session.output.table(
        ("buried", "tenant", "run", "reason"),
        [
            (
                format_instant(letter.buried_at),
                "" if letter.key is None else letter.key.job.tenant,
                letter.body[:60] if letter.key is None else letter.key.run_id,
                letter.reason,
            )
            for letter in letters
        ],
    )
