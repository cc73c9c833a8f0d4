"""Requests signed for API Gateway with AWS's own signature (SigV4)."""

from dataclasses import replace

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError

from punctual.cli.client import Request, Response, Transport
from punctual.cli.session import BadInput

SERVICE = "execute-api"


def signed(send: Transport, *, region: str | None, profile: str | None) -> Transport:
    """Return a transport that signs what it sends, with the credentials that AWS's tools use.

    Raises:
        BadInput: There are no credentials, or no region to sign for.
    """
    try:
        session = boto3.Session(profile_name=profile)
        credentials = session.get_credentials()
    except (BotoCoreError, ClientError) as error:
        raise BadInput(f"no AWS credentials: {error}") from None
    if credentials is None:
        raise BadInput("no AWS credentials: log in, or name a profile with --profile")
    signing_region = region or session.region_name
    if signing_region is None:
        raise BadInput("no AWS region to sign for: name it with --region")

    def send_signed(request: Request) -> Response:
        try:
            frozen = credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise BadInput(f"no AWS credentials: {error}") from None
        aws = AWSRequest(
            method=request.method,
            url=request.url,
            headers=dict(request.headers),
            data=request.body or b"",
        )
        SigV4Auth(frozen, SERVICE, signing_region).add_auth(aws)
        return send(replace(request, headers=dict(aws.headers.items())))

    return send_signed
