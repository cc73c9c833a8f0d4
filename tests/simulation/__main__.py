"""Run one seed and tell what happened: `python -m tests.simulation 7`."""

import sys
import time

from tests.simulation.program import Program
from tests.simulation.scenario import make_scenario
from tests.simulation.world import World

seed = int(sys.argv[1])
program = Program()
world = World(scenario=make_scenario(seed), programs=[program])
began = time.perf_counter()
world.run()
took = time.perf_counter() - began
for line in world.trace.lines():
    print(line)
print(world.checker.violation)
print(world.calls, took, world.calls / took)
