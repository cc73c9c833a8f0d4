"""Blocking work, done beside an event loop."""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T], *, name: str) -> T:
    """Return what `work` returns, called in a thread of its own.

    It is a daemon thread: one that hangs must not keep the process from ending.

    Args:
        work: Blocks.
        name: Of the thread.
    """
    answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    Thread(target=_do, args=(work, answer), name=name, daemon=True).start()
    return await answer


def _do(work: Callable[[], T], answer: asyncio.Future[T]) -> None:
    try:
        done = work()
    except Exception as error:  # noqa: BLE001 - handed to who asked
        _settle(answer, partial(answer.set_exception, error))
    else:
        _settle(answer, partial(answer.set_result, done))


def _settle(answer: asyncio.Future[T], settle: Callable[[], None]) -> None:
    """Settle a future of another thread's loop."""

    def settle_there() -> None:
        if not answer.done():  # else nobody waits for it any more
            settle()

    with contextlib.suppress(RuntimeError):  # the loop is closed
        answer.get_loop().call_soon_threadsafe(settle_there)
