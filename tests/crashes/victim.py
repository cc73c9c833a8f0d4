"""Lets one story be cut off by SIGKILL at each of its places: `python -m tests.crashes.victim`.

For one place of so many a process forked here lives the story over a folder of its own, until the
kernel ends it there. What is in the folders then is held against copies that no death made.
"""

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.crashes.life import Life
from tests.crashes.outside import Outside
from tests.crashes.stories import SECOND, SHORT, Story
from tests.simulation.program import Program


class Watched:
    """A fate that only counts the places, and says when each is reached."""

    def __init__(self, reached: Callable[[Life, int], None]) -> None:
        self._reached = reached
        self.places = 0

    def held_up(self, _: int) -> int | None:
        """Go straight on."""
        return None

    def prompt(self) -> int:
        """Wait for nobody."""
        return 2 * SECOND

    def reached(self, life: Life, _: str) -> None:
        """Count."""
        self.places += 1
        self._reached(life, self.places)


def live(story: Story, program: Program, home: Path, reached: Callable[[Life, int], None]) -> int:
    """Live a story over the folder `home`; return how many places it had."""
    fate = Watched(reached)
    Life(outside=Outside(), story=story, program=program, home=home, fate=fate).run()
    return fate.places


def main(folder: Path, name: str, step: int) -> None:
    """Fork, and be killed, at one place of so many."""
    story, program = SHORT[name], Program()
    # All that is to be loaded is loaded before there are forks.
    places = live(story, program, _made(folder / "whole"), lambda *_: None)
    for place in range(1, places + 1, step):
        home = _made(folder / str(place))
        child = os.fork()
        if child == 0:
            live(story, program, home, partial(_die_at, place))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"it lived through place {place}"
        assert os.WTERMSIG(status) == signal.SIGKILL, status


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _die_at(place: int, _: Life, reached: int) -> None:
    if reached == place:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
