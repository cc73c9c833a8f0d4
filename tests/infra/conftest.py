"""The template of every stage, synthesised once."""

import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from infra.config import STAGES
from tests.support.templates import Template, synthesise

Templates = Callable[[str], Template]


@pytest.fixture(scope="session", autouse=True)
def node() -> Iterator[None]:
    """Have the CDK run on the Node of this project, whatever the machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JSII_NODE", str(Path(sys.executable).with_name("node")))
        yield


@pytest.fixture(scope="session")
def templates(node: None) -> Templates:
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
