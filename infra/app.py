"""Which stack for which stage: `cdk deploy -c stage=prod`, or `-c local=1` for this machine."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import App, Tags, Validations
from cdk_nag import AwsSolutionsChecks

from infra.config import STAGES, StageConfig
from infra.stacks.punctual import PunctualStack
from infra.waivers import waive

NO_BUNDLING: Mapping[str, Any] = {"aws:cdk:bundling-stacks": []}
"""Builds no layer: what the CDK command line does not ask for is not deployed."""


def make_app(context: Mapping[str, Any] | None = None) -> App:
    """Make the app of the stage that the context names.

    Args:
        context: What is known beside what the CDK command line tells, which has precedence.
    """
    app = App(context={**NO_BUNDLING, **(context or {})}, analytics_reporting=False)
    config = _stage(app)
    stack = PunctualStack(app, f"Punctual-{config.name}", config=config)
    Tags.of(app).add("service", "punctual")
    Tags.of(app).add("stage", config.name)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    waive(stack)
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
