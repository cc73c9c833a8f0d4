"""APScheduler: jobs in PostgreSQL, run by ten threads of the process that created them."""

from datetime import UTC, datetime

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from benchmarks.peers.workers.protocol import arguments, call, plans, ready

THREADS = 10


def main() -> None:
    """Run until standard input ends."""
    started_with = arguments()
    url = started_with.store.replace("postgresql:", "postgresql+psycopg:")
    scheduler = BackgroundScheduler(
        timezone=UTC,
        jobstores={"default": SQLAlchemyJobStore(url)},
        executors={"default": ThreadPoolExecutor(THREADS)},
        # By default, a run that is late by a second is left out.
        job_defaults={"misfire_grace_time": None},
    )
    scheduler.start()
    ready()
    for plan in plans():
        for job_id, slot in plan.jobs:
            at = datetime.fromtimestamp(slot, UTC)
            rule = {"trigger": "date", "run_date": at}
            if plan.every_second:
                rule = {"trigger": "interval", "seconds": 1, "start_date": at}
            scheduler.add_job(call, id=job_id, args=[started_with.target, job_id], **rule)


if __name__ == "__main__":
    main()
