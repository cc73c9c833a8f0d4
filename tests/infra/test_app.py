"""The app, as the CDK command line and `make check` run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.app import make_app
from infra.config import STAGES
from infra.constructs.layers import ROOT
from tests.support.templates import synthesise


def test_the_same_code_makes_the_same_template_in_every_process(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "infra.app"],
        cwd=ROOT,
        env=os.environ | {"CDK_OUTDIR": str(tmp_path)},
        check=True,
    )

    template = json.loads((tmp_path / "Punctual-dev.template.json").read_text())
    assert template == synthesise(STAGES["dev"]).body


@pytest.mark.parametrize(
    ("context", "stage"), [({}, "dev"), ({"stage": "prod"}, "prod"), ({"local": "1"}, "local")]
)
def test_the_context_names_the_stage(context: dict[str, str], stage: str) -> None:
    assembly = make_app(context=context).synth()

    assert [stack.stack_name for stack in assembly.stacks] == [f"Punctual-{stage}"]


def test_a_stage_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(SystemExit, match="no stage 'production'; there are dev, prod, local"):
        make_app(context={"stage": "production"})
