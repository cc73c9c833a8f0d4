"""Write records at which runs meet, and find out whether they stand."""

from collections.abc import Sequence

from punctual.core.gates import Gate
from punctual.core.limits import Usage
from punctual.ports import Chance, GateStore


def put_surely(
    records: Sequence[Gate | Usage], *, gates: GateStore, chance: Chance
) -> set[Gate | Usage]:
    """Write records over the ones that they were made of; return those that surely stand.

    One that carries our own version stands, though its answer was lost. One that does not by now
    may land later, but only as long as nobody else writes the record: it still follows from what
    is stored then.

    Raises:
        StoreUnavailable: There was no answer.
    """
    if not records:
        return set()
    versions = [chance.token() for _ in records]
    stands = gates.put(records, versions=versions)
    unsure = {
        version: record
        for record, version, is_there in zip(records, versions, stands, strict=True)
        if not is_there
    }
    sure = {record for record, is_there in zip(records, stands, strict=True) if is_there}
    if unsure:
        there = gates.gates([r.job for r in unsure.values() if isinstance(r, Gate)])
        others = gates.usages([r.key for r in unsure.values() if isinstance(r, Usage)])
        found = {gate.version for gate in there.values()}
        found |= {usage.version for usage in others.values()}
        sure |= {record for version, record in unsure.items() if version in found}
    return sure
