"""Celery: messages in Redis, each held by the worker from its creation on until it is due."""

from datetime import UTC, datetime

from celery import Celery, signals

from benchmarks.peers.workers import protocol


def main() -> None:
    """Run as worker, with a process for each core, or as producer."""
    started_with = protocol.arguments()
    app = Celery("peer", broker=started_with.store)
    app.conf.task_ignore_result = True
    app.conf.worker_redirect_stdouts = False  # its log would swallow what the harness waits for

    def call(job_id: str) -> None:
        protocol.call(started_with.target, job_id)

    task = app.task(name="call")(call)
    if started_with.role == "worker":

        def on_ready(**_: object) -> None:
            protocol.ready()

        signals.worker_ready.connect(on_ready)
        app.worker_main(["worker", "--loglevel=ERROR"])
    else:
        protocol.ready()
        for plan in protocol.plans():
            for job_id, slot in plan.jobs:
                task.apply_async((job_id,), eta=datetime.fromtimestamp(slot, UTC))


if __name__ == "__main__":
    main()
