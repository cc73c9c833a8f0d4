"""The HTTP API as one function from an event of an HTTP API to its response."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from punctual.api.answers import refused
from punctual.api.pagination import Cursors
from punctual.api.resolver import Resolver
from punctual.api.routes.asking import add_asking_routes
from punctual.api.routes.bulk import add_bulk_routes
from punctual.api.routes.callbacks import add_callback_routes
from punctual.api.routes.documents import add_document_routes
from punctual.api.routes.health import add_health_routes
from punctual.api.routes.jobs import add_job_routes
from punctual.api.routes.runs import add_run_routes
from punctual.api.routes.schedules import add_schedule_routes
from punctual.api.routes.skipping import add_skipping_routes
from punctual.api.tenancy import TENANT_CLAIM, always, verified
from punctual.core.errors import StoreUnavailable
from punctual.ports import Beats, Chance, Clock
from punctual.services.asking import Asking
from punctual.services.callbacks import Callbacks
from punctual.services.jobs import Jobs
from punctual.services.runs import Runs
from punctual.services.skipping import Skipping

if TYPE_CHECKING:
    from punctual.api.reading import Reader


def _reachable() -> None:
    """Say nothing: a queue that lies within the store is there when the store is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServices:
    """What the API is a door to."""

    jobs: Jobs
    runs: Runs
    asking: Asking
    skipping: Skipping
    callbacks: Callbacks
    beats: Beats
    ask_queue: Callable[[], None] = _reachable
    """Raises `StoreUnavailable` when the queue is out of reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A request that was answered, as logs and metrics tell of it."""

    method: str
    route: str
    """Pattern of the route, such as `/v1/jobs/{job_id}`, or `unmatched`."""
    status: int
    took: timedelta


App = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes an event of an HTTP API (payload version 2.0) and returns its response."""


def unavailable(error: StoreUnavailable, event: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a request while what the API is made of is out of reach."""
    answer = refused(error, instance=event["rawPath"])
    return {"statusCode": answer.status_code, "headers": answer.headers, "body": answer.body}


def make_app(
    services: ApiServices,
    *,
    local_tenant: str | None,
    clock: Clock,
    chance: Chance,
    cursor_key: bytes,
    tenant_claim: str = TENANT_CLAIM,
    allow_private_targets: bool = False,
    report: Callable[[Answered], None] | None = None,
) -> App:
    """Make the API; any number of threads may use it at once.

    Args:
        services: What it is a door to.
        local_tenant: Whose everything is, on one machine where nobody is asked who they are. None
            in the cloud: the tenant is that of the identity which the gateway verified.
        clock: The present, for what follows from it.
        chance: Makes the ids of jobs that are created without a key.
        cursor_key: Secret that seals cursors.
        tenant_claim: The claim of a token that names the tenant.
        allow_private_targets: In the cloud, allow what is allowed on one machine: targets over
            http, on any port, at private and loopback addresses.
        report: Told of every request that was answered.
    """
    tenant_of = verified(claim=tenant_claim) if local_tenant is None else always(local_tenant)
    cloud = local_tenant is None and not allow_private_targets
    cursors = Cursors(cursor_key)
    readers: dict[str, Reader] = {}
    of_thread = threading.local()

    def resolver() -> Resolver:
        app = Resolver(tenant_of=tenant_of, cloud=cloud, readers=readers)
        add_job_routes(app, services.jobs, clock=clock, chance=chance, cursors=cursors)
        add_bulk_routes(app, services.jobs, clock=clock, chance=chance)
        add_run_routes(app, services.runs, cursors=cursors)
        add_asking_routes(app, services.asking)
        add_skipping_routes(app, services.skipping)
        add_callback_routes(app, services.callbacks)
        add_schedule_routes(app, clock=clock)
        add_health_routes(app, services.beats, clock=clock, ask_queue=services.ask_queue)
        add_document_routes(app)
        return app

    def answer(event: dict[str, Any]) -> dict[str, Any]:
        if not hasattr(of_thread, "resolver"):
            of_thread.resolver = resolver()
        app: Resolver = of_thread.resolver
        began = clock.now()
        response = app.answer(event)
        if report is not None:
            report(
                Answered(
                    method=event["requestContext"]["http"]["method"],
                    route=app.route_pattern,
                    status=response["statusCode"],
                    took=clock.now() - began,
                )
            )
        return response

    return answer
