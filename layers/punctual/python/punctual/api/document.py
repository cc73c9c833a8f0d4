"""The OpenAPI document, as it is served and as it is kept beside the code."""

import json
from importlib.metadata import version

from aws_lambda_powertools.event_handler.openapi.models import Server

from punctual.api.resolver import Resolver

DESCRIPTION = """\
Jobs run once or again and again; every slot of an active job ends in exactly one recorded outcome.

Times are RFC 3339 in UTC, durations numbers of seconds with a resolution of milliseconds. Errors
are problem details (RFC 9457) that name every field at fault. The tenant is that of the verified
identity: what is another tenant's is not found.
"""


def document(app: Resolver) -> str:
    """Return the document of what `app` serves, as JSON."""
    text = app.get_openapi_json_schema(
        title="Punctual",
        version=version("punctual"),
        openapi_version="3.1.0",
        description=DESCRIPTION,
        servers=[Server(url="/")],
    )
    value = json.loads(text)
    # The library's own shapes of errors, which none of our answers has.
    for name in ("HTTPValidationError", "ValidationError", "ResponseValidationError"):
        value["components"]["schemas"].pop(name, None)
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
