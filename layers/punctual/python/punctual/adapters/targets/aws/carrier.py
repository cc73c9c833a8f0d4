"""Carries out calls to AWS: each request in a thread, each call within its time."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from punctual.adapters.targets.aws.clients import Clients, Role
from punctual.adapters.targets.aws.errors import answer_without_result
from punctual.adapters.targets.aws.kinds import Kind, Response, T, region_of
from punctual.adapters.targets.aws.registry import KINDS
from punctual.adapters.targets.calling import Answers, CallingThread
from punctual.adapters.targets.deadline import Deadline
from punctual.adapters.targets.keeping import Keeper
from punctual.adapters.targets.room import Room
from punctual.adapters.targets.threads import Threads
from punctual.core.aws_calls import AwsCall
from punctual.core.calls import Answer, Call, CallError, ErrorType
from punctual.ports import Results

THREADS_MAX = 64
"""Requests under way at once; further ones wait, on the time of their calls."""

QUICK_SECONDS = 10.0
"""How long a service may take to answer that does no work of ours before it does."""


class AwsTargets(CallingThread):
    """Fills `Targets` for AWS services; every method may be called from any thread."""

    def __init__(
        self, *, clients: Clients, results: Results, answers: Answers | None = None
    ) -> None:
        """Take note of how to call.

        Args:
            clients: Who speaks to AWS.
            results: Where answers go that are too long for the record of their run.
            answers: See `CallingThread`.
        """
        super().__init__(partial(AwsCarrier, clients=clients, results=results), answers=answers)


class AwsCarrier:
    """Fills `Carrier` for AWS services."""

    def __init__(self, *, clients: Clients, results: Results) -> None:
        self._clients = clients
        self._keeper = Keeper(results)
        self._room = Room()
        self._threads = Threads(THREADS_MAX, name="aws")
        self._leaving = asyncio.Event()

    async def carry(self, call: Call, *, deadline: float) -> Answer:
        """See `Carrier.carry`."""
        assert isinstance(call, AwsCall), "other calls have other carriers"
        kind = KINDS[type(call.target)]
        ask = _Ask(
            call,
            kind,
            clients=self._clients,
            threads=self._threads,
            deadline=deadline,
            leaving=self._leaving,
        )
        answer = await _answer(call, kind, ask, deadline=deadline)
        answer = replace(answer, log=(*ask.log, *answer.log))
        with self._room.body() as body:
            body.add(answer.body)
            kept = body.take_out()
            is_cut = answer.truncated or len(kept) < len(answer.body)
            answer = replace(answer, body=kept, truncated=is_cut)
            return await self._keeper.kept(answer, deadline=deadline)

    def leave(self) -> None:
        """See `Carrier.leave`."""
        self._leaving.set()

    async def close(self) -> None:
        """See `Carrier.close`."""


class _Ask:
    """Fills `Ask` for one call."""

    def __init__(
        self,
        call: AwsCall,
        kind: Kind,
        *,
        clients: Clients,
        threads: Threads,
        deadline: float,
        leaving: asyncio.Event,
    ) -> None:
        self._call = call
        self._kind = kind
        self._clients = clients
        self._threads = threads
        self._deadline = deadline
        self._leaving = leaving
        self.left_behind: str | None = None
        self.log: list[str] = []

    @property
    def leaving(self) -> bool:
        """See `Ask`."""
        return self._leaving.is_set()

    async def __call__(
        self, operation: str, *, read: Callable[[Response], T], **parameters: object
    ) -> T:
        """See `Ask`."""
        left = max(self._deadline - asyncio.get_running_loop().time(), 1.0)
        patience = left if self._kind.waits else min(left, QUICK_SECONDS)

        def ask() -> T:
            target = self._call.target
            role = target.role_arn
            client = self._clients.client(
                self._kind.service,
                region=region_of(self._kind.place(target)),
                role=None if role is None else Role(arn=role, tenant=self._call.tenant),
                patience=patience,
            )
            return read(getattr(client, operation)(**parameters))

        def begin() -> None:
            self.left_behind = self.left_behind or self._kind.left_behind

        return await self._threads.run(ask, beginning=begin)

    async def pause(self, seconds: float) -> None:
        """See `Ask`."""
        await asyncio.sleep(seconds)


async def _answer(call: AwsCall, kind: Kind, ask: _Ask, *, deadline: float) -> Answer:
    """Carry out a call in its time, and say what came of it, whatever that is."""
    timeout = Deadline(deadline)
    try:
        async with timeout:
            return await kind.carry(call, ask)
    except (Exception, asyncio.CancelledError) as fault:  # noqa: BLE001 - every end is an answer
        if isinstance(fault, TimeoutError) and timeout.expired:
            answer = Answer(error=_timed_out(call))
        else:
            answer = answer_without_result(fault)
        return _with_rest(answer, ask.left_behind)


def _timed_out(call: AwsCall) -> CallError:
    seconds = f"{call.timeout.total_seconds():g} s"
    return CallError(type=ErrorType.TIMEOUT, message=f"not over within {seconds}")


_OPEN_ENDED = frozenset({ErrorType.ABORTED, ErrorType.TIMEOUT, ErrorType.CONNECTION})


def _with_rest(answer: Answer, left_behind: str | None) -> Answer:
    """Say with the error what nobody knows of, or that nothing was sent."""
    error = answer.error
    if error is None or error.type not in _OPEN_ENDED:
        return answer
    rest = left_behind or "nothing was sent"
    return replace(answer, error=replace(error, message=f"{error.message}; {rest}"))
