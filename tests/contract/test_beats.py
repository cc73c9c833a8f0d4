"""Beats: when each group of shards was last dispatched."""

from punctual.ports import Beat
from tests.support.builders import MINUTE, TICK
from tests.support.clock import NINE
from tests.support.engines import Engine


def test_the_last_beat_of_every_group_is_remembered(engine: Engine) -> None:
    assert list(engine.beats.beats()) == []
    groups = [tuple(range(first, first + 16)) for first in range(0, 64, 16)]

    for minute in range(3):
        for shards in groups:
            engine.beats.beat(Beat(shards=shards, at=NINE + minute * MINUTE + TICK))
    engine.beats.beat(Beat(shards=groups[1], at=NINE + 3 * MINUTE))

    beats = {beat.shards: beat.at for beat in engine.beats.beats()}
    assert beats == {
        shards: NINE + (3 * MINUTE if shards == groups[1] else 2 * MINUTE + TICK)
        for shards in groups
    }


def test_one_group_may_be_all_shards(engine: Engine) -> None:
    beat = Beat(shards=tuple(range(64)), at=NINE)

    engine.beats.beat(beat)

    assert list(engine.beats.beats()) == [beat]
