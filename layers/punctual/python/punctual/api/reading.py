"""From a request to the arguments of its operation: what the signature asks for, validated.

An operation's signature is the one source of what is read and of what the document says. Every
wrong parameter and field is told at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl

from pydantic import TypeAdapter, ValidationError

from punctual.api.bodies import read_json
from punctual.api.schemas import field_errors, pointer
from punctual.core.errors import FieldError, InvalidRequest, MalformedRequest

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import Response
    from aws_lambda_powertools.event_handler.api_gateway import Route
    from aws_lambda_powertools.event_handler.openapi.compat import ModelField

    from punctual.api.resolver import Resolver

PARAMETERS_MAX = 20
"""Parameters of a query; none of ours takes as many."""


@dataclass(frozen=True, slots=True)
class _Field:
    """One argument that is read from the request."""

    name: str
    alias: str
    """What the request calls it."""
    adapter: TypeAdapter[Any]
    required: bool
    default: object

    @classmethod
    def of(cls, field: "ModelField") -> "_Field":
        return cls(
            name=field.name,
            alias=field.alias,
            adapter=TypeAdapter(Annotated[field.type_, field.field_info]),  # type: ignore[arg-type] # known only at run time
            required=field.required,
            default=None if field.required else field.get_default(),
        )


class Reader:
    """Reads the arguments of one operation."""

    def __init__(self, route: "Route") -> None:
        signature = route.dependant  # codespell:ignore dependant
        self._query = {field.alias: _Field.of(field) for field in signature.query_params}
        self._headers = [_Field.of(field) for field in signature.header_params]
        body = signature.body_params
        self._body = _Field.of(body[0]) if body else None

    def __call__(
        self, event: Mapping[str, Any], *, cloud: bool, tenant: Callable[[], str]
    ) -> tuple[dict[str, Any], Any]:
        """Return the arguments by name, and the JSON of the body as it came.

        Args:
            event: The request.
            cloud: Whether only what may be used from the cloud may be.
            tenant: Returns who asks, for what belongs to one tenant.

        Raises:
            InvalidRequest: Something is wrong; it names all that is.
            MalformedRequest: The body, or the query, cannot be read.
        """
        arguments: dict[str, Any] = {}
        errors: list[FieldError] = []
        context = {"cloud": cloud, "tenant": tenant}
        if self._query or event.get("rawQueryString"):
            self._read_query(event, arguments, errors)
        for field in self._headers:
            given = event.get("headers", {}).get(field.alias.lower())
            _read(field, given, arguments, errors, place=(field.alias,), context=context)
        json_body = None
        if self._body is not None:
            json_body = read_json(event)
            if json_body is None and self._body.required:
                raise MalformedRequest("the request has no body")
            _read(self._body, json_body, arguments, errors, place=(), context=context)
        if errors:
            raise InvalidRequest(errors)
        return arguments, json_body

    def _read_query(
        self, event: Mapping[str, Any], arguments: dict[str, Any], errors: list[FieldError]
    ) -> None:
        given: dict[str, str] = {}
        for name, value in _query(event):
            if name not in self._query:
                errors.append(FieldError(pointer((name,)), "is no parameter of this operation"))
            elif name in given:
                errors.append(FieldError(pointer((name,)), "is given twice"))
            given[name] = value
        for field in self._query.values():
            # A parameter without a value, such as `?state=`, asks for nothing.
            _read(
                field,
                given.get(field.alias) or None,
                arguments,
                errors,
                place=(field.alias,),
                context=None,
            )


def _query(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            event.get("rawQueryString") or "",
            keep_blank_values=True,
            errors="strict",
            max_num_fields=PARAMETERS_MAX,
        )
    except ValueError:
        raise MalformedRequest("the query cannot be read") from None


def _read(
    field: _Field,
    given: object,
    arguments: dict[str, Any],
    errors: list[FieldError],
    *,
    place: tuple[str, ...],
    context: dict[str, Any] | None,
) -> None:
    if given is None and not field.required:
        arguments[field.name] = field.default
        return
    try:
        arguments[field.name] = field.adapter.validate_python(given, context=context)
    except ValidationError as error:
        errors += [FieldError(pointer(place) + e.pointer, e.detail) for e in field_errors(error)]


def read_request(
    app: "Resolver", next_middleware: Callable[["Resolver"], "Response[Any]"]
) -> "Response[Any]":
    """Read the request, in the place of the library's own validation, and go on."""
    route: Route = app.context["_route"]
    reader = app.readers.get(route.operation_id)
    if reader is None:
        reader = app.readers[route.operation_id] = Reader(route)
    arguments, app.context["json_body"] = reader(
        app.current_event.raw_event, cloud=app.cloud, tenant=lambda: app.tenant
    )
    app.context["_route_args"] |= arguments
    return next_middleware(app)
