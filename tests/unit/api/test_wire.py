"""The response as a gateway gets it."""

from tests.support.api_client import JOB, ApiClient, an_event


def test_an_answer_without_a_body_has_none(api: ApiClient) -> None:
    """A null in its place is a fault to some gateways."""
    api("PUT", "/v1/jobs/report", JOB)
    event = an_event("DELETE", "/v1/jobs/report", None, query="", headers={})
    event["requestContext"]["authorizer"] = api.authorizer

    response = api.app(event)

    assert response["statusCode"] == 204
    assert None not in response.values()
