"""Clients of AWS services, made as cheaply as they can be: a cold start waits for each of them.

They are botocore's. What boto3 adds to a client is not used here, and takes its import longer than
all of our own.
"""

from functools import cache
from threading import Lock
from typing import Any

import botocore
from botocore.config import Config
from botocore.loaders import Loader
from botocore.session import Session, get_session

_MAKING = Lock()
"""Held where threads may make clients: they share a session, which is not for several at once."""

_LEAN = Config(
    # What we send is typed, and the services check it: here it would be half of what a batch costs.
    parameter_validation=False,
    # Botocore's own says the same, and puts it together anew for every request.
    user_agent=f"Punctual Botocore/{botocore.__version__}",
)


SERVICES = ["dynamodb", "s3", "secretsmanager", "sqs"]
"""What our functions are made of; what jobs call is another matter, and has sessions of its own."""


class _Loader(Loader):
    """Finds the descriptions of these services without looking through those of 400 others."""

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
        """See `Loader.list_available_services`."""
        return SERVICES


def make_client(service: str, *, config: Config) -> Any:  # noqa: ANN401 - of whatever service
    """Return a new client of a service, such as `dynamodb`; may be called from any thread."""
    with _MAKING:
        return _session().create_client(service, config=config.merge(_LEAN))


@cache
def _session() -> Session:
    session = get_session()
    session.register_component("data_loader", _Loader())
    return session
