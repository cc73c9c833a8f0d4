"""Cursors open what they were made for, and nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from punctual.api.pagination import Cursors
from punctual.core.errors import MalformedRequest

CURSORS = Cursors(b"key")


@settings(deadline=None)
@given(position=st.text(st.characters(exclude_categories=["Cs"])), tenant=st.text("abc|:."))
def test_a_cursor_leads_back_to_its_position(position: str, tenant: str) -> None:
    cursor = CURSORS.seal(position, tenant=tenant, scope="jobs")

    assert cursor is not None
    assert CURSORS.unseal(cursor, tenant=tenant, scope="jobs") == position
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_the_end_of_a_list_has_no_cursor() -> None:
    assert CURSORS.seal(None, tenant="acme", scope="jobs") is None
    assert CURSORS.unseal(None, tenant="acme", scope="jobs") is None


@settings(deadline=None)
@given(text=st.text(max_size=60))
def test_what_was_not_sealed_opens_nothing(text: str) -> None:
    with pytest.raises(MalformedRequest):
        CURSORS.unseal(text, tenant="acme", scope="jobs")


def test_tenant_and_list_cannot_be_shifted_into_each_other() -> None:
    cursor = CURSORS.seal("b", tenant="acme", scope="jobs")

    for tenant, scope in (("acmejobs", ""), ("acm", "ejobs"), ("acme", "jobsb"), ("other", "jobs")):
        with pytest.raises(MalformedRequest):
            CURSORS.unseal(cursor, tenant=tenant, scope=scope)
