"""Whose a secret is, and how its value becomes a header."""

import pytest

from punctual.core.secrets import (
    VALUE_MAX,
    SecretUnusable,
    authorization,
    secret_refusal,
    tenant_in_names,
)

ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:"


@pytest.mark.parametrize(
    ("tenant", "name"),
    [
        ("acme", "punctual/acme/token-a1B2c3"),
        ("acme", "punctual/acme/deep/er-a1B2c3"),
        ("111122223333", "punctual/111122223333/token-a1B2c3"),
        ("auth0|acme:eu", "punctual/auth0=7Cacme=3Aeu/token-a1B2c3"),
    ],
)
def test_in_the_cloud_a_tenant_uses_secrets_under_its_own_name(tenant: str, name: str) -> None:
    assert secret_refusal(ARN + name, tenant=tenant, cloud=True) is None


@pytest.mark.parametrize(
    "name",
    [
        "punctual/other/token-a1B2c3",
        "punctual/acme2/token-a1B2c3",
        "punctual/acme-a1B2c3",
        "acme/token-a1B2c3",
        "other/punctual/acme/token-a1B2c3",
        "PUNCTUAL/acme/token-a1B2c3",
    ],
)
def test_in_the_cloud_no_other_secret_can_be_used(name: str) -> None:
    assert secret_refusal(ARN + name, tenant="acme", cloud=True) == (
        "may be used only where its secret's name begins with punctual/acme/"
    )
    assert secret_refusal(ARN + name, tenant="acme", cloud=False) is None


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "punctual/acme/token",
        f"{ARN}",
        f"{ARN}punctual/acme/to ken",
        f"{ARN}punctual/acme/token\n",
        "arn:aws:ssm:eu-central-1:111122223333:parameter/punctual/acme/token",
        f"{ARN}{'x' * 513}",
    ],
)
@pytest.mark.parametrize("cloud", [True, False])
def test_what_is_not_the_arn_of_a_secret_is_none(arn: str, cloud: bool) -> None:
    reason = secret_refusal(arn, tenant="acme", cloud=cloud)

    assert reason == "is not the ARN of a secret in Secrets Manager"


def test_no_two_tenants_are_written_alike_in_names() -> None:
    tenants = ["a:b", "a|b", "a-b", "a.b", "a@b", "a_b", "ab", "A:b"]

    assert len({tenant_in_names(tenant) for tenant in tenants}) == len(tenants)
    assert tenant_in_names("acme:eu") == "acme=3Aeu"


@pytest.mark.parametrize(
    ("secret", "header"),
    [
        ("t0ken", ("Authorization", "Bearer t0ken")),
        (" t0ken\n", ("Authorization", "Bearer t0ken")),
        ('{"header": "X-Api-Key", "value": "t0ken"}', ("X-Api-Key", "t0ken")),
        ('{"header": "Authorization", "value": "Basic dTpw"}', ("Authorization", "Basic dTpw")),
        ('"{}"', ("Authorization", 'Bearer "{}"')),
    ],
)
def test_a_secret_is_a_bearer_token_or_names_its_header(
    secret: str, header: tuple[str, str]
) -> None:
    assert authorization(secret) == header


@pytest.mark.parametrize(
    "secret",
    [
        "",
        " \n",
        "{",
        "{}",
        '{"header": "X-Api-Key"}',
        '{"header": "X-Api-Key", "value": 5}',
        '{"header": "X-Api-Key", "value": ""}',
        '{"header": "X-Api-Key", "value": "s3cret", "more": 1}',
        '{"header": "X Api Key", "value": "s3cret"}',
        '{"header": "Content-Length", "value": "s3cret"}',
        '{"header": "Punctual-Run-Id", "value": "s3cret"}',
        '{"header": "X-Api-Key", "value": "s3cret\\r\\nX: y"}',
        "s3cret\x00",
        "s3crét",
        "s3cret" * VALUE_MAX,
    ],
)
def test_what_cannot_be_sent_is_refused_and_not_told(secret: str) -> None:
    with pytest.raises(SecretUnusable) as refused:
        authorization(secret)

    assert "s3cr" not in str(refused.value)
