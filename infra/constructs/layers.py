"""What the functions run on: our package, and the dependencies it was tested with."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import jsii
from aws_cdk import BundlingOptions, DockerImage, IgnoreMode, ILocalBundling, aws_lambda
from constructs import Construct
from uv import find_uv_bin

from infra.config import StageConfig

ROOT = Path(__file__).resolve().parents[2]

RUNTIME = aws_lambda.Runtime.PYTHON_3_13
ARCHITECTURE = aws_lambda.Architecture.ARM_64

FOR_LAMBDA = ("--python-version=3.13", "--python-platform=aarch64-manylinux2014")
"""Wheels for what RUNTIME and ARCHITECTURE are, wherever the layer is built."""

FOR_THIS_MACHINE = (f"--python={sys.executable}",)

NOT_CODE = ["**/__pycache__", "**/*.pyc"]


class Layers(Construct):
    """The two layers of every function; each changes, and is uploaded, alone."""

    def __init__(self, scope: Construct, name: str, *, config: StageConfig) -> None:
        super().__init__(scope, name)
        self.all = [
            self._layer("Dependencies", _dependencies(config), description="Locked dependencies"),
            self._layer("Punctual", _package(), description="The package punctual"),
        ]

    def _layer(
        self, name: str, code: aws_lambda.Code, *, description: str
    ) -> aws_lambda.LayerVersion:
        return aws_lambda.LayerVersion(
            self,
            name,
            code=code,
            compatible_runtimes=[RUNTIME],
            compatible_architectures=[ARCHITECTURE],
            description=description,
        )


def _package() -> aws_lambda.Code:
    return aws_lambda.Code.from_asset(
        str(ROOT / "layers" / "punctual"), exclude=NOT_CODE, ignore_mode=IgnoreMode.GIT
    )


def _dependencies(config: StageConfig) -> aws_lambda.Code:
    folder = ROOT / "layers" / "dependencies"
    requirements = folder / "requirements.txt"
    platform = FOR_THIS_MACHINE if config.on_this_machine else FOR_LAMBDA
    return aws_lambda.Code.from_asset(
        str(folder),
        # What is built follows from the lock file and the platform alone.
        asset_hash=sha256("\n".join([requirements.read_text(), *platform]).encode()).hexdigest(),
        bundling=BundlingOptions(
            image=DockerImage.from_registry("never-used"),
            local=_Installer(requirements, platform),
        ),
    )


@jsii.implements(ILocalBundling)
class _Installer:
    """Fills the layer with uv, which needs neither Docker nor the platform it installs for."""

    def __init__(self, requirements: Path, platform: tuple[str, ...]) -> None:
        self._requirements = requirements
        self._platform = platform

    def try_bundle(self, output_dir: str, *_: Any, **__: Any) -> bool:  # noqa: ANN401
        """Install into `output_dir`; raises when it cannot. The rest is for Docker."""
        subprocess.run(  # noqa: S603 - our own arguments
            [
                find_uv_bin(),
                "pip",
                "install",
                "--quiet",
                "--require-hashes",
                "--only-binary=:all:",
                "--no-deps",
                f"--target={Path(output_dir, 'python')}",
                f"--requirement={self._requirements}",
                *self._platform,
            ],
            check=True,
        )
        return True
