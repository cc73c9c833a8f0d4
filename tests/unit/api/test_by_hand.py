"""What the page on runs by hand shows is what happens."""

import json
import re
from pathlib import Path

from tests.support.api_client import NOTHING, ApiClient

PAGE = Path(__file__).parents[3] / "docs" / "by-hand.md"

ROW = re.compile(r"\| `([A-Z]+) ([^`]+)` \| (?:`([^`]+)`)? ?\| (\d{3}) \|")


def test_every_request_of_the_page_is_answered_as_it_says(api: ApiClient) -> None:
    api.put(name="Report")
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert len(rows) == 7

    for method, path, body, status in rows:
        answer = api(method, path, json.loads(body) if body else NOTHING)

        assert answer.status == int(status), (path, answer.content)
        assert all(item["status"] == 201 for item in answer.json.get("items", ()))
