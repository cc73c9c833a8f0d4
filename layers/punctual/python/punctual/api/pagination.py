"""Cursors: where a list goes on, sealed so that nobody can make or move one."""

import base64
import binascii
import hashlib
import hmac

from punctual.core.errors import MalformedRequest

SEAL_BYTES = 16
"""Of the HMAC: all that a forged cursor would win is another place in one's own list."""


class Cursors:
    """Seals positions and reads them back."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, position: str | None, *, tenant: str, scope: str) -> str | None:
        """Make the cursor of a position in a tenant's list; None of None.

        Args:
            position: Where the list goes on. It can be read from the cursor, not changed in it.
            tenant: Whose list; another tenant's cursor opens nothing.
            scope: Which list.
        """
        if position is None:
            return None
        content = position.encode()
        sealed = self._mac(content, tenant=tenant, scope=scope) + content
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def unseal(self, cursor: str | None, *, tenant: str, scope: str) -> str | None:
        """Read a cursor's position; None of None.

        Raises:
            MalformedRequest: `seal` did not make it for this tenant and list.
        """
        if cursor is None:
            return None
        padded = cursor + "=" * (-len(cursor) % 4)
        try:
            sealed = base64.b64decode(padded, altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise _foreign() from None
        mac, content = sealed[:SEAL_BYTES], sealed[SEAL_BYTES:]
        if not hmac.compare_digest(mac, self._mac(content, tenant=tenant, scope=scope)):
            raise _foreign()
        return content.decode()

    def _mac(self, content: bytes, *, tenant: str, scope: str) -> bytes:
        bound = b"\x00".join((tenant.encode(), scope.encode(), content))
        return hmac.digest(self._key, bound, hashlib.sha256)[:SEAL_BYTES]


def _foreign() -> MalformedRequest:
    return MalformedRequest("the cursor is not one that this list gave")
