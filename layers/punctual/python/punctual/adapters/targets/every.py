"""Every kind of target behind one port."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from punctual.adapters.targets.aws.carrier import AwsTargets
from punctual.adapters.targets.aws.clients import Clients
from punctual.adapters.targets.calling import Answers, CallingThread
from punctual.adapters.targets.http import HttpTargets
from punctual.adapters.targets.mailbox import Mailbox
from punctual.core.aws_calls import AwsCall
from punctual.core.calls import Answer, Call, HttpCall
from punctual.ports import Clock, Results, Secrets


def every_target(
    *, allow_private: bool, external_id: str, secrets: Secrets, results: Results, clock: Clock
) -> "EveryTarget":
    """Return what carries out calls of every kind.

    Args:
        allow_private: See `HttpTargets`.
        external_id: See `Clients`.
        secrets: See `HttpTargets`.
        results: Where bodies go that are too long for the record of their run.
        clock: See `HttpTargets`.
    """
    answers: Answers = Mailbox()
    return EveryTarget(
        {
            HttpCall: HttpTargets(
                allow_private=allow_private,
                secrets=secrets,
                results=results,
                clock=clock,
                answers=answers,
            ),
            AwsCall: AwsTargets(
                clients=Clients(external_id=external_id), results=results, answers=answers
            ),
        },
        answers=answers,
    )


class EveryTarget:
    """Fills `Targets` for calls of every kind; every method may be called from any thread."""

    def __init__(self, kinds: Mapping[type[Call], CallingThread], *, answers: Answers) -> None:
        """Bring the kinds together.

        Args:
            kinds: Who carries out which kind of call.
            answers: Where all of them put their answers.
        """
        self._kinds = kinds
        self._answers = answers

    def launch(self, calls: Sequence[Call]) -> None:
        """See `Targets.launch`."""
        for kind, targets in self._kinds.items():
            if of_this_kind := [call for call in calls if isinstance(call, kind)]:
                targets.launch(of_this_kind)

    def collect(self, *, wait: timedelta) -> Sequence[tuple[Call, Answer]]:
        """See `CallingThread.collect`."""
        return self._answers.take(wait=wait.total_seconds())

    def abort(self, call: Call, *, leave: bool = False) -> None:
        """See `CallingThread.abort`."""
        self._kinds[type(call)].abort(call, leave=leave)

    def wake(self) -> None:
        """Make the `collect` that waits return at once, or else the next one."""
        self._answers.wake()

    def close(self) -> None:
        """Close every call and connection, of each kind within a second."""
        for targets in self._kinds.values():
            targets.close()
