"""Which stack for which stage: `cdk deploy -c stage=prod`, or `-c local=1` for this machine."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import App, Tags, Validations
from cdk_nag import AwsSolutionsChecks

from infra.config import STAGES, StageConfig
from infra.stacks.punctual import PunctualStack
from infra.waivers import waive


def make_app(config: StageConfig | None = None, *, context: Mapping[str, Any] | None = None) -> App:
    """Make the app; its synthesis fails when a rule of cdk-nag is broken that is not waived.

    Args:
        config: The stage; None for the one that the context names.
        context: What is known where the CDK command line says nothing else.
    """
    app = App(
        # Builds no layer, unless the CDK command line asks for it: only it deploys anything.
        context={"aws:cdk:bundling-stacks": [], **(context or {})},
        analytics_reporting=False,
    )
    config = config or _stage(app)
    stack = PunctualStack(app, f"Punctual-{config.name}", config=config)
    waive(stack)
    Tags.of(app).add("service", "punctual")
    Tags.of(app).add("stage", config.name)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app


def _stage(app: App) -> StageConfig:
    if app.node.try_get_context("local"):
        return STAGES["local"]
    name = app.node.try_get_context("stage") or "dev"
    if name not in STAGES:
        raise SystemExit(f"there is no stage {name!r}; there are {', '.join(STAGES)}")
    return STAGES[name]


if __name__ == "__main__":
    make_app().synth()
