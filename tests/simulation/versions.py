"""A version that may stand beside the one under test while a deployment goes on.

It differs in what a next version may differ in without a word to anybody: how far ahead it hands
over, in what portions, and in what its messages say of their rows: nothing here. Every promise
holds with some hosts on either.
"""

from tests.simulation.program import Edit

_DISPATCH = "punctual.core.dispatch"

NEIGHBOUR = (
    Edit(
        _DISPATCH,
        "LOOK_AHEAD = timedelta(seconds=210)",
        "LOOK_AHEAD = timedelta(seconds=150)",
    ),
    Edit(_DISPATCH, "AHEAD_SLOTS = 10", "AHEAD_SLOTS = 3"),
    Edit(_DISPATCH, "SLOTS_PER_VISIT_MAX = 250", "SLOTS_PER_VISIT_MAX = 7"),
    Edit("punctual.services.dispatch", ", handed_over=run)", ")"),
)
