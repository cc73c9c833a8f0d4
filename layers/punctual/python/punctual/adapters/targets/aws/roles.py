"""Roles that a session of botocore acts as; imported where botocore is."""

from collections.abc import Callable, Mapping

from botocore.credentials import (
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.session import Session

METHOD = "assume-role"


class _Role(CredentialProvider):
    """Provides the credentials of one role: taken with the first call, and anew in time."""

    METHOD = METHOD

    def __init__(self, take: Callable[[], Mapping[str, str]]) -> None:
        super().__init__()
        self._take = take

    def load(self) -> DeferredRefreshableCredentials:
        """See `CredentialProvider`."""
        return DeferredRefreshableCredentials(refresh_using=self._take, method=METHOD)


def provide_role(session: Session, take: Callable[[], Mapping[str, str]]) -> None:
    """Let a session act as a role, and as nobody else.

    Args:
        session: Nobody has asked for its credentials yet.
        take: Takes the role; returns what botocore calls the metadata of credentials.
    """
    session.register_component("credential_provider", CredentialResolver([_Role(take)]))
