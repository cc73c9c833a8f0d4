"""What a function imports is paid for at every cold start, so it imports what it needs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

DEAR = ("aiohttp", "asyncio", "aws_lambda_powertools.event_handler", "boto3", "pydantic")
"""Each costs as much as half of what these functions do need."""

LIST_MODULES = "import json, sys, functions.{}.handler; print(json.dumps(sorted(sys.modules)))"


def modules_of(function: str) -> set[str]:
    """Import a handler in a fresh interpreter whose environment says nothing."""
    path = f"{ROOT}:{ROOT / 'layers/punctual/python'}"
    finished = subprocess.run(
        [sys.executable, "-c", LIST_MODULES.format(function)],
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return set(json.loads(finished.stdout))


@pytest.mark.parametrize("function", ["tick", "dispatch", "execute", "dead_letters"])
def test_a_function_that_runs_often_imports_nothing_dear(function: str) -> None:
    modules = modules_of(function)

    assert f"functions.{function}.handler" in modules
    assert not modules.intersection(DEAR)


def test_the_modules_that_are_dear_are_named_as_they_are_imported() -> None:
    """Else the test above would hold whatever happened."""
    assert {"pydantic", "aws_lambda_powertools.event_handler"} <= modules_of("api")
