"""All versions of the code in which one promise is broken."""

from tests.simulation.callback_mutants import CALLBACK_MUTANTS
from tests.simulation.gate_mutants import GATE_MUTANTS
from tests.simulation.mutants import MUTANTS

CATALOGUE = (*MUTANTS, *GATE_MUTANTS, *CALLBACK_MUTANTS)
