"""The library's resolver, made fit for threads and for problem details."""

import logging
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.api_gateway import ResponseBuilder, Route
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from punctual.api.answers import refused
from punctual.api.problems import MethodNotAllowed, NoSuchPath
from punctual.api.reading import Reader, read_request
from punctual.api.tenancy import TenantOf
from punctual.core.errors import PunctualError

logger = logging.getLogger(__name__)

UNMATCHED = "unmatched"
"""The route of a request that none is for."""


class Resolver(APIGatewayHttpResolver):
    """Finds the operation of a request, has the request read, and answers.

    The library keeps the request of the moment on a class, for all threads of a process at once.
    Here it lies on the instance, and every thread has an instance of its own.
    """

    def __init__(self, *, tenant_of: TenantOf, cloud: bool, readers: dict[str, Reader]) -> None:
        # Bodies are text or bytes already; those that a target called JSON stay as they came.
        super().__init__(serializer=lambda body: body)  # type: ignore[arg-type, return-value]
        self._tenant_of = tenant_of
        self.cloud = cloud
        """Whether targets must be such as may be called from the cloud."""
        self.readers = readers
        """By operation; threads share them, for each takes a while to make."""
        self.route_pattern = UNMATCHED
        """Of the request that was answered last, such as `/v1/jobs/{job_id}`."""
        self.use([read_request])
        self.exception_handler(Exception)(self._problem)

    @property
    def tenant(self) -> str:
        """Who asks.

        Raises:
            Unauthenticated: Nobody is known to.
        """
        return self._tenant_of(self.current_event.raw_event)

    @property
    def json_body(self) -> Any:  # noqa: ANN401 - JSON
        """What the request's body says, before it was validated."""
        return self.context["json_body"]

    def answer(self, event: dict[str, Any]) -> dict[str, Any]:
        """Answer a request; a fault is an answer too."""
        self.current_event = APIGatewayProxyEventV2(_got(event))
        self.route_pattern = UNMATCHED
        try:
            response = self._build_response(self._resolve())
        finally:
            self.context.clear()
        # Nothing has a key of its own: a gateway may take a null body for a fault.
        return {name: value for name, value in response.items() if value is not None}

    def _call_route(self, route: Route, route_arguments: dict[str, str]) -> ResponseBuilder[Any]:
        self.route_pattern = route.openapi_path
        return super()._call_route(route, route_arguments)

    def _handle_not_found(
        self,
        method: str,  # noqa: ARG002 - the library's signature
        path: str,
    ) -> ResponseBuilder[Any]:
        routes = [r for r in self._static_routes + self._dynamic_routes if r.rule.match(path)]
        methods = {route.method for route in routes}
        error: PunctualError = NoSuchPath(f"nothing is at {path[:200]}")
        if methods:
            self.route_pattern = routes[0].openapi_path
            methods |= {"HEAD"} if "GET" in methods else set()
            error = MethodNotAllowed(", ".join(sorted(methods)))
        return self._response_builder_class(response=self._problem(error))

    def _problem(self, error: Exception) -> Response[str]:
        if not isinstance(error, PunctualError):
            logger.error("unforeseen fault of %s", self.route_pattern, exc_info=error)
        return refused(error, instance=self.current_event.path)


def _got(event: dict[str, Any]) -> dict[str, Any]:
    """Read a HEAD as the GET that it is, of whose answer the server sends the head only."""
    request = event["requestContext"]
    if request["http"]["method"] != "HEAD":
        return event
    return event | {"requestContext": request | {"http": request["http"] | {"method": "GET"}}}
