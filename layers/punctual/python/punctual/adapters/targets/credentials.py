"""What a call shows of itself to its target: a secret in a header, a signature of its body."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from punctual.adapters.targets.shared import Shared
from punctual.core.calls import HttpCall
from punctual.core.secrets import SecretUnusable, authorization, secret_refusal
from punctual.core.signing import UnusableKey, signature, signing_keys, timestamp_of
from punctual.ports import Clock, Secrets

READS_MAX = 16
"""Secrets read at once, each in a thread; calls that need further ones wait."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What one call shows, made of its secrets; none of it is in the `repr`."""

    header: tuple[str, str] | None = field(default=None, repr=False)
    keys: tuple[bytes, ...] = field(default=(), repr=False)


NOTHING = Shown()


class Credentials:
    """Reads the secrets of the calls of one event loop, and writes their last headers."""

    def __init__(self, secrets: Secrets, *, clock: Clock, cloud: bool) -> None:
        """Take where secrets are, the time, and whether those of several tenants lie together."""
        self._secrets = Shared(secrets.read, name="secret", at_once=READS_MAX)
        self._clock = clock
        self._cloud = cloud

    async def shown(self, call: HttpCall) -> Shown:
        """Read what a call shows.

        Raises:
            SecretMissing: A secret that the target names does not exist.
            SecretUnavailable: One cannot be read now.
            SecretUnusable: One holds nothing that can be sent, or signed with, or is another
                tenant's.
        """
        if call.secret_arn is None and call.signing_secret_arn is None:
            return NOTHING
        secret = await self._read(call, call.secret_arn)
        signing = await self._read(call, call.signing_secret_arn)
        try:
            keys = () if signing is None else signing_keys(signing)
        except UnusableKey as error:
            raise SecretUnusable(str(error)) from None
        return Shown(header=None if secret is None else authorization(secret), keys=keys)

    def headers(self, call: HttpCall, shown: Shown) -> Iterable[tuple[str, str]]:
        """Return every header of a call that is sent now; receivers refuse one that is old."""
        headers = dict(call.headers)
        if shown.header is not None:
            name, value = shown.header
            headers = {n: v for n, v in headers.items() if n.lower() != name.lower()}
            headers[name] = value
        timestamp = timestamp_of(self._clock.now())
        headers["webhook-timestamp"] = timestamp
        if shown.keys:
            headers["webhook-signature"] = signature(
                shown.keys, webhook_id=call.run_id, timestamp=timestamp, body=call.body
            )
        return headers.items()

    async def _read(self, call: HttpCall, arn: str | None) -> str | None:
        if arn is None:
            return None
        if reason := secret_refusal(arn, tenant=call.tenant, cloud=self._cloud):
            raise SecretUnusable(reason)
        return await self._secrets.answer(arn)
