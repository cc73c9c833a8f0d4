"""`make kills`: carry out a drill, and print its figures as one line of JSON."""

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from tests.kills.drill import ENGINES, Drill, carry_out


def main() -> int:
    """Read the command line; return 1 where something is not as promised."""
    parser = argparse.ArgumentParser(prog="kills", description=__doc__)
    parser.add_argument("--engine", choices=ENGINES, default="embedded")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--span", type=float, help="seconds that the slots lie within")
    parser.add_argument("--deployed-times", action="store_true", help="leases as in production")
    parser.add_argument("--receives", type=int, help="receives until a queue gives up")
    parser.add_argument("--folder", type=Path, help="where logs and data stay; else nowhere")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started ends, too
    drill = Drill(
        engine=options.engine,
        kills=options.kills,
        runs=options.runs,
        seed=options.seed,
        span=options.span,
        deployed_times=options.deployed_times,
        receives_max=options.receives,
    )
    with tempfile.TemporaryDirectory(prefix="kills-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = carry_out(
            drill, folder, say=lambda line: print(line, file=sys.stderr, flush=True)
        )
    print(json.dumps(figures))
    return 1 if figures["complaints"] else 0


if __name__ == "__main__":
    sys.exit(main())
