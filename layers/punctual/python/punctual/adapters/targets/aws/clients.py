"""Clients of AWS services, each acting as the role that a target names, or as the executor."""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any

from punctual.adapters.targets.aws.errors import AwsNotInstalled
from punctual.core.secrets import tenant_in_names

if TYPE_CHECKING:
    from botocore.loaders import Loader
    from botocore.session import Session

Client = Any
"""A client of botocore: its methods are made at run time, from the description of the service."""

CLIENTS_MAX = 256
"""Clients kept; the one that was not used for longest goes first."""

CONNECT_SECONDS = 3.0
"""How long a connection to AWS may take to stand."""

STS_SECONDS = 4.0
"""How long the answer may take when a role is taken."""

ROLE_SECONDS = 3600
"""How long a role is taken for; botocore takes it anew ten to fifteen minutes before the end."""

SESSION_NAME_MAX = 64

_NOT_IN_A_SESSION_NAME = re.compile(r"[^\w+=,.@-]", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role that is taken in the name of a tenant."""

    arn: str
    tenant: str


class Clients:
    """Makes clients and keeps them; may be used from many threads.

    A role is taken in the name of one tenant: the trust policy of the role demands an external id
    that tells which, and a client made for one tenant never serves another.
    """

    def __init__(self, *, external_id: str, endpoint: str | None = None) -> None:
        """Take note of how to call.

        Args:
            external_id: What external ids begin with; `:` and the tenant follow.
            endpoint: Where every service answers, where that is not AWS.
        """
        self._external_id = external_id
        self._endpoint = endpoint
        self._lock = RLock()
        self._loader: Loader | None = None
        self._sessions: dict[Role | None, Session] = {}
        self._clients: OrderedDict[tuple[Any, ...], Client] = OrderedDict()

    def client(
        self, service: str, *, region: str | None, role: Role | None, patience: float
    ) -> Client:
        """Return a client, one made earlier if there is one.

        It sends every request once: whether to call again is for the run's retry policy.

        Args:
            service: As botocore calls it.
            region: Where; None for where this process is.
            role: Who calls; None for whoever this process is.
            patience: Seconds to wait for an answer; a client may wait up to twice as long.

        Raises:
            AwsNotInstalled: There is no botocore.
        """
        seconds = _rounded_up(patience)
        key = (service, region, role, seconds)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._make(service, region, role, seconds)
            self._clients.move_to_end(key)
            while len(self._clients) > CLIENTS_MAX:
                self._forget(next(iter(self._clients)))
            return self._clients[key]

    def external_id_of(self, tenant: str) -> str:
        """Return the external id by which the role of a target knows whose call it is."""
        return f"{self._external_id}:{tenant_in_names(tenant)}"

    def _make(self, service: str, region: str | None, role: Role | None, seconds: int) -> Client:
        session = self._session(role, region)
        from botocore.config import Config  # noqa: PLC0415 - an extra, which is there by now

        return session.create_client(
            service,
            region_name=region,
            endpoint_url=self._endpoint,
            config=Config(
                connect_timeout=min(CONNECT_SECONDS, seconds),
                read_timeout=seconds,
                retries={"mode": "standard", "total_max_attempts": 1},
                tcp_keepalive=True,
            ),
        )

    def _session(self, role: Role | None, region: str | None) -> "Session":
        if role not in self._sessions:
            self._sessions[role] = self._open_session(role, region)
        return self._sessions[role]

    def _open_session(self, role: Role | None, region: str | None) -> "Session":
        try:
            from botocore.session import Session  # noqa: PLC0415 - an extra
        except ImportError:
            raise AwsNotInstalled from None
        session = Session()
        if self._loader is None:
            self._loader = session.get_component("data_loader")
        session.register_component("data_loader", self._loader)  # descriptions are large
        if role is not None:
            from punctual.adapters.targets.aws.roles import provide_role  # noqa: PLC0415

            provide_role(session, self._taking(role, region))
        return session

    def _taking(self, role: Role, region: str | None) -> Callable[[], Mapping[str, str]]:
        """Return what takes the role, as whoever this process is."""

        def take() -> Mapping[str, str]:
            sts = self.client("sts", region=region, role=None, patience=STS_SECONDS)
            taken = sts.assume_role(
                RoleArn=role.arn,
                RoleSessionName=session_name(role.tenant),
                ExternalId=self.external_id_of(role.tenant),
                DurationSeconds=ROLE_SECONDS,
            )["Credentials"]
            return {
                "access_key": taken["AccessKeyId"],
                "secret_key": taken["SecretAccessKey"],
                "token": taken["SessionToken"],
                "expiry_time": taken["Expiration"].isoformat(),
            }

        return take

    def _forget(self, key: tuple[Any, ...]) -> None:
        del self._clients[key]
        used = {role for _, _, role, _ in self._clients}
        self._sessions = {role: kept for role, kept in self._sessions.items() if role in used}


def session_name(tenant: str) -> str:
    """Return what the sessions of a tenant's roles are called in the logs of AWS."""
    return _NOT_IN_A_SESSION_NAME.sub("-", f"punctual-{tenant}")[:SESSION_NAME_MAX]


def _rounded_up(patience: float) -> int:
    """Return the next power of two, so that few clients serve all the times that jobs allow."""
    seconds = 1
    while seconds < patience:
        seconds *= 2
    return seconds
