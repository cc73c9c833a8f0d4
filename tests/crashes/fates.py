"""What becomes of processes: a story's crashes one by one, or crashes and turns from a seed."""

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crashes.checker import Broken
from tests.crashes.life import Life
from tests.crashes.outside import Outside
from tests.crashes.statements import Died
from tests.crashes.stories import SECOND, Story
from tests.simulation.dice import Dice
from tests.simulation.program import Program


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A broken promise, and how to get there again."""

    invariant: str
    what: str
    where: str
    """Where the processes died."""

    def __str__(self) -> str:
        return f"{self.what}\n  crashed: {self.where}"


@dataclass(kw_only=True)
class Figures:
    """What was tried."""

    stories: int = 0
    points: int = 0
    """Places at which a process might die."""
    places: int = 0
    """Places at which a thread was held up."""
    worlds: int = 0
    """Of these, such as leave another world than the place before."""
    lives: int = 0
    commits: int = 0
    shared: int = 0
    """Commits of the works of several threads at once."""
    calls: int = 0
    statements: Counter[str] = field(default_factory=Counter)
    """What processes died before or after, by their first words."""
    found: list[Finding] = field(default_factory=list)

    def add(self, other: "Figures") -> None:
        """Take in what others tried."""
        self.stories += other.stories
        self.points += other.points
        self.places += other.places
        self.worlds += other.worlds
        self.lives += other.lives
        self.commits += other.commits
        self.shared += other.shared
        self.calls += other.calls
        self.statements += other.statements
        self.found += other.found


HELD_FOR = SECOND
"""Milliseconds for which a thread is held up where each is to meet another."""

MEMORY = Path("/dev/shm")


def shared_memory() -> Path | None:
    """Return where files lie in memory, if the system has such a place: no disk survives this."""
    return MEMORY if MEMORY.is_dir() else None


def live(outside: Outside, story: Story, program: Program, fate: Any) -> bool:
    """Let one process live, in a folder of its own; see `Life.run`."""
    with tempfile.TemporaryDirectory(prefix="crashes-", dir=shared_memory()) as home:
        life = Life(outside=outside, story=story, program=program, home=Path(home), fate=fate)
        return life.run()


class Enumerated:
    """A fate that lets a process live, and notes every world that its death would leave."""

    def __init__(self, *, notes: bool) -> None:
        self._notes = notes
        self.points = 0
        self.worlds: list[tuple[Outside, str]] = []
        self._last: Any = None

    def held_up(self, _: int) -> int | None:
        """Go straight on."""
        return None

    def prompt(self) -> int:
        """Wait for nobody."""
        return 2 * SECOND

    def reached(self, life: Life, sql: str) -> None:
        """Note what would be left, unless it is what was left a statement ago."""
        self.points += 1
        if not self._notes:
            return
        files = life.files()
        mark = life.outside.mark(files)
        if mark != self._last:
            self._last = mark
            outside = life.outside.copy()
            outside.files = files
            self.worlds.append((outside, f"{self.points} {named(sql)}"))


def explore(story: Story, program: Program, *, crashes: int, found_max: int = 1) -> Figures:
    """Crash a story at each place of each process, so many times in a row, and let it end.

    Two places that leave the same files, and between which nobody outside heard or saw anything,
    have the same future: it is lived once.
    """
    figures = Figures(stories=1)
    waiting: list[tuple[Outside, tuple[str, ...]]] = [(Outside(), ())]
    while waiting and len(figures.found) < found_max:
        outside, crashed = waiting.pop()
        fate = Enumerated(notes=len(crashed) < crashes)
        try:
            live(outside, story, program, fate)
        except Broken as broken:
            figures.found.append(
                Finding(invariant=broken.invariant, what=str(broken), where=", ".join(crashed))
            )
        figures.lives += 1
        figures.commits += outside.commits
        figures.calls += len(outside.calls)
        if fate.worlds or not crashed:
            figures.points += fate.points
        figures.worlds += len(fate.worlds)
        for left, where in fate.worlds:
            left.now += story.down_for
            figures.statements[where.partition(" ")[2]] += 1
            waiting.append((left, (*crashed, f"at {where}")))
    return figures


class Held:
    """A fate that holds up whoever comes to one place about a meeting, until that is over."""

    def __init__(self, place: int, *, meeting: int) -> None:
        self._place = place
        self._meeting = meeting
        self.places = 0

    def held_up(self, now: int) -> int | None:
        """Hold up the one that comes there."""
        if not self._meeting - HELD_FOR < now <= self._meeting:
            return None
        self.places += 1
        return HELD_FOR if self.places == self._place else None

    def prompt(self) -> int:
        """Wait for the one that is held up."""
        return 2 * SECOND + HELD_FOR

    def reached(self, _: Life, sql: str) -> None:
        """Let it live."""


def interleave(story: Story, program: Program, *, found_max: int = 1) -> Figures:
    """Let a story happen once for each place at which one of its threads may be held up."""
    figures = Figures(stories=1)
    place = 0
    while len(figures.found) < found_max:
        fate, outside = Held(place, meeting=story.lasts_until), Outside()
        try:
            live(outside, story, program, fate)
        except Broken as broken:
            where = f"held up at place {place}"
            figures.found.append(Finding(invariant=broken.invariant, what=str(broken), where=where))
        figures.lives += 1
        figures.commits += outside.commits
        figures.calls += len(outside.calls)
        place += 1
        if place > fate.places:
            break
    figures.places += place - 1
    return figures


class Drawn:
    """A fate decided by a seed: who goes on where a thread might be held up, and when it ends."""

    def __init__(self, dice: Dice, *, boot: int, dies: bool) -> None:
        self._dice = dice
        self._boot = boot
        self._asked = 0
        self.points = 0
        self._rate = dice.one_of((0.0, 0.1, 0.4), "held up", boot)
        self._stops = dice.one_of((0.0, 0.01, 0.05), "stops", boot)
        longest = dice.one_of((40, 200, 1500), "scale", boot)
        self._dies_at = dice.between(1, longest, "dies at", boot) if dies else 0
        self.died_at = ""
        self.shared = 0
        self._works = 0

    def held_up(self, _: int) -> int | None:
        """Draw whether another strand goes on first, or many."""
        self._asked += 1
        name = (self._boot, self._asked)
        if self._dice.chance(self._stops, "stops", *name):
            return self._dice.between(1, 2 * SECOND, "stops for", *name)
        return 0 if self._dice.chance(self._rate, "turn", *name) else None

    def prompt(self) -> int:
        """Wait for threads that are held up, again and again."""
        return 2 * SECOND if self._stops == 0 else 40 * SECOND

    def reached(self, _: Life, sql: str) -> None:
        """Die when it is time."""
        self.points += 1
        self._works += sql == "RELEASE work"
        if sql == "after COMMIT":
            self.shared += self._works > 1
            self._works = 0
        if self.points == self._dies_at:
            self.died_at = f"{self.points} {named(sql)}"
            raise Died


def carry_out(seed: int, story: Story, program: Program) -> Figures:
    """Live through a story with crashes and turns that a seed decides."""
    dice = Dice(f"crashes {seed}")
    crashes = dice.between(1, 8, "crashes")
    figures = Figures(stories=1)
    outside, crashed = Outside(), list[str]()
    ended = False
    try:
        while not ended:
            fate = Drawn(dice, boot=outside.boots, dies=len(crashed) < crashes)
            ended = live(outside, story, program, fate)
            figures.lives += 1
            figures.points += fate.points
            figures.shared += fate.shared
            if not ended:
                crashed.append(f"at {fate.died_at}")
                figures.statements[fate.died_at.partition(" ")[2]] += 1
                outside.now += dice.one_of((0, story.down_for, SECOND), "down", outside.boots)
    except Broken as broken:
        figures.found.append(
            Finding(invariant=broken.invariant, what=str(broken), where=", ".join(crashed))
        )
    figures.worlds = len(crashed)
    figures.commits = outside.commits
    figures.calls = len(outside.calls)
    return figures


def named(sql: str) -> str:
    """Return a short name of a statement."""
    words = [word for word in sql.replace("(", " ").split() if word.isascii()]
    if "INSERT" in words:
        return " ".join(words[words.index("INSERT") :][:3])
    for verb in ("UPDATE", "DELETE"):
        if verb in words:
            return " ".join(words[words.index(verb) :][:3])
    return " ".join(words[:3])
