"""The command `punctual`: global options, and what every outcome is to the shell."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Annotated

import typer

from punctual.adapters.system import SystemClock
from punctual.cli import cost, dead_letters, imports, jobs, runs, serve
from punctual.cli.client import Client, Refused, Transport, Unreachable, gateway_region
from punctual.cli.output import Output, complain
from punctual.cli.session import BAD, DONE, NO, BadInput, Session
from punctual.ports import Clock

URL = "http://127.0.0.1:8400"
"""Where the host on this machine is, unless it is told otherwise."""

CLOCK = SystemClock()

FLAGS = frozenset({"--json", "--sigv4"})
WITH_VALUES = frozenset({"--url", "--region", "--profile"})
"""The global options, which may stand anywhere."""

Connect = Callable[..., Transport]
"""See `connected`, which is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    """What commands reach outside of themselves."""

    connect: Connect
    clock: Clock


app = typer.Typer(
    name="punctual",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Create jobs and see their runs, on this machine or at a deployed API.",
    epilog="These options may stand anywhere. Exit codes: 0 done; 1 the API said no, or a watched "
    "run did not succeed; 2 the command or its input cannot be used.",
)
app.add_typer(jobs.app, name="jobs")
app.add_typer(runs.app, name="runs")
app.add_typer(imports.app, name="import")
app.add_typer(dead_letters.app, name="dead-letters")
app.command("serve")(serve.serve)
app.command("cost")(cost.cost)


@app.callback()
def options(
    ctx: typer.Context,
    *,
    url: Annotated[str, typer.Option(envvar="PUNCTUAL_URL", help="Address of the API.")] = URL,
    json: Annotated[bool, typer.Option("--json", help="Print lines of JSON.")] = False,
    sigv4: Annotated[
        bool,
        typer.Option("--sigv4", help="Sign for AWS; addresses of API Gateway are signed anyway."),
    ] = False,
    region: Annotated[str | None, typer.Option(help="AWS region to sign for.")] = None,
    profile: Annotated[str | None, typer.Option(help="AWS profile to sign with.")] = None,
) -> None:
    """Make ready what commands work with; nothing is connected before it is needed."""
    world: _World = ctx.obj
    connect = partial(world.connect, url, sign=sigv4, region=region, profile=profile)
    ctx.obj = Session(
        client=Client(url, connect=connect),
        output=Output(as_json=json),
        clock=world.clock,
        region=region,
        profile=profile,
    )


def connected(url: str, *, sign: bool, region: str | None, profile: str | None) -> Transport:
    """Return the way to an API, signed if it asks for that.

    Raises:
        BadInput: Requests are to be signed and cannot be.
    """
    # Slow to import, and not every command goes over the network; few are signed.
    from punctual.cli.transport import over_the_network  # noqa: PLC0415

    region = region or gateway_region(url)
    if not sign and gateway_region(url) is None:
        return over_the_network()
    try:
        from punctual.cli.signing import signed  # noqa: PLC0415
    except ImportError:
        raise BadInput("signing for AWS needs boto3: pip install 'punctual[aws]'") from None
    return signed(over_the_network(), region=region, profile=profile)


def globals_first(args: Sequence[str]) -> list[str]:
    """Move the global options to the front, so that `jobs list --json` is `--json jobs list`.

    What stands behind `--` stays where it is.
    """
    front: list[str] = []
    rest: list[str] = []
    waiting = iter(args)
    for arg in waiting:
        if arg == "--":
            rest += [arg, *waiting]
        elif arg in FLAGS or ("=" in arg and arg.partition("=")[0] in WITH_VALUES):
            front.append(arg)
        elif arg in WITH_VALUES:
            front += [arg, *islice(waiting, 1)]
        else:
            rest.append(arg)
    return front + rest


def run(args: Sequence[str], *, connect: Connect = connected, clock: Clock = CLOCK) -> int:
    """Carry out one command; return its exit code. What was not foreseen raises."""
    world = _World(connect=connect, clock=clock)
    try:
        code = app(globals_first(args) or ["--help"], obj=world, standalone_mode=False)
    except typer.TyperException as error:
        complain(" ".join(error.format_message().split()) + " (see --help)")
        return BAD
    except BadInput as error:
        complain(str(error))
        return BAD
    except Refused as error:
        Output(as_json="--json" in args).problem(error.problem)
        return NO
    except Unreachable as error:
        complain(str(error))
        return NO
    return int(code or DONE)


def main() -> None:
    """Entry point of the command."""
    sys.exit(run(sys.argv[1:]))
