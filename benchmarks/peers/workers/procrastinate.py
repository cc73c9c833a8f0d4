"""Procrastinate: jobs in PostgreSQL, ten at a time in one process, looked for every 0.1 s."""

import asyncio
from datetime import UTC, datetime
from itertools import groupby

import aiohttp
from procrastinate import App, PsycopgConnector
from procrastinate.jobs import JobDeferrer

from benchmarks.peers.workers.protocol import (
    CLIENTS,
    TOGETHER,
    Arguments,
    Plan,
    arguments,
    plans,
    ready,
)

CONCURRENCY = 10
POLLING_SECONDS = 0.1
"""By default it is one job at a time, and jobs that have become due are looked for every 5 s."""


async def work(app: App, started_with: Arguments) -> None:
    """Run jobs until the process is ended."""
    if not await app.check_connection_async():
        await app.schema_manager.apply_schema_async()
    async with aiohttp.ClientSession() as session:

        async def call(job_id: str, timestamp: int | None = None) -> None:
            headers = {"Punctual-Job-Id": job_id}
            if timestamp is not None:  # the slot of a job that recurs
                slot = datetime.fromtimestamp(timestamp, UTC)
                headers["Punctual-Scheduled-At"] = slot.isoformat()
            async with session.post(started_with.target, headers=headers) as answer:
                await answer.read()

        task = app.task(name="call")(call)
        for job_id in started_with.recurring:
            every_second = app.periodic(
                cron="* * * * * *", periodic_id=job_id, task_kwargs={"job_id": job_id}
            )
            every_second(task)
        ready()
        await app.run_worker_async(
            concurrency=CONCURRENCY, fetch_job_polling_interval=POLLING_SECONDS
        )


async def produce(app: App) -> None:
    """Create what the plans name."""
    ready()
    for plan in plans():
        if plan.one_by_one:
            await create_each(app, plan)
        else:
            await create_together(app, plan)


async def create_each(app: App, plan: Plan) -> None:
    """Create jobs with one request each."""
    waiting = iter(plan.jobs)

    async def client() -> None:
        for job_id, slot in waiting:
            await deferred_to(slot, app).defer_async(job_id=job_id)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


async def create_together(app: App, plan: Plan) -> None:
    """Create jobs with as few requests as may be; those of one request share their slot."""
    for slot, group in groupby(plan.jobs, key=lambda job: job[1]):
        jobs = [{"job_id": job_id} for job_id, _ in group]
        for first in range(0, len(jobs), TOGETHER):
            await deferred_to(slot, app).batch_defer_async(*jobs[first : first + TOGETHER])


def deferred_to(slot: float, app: App) -> JobDeferrer:
    """Return what creates jobs that are due at the slot."""
    return app.configure_task("call", schedule_at=datetime.fromtimestamp(slot, UTC))


async def main() -> None:
    """Run as worker or as producer."""
    started_with = arguments()
    app = App(connector=PsycopgConnector(conninfo=started_with.store))
    async with app.open_async():
        if started_with.role == "worker":
            await work(app, started_with)
        else:
            await produce(app)


if __name__ == "__main__":
    asyncio.run(main())
