"""HTTP targets."""

import ssl
from functools import partial

from punctual.adapters.targets.calling import Answers, CallingThread, NewLoop
from punctual.adapters.targets.http_carrier import HttpCarrier
from punctual.adapters.targets.lookups import LookUp, addresses_of
from punctual.ports import Clock, Results, Secrets


class HttpTargets(CallingThread):
    """Fills `Targets` for HTTP; every method may be called from any thread."""

    def __init__(
        self,
        *,
        allow_private: bool,
        secrets: Secrets,
        results: Results,
        clock: Clock,
        tls: ssl.SSLContext | None = None,
        look_up: LookUp = addresses_of,
        answers: Answers | None = None,
        new_loop: NewLoop | None = None,
    ) -> None:
        """Take note of how to call.

        Args:
            allow_private: On one machine: http, any port, loopback and private networks too.
            secrets: Where the secrets are that calls show and are signed with.
            results: Where bodies go that are too long for the record of their run.
            clock: The time that calls tell; deadlines are kept on the monotonic clock.
            tls: What certificates are checked against; None for the authorities the system trusts.
            look_up: Resolves names.
            answers: See `CallingThread`.
            new_loop: See `CallingThread`.
        """
        super().__init__(
            partial(
                HttpCarrier,
                allow_private=allow_private,
                secrets=secrets,
                results=results,
                clock=clock,
                tls=tls,
                look_up=look_up,
            ),
            answers=answers,
            new_loop=new_loop,
        )
