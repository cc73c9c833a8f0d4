"""A burst begins a few at a time, in its order, and the loop's other work in between."""

import asyncio

from punctual.adapters.targets.turns import BEGUN_AT_ONCE, UNHEARD_AT_ONCE, Turns


async def begun_each_round(turns: Turns, count: int, *, rounds: int) -> list[list[int]]:
    """Let so many calls take a turn; return which of them began in each round of the loop."""
    begun: list[int] = []

    async def begin(number: int) -> None:
        async with turns.turn("example.com"):
            begun.append(number)

    tasks = [asyncio.create_task(begin(number)) for number in range(count)]
    seen: list[list[int]] = []
    for _ in range(rounds):
        await asyncio.sleep(0)
        seen.append(begun.copy())
        begun.clear()
    for task in tasks:
        task.cancel()
    return [part for part in seen if part]


def test_few_begin_at_once() -> None:
    parts = asyncio.run(begun_each_round(Turns(), BEGUN_AT_ONCE, rounds=5))

    assert parts == [list(range(BEGUN_AT_ONCE))]


def test_many_begin_in_their_order_and_no_more_than_a_few_each_time_round() -> None:
    parts = asyncio.run(begun_each_round(Turns(), 100, rounds=30))

    assert [number for part in parts for number in part] == list(range(100))
    assert max(map(len, parts)) == BEGUN_AT_ONCE


def test_a_call_that_was_closed_takes_nobodys_turn() -> None:
    async def close_some() -> int:
        turns = Turns()

        async def begin() -> None:
            async with turns.turn("example.com"):
                pass

        tasks = [asyncio.create_task(begin()) for _ in range(3 * BEGUN_AT_ONCE)]
        await asyncio.sleep(0)
        for task in tasks[BEGUN_AT_ONCE : 2 * BEGUN_AT_ONCE]:
            task.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        return sum(task.done() and not task.cancelled() for task in tasks)

    assert asyncio.run(close_some()) == 2 * BEGUN_AT_ONCE


def test_turns_are_there_again_after_a_burst() -> None:
    async def twice() -> list[list[list[int]]]:
        turns = Turns()
        return [await begun_each_round(turns, 2 * BEGUN_AT_ONCE, rounds=10) for _ in range(2)]

    first, second = asyncio.run(twice())

    assert first == second
    assert [number for part in second for number in part] == list(range(2 * BEGUN_AT_ONCE))


def test_calls_to_a_host_that_does_not_answer_let_others_pass_but_not_for_ever() -> None:
    """A thousand calls hang; those of another host, launched among more of them, go first."""

    async def story() -> list[str]:
        turns, begun = Turns(), list[str]()

        async def call(host: str, *, ends: bool) -> None:
            async with turns.turn(host):
                begun.append(host)
                if not ends:
                    await asyncio.Event().wait()

        hanging = [asyncio.create_task(call("hangs", ends=False)) for _ in range(1000)]
        while len(begun) < 1000:
            await asyncio.sleep(0)
        begun.clear()
        burst = [
            asyncio.create_task(call(host, ends=host == "answers"))
            for _ in range(200)
            for host in ("hangs", "answers")
        ]
        while len(begun) < 400:
            await asyncio.sleep(0)
        for task in hanging + burst:
            task.cancel()
        return begun

    begun = asyncio.run(story())

    assert begun[: 200 + BEGUN_AT_ONCE].count("answers") == 200
    assert begun.count("hangs") == 200


def test_a_host_that_never_answered_gets_few_calls_while_others_wait() -> None:
    """Both bursts are new, and launched in turns; only one of the hosts is there."""

    async def story() -> list[str]:
        turns, begun = Turns(), list[str]()

        async def call(host: str) -> None:
            async with turns.turn(host):
                begun.append(host)
                await (asyncio.Event().wait() if host == "silent" else asyncio.sleep(0))

        burst = [asyncio.create_task(call(host)) for _ in range(500) for host in ("silent", "well")]
        while len(begun) < 1000:
            await asyncio.sleep(0)
        for task in burst:
            task.cancel()
        return begun

    begun = asyncio.run(story())

    last = max(number for number, host in enumerate(begun) if host == "well")
    rounds = 500 // (BEGUN_AT_ONCE - 1) + 3
    assert begun[:last].count("silent") <= UNHEARD_AT_ONCE + rounds
    assert begun.count("silent") == 500, "what stood aside has its turn once nobody else waits"


def test_calls_that_stood_aside_begin_in_their_order_once_their_host_has_answered() -> None:
    async def story() -> list[int]:
        turns, begun, answers = Turns(), list[int](), asyncio.Event()

        async def call(number: int) -> None:
            async with turns.turn("slow"):
                begun.append(number)
                await answers.wait()

        async def others() -> None:
            async with turns.turn("busy"):
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(call(number)) for number in range(100)]
        tasks += [asyncio.create_task(others()) for _ in range(1000)]
        answers.set()
        await asyncio.gather(*tasks)
        return begun

    assert asyncio.run(story()) == list(range(100))


def test_closed_calls_that_stood_aside_leave_nothing_behind() -> None:
    async def story() -> tuple[int, int]:
        turns = Turns()

        async def call() -> None:
            async with turns.turn("silent"):
                await asyncio.Event().wait()

        tasks = [asyncio.create_task(call()) for _ in range(100)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        return len(turns._hosts), len(turns._unheard)

    assert asyncio.run(story()) == (0, 0)


def test_hosts_whose_calls_have_ended_are_forgotten() -> None:
    async def call_all() -> int:
        turns = Turns()
        for number in range(100):
            async with turns.turn(f"host{number}"):
                pass
        return len(turns._hosts)

    assert asyncio.run(call_all()) == 0
