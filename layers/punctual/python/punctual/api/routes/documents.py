"""The API's own description, and a page to try it out."""

from functools import cache
from importlib.resources import files

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi import swagger_ui

from punctual.api.document import document
from punctual.api.resolver import Resolver

_NO_SCRIPT_END = {"<": "\\u003c"}


def add_document_routes(app: Resolver) -> None:
    """Add the document and the page; neither tells anything about a tenant."""

    @app.get("/openapi.json", include_in_schema=False)
    def get_document() -> Response[str]:
        return Response(status_code=200, content_type="application/json", body=document(app))

    @app.get("/docs", include_in_schema=False)
    def get_page() -> Response[str]:
        return Response(
            status_code=200, content_type="text/html; charset=utf-8", body=_page(document(app))
        )


@cache
def _page(text: str) -> str:
    """Make the page of one piece, with all that it needs: it works without another host."""
    assets = files(swagger_ui)
    return swagger_ui.generate_swagger_html(
        text.replace("<", "\\u003c"),  # nothing in the text can end the script it stands in
        assets.joinpath("swagger-ui-bundle.min.js").read_text(encoding="utf-8"),
        assets.joinpath("swagger-ui.min.css").read_text(encoding="utf-8"),
        "",
        None,
    )
