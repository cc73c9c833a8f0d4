"""Record the outcome of runs whose message was received too often to be delivered again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from punctual.core.calls import CallError, ErrorType
from punctual.core.runs import (
    Cancel,
    Ending,
    Move,
    RefusalKind,
    Run,
    RunState,
    after,
    give_up,
    read_refusal,
    reap,
)
from punctual.core.watching import MINUTE, Look, Reference
from punctual.ports import (
    Chance,
    Clock,
    DeadLetter,
    DeadLetterBox,
    Message,
    RunStore,
    WatchList,
)
from punctual.services.looks import note_down

UNDELIVERABLE = "its message was received too often without an outcome"


@dataclass(kw_only=True)
class Buried:
    """What became of some dead letters."""

    kept: list[Message] = field(default_factory=list)
    """Messages that could not be dealt with now and must come again."""
    ended: list[Run] = field(default_factory=list)
    """Runs whose outcome was written here."""
    watched: int = 0
    """Runs that may yet go on: the watch carries them."""


class DeadLetters:
    """Ends what an exhausted message leaves open, or hands it to the watch."""

    def __init__(
        self,
        *,
        runs: RunStore,
        watch_list: WatchList,
        letters: DeadLetterBox,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._runs = runs
        self._watch_list = watch_list
        self._letters = letters
        self._clock = clock
        self._chance = chance

    def __call__(self, messages: Sequence[tuple[Message, str]]) -> Buried:
        """Deal with exhausted messages, each given with its body.

        A letter is kept before its run's outcome is written, and the outcome before the message
        goes: what dies in between is done again.
        """
        done = Buried()
        now = self._clock.now()
        runs = self._runs.read(list(dict.fromkeys(message.key for message, _ in messages)))
        ends: dict[Message, Move] = {}
        looks: dict[Message, Look] = {}
        for message in {message.key: message for message, _ in messages}.values():
            match last_move(runs.get(message.key), now=now):
                case Look() as look:
                    looks[message] = look
                case None:
                    pass
                case move:
                    ends[message] = move
        watched = note_down(looks.values(), watch_list=self._watch_list, chance=self._chance)
        done.kept += [message for message in looks if message.key not in watched]
        done.watched = len(watched)

        letters = [(m, DeadLetter(body=body, reason=UNDELIVERABLE)) for m, body in messages]
        ending = [(message, letter) for message, letter in letters if message in ends]
        is_kept = self._letters.keep([letter for _, letter in ending]) if ending else []
        for (message, _), kept in zip(ending, is_kept, strict=True):
            if not kept:
                del ends[message]
                done.kept.append(message)
        moved = self._runs.move(list(ends.values())) if ends else []
        for (message, move), end in zip(ends.items(), moved, strict=True):
            ended = after(move, runs[message.key])
            if end.applied and ended is not None:
                done.ended.append(ended)
            else:
                done.kept.append(message)
        # A run may have several messages here, and one of them was dealt with for all.
        unsettled = {message.key for message in done.kept}
        done.kept = [message for message, _ in messages if message.key in unsettled]
        return done


def last_move(run: Run | None, *, now: datetime) -> Move | Look | None:
    """Say how a run ends whose message is exhausted.

    Returns:
        The move that ends it; a look when an attempt is going on, awaited, or may yet take over, or
        when the run waits for a gate, a limit or a host and was looked at too often for its queue;
        None when it has its outcome.
    """
    if run is None:
        return None
    refusal = read_refusal(run, now=now)
    if refusal.kind is RefusalKind.DONE:
        return None
    if refusal.kind is RefusalKind.REAP:
        return reap(run, now=now)
    if refusal.kind is RefusalKind.GIVE_UP:
        return give_up(run, now=now)
    due = max(refusal.until or now, run.scheduled_at)
    if run.state is RunState.RUNNING or run.waits or due > now:
        return Look(reference=Reference(run.key, run.schedule_revision), at=due + MINUTE)
    ending = Ending(
        state=RunState.FAILED,
        at=now,
        reason="dead_letter",
        error=CallError(type=ErrorType.INTERNAL, message=UNDELIVERABLE),
    )
    return Cancel(key=run.key, ending=ending, scheduled_at=run.scheduled_at)
