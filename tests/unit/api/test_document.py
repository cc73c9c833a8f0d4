"""The API describes itself, and the description kept beside the code is the one that is served."""

import json
import re
from typing import Any

import pytest

from punctual.api.views import Problem
from tests.support.api_client import ApiClient
from tests.support.document import KEPT, served_document


@pytest.fixture(scope="module")
def document() -> Any:
    return json.loads(served_document())


def test_the_document_kept_is_the_one_served() -> None:
    """After a change, `make openapi` writes it anew."""
    assert KEPT.read_text(encoding="utf-8") == served_document()


def test_the_document_is_openapi_3_1(document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    assert len(document["paths"]) == 18


def test_every_reference_leads_somewhere(document: Any) -> None:
    schemas = document["components"]["schemas"]
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)):
        assert name in schemas


def test_every_operation_says_what_may_go_wrong(document: Any) -> None:
    problem = {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            wrong = {s: r for s, r in operation["responses"].items() if s >= "4"}
            assert wrong, (method, path)
            if path != "/v1/health":
                for response in wrong.values():
                    assert response["content"]["application/problem+json"] == problem


def test_everybody_may_read_the_document_and_the_page(api: ApiClient) -> None:
    """The gateway decides who gets so far; nothing in them is a tenant's."""
    nobody = ApiClient(app=api.app)
    document, page = nobody("GET", "/openapi.json"), nobody("GET", "/docs")

    assert (document.status, document.headers["Content-Type"]) == (200, "application/json")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_the_page_needs_nothing_from_elsewhere(api: ApiClient) -> None:
    """It works on a machine without a network: script, style and document stand within it."""
    page = api("GET", "/docs").content.decode()

    assert re.search(r"<(script|link|img|iframe)[^>]*\s(src|href)=", page) is None
    assert "SwaggerUIBundle(" in page
    assert '"operationId": "create_job"' in page
