"""`punctual cost`: what a month would cost on AWS."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import timedelta
from itertools import chain
from typing import Annotated

import typer

from punctual.cli.bill import (
    BATCH_MAX,
    MILLION,
    MINUTES_A_MONTH,
    STAGES,
    Line,
    Workload,
    bill_of_runs,
    bill_of_stage,
)
from punctual.cli.jobs import seconds
from punctual.cli.session import BadInput, Session

ONCE = "once"
SHORTEST = timedelta(seconds=1)


def cost(
    ctx: typer.Context,
    *,
    jobs_per_minute: Annotated[
        float, typer.Option(min=0, help="Runs that start in a minute, on average.")
    ],
    stage: Annotated[str, typer.Option(help=f"One of {', '.join(STAGES)}.")] = "prod",
    every: Annotated[
        str, typer.Option(help=f"How often each job runs: 30, 5m, 2h, 1d; or {ONCE}.")
    ] = "1m",
    call_seconds: Annotated[
        float, typer.Option(min=0, max=840, help="How long a target takes to answer.")
    ] = 0.2,
    batch: Annotated[
        float,
        typer.Option(
            min=1, max=BATCH_MAX, help="Runs that share an executor; few due at once share little."
        ),
    ] = BATCH_MAX,
    many_tenants: Annotated[
        bool, typer.Option("--many-tenants", help="Callers bring tokens that name their tenant.")
    ] = False,
) -> None:
    """Print a month's bill, line by line: list prices of us-east-1, free tiers left out.

    Units of the table are those that tests count; times of executors and dispatchers are assumed.
    """
    if stage not in STAGES:
        raise BadInput(f"there is no stage {stage!r}: there are {', '.join(STAGES)}")
    workload = Workload(
        runs_per_minute=jobs_per_minute,
        period=_period(every),
        call=timedelta(seconds=call_seconds),
        batch=batch,
        many_tenants=many_tenants,
    )
    runs = list(bill_of_runs(workload))
    _show(ctx.obj, workload, runs, list(bill_of_stage(STAGES[stage])))


def _period(text: str) -> timedelta | None:
    if text == ONCE:
        return None
    period = timedelta(seconds=seconds(text))
    if period < SHORTEST:
        raise BadInput("no job runs more often than each second")
    return period


def _show(session: Session, workload: Workload, runs: Sequence[Line], idle: Sequence[Line]) -> None:
    count = workload.runs_per_minute * MINUTES_A_MONTH
    of_runs, of_stage = _sum(runs), _sum(idle)
    per_million = of_runs / count * MILLION if count else None
    if session.output.as_json:
        session.output.json(
            {
                "runs": count,
                "lines": [asdict(line) for line in chain(runs, idle)],
                "dollars": of_runs + of_stage,
                "dollars_of_runs": of_runs,
                "dollars_of_stage": of_stage,
                "dollars_per_million_runs": per_million,
            }
        )
        return
    totals = [["runs", f"{count:,.0f}", "runs", f"{of_runs:,.2f}"]]
    totals.append(["the stage itself", "1", "stage", f"{of_stage:,.2f}"])
    totals.append(["a month", "", "", f"{of_runs + of_stage:,.2f}"])
    session.output.table(("line", "quantity", "unit", "dollars"), chain(_rows(runs, idle), totals))
    if per_million is not None:
        session.output.say(f"A million runs: ${per_million:.2f}, and the stage itself.")


def _rows(*parts: Iterable[Line]) -> Iterable[Sequence[str]]:
    for line in chain(*parts):
        yield line.name, f"{line.quantity:,.4g}", line.unit, f"{line.dollars:,.2f}"


def _sum(lines: Iterable[Line]) -> float:
    return sum(line.dollars for line in lines)
