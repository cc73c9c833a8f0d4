"""The stack, deployed once for all tests that use it."""

from collections.abc import Iterator

import pytest

from tests.support.deployed import Deployment, deployed
from tests.support.host import from_now, instant
from tests.support.sinks import Sink, answer, hang, in_turn, sink


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Deploy the stack; in the end no function has asked for what its role does not allow."""
    with deployed(tmp_path_factory.mktemp("watched")) as deployment:
        yield deployment
        assert deployment.denied() == []


@pytest.fixture(scope="session")
def abandoned(deployment: Deployment) -> Iterator[Sink]:
    """Kill an executor in the middle of its call to this target, for the job `abandoned`.

    It takes a minute until its lease is over and another takes the run over. So every test of the
    deployed stack asks for this, and the minute passes meanwhile.
    """
    with sink(in_turn(hang, answer())) as target:
        # The message comes back after this and not after 270 s, to wait for the lease's end.
        with deployment.attributes("FastQueueUrl", VisibilityTimeout="20"):
            deployment.api.put(
                "abandoned",
                schedule={"at": instant(from_now(1))},
                target={"type": "http", "url": target.url},
            )
            target.wait_for(1, within=60)
            deployment.kill("execute-fast")
        yield target


@pytest.fixture
def target() -> Iterator[Sink]:
    """Run a target that answers every call with 200."""
    with sink() as target:
        yield target
