"""Secrets in AWS Secrets Manager, remembered for minutes."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from punctual.core.secrets import SecretMissing, SecretUnavailable, SecretUnusable

REMEMBERED_SECONDS = 300.0
"""How long a value is used before it is read anew: what a rotation may take to be seen."""

FAILURE_REMEMBERED_SECONDS = 10.0
"""How long a secret that could not be read is not asked for again."""

SECRETS_MAX = 1_000
"""Secrets remembered; the oldest goes first."""

_GONE = frozenset({"ResourceNotFoundException", "InvalidRequestException"})
"""Not there, or marked to be deleted."""

Failure = SecretMissing | SecretUnavailable | SecretUnusable


@dataclass(frozen=True, slots=True)
class _Remembered:
    until: float
    value: str | None = None
    failure: Failure | None = None

    def __repr__(self) -> str:
        return "_Remembered(…)"


class ManagedSecrets:
    """Fills `Secrets`; every method may be called from any thread."""

    def __init__(
        self,
        open_client: Callable[[], Any],
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Take note of what to ask.

        Args:
            open_client: Makes the client, or returns the one there is: few functions ever need it.
            clock: Counts seconds, and only goes forward.
        """
        self._open_client = open_client
        self._clock = clock
        self._lock = Lock()
        self._remembered: dict[str, _Remembered] = {}

    def read(self, arn: str) -> str:
        """See `Secrets.read`."""
        with self._lock:
            remembered = self._remembered.get(arn)
        if remembered is None or remembered.until <= self._clock():
            remembered = self._ask(arn)
            with self._lock:
                self._remembered.pop(arn, None)
                self._remembered[arn] = remembered
                while len(self._remembered) > SECRETS_MAX:
                    self._remembered.pop(next(iter(self._remembered)))
        if remembered.failure is not None:
            raise type(remembered.failure)(str(remembered.failure))
        assert remembered.value is not None, "a secret was read, or it failed"
        return remembered.value

    def _ask(self, arn: str) -> _Remembered:
        try:
            answer = self._open_client().get_secret_value(SecretId=arn)
        except ClientError as error:
            failure = _failure(error.response["Error"]["Code"])
        except BotoCoreError as error:
            failure = SecretUnavailable(f"Secrets Manager is out of reach ({type(error).__name__})")
        else:
            value: str | None = answer.get("SecretString")
            if value is not None:
                return _Remembered(until=self._clock() + REMEMBERED_SECONDS, value=value)
            failure = SecretUnusable("holds bytes and no text")
        return _Remembered(until=self._clock() + FAILURE_REMEMBERED_SECONDS, failure=failure)


def _failure(code: str) -> Failure:
    if code in _GONE:
        return SecretMissing(f"it is not in Secrets Manager ({code})")
    return SecretUnavailable(f"Secrets Manager does not give it ({code})")
