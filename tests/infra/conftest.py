"""The template of every stage, synthesised once."""

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

# The CDK starts Node as it is imported: the one of this project, whatever else the machine has.
os.environ.setdefault("JSII_NODE", str(Path(sys.executable).with_name("node")))

from infra.config import STAGES
from tests.support.templates import Template, synthesise

Templates = Callable[[str], Template]


@pytest.fixture(scope="session")
def templates() -> Templates:
    """Return the template of a stage by its name."""
    return cache(lambda stage: synthesise(STAGES[stage]))


@pytest.fixture(scope="session", params=list(STAGES))
def template(request: pytest.FixtureRequest, templates: Templates) -> Template:
    """Return the template of each stage."""
    return templates(request.param)


@pytest.fixture(scope="session")
def prod(templates: Templates) -> Template:
    """Return the template of production."""
    return templates("prod")
