"""The OpenAPI document, as it is served and as it is kept beside the code."""

import json
from importlib.metadata import version
from typing import Any

from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer, Server

from punctual.api.resolver import Resolver

CALLBACK = "attempt"
"""How the document calls the token that a target reports back with."""

DESCRIPTION = """\
Jobs run once or again and again; every slot of an active job ends in exactly one recorded outcome.

Times are RFC 3339 in UTC, durations numbers of seconds with a resolution of milliseconds. Errors
are problem details (RFC 9457) that name every field at fault. The tenant is that of the verified
identity: what is another tenant's is not found.
"""

_UNUSED = ("HTTPValidationError", "ValidationError", "ResponseValidationError")
"""The library's own shapes of errors, which none of our answers has."""


def document(app: Resolver) -> str:
    """Return the document of what `app` serves, as JSON."""
    text = app.get_openapi_json_schema(
        title="Punctual",
        version=version("punctual"),
        openapi_version="3.1.0",
        description=DESCRIPTION,
        servers=[Server(url="/")],
        security_schemes={
            CALLBACK: HTTPBearer(
                description="`Punctual-Callback-Token`, as the call of the attempt brought it"
            )
        },
    )
    value = json.loads(text)
    schemas: dict[str, Any] = value["components"]["schemas"]
    for name in _UNUSED:
        schemas.pop(name, None)
    _drop_titles(schemas)
    for operations in value["paths"].values():
        if "patch" in operations:
            sent = operations["patch"]["requestBody"]["content"]
            sent["application/merge-patch+json"] = sent["application/json"]
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _sendable(parameter["schema"])
                if parameter["in"] == "query":
                    parameter["allowEmptyValue"] = True  # such as `?state=`, which asks nothing
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _drop_titles(schema: Any) -> None:  # noqa: ANN401 - JSON
    """Take away the titles that only repeat the names of fields."""
    if isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        for inner in schema.values():
            _drop_titles(inner)
    elif isinstance(schema, list):
        for inner in schema:
            _drop_titles(inner)


def _sendable(schema: dict[str, Any]) -> dict[str, Any]:
    """Take away the null of a parameter that may be left out: no URL and no header can say it."""
    schema.pop("title", None)
    schema.pop("description", None)  # which the parameter has
    one: dict[str, Any]
    one, *others = [s for s in schema.pop("anyOf", [{}]) if s.get("type") != "null"]
    assert not others, "no parameter has a choice of types"
    return schema | one
