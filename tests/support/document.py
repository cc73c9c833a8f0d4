"""The OpenAPI document, served by an API that stands on nothing.

Run as a program, it writes the document that is kept beside the code.
"""

from pathlib import Path
from typing import Any

from punctual.api.app import ApiServices, App, make_app
from tests.support.api_client import ApiClient
from tests.support.clock import FakeChance, FakeClock

KEPT = Path(__file__).parents[2] / "docs" / "openapi.json"


def app_over_nothing() -> App:
    """Make an API that can do no more than describe itself."""
    nothing: Any = None
    return make_app(
        ApiServices(
            jobs=nothing,
            runs=nothing,
            asking=nothing,
            skipping=nothing,
            callbacks=nothing,
            beats=nothing,
        ),
        local_tenant="default",
        clock=FakeClock(),
        chance=FakeChance(),
        cursor_key=b"",
    )


def served_document() -> str:
    """Return the document as the API serves it."""
    return ApiClient(app=app_over_nothing())("GET", "/openapi.json").content.decode()


if __name__ == "__main__":
    KEPT.write_text(served_document(), encoding="utf-8")
