"""Requests to a deployed API carry AWS's signature."""

import hashlib
from pathlib import Path

import pytest

from punctual.cli.client import Request, Response, gateway_region
from punctual.cli.main import run
from punctual.cli.session import BadInput
from punctual.cli.signing import signed

GATEWAY = "https://abc123.execute-api.eu-central-1.amazonaws.com"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody's credentials but these are seen, and no instance's metadata is asked for any."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def send_one(*, url: str = GATEWAY, region: str | None = None) -> Request:
    sent: list[Request] = []

    def send(request: Request) -> Response:
        sent.append(request)
        return Response(status=200, body=b"{}")

    request = Request(
        method="POST",
        url=f"{url}/v1/runs/hello~2.20261201T090000Z/cancel?a=b%20c",
        headers={"Content-Type": "application/json"},
        body=b"{}",
    )
    region = region or gateway_region(url)
    signed(send, region=region, profile=None)(request)
    return sent[0]


def test_a_request_is_signed_for_the_region_that_the_address_names() -> None:
    sent = send_one()

    scope = "/eu-central-1/execute-api/aws4_request"
    assert sent.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert scope in sent.headers["Authorization"]
    assert sent.headers["Content-Type"] == "application/json"
    assert "X-Amz-Date" in sent.headers


def test_the_region_can_be_named_and_wins() -> None:
    assert "/us-west-2/execute-api/" in send_one(region="us-west-2").headers["Authorization"]


def test_the_signature_covers_the_body() -> None:
    authorization = send_one().headers["Authorization"]

    assert authorization.partition("Signature=")[2] != hashlib.sha256(b"").hexdigest()
    assert "content-type;host;x-amz-date" in authorization


def test_without_a_region_nothing_is_signed() -> None:
    with pytest.raises(BadInput, match="--region"):
        send_one(url="https://jobs.example.com")


def test_without_credentials_it_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert run(["jobs", "list", "--url", GATEWAY]) == 2

    assert capsys.readouterr().err == (
        "punctual: no AWS credentials: log in, or name a profile with --profile\n"
    )


def test_a_profile_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jobs", "list", "--url", "https://x", "--sigv4", "--profile", "nobody"]) == 2

    error = capsys.readouterr().err
    assert "nobody" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("url", "region"),
    [
        (GATEWAY, "eu-central-1"),
        (f"{GATEWAY}/prod", "eu-central-1"),
        ("https://a.execute-api.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("https://a.execute-api.eu-central-1.amazonaws.com.evil.example", None),
        ("http://127.0.0.1:8400", None),
    ],
)
def test_only_addresses_of_api_gateway_name_a_region(url: str, region: str | None) -> None:
    assert gateway_region(url) == region
