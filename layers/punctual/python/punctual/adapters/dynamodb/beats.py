"""The dispatchers' signs of life, over the table."""

from collections.abc import Sequence
from operator import attrgetter

from punctual.adapters.dynamodb import keys
from punctual.adapters.dynamodb.items import beat_from_item, beat_to_item, text
from punctual.adapters.dynamodb.table import Table
from punctual.ports import Beat


class DynamoBeats:
    """Fills `Beats`: one item for each group of shards."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def beat(self, beat: Beat) -> None:
        """See `Beats.beat`; a beat that is not written only makes the health look worse."""
        self._table.put_all([beat_to_item(beat)])

    def beats(self) -> Sequence[Beat]:
        """See `Beats.beats`.

        A group that a change of the groups' size left behind is not among them: other beats of
        each of its shards are newer.
        """
        pages = self._table.query("#pk = :beats", values={":beats": text(keys.BEATS)})
        beats = [beat_from_item(item) for page in pages for item in page]
        newest = {
            shard: beat for beat in sorted(beats, key=attrgetter("at")) for shard in beat.shards
        }
        return [beat for beat in beats if any(newest[shard] == beat for shard in beat.shards)]
